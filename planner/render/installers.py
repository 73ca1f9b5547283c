"""What installs packages and projects, as commands of a shell in the image.

Owns which Python is installed for, how an installer that the parent does not have is brought and goes again,
and where what it keeps between builds is mounted. Refuses to paste user text: every word is quoted.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, assert_never

from planner.image.instructions import APP_DIRECTORY, InstallProject, InstallRequirements
from planner.immutable import frozen
from planner.requirements.indexes import as_installer_option, for_installer, of_options
from planner.requirements.model import constraint_lines, to_lines
from planner.requirements.options import beside, installer_arguments
from planner.requirements.packages import Package
from planner.settings.cache_mount import CacheMount
from planner.settings.package_indexes import PackageIndex, index_of
from planner.settings.secrets import SECRET_DIRECTORY, logins_id, mount_id
from planner.values import PythonPackageInstaller, single_arguments

__all__ = [
    "IMAGE_REQUIREMENTS",
    "NO_PYTHON",
    "cache_flag",
    "install_commands",
    "login_flag",
    "project_commands",
    "requirement_files",
    "secret_flags",
]

# At the top: what a copy makes on the way to a deeper directory changes the times of those it passes.
IMAGE_REQUIREMENTS: Final = "/stowplan"
# Where the logins of indexes are mounted, in the form that uv and pip read.
_NETRC: Final = f"{SECRET_DIRECTORY}/netrc"
# Where a cache is mounted, whatever its target: in no layer, so that no builder leaves a directory behind.
_CACHE: Final = "/dev/shm/stowplan-cache"  # noqa: S108  # in the container of one RUN, and in no layer


def cache_flag(cache: CacheMount) -> str:
    """The flag of a RUN that mounts a cache. It is known by its ID, which is its target by default."""
    given = {"sharing": cache.sharing, "uid": cache.uid, "gid": cache.gid}
    words = [f"id={cache.id or cache.target}", *(f"{name}={value}" for name, value in given.items() if value)]
    return f"--mount=type=cache,target={_CACHE},{','.join(words)} "


def secret_flags(secrets: Mapping[str, int] | None) -> str:
    """The flags of a RUN that mounts secrets, each at its place in the directory of secrets.

    Whoever runs the command can read them: it may be a user of the parent, by a name that says no number.
    """
    return "".join(
        f"--mount=type=secret,id={mount_id(name, version)},target={SECRET_DIRECTORY}/{name},mode=0444,"
        "required=true "
        for name, version in (secrets or {}).items()
    )


def login_flag(secrets: Mapping[str, int] | None) -> str:
    """The flag of a RUN that mounts the logins of indexes, which are made of secrets."""
    if not secrets:
        return ""
    return f"--mount=type=secret,id={logins_id(secrets)},target={_NETRC},mode=0444,required=true "


def requirement_files(item: InstallRequirements) -> Mapping[str, tuple[str, ...]]:
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
    index: PackageIndex | None = None


def _parts(item: InstallRequirements) -> Iterator[_Part]:
    """The packages of a closure, divided by the way to install them and by their indexes."""
    if item.closure is None:
        return
    indexes = of_options(item.options)
    for kind, end in _FILE_ENDS.items():
        of_index: dict[PackageIndex | None, list[Package]] = {}
        for package in item.closure.of_kind(kind):
            index = index_of(indexes, package.name) if package.version else None
            of_index.setdefault(index, []).append(package)
        # Those of all indexes come first: what is built may import them.
        if None in of_index:
            yield _Part(f"{item.source}{end}.txt", tuple(of_index.pop(None)), kind != "vcs")
        for number, index in enumerate((each for each in indexes if each in of_index), 1):
            file = f"{item.source}{end}-index{number}.txt"
            yield _Part(file, tuple(of_index[index]), kind != "vcs", index)


# Wheels come first: what is built may import them.
_FILE_ENDS: Final[Mapping[str, str]] = {"wheel": "", "sdist": "-sdist", "vcs": "-vcs"}


# The Python to install for: that of an active virtual environment, else the first on the PATH.
_PYTHON: Final = (
    'command -v "${VIRTUAL_ENV:-/nonexistent}/bin/python" || command -v python || command -v python3'
)
# What a build says then.
NO_PYTHON: Final = "stowplan: the parent image has no python"
_NO_PYTHON: Final = f'{{ echo "{NO_PYTHON}" >&2; exit 1; }}'
_FIND_PYTHON: Final = f'python="$({_PYTHON} || {_NO_PYTHON})"'
# uv can install for an environment that has no pip of its own; then the base installation's brings uv.
_BASE_PYTHON: Final = '"$("$python" -c "import sys; print(sys._base_executable)")"'
_FIND_PIP: Final = (
    'pip="$python"',
    f'{{ "$pip" -m pip --version >/dev/null 2>&1 || pip={_BASE_PYTHON}; }}',
)
_UV_DIRECTORY: Final = "/tmp/stowplan-uv"  # noqa: S108  # a directory of the image that is gone when its layer ends


def install_commands(item: InstallRequirements, cache: CacheMount | None) -> Iterator[str]:
    """The commands of one layer: nothing of the installer and of its caches stays in it."""
    name = item.installer.name
    calls = [shlex.join(words) for words in _calls(item)]
    if item.secrets:
        yield f"export NETRC={_NETRC}"
    yield _FIND_PYTHON
    none = {PythonPackageInstaller.PIP: "--no-cache-dir", PythonPackageInstaller.UV: "--no-cache"}[name]
    caching = none
    if cache is not None:
        # A user who may not write there installs without it.
        yield f"if [ -w {_CACHE} ]; then cache=--cache-dir={_CACHE}; else cache={none}; fi"
        caching = '"$cache"'
    # An image is nobody else's environment: PEP 668's guard protects nothing in it.
    match name:
        case PythonPackageInstaller.PIP:
            for arguments in calls:
                yield (
                    'PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore "$python" -m pip install'
                    f" {caching} --disable-pip-version-check --no-compile {arguments}"
                )
        case PythonPackageInstaller.UV:
            yield from _bring_uv(item.installer.version)
            for arguments in calls:
                # uv leaves the lock it holds on a system's Python among the temporary files.
                yield (
                    f"TMPDIR={_UV_DIRECTORY} UV_BREAK_SYSTEM_PACKAGES=1 {_UV_DIRECTORY}/bin/uv pip install"
                    f' {caching} --python="$python" {arguments}'
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


def project_commands(item: InstallProject, owner: str | None, marker: str) -> Iterator[str]:
    """The commands around the user's own, which is the script's `$0`.

    What is newer than the file `marker` is given to `owner`, as chown takes it.
    """
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
    # As for requirements: PEP 668's guard protects nothing in an image.
    yield "export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore"
    yield '/bin/sh -c "$0"'
    if item.uv is not None:
        yield f"rm -rf {_UV_DIRECTORY}"
    if item.group_writes:
        # Before it is given away. What is writable already, as all that was copied, is not stored again.
        directory = shlex.quote(APP_DIRECTORY)
        new = '-user "$(id -u)" -group 0 ! -type l ! -perm -020 -exec chmod g=u {} +'
        found = f"find {directory} -xdev"
        yield (
            f"{{ {found} -cnewer {marker} {new} 2>/dev/null || {found} {new} 2>/dev/null"
            f" || chmod -R g=u {directory}; }}"
        )
    if owner is not None:
        to, directory = shlex.quote(owner), shlex.quote(APP_DIRECTORY)
        # Without GNU's find all is taken for new, and stored twice.
        yield (
            f"{{ find {directory} -xdev -user 0 -cnewer {marker} -exec chown -h {to} {{}} + 2>/dev/null"
            f" || chown -hR {to} {directory}; }}"
        )


def _calls(item: InstallRequirements) -> Iterator[tuple[str, ...]]:
    """The arguments of each call of the installer.

    What comes from version control has no hash, and hash checking is all or nothing, so it is apart.
    """
    installer: Literal["uv", "pip"] = item.installer.name.value
    if item.closure is None:
        kinds = {f"{item.source}.txt": "requirement", f"{item.source}-constraints.txt": "constraint"}
        yield (
            *installer_arguments(
                beside(for_installer(item.requirements.options, installer), item.installer.arguments),
                installer,
            ),
            *_arguments(item.installer.arguments),
            *(f"--{kinds[file]}={IMAGE_REQUIREMENTS}/{file}" for file in requirement_files(item)),
        )
        return
    for part in _parts(item):
        left_out = _SAID if part.index is None else _SAID | _CHOOSING_INDEX
        given = beside(for_installer(item.options, installer), item.installer.arguments)
        options = tuple(option for option in given if option.name not in left_out)
        arguments = {name: value for name, value in item.installer.arguments.items() if name not in left_out}
        if part.index is not None:
            # The first one counts for uv, and for pip the file with the hash.
            options = tuple(dict.fromkeys((as_installer_option(part.index, installer), *options)))
        yield (
            *installer_arguments(options, installer),
            *_arguments(arguments),
            "--no-deps",
            *(("--require-hashes",) if part.hashed else ()),
            f"--requirement={IMAGE_REQUIREMENTS}/{part.file}",
        )


# What a call says itself about packages that are resolved: twice would be an error.
_SAID: Final = frozenset({"no-deps", "require-hashes"})
# What would keep uv and pip from the one index that a package is from.
_CHOOSING_INDEX: Final = frozenset({"index-strategy", "no-index", "torch-backend"})


def _arguments(given: Mapping[str, Any]) -> Iterator[str]:
    """Options of an installer as words; None is a bare flag and a list repeats the option."""
    for name, item in single_arguments(given):
        flag = f"--{name.replace('_', '-')}"
        yield flag if item is None else f"{flag}={item}"
