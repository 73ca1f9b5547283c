"""Requirements that a setting lists, each entry a requirement, or the path of a file of them.

Owns what an entry is, and what it may not be: it is no line of a file, and has neither comment nor options
but `-r FILE` and `-c FILE`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from planner.errors import Place, PlannerError, Problem
from planner.immutable import frozen
from planner.requirements.credentials import fault, refuse_unreadable
from planner.requirements.files import File
from planner.requirements.model import Requirement, Requirements
from planner.requirements.options import FLAGS, VALUED
from planner.requirements.pins import contradictions
from planner.requirements.urls import nameless

__all__ = ["Listed", "is_requirement", "parse_entries", "parse_list"]

# As files of requirements are called, and no package is.
_FILE: Final = r"[^\s@;<>=!~\[\]]+\.(?:txt|in)|(?:\S*/)?pylock(?:\.[^\s/.]+)?\.toml"
_INCLUDED: Final = (
    r"(?:-r|--requirement\b)[\s=]*(?P<requirement>.+)|(?:-c|--constraint\b)[\s=]*(?P<constraint>.+)"
)


@frozen
class Listed:
    """What a setting asks for: files, in the order in which they are named, and requirements.

    Places are paths of the setting. `names` are entries that are a name and nothing else, each with its
    place: they may be meant as files.
    """

    files: tuple[File, ...] = ()
    packages: tuple[tuple[Place, Requirement], ...] = ()
    names: tuple[tuple[str, Place], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files or self.packages)


def parse_list(lines: Sequence[str]) -> Requirements:
    """Read a list of requirements that are PEP 508 requirements, or URLs, and nothing else.

    PlannerError holds every problem, at path `(index,)`.
    """
    listed = _parsed(tuple(lines), "")
    problems = [
        Problem(file.where, f"the file {file.path!r} in this list", "write what is in it")
        for file in listed.files
    ]
    if problems:
        raise PlannerError(problems)
    return Requirements.of(requirement for _, requirement in listed.packages)


def parse_entries(given: str | Sequence[str], setting: str) -> Listed:
    """Read what a setting of this name says: a path, or a list of requirements and paths.

    PlannerError holds every problem, at path `(setting, index)`.
    """
    if isinstance(given, str):
        return Listed((File(posixpath.normpath(given), where=Place(path=(setting,))),))
    return _parsed(tuple(given), setting)


def is_requirement(text: str) -> bool:
    """Whether `text` can only be meant as a requirement: it says more than a name, and is no path."""
    if not re.search(r"[=<>~!;@\[]", text):
        return False
    try:
        Requirement.parse(text)
    except PlannerError:
        return False
    return True


# Steps share lists, and planning asks for them in each round.
@lru_cache(maxsize=256)
def _parsed(lines: tuple[str, ...], setting: str) -> Listed:
    files: list[File] = []
    packages: list[tuple[Place, Requirement]] = []
    names: list[tuple[str, Place]] = []
    problems: list[Problem] = []
    for index, text in enumerate(lines):
        where = Place(path=(setting, index) if setting else (index,))
        try:
            entry = _entry(text, where)
        except PlannerError as error:
            problems += error.problems
            continue
        if isinstance(entry, File):
            files.append(entry)
        else:
            packages.append((where, entry))
            if re.fullmatch(r"[\w.-]+", text.strip()):
                names.append((text.strip(), where))
    problems += contradictions(packages)
    if problems:
        raise PlannerError(problems)
    return Listed(tuple(files), tuple(packages), tuple(names))


def _entry(text: str, where: Place) -> Requirement | File:
    refuse_unreadable(text, where)
    text = text.strip()
    if match := re.fullmatch(r"(?:-e|--editable\b)[\s=]*(.*)", text):
        raise nameless(match[1], where, editable=True)
    included = re.fullmatch(_INCLUDED, text)
    if included or re.fullmatch(_FILE, text):
        constrains = bool(included and included["constraint"])
        path = (included["constraint"] or included["requirement"]) if included else text
        return File(_inside(path, where), constrains, where)
    if match := re.search(r"(?:^|\s)--?([A-Za-z][a-z-]*)", text):
        raise fault(where, f"the option {match[0].strip()} in a list", _instead(match[1]))
    if match := re.search(r"(?:^|\s)([#-])", text):
        raise fault(where, f"{match[1]!r} before a word in {text!r}", "write a requirement and nothing else")
    return Requirement.parse(text, where=where)


def _instead(option: str) -> str:
    file = "write a requirements file to use options"
    if option in (FLAGS | VALUED) - {"hash", "constraint", "editable", "requirement", "require-hashes"}:
        value = "true" if option in FLAGS else '"…"'
        return f"{file}, or python_package_installer_args = {{ {option} = {value} }}"
    return file


def _inside(path: str, where: Place) -> str:
    """The path from the root of the project. PlannerError if it is none."""
    path = path.strip()
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", path):
        raise fault(where, f"the file {path!r} behind a URL", "download it into the project")
    resolved = posixpath.normpath(path)
    if re.match(r"[/\\~]|[A-Za-z]:", path) or resolved == ".." or resolved.startswith("../"):
        raise fault(where, f"the file {path!r} outside of the project", "move it into the project")
    return resolved
