"""The lines of a requirements file as pip reads them: continuations, comments, options.

Owns the syntax of pip's "Requirements File Format" (https://pip.pypa.io/en/stable/reference/
requirements-file-format/), the options it has, and the masking of credentials. Refuses to know what a
requirement means, to expand a variable, and to let a credential reach a value or an error.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from attrs import evolve, field, frozen
from packaging.utils import canonicalize_name

from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.identity import COUNTED

__all__ = [
    "HOST_PORT",
    "UNSUPPORTED",
    "Line",
    "Option",
    "canonical_options",
    "check_option",
    "fault",
    "installer_arguments",
    "logical_lines",
    "masked",
    "parse_line",
    "refuse_unreadable",
    "unsupported",
]


@frozen(order=True)
class Option:
    """An option of a requirements file under its long name without the dashes; a flag has no value."""

    name: str = field(metadata=COUNTED)
    value: str | None = field(default=None, metadata=COUNTED)

    def __str__(self) -> str:
        return f"--{self.name}" + ("" if self.value is None else f"={self.value}")


@frozen
class Line:
    """One logical line: a requirement (or the empty string), then its options."""

    requirement: str
    options: tuple[Option, ...] = ()


FLAGS = frozenset({"no-index", "pre", "prefer-binary", "require-hashes"})
VALUED = frozenset(
    {"constraint", "editable", "extra-index-url", "find-links", "hash", "index-url", "no-binary"}
    | {"only-binary", "requirement", "trusted-host"}
)
# pip knows these too; they are recognised in order to be refused by name.
UNSUPPORTED = frozenset({"config-settings", "global-option", "use-feature"})
_SHORT = {
    "-C": "config-settings",
    "-c": "constraint",
    "-e": "editable",
    "-f": "find-links",
    "-i": "index-url",
    "-r": "requirement",
}
_ALIASES = {"config-setting": "config-settings", "pypi-url": "index-url"}
_KNOWN = tuple(f"--{name}" for name in sorted(FLAGS | VALUED))

_LINE_END = re.compile(r"\r\n|\r|\n")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.DOTALL)
_OPTIONS_START = re.compile(r"(?:^|(?<=[ \t]))-")
# str.splitlines, and so pip, breaks lines at some of these: what is a comment to one reader would be a
# requirement to the other.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_VARIABLE = re.compile(r"\$\{\w*\}")

_FORMATS = ("no-binary", "only-binary")
_FORMAT = re.compile(r":all:|:none:|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
HOST_PORT = r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
_INDEX_URL = re.compile(rf"https?://{HOST_PORT}(?:[/?#]\S*)?", re.IGNORECASE)
_CLEAN = rf"(?:git@)?{HOST_PORT}(?:/|$|[?#'`\s][^@]*$)"
_WITH_USER = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]{0,20})://(?P<user>[^/?#\s]*)@(?P<host>[^/?#\s]*)")
# Each is wider than a URL on purpose: what is shown may lose a path, and must not show a password.
_MASKS = (
    (re.compile(rf"//(?!{_CLEAN}).*@", re.DOTALL), "//***@"),
    (re.compile(rf"//(?!{_CLEAN}|\*\*\*@|/).*", re.DOTALL), "//***"),
    # Only the URL of a version control system has an @ in its path: the revision.
    (re.compile(r"(?<!\+http:)(?<!\+https:)(?<!\+ssh:)(?<!\+git:)//\S*@"), "//***@"),
    (re.compile(r"[^\s:/@'\"]*:(?!//|[0-9]+/)\S*@"), "***@"),
)


def masked(text: str) -> str:
    """`text` fit to be shown: whatever may be a user or a password before an `@` is `***`."""
    if len(text) > 1000:
        text = re.split(r"[:/@]", text[:100], maxsplit=1)[0] + "…"
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


def fault(where: Place, found: str, fix: str) -> PlannerError:
    """One problem as an error, with credentials masked."""
    return PlannerError([Problem(where, masked(found), fix)])


def refuse_unreadable(text: str, where: Place) -> None:
    """PlannerError if `text` holds a control character, a `${VARIABLE}` or a URL with credentials."""
    if control := _CONTROL.search(text):
        raise fault(where, f"the control character {control[0]!r}", "remove it")
    if variable := _VARIABLE.search(text):
        raise fault(
            where,
            f"the variable {variable[0]}",
            "variables in requirements files are not supported; set UV_INDEX (or PIP_EXTRA_INDEX_URL for "
            "pip) with ${VAR} in `environment` instead",
        )
    for match in _WITH_USER.finditer(text):
        # `git+ssh://git@host` names an account, not a secret: ssh keeps its keys elsewhere.
        if not (match["scheme"].lower().endswith("ssh") and re.fullmatch(r"[\w.-]+", match["user"])):
            raise fault(
                where,
                f"credentials in the URL {match['scheme']}://***@{match['host']}",
                "remove them; set UV_INDEX (or PIP_EXTRA_INDEX_URL for pip) with ${VAR} in `environment` "
                "to install from a private index",
            )


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of `text` with continuations joined, each with the number (from 1) of its first line.

    As in pip, comments are cut off only after lines are joined, and a comment line ends a continuation.
    """
    start, joined = 0, ""
    for number, physical in enumerate(_LINE_END.split(text.removeprefix("\ufeff")), start=1):
        start = start or number
        comment = physical.lstrip().startswith("#")
        if physical.endswith("\\") and not comment:
            joined += physical.removesuffix("\\")
            continue
        # The space keeps a comment a comment when it is glued to the line before it.
        yield start, joined + (" " if comment else "") + physical
        start, joined = 0, ""
    if joined:
        yield start, joined


