"""The bootstrap as one file: the modules of `executor/bootstrap`, as a zip file that Python runs.

The same modules give the same bytes on any machine and with any Python: members are sorted, not compressed,
and have one time and one mode. In the file the package is called `_stowplan`, a name that no project has.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path
from typing import Final

from planner.values import Digest

__all__ = ["bootstrap", "bootstrap_digest"]

_SOURCES: Final = Path(__file__).parent / "bootstrap"
_PACKAGE: Final = "_stowplan"
# The path of the file itself leaves sys.path before anything of the user is imported: a module of theirs may
# have any name. The package is found by its own path all the same.
_MAIN: Final = """\
import sys

if sys.version_info < (3, 8):
    found = "%d.%d of %s" % (sys.version_info[0], sys.version_info[1], sys.executable)
    sys.stderr.write("stowplan: Python is 3.8 or newer, and this is " + found + "\\n")
    sys.exit(78)

if __name__ == "__main__":
    from {package}.__main__ import main

    del sys.path[0]
    sys.exit(main(sys.argv[1:]))
"""
# The exit code is that of a job that cannot be run like this. Python 2 has to be able to read this much.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = 0o100644 << 16
_UNIX: Final = 3


@cache
def bootstrap() -> bytes:
    """The file, made once in a process."""
    members = {"__main__.py": _MAIN.format(package=_PACKAGE).encode()}
    for source in _SOURCES.glob("*.py"):
        members[f"{_PACKAGE}/{source.name}"] = source.read_bytes()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            member = zipfile.ZipInfo(name, _TIME)
            member.create_system, member.external_attr = _UNIX, _MODE
            archive.writestr(member, members[name])
    return file.getvalue()


@cache
def bootstrap_digest() -> Digest:
    """The digest of the file."""
    return Digest(hashlib.sha256(bootstrap()).hexdigest())
