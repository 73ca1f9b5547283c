"""Code repositories: where the code of a project can be downloaded from, and which URLs mean the same one.

Owns how one is declared, and the address behind a URL. Refuses logins, which are secrets.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import field

from planner.errors import Problem
from planner.identity import NOT_COUNTED
from planner.immutable import frozen
from planner.logins import quoted, without_logins
from planner.names import name_check
from planner.settings.checked import Checked, declared, each_decoded, keyed, of_kind
from planner.settings.checks import (
    Schema,
    mapping_of,
    matching,
    one_of,
    optional,
    saying,
    text,
    without_login,
)
from planner.settings.secrets import SECRET_NAME

__all__ = ["Address", "CodeRepository", "repositories_check", "repositories_of_tables", "without_account"]

TYPES: Final = ("github", "gitlab", "git")
_EXAMPLE: Final = "https://github.com/owner/name"
_PORTS: Final = {"https": 443, "http": 80, "ssh": 22, "git": 9418}
_HOST: Final = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\])"
_URL: Final = re.compile(
    rf"(?P<scheme>https?|ssh|git)://(?:[^/?#\s]*@)?(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?/(?P<path>[^?#]*)",
    re.IGNORECASE,
)
# git reads `host:path` as ssh if no slash comes before the colon (git-fetch(1), "GIT URLS"), and has a
# helper carry out `helper::…`.
_SCP: Final = re.compile(rf"(?:[^@:/\s]+@)?(?P<host>{_HOST}):(?!:|//)(?P<path>.*)")
# Where GitHub and GitLab take ssh on the port of HTTPS.
_ALIASES: Final = {"altssh.gitlab.com": "gitlab.com", "ssh.github.com": "github.com"}


@frozen
class Address:
    """What a URL of a repository says, however it is spelled; `port` is 0 for files of the machine."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Address | None:
        """The address behind a URL of git; None for what is none, or needs a helper of git.

        >>> Address.parse("git@GitHub.com:o/r.git").shown, Address.parse("https://me@github.com/o/r/").shown
        ('github.com/o/r', 'github.com/o/r')
        """
        # A URL that begins like an option would be one where it stands in a command.
        if url.startswith("-") or re.search(r"[\x00-\x20\x7f]", url):
            return None
        if url.startswith("/") or url.lower().startswith("file:///"):
            return cls("file", "", 0, _path(re.sub(r"(?i)^file://", "", url), absolute=True))
        match = _URL.fullmatch(url)
        if match is not None:
            scheme = match["scheme"].lower()
            # The other port is that of the other host.
            port = (
                _PORTS[scheme] if match["host"].lower() in _ALIASES else int(match["port"] or _PORTS[scheme])
            )
            return cls(scheme, _host(match["host"]), port, _path(_unquoted(match["path"])))
        match = None if "://" in url else _SCP.fullmatch(url)
        return cls("ssh", _host(match["host"]), 22, _path(match["path"])) if match else None

    def means(self, other: Address, *, folded: bool = False) -> bool:
        """Whether two addresses are of one repository: ports tell apart what is reached in one way.

        `folded` is for hosts that do not tell upper from lower case in a path.
        """
        paths = {each.path.lower() if folded else each.path for each in (self, other)}
        same_port = self.scheme != other.scheme or self.port == other.port
        return self.host == other.host and len(paths) == 1 and same_port

    @property
    def shown(self) -> str:
        """The address for people, without the way to it."""
        port = "" if self.port in (0, 22, 443, 80, 9418) else f":{self.port}"
        return f"{self.host}{port}/{self.path}" if self.host else self.path


def _host(host: str) -> str:
    name = host.lower().removesuffix(".")
    return _ALIASES.get(name, name)


def _unquoted(path: str) -> str:
    """A path without its percent-encoding (RFC 3986, 2.1)."""
    data = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), path.encode())
    return data.decode(errors="replace")


def _path(path: str, *, absolute: bool = False) -> str:
    """A path in its only spelling: without slashes around it, and without `.git`."""
    parts = posixpath.normpath("/" + path).lstrip("/")
    return ("/" if absolute else "") + parts.removesuffix(".git")


