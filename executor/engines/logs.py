"""What engines write: secrets hidden, the last lines kept, and a failure told from them.

Owns the reading of three builders' words for "this step failed". Refuses to let a line through that was not
masked.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Final

from attrs import field

from executor.engines.archive import DOCKERFILE, whole_dockerfile
from executor.engines.protocol import OnLine
from executor.engines.pushes import passes
from executor.errors import BuildFailed, Failure
from planner.custom import pinned_lines
from planner.errors import Place, Problem
from planner.image.instructions import (
    InstallApt,
    InstallProject,
    InstallRequirements,
    SetEnvironment,
    SetUser,
)
from planner.image.plan import ImagePlan
from planner.immutable import frozen
from planner.mask import Mask
from planner.render.dockerfile import instruction_at
from planner.render.installers import NO_PYTHON
from planner.requirements.names import SETTING_OF

__all__ = ["NO_IMAGE", "STEP", "UNTOLD", "Log", "Step", "build_failed", "steps_of"]

UNTOLD: Final = "the builder ended without an image"
NO_IMAGE: Final = "the builder says that it is done, and there is no image"
_KEPT_LINES: Final = 1000
_SHOWN_LINES: Final = 15
_SHOWN_CHARACTERS: Final = 300


# Terminal control sequences (ECMA-48, CSI): the classic builder paints errors red.
_CONTROL: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


@frozen
class Log:
    """Takes lines as they come, passes them on without secrets, and keeps the last ones."""

    on_line: OnLine
    mask: Mask
    lines: deque[str] = field(init=False, factory=lambda: deque(maxlen=_KEPT_LINES))

    def __call__(self, line: str) -> None:
        """Take one line."""
        shown = self.mask(_CONTROL.sub("", line))
        self.lines.append(shown)
        self.on_line(shown)


# BuildKit's plain progress: `#7 ERROR: reason`, `#7 0.123 output`, and last `Dockerfile.stowplan:5`.
_BUILDKIT_ERROR: Final = re.compile(r"#(\d+) ERROR: (.*)")
_BUILDKIT_LINE: Final = re.compile(rf"{re.escape(DOCKERFILE)}:(\d+)")
_BUILDKIT_OUTPUT: Final = re.compile(r"#(\d+) \d+\.\d+ (.*)")
# The classic builder's `Step 3/4 : RUN …`, Podman's `STEP 3/4: RUN …` (with `[2/3] ` before later stages).
STEP: Final = re.compile(r"(\[\d+/\d+\] )?(?:Step|STEP) (\d+)/\d+ ?: (.*)")
# What the classic builder says of containers and layers of its own.
_CLASSIC_NOTE: Final = re.compile(r" ---> .*")
# The end of three builders' ways to say that a command failed, each of which repeats the command.
_EXIT: Final = re.compile(r"(?:exit code|non-zero code|exit status):? (\d+)$")
_ERROR: Final = re.compile(r"(?:ERROR|Error): (?:failed to solve: )?(.*)")


def build_failed(image: ImagePlan, log: Log, reason: str) -> BuildFailed:
    """The error of a build: the setting that asked for what failed, what failed, and the cause.

    Where the engine's exit says nothing but that there is no image (`UNTOLD`), the reason is taken from
    the log.
    """
    lines = list(log.lines)
    steps = tuple(steps_of(image))
    step, instruction, output = _failed_step(steps, lines)
    line = step.line if step else None
    if reason == UNTOLD:
        reason = next((match[1] for text in reversed(lines) if (match := _ERROR.fullmatch(text))), reason)
    if exit_code := _EXIT.search(reason):
        # Podman repeats the whole instruction, which says how it would be said.
        no_python = any(text.rstrip().endswith(NO_PYTHON) for text in output)
        reason = _no_python(image) if no_python else f"exit code {exit_code[1]}"
    setting, said = _said(image, line, instruction, reason)
    where = Place(file=f"Dockerfile of {image.name}", line=line)
    if setting:
        where = Place((setting,), image.name)
    elif step is not None and step.place is not None:
        where = step.place
    fix = "\n".join(_cause(output)) or "it wrote nothing"
    # Only a parent and a frontend come from a registry: what a command says is about something else.
    later = instruction.startswith(("FROM ", "# syntax=")) and passes(reason)
    kind = Failure.REGISTRY_UNAVAILABLE if later else Failure.BUILD_FAILED
    return BuildFailed([Problem(where, log.mask(said), log.mask(fix), "build-failed")], kind)


def _no_python(image: ImagePlan) -> str:
    """Why there is no Python to install for, as far as the plan tells."""
    for item in image.spec.instructions:
        if isinstance(item, SetEnvironment) and not item.runtime:
            path = item.variables.get("PATH")
            if path is not None and not path.adds:
                return (
                    f"environment sets PATH to {path.text!r}, and no python is there; "
                    "write {parent} in it to keep the PATH of the parent image"
                )
    return "the parent image has no python"


def _said(image: ImagePlan, line: int | None, instruction: str, reason: str) -> tuple[str, str]:
    """The setting that asked for what failed, if one did, and what failed."""
    if not instruction:
        return "", reason
    match instruction_at(image.built, line) if line else None:
        case InstallApt():
            return "apt_packages", f"cannot be installed: {reason}"
        case InstallRequirements() as item:
            return SETTING_OF.get(item.source, item.source), f"cannot be installed: {reason}"
        case InstallProject() as item:
            return "local_project_install_command", f"`{_cut(item.command)}` failed: {reason}"
        case SetUser() as item:
            return "user", f"the parent image does not have the user {item.user}: {reason}"
        case _:
            return "", f"`{_cut(instruction)}` failed: {reason}"


# What apt, pip, uv and most programs begin the line with that says what is wrong.
_CAUSE: Final = re.compile(
    r"\s*(?:E: |\u00d7|(?:[\w.]+: )?(?:fatal|(?i:error)): |[\w.]+(?:Error|Exception): )"
)


def _cause(output: list[str]) -> list[str]:
    """The last lines of what a command wrote, from the first of them on that says what is wrong."""
    shown = [text for text in output if text.strip() and not _is_builders(text)][-_SHOWN_LINES:]
    start = next((number for number, text in enumerate(shown) if _CAUSE.match(text)), 0)
    return shown[start:]


def _is_builders(text: str) -> bool:
    """Whether a line is a builder's own, about a layer or about the exit code that is said already."""
    return bool(_CLASSIC_NOTE.fullmatch(text) or (_ERROR.fullmatch(text) and _EXIT.search(text)))


