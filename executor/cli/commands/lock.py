"""`stowplan lock`: write the lock, check it, move its pins."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.options import FAILED, LOOKING, engine_chooser, loaded_project, options
from executor.cli.output import print_json, print_lines, print_note
from executor.cli.progress import waiting
from executor.workflow.locks import (
    LockCheck,
    check_lock,
    refuse_unpinned,
    unpinned,
    unpinned_reason,
    write_lock,
)
from executor.workflow.plans import refuse_unresolved
from executor.workflow.upgrades import newest_time, released_image, upgraded_package
from planner.lock.lock import LOCK_NAME

__all__ = ["COMMANDS"]


@click.command(
    cls=Command,
    examples=(
        ("stowplan lock", "Write the lock, or bring it up to date."),
        ("stowplan lock --check", "Fail if it is stale, as a CI job does."),
        ("stowplan lock --upgrade-package numpy", "Move one package."),
    ),
)
@click.argument("source", required=False, shell_complete=names_of("pipeline"))
@click.option("--check", is_flag=True, help="Write nothing, and fail if the lock is stale. Needs no network.")
@click.option("--upgrade", is_flag=True, help="Look up everything that the lock pins again.")
@click.option(
    "--upgrade-image",
    multiple=True,
    metavar="REF",
    help="Look up only this parent image again. Can be repeated.",
)
@click.option(
    "--upgrade-package",
    multiple=True,
    metavar="NAME[==V]",
    help="Look up only this package again; with ==V, use that version. Can be repeated.",
)
@click.option(
    "--exclude-newer",
    metavar="DATE",
    help="Use no package published after this day (UTC) or time. The lock keeps the date; `none` removes it.",
)
@click.option(
    "--forget-pushed",
    is_flag=True,
    help="Forget which images were pushed: registries are asked again.",
)
@options("project", "config", "all-stacks", "engine", "python", "output", "unpinned", "quiet")
def lock(
    source: str | None,
    check: bool,
    upgrade: bool,
    upgrade_image: tuple[str, ...],
    upgrade_package: tuple[str, ...],
    exclude_newer: str | None,
    forget_pushed: bool,
    project: Path | None,
    config: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    allow_unpinned: bool,
) -> int:
    """Write stowplan.lock: all pipelines on all stacks, or those you name.

    Pins stay as they are until an --upgrade option moves them. A lock that cannot be read, for example after
    a merge, is repaired.
    """
    if check and (upgrade or upgrade_image or upgrade_package or exclude_newer or forget_pushed):
        raise click.UsageError("--check writes nothing: leave out what changes the lock")
    loaded = loaded_project(project)
    with waiting(LOOKING):
        checked = check_lock(
            loaded,
            source,
            stack,
            config,
            asks=not check,
            repairs=not check,
            released=map(released_image, upgrade_image),
            all_released=upgrade,
            upgrades=[upgraded_package(text) for text in upgrade_package],
            exclude_newer=None if exclude_newer is None else newest_time(exclude_newer),
            engine=engine_chooser(engine),
        )
    if check:
        _show(checked, output, "up to date" if checked.fresh else "stale")
        return 0 if checked.fresh else FAILED
    refuse_unresolved(checked.plans)
    if not allow_unpinned:
        refuse_unpinned(checked.plans)
    written = write_lock(loaded, checked, forget_pushed=forget_pushed)
    _show(checked, output, "written" if written else "up to date")
    return 0


def _show(checked: LockCheck, output: str, state: str) -> None:
    if output == "json":
        from executor.cli.render.data import lock_data  # noqa: PLC0415  # only what is printed

        print_json(lock_data(checked, state))
        return
    from executor.cli.commands.diff import show_comparisons  # noqa: PLC0415  # as above
    from executor.cli.render.text import count  # noqa: PLC0415  # as above

    repaired = checked.repaired
    if repaired is not None:
        print_note(f"{LOCK_NAME} could not be read as a whole: kept {' and '.join(repaired.kept)}")
        for dropped in repaired.dropped:
            print_note(f"dropped {dropped}")
    show_comparisons(checked.compared, output)
    for note in checked.notes:
        print_note(str(note))
    for parent in unpinned(checked.plans):
        name, reason = parent.reference.familiar, unpinned_reason(parent)
        print_note(f"unpinned: the digest of {name} is not known ({reason})")
    images = sum(len(made.images) for made in checked.plans)
    remedy = "; write it with `stowplan lock`" if state == "stale" else ""
    plans = count(len(checked.plans), "plan")
    print_lines([f"{LOCK_NAME} is {state}: {plans}, {count(images, 'image')}{remedy}"])


COMMANDS = {"lock": lock}
