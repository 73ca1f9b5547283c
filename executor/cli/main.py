"""The command line: argv → workflow → words and exit codes.

Owns what a person types and sees, and that it ends with words and an exit code whatever happens. Results go
to standard output, everything else to standard error. Refuses to do anything that a program could not do
with the same calls.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

import click

from executor.cli.completion import VARIABLE, completed
from executor.cli.group import Group
from executor.cli.streams import Output, open_streams

__all__ = ["main", "run"]

USAGE: Final = 64
NOT_WRITTEN: Final = 74
INTERRUPTED: Final = 130
# Fine, and changes with --detailed-exitcode.
_RESULTS: Final = (0, 2)


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code."""
    # A command makes many values that live to its end: looking for cycles among them that often takes a
    # tenth of the time of a plan.
    gc.set_threshold(100_000)
    if VARIABLE in os.environ:
        sys.exit(completed(cli))
    output = open_streams()
    signal.signal(signal.SIGTERM, _interrupt)
    warnings.showwarning = _warn
    if any(action == "error" for action, *_ in warnings.filters):
        # PYTHONWARNINGS=error is meant for other programs: here it would stop a plan for a note.
        warnings.simplefilter("default")
    code = INTERRUPTED
    # Whoever interrupts a second time does not want to read about the first.
    with contextlib.suppress(KeyboardInterrupt):
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = _delivered(output, run(sys.argv[1:] if argv is None else argv))
    for number in (signal.SIGINT, signal.SIGTERM):
        # Python would say what it was doing at its own end.
        signal.signal(number, lambda *_: os._exit(code))
    # Nor is there anything to gain from looking for cycles among all that ends now: a twentieth of a plan.
    gc.freeze()
    sys.exit(code)


def _delivered(output: Output, code: int) -> int:
    """The exit code, once all was written: a result that reached nobody is none."""
    sys.stdout.flush()
    # A reader that is gone has read enough.
    if output.error is None or isinstance(output.error, BrokenPipeError):
        return code
    from executor.cli.output import print_error  # noqa: PLC0415  # see Group
    from executor.errors import ExecutorError, remedy  # noqa: PLC0415  # as above

    found = f"cannot be written: {output.error.strerror}"
    print_error(ExecutorError.of("standard output", found, remedy(output.error)))
    return NOT_WRITTEN if code in _RESULTS else code


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Say a warning as a note: where in our code it was raised helps nobody."""
    from executor.cli.output import print_note  # noqa: PLC0415  # see Group

    print_note(str(message))


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def run(argv: list[str]) -> int:
    """Run the command line; its exit code.

    0 fine; 1 failed, or stale under --check and --locked; 2 changes, with --detailed-exitcode; 64 the
    command line is wrong; 70 a defect of stowplan; 75 try again later; 130 interrupted. And 74 of `main`:
    standard output cannot be written.
    """
    shared: dict[str, Any] = {}
    try:
        with cli.make_context("stowplan", argv, obj=shared) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        _print(error.format_message().split("\n"), err=True)
        return USAGE
    except click.ClickException as error:
        from executor.cli.output import print_usage  # noqa: PLC0415  # see Group
        from executor.cli.usage import command_of, explained  # noqa: PLC0415  # as above

        print_usage(*explained(error), command_of(cli, argv))
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        _print(["interrupted"], err=True)
        return INTERRUPTED
    except Exception as error:
        return _failed(error, shared)
    return code if isinstance(code, int) else 0


def _failed(error: Exception, shared: Mapping[str, Any]) -> int:
    """Say what is wrong; the exit code."""
    from executor.cli.options import FAILED, known_error  # noqa: PLC0415  # see Group
    from executor.cli.output import print_error  # noqa: PLC0415  # as above

    known = known_error(error)
    if known is None:
        from executor.defects import explained  # noqa: PLC0415  # few errors have no words yet

        known = explained(error, shared.get("root"))
    print_error(known, as_json=shared.get("output") == "json")
    return getattr(known, "exit_code", FAILED)


def _print(lines: Iterable[str], *, err: bool = False) -> None:
    from executor.cli.output import print_lines  # noqa: PLC0415  # see Group

    print_lines(lines, err=err)


class _Version:
    """The version, looked up only when it is asked for."""

    @staticmethod
    def show(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  # only this needs it

            try:
                _print([f"stowplan {version('stowplan')}"])
            except PackageNotFoundError:
                _print(["stowplan, not installed"])
            ctx.exit()


@click.group(
    cls=Group,
    homes={
        name: f"executor.cli.commands.{name}"
        for name in (
            *("init", "doctor"),
            *("plan", "lock", "diff", "apply", "build", "run", "show", "why", "export", "outdated"),
            "impact",
            "explain",
            *("builds", "runs"),
            *("integrations", "stack"),
            "man",
            "schema",
            "completion",
        )
    },
    examples=(
        ("stowplan init", "Make a project of this directory."),
        ("stowplan plan", "Say what would be built, and why."),
        ("stowplan apply", "Build it."),
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_Version.show,
    help="Show the version.",
)
def cli() -> None:
    """Plan every container image of a pipeline before anything is built."""
