"""What the layers of settings of one step come to: every setting with a value, read into what it means.

Owns the cascade (a step's layer over its pipeline's) and what settings may not say together. A problem
of a setting is placed at the layer that wrote it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, Final

from attrs import evolve, field

from planner.errors import PlannerError, Problem
from planner.immutable import frozen
from planner.pyproject import Asked, is_pylock
from planner.requirements.lists import Listed, parse_entries
from planner.settings.build_options import BuildConfig, BuildOptions
from planner.settings.cache_mount import CacheMount
from planner.settings.commands import calls_uv
from planner.settings.docker import DockerSettings
from planner.settings.package_indexes import PackageIndex
from planner.settings.secrets import SECRET_DIRECTORY, Secret, SecretSource, secret_names, undeclared_secret
from planner.settings.variables import templates, unusable
from planner.settings.written import WrittenSettings
from planner.values import EnvTemplate, FrozenMapping, ImageRef, PythonPackageInstaller

__all__ = ["Settings", "settle"]


# Steps are told apart by it: one pipeline's settings are hashed once for all of its steps.
@frozen(kw_only=True, cache_hash=True)
class Settings:
    """What one image is asked to be. Equal values ask for the same, whatever layers they came from."""

    parent_image: ImageRef | None
    dockerfile: str | None
    """The Dockerfile that the parent is built from; None where skip_build leaves it out."""
    context_root: str | None
    """The directory of its build context; None for a context that has only the Dockerfile."""
    parent_options: BuildOptions
    """How the image of the Dockerfile is built: for the platform of the image on top, unless it says so."""
    parent_dockerignore: str | None
    skip_build: bool
    environment: FrozenMapping[EnvTemplate]
    runtime_environment: FrozenMapping[EnvTemplate]
    apt_packages: tuple[str, ...]
    requirements: Listed
    pyproject: Asked | None
    export_command: tuple[str, ...]
    replicated: bool | str | tuple[str, ...]
    """How the packages of the local Python are listed; False if they are not installed."""
    skips_local: bool
    detects: bool
    """Whether requirements are looked for where no setting names any."""
    integrations: tuple[str, ...]
    stack_requirements: bool
    deployment_requirements: bool
    prefers_own: bool
    """Whether the project's own requirements win where they contradict others."""
    python_version: str | None
    installer: PythonPackageInstaller
    installer_arguments: Mapping[str, Any]
    package_indexes: tuple[PackageIndex, ...]
    cache_mount: CacheMount | None
    machine_network: bool
    """Whether builds have the proxies and certificates of the machine."""
    from_repository: bool
    """Whether code may be downloaded from a code repository."""
    from_store: bool
    """Whether code may be downloaded from an artifact store."""
    includes_files: bool
    project_command: str | None
    secrets: Mapping[str, Secret]
    user: str | None
    any_user: bool
    """Whether any user of group 0 may write to the directory of the code."""
    dockerignore: str | None
    build_options: BuildOptions
    image_tag: str | None
    target_repository: str | None
    prevent_reuse: bool
    layers: tuple[WrittenSettings, ...] = field(default=(), eq=False, repr=False)
    """The layers these settings come from, the lowest first."""

    def placed(self, problem: Problem) -> Problem:
        """A problem of a setting, at the layer that wrote it."""
        return _placed(problem, self.layers)

    @property
    def names_requirements(self) -> bool:
        """Whether a setting says where the requirements of the project are: then none are looked for."""
        return bool(self.replicated or self.pyproject or self.requirements)

    @property
    def project_calls_uv(self) -> bool:
        """Whether the project command needs a uv on the PATH."""
        return calls_uv(self.project_command or "")

    def demands(self, name: str) -> bool:
        """Whether the highest layer that says anything of a setting says that it is true."""
        given = (layer.settings for layer in reversed(self.layers) if layer.settings.gives((name,)))
        highest = next(given, None)
        return highest is not None and bool(highest.value(name))

    def secret_source(self, name: str) -> SecretSource:
        """Where the value of a secret is found. KeyError for one that is not declared."""
        return SecretSource(self.secrets[name], self.placed(Problem.at(("secrets", name), "", "")).where)

    @property
    def login_sources(self) -> Mapping[str, SecretSource]:
        """Where the logins of indexes are found, by the names of their secrets."""
        names = dict.fromkeys(index.secret for index in self.package_indexes if index.secret)
        return FrozenMapping({name: self.secret_source(name) for name in names})

    @property
    def variables(self) -> Mapping[str, tuple[str, str]]:
        """The environment variables that are referred to, each with the setting that first does."""
        return {
            variable: (setting, name)
            for setting in ("runtime_environment", "environment")
            for name, value in getattr(self, setting).items()
            for variable in value.variables
        }


