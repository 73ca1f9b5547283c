"""`docker` and `podman` on the PATH that fail in place of the real ones, at one of their commands."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Final

__all__ = ["draw_program_fault", "install"]

_ID_FILE: Final = 'for each in "$@"; do case "$each" in --iidfile=*) file=${each#--iidfile=};; esac; done\n'

# What a program does in place of a build. None hangs: nothing limits how long a build takes.
_BUILDS: Final = {
    "fails": "echo Error: no >&2; exit 1",
    "says it is done": "exit 0",
    "reads all and says it is done": "cat > /dev/null; exit 0",
    "is killed": "kill -9 $$",
    "prints garbage": "head -c 300000 /dev/urandom; exit 1",
    "prints an endless line": "head -c 3000000 /dev/zero | tr '\\0' x; exit 1",
    "writes no ID": f"{_ID_FILE}echo garbage > $file; exit 0",
    "writes the ID of nothing": f"{_ID_FILE}echo sha256:{'0' * 64} > $file; exit 0",
    "writes the ID of another image": f"{_ID_FILE}echo {{other}} > $file; exit 0",
    "reads half": 'head -c 20000 | {real} "$@"',
    "fails after it was done": '{real} "$@"; exit 1',
    "ends late": '{real} "$@"; code=$?; sleep 1; exit $code',
}
# What it does in place of anything else.
_OTHERS: Final = {
    "fails": "echo Error: no >&2; exit 125",
    "says nothing": "exit 0",
    "prints garbage": "head -c 1000 /dev/urandom; exit 0",
    "prints an empty list": "echo '[]'; exit 0",
    "prints what is no image": "echo '[7]'; exit 0",
    "hangs": "trap '' TERM; sleep 300 & sleep 300",
    "is killed": "kill -9 $$",
}
_PODMAN: Final = ("info", "image inspect", "image exists", "tag", "build", "build")


def draw_program_fault(rng: random.Random, program: str) -> tuple[str, str]:
    """A fault of a program: which of its commands, and what it does there."""
    command = "buildx build" if program == "docker" else rng.choice(_PODMAN)
    return command, rng.choice(sorted(_BUILDS if command.endswith("build") else _OTHERS))


def install(directory: Path, program: str, command: str, fault: str, other: str) -> None:
    """Put a program with a fault on a PATH; `other` is the ID of an image that is not the planned one."""
    real = shutil.which(program)
    assert real is not None
    does = (_BUILDS if command.endswith("build") else _OTHERS)[fault]
    does = does.replace("{real}", real).replace("{other}", other)
    words = '"$1 $2"' if " " in command else '"$1"'
    path = directory / program
    path.write_text(f'#!/bin/sh\nif [ {words} = "{command}" ]; then\n{does}\nexit\nfi\nexec {real} "$@"\n')
    path.chmod(0o755)
