"""What a Dockerfile builds and copies from: its own stages, and images.

Owns the names: a stage is known in lower case to what stands below it, COPY may give its number, and what is
no stage is an image. Which statements a stage has is part of it: ONBUILD of a stage is carried out where
another builds on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from attrs import evolve, field

from planner.dockerfiles.model import Dockerfile, Stage, Statement
from planner.dockerfiles.mounts import fields
from planner.dockerfiles.scope import Globals
from planner.dockerfiles.source import Source, Token, directives, head
from planner.dockerfiles.words import Unknown, expand
from planner.errors import PlannerError, Problem, did_you_mean
from planner.immutable import frozen
from planner.values import ImageRef

__all__ = ["BUILD_PLATFORM", "NamedImage", "Origin", "Origins"]

BUILD_PLATFORM: Final = "build"
"""Stands for the platform of the machine that builds."""
_SCRATCH: Final = "scratch"
_IMAGE: Final = "dockerfile-image"
_STAGE: Final = "dockerfile-stage"
_VARIABLE: Final = "dockerfile-variable"
_PLATFORM: Final = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9.]+)?")
_ORDER: Final = "take from a stage that stands above it"
_OF_MACHINE: Final = ("$BUILDPLATFORM", "${BUILDPLATFORM}")


@frozen
class NamedImage:
    """An image that a Dockerfile names, for a platform: None for that of the image that is built.

    `BUILD_PLATFORM` is that of the machine.
    """

    reference: ImageRef
    platform: str | None = None


@frozen
class Origin:
    """A place that names an image or a stage: FROM, `--from` of COPY, `from=` of a mount, `# syntax=`.

    Where it names the empty image, it has neither.
    """

    keyword: str
    written: str
    image: NamedImage | None = None
    stage: int | None = None
    line: int = 0
    offsets: tuple[int, ...] = field(default=(), repr=False)
    """Where in the text each of its characters stands."""


class Origins:
    """The origins of a Dockerfile, found stage by stage. `problems` has what is wrong with those needed."""

    def __init__(self, dockerfile: Dockerfile, variables: Globals, platform: str) -> None:
        self._dockerfile = dockerfile
        self._variables = variables
        self._platform = platform
        self._source = Source(dockerfile.text, dockerfile.escape)
        self._names = {stage.name: stage for stage in dockerfile.stages if stage.name}
        self._bases: dict[int, Origin | None] = {}
        self._found: dict[int, tuple[Origin, ...]] = {}
        self.problems: list[Problem] = []
        self.syntax = self._kept(self._syntax)

    @property
    def found(self) -> tuple[Origin, ...]:
        """The origins that what is needed has, in their order."""
        found = (origin for index in sorted(self._found) for origin in self._found[index])
        return tuple(dict.fromkeys((*([self.syntax] if self.syntax else []), *found)))

    def needed(self, target: Stage) -> list[Stage]:
        """The stages that a target needs, itself last. A stage takes from those above it alone."""
        needed = {target.index}
        for stage in reversed(self._dockerfile.stages[: target.index + 1]):
            if stage.index in needed:
                base = self.base(stage)
                origins = [base] if base else []
                for statement in self.statements(stage):
                    origins += self._of_statement(stage, statement)
                self._found[stage.index] = tuple(origins)
                needed |= {origin.stage for origin in origins if origin.stage is not None}
        return [self._dockerfile.stages[index] for index in sorted(needed)]

    def base(self, stage: Stage) -> Origin | None:
        """What a stage is built on; None if that cannot be said."""
        if stage.index not in self._bases:
            self._bases[stage.index] = self._kept(partial(self._base, stage))
        return self._bases[stage.index]

    def statements(self, stage: Stage) -> Iterator[Statement]:
        """What is carried out in a stage: first what the stage that it is built on left to it."""
        base = self.base(stage)
        if base is not None and base.stage is not None:
            for each in self._dockerfile.stages[base.stage].statements:
                if each.trigger is not None:
                    yield each.trigger
        yield from stage.statements

    def _kept(self, find: Callable[[], Origin | None]) -> Origin | None:
        """What is found; None where something is wrong, which is kept."""
        try:
            return find()
        except PlannerError as error:
            self.problems += error.problems
            return None

    def _syntax(self) -> Origin | None:
        written = self._dockerfile.syntax
        if written is None:
            return None
        found, _ = directives(self._dockerfile.text, self._dockerfile.path)
        offsets = tuple(range(found.syntax_offset, found.syntax_offset + len(written)))
        line = found.syntax_line or 1
        origin = Origin("# syntax", written, line=line, offsets=offsets)
        return self._image(origin, written, BUILD_PLATFORM, f"# syntax={written}")

    def _base(self, stage: Stage) -> Origin:
        line = stage.line
        platform = self._platform_of(stage)
        name = expand(stage.base, self._variables.lookup, self._dockerfile.escape)
        if isinstance(name, Unknown):
            raise self._refused(line, f"FROM {stage.base}: {name.found}", name.fix, _VARIABLE)
        if not name:
            fix = "give its ARG above the first FROM a default, or set the build argument"
            raise self._refused(line, f"FROM {stage.base}, which is empty", fix, _VARIABLE)
        joined = self._source.join(line)
        at = head(joined.text, self._dockerfile.escape).rest
        offsets = tuple(joined.offsets[at : at + len(stage.base)])
        origin = Origin("FROM", stage.base, line=line, offsets=offsets)
        if name == _SCRATCH:
            return origin
        other = self._names.get(name.lower())
        if other is None:
            return self._image(origin, name, platform, f"FROM {stage.base}")
        if other.index >= stage.index:
            raise self._refused(line, f"FROM {name}: {_below(other, stage)}", _ORDER, _STAGE)
        if name != other.name:
            fix = f"write {other.name}: FROM knows stages in lower case alone"
            raise self._refused(line, f"FROM {name}", fix, _STAGE)
        return evolve(origin, stage=other.index)

    def _platform_of(self, stage: Stage) -> str | None:
        """The platform that FROM asks for."""
        written = stage.platform
        if written is None:
            return None
        found = expand(written, self._variables.lookup, self._dockerfile.escape)
        flag = f"FROM --platform={written}"
        if isinstance(found, Unknown):
            raise self._refused(stage.line, f"{flag}: {found.found}", found.fix, _VARIABLE)
        if not _PLATFORM.fullmatch(found):
            what = f", which is {found or 'empty'}" if found != written else ""
            fix = "write a platform as linux/amd64 or linux/arm64, or $BUILDPLATFORM or $TARGETPLATFORM"
            raise self._refused(stage.line, flag + what, fix, _VARIABLE)
        if written in _OF_MACHINE and "BUILDPLATFORM" not in self._variables.given:
            return BUILD_PLATFORM
        return None if found == self._platform else found

    def _of_statement(self, stage: Stage, statement: Statement) -> Iterator[Origin]:
        """The origins of a statement besides FROM."""
        name = {"COPY": "--from=", "RUN": "--mount="}.get(statement.keyword)
        if name is None or not any(flag.startswith(name) for flag in statement.flags):
            return
        for value in self._source.flags(statement.line, statement.column, name):
            for each in [value] if name == "--from=" else _origins_of_mount(value):
                find = partial(self._named, stage, statement, each.text, tuple(each.places))
                if origin := self._kept(find):
                    yield origin

    def _named(self, stage: Stage, statement: Statement, name: str, offsets: tuple[int, ...]) -> Origin:
        """What COPY or a mount names."""
        line, copies = statement.line, statement.keyword == "COPY"
        shown = f"COPY --from={name}" if copies else f"RUN --mount with from={name}"
        if "$" in name:
            fix = "variables have no meaning there: add a stage above, FROM it, and take it from that stage"
            raise self._refused(line, shown, fix, _VARIABLE)
        origin = Origin(statement.keyword, name, line=line, offsets=offsets)
        if name.lower() == _SCRATCH:
            return origin
        other = self._names.get(name.lower())
        if name.isdecimal():
            if not copies:
                raise self._refused(line, shown, "give the stage a name, and write that", _STAGE)
            stages = self._dockerfile.stages
            other = stages[int(name)] if len(name) < 9 and int(name) < len(stages) else None
            if other is None:
                fix = f"stages count from 0 to {len(stages) - 1}"
                raise self._refused(line, f"{shown}: there is no such stage", fix, _STAGE)
        if other is None:
            return self._image(origin, name, None, shown)
        if other.index >= stage.index:
            raise self._refused(line, f"{shown}: {_below(other, stage)}", _ORDER, _STAGE)
        return evolve(origin, stage=other.index)

    def _image(self, origin: Origin, name: str, platform: str | None, shown: str) -> Origin:
        try:
            reference = ImageRef.parse(name)
        except ValueError as error:
            fix = did_you_mean(name, self._names, "name an image, or a stage that stands above")
            raise self._refused(origin.line, f"{shown}: {error}", fix, _IMAGE) from None
        return evolve(origin, image=NamedImage(reference, platform))

    def _refused(self, line: int, found: str, fix: str, code: str) -> PlannerError:
        return PlannerError([Problem.in_file(self._dockerfile.path, line, found, fix, code=code)])


def _below(other: Stage, stage: Stage) -> str:
    if other.index == stage.index:
        return f"{other.label} is this stage itself"
    return f"{other.label} begins on line {other.line}, after it is used"


def _origins_of_mount(value: Token) -> Iterator[Token]:
    """The names of stages or images in a mount, with their places in the statement."""
    for each in fields(value.text):
        if each.key == "from" and each.value is not None and each.value.text:
            yield Token(each.value.text, [value.places[place] for place in each.value.places])
