"""Secrets on their way to a builder: files for as long as it builds, and the options that name them.

A file and not a variable: Podman writes the value of a variable to a file of its own, which stays if it is
killed, and the environment of a process is larger than a secret should reach.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Final

from executor.engines.protocol import BuildJob
from executor.errors import ExecutorError, remedy
from executor.logins import mounted_logins, netrc_of
from executor.state import scratch_directory
from planner.settings.secrets import CERTIFICATES_ID, mount_id

__all__ = ["secret_options"]

# What neither command line can have in a path: both take a list of words that commas divide.
_DIVIDING: Final = re.compile(r'[,"\r\n]')


@contextlib.contextmanager
def secret_options(job: BuildJob) -> Iterator[tuple[str, ...]]:
    """The options of a command line that give a builder the secrets of a job, while it builds.

    The values are in files that only this user can read, which the next command removes if this one is
    killed. ExecutorError if they cannot be written.
    """
    if not job.secrets and job.network.certificates is None:
        yield ()
        return
    root = job.root if job.root and not _DIVIDING.search(str(job.root.absolute())) else None
    with scratch_directory(root) as directory:
        if _DIVIDING.search(str(directory)):
            found = "holds a comma, a quotation mark or a line end, which builders cannot read in a path"
            raise ExecutorError.of(str(directory), found, "set TMPDIR to another directory")
        options = []
        versions = job.image.spec.secrets
        values = {mount_id(name, versions[name]): value for name, value in job.secrets.items()}
        values |= {name: netrc_of(logins) for name, logins in mounted_logins(job.image, job.secrets).items()}
        if job.network.certificates is not None:
            values[CERTIFICATES_ID] = job.network.certificates
        for number, (name, value) in enumerate(values.items()):
            path = directory / f"secret-{number}"
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(value)
            except OSError as error:
                found = f"cannot be written: {error.strerror or error}"
                raise ExecutorError.of(str(path), found, remedy(error)) from None
            # Without a type, Podman takes a secret that is called like a variable for the variable.
            options.append(f"--secret=id={name},type=file,src={path}")
        yield tuple(options)
