"""Requirements files: some with all the files they include, read as one source of requirements.

Owns the meaning of pip's "Requirements File Format" from `-r` and `-c` to `--hash`. Refuses to read files:
it is given their texts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from attrs import Factory, define, evolve

from planner.errors import Place, PlannerError, Problem
from planner.immutable import frozen
from planner.requirements.credentials import fault
from planner.requirements.grammar import Line, logical_lines, parse_line
from planner.requirements.model import Option, Requirement, Requirements
from planner.requirements.options import UNSUPPORTED, canonical_options, check_option, unsupported
from planner.requirements.pins import contradictions, unhashed
from planner.requirements.urls import nameless

__all__ = ["File", "included_files", "parse_file", "parse_files"]


@frozen
class File:
    """A file of requirements, by its path from the root, or of constraints; `where` says who names it."""

    path: str
    constrains: bool = False
    where: Place = Place()


def parse_file(file: str, texts: Mapping[str, str]) -> Requirements:
    """Read one requirements file as `parse_files` does."""
    return parse_files([File(file)], texts)


def parse_files(
    files: Iterable[File], texts: Mapping[str, str], packages: Iterable[tuple[Place, Requirement]] = ()
) -> Requirements:
    """Read requirements files and all they include, and `packages` of other places, as one source.

    `texts` maps each path to its text. Paths are relative to the root of the project, as `included_files`
    gives them. Follows pip's "Requirements File Format", except that everything a constraints file includes
    is a constraint. PlannerError holds every problem of every file, with file and line.
    """
    reading = _Reading({posixpath.normpath(path): text for path, text in texts.items()})
    for file in files:
        reading.read(evolve(file, path=posixpath.normpath(file.path)))
    reading.packages += packages
    if any(package.hashes for _, package in reading.packages):
        # pip implies it, uv has to be told.
        reading.options.append(Option("require-hashes"))
    if Option("require-hashes") in reading.options:
        reading.problems += unhashed(reading.packages)
    reading.problems += contradictions(reading.packages)
    if reading.problems:
        raise PlannerError(dict.fromkeys(reading.problems))
    return Requirements.of(
        (package for _, package in reading.packages), reading.constraints, canonical_options(reading.options)
    )


# Facts are asked for in rounds: a chain of files is gone through again for each one that is found.
@lru_cache(maxsize=4096)
def included_files(text: str, *, file: str) -> tuple[str, ...]:
    """The files that the text of `file` includes with `-r` or `-c`, each once, in order.

    Paths are relative to the root of the project, and so is `file`. Passes over lines that `parse_file`
    would refuse.
    """
    paths: dict[str, None] = {}
    for number, raw in logical_lines(text):
        where = Place(file=file, line=number)
        try:
            line = parse_line(raw, where)
            for option in line.options if line else ():
                if option.name in {"requirement", "constraint"}:
                    paths[_included(option, where)] = None
        except PlannerError:
            continue
    return tuple(paths)


@define
class _Reading:
    """What has been read so far of a requirements file and the files it includes."""

    texts: Mapping[str, str]
    packages: list[tuple[Place, Requirement]] = Factory(list)
    constraints: list[Requirement] = Factory(list)
    options: list[Option] = Factory(list)
    problems: list[Problem] = Factory(list)
    _seen: set[tuple[str, bool]] = Factory(set)

    def read(self, root: File) -> None:
        """Read `root`, and each file it includes at the place where it is included, once."""
        if root.path not in self.texts:
            raise fault(
                Place(file=root.path), "the requirements file is missing", "create it, or name another"
            )
        # From the root to the file that is read, each at the line that includes the next one.
        open_files: list[tuple[str, Iterator[File]]] = []
        names: set[str] = set()
        include: File | None = root
        while include or open_files:
            if include is None:
                names.remove(open_files.pop()[0])
            elif include.path in names:
                # pip refuses it, and uv passes over it.
                found, fix = f"{include.path} includes itself", "remove this line, or move what both need"
                self.problems.append(Problem(include.where, found, fix))
            elif (key := (include.path, include.constrains)) not in self._seen:
                self._seen.add(key)
                names.add(include.path)
                open_files.append((include.path, self._take_in(include)))
            include = next(open_files[-1][1], None) if open_files else None

    def _take_in(self, file: File) -> Iterator[File]:
        """Take in a file, line by line; each file that a line includes, before the next line is taken in."""
        for number, raw in logical_lines(self.texts[file.path]):
            where = Place(file=file.path, line=number)
            try:
                line = parse_line(raw, where)
                includes = self._line(line, where, file.constrains) if line else []
            except PlannerError as error:
                self.problems += error.problems
            else:
                yield from includes

    def _line(self, line: Line, where: Place, constrains: bool) -> list[File]:
        """Take in one line; the files it includes."""
        if line.requirement:
            requirement = _requirement(line, where)
            if constrains:
                if not requirement.name:
                    # pip: "Unnamed requirements are not allowed as constraints".
                    raise fault(
                        where, f"a constraint without a name, {requirement.url!r}", "write `name @ URL`"
                    )
                # pip refuses a constraint with extras.
                self.constraints.append(requirement.without_extras())
            else:
                self.packages.append((where, requirement))
            return []
        includes: list[File] = []
        for option in line.options:
            try:
                if option.name in {"requirement", "constraint"}:
                    path = _included(option, where)
                    if path not in self.texts:
                        raise fault(
                            where, f"the included file {path!r} is missing", "create it, or fix the path"
                        )
                    includes.append(File(path, constrains or option.name == "constraint", where))
                elif option.name == "editable":
                    raise nameless(option.value or "", where, editable=True)
                else:
                    check_option(option, where)
                    self.options.append(option)
            except PlannerError as error:
                self.problems += error.problems
        return includes


def _requirement(line: Line, where: Place) -> Requirement:
    """The requirement of a line, and the hashes that follow it; no other option may."""
    requirement = None
    problems: list[Problem] = []
    hashes = [option.value or "" for option in line.options if option.name == "hash"]
    try:
        requirement = Requirement.parse(line.requirement, hashes, where=where)
    except PlannerError as error:
        problems += error.problems
    for option in line.options:
        if option.name in UNSUPPORTED:
            problems.append(unsupported(option, where))
        elif option.name != "hash":
            found = f"--{option.name} after a requirement"
            problems.append(Problem(where, found, "give it a line of its own"))
    if requirement is None or problems:
        raise PlannerError(problems)
    return requirement


def _included(option: Option, where: Place) -> str:
    """The path, relative to the root of the project, that an `-r` or `-c` at `where` names."""
    path = option.value or ""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", path):
        raise fault(where, f"--{option.name} of a URL, {path!r}", "download the file into the project")
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(where.file or ""), path))
    if re.match(r"[/\\]|[A-Za-z]:", path) or resolved == ".." or resolved.startswith("../"):
        raise fault(where, f"--{option.name} of {path!r}, outside of the project", "move the file into it")
    return resolved
