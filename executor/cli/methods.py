"""What `training.run()` and `training.build()` do: the commands of these names, for a pipeline that is here.

It need not have a name that another process could import it by. The options are those of the command, by
their names with underscores.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from executor.config.project import find_project
from executor.errors import ExecutorError, Failure
from executor.observe.programs import PYTHON_VARIABLE
from planner.errors import Place, Problem, did_you_mean

__all__ = ["call"]

INTERRUPTED: Final = 130


def call(name: str, pipeline: Any, options: Mapping[str, Any]) -> None:
    """Carry a command out for a decorated pipeline.

    TypeError for an option that the command does not have, click.UsageError for a value it does not take.
    PlannerError or ExecutorError if it fails, after it has said what of it is not in the error;
    KeyboardInterrupt if it was interrupted, and has tidied up.
    """
    command: click.Command = import_module(f"executor.cli.commands.{name}").COMMANDS[name]
    file = Path(os.path.realpath(pipeline.where.file))
    given = {"project": find_project(file.parent), "python": sys.executable, **options}
    before = os.environ.get(PYTHON_VARIABLE)
    try:
        with command.make_context(name, [*_words(command, given)], obj={}) as context:
            context.params["source"] = pipeline
            code = command.invoke(context)
    finally:
        os.environ.pop(PYTHON_VARIABLE, None)
        if before is not None:
            os.environ[PYTHON_VARIABLE] = before
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        found, fix = f"{name} of {pipeline.name} failed", "what failed is printed above"
        raise ExecutorError([Problem(Place(file=pipeline.where.file), found, fix, "failed")], Failure.FAILED)


def _words(command: click.Command, options: Mapping[str, Any]) -> Iterator[str]:
    """Options as the words of a command line."""
    known = {each.name: each for each in command.params if isinstance(each, click.Option)}
    for name, value in options.items():
        option = known.get(name)
        if option is None:
            advice = did_you_mean(name, map(str, known))
            raise TypeError(f"{command.name}() has no option {name!r}: {advice}")
        if option.is_flag:
            yield from [option.opts[-1]] if value else []
        elif value is not None:
            yield from (option.opts[-1], str(value))
