"""One container of Podman, from its making to its removal.

What it is given is mounted: Podman is on this machine, and copies would take as long as all the rest.
"""

from __future__ import annotations

import contextlib
import re
import threading
import uuid
from typing import Final

from executor import limits
from executor.engines.containers import is_orphan, no_image
from executor.engines.interrupts import Task
from executor.engines.leftovers import Podman
from executor.engines.podman_commands import run_command
from executor.engines.protocol import OWNER_LABEL, ContainerJob, Ended, OnOutput, Stream
from executor.errors import ExecutorError
from executor.process import run

__all__ = ["remove_orphans", "run_container"]

# What Podman itself could not do, as opposed to the container (podman-run(1), "Exit Status").
_PODMAN_FAILED: Final = 125
# Its words for an image that `--pull=never` does not find (containers/storage, containers/common).
_NO_IMAGE: Final = re.compile(
    r"image not known|no such image|unable to find|does not exist|identifier is not"
)
_STOP_AGAIN_SECONDS: Final = 0.5


def run_container(podman: Podman, job: ContainerJob, on_output: OnOutput, task: Task) -> Ended:
    """See `Runner.run_container`. `podman` is what runs Podman for short answers."""
    name = f"stowplan-{uuid.uuid4().hex}"
    last = ""

    def on_error_line(line: str) -> None:
        nonlocal last
        last = line
        on_output(line, Stream.STDERR)

    over = threading.Event()

    def stop() -> None:
        # The first time it may not be there yet.
        while not over.is_set():
            with contextlib.suppress(ExecutorError):
                podman("stop", "--ignore", f"--time={limits.STOP_SECONDS:.0f}", name)
            over.wait(_STOP_AGAIN_SECONDS)

    # One of many that are stopped at once waits for none of the others.
    task.stoppable(lambda: threading.Thread(target=stop, daemon=True).start())
    task.check()
    try:
        done = run(
            run_command(job, name),
            stdin=None if job.stdin is None else iter([job.stdin]),
            on_line=lambda line: on_output(line, Stream.STDOUT),
            on_error_line=on_error_line,
        )
    except BaseException:
        # The container goes on without the command that started it.
        podman("rm", "--force", "--ignore", "--time=0", name)
        raise
    finally:
        over.set()
    task.check()
    if done.code == _PODMAN_FAILED and last.startswith("Error: "):
        if _NO_IMAGE.search(last):
            raise no_image(job.image, "podman")
        raise ExecutorError.of(job.image, last.removeprefix("Error: "), "run `podman info` to see why")
    return Ended(done.code)


def remove_orphans(podman: Podman) -> None:
    """Remove the containers of runs that were killed."""
    shown = f'{{{{.ID}}}} {{{{index .Labels "{OWNER_LABEL}"}}}}'
    listed = podman("ps", "--all", "--no-trunc", f"--filter=label={OWNER_LABEL}", f"--format={shown}")
    for line in listed.text.splitlines() if listed.code == 0 else ():
        container, _, owner = line.partition(" ")
        if is_orphan(owner):
            podman("rm", "--force", "--ignore", "--time=0", container)
