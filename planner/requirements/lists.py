"""Requirements that a setting lists, each entry a requirement and nothing else.

Owns what an entry may not be: it is no line of a file, and has neither comment nor options.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from planner.errors import Place, PlannerError, Problem
from planner.requirements.credentials import fault, refuse_unreadable
from planner.requirements.model import Requirement, Requirements
from planner.requirements.pins import contradictions
from planner.requirements.urls import nameless

__all__ = ["parse_list"]


def parse_list(lines: Sequence[str]) -> Requirements:
    """Read the requirements that a setting lists, each a PEP 508 requirement and nothing else.

    PlannerError holds every problem, at path `(index,)`.
    """
    return _parsed(tuple(lines))


# Steps share lists, and planning asks for them in each round.
@lru_cache(maxsize=256)
def _parsed(lines: tuple[str, ...]) -> Requirements:
    packages: list[tuple[Place, Requirement]] = []
    problems: list[Problem] = []
    for index, text in enumerate(lines):
        where = Place(path=(index,))
        try:
            packages.append((where, _entry(text, where)))
        except PlannerError as error:
            problems += error.problems
    problems += contradictions(packages)
    if problems:
        raise PlannerError(problems)
    return Requirements.of(requirement for _, requirement in packages)


def _entry(text: str, where: Place) -> Requirement:
    refuse_unreadable(text, where)
    text = text.strip()
    if match := re.fullmatch(r"(?:-e|--editable\b)[\s=]*(.*)", text):
        raise nameless(match[1], where, editable=True)
    if match := re.search(r"(?:^|\s)(--?[A-Za-z][a-z-]*)", text):
        raise fault(where, f"the option {match[1]} in a list", "write a requirements file to use options")
    if match := re.search(r"(?:^|\s)([#-])", text):
        raise fault(where, f"{match[1]!r} before a word in {text!r}", "write a requirement and nothing else")
    return Requirement.parse(text, where=where)
