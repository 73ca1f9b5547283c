"""The options of a requirements file: which there are, what they may say, and in which order they count.

Owns the names and values of pip's "Supported options" (https://pip.pypa.io/en/stable/reference/
requirements-file-format/) and the arguments of an installer that they become. Refuses options that mean
nothing in an image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from attrs import evolve
from packaging.utils import canonicalize_name

from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.logins import HOST_PORT
from planner.requirements.addresses import INDEX_NAME, INDEX_URL
from planner.requirements.credentials import fault, refuse_unreadable
from planner.requirements.model import Option, Requirements
from planner.settings.secrets import SECRET_NAME
from planner.values import EnvTemplate, PythonPackageInstaller, single_arguments

__all__ = [
    "FLAGS",
    "PACKAGE_INDEX",
    "UNSUPPORTED",
    "VALUED",
    "beside",
    "canonical_options",
    "check_option",
    "installer_arguments",
    "joined",
    "parse_option",
    "resolving",
    "resolving_variables",
    "unsupported",
    "uv_arguments",
]

FLAGS = frozenset({"no-index", "pre", "prefer-binary", "require-hashes"})
VALUED = frozenset(
    {"all-releases", "constraint", "editable", "extra-index-url", "find-links", "hash", "index-url"}
    | {"no-binary", "only-binary", "only-final", "requirement", "trusted-host"}
)
_VALUED_ALONE = VALUED - {"constraint", "editable", "hash", "requirement"}
# An index with a name. It comes from settings or a pyproject.toml, and no requirements file has it.
PACKAGE_INDEX: Final = "package-index"
# pip knows these too; they are recognised in order to be refused by name.
UNSUPPORTED = frozenset({"config-settings", "global-option", "no-require-hashes", "use-feature"})

# Options that name packages. Of each pair, the last word on a package wins.
_PAIRS = (("no-binary", "only-binary"), ("all-releases", "only-final"))
_FORMATS = frozenset(name for pair in _PAIRS for name in pair)
_FORMAT = r":all:|:none:|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
# What else an option says of an index with a name.
_PATTERN: Final = r"[a-z0-9*](?:[a-z0-9*-]*[a-z0-9*])?"
_INDEX_WORDS: Final = rf"(?: packages={_PATTERN}(?:,{_PATTERN})*)?(?: secret={SECRET_NAME})?"


def parse_option(text: str) -> Option:
    """Read an option as `str` writes one, which may stand on a line of its own.

    PlannerError says what is wrong with it, without a place.
    """
    where = Place()
    refuse_unreadable(text, where)
    word, equals, value = text.partition("=")
    option = Option(word.removeprefix("--"), value if equals else None)
    if not word.startswith("--") or option.name not in (_VALUED_ALONE | {PACKAGE_INDEX} if equals else FLAGS):
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
    if name in {"index-url", "extra-index-url", "find-links"} and not re.fullmatch(INDEX_URL, value):
        local = not re.match(r"(?!file:)[a-z][a-z0-9+.-]+:", value, re.IGNORECASE)
        fix = "a local path does not exist in the image; write an http(s) URL"
        raise fault(where, f"--{name} of {value!r}", fix if local else "write an http(s) URL")
    if name == PACKAGE_INDEX and not re.fullmatch(rf"{INDEX_NAME}={INDEX_URL}{_INDEX_WORDS}", value):
        raise fault(where, f"--{name} of {value!r}", "write name=URL, with an http(s) URL")
    if name == "trusted-host" and not re.fullmatch(HOST_PORT, value):
        raise fault(where, f"--{name} of {value!r}", "write host or host:port")
    if name in _FORMATS and not all(re.fullmatch(_FORMAT, part) for part in value.split(",")):
        raise fault(where, f"--{name} of {value!r}", "write :all:, :none:, or package names with commas")


def canonical_options(given: Sequence[Option]) -> tuple[Option, ...]:
    """The options in one order: by name, and as given where order means something."""
    flags = FLAGS - {"pre"}
    unordered = {option for option in given if option.name in flags or option.name == "trusted-host"}
    ordered = [option for option in given if option.name in {"extra-index-url", "find-links"}]
    index = [option for option in given if option.name == "index-url"][-1:]
    single = [option for option in given if option.name == PACKAGE_INDEX]
    options = dict.fromkeys([*sorted(unordered), *ordered, *index, *single, *_package_options(given)])
    # Without an index it does not matter which one.
    unused = {"index-url", "extra-index-url"} if Option("no-index") in options else set()
    return tuple(sorted((o for o in options if o.name not in unused), key=lambda option: option.name))


def joined(parts: Sequence[Requirements]) -> Requirements:
    """Several requirements as one source. Hash checking is all or nothing: it stays if all parts want it."""
    options = [option for part in parts for option in part.options]
    packages = [package for part in parts for package in part.packages]
    hashed = Option("require-hashes")
    if not all(hashed in part.options for part in parts):
        options = [option for option in options if option != hashed]
        packages = [evolve(package, hashes=()) for package in packages]
    constraints = [constraint for part in parts for constraint in part.constraints]
    return Requirements.of(packages, constraints, canonical_options(options))


def _package_options(given: Sequence[Option]) -> tuple[Option, ...]:
    """What sequences of --no-binary and --only-binary, --all-releases and --only-final come to.

    Source: pip's `FormatControl` and `ReleaseControl`, whose `handle_mutual_excludes` are alike.
    """
    chosen: dict[str, set[str]] = {name: set() for name in _FORMATS}
    others = {name: other for pair in _PAIRS for name, other in (pair, pair[::-1])}
    for option in given:
        if option.name == "pre":
            chosen["all-releases"].add(":all:")
        elif option.name in chosen:
            _choose(option.value or "", chosen[option.name], chosen[others[option.name]])
    options = [
        Option(name, ":all:" if ":all:" in names else ",".join(sorted(names)))
        for name, names in sorted(chosen.items())
        if names
    ]
    if ":all:" in chosen["all-releases"] and not chosen["only-final"]:
        # Every pip knows --pre, and pip 26 takes it for the same; but not beside the other two.
        options[options.index(Option("all-releases", ":all:"))] = Option("pre")
    return tuple(options)


def _choose(value: str, target: set[str], other: set[str]) -> None:
    """Take in one option that names packages."""
    parts = value.split(",")
    if ":all:" in parts:
        other.clear()
        target.clear()
        target.add(":all:")
        del parts[: len(parts) - parts[::-1].index(":all:")]
        if ":none:" not in parts:
            return
    for part in parts:
        if part == ":none:":
            target.clear()
        else:
            other.discard(canonicalize_name(part))
            target.add(canonicalize_name(part))


# Names that differ, from `uv pip install --help` (uv 0.13). A name of None has no equivalent: uv chooses
# a version before it looks at wheels, and passes over --prefer-binary in a requirements file.
_UV_NAMES: Mapping[str, str | None] = {
    "extra-index-url": "index",
    "index-url": "default-index",
    "prefer-binary": None,
    "trusted-host": "allow-insecure-host",
}


# Options of the installers that say where packages are and which may be taken.
_RESOLVING: Final = frozenset(
    {"allow-insecure-host", "default-index", "exclude-newer", "exclude-newer-package", "extra-index-url"}
    | {"find-links", "fork-strategy", "index", "index-strategy", "index-url", "keyring-provider", "no-binary"}
    | {"no-build", "no-deps", "no-index", "only-binary", "pre", "prefer-binary", "prerelease"}
    | {"prerelease-package", "resolution", "torch-backend", "trusted-host"}
)


def resolving(arguments: Mapping[str, object]) -> Mapping[str, object]:
    """Those arguments of an installer, in their only spelling, that a resolution depends on."""
    return {name: value for name, value in arguments.items() if name in _RESOLVING}


def resolving_variables(
    installer: PythonPackageInstaller, variables: Mapping[str, EnvTemplate]
) -> Mapping[str, str]:
    """Those variables of an image, as templates, in which an installer looks for the same."""
    return {name: value.text for name, value in variables.items() if name.startswith(f"{installer.name}_")}


# Options that an installer takes once → the arguments that say the same.
_ONCE: Final[Mapping[str, frozenset[str]]] = {
    "index-url": frozenset({"default-index", "index-url"}),
    "no-index": frozenset({"no-index"}),
    "pre": frozenset({"pre", "prerelease"}),
}


def beside(options: Sequence[Option], arguments: Mapping[str, object]) -> tuple[Option, ...]:
    """The options of sources without those that the arguments of an installer say: those win."""
    return tuple(option for option in options if not _ONCE.get(option.name, frozenset()) & arguments.keys())


def uv_arguments(arguments: Mapping[str, object]) -> tuple[str, ...]:
    """Options of an installer, which may be pip, as arguments of uv; None is a bare flag."""
    words: list[str] = []
    for name, item in single_arguments(arguments):
        if name == "pre":
            words.append("--prerelease=allow")
        elif spelled := _UV_NAMES.get(name, name):
            words.append(f"--{spelled}" if item is None else f"--{spelled}={item}")
    return tuple(words)


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
        elif option.name in _UV_RELEASES:
            arguments += _uv_releases(option)
        elif option.name in _FORMATS:
            # pip takes a list with commas; uv documents the option once for each package.
            arguments += [f"--{option.name}={value}" for value in (option.value or "").split(",")]
        elif name := _UV_NAMES.get(option.name, option.name):
            arguments.append(str(evolve(option, name=name)))
    return tuple(arguments)


_UV_RELEASES: Mapping[str, str] = {"all-releases": "allow", "only-final": "disallow"}


def _uv_releases(option: Option) -> list[str]:
    """What uv calls --all-releases and --only-final: a mode, for all packages or for some."""
    mode = _UV_RELEASES[option.name]
    names = (option.value or "").split(",")
    return [
        f"--prerelease={mode}" if name == ":all:" else f"--prerelease-package={name}={mode}" for name in names
    ]
