"""The text of a Dockerfile → `Dockerfile`, with every problem and its line.

The parser is that of BuildKit, in Go, as the package `dockerfile` brings it to Python. It takes unknown
instructions, and a FROM without an image: what it takes and no builder would is refused here. Refuses to look
at files: whether what is copied exists, `reach` and whoever has the context say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, Final

from attrs import evolve

from planner.dockerfiles.checks import statement_faults
from planner.dockerfiles.model import Dockerfile, Heredoc, Stage, Statement
from planner.dockerfiles.source import Joined, Source, directives
from planner.errors import Place, PlannerError, Problem
from planner.files.ignore import SPACES

__all__ = ["parsed", "read"]

_LONGEST: Final = 1024 * 1024
_LONGEST_LINE: Final = 64 * 1024 - 1  # bytes that fit the buffer of Go's bufio.Scanner
_CODE: Final = "dockerfile-syntax"
_STAGE: Final = "dockerfile-stage"
# Lines that are tried as the end of a heredoc, where something is wrong in the file.
_ENDS: Final = 100
_UNREADABLE: Final = re.compile("[\0\ud800-\udfff]")
_NOTHING: Final = "a line that continues on none"
_TRAILING: Final = "text after a JSON array"
_ENDLESS: Final = "unterminated heredoc"
_FIXES: Final = {
    _ENDLESS: ("a heredoc that does not end", "end it with its word on a line of its own"),
    "must have two arguments": (None, "write NAME=value"),
    "can't find =": (None, "write NAME=value, with quotes around a value with spaces"),
    _NOTHING: (None, "remove it"),
    _TRAILING: (None, "write the array alone, or a command without one"),
    "comprised of strings only": ("a JSON array of other things than strings", "write strings only"),
}


def read(text: str, path: str) -> Dockerfile:
    """What a Dockerfile says; `path` names it in errors.

    PlannerError with everything that is wrong with it by itself. Which stages, images and files it reaches,
    and what is wrong there, depends on build arguments and the target: `reach.reached` says so.
    """
    _refuse_unreadable(text, path)
    found, problems = directives(text, path)
    source = Source(text, found.escape)
    # The parser is told the escape: which other directives may stand before it depends on its version.
    body = "\n" * found.lines + "\n".join(text.split("\n")[found.lines :]) if found.lines else text
    statements, faults = _read(source, body, path)
    first = next((at for at, each in enumerate(statements) if each.keyword == "FROM"), len(statements))
    problems += (*faults, *_misplaced(statements[:first], path))
    for each in statements:
        for what, fix, code in statement_faults(each):
            problems += (Problem.in_file(path, each.line, what, fix, code=code),)
    if first == len(statements) and not problems:
        problems += (_without_image(path, "no FROM in it"),)
    stages = tuple(_stages(statements[first:]))
    problems += tuple(_twins(stages, path))
    if problems:
        raise PlannerError(sorted(problems, key=lambda problem: problem.where.line or 0))
    return Dockerfile(
        path,
        text,
        stages,
        statements[:first],
        syntax=found.syntax,
        syntax_line=found.syntax_line,
        escape=found.escape,
    )


def parsed(text: str, escape: str = "\\") -> tuple[Statement, ...]:
    """The statements of a text without parser directives. ValueError has the words of BuildKit's parser.

    An empty line before a part of a text keeps what is at its start from being a byte order mark.
    """
    return _statements(Source(text, escape), _parse(text, escape))


def _refuse_unreadable(text: str, path: str) -> None:
    """PlannerError for what the parser would not take, or would stop at."""
    line: int | None = None
    if len(text) > _LONGEST:
        found, fix = f"more than {_LONGEST} characters", "no Dockerfile is as long: name another file"
    elif at := _UNREADABLE.search(text):
        line = text.count("\n", 0, at.start()) + 1
        found, fix = "a character that is not text", "save the file as UTF-8, without NUL characters"
    else:
        lengths = (len(each.encode()) for each in text.split("\n"))
        line = next((at for at, length in enumerate(lengths, start=1) if length > _LONGEST_LINE), None)
        if line is None:
            return
        found, fix = f"a line of more than {_LONGEST_LINE} bytes", "break it: builders fail on it"
    raise PlannerError([Problem.in_file(path, line, found, fix, code=_CODE)])


def _parse(text: str, escape: str) -> list[Any]:
    """The commands of a text, as BuildKit's parser gives them. ValueError has its words, without a line."""
    try:
        # Only what has a Dockerfile of its own needs it, and not every platform has it.
        import dockerfile  # noqa: PLC0415
    except ImportError:
        found = "Dockerfiles are read with the Python package `dockerfile`, which is not installed"
        fix = (
            "install it beside stowplan with `pip install dockerfile`; where there is no wheel for the "
            "platform, that needs Go and a C compiler"
        )
        raise PlannerError([Problem(Place(), found, fix, "dockerfile-parser")]) from None
    if escape == "\\":
        return list(dockerfile.parse_string(text))
    commands = dockerfile.parse_string(f"# escape={escape}\n{text}")
    return [each._replace(start_line=each.start_line - 1, end_line=each.end_line - 1) for each in commands]