def settle(layers: Sequence[WrittenSettings]) -> Settings:
    """What layers come to, the lowest first. PlannerError with all that is wrong with them together."""
    merged = reduce(lambda lower, upper: upper.over(lower), (layer.settings for layer in layers))
    problems = [
        *_together(merged),
        *unusable(merged),
        *_torch(merged),
        *_strategy(merged),
        *_logins(merged),
        *_secrets(merged),
    ]
    requirements = Listed()
    try:
        requirements = parse_entries(merged.value("requirements"), "requirements")
    except PlannerError as error:
        problems += error.problems
    if problems:
        raise PlannerError(_placed(problem, layers) for problem in problems)
    config: BuildConfig = merged.value("build_config")
    options = config.value("build_options")
    parent_config: BuildConfig = merged.value("parent_image_build_config") or BuildConfig()
    parent = merged.value("parent_image")
    cache = merged.value("python_package_installer_cache_mount")
    return Settings(
        parent_image=ImageRef.parse(parent) if parent else None,
        dockerfile=None if merged.value("skip_build") else _path(merged.value("dockerfile")),
        context_root=_path(merged.value("build_context_root")),
        parent_options=_on_one_platform(parent_config.value("build_options"), options),
        parent_dockerignore=parent_config.value("dockerignore"),
        skip_build=merged.value("skip_build"),
        environment=templates(merged.value("environment")),
        runtime_environment=templates(merged.value("runtime_environment")),
        apt_packages=tuple(sorted(set(merged.value("apt_packages")))),
        requirements=requirements,
        python_version=merged.value("python_version"),
        pyproject=_asked_pyproject(merged),
        export_command=tuple(merged.value("pyproject_export_command")),
        replicated=merged.value("replicate_local_python_environment") or False,
        skips_local=merged.value("skip_local_packages"),
        detects=not merged.value("disable_automatic_requirements_detection"),
        integrations=tuple(dict.fromkeys(merged.value("required_integrations"))),
        stack_requirements=merged.value("install_stack_requirements"),
        deployment_requirements=merged.value("install_deployment_requirements"),
        prefers_own=merged.value("prefer_own_requirements"),
        installer=merged.value("python_package_installer"),
        installer_arguments=merged.value("python_package_installer_args"),
        package_indexes=merged.value("package_indexes"),
        cache_mount=CacheMount.parse(cache) if cache else None,
        machine_network=merged.value("machine_network"),
        from_repository=merged.value("allow_download_from_code_repository"),
        from_store=merged.value("allow_download_from_artifact_store"),
        includes_files=merged.value("allow_including_files_in_images"),
        project_command=merged.value("local_project_install_command"),
        secrets=merged.value("secrets"),
        user=merged.value("user"),
        any_user=merged.value("writable_by_any_user"),
        dockerignore=config.value("dockerignore"),
        build_options=_on_one_platform(options, parent_config.value("build_options")),
        image_tag=merged.value("image_tag"),
        target_repository=merged.value("target_repository"),
        prevent_reuse=merged.value("prevent_build_reuse"),
        layers=tuple(layers),
    )


def _path(path: str | None) -> str | None:
    """A path in its only spelling; the project's root is empty."""
    found = posixpath.normpath(path) if path else None
    return "" if found == "." else found


def _on_one_platform(options: BuildOptions, others: BuildOptions) -> BuildOptions:
    """The options with the platform of others, where they say none: two images on each other have one."""
    platform = others.value("platform")
    return options if options.value("platform") or not platform else evolve(options, platform=platform)


def _asked_pyproject(settings: DockerSettings) -> Asked | None:
    path = settings.value("pyproject_path")
    if path is None:
        return None
    return Asked(
        posixpath.normpath(path),
        tuple(dict.fromkeys(settings.value("pyproject_extras"))),
        tuple(dict.fromkeys(settings.value("pyproject_groups"))),
    )


def _placed(problem: Problem, layers: Iterable[WrittenSettings]) -> Problem:
    where = problem.where
    if where.file is not None or where.path[:1] in _ELSEWHERE:
        return problem
    known = tuple(layers)
    for layer in reversed(known):
        if layer.settings.gives(where.path):
            return evolve(problem, where=layer.place(where.path))
    lowest = next((layer for layer in known if layer.table is None), None)
    return evolve(problem, where=lowest.place(where.path)) if lowest else problem


# Where problems stand that are of no setting.
_ELSEWHERE: Final = (("code_repository",), ("integration",), ("pipeline",), ("secret",), ("stack",))


