"""Which layers of an image are built anew when a setting changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from planner.compare.layers import instructions_of, layer_name
from planner.image.instructions import Instruction
from planner.image.plan import ImagePlan
from planner.requirements.names import SETTING_OF
from planner.settings.build_options import BuildConfig, BuildOptions
from planner.settings.docker import DockerSettings
from planner.settings.option_table import OPTIONS

__all__ = [
    "LABELS",
    "PARENT",
    "first_moved",
    "known_settings",
    "layers_from",
    "layers_since",
    "table_settings",
]

PARENT: Final = "parent image"
"""What is below all layers."""
LABELS: Final = "labels"
"""What is above all layers: the image is built anew, and each of its layers is taken over."""
_SOURCES: Final = tuple(SETTING_OF)
# In the order in which an image has them.
_ORDER: Final = (
    PARENT, "environment", "apt packages", *_SOURCES, "files", "code directory", "project", "bootstrap",
    "user", "runtime environment", LABELS,
)  # fmt: skip
_ANY_SOURCE: Final = _SOURCES[0]
# The lowest layer that a setting has a say in. None of the others changes a layer.
_LAYERS: Final = {
    "parent_image": PARENT,
    "dockerfile": PARENT,
    "build_context_root": PARENT,
    "parent_image_build_config": PARENT,
    "skip_build": PARENT,
    "environment": "environment",
    "apt_packages": "apt packages",
    # These can ask for Debian packages.
    "install_stack_requirements": "apt packages",
    "required_integrations": "apt packages",
    "python_package_installer": _ANY_SOURCE,
    "python_package_installer_args": _ANY_SOURCE,
    "package_indexes": _ANY_SOURCE,
    "python_version": _ANY_SOURCE,
    "prefer_own_requirements": _ANY_SOURCE,
    "replicate_local_python_environment": "local-environment",
    "skip_local_packages": "local-environment",
    "install_deployment_requirements": "deployment",
    "disable_automatic_requirements_detection": "pyproject",
    "pyproject_path": "pyproject",
    "pyproject_extras": "pyproject",
    "pyproject_groups": "pyproject",
    "pyproject_export_command": "pyproject",
    "requirements": "requirements",
    # Logins are read by what installs packages, other secrets by the project command.
    "secrets": _ANY_SOURCE,
    # It owns what is copied.
    "user": "files",
    "writable_by_any_user": "files",
    "allow_including_files_in_images": "files",
    "allow_download_from_code_repository": "files",
    "allow_download_from_artifact_store": "files",
    "local_project_install_command": "project",
    "runtime_environment": "runtime environment",
}


def first_moved(path: Sequence[str]) -> str | None:
    """The lowest layer that another value of the setting at a path can change; None if it changes none.

    >>> [first_moved(path.split(".")) for path in ("requirements", "build_config.dockerignore", "image_tag")]
    ['requirements', 'files', None]
    """
    name, *rest = path
    if name != "build_config":
        return _LAYERS.get(name)
    if not rest:
        return PARENT
    if rest[0] == "dockerignore":
        return "files"
    option = rest[1] if len(rest) > 1 else None
    if option == "labels":
        return LABELS
    if option is None or option in OPTIONS:
        return PARENT if option is None or OPTIONS[option].counts else None
    return PARENT if option in ("build_args", "platform", "target", "other") else None


def known_settings() -> tuple[str, ...]:
    """The settings by their dotted names, those of `build_config` among them."""
    of_build = (f"build_config.build_options.{name}" for name in (*BuildOptions.settable(), *OPTIONS))
    return (
        *DockerSettings.settable(),
        *(f"build_config.{name}" for name in BuildConfig.settable()),
        *of_build,
    )


def table_settings() -> tuple[str, ...]:
    """Those of them whose value is a table of names that the user chooses."""
    own = [name for name in DockerSettings.settable() if isinstance(DockerSettings.default(name), Mapping)]
    of_build = [name for name in BuildOptions.settable() if isinstance(BuildOptions.default(name), Mapping)]
    return (*own, *(f"build_config.build_options.{name}" for name in of_build))


def layers_since(image: ImagePlan, first: str) -> tuple[str, ...]:
    """The layers of an image from a place in their order on: those that are built anew if that changes.

    A Dockerfile is one layer, which what is said of other layers leaves alone.
    """
    if image.spec.dockerfile is not None:
        return layers_from(image, lambda _: first == PARENT)
    at = _ORDER.index(first)
    return layers_from(image, lambda item: _ORDER.index(layer_name(item)) >= at)


def layers_from(image: ImagePlan, first: Callable[[Instruction], bool]) -> tuple[str, ...]:
    """The layers of an image from the first on of which something holds: none if it holds of none."""
    found = instructions_of(image, seen=True)
    start = next((at for at, item in enumerate(found) if first(item)), len(found))
    return tuple(layer_name(item) for item in found[start:])
