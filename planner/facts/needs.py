"""What has to be observed before something can be planned.

A need is a question about the world, as a value: equal needs are one need, however many steps share
it. Owns the kinds of needs; `recipe` says which settings raise which. Refuses to answer any.
"""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from planner.files.ignore import IgnoreRules
from planner.values import ImageRef

__all__ = ["FileText", "FileTree", "HostPlatform", "ImageDigest", "Need", "PythonVersion", "Variable"]


@frozen
class PythonVersion:
    """The major and minor version of the Python that plans, like `3.11`. Answer: str."""


@frozen
class HostPlatform:
    """The platform that images are built for when none is asked for, like `linux/amd64`. Answer: str."""


@frozen
class FileText:
    """The text of a file of the project, by its path from the root. Answer: str, None if there is none."""

    path: str


@frozen
class FileTree:
    """The files below the project's root that the rules do not ignore. Answer: Tree."""

    rules: IgnoreRules
    left_out: tuple[str, ...] = ()


@frozen
class Variable:
    """The value of an environment variable. Answer: Secret, None if it is not set."""

    name: str


@frozen
class ImageDigest:
    """The digest that a reference stands for now. Answer: Pin."""

    ref: ImageRef


Need: TypeAlias = PythonVersion | HostPlatform | FileText | FileTree | Variable | ImageDigest