def _statements(source: Source, commands: Iterable[Any]) -> tuple[Statement, ...]:
    return tuple(_statement(source, each) for each in commands)


def _statement(source: Source, command: Any) -> Statement:
    joined = source.join(command.start_line)
    if command.original is None:
        raise ValueError(_NOTHING)
    if joined.text != command.original.partition("\n")[0]:
        raise ValueError(f"line {command.start_line} is read in two ways")
    # Newer parsers take it for a command, older ones for an array with nothing after it.
    if command.json and not joined.text.rstrip().endswith("]"):
        raise ValueError(_TRAILING)
    made = Statement(
        command.cmd.upper(),
        command.value,
        command.flags,
        json=command.json,
        heredocs=tuple(Heredoc(each.name, each.content) for each in command.heredocs),
        line=command.start_line,
        last_line=command.end_line,
    )
    if made.keyword != "ONBUILD" or not command.sub_cmd:
        return made
    if command.sub_cmd.upper() == "ONBUILD":
        return evolve(made, trigger=Statement("ONBUILD"))
    # Of what follows ONBUILD the parser drops flags and heredocs.
    rest = joined.text[len("ONBUILD") :].lstrip(SPACES)
    body = "".join(f"{line}\n" for line in source.lines[joined.last_line : made.last_line])
    (trigger,) = parsed(f"\n{rest}\n{body}", source.escape)
    column = len(joined.text) - len(rest)
    trigger = evolve(trigger, line=made.line, last_line=made.last_line, column=column)
    return evolve(made, words=(), trigger=trigger)


def _read(source: Source, body: str, path: str) -> tuple[tuple[Statement, ...], list[Problem]]:
    """All statements. Where the parser fails: those that it takes alone, and what it says of others."""
    try:
        return _statements(source, _parse(body, source.escape)), []
    except ValueError as error:
        if isinstance(error, PlannerError):
            raise
        whole = str(error)
    statements: list[Statement] = []
    problems: list[Problem] = []
    line = 1
    while line <= len(source.lines):
        joined = source.join(line)
        end = joined.last_line
        if joined.text or joined.last_line > line or source.lines[line - 1].strip() == source.escape:
            try:
                each, end = _alone(source, line, joined)
                statements.append(each)
            except ValueError as error:
                problems.append(_problem(path, line, str(error)))
                if _ENDLESS in str(error):
                    break
        line = end + 1
    if not statements and not problems:
        problems.append(_without_image(path, "no instructions in it"))
    if not problems:
        problems.append(_problem(path, None, whole))
    return tuple(statements), problems


def _without_image(path: str, found: str) -> Problem:
    return Problem.in_file(path, None, found, "begin with FROM and an image", code=_CODE)


def _alone(source: Source, line: int, joined: Joined) -> tuple[Statement, int]:
    """The statement that begins in a line, parsed by itself, and the line that it ends in."""
    ends = [joined.last_line]
    if "<<" in joined.text:
        # Whatever ends a heredoc stands in the statement, too.
        below = enumerate(source.lines[joined.last_line :], start=joined.last_line + 1)
        words = (number for number, text in below if text and text.lstrip("\t") in joined.text)
        ends += islice(words, _ENDS)
    for last in ends:
        try:
            (made,) = parsed("\n".join(["", *source.lines[line - 1 : last]]), source.escape)
        except ValueError as error:
            if _ENDLESS not in str(error) or last == ends[-1]:
                raise
        else:
            return evolve(made, line=line, last_line=last), last
    raise AssertionError(ends)


def _problem(path: str, line: int | None, words: str) -> Problem:
    """A problem out of what the parser says."""
    for part, (found, fix) in _FIXES.items():
        if part in words:
            return Problem.in_file(path, line, found or words, fix, code=_CODE)
    return Problem.in_file(path, line, f"not a Dockerfile: {words}", "correct it", code=_CODE)


def _misplaced(statements: Iterable[Statement], path: str) -> Iterator[Problem]:
    """What stands before the first FROM and may not."""
    for each in statements:
        if each.keyword != "ARG":
            found, fix = (
                f"{each.keyword} before the first FROM",
                "begin with FROM; only ARG may stand before it",
            )
            yield Problem.in_file(path, each.line, found, fix, code=_CODE)


def _stages(statements: Sequence[Statement]) -> Iterator[Stage]:
    begins = [at for at, each in enumerate(statements) if each.keyword == "FROM"]
    for index, (begin, end) in enumerate(pairwise([*begins, len(statements)])):
        start, *rest = statements[begin:end]
        base, *named = start.words or ("",)
        name = named[-1].lower() if named else None
        yield Stage(index, base, name, start.flag("platform"), start=start, statements=tuple(rest))


def _twins(stages: Iterable[Stage], path: str) -> Iterator[Problem]:
    """Stages of one name: builders do not agree which of them is meant."""
    first: dict[str, Stage] = {}
    for stage in stages:
        if stage.name and (other := first.setdefault(stage.name, stage)) is not stage:
            found = f"a second stage with the name {stage.name}, which line {other.line} has"
            yield Problem.in_file(path, stage.line, found, "give it another name", code=_STAGE)
