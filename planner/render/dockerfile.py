"""Instructions → the text of a Dockerfile, and the files that text refers to.

Owns the encoding of every value for the language it enters: Dockerfile words (docs.docker.com,
"Dockerfile reference", environment replacement), shell words, JSON. User text is never pasted. Refuses
to know an engine: one text builds on all of them, so it uses neither BuildKit mounts nor heredocs.

Two builds of one text should come to the same bytes. So directories are copied and not made by WORKDIR
(which would give them the time of the build), every copy names its owner, and each RUN sets the times of
all that it changed to one time and empties the logs it wrote to. What cannot be the same: the times of
deletions, where an installer replaces what the parent has; and the times of directories of root, where a
command runs as another user.

Commands run as the parent's user, since nobody can know it without the parent. Where `user` is set the
image has a user of its own in the end, so there they run as root. Files belong to `user`, else to root. A
directory of the code that the parent has already is given to `user`, and else stays as it is; where the
parent declares it a volume, too, only BuildKit can do so.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, assert_never

from planner.image.instructions import (
    APP_DIRECTORY,
    CopyFiles,
    InstallApt,
    InstallProject,
    InstallRequirements,
    Instruction,
    SetEnvironment,
    SetUser,
)
from planner.image.spec import ExternalImage, ImageSpec
from planner.immutable import frozen
from planner.requirements.indexes import of_options
from planner.requirements.model import Option, constraint_lines, to_lines
from planner.requirements.options import beside, installer_arguments
from planner.requirements.packages import Package
from planner.values import EnvTemplate, PythonPackageInstaller, VariableRef, build_argument

__all__ = [
    "CONTEXT_EMPTY",
    "CONTEXT_TREES",
    "MARKER",
    "TIMESTAMP",
    "context_files",
    "dockerfile",
    "instruction_at",
    "label_text",
    "layer_text",
]

# 1980-01-01 00:00:00 UTC, the earliest time a zip archive can hold: wheels and zip applications are
# made from copied files, and an earlier time is an error there.
TIMESTAMP: Final = 315_532_800

# Trees and generated files have directories of their own in the build context, so that neither can
# overwrite the other and no ignore file reaches either.
CONTEXT_TREES: Final = "trees"
# A directory without files, to make directories from.
CONTEXT_EMPTY: Final = "empty"
_CONTEXT_REQUIREMENTS: Final = "requirements"
# At the top: what a copy makes on the way to a deeper directory changes the times of those it passes.
_IMAGE_REQUIREMENTS: Final = "/stowplan"

# Arguments that every builder knows without a declaration (Dockerfile reference, "Predefined ARGs").
_PREDEFINED: Final = frozenset(
    name
    for base in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (base, base.lower())
)


def dockerfile(spec: ImageSpec, base: str | None = None) -> str:
    """The Dockerfile of an image that is built. The same spec gives the same text, byte for byte.

    `base` is the reference to build on where the parent is another image of the plan: its working tag.
    """
    layers = filter(None, map(layer_text, spec.instructions))
    return "\n".join([*_head(spec, base), *layers, *_tail(spec)]) + "\n"


def _head(spec: ImageSpec, base: str | None) -> Iterator[str]:
    """The lines before those of the instructions."""
    parent = spec.parent
    if isinstance(parent, ExternalImage):
        yield f"# Parent image: {parent.reference}"
        yield f"FROM {parent.base}"
    else:
        yield f"FROM {base or f'stowplan-spec:{parent.hash.hex}'}"
    yield from (f"ARG {name}" for name in spec.build_args if name not in _PREDEFINED)
    if any(isinstance(item, SetUser) for item in spec.instructions):
        yield "USER 0"


def _tail(spec: ImageSpec) -> Iterator[str]:
    """The lines after those of the instructions."""
    if spec.labels:
        yield label_text(spec.labels)


def label_text(labels: Mapping[str, str]) -> str:
    """The instruction that sets labels."""
    words = (f"{_word(name)}={_word(value)}" for name, value in sorted(labels.items()))
    return "LABEL " + " \\\n    ".join(words)


def instruction_at(spec: ImageSpec, line: int) -> Instruction | None:
    """The instruction that a line of the Dockerfile belongs to, counted from 1; None for any other line."""
    end = sum(1 for _ in _head(spec, None))
    for item in spec.instructions:
        text = layer_text(item)
        begin, end = end, end + (text.count("\n") + 1 if text else 0)
        if begin < line <= end:
            return item
    return None


def layer_text(item: Instruction) -> str:
    """The lines of a Dockerfile that one instruction becomes, without the last line end.

    Empty for a source whose packages are all in layers before it.
    """
    return "\n".join(_lines(item))


def context_files(spec: ImageSpec) -> Mapping[str, bytes]:
    """The generated files of the build context, by their paths in it."""
    files: dict[str, bytes] = {}
    for item in spec.instructions:
        if isinstance(item, InstallRequirements):
            for name, lines in _requirement_files(item).items():
                text = "".join(f"{line}\n" for line in lines)
                files[f"{_CONTEXT_REQUIREMENTS}/{item.source}/{name}"] = text.encode()
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
                _EMPTY_LOGS,
            )
        case InstallRequirements() if item.closure is not None and not item.closure.packages:
            return
        case InstallRequirements():
            yield f"COPY --chown=0:0 {_CONTEXT_REQUIREMENTS}/{item.source}/ {_IMAGE_REQUIREMENTS}/"
            yield _run(*_install(item))
        case CopyFiles():
            if item.owner:
                # A copy makes a directory with this owner, also where the parent declares it a volume, but
                # does not change the owner of one that the parent has already.
                yield f"COPY --chown={_owner(item)} {CONTEXT_EMPTY}/ {item.destination}/"
                yield _run(f"chown {shlex.quote(_owner(item))} {shlex.quote(item.destination)}")
            yield f"COPY --chown={_owner(item)} {CONTEXT_TREES}/{item.tree}/ {item.destination}/"
            yield f"WORKDIR {item.destination}"
        case InstallProject():
            script = " && ".join((_BEGIN, *_project(item), _SETTLE))
            yield "RUN " + json.dumps(["/bin/sh", "-c", script, item.command], ensure_ascii=False)
        case SetUser():
            yield f"USER {item.user}"
        case _:
            assert_never(item)


def _owner(item: CopyFiles | InstallProject) -> str:
    """The owner of files, always with a group: root's, unless another is given.

    Without an owner builders disagree where the parent has a user, and without a group the classic builder
    wants one with the user's name, which `nobody` does not have.
    """
    owner = item.owner or "0"
    return owner if ":" in owner else f"{owner}:0"


def _variables(item: SetEnvironment) -> tuple[str, ...]:
    return tuple(sorted({name for value in item.variables.values() for name in value.variables}))


def _template(value: EnvTemplate) -> str:
    """A value with references to build arguments as a Dockerfile word."""
    words = [
        f"${{{build_argument(part.name)}}}" if isinstance(part, VariableRef) else _escaped(part.text)
        for part in value.parts
    ]
    return f'"{"".join(words)}"'


def _word(text: str) -> str:
    """Text as a Dockerfile word."""
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Text for between double quotes, where only these three characters mean something."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")


# What a RUN begins with: programs that know of this variable (reproducible-builds.org) write its time and
# not theirs, and Python keeps what it compiles to itself. The file tells, at the end, what is newer.
MARKER: Final = "/dev/shm/stowplan"  # noqa: S108  # in the container of one RUN, and in no layer
_BEGIN: Final = (
    f"export SOURCE_DATE_EPOCH={TIMESTAMP} PYTHONDONTWRITEBYTECODE=1 && "
    f"{{ {{ touch {MARKER} && sleep 0.01; }} 2>/dev/null || :; }}"
)
# And what it ends with. /etc has the time at which the builder put its hosts file there. A parent that has
# no `find`, or a user who may not, makes an image that is right, and differs in times.
_SETTLE: Final = (
    r"{ { find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o "
    rf"-newer {MARKER} -exec touch -h -d @{TIMESTAMP} {{}} + ; touch -d @{TIMESTAMP} /etc; }} "
    "2>/dev/null || :; }"
)
# Logs with times, and ldconfig's cache of inodes. Deleted ones would leave the time of their deletion.
_EMPTY_LOGS: Final = (
    "for log in /var/log/dpkg.log /var/log/alternatives.log /var/log/apt/history.log /var/log/apt/term.log "
    '/var/log/apt/eipp.log.xz /var/cache/ldconfig/aux-cache; do if [ -s "$log" ]; then : > "$log"; fi; done'
)


def _run(*commands: str) -> str:
    return "RUN " + " && \\\n    ".join((_BEGIN, *commands, _SETTLE))


def _requirement_files(item: InstallRequirements) -> Mapping[str, tuple[str, ...]]:
    """The files of one source by their names: of resolved packages, one for each way to install them."""
    if item.closure is None:
        files = {f"{item.source}.txt": to_lines(item.requirements)}
        if item.requirements.constraints:
            files[f"{item.source}-constraints.txt"] = constraint_lines(item.requirements)
        return files
    return {part.file: tuple(each.requirement.line for each in part.packages) for part in _parts(item)}


@frozen
class _Part:
    """Packages of a source that one call of the installer installs, and the index that is theirs alone."""

    file: str
    packages: tuple[Package, ...]
    hashed: bool
    index: str | None = None


def _parts(item: InstallRequirements) -> Iterator[_Part]:
    """The packages of a closure, divided by the way to install them and by their indexes."""
    if item.closure is None:
        return
    indexes = of_options(item.options)
    for kind, end in _FILE_ENDS.items():
        of_index: dict[str | None, list[Package]] = {}
        for package in item.closure.of_kind(kind):
            of_index.setdefault(indexes.get(package.name) if package.version else None, []).append(package)
        # Those of all indexes come first: what is built may import them.
        for number, url in enumerate(sorted(of_index, key=lambda url: url or "")):
            more = f"-index{number + (None not in of_index)}" if url else ""
            packages = tuple(of_index[url])
            yield _Part(f"{item.source}{end}{more}.txt", packages, kind != "vcs", url)


# Wheels come first: what is built may import them.
_FILE_ENDS: Final[Mapping[str, str]] = {"wheel": "", "sdist": "-sdist", "vcs": "-vcs"}


# The Python to install for: that of an active virtual environment, else the first on the PATH.
_PYTHON: Final = (
    'command -v "${VIRTUAL_ENV:-/nonexistent}/bin/python" || command -v python || command -v python3'
)
_NO_PYTHON: Final = '{ echo "stowplan: the parent image has no python" >&2; exit 1; }'
_FIND_PYTHON: Final = f'python="$({_PYTHON} || {_NO_PYTHON})"'
# uv can install for an environment that has no pip of its own; then the base installation's brings uv.
_BASE_PYTHON: Final = '"$("$python" -c "import sys; print(sys._base_executable)")"'
_FIND_PIP: Final = (
    'pip="$python"',
    f'{{ "$pip" -m pip --version >/dev/null 2>&1 || pip={_BASE_PYTHON}; }}',
)
_UV_DIRECTORY: Final = "/tmp/stowplan-uv"  # noqa: S108  # a directory of the image that is gone when its layer ends


def _install(item: InstallRequirements) -> Iterator[str]:
    """The commands of one layer: nothing of the installer and of its caches stays in it."""
    name = item.installer.name
    calls = [shlex.join(words) for words in _calls(item)]
    yield _FIND_PYTHON
    # An image is nobody else's environment: PEP 668's guard protects nothing in it.
    match name:
        case PythonPackageInstaller.PIP:
            for arguments in calls:
                yield (
                    'PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore "$python" -m pip install'
                    f" --no-cache-dir --disable-pip-version-check --no-compile {arguments}"
                )
        case PythonPackageInstaller.UV:
            yield from _bring_uv(item.installer.version)
            for arguments in calls:
                # uv leaves the lock it holds on a system's Python among the temporary files.
                yield (
                    f"TMPDIR={_UV_DIRECTORY} UV_BREAK_SYSTEM_PACKAGES=1 {_UV_DIRECTORY}/bin/uv pip install"
                    f' --no-cache --python="$python" {arguments}'
                )
            yield f"rm -rf {_UV_DIRECTORY}"
        case _:
            assert_never(name)


def _bring_uv(version: str | None) -> Iterator[str]:
    """The commands that put uv where nothing stays of it, for the Python that was found."""
    yield from _FIND_PIP
    yield (
        'PIP_ROOT_USER_ACTION=ignore "$pip" -m pip install --quiet --no-cache-dir'
        f" --disable-pip-version-check --target={_UV_DIRECTORY} {shlex.quote(f'uv=={version}')}"
    )


def _project(item: InstallProject) -> Iterator[str]:
    """The commands around the user's own, which is the script's `$0`."""
    if item.uv is not None:
        # The parent's own uv is the one that its users know, and pinned with it. It may need no Python.
        yield f'python="$({_PYTHON} || :)"'
        bring = " && ".join((f'{{ [ -n "$python" ] || {_NO_PYTHON}; }}', *_bring_uv(item.uv)))
        yield f"{{ command -v uv >/dev/null || {{ {bring}; }}; }}"
        # What it is not told otherwise, it does for the Python that requirements are installed for.
        yield '{ [ -z "$python" ] || export UV_PYTHON="${UV_PYTHON:-$python}"; }'
        yield f"mkdir -p {_UV_DIRECTORY}"
        yield f"export TMPDIR={_UV_DIRECTORY} UV_CACHE_DIR={_UV_DIRECTORY}/cache UV_BREAK_SYSTEM_PACKAGES=1"
        yield f'export PATH="$PATH:{_UV_DIRECTORY}/bin"'
    yield '/bin/sh -c "$0"'
    if item.uv is not None:
        yield f"rm -rf {_UV_DIRECTORY}"
    if item.owner is not None:
        owner, directory = shlex.quote(_owner(item)), shlex.quote(APP_DIRECTORY)
        # Without GNU's find all is taken for new, and stored twice.
        yield (
            f"{{ find {directory} -xdev -user 0 -cnewer {MARKER} -exec chown -h {owner} {{}} + 2>/dev/null"
            f" || chown -hR {owner} {directory}; }}"
        )


def _calls(item: InstallRequirements) -> Iterator[tuple[str, ...]]:
    """The arguments of each call of the installer.

    What comes from version control has no hash, and hash checking is all or nothing, so it is apart.
    """
    installer: Literal["uv", "pip"] = item.installer.name.value
    if item.closure is None:
        kinds = {f"{item.source}.txt": "requirement", f"{item.source}-constraints.txt": "constraint"}
        yield (
            *installer_arguments(beside(item.requirements.options, item.installer.arguments), installer),
            *_arguments(item.installer.arguments),
            *(f"--{kinds[file]}={_IMAGE_REQUIREMENTS}/{file}" for file in _requirement_files(item)),
        )
        return
    for part in _parts(item):
        left_out = _SAID if part.index is None else _SAID | _CHOOSING_INDEX
        given = beside(item.options, item.installer.arguments)
        options = tuple(option for option in given if option.name not in left_out)
        arguments = {name: value for name, value in item.installer.arguments.items() if name not in left_out}
        if part.index is not None:
            # The first one counts for uv, and for pip the file with the hash.
            options = (Option("extra-index-url", part.index), *options)
        yield (
            *installer_arguments(options, installer),
            *_arguments(arguments),
            "--no-deps",
            *(("--require-hashes",) if part.hashed else ()),
            f"--requirement={_IMAGE_REQUIREMENTS}/{part.file}",
        )


# What a call says itself about packages that are resolved: twice would be an error.
_SAID: Final = frozenset({"no-deps", "require-hashes"})
# What would keep uv and pip from the one index that a package is from.
_CHOOSING_INDEX: Final = frozenset({"index-strategy", "no-index", "torch-backend"})


def _arguments(given: Mapping[str, Any]) -> Iterator[str]:
    """Options of an installer as words; None is a bare flag and a list repeats the option."""
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        values: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)
        yield from (flag if item is None else f"{flag}={item}" for item in values)
