"""Options of a build: BuildOptions and BuildConfig, and what their values and arguments may be.

Owns which options have a field, how the others are taken by name, and what stowplan sets itself.
Refuses to know an engine: how options reach one is written in its table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from planner.errors import Problem
from planner.identity import COUNTED, NOT_COUNTED
from planner.settings.checked import Layer, Unset, decoded, of_kind, setting
from planner.settings.checks import (
    boolean,
    image_ref,
    kind_of,
    list_of,
    mapping_of,
    matching,
    optional,
    project_path,
    text,
)
from planner.values import FrozenMapping, freeze

__all__ = ["ARGUMENTS", "BuildConfig", "BuildOptions", "env_name"]


ENV_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_OPTION_NAME: Final = r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*"

env_name = matching(ENV_NAME, "the name of an environment variable", "MODEL_DIR")
_option_name = matching(_OPTION_NAME, "an option", "network")


def _argument(value: object) -> Iterator[Problem]:
    """A value of an option: nothing (a bare flag), text, a number, or a list of texts and numbers."""
    if isinstance(value, tuple):
        yield from list_of(_word)(value)
    elif value is not None:
        yield from _word(value)


def _public(value: object) -> Iterator[Problem]:
    """Text that everybody who has the image can read."""
    yield from text(value)
    if isinstance(value, str) and re.search(r"://[^/\s]*@", value):
        yield Problem.at(
            (), "a URL with credentials, which the image's history would show", "leave the credentials out"
        )


def _word(value: object) -> Iterator[Problem]:
    """Text or a number; a flag in a list would be neither repeated nor written down."""
    if isinstance(value, str):
        yield from text(value)
        if re.search(r"://[^/\s]*@", value):
            yield Problem.at(
                (),
                "a URL with credentials",
                "set UV_INDEX (or PIP_EXTRA_INDEX_URL for pip) with ${VARIABLE} in environment instead",
            )
    elif isinstance(value, bool) or not isinstance(value, int):
        yield Problem.at(
            (), f"not a value of an option: {kind_of(value)}", "leave it out, or give text or a number"
        )


# What is read back from a lock is checked with it as well.
ARGUMENTS: Final = mapping_of(matching(_OPTION_NAME, "an option's name", "timeout"), _argument)


def _option(value: object) -> Iterator[Problem]:
    """A value of a build option that has no field of its own."""
    if isinstance(value, Mapping):
        yield from mapping_of(text, text)(value)
    elif not isinstance(value, bool):
        yield from _argument(value)


def _other_name(value: object) -> Iterator[Problem]:
    """The name of an option that has no field of its own and that is the user's to set."""
    yield from _option_name(value)
    name = _ours(value)
    if name in _RESERVED:
        yield Problem.at((), "stowplan sets this option itself", "leave it out")
    elif name in BuildOptions.settable():
        yield Problem.at((), f"{name} has a field of its own", f"write it as {name}, not inside other")


def _ours(name: object) -> str:
    """Our spelling of an option's name."""
    return OPTION_NAMES.get(str(name), str(name).replace("-", "_"))


def _written_flags(value: object) -> Any:
    """Frozen, with None standing for a bare flag as true does: TOML has no null."""
    frozen_value = freeze(value)
    if isinstance(frozen_value, FrozenMapping):
        return FrozenMapping({name: True if item is None else item for name, item in frozen_value.items()})
    return frozen_value


def _size(value: object) -> Iterator[Problem]:
    """A number of bytes, or a number with one of docker's units."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return
    if not isinstance(value, str) or not re.fullmatch(r"[1-9][0-9]*[bkmgBKMG]?", value):
        yield Problem.at((), f"not a size: {value!r}", "give bytes, or a number with b, k, m or g, like '1g'")


# Each of the reference's spellings of an option, and ours.
OPTION_NAMES: Final[Mapping[str, str]] = {
    "buildargs": "build_args",
    "cachefrom": "cache_from",
    "nocache": "no_cache",
    "shmsize": "shm_size",
}
# stowplan decides these itself.
_RESERVED: Final = frozenset({
    "context", "custom_context", "dockerfile", "encoding", "f", "file", "fileobj", "iidfile", "load",
    "metadata_file", "output", "path", "progress", "push", "t", "tag",
})  # fmt: skip


@frozen(kw_only=True)
class BuildOptions(Layer):
    """Options of the build itself, passed to the engine.

    Any option that has no field here is taken by its name, into `other`.
    """

    build_args: Mapping[str, str] | Unset = setting(FrozenMapping(), mapping_of(env_name, _public), COUNTED)
    """Build arguments by name. Visible in the image's history: no place for secrets."""
    cache_from: Sequence[str] | Unset = setting((), list_of(image_ref), NOT_COUNTED)
    """Images to take cached layers from."""
    no_cache: bool | Unset = setting(False, boolean, NOT_COUNTED)
    """Build every layer anew."""
    shm_size: int | str | Unset | None = setting(None, optional(_size), NOT_COUNTED)
    """Size of /dev/shm while building: bytes, or a number with b, k, m or g."""
    pull: bool | Unset = setting(False, boolean, NOT_COUNTED)
    """Ask the registry for the parent image even when the engine has it."""
    rm: bool | Unset = setting(True, boolean, NOT_COUNTED)
    """Remove the containers that the classic builder leaves between layers."""
    labels: Mapping[str, str] | Unset = setting(
        FrozenMapping(),
        mapping_of(matching(r"[^=\s]+", "a label's name", "org.example.team"), text),
        COUNTED,
    )
    """Labels of the image by name."""
    platform: str | Unset | None = setting(
        None,
        optional(matching(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9]+)?", "a platform", "linux/amd64")),
        COUNTED,
    )
    """Operating system and architecture to build for. Default: this machine's."""
    target: str | Unset | None = setting(
        None, optional(matching(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "a build stage", "runtime")), COUNTED
    )
    """The stage of a custom Dockerfile to build."""
    other: Mapping[str, Any] | Unset = setting(
        FrozenMapping(), mapping_of(_other_name, _option), COUNTED, convert=_written_flags
    )
    """Any other option by its name: true for a bare flag, text, a list (repeated) or a table."""

    @property
    def counted(self) -> Mapping[str, Any]:
        """The options that change the image and have no field of their own."""
        other: Mapping[str, Any] = self.value("other")
        return other

    @classmethod
    def translate(cls, data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem]]:
        """Both spellings of each option to ours; names that are no field to `other`."""
        fields: dict[str, Any] = {}
        other: dict[str, Any] = {}
        problems = []
        for given, value in data.items():
            name = _ours(given)
            if name == "other" and isinstance(value, Mapping):
                other.update(value)
            elif name in _RESERVED:
                problems.append(Problem.at((given,), "stowplan sets this option itself", "leave it out"))
            elif name in fields:
                problems.append(Problem.at((given,), f"{name} is given twice", "keep one of the spellings"))
            elif name in cls.settable():
                fields[name] = value
            else:
                other[name] = value
        return (fields | {"other": other} if other else fields), problems


@frozen(kw_only=True)
class BuildConfig(Layer):
    """How one image is built: the engine's options and the ignore file of its context."""

    build_options: BuildOptions | Mapping[str, Any] | Unset = setting(
        BuildOptions(), of_kind(BuildOptions), COUNTED, convert=decoded(BuildOptions)
    )
    """Options passed to the engine, as a BuildOptions or a table."""
    dockerignore: str | Unset | None = setting(None, optional(project_path), NOT_COUNTED)
    """Ignore file to use instead of the `.dockerignore` at the root. Only its effect counts."""
