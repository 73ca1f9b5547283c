"""What the value of a build option may be, and the one form in which equal values are equal.

Owns the shapes: for each, its name in the reference, the check, and the canonical form. Refuses what
only one machine could explain: paths of files and devices, names of networks and containers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from planner.errors import Problem
from planner.immutable import frozen
from planner.settings.checks import Check, Schema, boolean, kind_of, list_of, matching, one_of, saying

__all__ = [
    "ADDRESSES", "CAPABILITIES", "CPUS", "FLAG", "HOSTS", "LIMITS", "Shape", "choice", "size", "whole",
    "words", "written",
]  # fmt: skip


@frozen
class Shape:
    """What a value is called in the reference, the check of its canonical form, and what makes it that.

    `also` are schemas of what is read as the canonical form.
    """

    name: str
    check: Check
    read: Callable[[Any], Any] = lambda value: value
    also: tuple[Schema, ...] = ()

    @property
    def schema(self) -> Schema:
        """The JSON Schema of a value as it is written."""
        return {"anyOf": [self.check.schema, *self.also]} if self.also else self.check.schema


# The largest number that every builder reads.
_MOST: Final = 2**62


def _flag(value: Any) -> Any:
    """A bare flag, and 1 and 0, which are equal to true and false but are not the same text."""
    return True if value is None else bool(value) if type(value) is int and value in (0, 1) else value


def _bytes(value: Any) -> Any:
    """The bytes that `1g` and the like stand for; anything else as it is."""
    if value == "-1":
        return -1
    found = re.fullmatch(r"([0-9]{1,18})([bkmg]?)b?", value.lower()) if isinstance(value, str) else None
    return int(found[1]) << 10 * "bkmg".index(found[2] or "b") if found else value


def _number(least: int, most: int = _MOST, *, also: int | None = None) -> Check:
    """A whole number from `least` to `most`, or the one `also`."""
    schema = {"type": "integer", "minimum": least, "maximum": most}

    @saying(schema if also is None else {"anyOf": [schema, {"const": also}]})
    def check(value: object) -> Iterator[Problem]:
        if isinstance(value, bool) or not isinstance(value, int):
            found = repr(value) if isinstance(value, str) else kind_of(value)
            yield Problem.at((), f"not a whole number: {found}", f"give a number from {least}")
        elif value != also and not least <= value <= most:
            within = f"give a number from {least}" + (f" to {most}" if most < _MOST else "")
            yield Problem.at((), f"out of range: {value}", within)

    return check


def _digits(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value) else value


def _items(value: Any) -> Any:
    """One text is a list of one."""
    return (value,) if isinstance(value, str) else value


def _each(change: Callable[[str], str] = str, key: Callable[[str], str] | None = str) -> Callable[[Any], Any]:
    """Reads a list: each item changed, doubles gone, sorted where `key` says that their order is nothing."""

    def read(value: Any) -> Any:
        items = _items(value)
        if not isinstance(items, tuple) or not all(isinstance(item, str) for item in items):
            return items
        changed = tuple(dict.fromkeys(change(item) for item in items))
        return tuple(sorted(changed, key=key)) if key else changed

    return read


def _pairs(joint: str, change: Callable[[str], str], key: Callable[[str], str]) -> Callable[[Any], Any]:
    """Reads a table as the list of what it says."""

    def read(value: Any) -> Any:
        if isinstance(value, Mapping):
            value = tuple(f"{name}{joint}{item}" for name, item in value.items())
        return _each(change, key)(value)

    return read


def _once(check: Check) -> Check:
    """A list of `name=value` that says one thing of each name."""

    @saying(check.schema)
    def check_items(value: object) -> Iterator[Problem]:
        problems = tuple(check(value))
        yield from problems
        if not problems and isinstance(value, tuple):
            names = Counter(item.partition("=")[0] for item in value)
            for name in sorted(name for name, count in names.items() if count > 1):
                yield Problem.at((), f"{name} is given twice", "keep one of the values")

    return check_items


def _host(value: str) -> str:
    """`name:address`, also of `name=address` and of an address in brackets."""
    found = re.fullmatch(r"([^:=]+)[:=](?:\[(.*)\]|(.*))", value)
    return f"{found[1]}:{found[2] or found[3]}" if found else value


def _host_name(value: str) -> str:
    return value.partition(":")[0]


def _limit(value: str) -> str:
    """`name=soft:hard`: one number stands for both."""
    return re.sub(r"=(-?[0-9]+)$", r"=\1:\1", value)


def _capability(value: str) -> str:
    name = value.upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


_ADDRESS: Final = r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)"
_HOST: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
# getrlimit(2), as docker's units and buildah name them.
_ULIMIT: Final = (
    r"(?:core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|sigpending|stack)"
    r"=(?:-1|[0-9]+):(?:-1|[0-9]+)"
)
# capabilities(7).
_CAPABILITIES: Final = (
    "ALL", *(f"CAP_{name}" for name in (
        "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE",
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER",
        "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN",
        "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP",
        "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE",
        "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG",
        "WAKE_ALARM",
    )),
)  # fmt: skip

_TEXT: Final[Schema] = {"type": "string"}
# As one text, and as a list whose items have other spellings.
_TEXTS: Final[tuple[Schema, ...]] = (_TEXT, {"type": "array", "items": _TEXT})

FLAG: Final = Shape("boolean", boolean, _flag, ({"enum": [0, 1, None]},))
HOSTS: Final = Shape(
    "table, or list of `name:address`",
    list_of(matching(rf"{_HOST}:{_ADDRESS}", "a host and its address", "registry.example:10.0.0.1")),
    _pairs(":", _host, _host_name),
    (*_TEXTS, {"type": "object", "additionalProperties": _TEXT}),
)
LIMITS: Final = Shape(
    "table, or list of `name=soft:hard`",
    _once(list_of(matching(_ULIMIT, "a limit", "nofile=1024:2048"))),
    _pairs("=", _limit, str),
    (*_TEXTS, {"type": "object", "additionalProperties": {"type": ["string", "integer"]}}),
)
CAPABILITIES: Final = Shape("list of strings", list_of(one_of(*_CAPABILITIES)), _each(_capability), _TEXTS)
CPUS: Final = Shape(
    "string",
    matching(r"[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*", "a set of numbers", "0-3,5"),
    lambda value: str(value) if type(value) is int else value,
    ({"type": "integer", "minimum": 0},),
)
# The first one that answers is taken: their order means something.
ADDRESSES: Final = Shape(
    "list of strings", list_of(matching(_ADDRESS, "an address", "10.0.0.1")), _each(key=None), (_TEXT,)
)


def choice(*known: str) -> Shape:
    """One of these texts."""
    return Shape("string", one_of(*known))


def whole(least: int, most: int = _MOST) -> Shape:
    """A whole number, which may be written as text."""
    return Shape("number", _number(least, most), _digits, ({"type": "string", "pattern": "^[0-9]{1,18}$"},))


_SIZE: Final[Schema] = {"type": "string", "pattern": "^(-1|[0-9]{1,18}[bkmgBKMG]?[bB]?)$"}


def size(least: int, *, also: int | None = None) -> Shape:
    """A number of bytes, or a text with a unit; `also` is one that means something else."""
    return Shape("bytes, or string with `b`, `k`, `m` or `g`", _number(least, also=also), _bytes, (_SIZE,))


def words(pattern: str, what: str, example: str, *, ordered: bool = False) -> Shape:
    """A list of texts, or one."""
    return Shape(
        "list of strings",
        list_of(matching(pattern, what, example)),
        _each(key=None if ordered else str),
        (_TEXT,),
    )


def written(pattern: str, what: str, example: str) -> Shape:
    """A text that matches a pattern."""
    return Shape("string", matching(pattern, what, example))
