"""The commands of Podman that build, push and run.

What a user's environment says of builds does not count.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final, Literal

from executor.engines.archive import DOCKERFILE, IGNORE_FILE, planned_options
from executor.engines.leftovers import build_secret
from executor.engines.options import cli_options
from executor.engines.protocol import EXCHANGE, BuildJob, ContainerJob
from executor.engines.references import named
from executor.orphans import SCRATCH_VARIABLE
from executor.process import Command
from executor.scratch import name_of
from planner.render.dockerfile import TIMESTAMP
from planner.values import FrozenMapping, ImageRef

__all__ = ["Format", "build_command", "push_command", "run_command"]

Format = Literal["oci", "docker"]

_LOOPBACK: Final = re.compile(r"(localhost|127(\.[0-9]+){3}|\[::1\])(:[0-9]+)?")


def build_command(
    job: BuildJob, directory: Path, secrets: tuple[str, ...] = (), image_format: Format = "oci"
) -> Command:
    """The command that builds a job from a directory that holds the context and the Dockerfile.

    `secrets` are options that name the files with the values of secrets.

    The image has no tag; its ID is written to the file `image` beside the context. The values of variables
    are in the command's environment only. What the user's environment says of platforms, formats and times
    does not count.
    """
    return Command(
        (
            "podman",
            "build",
            f"--format={image_format}",
            "--layers=true",
            f"--timestamp={TIMESTAMP}",
            "--identity-label=false",
            f"--iidfile={directory / 'image'}",
            f"--file={directory / DOCKERFILE}",
            f"--ignorefile={directory / IGNORE_FILE}",
            f"--secret={build_secret(directory)}",
            *secrets,
            *cli_options(planned_options(job.image), "podman"),
            *(f"--build-arg={name}" for name in (*job.variables, *job.network.proxies)),
            str(directory / "context"),
        ),
        env=FrozenMapping(
            {
                **job.variables,
                **job.network.proxies,
                "SOURCE_DATE_EPOCH": "",
                "DOCKER_DEFAULT_PLATFORM": "",
                "TMPDIR": str(directory),
                SCRATCH_VARIABLE: name_of(directory),
            }
        ),
    )


def push_command(ref: ImageRef, digest_file: Path) -> Command:
    """The command that pushes an image and writes the digest the registry has it under.

    As Docker does, a registry on this machine is spoken to without TLS if it has none.
    """
    plain = ("--tls-verify=false",) if _LOOPBACK.fullmatch(ref.registry) else ()
    command = ("podman", "push", f"--digestfile={digest_file}", *plain, str(ref))
    scratch = digest_file.parent
    return Command(command, env=FrozenMapping({"TMPDIR": str(scratch), SCRATCH_VARIABLE: name_of(scratch)}))


def run_command(job: ContainerJob, name: str) -> Command:
    """The command that runs a container of a name, and removes it when it has ended.

    What it is given is mounted, by a path from the directory above it: a colon would end a path.
    """
    mount: tuple[str, ...] = ()
    if job.exchange is not None:
        # `Z` lets the container in where SELinux would keep it out.
        mount = (f"--volume=./{job.exchange.name}:{EXCHANGE}:Z",)
    return Command(
        (
            "podman",
            "run",
            "--rm",
            "--pull=never",
            f"--name={name}",
            *(f"--label={key}={value}" for key, value in job.labels.items()),
            *(("--interactive",) if job.stdin is not None else ()),
            *(() if job.network else ("--network=none",)),
            *mount,
            # As JSON it is one word, whatever is in it.
            f"--entrypoint={json.dumps(job.argv[:1])}",
            named(job.image),
            *job.argv[1:],
        ),
        directory=str(job.exchange.parent) if job.exchange is not None else None,
    )
