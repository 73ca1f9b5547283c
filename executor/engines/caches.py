"""Where Podman keeps the caches that builds mount: below TMPDIR.

Our builds have a TMPDIR of their own, which is gone after them. A link in it leads to where the caches of
this user's other builds are.
"""

from __future__ import annotations

import os
from pathlib import Path

from executor.errors import ExecutorError

__all__ = ["link_caches"]


def link_caches(directory: Path) -> None:
    """Have the caches of this user in a directory that is the TMPDIR of a build.

    ExecutorError if there is no place for them that is this user's alone.
    """
    user = os.geteuid()
    place = Path(os.environ.get("TMPDIR") or "/var/tmp")  # noqa: S108  # Podman's own default
    # The first name is Podman 4's, the second that of later ones.
    for name in ("buildah-cache", f"buildah-cache-{user}"):
        caches = place / name
        try:
            caches.mkdir(mode=0o700, exist_ok=True)
            if caches.is_symlink() or caches.stat().st_uid != user:
                raise PermissionError(f"{caches} is not this user's")
            # Some images are built twice in one directory.
            if not (directory / name).is_symlink():
                (directory / name).symlink_to(caches)
        except OSError as error:
            found = f"there is no place for caches: {error.strerror or error}"
            fix = "set TMPDIR to another directory, or leave out python_package_installer_cache_mount"
            raise ExecutorError.of(str(caches), found, fix) from None
