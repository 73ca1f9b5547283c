"""Instructions → the text of a Dockerfile, and the files that text refers to.

Owns the encoding of every value for the language it enters: Dockerfile words (docs.docker.com,
"Dockerfile reference", environment replacement), shell words, JSON. User text is never pasted. Refuses
to know an engine: one text builds on all of them, so it uses neither BuildKit mounts nor heredocs.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final, assert_never

from planner.image.instructions import (
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    Instruction,
    SetEnvironment,
    SetUser,
)
from planner.image.plan import ImagePlan
from planner.requirements.model import constraint_lines, to_lines
from planner.requirements.options import installer_arguments
from planner.settings.docker import PythonPackageInstaller
from planner.values import EnvTemplate, VariableRef, build_argument

__all__ = ["CONTEXT_TREES", "context_files", "dockerfile", "layer_text"]

# Trees and generated files have directories of their own in the build context, so that neither can
# overwrite the other and no ignore file reaches either.
CONTEXT_TREES: Final = "trees"
_CONTEXT_REQUIREMENTS: Final = "requirements"
_IMAGE_REQUIREMENTS: Final = "/usr/local/share/stowplan"

# Arguments that every builder knows without a declaration (Dockerfile reference, "Predefined ARGs").
_PREDEFINED: Final = frozenset(
    name
    for base in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (base, base.lower())
)


def dockerfile(image: ImagePlan) -> str:
    """The Dockerfile of an image that is built. The same plan gives the same text, byte for byte."""
    head = [f"# Parent image: {image.parent.reference}", f"FROM {image.parent.base}"]
    head += [f"ARG {name}" for name in image.options.build_args if name not in _PREDEFINED]
    return "\n".join([*head, *(layer_text(item) for item in image.instructions)]) + "\n"


def layer_text(item: Instruction) -> str:
    """The lines of a Dockerfile that one instruction becomes, without the last line end."""
    return "\n".join(_lines(item))


def context_files(image: ImagePlan) -> Mapping[str, bytes]:
    """The generated files of the build context, by their paths in it."""
    files: dict[str, bytes] = {}
    for item in image.instructions:
        if isinstance(item, InstallRequirements):
            for name, lines in _requirement_files(item).items():
                files[f"{_CONTEXT_REQUIREMENTS}/{name}"] = "".join(f"{line}\n" for line in lines).encode()
    return files


def _lines(item: Instruction) -> Iterator[str]:
    match item:
        case SetEnvironment():
            for name in _variables(item):
                yield f"ARG {build_argument(name)}"
            words = [f"{name}={_template(value)}" for name, value in item.variables.items()]
            yield "ENV " + " \\\n    ".join(words)
        case InstallApt():
            yield _run(
                "apt-get update",
                "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "
                + shlex.join(item.packages),
                "apt-get clean",
                "rm -rf /var/lib/apt/lists/*",
            )
        case InstallRequirements():
            names = " ".join(f"{_CONTEXT_REQUIREMENTS}/{name}" for name in _requirement_files(item))
            yield f"COPY {names} {_IMAGE_REQUIREMENTS}/"
            yield _run(*_install(item))
        case CopyFiles():
            yield f"WORKDIR {item.destination}"
            if item.owner:
                yield _exec("chown", item.owner, item.destination)
            yield f"COPY {_owner_flag(item)}{CONTEXT_TREES}/{item.tree}/ {item.destination}/"
        case InstallProject():
            yield _exec("/bin/sh", "-c", item.command)
        case SetUser():
            yield f"USER {item.user}"
        case _:
            assert_never(item)


def _owner_flag(item: CopyFiles) -> str:
    """The owner of copied files, always with a group: root's, as of a directory made by WORKDIR.

    Without one the classic builder wants a group with the user's name, which `nobody` does not have.
    """
    if not item.owner:
        return ""
    return f"--chown={item.owner} " if ":" in item.owner else f"--chown={item.owner}:0 "


def _variables(item: SetEnvironment) -> tuple[str, ...]:
    return tuple(sorted({name for value in item.variables.values() for name in value.variables}))


def _template(value: EnvTemplate) -> str:
    """A Dockerfile word in double quotes, inside which only these three characters mean something."""
    words = [
        f"${{{build_argument(part.name)}}}"
        if isinstance(part, VariableRef)
        else part.text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
        for part in value.parts
    ]
    return f'"{"".join(words)}"'


def _run(*commands: str) -> str:
    return "RUN " + " && \\\n    ".join(commands)


def _exec(*words: str) -> str:
    """A RUN in exec form: a JSON array, which no shell reads."""
    return "RUN " + json.dumps(words, ensure_ascii=False)


def _requirement_files(item: InstallRequirements) -> Mapping[str, tuple[str, ...]]:
    files = {f"{item.source}.txt": to_lines(item.requirements)}
    if item.requirements.constraints:
        files[f"{item.source}-constraints.txt"] = constraint_lines(item.requirements)
    return files


# The Python to install for: that of an active virtual environment, else the first on the PATH.
_FIND_PYTHON: Final = (
    'python="$(command -v "${VIRTUAL_ENV:-/nonexistent}/bin/python" || command -v python || command -v '
    'python3 || { echo "stowplan: the parent image has no python" >&2; exit 1; })"'
)
# uv can install for an environment that has no pip of its own; then the base installation's brings uv.
_BASE_PYTHON: Final = '"$("$python" -c "import sys; print(sys._base_executable)")"'
_FIND_PIP: Final = (
    'pip="$python"',
    f'{{ "$pip" -m pip --version >/dev/null 2>&1 || pip={_BASE_PYTHON}; }}',
)
_UV_DIRECTORY: Final = "/tmp/stowplan-uv"  # noqa: S108  # a directory of the image that is gone when its layer ends


def _install(item: InstallRequirements) -> Iterator[str]:
    """The commands of one layer: nothing of the installer and of its caches stays in it."""
    files = [f"--requirement={_IMAGE_REQUIREMENTS}/{item.source}.txt"]
    if item.requirements.constraints:
        files.append(f"--constraint={_IMAGE_REQUIREMENTS}/{item.source}-constraints.txt")
    name = item.installer.name
    arguments = shlex.join([
        *installer_arguments(item.requirements.options, name.value),
        *_arguments(item.installer),
        *files,
    ])  # fmt: skip
    yield _FIND_PYTHON
    # An image is nobody else's environment: PEP 668's guard protects nothing in it.
    match name:
        case PythonPackageInstaller.PIP:
            yield (
                "PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore "
                f'"$python" -m pip install --no-cache-dir --disable-pip-version-check {arguments}'
            )
        case PythonPackageInstaller.UV:
            yield from _FIND_PIP
            uv = shlex.quote(f"uv=={item.installer.version}")
            yield (
                'PIP_ROOT_USER_ACTION=ignore "$pip" -m pip install --quiet --no-cache-dir'
                f" --disable-pip-version-check --target={_UV_DIRECTORY} {uv}"
            )
            # uv leaves the lock it holds on a system's Python among the temporary files.
            yield (
                f"TMPDIR={_UV_DIRECTORY} UV_BREAK_SYSTEM_PACKAGES=1 {_UV_DIRECTORY}/bin/uv pip install"
                f' --no-cache --python="$python" {arguments}'
            )
            yield f"rm -rf {_UV_DIRECTORY}"
        case _:
            assert_never(name)


def _arguments(installer: Installer) -> Iterator[str]:
    """Options of the installer as words; None is a bare flag and a list repeats the option."""
    for name, value in installer.arguments.items():
        flag = f"--{name.replace('_', '-')}"
        values: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)
        yield from (flag if item is None else f"{flag}={item}" for item in values)
