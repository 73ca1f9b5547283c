"""How the code of a project gets to the containers of a run that download it.

Owns what a job says of that. An archive of the code is made once for a run, and sent to the artifact store if
it is not there. The login of a code repository is read when the run begins, and is in jobs alone.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, assert_never

from planner.image.delivery import Delivery, RepositoryCode, Way

if TYPE_CHECKING:
    from executor.artifacts.code import CodeArchive
    from executor.artifacts.store import ArtifactStore

__all__ = ["Code", "codes"]

Code = Callable[[Path], Mapping[str, Any]]
"""What a job says of the code, with what that needs put into the exchange directory."""

_FILE: Final = "code.tar.gz"


def codes(
    deliveries: Mapping[str, Delivery | None],
    *,
    root: Path,
    scratch: Path,
    store: ArtifactStore,
    logins: Mapping[str, str],
) -> Mapping[str, Code]:
    """How the code gets to each step that downloads it; `logins` are the values of secrets, by name."""
    archive = _Archive(root, scratch / _FILE, store)
    found: dict[str, Code] = {}
    for step, delivery in deliveries.items():
        if delivery is None:
            continue
        match delivery.kind:
            case Way.ARTIFACT_STORE:
                found[step] = archive
            case Way.REPOSITORY:
                assert delivery.repository is not None  # noqa: S101  # this way has one
                found[step] = _of_repository(delivery.repository, logins)
            case Way.IMAGE | Way.NONE:
                pass
            case _:
                assert_never(delivery.kind)
    return found


def _of_repository(code: RepositoryCode, logins: Mapping[str, str]) -> Code:
    job = {
        "kind": "repository",
        "type": code.type,
        "url": code.url,
        "commit": code.commit,
        "tree": code.tree,
        "subdirectory": code.subdirectory,
        "login": logins[code.secret] if code.secret else "",
    }
    return lambda _: job


class _Archive:
    """The archive of the code, made and sent when the first step needs it."""

    def __init__(self, root: Path, path: Path, store: ArtifactStore) -> None:
        self._root, self._path, self._store = root, path, store
        self._lock = threading.Lock()
        self._made: CodeArchive | None = None

    def __call__(self, exchange: Path) -> Mapping[str, Any]:
        with self._lock:
            if self._made is None:
                from executor.artifacts.code import archive_code  # noqa: PLC0415  # the code of few is uploaded

                made = archive_code(self._root, self._path)
                if not self._store.has(made.name):
                    self._store.put(made.name, made.path)
                self._made = made
        url = self._store.signed(self._made.name)
        if url is None:
            # A container could write to a link.
            shutil.copyfile(self._path, exchange / _FILE)
        return {
            "kind": "archive",
            "url": url,
            "file": None if url else _FILE,
            "sha256": self._made.digest.hex,
        }
