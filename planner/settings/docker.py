"""What a user may ask for: DockerSettings.

Owns every attribute of the reference under the reference's name, what it takes, and which side of
identity it is on. Refuses to act on any of it: `recipe` turns settings into instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from attrs import frozen

from planner.errors import Problem
from planner.identity import APART, EVERYWHERE
from planner.settings.build_options import ARGUMENTS, BuildConfig, bare_flags, env_name
from planner.settings.checks import (
    Checked,
    boolean,
    decoded,
    image_ref,
    list_of,
    mapping_of,
    matching,
    member_of,
    one_of,
    optional,
    project_path,
    setting,
    text,
    valid,
)
from planner.values import PATH_PATTERN, TAG_PATTERN, EnvTemplate, FrozenMapping, build_argument

__all__ = ["LATER", "DockerSettings", "PythonPackageInstaller", "not_there_yet"]


class PythonPackageInstaller(StrEnum):
    """The program that installs Python packages in an image."""

    UV = "uv"
    PIP = "pip"


# Debian Policy 5.6.1 names, with apt-get's `:architecture`, `=version` and `/release`. A name may not
# end in `-`, which apt-get reads as "remove".
APT_PACKAGE: Final = (
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](?::[a-z0-9-]*[a-z0-9])?"
    r"(?:=[A-Za-z0-9.+:~-]+|/[A-Za-z0-9][A-Za-z0-9.-]*)?"
)
_USER_PART: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"

_variables = mapping_of(env_name, text)


def _requirements(value: object) -> Iterator[Problem]:
    if isinstance(value, str):
        yield from project_path(value)
    else:
        yield from list_of(text)(value)


def _freeze_method(value: object) -> Iterator[Problem]:
    """True, the name of a method, or a command (the reference has had all three)."""
    if isinstance(value, str):
        yield from matching("pip_freeze|poetry_export", "a way to list the local packages", "pip_freeze")(
            value
        )
    elif not isinstance(value, bool):
        yield from list_of(text)(value)


@frozen(kw_only=True)
class DockerSettings(Checked):
    """What a pipeline or a step asks of its image.

    All attributes are optional, and all paths are relative to the project's root. PlannerError lists
    every problem of every attribute.

    >>> DockerSettings(parent_image="python:3.11-slim", apt_packages=["git"]).apt_packages
    ('git',)
    """

    parent_image: str | None = setting(None, optional(image_ref), EVERYWHERE)
    """Image to build on. Default: `python:<major.minor>-slim` of the Python that plans."""
    image_tag: str | None = setting(None, optional(matching(TAG_PATTERN, "an image tag", "1.0.0")), APART)
    """A further tag for the image. Of several images of one repository the last keeps it."""
    dockerfile: str | None = setting(None, optional(project_path), EVERYWHERE)
    """A Dockerfile to build the parent image from. Not there yet."""
    build_context_root: str | None = setting(None, optional(project_path), EVERYWHERE)
    """Build context of `dockerfile`. Not there yet."""
    parent_image_build_config: BuildConfig | Mapping[str, Any] | None = setting(
        None, valid, EVERYWHERE, convert=decoded(BuildConfig)
    )
    """How the image of `dockerfile` is built. Not there yet."""
    skip_build: bool = setting(False, boolean, EVERYWHERE)
    """Use `parent_image` as it is."""
    prevent_build_reuse: bool = setting(False, boolean, APART)
    """Build even when the image already exists."""
    target_repository: str | None = setting(
        None, optional(matching(PATH_PATTERN, "a repository", "team/training")), APART
    )
    """Repository to push to, below the URI of the stack's registry."""
    python_package_installer: PythonPackageInstaller | str = setting(
        PythonPackageInstaller.UV,
        one_of(PythonPackageInstaller),
        EVERYWHERE,
        convert=member_of(PythonPackageInstaller),
    )
    """`uv` or `pip`."""
    python_package_installer_args: Mapping[str, Any] = setting(
        FrozenMapping(),
        ARGUMENTS,
        EVERYWHERE,
        convert=bare_flags,
    )
    """Options of the installer by name, without dashes; None (in TOML: true) is a bare flag."""
    python_package_installer_cache_mount: str | None = setting(
        None, optional(matching(r"/[A-Za-z0-9_./-]+", "an absolute path", "/root/.cache/uv")), EVERYWHERE
    )
    """Directory to mount as a cache while packages are installed. Not there yet."""
    disable_automatic_requirements_detection: bool = setting(True, boolean, EVERYWHERE)
    """False looks for a requirements file or a pyproject.toml by itself. Not there yet."""
    replicate_local_python_environment: bool | str | Sequence[str] = setting(
        False, _freeze_method, EVERYWHERE
    )
    """Install what the planning Python has installed. Not there yet."""
    pyproject_path: str | None = setting(None, optional(project_path), EVERYWHERE)
    """A pyproject.toml whose dependencies are installed. Not there yet."""
    pyproject_export_command: Sequence[str] = setting((), list_of(text), EVERYWHERE)
    """Command that writes the requirements of `pyproject_path`. Not there yet."""
    requirements: str | Sequence[str] = setting((), _requirements, EVERYWHERE)
    """Requirements to install: a list, or the path of a requirements file."""
    required_integrations: Sequence[str] = setting((), list_of(text), EVERYWHERE)
    """Integrations whose requirements are installed. Not there yet."""
    install_stack_requirements: bool = setting(True, boolean, EVERYWHERE)
    """Install what the stack's components require. No component of this release requires any."""
    install_deployment_requirements: bool = setting(True, boolean, EVERYWHERE)
    """Install what the stack's deployer requires. No component of this release requires any."""
    local_project_install_command: str | None = setting(None, optional(text), EVERYWHERE)
    """Shell command that installs the included files as a package, run in /app."""
    apt_packages: Sequence[str] = setting(
        (), list_of(matching(APT_PACKAGE, "an apt package", "libgomp1")), EVERYWHERE
    )
    """Debian packages to install."""
    environment: Mapping[str, str] = setting(FrozenMapping(), _variables, EVERYWHERE)
    """Variables set before anything is installed. `${NAME}` takes the planning machine's value."""
    runtime_environment: Mapping[str, str] = setting(FrozenMapping(), _variables, EVERYWHERE)
    """Variables set after everything is installed."""
    user: str | None = setting(
        None, optional(matching(rf"{_USER_PART}(?::{_USER_PART})?", "a user", "1000:1000")), EVERYWHERE
    )
    """User of the container, and owner of /app: one the parent image has, or a number."""
    build_config: BuildConfig | Mapping[str, Any] = setting(
        BuildConfig(), valid, EVERYWHERE, convert=decoded(BuildConfig)
    )
    """How the image is built: `build_options` and `dockerignore`."""
    allow_download_from_code_repository: bool = setting(True, boolean, EVERYWHERE)
    """The code may be downloaded from a code repository. There is none to register yet."""
    allow_download_from_artifact_store: bool = setting(True, boolean, EVERYWHERE)
    """The code may be downloaded from an artifact store. There is none to register yet."""
    allow_including_files_in_images: bool = setting(True, boolean, EVERYWHERE)
    """The code may be copied into the image, under /app."""

    @property
    def config(self) -> BuildConfig:
        """The build configuration, whichever way it was given."""
        assert isinstance(self.build_config, BuildConfig)  # noqa: S101  # the converter made it one
        return self.build_config

    def check_together(self) -> Iterator[Problem]:
        """What the reference's validators refuse, and what could not work."""
        if self.skip_build and not self.parent_image:
            yield Problem.at(
                "skip_build", "no parent_image to use as it is", "set parent_image, or drop skip_build"
            )
        if self.local_project_install_command and not self.allow_including_files_in_images:
            yield Problem.at(
                "local_project_install_command",
                "the files it would install are not in the image",
                "set allow_including_files_in_images = true, or drop the command",
            )
        taken = {
            build_argument(variable): variable
            for values in (self.environment, self.runtime_environment)
            for value in values.values()
            for variable in EnvTemplate(value).variables
        }
        for place, names in (
            (("environment",), self.environment),
            (("runtime_environment",), self.runtime_environment),
            (("build_config", "build_options", "build_args"), self.config.options.build_args),
        ):
            for name in names:
                if name in taken:
                    found = f"stowplan carries the value of {taken[name]} by this name"
                    yield Problem.at((*place, name), found, "choose another name")
        if self.config.options.target:
            yield Problem.at(
                ("build_config", "build_options", "target"),
                "only a custom Dockerfile has stages",
                "leave it out",
            )


def _asked(value: object) -> bool:
    return bool(value)


# Attributes whose behaviour comes with a later release, and when one of their values asks for it.
LATER: Final[Mapping[str, Callable[[Any], bool]]] = {
    "dockerfile": _asked,
    "build_context_root": _asked,
    "parent_image_build_config": _asked,
    "python_package_installer_cache_mount": _asked,
    "disable_automatic_requirements_detection": lambda value: value is False,
    "replicate_local_python_environment": _asked,
    "pyproject_path": _asked,
    "pyproject_export_command": _asked,
    "required_integrations": _asked,
}


def not_there_yet(settings: DockerSettings) -> tuple[Problem, ...]:
    """One problem for each attribute that asks for what this release does not do."""
    problems = [
        Problem.at(name, "is not there yet: it comes with a later release", f"leave {name} out for now")
        for name, asks in LATER.items()
        if name in settings.explicit and asks(getattr(settings, name))
    ]
    if not settings.allow_including_files_in_images:
        problems += [
            Problem.at(name, "is not there yet: it comes with a later release", f"leave {name} out for now")
            for name in ("allow_download_from_code_repository", "allow_download_from_artifact_store")
            if name in settings.explicit and getattr(settings, name)
        ]
    return tuple(problems)