def _together(settings: DockerSettings) -> Iterator[Problem]:
    """What the reference's validators refuse, and what could not work."""
    if settings.value("skip_build") and not settings.value("parent_image"):
        yield Problem.at(
            "skip_build", "no parent_image to use as it is", "set parent_image, or drop skip_build"
        )
    included = settings.value("allow_including_files_in_images")
    if settings.value("local_project_install_command") and not included:
        yield Problem.at(
            "local_project_install_command",
            "the files it would install are not in the image",
            "set allow_including_files_in_images = true, or drop the command",
        )
    _, _, group = (settings.value("user") or "").partition(":")
    if settings.value("writable_by_any_user") and group not in {"", "0", "root"}:
        found = f"the files would belong to the group {group}, and any other user is of group 0"
        yield Problem.at("writable_by_any_user", found, "leave the group out of user")
    path = settings.value("pyproject_path")
    for name in ("pyproject_extras", "pyproject_groups", "pyproject_export_command"):
        if not settings.value(name):
            continue
        if path is None:
            yield Problem.at(name, "there is no pyproject_path", "set it, or leave this out")
        elif is_pylock(path):
            yield Problem.at(name, f"{path} is a lock, which has no choice", "leave this out")
        elif name != "pyproject_export_command" and settings.value("pyproject_export_command"):
            found = "pyproject_export_command says what is exported"
            yield Problem.at(name, found, "leave this out, and put it into the command")
    options: BuildOptions = settings.value("build_config").value("build_options")
    yield from _dockerfile(settings, options)


def _dockerfile(settings: DockerSettings, options: BuildOptions) -> Iterator[Problem]:
    """What settings say of a custom Dockerfile that cannot be, or that there is none for."""
    config: BuildConfig = settings.value("parent_image_build_config") or BuildConfig()
    of_parent: BuildOptions = config.value("build_options")
    if options.value("target"):
        found = "only a custom Dockerfile has stages"
        fix = "write it in parent_image_build_config" if settings.value("dockerfile") else "leave it out"
        yield Problem.at(("build_config", "build_options", "target"), found, fix)
    if not settings.value("dockerfile"):
        # A step may take back the Dockerfile of its pipeline alone.
        for name in ("build_context_root", "parent_image_build_config"):
            if settings.value(name) and "dockerfile" not in settings.given:
                yield Problem.at(name, "there is no dockerfile", "set it, or leave this out")
        return
    for name in ("dockerfile", "build_context_root"):
        if (settings.value(name) or "").startswith("/"):
            fix = "name it by its path from the project's root"
            yield Problem.at(name, "is an absolute path", fix)
    platforms = [each.value("platform") for each in (of_parent, options)]
    if None not in platforms and platforms[0] != platforms[1]:
        where = ("parent_image_build_config", "build_options", "platform")
        found = f"the image on top of it is for {platforms[1]}"
        yield Problem.at(where, found, "write one platform, in one of them")


def _torch(settings: DockerSettings) -> Iterator[Problem]:
    """What no lock could keep of the builds of PyTorch that uv chooses, and what pip does not know."""
    where = ("python_package_installer_args", "torch-backend")
    backend = settings.value("python_package_installer_args").get("torch-backend")
    of_image = settings.value("environment").get("UV_TORCH_BACKEND")
    for place, value in ((where, backend), (("environment", "UV_TORCH_BACKEND"), of_image)):
        if value == "auto":
            found = "auto is what the machine has that writes the lock"
            yield Problem.at(place, found, 'name one: "cpu", "cu126", …')
    if backend and settings.value("python_package_installer") is PythonPackageInstaller.PIP:
        fix = "install with uv, or name an index in package_indexes"
        yield Problem.at(where, "pip has no such option", fix)


def _logins(settings: DockerSettings) -> Iterator[Problem]:
    """Secrets of indexes that nobody declares, and two for one host: a netrc, which has them, knows hosts."""
    declared, of_hosts = settings.value("secrets"), dict[str, PackageIndex]()
    for number, index in enumerate(settings.value("package_indexes")):
        if index.secret is None:
            continue
        where = ("package_indexes", number, "secret")
        if index.secret not in declared:
            found = f"the secret {index.secret} is not declared"
            yield Problem.at(where, found, undeclared_secret(index.secret, declared))
        other = of_hosts.setdefault(index.host, index)
        if other.secret != index.secret:
            found = f"{index.host} has the secret {other.secret} already, for the index {other.name}"
            yield Problem.at(where, found, "name one secret for both: a login is for a host")


def _secrets(settings: DockerSettings) -> Iterator[Problem]:
    """Secrets that a command names and nobody declares."""
    declared = settings.value("secrets")
    for name in secret_names(settings.value("local_project_install_command") or ""):
        if name not in declared:
            found = f"names the secret {SECRET_DIRECTORY}/{name}, which is not declared"
            yield Problem.at("local_project_install_command", found, undeclared_secret(name, declared))


def _strategy(settings: DockerSettings) -> Iterator[Problem]:
    """A way to choose an index that looks into all of them, where packages are limited to some."""
    name = next((index.name for index in settings.value("package_indexes") if index.packages), None)
    given = settings.value("python_package_installer_args").get("index-strategy")
    of_image = settings.value("environment").get("UV_INDEX_STRATEGY")
    for place, value in (
        (("python_package_installer_args", "index-strategy"), given),
        (("environment", "UV_INDEX_STRATEGY"), of_image),
    ):
        if name is not None and value not in {None, "first-index"}:
            found = f"looks for packages in other indexes, too, that are from the index {name} alone"
            yield Problem.at(place, found, "leave it out")
