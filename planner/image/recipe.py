"""Settings and facts → the parent image, the instructions on top of it, and what must be looked at first.

Owns the order of the layers (the reference's: environment, apt packages, requirements, files, owner
and user, runtime environment) and the decision whether an image is built at all. Refuses to guess:
what is not known yet is a need.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from attrs import frozen

from planner.errors import PlannerError, Problem
from planner.facts.answers import Facts, Pin
from planner.facts.needs import FileText, FileTree, HostPlatform, ImageDigest, Need, PythonVersion, Variable
from planner.files.ignore import IgnoreRules
from planner.image.instructions import (
    FILES,
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    Instruction,
    SetEnvironment,
    SetUser,
)
from planner.requirements.files import Requirements, included_files, parse_file, parse_list
from planner.settings.docker import DockerSettings, PythonPackageInstaller
from planner.values import EnvTemplate, FrozenMapping, ImageRef

__all__ = ["UV_VERSION", "Recipe", "recipe", "recipe_needs"]

# The one uv that installs in every image; raising it is a change of every image that uses it.
UV_VERSION: Final = "0.13.9"
IGNORE_FILE: Final = ".dockerignore"
# Never part of a build context: they change without the code changing.
OWN_FILES: Final = (".stowplan", "stowplan.lock")


@frozen
class Recipe:
    """What one set of settings comes to: a parent image and the instructions on top of it.

    `as_it_is` says that the parent is used without building anything, and `notes` what the user
    should know about that.
    """

    parent: ImageRef
    pin: Pin
    instructions: tuple[Instruction, ...]
    as_it_is: bool
    notes: tuple[str, ...] = ()


def recipe_needs(settings: DockerSettings, facts: Facts, *, here: bool) -> Iterator[Need]:
    """All that these settings ask to be looked at, as far as the facts so far tell; repeats are fine.

    With `here=False` what only this checkout and this machine can say is left out: enough for a lock.
    """
    if settings.parent_image is None:
        yield PythonVersion()
    if settings.parent_image is not None or PythonVersion() in facts:
        parent = parent_ref(settings, facts)
        if parent.digest is None:
            yield ImageDigest(parent)
    if settings.skip_build:
        return
    if isinstance(settings.requirements, str):
        yield from _file_needs(settings.requirements, facts)
    if not here:
        return
    yield from (Variable(name) for name in variables(settings))
    if settings.config.options.platform is None:
        yield HostPlatform()
    if settings.allow_including_files_in_images:
        ignore_file = FileText(ignore_path(settings))
        yield ignore_file
        if ignore_file in facts:
            yield files_need(settings, facts)


def _file_needs(root: str, facts: Facts) -> Iterator[FileText]:
    """A requirements file, the files it includes, the files those include, each once."""
    paths = [root]
    for path in paths:
        need = FileText(path)
        yield need
        text = facts.text(path) if need in facts else None
        paths += [found for found in included_files(text or "", file=path) if found not in paths]


def variables(settings: DockerSettings) -> Mapping[str, tuple[str | int, ...]]:
    """The environment variables that the settings refer to, each with the setting that first does."""
    return {
        variable: (setting, name)
        for setting in ("runtime_environment", "environment")
        for name, value in getattr(settings, setting).items()
        for variable in EnvTemplate(value).variables
    }


def parent_ref(settings: DockerSettings, facts: Facts) -> ImageRef:
    """The parent image: as given, else the slim image of the Python that plans."""
    return ImageRef.parse(settings.parent_image or f"python:{facts.python_version}-slim")


def ignore_path(settings: DockerSettings) -> str:
    """The ignore file in effect, spelled as the paths of a tree are: it is left out of the tree."""
    return posixpath.normpath(settings.config.dockerignore or IGNORE_FILE)


def files_need(settings: DockerSettings, facts: Facts) -> FileTree:
    """The tree of the project's files under the ignore file in effect, which is itself left out."""
    path = ignore_path(settings)
    text = facts.text(path)
    if text is None and settings.config.dockerignore is not None:
        raise PlannerError(
            [Problem.at(("build_config", "dockerignore"), f"no such file: {path}", "create it")]
        )
    return FileTree(
        rules=IgnoreRules.parse(text or "", file=path),
        left_out=tuple(sorted({*OWN_FILES, IGNORE_FILE, path})),
    )


def recipe(settings: DockerSettings, facts: Facts) -> Recipe:
    """What the settings come to. PlannerError with every problem of the files they name."""
    parent = parent_ref(settings, facts)
    pin = Pin(parent.digest, "settings") if parent.digest else facts.pin(ImageDigest(parent))
    if settings.skip_build:
        return Recipe(parent, pin, (), as_it_is=True, notes=tuple(_skipped(settings)))
    steps = tuple(_instructions(settings, facts))
    as_it_is = not steps and not settings.config.options.labels
    return Recipe(parent, pin, steps, as_it_is)


def _instructions(settings: DockerSettings, facts: Facts) -> Iterator[Instruction]:
    if settings.environment:
        yield SetEnvironment(settings.environment)
    if settings.apt_packages:
        yield InstallApt(tuple(settings.apt_packages))
    installer = _installer(settings)
    for source, requirements in _requirement_sources(settings, facts):
        if requirements.packages:
            yield InstallRequirements(source, requirements, installer)
    if settings.allow_including_files_in_images:
        yield CopyFiles(FILES, owner=settings.user)
    if settings.local_project_install_command:
        yield InstallProject(settings.local_project_install_command)
    if settings.user:
        yield SetUser(settings.user)
    if settings.runtime_environment:
        yield SetEnvironment(settings.runtime_environment, runtime=True)


# Steps that differ elsewhere mostly share their requirements, which take the longest to read.
_parsed_file = lru_cache(maxsize=64)(parse_file)
_parsed_list = lru_cache(maxsize=64)(parse_list)


def _requirement_sources(settings: DockerSettings, facts: Facts) -> Iterator[tuple[str, Requirements]]:
    """Each source of requirements, in the reference's order."""
    given = settings.requirements
    try:
        if isinstance(given, str):
            texts = {need.path: facts.text(need.path) for need in _file_needs(given, facts)}
            if texts[given] is None:
                raise PlannerError([Problem.at((), f"no such file: {given}", "create it, or name another")])
            yield (
                "requirements",
                _parsed_file(
                    given, FrozenMapping({path: text for path, text in texts.items() if text is not None})
                ),
            )
        else:
            yield "requirements", _parsed_list(tuple(given))
    except PlannerError as error:
        inside = [
            problem if problem.where.file else problem.inside("requirements") for problem in error.problems
        ]
        raise PlannerError(inside) from None


def _installer(settings: DockerSettings) -> Installer:
    name = PythonPackageInstaller(settings.python_package_installer)
    if name is PythonPackageInstaller.PIP:
        return Installer(name, None, settings.python_package_installer_args)
    # uv is told which Python to install for, so the `system` flag of the reference is always met.
    arguments = {
        key: value for key, value in settings.python_package_installer_args.items() if key != "system"
    }
    return Installer(name, UV_VERSION, arguments)


def _skipped(settings: DockerSettings) -> Iterator[str]:
    """What skip_build leaves out, so that nothing is ignored in silence."""
    names = (
        "environment",
        "apt_packages",
        "requirements",
        "local_project_install_command",
        "user",
        "runtime_environment",
    )
    left_out = [name for name in names if getattr(settings, name)]
    if settings.config.options.labels:
        left_out.append("labels")
    if left_out:
        yield f"skip_build uses {settings.parent_image} as it is, without {', '.join(left_out)}"
