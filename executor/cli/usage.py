"""What is wrong with a command line, in the words of all other errors.

Owns the texts for what click finds. Refuses to know any command.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from planner.errors import did_you_mean

__all__ = ["command_of", "explained"]


def explained(error: click.ClickException) -> tuple[str, str]:
    """What was found, and what to do about it; the second is empty where the help says it all."""
    match error:
        case click.NoSuchOption():
            # Click offers what is near, but also what is not.
            return f"there is no option {error.option_name}", _near(error.option_name, error.possibilities)
        case click.BadOptionUsage():
            return f"{error.option_name} needs a value", f"write {error.option_name} VALUE"
        case click.MissingParameter():
            return _missing(error)
        case click.BadParameter():
            return _bad_value(error)
        case click.UsageError() if error.message.startswith("Got unexpected extra argument"):
            words = error.message[error.message.index("(") + 1 : -1]
            return f"more arguments than the command takes: {words}", "leave them out"
    # Ours: what was found, and what to do.
    found, _, fix = error.format_message().partition(": ")
    return found, fix


def _near(name: str, known: Sequence[str] | None) -> str:
    return did_you_mean(name, known, "") if known else ""


def _missing(error: click.MissingParameter) -> tuple[str, str]:
    """What is missing, and all that the command takes."""
    context, missing = error.ctx, error.param
    if context is None or missing is None:
        return error.format_message(), ""
    arguments = [
        each.make_metavar(context) for each in context.command.params if isinstance(each, click.Argument)
    ]
    return (
        f"{missing.make_metavar(context)} is missing",
        f"write {' '.join((context.command_path, *arguments))}",
    )


def _bad_value(error: click.BadParameter) -> tuple[str, str]:
    """What is wrong with the value of an option or an argument."""
    hint = error.param.get_error_hint(error.ctx) if error.param and error.ctx else "the value"
    where = hint.rpartition("/")[2].strip(" '")
    kind = error.param.type if error.param else None
    value = error.message.partition(" is not ")[0]
    if isinstance(kind, click.Choice) and value != error.message:
        return f"{where}: there is no {value}", did_you_mean(value.strip("'"), map(str, kind.choices))
    if isinstance(kind, click.IntRange) and value != error.message:
        most = f" to {kind.max}" if kind.max is not None else ""
        return (
            f"{where}: {value} is not a number from {kind.min}{most}",
            f"write a number from {kind.min}{most}",
        )
    found, _, fix = error.message.removesuffix(".").partition(": ")
    return f"{where}: {found}", fix


def command_of(root: click.Group, argv: Sequence[str]) -> str:
    """The command that is typed, as far as there is one: `stowplan builds list`."""
    command: click.Command | None = root
    names = ["stowplan"]
    for word in argv:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
        if command is None:
            break
        names.append(word)
    return " ".join(names)
