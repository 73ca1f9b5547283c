"""The lines of a requirements file as pip reads them: continuations, comments, options.

Owns the syntax of pip's "Requirements File Format" (https://pip.pypa.io/en/stable/reference/
requirements-file-format/). Refuses to know what a requirement or an option means.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.immutable import frozen
from planner.requirements.credentials import fault, refuse_controls, refuse_unreadable
from planner.requirements.model import Option
from planner.requirements.options import FLAGS, UNSUPPORTED, VALUED

__all__ = ["Line", "logical_lines", "parse_line"]


@frozen
class Line:
    """One logical line: a requirement (or the empty string), then its options."""

    requirement: str
    options: tuple[Option, ...] = ()


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
    refuse_controls(text, where)
    refuse_unreadable(content, where)
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
                found = f"text after --{options[-1].name} that is not an option"
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
