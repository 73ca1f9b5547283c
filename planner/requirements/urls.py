"""URLs and paths that packages are installed from: which an image can reach, and what to write instead.

Owns what counts as local, as version control, as a hash in a URL, and which name a URL gives a package.
Refuses paths of this machine and schemes that no installer reads.
"""

from __future__ import annotations

import re
from typing import Final

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from planner.errors import Place, PlannerError
from planner.immutable import frozen
from planner.logins import HOST_PORT, typed
from planner.requirements.credentials import fault

__all__ = [
    "NamedUrl",
    "Origin",
    "check_url",
    "has_hash",
    "is_local",
    "is_nameless",
    "is_version_control",
    "name_of",
    "nameless",
    "origin_of",
    "uv_refusal",
]

# Patterns are text until they are used: most projects have no URL among their requirements.
_VCS: Final = r"(?:git|hg|svn|bzr)\+"
_BARE_URL: Final = rf"(?i:{_VCS}|[a-z][a-z0-9+.-]*://)"
_LOCAL: Final = (
    rf"(?i:(?:{_VCS})?file:|[a-z]:[/\\]|\.{{1,2}}(?:[\s;\[]|$)|[\w.~-]*[/\\]"
    r"|[^;\[@:]+\.(?:whl|zip|tgz|tbz|txz|tlz|tar|tar\.\w+)(?:\[[^]]*\])?\s*(?:;|$))"
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


@frozen
class Origin:
    """Where a package is from: the address of a file or a repository, and the directory inside."""

    address: str
    subdirectory: str = ""


def origin_of(url: str) -> Origin:
    """Where `url` leads to, whatever revision of a repository it names, and whatever hash of a file."""
    address, _, fragment = url.partition("#")
    if is_version_control(url):
        # As pip does it: the last @ of the path, since an account stands before the host.
        scheme, slashes, rest = address.partition("://")
        host, slash, path = rest.partition("/")
        address = f"{scheme}{slashes}{host}{slash}{path.rpartition('@')[0] or path}"
    below = re.search(r"(?:^|&)subdirectory=([^&]*)", fragment)
    return Origin(address, below[1] if below else "")


def has_hash(url: str) -> bool:
    """Whether `url` says in its fragment which archive is behind it."""
    return re.search(_HASH, url) is not None


def is_local(text: str) -> bool:
    """Whether `text` starts as a path or a URL of this machine does."""
    return bool(re.match(_LOCAL, text))


def is_nameless(text: str) -> bool:
    """Whether `text` starts as a URL does, where the name of a package can stand."""
    return bool(re.match(_BARE_URL, text))


@frozen
class NamedUrl:
    """A URL, with the name and the extras that it says its package has; the name is "" if it says none."""

    url: str
    name: str = ""
    extras: tuple[str, ...] = ()


def name_of(url: str) -> NamedUrl:
    """The name in a URL: that of a wheel's file, else that of `#egg=name[extra]`, which is left out then.

    As in pip's `parse_req_from_line`. InvalidWheelFilename, a ValueError, for a file that only ends as a
    wheel does.
    """
    path, _, fragment = url.partition("#")
    parts = [part for part in fragment.split("&") if not part.startswith("egg=")]
    plain = f"{path}#{'&'.join(parts)}" if any(parts) else path
    # Only ASCII can stand in the name of a wheel: %2B before a local version.
    file = re.sub(r"%([0-7][0-9A-Fa-f])", lambda code: chr(int(code[1], 16)), _file(path))
    if file.endswith(".whl") and not is_version_control(url):
        return NamedUrl(plain, parse_wheel_filename(file)[0])
    egg = re.search(r"(?:^|&)egg=([\w.-]+)(?:\[([\w.,-]*)\])?(?:&|$)", fragment)
    if egg is None:
        return NamedUrl(url)
    return NamedUrl(plain, egg[1], tuple(filter(None, (egg[2] or "").split(","))))


def _file(url: str) -> str:
    """The last part of the path of a URL without a fragment."""
    return url.partition("?")[0].rpartition("/")[2]


def uv_refusal(url: str) -> tuple[str, str] | None:
    """What uv does not take about a URL that other installers take, and what to do; None if it takes it.

    As `uv pip install` says it (uv 0.13).
    """
    if is_version_control(url) and not re.match(r"(?i:git\+(?:https?|ssh)://)", url):
        kind = url.partition("://")[0]
        return f"uv cannot install from {kind}://", "write git+https:// or git+ssh://, or install with pip"
    file = _file(url.partition("#")[0])
    if not is_version_control(url) and not re.search(r"(?i:\.(?:whl|zip|tar\.gz))$", file):
        return "uv cannot tell what kind of file it is", "name a .whl, .tar.gz or .zip, or install with pip"
    return None


def nameless(text: str, where: Place, *, editable: bool = False) -> PlannerError:
    """The error for a requirement that is a path, or editable."""
    found = f"{'-e ' if editable else ''}{text}"
    if is_local(text) or not is_nameless(text):
        return fault(where, f"the local package {found!r}", _NO_LOCAL_PACKAGE)
    try:
        named = name_of(text)
    except InvalidWheelFilename:
        named = NamedUrl(text)
    extras = f"[{','.join(named.extras)}]" if named.extras else ""
    written = typed(f"{named.name}{extras} @ {named.url}" if named.name else named.url)
    return fault(where, f"the editable package {found!r}", f"write it as `{written}`")


def check_url(name: str, url: str, where: Place) -> None:
    """PlannerError unless `url`, which `name` is to be installed from, can be reached from an image."""
    found = f"{name} @ {url}" if name else url
    if is_local(url) or not re.match(_SCHEME, url):
        raise fault(where, f"the local package {found!r}", _NO_LOCAL_PACKAGE)
    if ";" in url:
        # PEP 508 ends a URL at a space: without one the marker is part of the URL.
        raise fault(where, f"the semicolon in {found!r}", "put a space before it, or write it as %3B")
    if not re.fullmatch(_PACKAGE_URL, url):
        fix = "write https://host/path or git+https://host/path@revision"
        raise fault(where, f"{found!r} is not a URL to install from", fix)
    if not name and re.search(r"\[[^]]*\]$", url.partition("#")[0]):
        raise fault(where, f"extras behind the URL {url!r}", "write it as `name[extra] @ URL`")
