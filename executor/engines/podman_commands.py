"""The commands of Podman that build and push. What a user's environment says of builds does not count."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from executor.engines.archive import DOCKERFILE, IGNORE_FILE, planned_options
from executor.engines.leftovers import build_secret
from executor.engines.options import cli_options
from executor.engines.protocol import BuildJob
from executor.orphans import SCRATCH_VARIABLE
from executor.process import Command
from executor.scratch import name_of
from planner.render.dockerfile import TIMESTAMP
from planner.values import FrozenMapping, ImageRef

__all__ = ["Format", "build_command", "push_command"]

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