def without_account(url: str) -> str:
    """A URL of git without what stands before its host, and without parameters: nothing of a login.

    >>> without_account("https://me:s3cret@github.com/o/r?token=x"), without_account("git@github.com:o/r")
    ('https://github.com/o/r', 'github.com:o/r')
    """
    bare = re.sub(r"[?#].*", "", url, flags=re.DOTALL)
    bare = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/]*@", r"\1", bare)
    if "://" not in bare:
        bare = re.sub(r"^[^/]*@", "", bare)
    return without_logins(bare)


@saying({"type": "string", "minLength": 1, "pattern": r"^[^\s?#]*$", "examples": [_EXAMPLE]})
def _url(value: object) -> Iterator[Problem]:
    problems = tuple(text(value))
    yield from problems
    if problems or not isinstance(value, str):
        return
    if not value:
        yield Problem.at((), "is not given", f'write one: "{_EXAMPLE}"')
    elif re.search(r"[?#]", value) or Address.parse(value) is None:
        yield Problem.at((), f"not the URL of a repository: {quoted(value)}", f"write it like {_EXAMPLE!r}")


_secret: Final = matching(SECRET_NAME, "the name of a secret", "github")


@frozen(kw_only=True)
class CodeRepository(Checked):
    """A repository that containers download code from.

    `url` is any URL that git takes and that needs no helper of it; `secret` is the name of the one that has
    the login of the repository, where it needs one.

    >>> CodeRepository(name="team", type="github", url="git@github.com:o/r.git").download_url
    'https://github.com/o/r'
    """

    name: str = field(default="", metadata=declared(name_check, NOT_COUNTED))
    type: str = field(default="", metadata=declared(one_of(*TYPES), NOT_COUNTED))
    url: str = field(
        default="",
        metadata=declared(
            without_login(_url, 'leave it out, and name its secret: secret = "NAME"'), NOT_COUNTED
        ),
    )
    secret: str | None = field(default=None, metadata=declared(optional(_secret), NOT_COUNTED))

    @classmethod
    def schema(cls) -> Schema:
        """As a project file has it."""
        return keyed(super().schema())

    def check_together(self) -> Iterator[Problem]:
        """A container reaches it, and GitHub and GitLab have owners."""
        if not self.address.host:
            found = f"a path of this machine, which no container has: {quoted(self.url)}"
            yield Problem.at("url", found, f"write it like {_EXAMPLE!r}")
        elif self.type != "git" and "/" not in self.address.path:
            found = f"not a repository of {self.type}: {quoted(self.url)}"
            yield Problem.at("url", found, f"write it like {_EXAMPLE!r}")

    @property
    def address(self) -> Address:
        """What its URL says."""
        found = Address.parse(self.url)
        assert found is not None  # noqa: S101  # the check has seen it
        return found

    @property
    def download_url(self) -> str:
        """Where it is downloaded from: GitHub and GitLab are asked for archives through HTTPS."""
        address = self.address
        if self.type == "git":
            return self.url
        scheme = "http" if address.scheme == "http" else "https"
        # The port of another way says nothing of this one.
        port = "" if address.scheme != scheme or address.port == _PORTS[scheme] else f":{address.port}"
        return f"{scheme}://{address.host}{port}/{address.path}"

    def is_at(self, url: str) -> bool:
        """Whether a URL of git, such as that of a remote, is of this repository."""
        other = Address.parse(url)
        return other is not None and self.address.means(other, folded=self.type != "git")


_check: Final = mapping_of(name_check, of_kind(CodeRepository))


def repositories_of_tables(value: Any) -> Any:
    """A converter: tables by name become repositories. What is wrong stays as it is, for the check."""
    if not isinstance(value, Mapping):
        return value
    named = {
        name: {"name": name, **item} if isinstance(item, Mapping) else item for name, item in value.items()
    }
    return each_decoded(CodeRepository, named)


@saying(_check.schema)
def repositories_check(value: object) -> Iterator[Problem]:
    """A check: repositories by their names."""
    yield from _check(value)
