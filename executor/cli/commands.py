"""The commands that plan and build: plan, lock, diff, apply and show.

Refuses to do anything that a program could not do with the same calls of `workflow`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click

from executor.apply.scheduler import Status, apply
from executor.cli.options import (
    CHANGES,
    FAILED,
    engine_chooser,
    loaded_project,
    options,
    print_error,
    print_json,
    styled,
)
from executor.cli.progress import progress, waiting
from executor.config.project import Project
from executor.engines.names import asked_engine
from executor.errors import ExecutorError, UsageError
from executor.state import read_lock_file
from executor.workflow import (
    Comparison,
    LockCheck,
    Planned,
    check_lock,
    compare,
    exit_code,
    missing_pairs,
    outcomes_data,
    plan,
    refuse_unpinned,
    report,
    write_lock,
)
from planner.compare.changes import Change
from planner.compare.explain import (
    Report,
    cell,
    code,
    count,
    image_data,
    image_text,
    markdown,
    report_data,
    steps_text,
    table,
    text_lines,
)
from planner.errors import did_you_mean
from planner.image.plan import BuildPlan, Use
from planner.lock.lockfile import LOCK_NAME, Lock
from planner.render.dockerfile import dockerfile

__all__ = ["COMMANDS"]

_LOOKING: Final = "looking at files and registries"


def _plan_named(
    project: Path | None, pipeline: str | None, stack: str | None, **how: Any
) -> tuple[Project, Planned]:
    loaded = loaded_project(project)
    with waiting(_LOOKING):
        return loaded, plan(loaded, loaded.pipeline(pipeline), loaded.stack(stack), **how)


def _show_report(made: Report, output: str) -> None:
    match output:
        case "json":
            print_json(report_data(made))
        case "markdown":
            click.echo(markdown(made), nl=False)
        case _:
            for line in text_lines(made):
                click.echo(styled(line))


@click.command("plan")
@click.argument("pipeline", required=False)
@options("project", "stack", "engine", "output", "locked", "frozen", "detailed")
def plan_command(
    pipeline: str | None,
    project: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    locked: bool,
    frozen: bool,
    detailed_exitcode: bool,
) -> int:
    """Say what would be built, and why. Builds nothing, and needs neither engine nor network."""
    loaded, planned = _plan_named(
        project, pipeline, stack, engine=engine_chooser(engine), locked=locked, frozen=frozen
    )
    made = report(loaded, planned, asked_engine(engine))
    _show_report(made, output)
    return CHANGES if detailed_exitcode and (made.changes or made.to_build) else 0


@click.command()
@click.argument("pipeline", required=False)
@click.option("--check", is_flag=True, help="Write nothing; fail if the lock is not what it would be.")
@options("project", "stack", "engine", "output", "unpinned", "frozen")
def lock(
    pipeline: str | None,
    check: bool,
    project: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    allow_unpinned: bool,
    frozen: bool,
) -> int:
    """Write stowplan.lock: all pipelines on all stacks, or those named."""
    loaded = loaded_project(project)
    checked = _checked(loaded, pipeline, stack, engine, frozen=frozen)
    if not allow_unpinned:
        refuse_unpinned(checked.plans)
    if check:
        _show_lock(checked, output, "up to date" if checked.fresh else "stale")
        return 0 if checked.fresh else FAILED
    written = write_lock(loaded, checked)
    _show_lock(checked, output, "written" if written else "up to date")
    return 0


def _checked(
    project: Project, pipeline: str | None, stack: str | None, engine: str | None, *, frozen: bool = False
) -> LockCheck:
    """The lock compared with the pipelines and stacks that are named, or with all."""
    with waiting(_LOOKING):
        return check_lock(
            project,
            [project.pipeline(pipeline)] if pipeline else project.pipelines.values(),
            [project.stack(stack)] if stack else project.stacks.values(),
            whole=not pipeline and not stack,
            engine=engine_chooser(engine),
            frozen=frozen,
        )


def _show_lock(checked: LockCheck, output: str, state: str) -> None:
    compared = checked.compared
    if output == "json":
        print_json({
            "schema": "stowplan/lock/1",
            "lock": state,
            "plans": [
                {"pipeline": made.pipeline, "stack": made.stack, "hash": str(made.environment_hash)}
                for made in checked.plans
            ],
            "changes": [change for comparison in compared for change in comparison.data()],
            "gone": [{"pipeline": name, "stack": stack} for name, stack in checked.gone],
        })  # fmt: skip
        return
    _show_comparisons(compared, output)
    for note in dict.fromkeys(note for made in checked.plans for note in made.notes if "pinned" in note):
        click.echo(styled(f"note: {note}"), err=True)
    images = sum(len(made.images) for made in checked.plans)
    remedy = "; write it with `stowplan lock`" if state == "stale" else ""
    plans = count(len(checked.plans), "plan")
    click.echo(f"{LOCK_NAME} is {state}: {plans}, {count(images, 'image')}{remedy}")


@click.command("diff")
@click.argument("before", required=False, metavar="[A]")
@click.argument("after", required=False, metavar="[B]")
@options("project", "pipeline", "stack", "engine", "output", "detailed")
def diff_command(
    before: str | None,
    after: str | None,
    project: Path | None,
    pipeline: str | None,
    stack: str | None,
    engine: str | None,
    output: str,
    detailed_exitcode: bool,
) -> int:
    """Compare two plans: the lock and now, the lock file A and now, or the lock files A and B."""
    old = _lock_file(before) if before else None
    if after:
        plans: tuple[BuildPlan, ...] = _lock_file(after).plans
        old = old or Lock()
    else:
        loaded = loaded_project(project)
        checked = _checked(loaded, pipeline, stack, engine)
        plans = checked.plans
        old = old or checked.lock or Lock()
    compared = compare(
        old,
        [made for made in plans if _is_named((made.pipeline, made.stack), pipeline, stack)],
        [pair for pair in missing_pairs(old, plans) if _is_named(pair, pipeline, stack)],
    )
    changes = [change for comparison in compared for change in comparison.changes]
    if output == "json":
        print_json({
            "schema": "stowplan/diff/1",
            "changes": [change for comparison in compared for change in comparison.data()],
        })  # fmt: skip
    else:
        _show_comparisons(compared, output)
        if not changes:
            click.echo("no changes")
    return CHANGES if detailed_exitcode and changes else 0


def _is_named(pair: tuple[str, str], pipeline: str | None, stack: str | None) -> bool:
    return (pipeline or pair[0], stack or pair[1]) == pair


def _lock_file(name: str) -> Lock:
    path = Path(name)
    if not path.is_file():
        raise UsageError.of(name, "no such file", "name a lock file; git revisions are not there yet")
    found = read_lock_file(path)
    assert found is not None  # noqa: S101  # it is a file
    return found


def _show_comparisons(compared: Iterable[Comparison], output: str) -> None:
    """What changed in each plan; stacks on which the same changed are named together."""
    same: dict[tuple[str, tuple[Change, ...]], list[Comparison]] = {}
    for comparison in compared:
        if comparison.changes:
            same.setdefault((comparison.pipeline, comparison.changes), []).append(comparison)
    for (pipeline, _), comparisons in same.items():
        stacks = ", ".join(comparison.stack for comparison in comparisons)
        _show_comparison(comparisons[0], f"{pipeline} on {stacks}", output)


def _show_comparison(comparison: Comparison, title: str, output: str) -> None:
    """The changes of one plan, those of an image together, with its steps and the layers built anew."""
    by_image = comparison.by_image()
    if output == "markdown":
        rows = [
            [
                code(name),
                ", ".join(map(code, comparison.steps.get(name, ()))),
                "<br>".join(map(cell, lines)),
            ]
            for name, lines in by_image.items()
        ]
        click.echo(f"### {cell(title)}\n\n{table(['image', 'steps', 'changes'], rows)}\n")
        return
    click.echo(f"{title}:")
    for name, lines in by_image.items():
        steps = comparison.steps.get(name, ())
        click.echo(f"  {name}" + (f" ({steps_text(steps)})" if steps else ""))
        for line in lines:
            click.echo(f"    {line}")


@click.command("apply")
@click.argument("pipeline", required=False)
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Images built side by side."
)
@options("project", "stack", "engine", "output", "locked", "frozen")
def apply_command(
    pipeline: str | None,
    jobs: int,
    project: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    locked: bool,
    frozen: bool,
) -> int:
    """Build what is not there yet, push it, and record it."""
    choose = engine_chooser(engine)
    loaded, planned = _plan_named(project, pipeline, stack, engine=choose, locked=locked, frozen=frozen)
    with progress(planned.plan) as on_event:
        outcomes = apply(
            planned.plan, planned.facts, root=loaded.root, engine=choose, jobs=jobs, on_event=on_event
        )
    match output:
        case "json":
            print_json(outcomes_data(planned.plan, outcomes))
        case "markdown":
            rows = [
                [item.action.value, code(item.name), code(item.reference), f"{item.seconds:.1f} s"]
                for item in outcomes
            ]
            click.echo(table(["action", "image", "reference", "time"], rows))
        case _:
            for note in planned.plan.notes:
                click.echo(styled(f"note: {note}"), err=True)
            width = max(len(item.name) for item in outcomes)
            for item in outcomes:
                line = f"{item.action:<7} {item.name:<{width}}  {item.reference}  {item.seconds:.1f} s"
                click.echo(styled(line))
            built = sum(item.action is Status.BUILD for item in outcomes)
            failed = sum(item.action is Status.FAILED for item in outcomes)
            there = len(outcomes) - built - failed
            click.echo(
                f"{built} built, {failed} failed, {there} there already"
                if built or failed
                else "nothing to build"
            )
    for item in outcomes:
        if item.error is not None and output != "json":
            click.echo(f"{item.name}:", err=True)
            print_error(item.error)
    return exit_code(outcomes)


@click.command()
@click.argument("image")
@click.option("--dockerfile", "part", flag_value="dockerfile", help="Print the Dockerfile and nothing else.")
@click.option(
    "--context", "part", flag_value="context", help="Print the paths of the files that go into the image."
)
@click.option(
    "-0", "null", is_flag=True, help="With --context: end each path with NUL instead of a line end."
)
@options("project", "pipeline", "stack", "engine", "output", "frozen")
def show(
    image: str,
    part: str | None,
    null: bool,
    project: Path | None,
    pipeline: str | None,
    stack: str | None,
    engine: str | None,
    output: str,
    frozen: bool,
) -> None:
    """Show one image: its name is that of the pipeline, of one of its steps, or `pipeline/step`."""
    if null and part != "context":
        raise click.UsageError("-0 goes with --context")
    # A Dockerfile names variables and holds no value: nothing of this machine is needed to print it.
    loaded, planned = _plan_named(
        project, pipeline, stack, engine=engine_chooser(engine), frozen=frozen, here=part != "dockerfile"
    )
    found = planned.plan.image(image)
    if found is None:
        names = [name for item in planned.plan.images for name in (item.name, *item.steps)]
        raise UsageError.of("command line", f"there is no image {image!r}", did_you_mean(image, names))
    match part:
        case "dockerfile":
            if found.use is Use.PARENT:
                raise ExecutorError.of(
                    found.name, f"uses {found.parent.base} as it is", "there is no Dockerfile"
                )
            click.echo(dockerfile(found), nl=False)
        case "context":
            end = "\0" if null else "\n"
            click.echo(
                "".join(f"{path}{end}" for path in (found.tree.paths() if found.tree else ())), nl=False
            )
        case _:
            made = report(loaded, planned, asked_engine(engine))
            if output == "json":
                print_json(image_data(made, found))
            else:
                click.echo(image_text(made, found, fenced=output == "markdown"), nl=False)


COMMANDS = {command.name: command for command in (plan_command, lock, diff_command, apply_command, show)}
