"""The options of a requirements file: which there are, what they may say, and in which order they count.

Owns the names and values of pip's "Supported options" (https://pip.pypa.io/en/stable/reference/
requirements-file-format/) and the arguments of an installer that they become. Refuses options that mean
nothing in an image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from attrs import evolve
from packaging.utils import canonicalize_name

from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.mask import HOST_PORT
from planner.requirements.credentials import fault, refuse_unreadable
from planner.requirements.model import Option

__all__ = [
    "FLAGS",
    "UNSUPPORTED",
    "VALUED",
    "canonical_options",
    "check_option",
    "installer_arguments",
    "parse_option",
    "unsupported",
]

FLAGS = frozenset({"no-index", "pre", "prefer-binary", "require-hashes"})
VALUED = frozenset(
    {"constraint", "editable", "extra-index-url", "find-links", "hash", "index-url", "no-binary"}
    | {"only-binary", "requirement", "trusted-host"}
)
_VALUED_ALONE = VALUED - {"constraint", "editable", "hash", "requirement"}
# pip knows these too; they are recognised in order to be refused by name.
UNSUPPORTED = frozenset({"config-settings", "global-option", "use-feature"})

_FORMATS = ("no-binary", "only-binary")
_FORMAT = r":all:|:none:|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_INDEX_URL = rf"(?i:https?://{HOST_PORT}(?:[/?#]\S*)?)"


def parse_option(text: str) -> Option:
    """Read an option as `str` writes one, which may stand on a line of its own.

    PlannerError says what is wrong with it, without a place.
    """
    where = Place()
    refuse_unreadable(text, where)
    word, equals, value = text.partition("=")
    option = Option(word.removeprefix("--"), value if equals else None)
    if not word.startswith("--") or option.name not in (_VALUED_ALONE if equals else FLAGS):
        names = (f"--{name}" for name in FLAGS | _VALUED_ALONE)
        raise fault(where, f"the unknown option {text!r}", did_you_mean(word, names))
    check_option(option, where)
    return option


def unsupported(option: Option, where: Place) -> Problem:
    """The problem of an option that pip knows and stowplan does not."""
    return Problem(where, f"--{option.name} is not supported", "remove it")


def check_option(option: Option, where: Place) -> None:
    """PlannerError unless `option` may stand on a line of its own, with this value."""
    name, value = option.name, option.value or ""
    if name in UNSUPPORTED:
        raise PlannerError([unsupported(option, where)])
    if name == "hash":
        raise fault(where, "--hash without a requirement", "put it on the line of its requirement")
    if name in {"index-url", "extra-index-url", "find-links"} and not re.fullmatch(_INDEX_URL, value):
        local = not re.match(r"(?!file:)[a-z][a-z0-9+.-]+:", value, re.IGNORECASE)
        fix = "a local path does not exist in the image; write an http(s) URL"
        raise fault(where, f"--{name} of {value!r}", fix if local else "write an http(s) URL")
    if name == "trusted-host" and not re.fullmatch(HOST_PORT, value):
        raise fault(where, f"--{name} of {value!r}", "write host or host:port")
    if name in _FORMATS and not all(re.fullmatch(_FORMAT, part) for part in value.split(",")):
        raise fault(where, f"--{name} of {value!r}", "write :all:, :none:, or package names with commas")


def canonical_options(given: Sequence[Option]) -> tuple[Option, ...]:
    """The options in one order: by name, and as given where order means something."""
    unordered = {option for option in given if option.name in FLAGS or option.name == "trusted-host"}
    ordered = [option for option in given if option.name in {"extra-index-url", "find-links"}]
    index = [option for option in given if option.name == "index-url"][-1:]
    options = dict.fromkeys([*sorted(unordered), *ordered, *index, *_format_options(given)])
    # Without an index it does not matter which one.
    unused = {"index-url", "extra-index-url"} if Option("no-index") in options else set()
    return tuple(sorted((o for o in options if o.name not in unused), key=lambda option: option.name))


def _format_options(given: Sequence[Option]) -> tuple[Option, ...]:
    """What a sequence of --no-binary and --only-binary comes to: in pip the last word on a package wins.

    Source: pip's `FormatControl.handle_mutual_excludes`.
    """
    chosen: dict[str, set[str]] = {name: set() for name in _FORMATS}
    for option in given:
        if option.name not in chosen:
            continue
        target = chosen[option.name]
        (other,) = (names for name, names in chosen.items() if name != option.name)
        parts = (option.value or "").split(",")
        if ":all:" in parts:
            other.clear()
            target.clear()
            target.add(":all:")
            del parts[: len(parts) - parts[::-1].index(":all:")]
            if ":none:" not in parts:
                continue
        for part in parts:
            if part == ":none:":
                target.clear()
            else:
                other.discard(canonicalize_name(part))
                target.add(canonicalize_name(part))
    return tuple(
        Option(name, ":all:" if ":all:" in names else ",".join(sorted(names)))
        for name, names in chosen.items()
        if names
    )


# Names that differ, from `uv pip install --help` (uv 0.13). A name of None has no equivalent: uv chooses
# a version before it looks at wheels, and passes over --prefer-binary in a requirements file.
_UV_NAMES: Mapping[str, str | None] = {
    "extra-index-url": "index",
    "index-url": "default-index",
    "prefer-binary": None,
    "trusted-host": "allow-insecure-host",
}


def installer_arguments(options: tuple[Option, ...], installer: Literal["uv", "pip"]) -> tuple[str, ...]:
    """The options as arguments of `uv pip install` or `pip install`, one word each."""
    # An :all: undoes what the other option said before it, so it comes first.
    options = tuple(sorted(options, key=lambda option: option.value != ":all:"))
    if installer == "pip":
        return tuple(str(option) for option in options)
    arguments: list[str] = []
    for option in options:
        if option.name == "pre":
            arguments.append("--prerelease=allow")
        elif option.name in {"no-binary", "only-binary"}:
            # pip takes a list with commas; uv documents the option once for each package.
            arguments += [f"--{option.name}={value}" for value in (option.value or "").split(",")]
        elif name := _UV_NAMES.get(option.name, option.name):
            arguments.append(str(evolve(option, name=name)))
    return tuple(arguments)
