"""The artifact store: files under names, in a folder or wherever fsspec reaches.

What is written has its name once it is whole, however the writer ends. Whether something is there has three
answers, and the third is an error: a store that does not answer has lost nothing.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from executor.artifacts.folder import Folder
from executor.errors import ExecutorError
from executor.state import STATE_DIRECTORY, state_directory
from planner.logins import without_logins

__all__ = ["ArtifactStore", "Files"]

_DEFAULT: Final = f"{STATE_DIRECTORY}/artifacts"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_LOCAL: Final = ("", "file", "local")


class Files(Protocol):
    """Where a store has its files. Errors are ExecutorErrors that say of which file, and why."""

    def put(self, name: str, path: Path) -> None:
        """Store a file under a name, whole or not at all."""

    def get(self, name: str, path: Path) -> None:
        """Write what has a name to a file; part of it, where that fails."""

    def size(self, name: str) -> int | None:
        """How many bytes have a name; None if nothing has."""

    def signed(self, name: str, seconds: int) -> str | None:
        """A URL that anybody may read for this long; None where there are no such URLs."""


class ArtifactStore:
    """The store at a URL, or at a path from the root of the project; by default `.stowplan/artifacts`.

    Names are `code/<digest>.tar.gz` for code, and `runs/<run>/<step>/<output>` for outputs. ExecutorError if
    the URL is of a kind that nothing installed can reach.
    """

    def __init__(self, root: Path, url: str | None = None) -> None:
        self.shown = without_logins(url or _DEFAULT)
        self.folder = _folder(root, url)
        self._files: Files
        if self.folder is not None:
            self._files = Folder(self.folder)
        else:
            from executor.artifacts.remote import Remote  # noqa: PLC0415  # fsspec, which few stores need

            self._files = Remote(url or "", self.shown)

    def put(self, name: str, path: Path) -> None:
        """Store a file under a name, in place of what had it. ExecutorError if that fails."""
        self._files.put(_checked(name), path)

    def get(self, name: str, path: Path) -> None:
        """Write what has a name to a file, whole or not at all.

        ExecutorError if nothing has, or if that fails.
        """
        part = path.with_name(f".{path.name}.part")
        try:
            self._files.get(_checked(name), part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def has(self, name: str, size: int | None = None) -> bool:
        """Whether something has a name, of this many bytes if they are known.

        ExecutorError if that cannot be told.
        """
        found = self._files.size(_checked(name))
        return found is not None and size in (None, found)

    def signed(self, name: str, seconds: int = 3600) -> str | None:
        """A URL that a container can read without a login, for so many seconds; None where there is none.

        One that leads to this machine itself is none: in a container it leads elsewhere.
        """
        url = self._files.signed(_checked(name), seconds)
        return None if url is None or _is_here(urlsplit(url).hostname or "") else url


def _folder(root: Path, url: str | None) -> Path | None:
    """The folder that a store is; None if it is elsewhere."""
    if url is None:
        return state_directory(root.absolute()) / Path(_DEFAULT).name
    parts = urlsplit(url)
    if parts.scheme not in _LOCAL or "::" in url:
        return None
    path = url.removeprefix(f"{parts.scheme}://") if parts.scheme else url
    return root.absolute() / Path(path).expanduser()


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _checked(name: str) -> str:
    if _NAME.fullmatch(name):
        return name
    raise ExecutorError.of(
        repr(name), "is not the name of an artifact", "use names of letters, digits, . _ and -"
    )
