"""Requirements that come to nothing: who asks for what, where, and why that cannot be; options likewise.

Owns what is said of uv's reasons. Refuses to look for a way out: uv has done that.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final, TypeAlias

from packaging.utils import canonicalize_name

from planner.errors import Place, Problem
from planner.requirements.model import Requirement
from planner.requirements.names import OWN, SETTING_OF
from planner.requirements.resolution import Inputs, named_in

__all__ = ["impossible", "refused"]

# What uv says of a package that no index has, or no directory of wheels.
_MISSING: Final = re.compile(r"(\S+) was not found in the (?:package registry|provided package locations)")
# What uv says where one cause is enough.
_PLAIN: Final = re.compile(
    r"Because (.*) and you require \S+, we can conclude that your requirements are unsatisfiable"
)

_Lines: TypeAlias = list[tuple[str, Requirement]]
"""What sources ask for, by their names."""


def impossible(inputs: Inputs, reason: str) -> Problem:
    """The problem of requirements that come to nothing.

    `reason` is uv's, which names the packages that stand in each other's way. The problem is where the last
    of their requirements is: those before it are less often the user's own.
    """
    if match := _MISSING.search(reason):
        return _missing(inputs, canonicalize_name(match[1]), reason)
    lines = _naming(inputs, named_in(reason))
    where = _place(inputs, lines)
    sources = list(dict.fromkeys(name for name, _ in lines)) or [name for name, _ in inputs.sources]
    fix = "change one of these requirements"
    if not lines:
        found = f"{' and '.join(sources)} cannot be resolved: {reason}"
    elif len(lines) == 1:
        plain = _PLAIN.fullmatch(reason)
        why = f": {plain[1]}" if plain else f". {reason}"
        found, fix = f"{_asked(lines, where)}, which cannot be installed{why}", "change the requirement"
    else:
        found = f"{' and '.join(sources)} cannot be resolved together: {_asked(lines, where)}. {reason}"
    if not inputs.prevail and (own := [name for name in sources if name in OWN]) and own != sources:
        fix += f", or set prefer_own_requirements = true to have those of {' and '.join(own)} win"
    if inputs.exclude_newer is not None:
        fix += f", or see with --exclude-newer whether what is newer than {inputs.exclude_newer} will do"
    return Problem(where, found, fix, "contradiction")


def _missing(inputs: Inputs, name: str, reason: str) -> Problem:
    """The problem of a package that is nowhere: who asks for it, else for what depends on it."""
    lines = _naming(inputs, {name})
    fix = "correct the name, or add an index that has it to package_indexes"
    more = ""
    if not lines:
        lines = _naming(inputs, named_in(reason))
        fix = "add an index that has it to package_indexes, or change what depends on it"
        more = f". {reason}"
    where = _place(inputs, lines)
    asked = f"{', and' if more else ':'} {_asked(lines, where)}" if lines else ""
    return Problem(where, f"no package index has {name}{asked}{more}", fix, "unknown-package")


def refused(inputs: Inputs, reason: str) -> Problem:
    """The problem of an option that uv does not take, at the setting that gives it."""
    named = re.search(r"'--([a-z-]+)", reason)
    option = named[1] if named else ""
    variable = f"UV_{option.upper().replace('-', '_')}"
    path: tuple[str, ...] = ("python_package_installer_args",)
    if option in inputs.arguments:
        path = (*path, option)
    elif variable in inputs.variables:
        path = ("environment", variable)
    return Problem.at(path, f"uv does not take it: {reason}", "see `uv pip compile --help`")


def _naming(inputs: Inputs, names: Container[str]) -> _Lines:
    """What sources ask for of some packages; that they ask for one at all, only where nobody says more."""
    lines = [
        (source, each)
        for source, asked in inputs.sources
        for each in (*asked.packages, *asked.constraints)
        if each.name in names
    ]
    limited = {each.name for _, each in lines if each.clauses or each.url}
    return [(source, each) for source, each in lines if each.clauses or each.url or each.name not in limited]


def _asked(lines: _Lines, where: Place) -> str:
    """Who asks for what, in words, and where that is not `where` the problem is, nor in settings."""
    texts = []
    for source, each in lines:
        elsewhere = each.where != where and (each.where.file or each.where.path[:1] == ("stack",))
        texts.append(f"{source} needs {each.text}{f' at {each.where}' if elsewhere else ''}")
    return "; ".join(texts)


def _place(inputs: Inputs, lines: _Lines) -> Place:
    """Where the last of the lines is, else the setting of its source."""
    source = lines[-1][0] if lines else inputs.sources[-1][0]
    known = lines and lines[-1][1].where != Place()
    return lines[-1][1].where if known else Place(path=(SETTING_OF[source],))
