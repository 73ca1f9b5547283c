"""What a user may ask for: DockerSettings, one layer of settings as it was written.

Owns every attribute of the reference under the reference's name, what it takes, its default, and whether
it counts. Refuses to act on any of it: `effective` says what several layers come to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import evolve

from planner.errors import Problem
from planner.identity import COUNTED, NOT_COUNTED
from planner.immutable import frozen
from planner.requirements.credentials import PRIVATE_INDEX
from planner.settings.build_options import BuildConfig, check_arguments, env_name
from planner.settings.cache_mount import cache_mount
from planner.settings.checked import Layer, Unset, decoded, of_kind, setting
from planner.settings.checks import (
    apt_package,
    boolean,
    image_ref,
    list_of,
    mapping_of,
    matching,
    member_of,
    one_of,
    optional,
    project_path,
    saying,
    text,
    without_login,
)
from planner.settings.deprecated import DEPRECATED
from planner.settings.package_indexes import PackageIndex, indexes_check, indexes_of_tables
from planner.settings.secrets import Secret, secrets_check, secrets_of_tables
from planner.values import (
    PATH_PATTERN,
    TAG_PATTERN,
    FrozenMapping,
    PythonPackageInstaller,
    dashed_arguments,
    freeze,
)

__all__ = ["USER", "DockerSettings"]


_USER_PART: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
USER: Final = rf"{_USER_PART}(?::{_USER_PART})?"

_plain_variables = mapping_of(
    env_name, without_login(text, "write ${NAME} in its place, and set that variable where stowplan runs")
)
# Variables in which uv and pip look for indexes.
_INDEX_VARIABLE: Final = re.compile(r"(?:UV|PIP)_(?:\w*INDEX(?:_URL)?|FIND_LINKS)")


@saying({**_plain_variables.schema, "additionalProperties": {"type": ["string", "number", "boolean"]}})
def _variables(value: object) -> Iterator[Problem]:
    """Variables with their values. With a login, an index belongs elsewhere: what is here is in the image."""
    for problem in _plain_variables(value):
        name = str(problem.where.path[0]) if problem.where.path else ""
        if _INDEX_VARIABLE.fullmatch(name) and problem.found.startswith("holds credentials"):
            yield evolve(problem, fix=PRIVATE_INDEX)
        else:
            yield problem


_command = without_login(
    text, "set a variable with ${NAME} in environment, and write $VARIABLE in the command in its place"
)


_FREEZE_METHODS: Final = ("pip_freeze", "uv_freeze", "poetry_export")


def _as_text(value: object) -> Any:
    """A converter: numbers and booleans among the values of a table become text, as Python writes them."""
    if not isinstance(value, Mapping):
        return freeze(value)
    return FrozenMapping(
        {
            name: str(item) if isinstance(item, bool | int | float) else freeze(item)
            for name, item in value.items()
        }
    )


@saying({"anyOf": [project_path.schema, list_of(text).schema]})
def _requirements(value: object) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield from list_of(without_login(text, PRIVATE_INDEX))(value)
        return
    from planner.requirements.lists import is_requirement  # noqa: PLC0415  # what reads them loads much

    if is_requirement(value):
        found = "a requirement, where the path of a requirements file is expected"
        yield Problem.at((), found, f'write a list: ["{value}"]')
    else:
        yield from project_path(value)


_group: Final = matching(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", "a name of a group", "train")


@saying(project_path.schema)
def _pyproject(value: object) -> Iterator[Problem]:
    from planner.pyproject import PYPROJECT, is_pylock  # noqa: PLC0415  # as above

    problems = tuple(project_path(value))
    yield from problems
    if not problems and isinstance(value, str):
        name = value.rpartition("/")[2]
        if name != PYPROJECT and not is_pylock(value):
            found = f"not the path of a pyproject.toml or a pylock.toml: {value!r}"
            yield Problem.at((), found, 'write "pyproject.toml"; a requirements file belongs in requirements')


@saying({"anyOf": [boolean.schema, one_of(*_FREEZE_METHODS).schema, list_of(text).schema]})
def _freeze_method(value: object) -> Iterator[Problem]:
    """True, the name of a method, or a command (the reference has had all three)."""
    if isinstance(value, str):
        yield from one_of(*_FREEZE_METHODS)(value)
    elif not isinstance(value, bool):
        yield from list_of(text)(value)


@frozen(kw_only=True, cache_hash=True)
class DockerSettings(Layer):
    """What a pipeline or a step asks of its image.

    All attributes are optional, and all paths are relative to the project's root. An attribute that is
    not given is UNSET, and comes from the pipeline's settings or is the default that its text names.
    PlannerError lists every problem of every attribute.

    >>> DockerSettings(parent_image="python:3.11-slim", apt_packages=["git"]).apt_packages
    ('git',)
    """

    parent_image: str | Unset | None = setting(None, optional(image_ref), COUNTED)
    """Image to build on. Default: `python:<major.minor>-slim` of the Python that plans."""
    image_tag: str | Unset | None = setting(
        None, optional(matching(TAG_PATTERN, "an image tag", "1.0.0")), NOT_COUNTED
    )
    """A further tag for the image. Of several images of one repository the last keeps it."""
    dockerfile: str | Unset | None = setting(None, optional(project_path), COUNTED)
    """A Dockerfile to build the parent image from: then `parent_image` is not used."""
    build_context_root: str | Unset | None = setting(None, optional(project_path), COUNTED)
    """Directory whose files `dockerfile` may copy. Default: none, a context with the Dockerfile alone."""
    parent_image_build_config: BuildConfig | Mapping[str, Any] | Unset | None = setting(
        None, optional(of_kind(BuildConfig)), COUNTED, convert=decoded(BuildConfig)
    )
    """How the image of `dockerfile` is built: `build_options` and `dockerignore`, as in `build_config`."""
    skip_build: bool | Unset = setting(False, boolean, COUNTED)
    """Use `parent_image` as it is."""
    prevent_build_reuse: bool | Unset = setting(False, boolean, NOT_COUNTED)
    """Build even when the image already exists."""
    target_repository: str | Unset | None = setting(
        None, optional(matching(PATH_PATTERN, "a repository", "team/training")), NOT_COUNTED
    )
    """Repository to push to, below the URI of the stack's registry."""
    python_package_installer: PythonPackageInstaller | str | Unset = setting(
        PythonPackageInstaller.UV,
        one_of(*PythonPackageInstaller),
        COUNTED,
        convert=member_of(PythonPackageInstaller),
    )
    """`uv` or `pip`."""
    python_package_installer_args: Mapping[str, Any] | Unset = setting(
        FrozenMapping(),
        check_arguments,
        COUNTED,
        convert=dashed_arguments,
    )
    """Options of the installer by name, without dashes; None (in TOML: true) is a bare flag."""
    package_indexes: Sequence[PackageIndex | Mapping[str, Any]] | Unset = setting(
        (), indexes_check, NOT_COUNTED, convert=indexes_of_tables
    )
    """Indexes beside PyPI: `name`, `url`, and the `packages` that are from there alone."""
    python_package_installer_cache_mount: str | Unset | None = setting(
        None, optional(cache_mount), NOT_COUNTED
    )
    """Cache that the installer keeps between builds: a directory, or `type=cache,target=…`."""
    machine_network: bool | Unset = setting(False, boolean, NOT_COUNTED)
    """While the image is built, use the proxies (`HTTPS_PROXY`, `NO_PROXY`, …) and the certificates
    (`SSL_CERT_FILE`) of the machine that builds. Nothing of them stays in the image."""
    disable_automatic_requirements_detection: bool | Unset = setting(True, boolean, COUNTED)
    """False installs from the project's requirements.txt, else its pyproject.toml, where no other setting
    says what to install."""
    replicate_local_python_environment: bool | str | Sequence[str] | Unset = setting(
        False, _freeze_method, COUNTED
    )
    """Install what the Python that the user works in has installed: true, `pip_freeze`, `uv_freeze` or
    `poetry_export`. Taken when the lock is written."""
    skip_local_packages: bool | Unset = setting(False, boolean, COUNTED)
    """Leave out packages of this machine alone (editable, `file://`) that a program lists, with a note."""
    pyproject_path: str | Unset | None = setting(None, optional(_pyproject), COUNTED)
    """A pyproject.toml whose dependencies are installed, or a pylock.toml."""
    pyproject_extras: Sequence[str] | Unset = setting((), list_of(_group), COUNTED)
    """Extras of `pyproject_path` that are installed as well."""
    pyproject_groups: Sequence[str] | Unset = setting((), list_of(_group), COUNTED)
    """Dependency groups of `pyproject_path` that are installed as well."""
    pyproject_export_command: Sequence[str] | Unset = setting((), list_of(text), COUNTED)
    """Command that prints the requirements of `pyproject_path`; `{directory}` is where that is."""
    python_version: str | Unset | None = setting(
        None, optional(matching(r"3\.[0-9]{1,2}(?:\.[0-9]{1,2})?", "a Python version", "3.11")), NOT_COUNTED
    )
    """Python of the parent image, for which requirements are resolved. Default: what the image tells."""
    requirements: str | Sequence[str] | Unset = setting((), _requirements, COUNTED)
    """Requirements to install: the path of a requirements file, or a list of requirements and such paths."""
    required_integrations: Sequence[str] | Unset = setting((), list_of(text), COUNTED)
    """Integrations whose requirements and Debian packages are installed."""
    install_stack_requirements: bool | Unset = setting(True, boolean, COUNTED)
    """Install what the stack's components require."""
    install_deployment_requirements: bool | Unset = setting(True, boolean, COUNTED)
    """If the stack has a deployer, install what `settings.deployment` of the pipeline requires."""
    prefer_own_requirements: bool | Unset = setting(False, boolean, NOT_COUNTED)
    """Where `requirements`, `pyproject_path` or the local Python contradict what the stack, the deployment,
    integrations or packages require, the former win, with a note."""
    local_project_install_command: str | Unset | None = setting(None, optional(_command), COUNTED)
    """Shell command that installs the included files as a package, run in /app."""
    apt_packages: Sequence[str] | Unset = setting((), list_of(apt_package), COUNTED)
    """Debian packages to install."""
    environment: Mapping[str, Any] | Unset = setting(FrozenMapping(), _variables, COUNTED, convert=_as_text)
    """Variables set before anything is installed. `${NAME}` takes the planning machine's value, `{parent}`
    the one in the parent image; numbers and booleans become text as Python writes them: `True`, `1.5`."""
    runtime_environment: Mapping[str, Any] | Unset = setting(
        FrozenMapping(), _variables, COUNTED, convert=_as_text
    )
    """Variables set after everything is installed."""
    secrets: Mapping[str, Secret | Mapping[str, Any]] | Unset = setting(
        FrozenMapping(), secrets_check, NOT_COUNTED, convert=secrets_of_tables
    )
    """Secrets by name, each `{ env = "NAME" }` or `{ file = "path" }`. `/run/secrets/<name>` has the value
    while an instruction runs that names it, and no layer has it. Another `version` builds anew."""
    user: str | Unset | None = setting(None, optional(matching(USER, "a user", "1000:1000")), COUNTED)
    """User of the container, and owner of /app: one the parent image has, or a number."""
    writable_by_any_user: bool | Unset = setting(False, boolean, COUNTED)
    """Any user of group 0 may write to /app and to what is copied there, as on OpenShift."""
    build_config: BuildConfig | Mapping[str, Any] | Unset = setting(
        BuildConfig(), of_kind(BuildConfig), COUNTED, convert=decoded(BuildConfig)
    )
    """How the image is built: `build_options` and `dockerignore`."""
    allow_download_from_code_repository: bool | Unset = setting(True, boolean, COUNTED)
    """The code may be downloaded from a code repository, where the checkout is clean and pushed."""
    allow_download_from_artifact_store: bool | Unset = setting(True, boolean, COUNTED)
    """The code may be uploaded to the artifact store of the stack, and downloaded from there."""
    allow_including_files_in_images: bool | Unset = setting(True, boolean, COUNTED)
    """The code may be copied into the image, under /app."""

    @classmethod
    def translate(cls, data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem]]:
        """The settings without deprecated names, each of which is a problem that says what is used now."""
        problems = [
            Problem.at((name,), "is not a setting any more", fix)
            for name, fix in DEPRECATED.items()
            if name in data
        ]
        return {name: value for name, value in data.items() if name not in DEPRECATED}, problems