def parse_line(text: str, where: Place) -> Line | None:
    """Cut one logical line into its requirement and its options; None for a blank line or a comment.

    Like pip, takes everything from the first word that starts with a dash for options.
    PlannerError holds every problem of the line.
    """
    content = _COMMENT.sub("", text).strip()
    refuse_unreadable(content if _CONTROL.search(text) is None else text, where)
    if not content:
        return None
    dash = _OPTIONS_START.search(content)
    if dash is None:
        return Line(content)
    try:
        words = shlex.split(content[dash.start() :])
    except ValueError:
        words = None
    if words is None:
        raise fault(where, f"a quote that does not end in {content!r}", "close it")
    return Line(content[: dash.start()].strip(), _options(words, where))


def _options(words: list[str], where: Place) -> tuple[Option, ...]:
    """The options that `words` spell, long or short, with `=`, a space or nothing before the value."""
    options: list[Option] = []
    problems: list[Problem] = []
    rest = iter(words)
    known = True
    for word in rest:
        spelling, equals, text = word.partition("=")
        name = _ALIASES.get(spelling[2:], spelling[2:])
        value = text if equals else None
        if not word.startswith("--"):
            spelling = word[:2]
            name, value = _SHORT.get(spelling, ""), word[2:] or None
        if not word.startswith("-"):
            # The word is not shown: it may be half of a URL with a password.
            if known:
                found = f"text after --{options[-1].name} that is no option"
                problems.append(Problem(where, found, "give it a line of its own"))
            continue
        known = name in FLAGS | VALUED | UNSUPPORTED
        if not known:
            unknown = (re.match(r"-*[\w-]*", spelling) or [""])[0][:40]
            problems.append(Problem(where, f"the unknown option {unknown}", did_you_mean(unknown, _KNOWN)))
        elif name in FLAGS and value is not None:
            problems.append(Problem(where, f"{spelling} with a value", "it takes none"))
            options.append(Option(name))
        elif name in FLAGS:
            options.append(Option(name))
        else:
            value = next(rest, "") if value is None else value
            if not value or value.startswith("-"):
                problems.append(Problem(where, f"{spelling} without a value", "write one after it"))
            options.append(Option(name, value))
    if problems:
        raise PlannerError(problems)
    return tuple(options)


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
    if name in {"index-url", "extra-index-url", "find-links"} and not _INDEX_URL.fullmatch(value):
        local = not re.match(r"(?!file:)[a-z][a-z0-9+.-]+:", value, re.IGNORECASE)
        fix = "a local path does not exist in the image; write an http(s) URL"
        raise fault(where, f"--{name} of {value!r}", fix if local else "write an http(s) URL")
    if name == "trusted-host" and not re.fullmatch(HOST_PORT, value):
        raise fault(where, f"--{name} of {value!r}", "write host or host:port")
    if name in _FORMATS and not all(_FORMAT.fullmatch(part) for part in value.split(",")):
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
