"""A real terminal for commands: tmux, whose screen is read as a person sees it, colours too."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Final, Self

from attrs import define, field

from tests.contract.conftest import absent
from tests.contract.images import eventually
from tests.e2e.command import Project

__all__ = ["Screen", "stable"]

_ROWS: Final = 50
# What differs each time, but for names that were made up: digits of hashes, times, how long something took,
# the machine, the frame of a spinner.
_MASKS: Final = (
    # A hash that no line has room for is broken by the terminal.
    (r"(?<=:)[0-9a-f]{12,64}(?:\n[0-9a-f]{1,52}$)?", lambda match: re.sub("[0-9a-f]", "0", match[0])),
    (r"\b[0-9a-f]{12}\b", lambda match: "0" * len(match[0])),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", lambda _: "0000-00-00T00:00:00"),
    (r"\b(?:\d+ min )?\d+(?:\.\d)? s\b", lambda _: "0 s"),
    (r"\blinux/\w+(?:/v\d)?", lambda _: "linux/amd64"),
    ("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", lambda _: "⠋"),
)
_COLOR: Final = re.compile("(\x1b\\[[0-9;]*m)")


@define
class Screen:
    """A terminal of so many columns in which one command of a project runs."""

    project: Project
    columns: int
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(factory=dict)
    _name: str = field(init=False, factory=lambda: f"stowplan-{uuid.uuid4().hex[:12]}")

    def __enter__(self) -> Self:
        if shutil.which("tmux") is None:
            absent("there is no tmux: install it with apt-get install tmux")
        # What is on the screen when the command has ended stays there, until it is read.
        ended = f"tmux -L {self._name} wait-for -S ended"
        # tmux has a TERM of its own for what runs in it.
        words = ["env", *(f"{name}={value}" for name, value in self.env.items())]
        command = f"{shlex.join([*words, *self.project.command(*self.argv)])}; {ended}; exec cat"
        environment = self.project.environment({"NO_COLOR": "", "LC_ALL": "C.UTF-8"})
        for name in ("TMUX", "COLUMNS", "LINES", "FORCE_COLOR"):
            environment.pop(name, None)
        self._tmux(
            "-u", "-f", os.devnull, "new-session", "-d", "-x", str(self.columns), "-y", str(_ROWS), command,
            env=environment,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["tmux", "-L", self._name, "kill-server"], check=False, capture_output=True)

    def _tmux(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._name, *words], cwd=self.project.root, env=env,
            check=True, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        return done.stdout

    def ended(self) -> str:
        """The screen when the command has ended."""
        self._tmux("wait-for", "ended")
        return self.shown()

    def shows(self, text: str) -> bool:
        """Whether the screen comes to show a text."""
        return eventually(lambda: text in self._tmux("capture-pane", "-p"))

    def press(self, key: str) -> None:
        """Press a key, by tmux's name for it."""
        self._tmux("send-keys", key)

    def resize(self, columns: int) -> None:
        """Make the terminal wider or narrower."""
        self._tmux("resize-window", "-x", str(columns))

    def shown(self) -> str:
        """What is on the screen, with its colours, without the empty lines below."""
        return "\n".join(
            line.rstrip() for line in self._tmux("capture-pane", "-e", "-p").split("\n")
        ).rstrip()


def stable(screen: str, names: Iterable[str] = ()) -> str:
    """A screen without what differs each time, `names` among it, and with `\\e` for what begins a colour."""
    return "".join(map(_masked, _COLOR.split(screen), repeat(tuple(names)))).replace("\x1b", "\\e") + "\n"


def _masked(text: str, names: Iterable[str]) -> str:
    if _COLOR.fullmatch(text):
        return text
    for name in names:
        text = text.replace(name, "x" * len(name))
    for pattern, replacement in _MASKS:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text
