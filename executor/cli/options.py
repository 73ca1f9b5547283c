"""What the commands share: their options, each declared once, the project, and the engine.

Refuses to know any command.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import click
from click.core import ParameterSource

from executor.cli.completion import names_of
from executor.cli.look import Loudness, look
from executor.config.project import Project, find_project, load_project
from executor.engines.chooser import engine_chooser
from executor.errors import ExecutorError
from executor.state import sweep_scratch
from planner.errors import StowplanError

__all__ = [
    "CHANGES",
    "FAILED",
    "LOOKING",
    "Option",
    "engine_chooser",
    "known_error",
    "loaded_project",
    "options",
    "project_root",
]

FAILED: Final = 1
CHANGES: Final = 2
LOOKING: Final = "looking at files and registries"
_EVERYWHERE: Final = ("color",)
_Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


class Option(click.Option):
    """An option that a variable stands for where the command line does not give it: `STOWPLAN_` and its name.

    What is wrong with a value is said of what gave it.
    """

    def __init__(self, declarations: Sequence[str], **settings: Any) -> None:
        (name,) = (each for each in declarations if each.startswith("--"))
        variable = f"STOWPLAN_{name.removeprefix('--').replace('-', '_').upper()}"
        super().__init__(declarations, envvar=variable, show_envvar=True, **settings)

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """What an error is about: the variable if it gave the value, else the option."""
        if ctx is not None and self.is_from_variable(ctx):
            return str(self.envvar)
        return click.Parameter.get_error_hint(self, ctx)

    def is_from_variable(self, context: click.Context) -> bool:
        """Whether the variable gave the value."""
        return context.get_parameter_source(self.name or "") is ParameterSource.ENVIRONMENT


class _Truth(click.types.BoolParamType):
    """A flag, which a variable gives in words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Whether it is set."""
        try:
            return bool(super().convert(value, param, ctx))
        except click.BadParameter:
            self.fail(f"{value!r} is neither true nor false: write 1 or 0", param, ctx)


def _there(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """The path that a variable gives: what reads it would not say where it comes from."""
    said = isinstance(parameter, Option) and parameter.is_from_variable(context)
    if value is not None and said and not os.path.exists(value):  # noqa: PTH110  # Path.exists can raise
        raise click.BadParameter(f"{value} does not exist")
    return value


def _remember(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Keep how to print where an error can find it, which comes when the command is over."""
    context.obj[parameter.name] = value
    return value


def _format_or_file(context: click.Context, parameter: click.Parameter, value: str) -> str:
    from executor.workflow.build_files import is_build_file  # noqa: PLC0415  # only one command exports so

    if value not in ("text", "json", "yaml") and not is_build_file(value):
        raise click.BadParameter(
            f"{value!r} is not a format: write text, json or yaml, or a file name ending in .json or .yaml"
        )
    return _remember(context, parameter, value)