@frozen
class Step:
    """One instruction of a Dockerfile: its first line, counted from 1, its text, and where it was written."""

    line: int
    text: str
    place: Place | None = None


def steps_of(image: ImagePlan) -> Iterator[Step]:
    """The instructions of the Dockerfile that an image is built from."""
    item = image.spec.dockerfile
    if item is None:
        yield from (Step(line, text) for line, text in _instructions(whole_dockerfile(image)))
        return
    line = 1
    numbers: Iterable[int | None] = item.numbers or repeat(None)
    for text, number in zip(pinned_lines(image.spec), numbers, strict=False):
        yield Step(
            line,
            " ".join(text.split("\n")[0].split()),
            Place(file=item.file, line=number) if number else None,
        )
        line += text.count("\n") + 1


def _failed_step(steps: tuple[Step, ...], lines: list[str]) -> tuple[Step | None, str, list[str]]:
    """The instruction that failed and its text, as far as the log tells, and what it wrote."""
    for text in reversed(lines):
        if match := _BUILDKIT_LINE.fullmatch(text):
            line = int(match[1])
            step = max(
                (each for each in steps if each.line <= line), key=lambda each: each.line, default=None
            )
            return step, step.text if step else "", _buildkit_output(lines)
    for index in reversed(range(len(lines))):
        if match := STEP.fullmatch(lines[index]):
            # The numbers of several stages are told apart by their texts, where these differ.
            said = " ".join(match[3].split())
            named = [each for each in steps if each.text == said]
            numbered = () if match[1] else steps[int(match[2]) - 1 : int(match[2])]
            step = next((each for each in (*numbered, *named) if each.text == said), None) or next(
                iter(numbered), None
            )
            return step, match[3], lines[index + 1 :]
    return None, "", _buildkit_output(lines)


def _buildkit_output(lines: list[str]) -> list[str]:
    """What the vertex that failed wrote; all lines when the log does not name it."""
    failed = {match[1] for text in lines if (match := _BUILDKIT_ERROR.fullmatch(text))}
    matches = [match for text in lines if (match := _BUILDKIT_OUTPUT.fullmatch(text))]
    output = [match[2] for match in matches if match[1] in failed]
    return output or lines


def _instructions(dockerfile: str) -> Iterator[tuple[int, str]]:
    """Each instruction of a Dockerfile with the line it begins on, counted from 1."""
    begin, parts = 0, list[str]()
    for number, text in enumerate(dockerfile.split("\n"), start=1):
        line = text.strip()
        if not line or line.startswith("#"):
            continue
        begin = begin or number
        parts.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            yield begin, " ".join(parts)
            begin, parts = 0, []


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
