"""Builds in files: what is exported of one, and what names one where its id is not known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from executor.errors import ExecutorError, UsageError, remedy
from executor.reading import NotRead, read_whole
from executor.records.documents import UnreadableBuild, build_data, build_of, specs_data
from executor.records.store import Records
from planner.build import Build
from planner.errors import Place, Problem

__all__ = ["is_build_file", "named_build", "read_build", "write_build", "yaml_text"]

_SUFFIXES: Final = (".json", ".yaml", ".yml")
# A build of 10,000 images is a few MB.
_LARGEST_BYTES: Final = 64 * 1024 * 1024
_ANEW: Final = "export it again with `stowplan builds export`"


def is_build_file(name: str) -> bool:
    """Whether a build that is named so is in a file: no id has such an end."""
    return name.endswith(_SUFFIXES)


def named_build(records: Records, name: str) -> Build:
    """The build of an id, of the beginning of one, or in a file, with its specs. ExecutorError if none is."""
    if is_build_file(name):
        return read_build(Path(name))
    found = records.find_builds(name)
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(build.id for build in found[:5])
        raise UsageError.of("command line", f"several builds begin with {name!r}: {ids}", "name one of them")
    raise UsageError.of("command line", f"there is no build {name!r}", "see `stowplan builds list`")


def write_build(build: Build, path: Path) -> None:
    """Write a build into a file, as JSON or YAML by its name. ExecutorError if that fails."""
    assert build.specs is not None  # noqa: S101  # what is exported was read whole
    data = {**build_data(build), "specs": specs_data(build.specs)}
    text = yaml_text(data) if path.suffix != ".json" else json.dumps(data, indent=2, ensure_ascii=False)
    try:
        path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise ExecutorError.of(str(path), f"cannot be written: {error.strerror}", remedy(error)) from None


def read_build(path: Path) -> Build:
    """The build in a file. ExecutorError if there is none."""
    try:
        text = read_whole(path, _LARGEST_BYTES)
    except NotRead as error:
        raise ExecutorError.of(str(path), error.found, error.fix) from None
    if text is None:
        raise UsageError.of(str(path), "no such file", "name a file that `stowplan builds export` wrote")
    try:
        data = _loaded(text.decode(), path.suffix)
        return build_of(data, data["specs"] if isinstance(data, Mapping) else ())
    except (UnreadableBuild, ValueError, KeyError) as error:
        reason = "it has no 'specs'" if isinstance(error, KeyError) else str(error)
        found = f"holds no build that can be read: {reason}"
        raise ExecutorError([Problem(Place(file=str(path)), found, _ANEW, "build-unreadable")]) from None


def yaml_text(data: Mapping[str, Any]) -> str:
    """Data as YAML, in ASCII: no terminal obeys what is in it."""
    import yaml  # noqa: PLC0415  # few outputs are YAML

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    # Words of an enumeration and tuples are what JSON makes of them.
    text: str = yaml.dump(json.loads(json.dumps(data)), Dumper=dumper, sort_keys=False, width=110)
    return text


def _loaded(text: str, suffix: str) -> Any:
    """What is in the text of a file. ValueError if it is not what its name says."""
    try:
        if suffix == ".json":
            return json.loads(text)
        import yaml  # noqa: PLC0415  # few builds are named by a file of YAML

        return yaml.load(text, Loader=_loader())  # noqa: S506  # it is a safe loader
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except Exception as error:
        if isinstance(error, ValueError):
            raise
        # The words of the parser are several lines.
        raise ValueError(str(error).partition("\n")[0]) from None


def _loader() -> Any:
    """A loader of plain values, without the aliases that blow a small file up: what is exported has none."""
    import yaml  # noqa: PLC0415  # as above

    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[valid-type,misc]
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("it has an alias")
            return super().compose_node(parent, index)

    return Loader
