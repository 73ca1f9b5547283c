"""Settings that the reference had once: what is written instead, and tables that have them read as today's.

A project file is written for stowplan, so there they are errors. What was written for another system is
migrated, with a note for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import Factory, define

from planner.errors import Problem, did_you_mean
from planner.immutable import frozen

__all__ = ["DEPRECATED", "Migrated", "migrated"]

DEPRECATED: Final[Mapping[str, str]] = {
    "build_options": "write it inside build_config: build_config = { build_options = { … } }",
    "copy_files": "use allow_including_files_in_images",
    "copy_global_config": "leave it out: there is no global configuration to copy",
    "dockerignore": 'write it inside build_config: build_config = { dockerignore = "…" }',
    "required_hub_plugins": "leave it out: list their packages in requirements",
    "source_files": (
        "use allow_download_from_code_repository, allow_download_from_artifact_store and "
        "allow_including_files_in_images"
    ),
}
"""The names, and what to write instead: where the nearest name is no help."""

_INCLUDING: Final = "allow_including_files_in_images"
_REPOSITORY: Final = "allow_download_from_code_repository"
_STORE: Final = "allow_download_from_artifact_store"
_ALL: Final = (_REPOSITORY, _STORE, _INCLUDING)
# The ways of the reference's `source_files`, and what each of them allows.
_SOURCE_FILES: Final[Mapping[str, frozenset[str]]] = {
    "download": frozenset({_REPOSITORY}),
    "download_or_include": frozenset({_INCLUDING, _REPOSITORY}),
    "ignore": frozenset(),
    "include": frozenset({_INCLUDING}),
}
_NO_MORE: Final = {
    "copy_global_config": "copy_global_config is left out: there is no global configuration to copy",
    "required_hub_plugins": "required_hub_plugins is left out: there is no hub",
}


@frozen
class Migrated:
    """A table of settings without deprecated names.

    `notes` says of each name what is done. `moved` maps settings that were made to the names that they were
    written under.
    """

    table: Mapping[str, Any]
    notes: Mapping[str, str]
    moved: Mapping[tuple[str, ...], str]
    problems: tuple[Problem, ...] = ()


def migrated(table: Mapping[str, Any]) -> Migrated:
    """A table of settings as it would be written today."""
    return _Migration({name: value for name, value in table.items() if name not in DEPRECATED}).of(
        {name: value for name, value in table.items() if name in DEPRECATED and value is not None}
    )


@define
class _Migration:
    now: dict[str, Any]
    notes: dict[str, str] = Factory(dict)
    moved: dict[tuple[str, ...], str] = Factory(dict)
    problems: list[Problem] = Factory(list)

    def of(self, old: Mapping[str, Any]) -> Migrated:
        self.notes |= {name: text for name, text in _NO_MORE.items() if name in old}
        if "copy_files" in old:
            self._copy_files(old["copy_files"], replaced="source_files" in old)
        if "source_files" in old:
            self._source_files(old["source_files"])
        if "build_options" in old:
            # The reference gives them to the build of a Dockerfile.
            holder = "parent_image_build_config" if self.now.get("dockerfile") else "build_config"
            self._inside(holder, "build_options", old["build_options"])
        if "dockerignore" in old:
            self._inside("build_config", "dockerignore", old["dockerignore"])
        return Migrated(self.now, self.notes, self.moved, tuple(self.problems))

    def _copy_files(self, copies: object, *, replaced: bool) -> None:
        if replaced or _INCLUDING in self.now:
            says = "source_files" if replaced else _INCLUDING
            self.notes["copy_files"] = f"copy_files is left out: {says} says it"
            return
        self.now[_INCLUDING] = copies
        self.moved[_INCLUDING,] = "copy_files"
        self.notes["copy_files"] = f"copy_files is read as {_INCLUDING}"

    def _source_files(self, way: object) -> None:
        if any(name in self.now for name in _ALL):
            self.notes["source_files"] = "source_files is left out: settings that begin with allow_ say it"
            return
        allowed = _SOURCE_FILES.get(way) if isinstance(way, str) else None
        if allowed is None:
            found = f"not one of {', '.join(_SOURCE_FILES)}"
            self.problems.append(Problem.at("source_files", found, did_you_mean(way, _SOURCE_FILES)))
            return
        for name in _ALL:
            self.now[name] = name in allowed
            self.moved[name,] = "source_files"
        read_as = " and ".join(f"{name} = {str(name in allowed).lower()}" for name in _ALL)
        self.notes["source_files"] = f"source_files is read as {read_as}"

    def _inside(self, holder: str, name: str, value: object) -> None:
        """Move a setting into the table that has it today, unless that says it already."""
        inner = self.now.get(holder) or {}
        if not isinstance(inner, Mapping) or inner.get(name):
            self.notes[name] = f"{name} is left out: {holder} says it"
            return
        self.now[holder] = {**inner, name: value}
        self.moved[holder, name] = name
        self.notes[name] = f"{name} is read as {holder}.{name}"
