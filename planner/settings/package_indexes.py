"""Package indexes of a project: their names, where they are, and which packages are from each.

Owns how a setting declares them, and which names a pattern stands for. Refuses logins, which are secrets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from attrs import field

from planner.errors import Problem
from planner.identity import COUNTED, NOT_COUNTED
from planner.immutable import frozen
from planner.requirements.addresses import INDEX_NAME, INDEX_URL
from planner.requirements.credentials import PRIVATE_INDEX
from planner.settings.checked import Checked, declared, decoded, of_kind
from planner.settings.checks import Check, kind_of, list_of, matching, optional, saying, without_login
from planner.settings.secrets import SECRET_NAME
from planner.values import freeze

__all__ = ["PackageIndex", "index_key", "index_of", "indexes_check", "indexes_of_tables"]

_EXAMPLE: Final = '[{ name = "corp", url = "https://pypi.example.com/simple", packages = ["corp-*"] }]'
_name: Final = matching(INDEX_NAME, "the name of an index", "corp")
_url: Final = without_login(
    matching(
        INDEX_URL,
        "the URL of an index",
        "https://download.pytorch.org/whl/cu126",
        {"type": "string", "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://\S+$"},
    ),
    PRIVATE_INDEX,
)
_secret: Final = matching(SECRET_NAME, "the name of a secret", "pypi")
_pattern: Final = matching(
    r"[A-Za-z0-9*](?:[A-Za-z0-9._*-]*[A-Za-z0-9*])?", "the name of a package, or a pattern", "corp-*"
)


def _patterns(value: object) -> Any:
    """Names as PEP 503 spells them, each once, in which `*` stays; anything else as it is, for the check."""
    names = freeze(value)
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        return names
    return tuple(dict.fromkeys(re.sub(r"[-_.]+", "-", name).lower() for name in names))


def _given(check: Check, example: str) -> Check:
    """What `check` takes; nothing at all is not given."""

    @saying(check.schema)
    def check_given(value: object) -> Iterator[Problem]:
        if value == "":
            yield Problem.at((), "is not given", f'write one: "{example}"')
        else:
            yield from check(value)

    return check_given


@frozen(kw_only=True)
class PackageIndex(Checked):
    """An index beside PyPI, or, with `packages`, the one index that these packages are from.

    `packages` are names, in which `*` stands for any characters: such a package is from this index and from
    no other. Without any, the index is asked before PyPI for every package. `secret` is the name of the one
    that has the login of the index.

    >>> PackageIndex(name="corp", url="https://pypi.example.com/simple", packages=["Corp_*"]).packages
    ('corp-*',)
    """

    EXAMPLE: ClassVar[str] = '{ name = "corp", url = "https://pypi.example.com/simple" }'

    name: str = field(default="", metadata=declared(_given(_name, "corp"), NOT_COUNTED))
    url: str = field(
        default="", metadata=declared(_given(_url, "https://pypi.example.com/simple"), NOT_COUNTED)
    )
    packages: Sequence[str] = field(
        default=(), converter=_patterns, metadata=declared(list_of(_pattern), NOT_COUNTED)
    )
    secret: str | None = field(default=None, metadata=declared(optional(_secret), COUNTED))

    @property
    def host(self) -> str:
        """The host that is asked, without a port: logins are kept by it."""
        return re.sub(r"(?i)^https?://(\[[^\]]*\]|[^:/?#]*).*", r"\1", self.url).lower()

    def has(self, package: str) -> bool:
        """Whether a package, by its normalised name, is from this index alone."""
        return any(_matches(pattern, package) for pattern in self.packages)


def _matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern. The time it takes grows with their lengths and not faster."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    if not name.startswith(first):
        return False
    at = len(first)
    for part in rest[:-1]:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return name.endswith(rest[-1]) and len(name) - at >= len(rest[-1])


def index_of(indexes: Iterable[PackageIndex], package: str) -> PackageIndex | None:
    """The first index that a package is from alone, by its normalised name; None if any may have it."""
    return next((index for index in indexes if index.has(package)), None)


def index_key(name: str) -> str:
    """What tells names of indexes apart: uv looks for logins in variables that are called after them."""
    return re.sub(r"[-_.]", "_", name).upper()


def indexes_of_tables(value: object) -> Any:
    """A converter: a list of tables becomes one of indexes. What is wrong stays as it is, for the check."""
    made = freeze(value)
    return tuple(map(decoded(PackageIndex), made)) if isinstance(made, tuple) else made


@saying({"type": "array", "items": {"$ref": PackageIndex}})
def indexes_check(value: object) -> Iterator[Problem]:
    """A check: a list of indexes, each with a name of its own."""
    if not isinstance(value, tuple):
        found = f"expected a list of tables, found {kind_of(value)}"
        fix = f"write {_EXAMPLE}"
        if isinstance(value, Mapping):
            fix = f"name the index, and the packages that are from there: {_EXAMPLE}"
        yield Problem.at((), found, fix)
        return
    yield from list_of(of_kind(PackageIndex))(value)
    indexes = [each for each in value if isinstance(each, PackageIndex)]
    keys = Counter(index_key(each.name) for each in indexes)
    for name in dict.fromkeys(each.name for each in indexes if keys[index_key(each.name)] > 1):
        yield Problem.at((), f"two indexes have the name {name}", "give each a name of its own")
