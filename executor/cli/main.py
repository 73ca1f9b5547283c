"""The command line: argv → workflow → words and exit codes.

Owns what a person types and sees. Results go to standard output, everything else to standard error.
Refuses to do anything that a program could not do with the same calls.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from collections.abc import Iterable
from typing import Any, Final, NoReturn

import click

from executor.cli.group import Group

__all__ = ["main"]

USAGE: Final = 64
INTERRUPTED: Final = 130


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code."""
    # A command makes many values that live to its end: looking for cycles among them that often takes a
    # tenth of the time of a plan.
    gc.set_threshold(100_000)
    signal.signal(signal.SIGTERM, _interrupt)
    warnings.showwarning = _warn
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Say a warning as a note: where in our code it was raised helps nobody."""
    from executor.cli.output import print_note  # noqa: PLC0415  # see Group

    print_note(str(message))


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def run(argv: list[str]) -> int:
    """Run the command line; its exit code.

    0 fine; 1 failed, or stale under --check and --locked; 2 changes, with --detailed-exitcode; 64 the
    command line is wrong; 75 try again later; 130 interrupted.
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

        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "stowplan"
        print_usage(error.format_message(), where)
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        _print(["interrupted"], err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever was reading has read enough. Python must not try to flush the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # raised again unless it is one of ours
        return _failed(error, as_json=shared.get("output") == "json")
    return code if isinstance(code, int) else 0


def _failed(error: Exception, *, as_json: bool) -> int:
    """Say what is wrong; the exit code. An error that is not ours is a defect, and stays one."""
    from executor.cli.options import FAILED, known_error  # noqa: PLC0415  # see Group
    from executor.cli.output import print_error  # noqa: PLC0415  # as above

    known = known_error(error)
    if known is None:
        raise error
    print_error(known, as_json=as_json)
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
        for name in ("plan", "lock", "diff", "apply", "show", "outdated", "builds")
    },
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
    """Say what every container image of a pipeline will be, before anything is built."""
