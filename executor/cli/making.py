"""What the commands share that have the images of a plan made: from the project to the words about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from executor.apply.outcome import exit_code
from executor.cli.look import look
from executor.cli.options import FAILED, LOOKING
from executor.cli.output import print_error, print_json, print_lines, print_markdown, print_note, print_yaml
from executor.cli.progress import progress, waiting
from executor.cli.render.line import Part, Style
from executor.config.source import Chosen, chosen
from executor.workflow.builds import Made, make_build
from executor.workflow.forecast import Forecasts
from executor.workflow.named import asked_build
from executor.workflow.plans import locating, plan
from planner.lock.lock import LOCK_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from executor.config.project import Project
    from executor.workflow.saved_plans import SavedPlan
    from planner.compare.changes import Change
    from planner.stack import Stack

__all__ = ["made", "picked", "show_made"]

# Where programs read: nothing is said beside the result.
_DATA: Final = ("json", "yaml")


def picked(project: Project, source: str | None, config: Path | None) -> Chosen:
    """The pipeline of a command. One in Python is imported, which can take a while."""
    with waiting(LOOKING):
        return chosen(project, source, config)


def made(
    project: Project,
    pipeline: Chosen,
    stack: Stack,
    *,
    engine: Callable[[], Any],
    builders: frozenset[str],
    jobs: int,
    locked: bool,
    frozen: bool,
    build: str | None,
    prevent_reuse: bool,
    output: str,
    saved: SavedPlan | None = None,
) -> Made:
    """Plan, and have the images made; what goes on is shown. `output` says what the result is printed as.

    `build` is what the command line says of a build to take, which goes over what a run configuration says.
    With a `saved` plan nothing is done unless the plan is exactly that.
    """
    named = asked_build(project, pipeline, build, prevent_reuse=prevent_reuse)
    with waiting(LOOKING):
        planned = plan(
            project,
            pipeline,
            stack,
            engine=engine,
            locked=locked,
            frozen=frozen,
            prevent_reuse=prevent_reuse,
            builders=builders,
        )
    if saved is not None:
        from executor.workflow.saved_plans import refuse_moved  # noqa: PLC0415  # few plans are saved

        refuse_moved(saved, planned)

    def show_renewed(changes: tuple[Change, ...]) -> None:
        if output not in _DATA:
            print_note(f"updated {LOCK_NAME}:")
            for change in changes:
                print_note(f"  {change.image}: {change.text}")

    forecasts = Forecasts(project.root, planned.plan)
    with locating(project), progress(planned.plan, forecasts.of) as on_event:
        return make_build(
            project,
            planned,
            engine=engine,
            jobs=jobs,
            renews=not (frozen or locked),
            named=named,
            on_event=on_event,
            on_renewed=show_renewed,
        )


def show_made(result: Made, output: str) -> int:
    """Print what came of a plan, and what went wrong, as text, JSON, YAML or Markdown; the exit code."""
    made_plan, outcomes = result.planned.plan, result.outcomes
    match output:
        case "json" | "yaml":
            from executor.cli.render.data import outcome_data  # noqa: PLC0415  # only what is printed

            (print_json if output == "json" else print_yaml)(outcome_data(result))
        case "markdown":
            from executor.cli.render.markdown import outcome_markdown  # noqa: PLC0415  # as above

            print_markdown(outcome_markdown(outcomes))
        case _:
            from executor.cli.render.text import outcome_lines  # noqa: PLC0415  # as above

            for note in made_plan.notes:
                print_note(str(note))
            for name, closest in result.closest.items():
                # What is between an image and its own last build, `plan` and `diff` tell.
                if (closest.pipeline, closest.stack, closest.image) != (
                    made_plan.pipeline,
                    made_plan.stack,
                    name,
                ):
                    print_note(f"{name}: closest to it was {closest}")
            print_lines(outcome_lines(outcomes, verbose=look.verbose))
    if output not in _DATA:
        for item in outcomes:
            if item.error is not None:
                print_lines([(Part(item.name, Style.STRONG), ":")], err=True)
                print_error(item.error)
        if result.error is not None:
            print_error(result.error)
    return exit_code(result.outcomes) or (FAILED if result.error is not None else 0)
