"""An artifact store that fsspec reaches: S3, Google Cloud Storage, Azure, and whatever else is installed.

Buckets give an object its name once all of it has arrived. Elsewhere a file is written under another name,
and moved.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import fsspec

from executor import limits
from executor.errors import ArtifactStoreRefused, ArtifactStoreUnavailable, ExecutorError
from planner.logins import without_logins

__all__ = ["Remote"]

# The extra of stowplan that brings what reaches a kind of store.
_EXTRAS: Final[Mapping[str, str]] = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "abfs": "azure",
    "abfss": "azure",
    "az": "azure",
}
_LOGIN: Final = "check the login that this machine has for it"
_LOGINS: Final[Mapping[str, str]] = {
    "s3": "check AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they may do",
    "gcs": "check GOOGLE_APPLICATION_CREDENTIALS, and what that account may do",
    "azure": "check AZURE_STORAGE_ACCOUNT_NAME, and the login of this machine",
}


class Remote:
    """Files below a URL. `shown` is the URL without logins."""

    def __init__(self, url: str, shown: str) -> None:
        self._shown = shown
        self._protocol = url.partition("://")[0].rpartition("::")[2]
        self._extra = _EXTRAS.get(self._protocol)
        try:
            # What another process writes is to be seen, and so is what it removes.
            self._fs, self._root = fsspec.url_to_fs(
                url, skip_instance_cache=True, use_listings_cache=False, **_options(self._extra)
            )
        except ImportError as error:
            fix = f"pip install 'stowplan[{self._extra}]'" if self._extra else "install what it names"
            raise ExecutorError.of(shown, f"cannot be reached: {error}", fix) from None
        except ValueError as error:
            raise ExecutorError.of(
                shown,
                f"is not an artifact store: {without_logins(str(error))}",
                "name a folder, s3://, gs:// or az://",
            ) from None

    def put(self, name: str, path: Path) -> None:
        """Store a file under a name, whole or not at all."""
        with self._told(name):
            if self._extra:
                self._fs.put_file(str(path), self._path(name))
                return
            temporary = self._path(f"{name}.{os.urandom(8).hex()}.part")
            self._fs.makedirs(temporary.rpartition("/")[0], exist_ok=True)
            try:
                self._fs.put_file(str(path), temporary)
                self._fs.mv(temporary, self._path(name))
            except BaseException:
                with contextlib.suppress(Exception):
                    self._fs.rm_file(temporary)
                raise

    def get(self, name: str, path: Path) -> None:
        """Write what has a name to a file; part of it, where that fails."""
        with self._told(name):
            self._fs.get_file(self._path(name), str(path))

    def size(self, name: str) -> int | None:
        """How many bytes have a name; None if nothing has."""
        with self._told(name):
            try:
                # Not `exists`, which takes every error for a no.
                found = self._fs.info(self._path(name))
            except FileNotFoundError:
                return None
            return int(found["size"]) if found.get("type") == "file" else None

    def signed(self, name: str, seconds: int) -> str | None:
        """A URL that anybody may read for this long; None where there are no such URLs."""
        # Some stores have none, and some logins may not make any: there is another way.
        with contextlib.suppress(Exception):
            return str(self._fs.sign(self._path(name), expiration=seconds))
        return None

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    @contextlib.contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except ExecutorError:
            raise
        # Each kind of store has errors of its own, of any class.
        except Exception as error:
            self._raise(name, error)

    def _raise(self, name: str, error: Exception) -> NoReturn:
        where = f"{self._shown.rstrip('/')}/{name}"
        found = without_logins(str(error)).strip() or type(error).__name__
        if isinstance(error, FileNotFoundError):
            raise ArtifactStoreRefused.of(where, f"does not exist: {found}", "make the bucket, or run again")
        if isinstance(error, PermissionError) or type(error).__name__ in _NO_LOGIN:
            raise ArtifactStoreRefused.of(
                where, f"is refused: {found}", _LOGINS.get(self._extra or "", _LOGIN)
            )
        raise ArtifactStoreUnavailable.of(where, f"cannot be reached: {found}", "try again")


def _options(extra: str | None) -> Mapping[str, Any]:
    """How long a store is waited for, where its client can be told."""
    if extra != "s3":
        return {}
    retries = {"mode": "standard", "total_max_attempts": limits.STORE_TRIES}
    return {
        "config_kwargs": {
            "connect_timeout": limits.STORE_CONNECT_SECONDS,
            "read_timeout": limits.STORE_SILENCE_SECONDS,
            "retries": retries,
        }
    }


# Of botocore, google-auth and azure-identity: nobody is named, so that nobody is refused.
_NO_LOGIN: Final = frozenset({
    "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "TokenRetrievalError",
    "UnauthorizedSSOTokenError", "DefaultCredentialsError", "RefreshError", "ClientAuthenticationError",
})  # fmt: skip
