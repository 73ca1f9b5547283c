"""URLs and paths that packages are installed from: which an image can reach, and what to write instead.

Owns what counts as local, as version control, as a hash in a URL. Refuses paths of this machine and
schemes that no installer reads.
"""

from __future__ import annotations

import re
from typing import Final

from planner.errors import Place, PlannerError
from planner.mask import HOST_PORT, typed
from planner.requirements.credentials import fault

__all__ = ["check_url", "has_hash", "is_nameless", "is_version_control", "nameless"]

# Patterns are text until they are used: most projects have no URL among their requirements.
_VCS: Final = r"(?:git|hg|svn|bzr)\+"
_BARE_URL: Final = rf"(?i:{_VCS}|[a-z][a-z0-9+.-]*://)"
_LOCAL: Final = (
    rf"(?i:(?:{_VCS})?file:|[a-z]:[/\\]|\.{{1,2}}(?:[\s;\[]|$)|[\w.~-]*[/\\]"
    r"|[\w.+~-]+\.(?:whl|zip|tgz|tbz|txz|tar|tar\.\w+)(?:[\s;\[]|$))"
)
_SCHEME: Final = rf"(?i:{_VCS}|[a-z][a-z0-9+.-]*:)"
_PACKAGE_URL: Final = (
    rf"(?i:(?:(?:{_VCS})?https?://|{_VCS}ssh://(?:[\w.-]+@)?|{_VCS}(?:git|svn|sftp)://)"
    rf"{HOST_PORT}(?:[/?#]\S*)?)"
)
_HASH: Final = r"(?i:[#&](?:sha256=[0-9a-f]{64}|sha384=[0-9a-f]{96}|sha512=[0-9a-f]{128})(?:&|$))"
_NO_LOCAL_PACKAGE: Final = (
    "it does not exist in the image; include its files and install them with "
    "`local_project_install_command`, or publish the package"
)


def is_version_control(url: str) -> bool:
    """Whether `url` is that of a repository, which has no hash."""
    return re.match(_VCS, url) is not None


def has_hash(url: str) -> bool:
    """Whether `url` says in its fragment which archive is behind it."""
    return re.search(_HASH, url) is not None


def is_nameless(text: str) -> bool:
    """Whether `text` starts as a path or a URL does, where the name of a package should stand."""
    return bool(re.match(_LOCAL, text) or re.match(_BARE_URL, text))


def nameless(text: str, where: Place, *, editable: bool = False) -> PlannerError:
    """The error for a requirement that is a path, a URL without a name, or editable."""
    found = f"{'-e ' if editable else ''}{text}"
    if re.match(_LOCAL, text) or not re.match(_BARE_URL, text):
        return fault(where, f"the local package {found!r}", _NO_LOCAL_PACKAGE)
    egg = re.search(r"[#&]egg=([\w.-]+(?:\[[\w.,-]*\])?)", text)
    url = re.sub(r"([#&])egg=[^&\s]*&?", r"\1", text).rstrip("#&")
    named = typed(f"{egg[1] if egg else 'name'} @ {url}")
    kind = "editable package" if editable else "URL without a name"
    return fault(where, f"the {kind} {found!r}", f"write it as `{named}`")


def check_url(name: str, url: str, where: Place) -> None:
    """PlannerError unless `url`, which `name` is to be installed from, can be reached from an image."""
    if re.match(_LOCAL, url) or not re.match(_SCHEME, url):
        raise fault(where, f"the local package '{name} @ {url}'", _NO_LOCAL_PACKAGE)
    if ";" in url:
        # PEP 508 ends a URL at a space: without one the marker is part of the URL.
        raise fault(where, f"the semicolon in '{name} @ {url}'", "put a space before it, or write it as %3B")
    if not re.fullmatch(_PACKAGE_URL, url):
        fix = "write https://host/path or git+https://host/path@revision"
        raise fault(where, f"'{name} @ {url}' is no URL to install from", fix)
