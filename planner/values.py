"""Small values every other module speaks in: digests, image references, variable templates, mappings.

Each parses its text once, at construction, and matches it whole. Refuses to resolve anything: an
image reference is a name, not a promise that the image exists.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, Self, TypeVar, assert_never

from attrs import evolve, field
from attrs.validators import matches_re, optional

from planner.immutable import frozen
from planner.logins import quoted

__all__ = [
    "PROXIES",
    "Digest",
    "EnvTemplate",
    "FrozenMapping",
    "ImageRef",
    "Literal",
    "ParentRef",
    "PythonPackageInstaller",
    "VariableRef",
    "bare_flags",
    "build_argument",
    "dashed_arguments",
    "freeze",
    "respelled",
    "single_arguments",
    "thaw",
]

V = TypeVar("V")


class FrozenMapping(Mapping[str, V]):
    """A hashable mapping from names to values, in the order of the names."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, V] | None = None) -> None:
        given = dict(items or {})
        # By their text, so that a name that is no string lives until a check can report it.
        self._items: dict[str, V] = {key: given[key] for key in sorted(given, key=str)}

    def __getitem__(self, key: str) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenMapping):
            # Steps share settings: most comparisons are of one mapping with itself.
            return self is other or self._items == other._items
        return isinstance(other, Mapping) and self._items == dict(other)

    def __repr__(self) -> str:
        return f"FrozenMapping({self._items!r})"


