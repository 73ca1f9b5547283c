"""What a shell completes: commands and options, and the names that a project has.

Names come from the project file, its lock and its records, as they are: nothing is imported, planned, written
or asked of a network. Refuses to say what is wrong: whoever presses Tab gets names, or none.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem, ShellComplete

__all__ = ["SHELLS", "VARIABLE", "completed", "names_of", "script"]

VARIABLE: Final = "_STOWPLAN_COMPLETE"
"""The variable by which the script of a shell asks."""
SHELLS: Final = ("bash", "zsh", "fish")
_PROGRAM: Final = "stowplan"
# The newest builds and runs: of more, nobody reads a list.
_NEWEST: Final = 50


def script(cli: click.Command, shell: str) -> str:
    """The script that makes a shell complete. KeyError for a shell that is none of `SHELLS`."""
    from click.shell_completion import ShellComplete  # noqa: PLC0415  # only what is printed

    # Of bash, click would ask which version it is: the script is for others, too, than the one here.
    return ShellComplete.source(_completer(cli, shell))


def completed(cli: click.Command) -> int:
    """Answer the script of a shell; the exit code. Nothing is ever said on standard error."""
    instruction = os.environ.pop(VARIABLE)
    with contextlib.suppress(Exception):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        shell, _, asked = instruction.partition("_")
        if asked == "complete":
            # Not through click's echo, which would write what a terminal does not show.
            os.write(1, _completer(cli, shell).complete().encode(errors="replace") + b"\n")
    return 0


def _completer(cli: click.Command, shell: str) -> ShellComplete:
    from click.shell_completion import get_completion_class  # noqa: PLC0415  # as above

    kind = get_completion_class(shell)
    if kind is None:
        raise KeyError(shell)
    return kind(cli, {"obj": {}}, _PROGRAM, VARIABLE)


_Completer: TypeAlias = "Callable[[click.Context, click.Parameter, str], list[CompletionItem]]"


def names_of(*kinds: str) -> _Completer:
    """What completes a parameter: the names of some kinds that begin with what is typed."""

    def complete(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # only a shell wants it

        found: dict[str, None] = {}
        for kind in kinds:
            with contextlib.suppress(Exception):
                found |= dict.fromkeys(_KINDS[kind](_root(context)))
        return [CompletionItem(name) for name in found if name.startswith(typed) and name.isprintable()]

    return complete


def _root(context: click.Context) -> Path:
    from executor.config.project import find_project  # noqa: PLC0415  # not every name is one of a project

    given = context.params.get("project")
    return Path(given) if given else find_project(Path.cwd())


def _tables(path: Path) -> Mapping[str, Any]:
    """What is in a file of TOML; nothing if there is none."""
    from executor.reading import read_whole  # noqa: PLC0415  # as above
    from planner import toml  # noqa: PLC0415  # as above

    data = read_whole(path)
    return {} if data is None else toml.parse(data.decode())


def _project(root: Path) -> Mapping[str, Any]:
    own = _tables(root / "stowplan.toml")
    found: Mapping[str, Any] = own or _tables(root / "pyproject.toml").get("tool", {}).get("stowplan", {})
    return found


def _of_project(*tables: str) -> Callable[[Path], Iterable[str]]:
    return lambda root: [name for table in tables for name in _project(root).get(table, {})]


def _lock(root: Path) -> Mapping[str, Any]:
    return _tables(root / "stowplan.lock")


def _pipelines(root: Path) -> Iterator[str]:
    yield from _project(root).get("pipeline", {})
    yield from (image["pipeline"] for image in _lock(root).get("image", ()))


def _stacks(root: Path) -> Iterable[str]:
    return _project(root).get("stack", {}) or ("default",)


def _images(root: Path) -> Iterator[str]:
    for name, pipeline in _project(root).get("pipeline", {}).items():
        yield from (name, *pipeline.get("steps", ()))
    for image in _lock(root).get("image", ()):
        yield from (image["name"], *image["steps"])


def _packages(root: Path) -> Iterable[str]:
    return (package["name"] for package in _lock(root).get("package", ()))


def _parents(root: Path) -> Iterator[str]:
    for image in _lock(root).get("image", ()):
        if reference := image.get("parent", {}).get("reference"):
            yield reference.removeprefix("docker.io/").removeprefix("library/")


def _settings(_: Path) -> Iterable[str]:
    from planner.settings.docker import DockerSettings  # noqa: PLC0415  # only one argument wants it

    return DockerSettings.settable()


def _builds(root: Path) -> Iterable[str]:
    from executor.records.builds import BuildQuery  # noqa: PLC0415  # as above
    from executor.records.store import Records  # noqa: PLC0415  # as above

    return (build.id for build in Records(root).builds(BuildQuery(limit=_NEWEST)).builds)


def _runs(root: Path) -> Iterable[str]:
    from executor.records.runs import Runs  # noqa: PLC0415  # as above

    return (run.id for run in Runs(root).all(None, _NEWEST))


def _integrations(root: Path) -> Iterable[str]:
    from planner.integration_table import KNOWN  # noqa: PLC0415  # as above

    return sorted({*KNOWN, *_project(root).get("integration", {})})


def _schemas(_: Path) -> Iterable[str]:
    from executor.schemas.known import SCHEMAS  # noqa: PLC0415  # as above

    return SCHEMAS


_KINDS: Final[Mapping[str, Callable[[Path], Iterable[str]]]] = {
    "build": _builds,
    "engine": lambda _: ("docker", "podman"),
    "image": _images,
    "integration": _integrations,
    "own-integration": _of_project("integration"),
    "package": _packages,
    "parent": _parents,
    "pipeline": _pipelines,
    "run": _runs,
    "schema": _schemas,
    "secret": _of_project("secret"),
    "setting": _settings,
    "stack": _stacks,
}
