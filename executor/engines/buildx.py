"""BuildKit's command line, a plugin of Docker's: whether it is there, and how it builds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from executor import limits
from executor.ahead import load_ahead
from executor.engines.archive import DOCKERFILE, archive, planned_options, written_id
from executor.engines.interrupts import Task
from executor.engines.logs import NO_IMAGE, UNTOLD, Log
from executor.engines.options import cli_options
from executor.engines.protocol import BuildJob
from executor.engines.secrets import secret_options
from executor.engines.unpacking import lay_out
from executor.errors import EngineRefused, ExecutorError, ProgramMissing
from executor.home import docker_directory
from executor.orphans import SCRATCH_VARIABLE
from executor.process import Command, run
from executor.scratch import name_of
from executor.state import scratch_directory
from planner.render.dockerfile import TIMESTAMP
from planner.values import FrozenMapping

__all__ = ["build_with_buildkit", "buildx_command", "has_buildx", "no_buildx"]

_BUILDX: Final = ("docker", "buildx")
_BUILDX_VERSION: Final = Command((*_BUILDX, "version"))
# Where the command line looks for its plugins (docs.docker.com/reference/cli/docker, "cliPluginsExtraDirs"
# and cli-plugins/manager), after the user's own directory.
_PLUGINS: Final = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)


def buildx_command(
    job: BuildJob, id_file: Path, secrets: tuple[str, ...] = (), program: tuple[str, ...] = _BUILDX
) -> Command:
    """The command that builds a job with BuildKit, from an archive on its standard input.

    A custom Dockerfile is built from the directory that `id_file` is in, with the context and the Dockerfile:
    with an archive, `COPY . .` would copy a Dockerfile that is ours.

    `program` is how its command line is started: `docker buildx`, or the file of that plugin by itself.
    `secrets` are options that name the files with the values of secrets. The image has no tag; its ID is
    written to a file. The values of variables are in the command's
    environment only, where no process list shows them. What the user's environment says of platforms and
    times does not count.
    """
    directory = id_file.parent
    custom = job.image.spec.dockerfile is not None
    return Command(
        (
            *program,
            "build",
            "--load",
            "--progress=plain",
            f"--iidfile={id_file}",
            f"--file={directory / DOCKERFILE if custom else DOCKERFILE}",
            *cli_options(planned_options(job.image), "docker"),
            *(f"--build-arg={name}" for name in (*job.variables, *job.network.proxies)),
            *secrets,
            # The time of the image and of its history. BuildKit gives it to commands that ask for it, too.
            f"--build-arg=SOURCE_DATE_EPOCH={TIMESTAMP}",
            str(directory / "context") if custom else "-",
        ),
        env=FrozenMapping({
            **job.variables,
            **job.network.proxies,
            # Provenance would make an index of the image. The variable and not the flag, which buildx
            # before 0.10 does not know.
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
            "DOCKER_DEFAULT_PLATFORM": "",
            SCRATCH_VARIABLE: name_of(directory),
        }),
    )  # fmt: skip


def build_with_buildkit(job: BuildJob, log: Log, task: Task) -> tuple[str, str]:
    """Build with the command line; returns the image's ID and why it failed, either of them empty."""
    custom = job.image.spec.dockerfile is not None
    with scratch_directory(job.root, large=custom) as directory, secret_options(job) as secrets:
        id_file = directory / "image"
        # The image gets its tag with it, and is pushed.
        load_ahead("docker")
        command = buildx_command(job, id_file, secrets, _program())
        if custom:
            lay_out(job, task, directory)
            done = run(command, on_line=log, stoppable=task.stoppable)
        else:
            done = run(command, stdin=archive(job), on_line=log, stoppable=task.stoppable)
        image = written_id(id_file)
    if done.code:
        return image, UNTOLD
    return image, "" if image else NO_IMAGE


def has_buildx() -> bool:
    """Whether BuildKit's command line is there. It takes 0.1 s to say so itself."""
    if any(map(os.path.exists, _plugin_files())):
        return True
    try:
        return run(_BUILDX_VERSION, timeout=limits.GREETING_SECONDS).code == 0
    except ProgramMissing:
        return False


def no_buildx() -> ExecutorError:
    """The error where BuildKit is asked for and not there."""
    fix = "install docker's buildx plugin, or set STOWPLAN_DOCKER_BUILDER=auto"
    return EngineRefused.of("docker", "BuildKit is asked for, and `docker buildx version` does not work", fix)


def _program() -> tuple[str, ...]:
    """How BuildKit's command line is started: the plugin is a program by itself (docker/buildx, README).

    `docker buildx` starts it twice, first to ask it what it is: 53 ms and not 19 before anything is built.
    """
    plugin = next((path for path in _plugin_files() if os.access(path, os.X_OK)), None)
    return (str(plugin),) if plugin else _BUILDX


def _plugin_files() -> Iterator[Path]:
    config = docker_directory(os.environ)
    for directory in (*([config / "cli-plugins"] if config else ()), *map(Path, _PLUGINS)):
        yield directory / "docker-buildx"