def freeze(value: Any) -> Any:
    """`value` with every list made a tuple, every mapping a FrozenMapping, all the way down."""
    if isinstance(value, Mapping):
        return FrozenMapping({key: freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    return value


def thaw(value: Any) -> Any:
    """`value` with every tuple made a list, every mapping a dict, all the way down, as JSON has it.

    >>> thaw(freeze({"a": [1, {"b": []}]}))
    {'a': [1, {'b': []}]}
    """
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [thaw(item) for item in value]
    return value


@frozen(order=True)
class Digest:
    """A SHA-256 digest: 64 lower-case hexadecimal digits."""

    hex: str = field(validator=matches_re(r"[0-9a-f]{64}"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `sha256:<hex>`. ValueError for anything else."""
        algorithm, _, digits = text.partition(":")
        if algorithm != "sha256":
            raise ValueError(f"not a sha256 digest: {text!r}")
        return cls(digits)

    @property
    def short(self) -> str:
        """The first twelve digits, for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"sha256:{self.hex}"


# The grammar of github.com/distribution/reference, without its non-sha256 digests. An underscore in the
# name of a host is more than it takes: it would read `my_registry.io/x` as a path on Docker Hub.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9_-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
PATH_PATTERN = rf"{_COMPONENT}(?:/{_COMPONENT})*"
TAG_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_LONGEST_PATH = 255
_REFERENCE = re.compile(
    rf"(?:(?P<domain>{_DOMAIN})/)?(?P<path>{PATH_PATTERN})(?::(?P<tag>{TAG_PATTERN}))?"
    r"(?:@sha256:(?P<digest>[0-9a-f]{64}))?"
)


@frozen
class ImageRef:
    """The full name of an image: registry, repository, and a tag, a digest or both.

    Short names mean what Docker means by them: `python` is `docker.io/library/python:latest`, on
    every engine (github.com/distribution/reference, `ParseNormalizedNamed`).
    """

    registry: str = field(validator=matches_re(_DOMAIN))
    repository: str = field(validator=matches_re(PATH_PATTERN))
    tag: str | None = field(default=None, validator=optional(matches_re(TAG_PATTERN)))
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference as people write it. ValueError says what is wrong with it."""
        match = _REFERENCE.fullmatch(text)
        if match is None:
            hint = " (a repository is written in lower case)" if text != text.lower() else ""
            # Whoever writes a login in front of a registry must not find it in an error.
            raise ValueError(f"not an image reference: {quoted(text)}{hint}")
        if re.fullmatch(r"[0-9a-f]{64}", text):
            raise ValueError(f"not an image reference but an image ID: {text!r}")
        domain, path = match["domain"], match["path"]
        # A first part without a dot or a port is a registry only as `localhost` or in upper case.
        if domain and not re.search(r"[.:A-Z]|^localhost$", domain):
            domain, path = None, f"{domain}/{path}"
        if domain is None or domain == "index.docker.io":
            domain = "docker.io"
        if domain == "docker.io" and "/" not in path:
            path = f"library/{path}"
        if len(path) > _LONGEST_PATH:
            raise ValueError(f"a repository of more than {_LONGEST_PATH} characters: {quoted(text)}")
        digest = Digest(match["digest"]) if match["digest"] else None
        tag = match["tag"] or (None if digest else "latest")
        return cls(domain, path, tag, digest)

    @property
    def name(self) -> str:
        """Registry and repository: `docker.io/library/python`."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar(self) -> str:
        """The reference as people write it: `python:3.11-slim`."""
        return str(self).removeprefix("docker.io/").removeprefix("library/")

    def pinned(self, digest: Digest) -> ImageRef:
        """The same image at this digest, with no tag: Podman before 5 refuses to take both."""
        return evolve(self, tag=None, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")


@frozen
class Literal:
    """A part of a template that stands for itself."""

    text: str


@frozen
class VariableRef:
    """A part of a template that stands for the value of an environment variable."""

    name: str


@frozen
class ParentRef:
    """A part of a template that stands for the value that the variable has without it.

    A colon beside it is left out with it where there is no such value, or an empty one: an empty entry of a
    PATH or an LD_LIBRARY_PATH is the working directory.
    """

    before: str = ""
    after: str = ""


_PART = re.compile(
    r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}"
    r"|\{(?P<escaped>\{parent\})\}"
    r"|(?P<before>:)?(?P<parent>\{parent\})(?P<after>(?(before)|:?))"
)


@frozen
class EnvTemplate:
    """The value of a variable of an image.

    `${NAME}` in it stands for the value of an environment variable where it is planned, and `{parent}` for
    the value that the variable has without it: the parent image's, or in `runtime_environment` that of
    `environment`. `{{parent}}` is the text `{parent}`; all else is literal.
    """

    text: str

    @property
    def parts(self) -> tuple[Literal | VariableRef | ParentRef, ...]:
        """The template cut into literal text and references, in order, with no empty part."""
        parts: list[Literal | VariableRef | ParentRef] = []
        literal, end = "", 0
        for match in _PART.finditer(self.text):
            literal += self.text[end : match.start()] + (match["escaped"] or "")
            end = match.end()
            if match["escaped"]:
                continue
            parts += [Literal(literal)] if literal else []
            literal = ""
            parts.append(
                VariableRef(match["name"])
                if match["name"]
                else ParentRef(match["before"] or "", match["after"])
            )
        literal += self.text[end:]
        return (*parts, Literal(literal)) if literal else tuple(parts)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names referred to, each once, in order of appearance."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, VariableRef)))

    @property
    def adds(self) -> bool:
        """Whether it adds to the value that the variable has without it."""
        return any(isinstance(part, ParentRef) for part in self.parts)

    def filled(self, variables: Mapping[str, str], parent: str = "") -> str:
        """The value that it comes to. KeyError for a variable that is not among `variables`."""
        texts = []
        for part in self.parts:
            match part:
                case Literal(text):
                    texts.append(text)
                case VariableRef(name):
                    texts.append(variables[name])
                case ParentRef(before, after):
                    texts.append(f"{before}{parent}{after}" if parent else "")
                case _:
                    assert_never(part)
        return "".join(texts)

    def __str__(self) -> str:
        return self.text


# Arguments that every builder knows without a declaration (Dockerfile reference, "Predefined ARGs").
PROXIES: Final = frozenset(
    name
    for base in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (base, base.lower())
)


def build_argument(variable: str) -> str:
    """The build argument that carries the value of an environment variable into the build.

    The text of the Dockerfile names the variable, and only the engine is told its value. A parent image
    that sets a variable of an argument's name would win over the argument (Dockerfile reference, "Using
    ARG variables"), so the name holds part of a digest that no parent's variable has by chance.
    """
    mark = hashlib.sha256(f"stowplan/argument/{variable}".encode()).hexdigest()[:12]
    return f"STOWPLAN_{mark}_{variable}"


class PythonPackageInstaller(StrEnum):
    """The program that installs Python packages in an image."""

    UV = "uv"
    PIP = "pip"


def bare_flags(value: object) -> Any:
    """Frozen, with true standing for a bare flag as None does: TOML has no null."""
    frozen_value = freeze(value)
    if isinstance(frozen_value, FrozenMapping):
        return FrozenMapping({name: None if item is True else item for name, item in frozen_value.items()})
    return frozen_value


def dashed_arguments(value: object) -> Any:
    """Arguments of an installer under their names with dashes, so that layers agree on them."""
    given = bare_flags(value)
    return respelled(given, _dashed) if isinstance(given, FrozenMapping) else given


def single_arguments(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each argument of an installer by itself: a tuple gives its option several times."""
    for name, value in given.items():
        for item in value if isinstance(value, tuple) else (value,):
            yield name, item


def _dashed(name: object) -> Any:
    return name.replace("_", "-") if isinstance(name, str) else name


def respelled(given: Mapping[Any, V], spell: Callable[[Any], Any]) -> FrozenMapping[V]:
    """A mapping with one spelling of each name.

    Of two spellings of one name, neither becomes the other: a check reports them.
    """
    names = {name: spell(name) for name in given}
    count = Counter(names.values())
    return FrozenMapping({
        names[name] if count[names[name]] == 1 else name: item for name, item in given.items()
    })  # fmt: skip
