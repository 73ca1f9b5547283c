"""Environment markers (PEP 508) as values that have one spelling.

Owns that spelling: it goes into hashes and locks, so it may not depend on the version of `packaging`,
whose own has changed between releases. `packaging` says what a marker is; it keeps its tree of one
private, so the few lines of grammar stand here once more. Refuses to evaluate one for this machine.
"""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache
from typing import Final, Literal

from attrs import field
from packaging import markers as pep508
from packaging.markers import InvalidMarker
from packaging.utils import canonicalize_name

from planner.identity import COUNTED
from planner.immutable import frozen

__all__ = ["InvalidMarker", "Marker", "refuse_nested"]

# PEP 508, "Environment Markers". The `extras` and `dependency_groups` of PEP 751 are for lock files alone:
# no installer can evaluate them in a requirement, and not every `packaging` knows them.
_VARIABLES: Final = frozenset(
    {"extra", "implementation_name", "implementation_version", "os_name", "platform_machine"}
    | {"platform_python_implementation", "platform_release", "platform_system", "platform_version"}
    | {"python_full_version", "python_version", "sys_platform"}
)
# Spellings of PEP 345 and of setuptools, which `packaging` reads as well.
_ALIASES: Final = {
    "os.name": "os_name",
    "platform.machine": "platform_machine",
    "platform.python_implementation": "platform_python_implementation",
    "platform.version": "platform_version",
    "python_implementation": "platform_python_implementation",
    "sys.platform": "sys_platform",
}
_TOKEN: Final = re.compile(
    r"""[ \t]*(?:
        (?P<string> '[^']*' | "[^"]*" )
        | (?P<operator> ===? | [~!<>]= | [<>] | \b in \b | \b not [ \t]+ in \b )
        | (?P<word> [a-z][a-z_.]* )
        | (?P<parenthesis> [()] )
    )[ \t]*""",
    re.VERBOSE,
)


@frozen
class _Part:
    """A piece of a marker, and the loosest word that joins it: what decides about parentheses."""

    text: str
    loosest: Literal["", "and", "or"] = ""


_Tokens = deque[tuple[str, str]]


def _spelling(text: str) -> str:
    """The one spelling of the marker that `text` is."""
    return _spelled(text)


# What no marker needs. `packaging` has a limit of its own in some versions, and other words for it.
_NESTED: Final = re.compile(r"(?:\([^()]*+){100}")


def refuse_nested(text: str) -> None:
    """InvalidMarker for parentheses in parentheses, a hundred times."""
    if _NESTED.search(text):
        raise InvalidMarker("Something shorter")


# A file that was exported has few markers, many times each.
@lru_cache(maxsize=1024)
def _spelled(text: str) -> str:
    if "\\" in text:
        # PEP 508 knows no escapes. `packaging` reads those of Python, of whatever Python it runs on.
        raise InvalidMarker("No backslash")
    refuse_nested(text)
    try:
        pep508.Marker(text)
        return _either(_tokens(text)).text
    except RecursionError:
        raise InvalidMarker("Something shorter") from None


def _tokens(text: str) -> _Tokens:
    """The words of a marker that `packaging` has read, each with its kind."""
    tokens: _Tokens = deque()
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise InvalidMarker(f"Expected a marker, found {text[at:]!r}")
        kind = match.lastgroup or ""
        tokens.append((kind, match[kind]))
        at = match.end()
    return tokens


def _either(tokens: _Tokens) -> _Part:
    parts = [_both(tokens)]
    while tokens and tokens[0] == ("word", "or"):
        tokens.popleft()
        parts.append(_both(tokens))
    return parts[0] if len(parts) == 1 else _Part(" or ".join(part.text for part in parts), "or")


def _both(tokens: _Tokens) -> _Part:
    parts = [_atom(tokens)]
    while tokens and tokens[0] == ("word", "and"):
        tokens.popleft()
        parts.append(_atom(tokens))
    if len(parts) == 1:
        return parts[0]
    return _Part(
        " and ".join(f"({part.text})" if part.loosest == "or" else part.text for part in parts), "and"
    )


def _atom(tokens: _Tokens) -> _Part:
    if tokens[0] == ("parenthesis", "("):
        tokens.popleft()
        inner = _either(tokens)
        tokens.popleft()
        return inner
    left, (_, operator), right = _operand(tokens), tokens.popleft(), _operand(tokens)
    if left == "extra":
        right = _extra(right)
    elif right == "extra":
        left = _extra(left)
    return _Part(f"{left} {' '.join(operator.split())} {right}")


def _operand(tokens: _Tokens) -> str:
    """A variable by its name of PEP 508, or a string in quotes."""
    kind, text = tokens.popleft()
    if kind == "string":
        return _quoted(text[1:-1])
    name = _ALIASES.get(text, text)
    if name not in _VARIABLES:
        raise InvalidMarker("Expected a marker variable or quoted string")
    return name


def _extra(operand: str) -> str:
    """What `extra` is compared with: the name of an extra, unless it is another variable."""
    return _quoted(canonicalize_name(operand[1:-1])) if operand[0] in "\"'" else operand


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'


@frozen(order=True)
class Marker:
    """When a requirement counts: `python_version < "3.12" and sys_platform == "linux"`.

    However it was written, `text` has the names of PEP 508 for variables, double quotes unless the string
    holds one, single spaces, the parentheses that are needed, and extras as PEP 685 normalises them.
    InvalidMarker, which is a ValueError, says what was expected instead.
    """

    # The spelling is the meaning, so it counts whole.
    text: str = field(converter=_spelling, metadata=COUNTED)

    def __str__(self) -> str:
        return self.text

    def holds(self, python: str, platform: str) -> bool:
        """Whether it holds for CPython of a version on a platform of uv, such as `x86_64-manylinux_2_28`.

        The kernel is not known, nor is an extra. What cannot be compared does not hold.
        """
        release = ".".join((*python.split("."), "0")[:3])
        environment = {
            "extra": "",
            "implementation_name": "cpython",
            "implementation_version": release,
            "os_name": "posix",
            "platform_machine": platform.partition("-")[0],
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": release,
            "python_version": ".".join(release.split(".")[:2]),
            "sys_platform": "linux",
        }
        try:
            # Each variable is given: nothing is taken from the Python that plans.
            return pep508.Marker(self.text).evaluate(environment)
        except pep508.UndefinedComparison:
            return False
