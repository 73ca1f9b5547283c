"""Logins of package indexes: what a secret says of one, and a netrc that uv and pip read in an image.

Refuses to show one: an error says what is wrong with a secret, and nothing of what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from attrs import field

from executor.errors import ExecutorError
from executor.reading import NotRead
from executor.secrets import secret_value
from executor.state import scratch_directory
from planner.errors import Problem
from planner.image.plan import ImagePlan
from planner.immutable import frozen
from planner.requirements.indexes import of_options
from planner.settings.package_indexes import PackageIndex, index_key
from planner.settings.secrets import SecretSource, logins_id

__all__ = ["Login", "index_logins", "login_of", "login_variables", "mounted_logins", "netrc_of", "passwords"]

# The first word of a netrc (inetutils, "The .netrc file"); a comment may stand before it.
_NETRC: Final = re.compile(r"\s*(?:#[^\n]*\n\s*)*(?:machine|default|macdef)\s")
# PyPI, and indexes that follow it: the name that goes with a token.
_TOKEN_USER: Final = "__token__"  # noqa: S105  # a name, not a token


@frozen
class Login:
    """A user and a password for one host."""

    user: str = field(repr=False)
    password: str = field(repr=False)


def login_of(value: bytes, url: str) -> Login:
    """The login that a secret has for an index: of a netrc the entry of its host, else the whole value.

    NotRead says what is wrong with it.
    """
    text = value.decode(errors="replace")
    if text.encode() != value:
        raise NotRead("is not UTF-8", "write a token, user:password, or a netrc")
    if _NETRC.match(text):
        return _entry(text, urlsplit(url).hostname or "")
    text = text.strip()
    user, colon, password = text.partition(":")
    login = Login(user, password) if colon else Login(_TOKEN_USER, text)
    if not (login.user and login.password):
        raise NotRead("has no user or no password", "write a token, or user:password")
    for part in (login.user, login.password):
        # pip sends anything else as Latin-1 and uv as UTF-8.
        if not re.fullmatch(r"[\t -~]+", part):
            found = "has a character that is not printable ASCII, or several lines"
            raise NotRead(found, "write a token, user:password, or a netrc")
    return login


def _entry(text: str, host: str) -> Login:
    import netrc  # noqa: PLC0415  # few secrets are one

    with scratch_directory(None) as directory:
        path = directory / "netrc"
        path.touch(0o600)
        # Python takes a comment for what it is only where no empty line stands before it.
        path.write_text(re.sub(r"(?m)^[ \t]*#.*\n?", "", text), encoding="utf-8")
        found = None
        broken = False
        try:
            found = netrc.netrc(path).authenticators(host)
        except (netrc.NetrcParseError, ValueError):
            broken = True
    if broken:
        # Raised here: the error of the library quotes what it read.
        raise NotRead(
            "is not a netrc that can be read", "write lines like: machine HOST login USER password …"
        )
    if found is None:
        raise NotRead(f"has no entry for {host}", f"add: machine {host} login USER password …")
    return Login(found[0], found[2] or "")


def login_variables(
    indexes: Iterable[PackageIndex],
    sources: Mapping[str, SecretSource],
    environ: Mapping[str, str],
    root: Path,
) -> Mapping[str, str]:
    """The variables in which uv looks for the logins of indexes.

    `sources` says where the secrets are; `root` is the project, which may have files of them. NotRead if a
    secret is not there, or has no login.
    """
    every = tuple(indexes)
    values: dict[str, bytes] = {}
    for name in dict.fromkeys(index.secret for index in every):
        if name is not None and name in sources:
            try:
                values[name] = secret_value(sources[name].secret, root, environ)
            except NotRead as error:
                raise NotRead(f"the secret {name} is not there: {error.found}", error.fix) from None
    variables: dict[str, str] = {}
    for index, login in index_logins(every, values):
        variables[f"UV_INDEX_{index_key(index.name)}_USERNAME"] = login.user
        variables[f"UV_INDEX_{index_key(index.name)}_PASSWORD"] = login.password
    return variables


def mounted_logins(image: ImagePlan, secrets: Mapping[str, bytes]) -> Mapping[str, Mapping[str, Login]]:
    """The logins that layers of packages need, by host, for each name under which a builder mounts some.

    ExecutorError with each secret that has no login for its index.
    """
    found: dict[str, dict[str, Login]] = {}
    problems: list[Problem] = []
    for item in image.spec.installs:
        used = item.secrets or {}
        for index in of_options(item.options):
            if index.secret is None or index.secret not in used:
                continue
            try:
                login = login_of(secrets[index.secret], index.url)
            except NotRead as error:
                text = f"no login for the index {index.name}: it {error.found}"
                place = image.secrets[index.secret].place
                problems.append(Problem(place, text, error.fix, "secret-unusable"))
            else:
                # pip compares hosts as they are written.
                of_hosts = found.setdefault(logins_id(used), {})
                of_hosts |= dict.fromkeys((index.host, urlsplit(index.url).netloc.partition(":")[0]), login)
    if problems:
        raise ExecutorError(dict.fromkeys(problems))
    return found


def passwords(image: ImagePlan, secrets: Mapping[str, bytes]) -> Iterator[str]:
    """The passwords of the logins of an image, which may not be shown. ExecutorError as of the logins."""
    for logins in mounted_logins(image, secrets).values():
        yield from (login.password for login in logins.values())


def netrc_of(logins: Mapping[str, Login]) -> bytes:
    """A netrc of logins by host, as uv and pip read it."""
    return "".join(
        f"machine {host} login {_word(login.user)} password {_word(login.password)}\n"
        for host, login in sorted(logins.items())
    ).encode()


def _word(text: str) -> str:
    """A word of a netrc. Only what needs it is quoted: Python before 3.11 knows no quoting."""
    return re.sub(r'([\s"\\])', r"\\\1", text)


def index_logins(
    indexes: Iterable[PackageIndex], secrets: Mapping[str, bytes]
) -> Iterator[tuple[PackageIndex, Login]]:
    """The login of each index that names one of these secrets. NotRead says which one has none."""
    for index in indexes:
        if index.secret is not None and index.secret in secrets:
            try:
                yield index, login_of(secrets[index.secret], index.url)
            except NotRead as error:
                found = f"the secret {index.secret}, for the index {index.name}, {error.found}"
                raise NotRead(found, error.fix) from None
