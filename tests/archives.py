"""Archives of a test's own, hostile ones among them."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable
from typing import Any, Final

from executor.bootstrap import limits

__all__ = ["HOSTILE", "Member", "digest", "directory", "file", "link", "member", "tar"]

Member = tuple[tarfile.TarInfo, bytes]


def member(
    name: str, kind: bytes, *, target: str = "", data: bytes = b"", mode: int = 0o644, **more: Any
) -> Member:
    """A member of any kind."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, target, len(data), mode
    for field, value in more.items():
        setattr(info, field, value)
    return info, data


def file(name: str, data: bytes = b"", mode: int = 0o644) -> Member:
    """A file."""
    return member(name, tarfile.REGTYPE, data=data, mode=mode)


def directory(name: str) -> Member:
    """A directory."""
    return member(name, tarfile.DIRTYPE, mode=0o755)


def link(name: str, target: str) -> Member:
    """A symbolic link."""
    return member(name, tarfile.SYMTYPE, target=target)


def tar(members: Iterable[Member], *, compressed: bool = False) -> bytes:
    """An archive of these members, in this order."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(made.getvalue()) if compressed else made.getvalue()


def digest(archive: bytes) -> str:
    """The digest that a job names."""
    plain = gzip.decompress(archive) if archive[:2] == b"\x1f\x8b" else archive
    return hashlib.sha256(plain).hexdigest()


HOSTILE: Final[dict[str, tuple[list[Member], str]]] = {
    "an absolute path": ([file("/etc/cron.d/x")], "'/etc/cron.d/x' is an absolute path"),
    "a path out": ([file("../outside")], "'../outside' leads out of it"),
    "a path out, later": ([file("a/../../outside")], "leads out of it"),
    "a path with dots, inside": ([file("a/../b")], "leads out of it"),
    "the root as a file": ([file(".")], "its root is not a directory"),
    "a link out": ([link("a", "../outside")], "the link 'a' leads out of it, to '../outside'"),
    "an absolute link": ([link("a", "/etc/passwd")], "the link 'a' leads out of it"),
    "a file through a link": ([link("a", "."), file("a/b")], "'a' is a link and a directory"),
    "a file through a link out": (
        [link("a", ".."), file("a/outside", b"x")],
        "'a' is a link and a directory",
    ),
    "a link in place of a directory": ([file("a/b"), link("a", "..")], "'a' is in it twice"),
    "a link out through a link": (
        [directory("d/e"), link("d/e/l", "../.."), link("m", "d/e/l/../outside")],
        "the link 'm' leads out of it",
    ),
    "a link out through a later link": (
        [link("m", "l/../outside"), link("l", ".")],
        "the link 'm' leads out",
    ),
    "a link to a link to an absolute path": ([link("a", "/"), link("b", "a/etc")], "leads out of it"),
    "a hard link": ([file("a"), member("b", tarfile.LNKTYPE, target="a")], "'b' is neither a file nor"),
    "a hard link out": ([member("b", tarfile.LNKTYPE, target="../outside")], "'b' is neither a file nor"),
    "a device": ([member("null", tarfile.CHRTYPE, devmajor=1, devminor=3)], "'null' is neither a file nor"),
    "a block device": ([member("sda", tarfile.BLKTYPE, devmajor=8)], "'sda' is neither a file nor"),
    "a fifo": ([member("fifo", tarfile.FIFOTYPE)], "'fifo' is neither a file nor"),
    "a file twice": ([file("a", b"1"), file("a", b"2")], "'a' is in it twice"),
    "a file and a directory": ([file("a"), file("a/b")], "'a' is a file and a directory"),
    "a directory and a file": ([file("a/b"), file("a")], "'a' is in it twice"),
    "a name with a NUL": ([member("x", tarfile.REGTYPE, pax_headers={"path": "a\0b"})], "no archive"),
    "a name that is too long for a header": (
        [member("x", tarfile.REGTYPE, pax_headers={"path": "a" * (2 << 20)})],
        f"a header of it is larger than {limits.HEADER_BYTES} bytes",
    ),
}
"""Archives that are refused, by what is wrong with them: their members, and what is said."""
