"""Programs that list packages: which commands there are, and the reading of what they print.

A command is a value. `{directory}`, `{copy}`, `{output}` and `{python}` in it stand for what only the machine
knows: a directory of the project, one with copies of the files in it that Poetry reads, a file that is read
in place of what is printed, and the Python that the user works in. Refuses to run any.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from attrs import evolve

from planner.errors import Place, PlannerError, Problem
from planner.immutable import frozen
from planner.logins import typed
from planner.requirements.files import parse_file
from planner.requirements.grammar import logical_lines
from planner.requirements.model import Requirements

__all__ = ["Listing", "export_commands", "freeze_commands", "read_listing"]

Commands = tuple[tuple[str, ...], ...]

# Without a lock Poetry writes one first, not into the project, and prints that it does.
_POETRY: Final = (
    *("poetry", "export", "--format=requirements.txt", "--without-hashes"),
    *("--directory={copy}", "--output={output}"),
)
_OUTPUT: Final = "output"
_UV_EXPORT: Final = (
    "uv", "export", "--locked", "--format=requirements.txt", "--no-dev", "--no-emit-project", "--no-hashes",
    "--no-annotate",
)  # fmt: skip
_UV_COMPILE: Final = ("uv", "pip", "compile", "pyproject.toml", "--universal", "--no-annotate")
_UV_FREEZE: Final = ("uv", "pip", "freeze", "--python={python}")
# A line that is of this machine alone: editable, a file, or a directory.
_LOCAL: Final = re.compile(
    r"(?:-e|--editable)[\s=]|[^#]*@\s*(?:git\+)?file:|(?:\.{0,2}/|file:)", re.IGNORECASE
)
# What pip writes above a line `-e PATH`, which does not say the name itself.
_EDITABLE: Final = re.compile(r"# Editable .*\((?P<name>[\w.-]+)==")


@frozen
class Listing:
    """What a program listed: requirements, and the names of packages of this machine that are left out."""

    requirements: Requirements
    left_out: tuple[str, ...] = ()


def export_commands(
    *, uv_locked: bool, poetry_locked: bool, extras: Sequence[str] = (), groups: Sequence[str] = ()
) -> Commands:
    """The commands that export what a pyproject.toml asks for, the first choice first.

    A lock beside it is honoured: only its own tool is asked, which fails if the lock is stale. Without one
    uv resolves, and writes nothing.
    """
    chosen = [*(f"--extra={name}" for name in extras), *(f"--group={name}" for name in groups)]
    of_poetry = [*(f"--extras={name}" for name in extras), *(f"--with={name}" for name in groups)]
    poetry = (*_POETRY, *of_poetry)
    if uv_locked:
        return ((*_UV_EXPORT, *chosen, "--directory={directory}"),)
    if poetry_locked:
        return (poetry,)
    return (*_UV_COMPILE, *chosen, "--directory={directory}"), poetry


def freeze_commands(method: bool | str | Sequence[str]) -> Commands:
    """The commands that list what the user's Python has installed, the first choice first.

    `method` is true, or `pip_freeze`, `uv_freeze`, `poetry_export`, or a command.
    """
    match method:
        case "uv_freeze":
            return (_UV_FREEZE,)
        case "poetry_export":
            return (_POETRY,)
        case True | "pip_freeze":
            # An environment that uv made has no pip of its own.
            return ("{python}", "-m", "pip", "--disable-pip-version-check", "freeze"), _UV_FREEZE
        case _:
            return (tuple(method) if isinstance(method, list | tuple) else (),)


def read_listing(text: str, command: str, *, setting: str, skip_local: bool = False) -> Listing:
    """What a command printed, in the format of requirements files, without hashes: of the setting's source.

    Packages that are editable, local or files are left out with `skip_local`, and else are one problem that
    names them all. PlannerError holds everything else that is wrong, at the setting, with the printed line.
    """
    kept: list[str] = []
    local: dict[str, None] = {}
    comment = ""
    for _, line in logical_lines(text):
        stripped = line.strip()
        if _LOCAL.match(stripped):
            local[_name(stripped, comment)] = None
        else:
            kept.append(line)
        comment = stripped if stripped.startswith("#") else ""
    if local and not skip_local:
        names = ", ".join(local)
        count = f"{len(local)} package{'s are' if len(local) > 1 else ' is'} of this machine alone"
        fix = (
            "set skip_local_packages = true to leave them out, and install them with "
            "local_project_install_command or publish them"
        )
        raise PlannerError([Problem.at(setting, f"{count}: {names}", fix)])
    # Hashes are left out: docs/decisions/0013-programs-are-asked-when-locking.md
    plain = [re.sub(r"\s--hash[=\s]\S+|^\s*--require-hashes\s*$", "", line) for line in kept]
    try:
        read = parse_file(_OUTPUT, {_OUTPUT: "\n".join(plain)})
    except PlannerError as error:
        where = f"output of `{command}`"
        raise PlannerError(
            Problem(
                Place(path=(setting,)), f"{where}, line {problem.where.line}: {problem.found}", problem.fix
            )
            for problem in error.problems
        ) from None
    # A line of the output is nowhere to be seen.
    packages, constraints = (
        tuple(evolve(each, where=Place()) for each in part) for part in (read.packages, read.constraints)
    )
    return Listing(evolve(read, packages=packages, constraints=constraints), tuple(local))


def _name(line: str, comment: str) -> str:
    """What to call a local package: its name where the line or the comment above it says one."""
    if named := re.match(r"(?P<name>[\w.-]+)\s*@", line):
        return named["name"]
    if egg := re.search(r"[#&]egg=(?P<name>[\w.-]+)", line):
        return egg["name"]
    if above := _EDITABLE.match(comment):
        return above["name"]
    return typed(re.sub(r"^(?:-e|--editable)[\s=]+", "", line))
