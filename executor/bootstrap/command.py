"""A step that is a command: a child, to which signals are passed on.

It does not take this process's place: the first process of a container gets no signal that it has no handler
for, so that a command which does not know that it is one could not be asked to end.
"""

from __future__ import annotations

import os
import signal
import subprocess  # the command is the user's own
from types import FrameType

from .errors import Refused, reason

__all__ = ["run"]

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run(command: list[str], directory: str) -> int:
    """Run a command in a directory, which modules of Python are also imported from: its exit code.

    128 and the number of the signal if one ended it. Refused if it cannot be started.
    """
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (directory, environment.get("PYTHONPATH"))))
    environment.setdefault("PYTHONUNBUFFERED", "1")
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        if child is None:
            early.append(number)
        else:
            child.send_signal(number)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    try:
        child = subprocess.Popen(command, cwd=directory, env=environment)  # noqa: S603  # as above
    except (OSError, ValueError) as error:
        raise Refused(
            "command-not-started",
            f"{command[0]!r} cannot be started: {reason(error)}",
            "name a program that is in the image, and that its user may execute",
        ) from None
    for signal_number in early:
        child.send_signal(signal_number)
    code = child.wait()
    return code if code >= 0 else 128 - code
