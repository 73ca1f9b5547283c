"""What a user should know of the values that settings give to variables of an image.

Refuses to show a value: it is a setting, and may be what nobody should see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from planner.credentials import looks_like_credential
from planner.errors import Problem
from planner.image.plan import Note
from planner.settings.effective import Settings
from planner.values import EnvTemplate, Literal

__all__ = ["variable_notes"]

# Variables that say where things are on a machine, or who works there: another machine's are of no use.
_OF_MACHINE: Final = frozenset(
    {"CONDA_PREFIX", "CUDA_HOME", "CUDA_PATH", "DISPLAY", "DYLD_LIBRARY_PATH", "EDITOR", "HOME", "HOSTNAME"}
    | {"JAVA_HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LD_PRELOAD", "LIBRARY_PATH", "LOGNAME", "MANPATH"}
    | {"OLDPWD", "PATH", "PKG_CONFIG_PATH", "PWD", "PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "SHELL"}
    | {"TEMP", "TERM", "TMP", "TMPDIR", "USER", "VIRTUAL_ENV"}
)
_KIND_OF_MACHINE: Final = re.compile(r"LC_[A-Z]+|XDG_[A-Z_]+")
# What a shell would replace. In lower case it is the text of a password as often.
_LIKE_IN_A_SHELL: Final = re.compile(r"\$(\{?)([A-Z_][A-Z0-9_]+)(?![A-Za-z0-9_])")
# Where the programs of the usual parent images are, Python and the shell among them.
_PROGRAMS: Final = frozenset({"/usr/local/bin", "/usr/bin"})


def variable_notes(settings: Settings) -> Iterator[Note]:
    """The notes about the variables of an image, each with its setting."""
    for setting, values in (
        ("environment", settings.environment),
        ("runtime_environment", settings.runtime_environment),
    ):
        for name, value in values.items():
            for code, text in _remarks(name, value):
                where = settings.placed(Problem.at((setting, name), "", "")).where
                yield Note(code, f"{setting}.{name}", text, where)


def _remarks(name: str, value: EnvTemplate) -> Iterator[tuple[str, str]]:
    """What there is to say of one value: a code and words."""
    # What looks like a credential is not shown, and no part of it.
    secret = looks_like_credential(name, value)
    literals = [part.text for part in value.parts if isinstance(part, Literal) and not secret]
    shown = dict.fromkeys(match.groups() for text in literals for match in _LIKE_IN_A_SHELL.finditer(text))
    for brace, other in shown:
        kept = f"${{{other}…" if brace else f"${other}"
        if other == name:
            fix = f"write {{parent}} for the {name} of the parent image"
        else:
            fix = f"${{{other}}} would take the {other} of the machine that plans"
        yield "kept-as-text", f"{kept} is kept as text: {fix}"
    for other in value.variables:
        if other in _OF_MACHINE or _KIND_OF_MACHINE.fullmatch(other):
            fix = "; write {parent} for that of the parent image" if other == name else ""
            yield "machine-variable", f"${{{other}}} takes the {other} of the machine that plans{fix}"
    written = frozenset(":".join(literals).split(":"))
    if name == "PATH" and not (value.adds or value.variables or shown or written >= _PROGRAMS):
        text = "this replaces the PATH of the parent image: write {parent} where its directories belong"
        yield "path-replaced", text