def _page_file(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    if value == Path("-"):
        raise click.BadParameter("name a file: what the command prints goes to standard output")
    return value


def _work_in(_: click.Context, __: click.Parameter, value: str | None) -> None:
    """Tell whoever asks for the user's Python, which is looked up where the rest of the environment is."""
    if value is not None:
        os.environ["STOWPLAN_PYTHON"] = value


def _color(_: click.Context, __: click.Parameter, value: str) -> None:
    """Say to whoever prints whether it is in colour."""
    look.color = value


def _loudness(loudness: Loudness) -> Callable[[click.Context, click.Parameter, bool], None]:
    """Say to whoever prints how much is printed."""

    def say(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value and context.obj.setdefault("loudness", loudness) is not loudness:
            raise click.UsageError("--quiet and --verbose contradict: leave out one of them")
        look.loudness = context.obj.get("loudness", Loudness.USUAL)

    return say


def _output(*formats: str) -> _Decorator:
    return click.option(
        "-o",
        "--output",
        cls=Option,
        type=click.Choice(formats),
        default="text",
        show_default=True,
        callback=_remember,
        help="Output format.",
    )


def _jobs(default: int, text: str) -> _Decorator:
    number = click.IntRange(1, 64)
    return click.option("--jobs", cls=Option, type=number, default=default, show_default=True, help=text)


def _flag(name: str, text: str, other: str = "") -> _Decorator:
    """A flag, which does not go with another of the name `other`."""

    def alone(context: click.Context, _: click.Parameter, value: bool) -> bool:
        if value and context.params.get(other):
            raise click.UsageError(
                f"{name} and --{other} contradict each other: leave out one of them", context
            )
        return value

    return click.option(name, cls=Option, type=_Truth(), is_flag=True, callback=alone, help=text)


def _project(text: str) -> _Decorator:
    return click.option(
        "--project",
        cls=Option,
        callback=_there,
        type=click.Path(file_okay=False, path_type=Path),
        help=text,
    )


def options(*names: str) -> _Decorator:
    """The options of these names, each declared once for all commands, and those that all commands have."""
    known: dict[str, _Decorator] = {
        "color": click.option(
            "--color",
            cls=Option,
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            show_default=True,
            expose_value=False,
            is_eager=True,
            callback=_color,
            help="When to print in colour; auto: on a terminal, unless $NO_COLOR is set.",
        ),
        "quiet": click.option(
            "-q",
            "--quiet",
            is_flag=True,
            expose_value=False,
            callback=_loudness(Loudness.QUIET),
            help="Print results and errors only.",
        ),
        "verbose": click.option(
            "-v",
            "--verbose",
            is_flag=True,
            expose_value=False,
            callback=_loudness(Loudness.VERBOSE),
            help="Print more: what engines say, and whole references.",
        ),
        "project": _project("Project directory. Default: the nearest parent directory with a project file."),
        "new-project": _project("The directory to make a project of. Default: the current one."),
        "pipeline": click.option(
            "--pipeline",
            metavar="SOURCE",
            shell_complete=names_of("pipeline"),
            help="The pipeline: a name of the project file, or module:object. Default: the one that has the"
            " image, or the only one.",
        ),
        "all-pipelines": click.option(
            "--pipeline",
            metavar="SOURCE",
            shell_complete=names_of("pipeline"),
            help="Only this pipeline: a name of the project file, or module:object. Default: all of them.",
        ),
        "config": click.option(
            "--config",
            cls=Option,
            callback=_there,
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Run configuration (YAML), which overrides the settings of the pipeline.",
        ),
        "stack": click.option(
            "--stack",
            metavar="NAME",
            shell_complete=names_of("stack"),
            help="The stack. Default: $STOWPLAN_STACK, `default`, or the only one.",
        ),
        "all-stacks": click.option(
            "--stack",
            metavar="NAME",
            shell_complete=names_of("stack"),
            help="Only this stack. Default: all of them.",
        ),
        "python": click.option(
            "--python",
            metavar="PYTHON",
            expose_value=False,
            callback=_work_in,
            help="Your Python: it imports pipelines written in Python, and "
            "replicate_local_python_environment lists its packages. "
            "Default: $STOWPLAN_PYTHON, the active environment, or the first on the PATH.",
        ),
        "engine": click.option(
            "--engine",
            metavar="NAME",
            shell_complete=names_of("engine"),
            help="docker or podman. Default: $STOWPLAN_CONTAINER_ENGINE, or the first that works.",
        ),
        "output": _output("text", "json", "markdown"),
        "output-data": _output("text", "json", "yaml", "markdown"),
        "output-file": click.option(
            "-o",
            "--output",
            cls=Option,
            metavar="text|json|yaml|FILE",
            default="text",
            show_default=True,
            callback=_format_or_file,
            help="Output format, or a file (.json, .yaml, .yml) to export the build to.",
        ),
        "html": click.option(
            "--html",
            "page",
            type=click.Path(path_type=Path),
            metavar="FILE",
            callback=_page_file,
            help="Also draw it in this file, as a page for a browser.",
        ),
        "build": click.option(
            "--build",
            metavar="ID|FILE",
            shell_complete=names_of("build"),
            help="Use this build as it is, and build nothing: its id, or a file that it was exported to.",
        ),
        "prevent-reuse": click.option(
            "--prevent-build-reuse",
            "prevent_reuse",
            is_flag=True,
            help="Build every image, even if it exists.",
        ),
        "jobs": _jobs(2, "How many images to build in parallel."),
        "jobs-of-run": _jobs(4, "How many steps to run in parallel."),
        "locked": _flag("--locked", "Fail if the lock is stale.", "frozen"),
        "frozen": _flag(
            "--frozen", "Use the lock as it is, without checking that it is up to date.", "locked"
        ),
        "offline": _flag("--offline", "Contact no registry."),
        "detailed": _flag("--detailed-exitcode", "Exit with 2 if there are changes."),
        "unpinned": _flag("--allow-unpinned", "Continue when the digest of a parent image is not known."),
    }
    decorators = [known[name] for name in reversed((*names, *_EVERYWHERE))]
    return lambda command: functools.reduce(lambda made, decorate: decorate(made), decorators, command)


def loaded_project(directory: Path | None) -> Project:
    """The project in a directory, or the nearest one upwards."""
    return load_project(project_root(directory))


def project_root(directory: Path | None, *, sweeps: bool = True) -> Path:
    """The directory of the project, whatever its file says.

    What dead processes left in it is swept, unless nothing may be changed there.
    """
    try:
        root = Path(os.path.realpath(directory)) if directory else find_project(Path.cwd())
    except FileNotFoundError:
        raise ExecutorError.of("working directory", "does not exist any more", "change to another") from None
    if context := click.get_current_context(silent=True):
        # Where the details of what goes wrong are written.
        context.find_root().ensure_object(dict)["root"] = root
    if sweeps:
        sweep_scratch(root)
    return root


def known_error(error: Exception) -> StowplanError | None:
    """The error, if it is one that says what is wrong and what to do."""
    return error if isinstance(error, StowplanError) else None
