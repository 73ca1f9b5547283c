"""How long anything foreign is waited for, how often it is asked again, and how much of it is read.

Owns the numbers, with their units, which docs/reference.md prints. They are read when they are used, so that
a test of something that hangs need not wait as long. Nothing limits how long a build or a push takes.
"""

from __future__ import annotations

from typing import Final

__all__: Final[tuple[str, ...]] = ()

PLAN_REGISTRY_SECONDS: float = 5.0
"""All questions of a dry run to registries, however many; logging in and asking again included."""

REGISTRY_SECONDS: float = 15.0
"""The same for `apply` and `outdated`."""

REGISTRY_RETRIES: int = 3
"""How often one question to a registry is asked again."""

REGISTRY_BACKOFF_SECONDS: float = 1.0
"""Waits between these: none, 2 times this, 4 times this. A registry's Retry-After goes before them."""

MANIFEST_BYTES: int = 4 << 20
"""What registries should take (OCI distribution spec, "Pushing Manifests"), so none has a longer one."""

CONFIG_BYTES: int = 8 << 20
"""No specification says how long a config may be. Podman and skopeo read 4 MiB of one (containers/image,
`iolimits`) and Docker all of it: twice Podman's bound is more than an image that both can run needs."""

ANSWER_BYTES: int = 1 << 20
"""Any other answer of a registry, such as an error or a token."""

HELPER_SECONDS: float = 10.0
"""A credential helper; less where the question that wants the login has less time left."""

WRITER_SECONDS: float = 60.0
"""Another stowplan that writes the lock, or the records, of the same project."""

PROGRAM_SECONDS: float = 300.0
"""A program that lists packages: without a lock, uv and Poetry resolve first."""

PROGRAM_BYTES: int = 16 << 20
"""What such a program may print. Requirements files may be as long."""

GIT_SECONDS: float = 60.0
"""One question to git about the checkout that a project is in."""

GIT_CONTENT_SECONDS: float = 1800.0
"""Reading what files of a commit hold, 10,000 files at a time."""

DESCRIBE_SECONDS: float = 120.0
"""Importing the module of a pipeline, and what it imports, and calling the function of the pipeline."""

RESOLVE_SECONDS: float = 1800.0
"""One question to uv about requirements, for which it may have to build source archives."""

PARENT_SECONDS: float = 600.0
"""Pulling a parent image and running its Python once, where no setting and no registry names its version."""

GREETING_SECONDS: float = 10.0
"""Whether an engine is there: the daemon's ping, `podman info`, `docker buildx version`."""

ANSWER_SECONDS: float = 60.0
"""Any other answer of the Docker daemon, such as what it knows of an image."""

STORAGE_SECONDS: float = 600.0
"""Any other answer of Podman: while a build commits a large layer, all else waits for the storage."""

RUNTIME_SECONDS: float = 60.0
"""Any answer of the program that runs Podman's containers: what it lists, and that it ended one."""

DOCTOR_SECONDS: float = 15.0
"""All that `doctor` looks at, side by side."""

WATCH_SECONDS: float = 30.0
"""Between looks whether the daemon still answers, while it builds or pushes."""

PUSH_SILENCE_SECONDS: float = 600.0
"""A push through Docker of which nothing more is heard: its daemon tells how far each layer is."""

PUSH_RETRIES: int = 2
"""How often a push that failed for a reason that passes is tried again."""

PUSH_RETRY_SECONDS: float = 30.0
"""A push that took longer than this is not tried again: its engine has tried parts of it again by itself."""

PUSH_BACKOFF_SECONDS: float = 2.0
"""The wait before the first of these; each further wait is twice as long."""

STORE_CONNECT_SECONDS: float = 10.0
"""A connection to an artifact store on S3."""

STORE_SILENCE_SECONDS: float = 60.0
"""An artifact store on S3 from which nothing more is heard."""

STORE_TRIES: int = 3
"""How often it is asked one thing."""

SETPRIV_SECONDS: float = 5.0
"""Whether there is a `setpriv` by which programs end with this one. If it does not say so, they do not."""

ENDING_SECONDS: float = 5.0
"""A program that was asked to end (TERM), until it is made to (KILL); none for a credential helper."""

KEPT_LOGS: int = 50
"""How many logs of builds and of runs are kept in `.stowplan/logs`: the newest."""

STOP_SECONDS: float = 10.0
"""A step that was asked to end (TERM), until it is made to (KILL)."""

ORPHAN_SECONDS: float = 10.0
"""Programs of a killed stowplan that were made to end, until the kernel has let go of what they had."""
