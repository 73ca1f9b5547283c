"""Programs of the user's machine that list packages: run without a shell, in a directory of the project.

Owns which Python the user works in, and which uv is run. Refuses stowplan's own Python where stowplan was
installed as a tool: nothing that a project needs is in there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import evolve

from executor import limits
from executor.errors import ExecutorError
from executor.logins import login_variables
from executor.process import Command, run
from executor.reading import NotRead
from executor.resolve.program import uv_program
from executor.state import scratch_directory
from planner.facts.answers import Printed
from planner.facts.needs import ProgramOutput
from planner.logins import without_logins
from planner.mask import Mask

__all__ = ["PYTHON_VARIABLE", "output_of", "user_python"]

PYTHON_VARIABLE: Final = "STOWPLAN_PYTHON"
_SHOWN_LINES: Final = 4
_OUTPUT: Final = "output"
_POETRY_FILES: Final = ("pyproject.toml", "poetry.lock", "poetry.toml")
# What tools leave in the environments that they make for one program.
_RECEIPTS: Final = ("uv-receipt.toml", "pipx_metadata.json")


def output_of(
    need: ProgramOutput, root: Path, environ: Mapping[str, str], *, offline: bool = False
) -> Printed:
    """What the first command prints that works; why none did is an answer as well.

    With `offline` uv is told to ask nobody. What programs write beside their answer is not in the project.
    """
    # Nothing of it has to be on the file system of the project, which may be read-only.
    with scratch_directory(None) as scratch:
        extra: dict[str, str] = {"UV_OFFLINE": "1"} if offline else {}
        missing: tuple[str, ...] = ()
        logins: Mapping[str, str] = {}
        try:
            logins = login_variables(need.indexes, need.secrets, environ, root)
        except NotRead as error:
            # Not every program asks an index.
            missing = (f"{error.found}: {error.fix}",)
        directory = Path(os.path.realpath(root / need.directory))
        printed = _output(need, directory, environ, {**extra, **logins}, scratch)
        if printed.worked:
            return printed
        hide = Mask(logins.values())
        return evolve(printed, failures=(*map(hide, printed.failures), *missing))


def _output(
    need: ProgramOutput,
    directory: Path,
    environ: Mapping[str, str],
    extra: Mapping[str, str],
    scratch: Path,
) -> Printed:
    # setuptools, which says what a project with dynamic dependencies needs, writes an .egg-info.
    settings = scratch / "distutils.cfg"
    settings.write_text(f"[egg_info]\negg_base = {scratch}\n")
    extra = {"DIST_EXTRA_CONFIG": str(settings), **extra}
    failures: list[str] = []
    for words in need.commands:
        # Braces of a placeholder mean nothing to a shell that does not see them.
        shown = " ".join(
            word if re.fullmatch(r"[\w@%+=:,./{}-]+", word) else shlex.quote(word) for word in words
        )
        try:
            command = _command(words, directory, environ, extra, scratch)
            done = run(command, timeout=limits.PROGRAM_SECONDS)
        except ExecutorError as error:
            failures.append(f"`{shown}`: {'; '.join(problem.found for problem in error.problems)}")
            continue
        if done.code:
            failures.append(f"`{shown}`: exit code {done.code}{_said(done.stderr)}")
            continue
        data = _answer(words, done.stdout, scratch)
        if len(data) > limits.PROGRAM_BYTES:
            failures.append(f"`{shown}`: printed more than {limits.PROGRAM_BYTES} bytes")
        else:
            try:
                return Printed(data.decode(), shown, tuple(failures))
            except UnicodeDecodeError:
                failures.append(f"`{shown}`: printed what is not UTF-8")
    return Printed(failures=tuple(failures))


def _command(
    words: tuple[str, ...],
    directory: Path,
    environ: Mapping[str, str],
    extra: Mapping[str, str],
    scratch: Path,
) -> Command:
    """A command with what its placeholders stand for. ExecutorError if there is no Python, or no uv."""
    values = {"{directory}": str(directory), "{output}": str(scratch / _OUTPUT)}
    if any("{copy}" in word for word in words):
        values["{copy}"] = str(_copied(directory, scratch))
        # Nothing is installed, so no environment has to be made for the copy.
        extra = {"POETRY_VIRTUALENVS_CREATE": "false", **extra}
    if any("{python}" in word for word in words):
        values["{python}"] = str(user_python(environ))
    argv = [
        re.sub(r"\{(?:directory|copy|output|python)\}", lambda match: values.get(match[0], match[0]), word)
        for word in words
    ]
    if argv[0] == "uv":
        argv[0] = uv_program(environ)
    return Command(tuple(argv), extra, str(directory))


def _answer(words: tuple[str, ...], printed: bytes, scratch: Path) -> bytes:
    """What a command printed, or what it wrote where it was told to write it."""
    if not any("{output}" in word for word in words):
        return printed
    try:
        with (scratch / _OUTPUT).open("rb") as file:
            return file.read(limits.PROGRAM_BYTES + 1)
    except FileNotFoundError:
        return b""


def _copied(directory: Path, scratch: Path) -> Path:
    """A directory with copies of the files that Poetry reads in a directory."""
    copy = scratch / "poetry"
    copy.mkdir(exist_ok=True)
    for name in _POETRY_FILES:
        if (directory / name).is_file():
            shutil.copyfile(directory / name, copy / name)
    return copy


def user_python(environ: Mapping[str, str]) -> Path:
    """The Python that the user works in: STOWPLAN_PYTHON (`--python`), VIRTUAL_ENV, else the one on the PATH.

    An absolute path. ExecutorError if there is none.
    """
    # It is started in another directory, and its links say which environment it is of.
    return Path(os.path.abspath(_found_python(environ)))  # noqa: PTH100


def _found_python(environ: Mapping[str, str]) -> Path | str:
    """The same, as it is written."""
    if named := environ.get(PYTHON_VARIABLE):
        found = shutil.which(named, path=environ.get("PATH"))
        if found is None:
            raise ExecutorError.of("--python", f"there is no Python {named!r}", "name one, or its path")
        return found
    if active := environ.get("VIRTUAL_ENV"):
        for name in ("bin/python", "Scripts/python.exe"):
            if (python := Path(active) / name).exists() and not _own(Path(active)):
                return python
    for directory in environ.get("PATH", "").split(os.pathsep):
        for name in ("python3", "python"):
            found = shutil.which(name, path=directory) if directory else None
            if found is not None and not _own(Path(directory).parent):
                return found
    fix = "activate the environment of the project, or name its Python with --python"
    raise ExecutorError.of("the local Python", "there is none on the PATH", fix)


def _own(prefix: Path) -> bool:
    """Whether a prefix is that of stowplan itself, in an environment that was made for it alone."""
    own = Path(sys.prefix)
    if os.path.realpath(prefix) != os.path.realpath(own):
        return False
    return any((own / receipt).exists() for receipt in _RECEIPTS)


def _said(stderr: str) -> str:
    """The last lines that a program wrote, on one line, without logins."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    # uv and Poetry say the cause first, and then how to go on.
    first = next(
        (index for index, line in enumerate(lines) if re.match(r"(?i:error\b|.*\berror:)", line)), None
    )
    shown = lines[-_SHOWN_LINES:] if first is None else lines[first : first + _SHOWN_LINES]
    return ": " + "; ".join(without_logins(line) for line in shown) if shown else ""
