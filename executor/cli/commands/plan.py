"""`stowplan plan`: what would be done, and why."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.look import look
from executor.cli.options import CHANGES, LOOKING, engine_chooser, loaded_project, options
from executor.cli.output import print_json, print_lines, print_markdown, print_note
from executor.cli.pages import save_page
from executor.cli.progress import waiting
from executor.config.source import chosen
from executor.engines.names import asked_engine, possible_builders
from executor.workflow.named import asked_build, compared
from executor.workflow.pages import tree_sizes
from executor.workflow.plans import plan
from executor.workflow.reports import named_report, report

__all__ = ["COMMANDS"]


@click.command(
    "plan",
    cls=Command,
    examples=(
        ("stowplan plan", "What would be built, and why."),
        ("stowplan plan training --stack prod", "For one pipeline on one stack."),
        ("stowplan plan --html .stowplan/plan.html", "As a page for a browser."),
        ("stowplan plan --out .stowplan/plan.json", "Saved, for `stowplan apply` of exactly it."),
    ),
)
@click.argument("source", required=False, shell_complete=names_of("pipeline"))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Save the plan in this .json file: `stowplan apply FILE` applies exactly it, or says what moved.",
)
@options(
    "project",
    "config",
    "stack",
    "engine",
    "python",
    "output",
    "html",
    "locked",
    "frozen",
    "offline",
    "detailed",
    "build",
    "prevent-reuse",
    "quiet",
    "verbose",
)
def plan_command(
    source: str | None,
    out: Path | None,
    project: Path | None,
    config: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    page: Path | None,
    locked: bool,
    frozen: bool,
    offline: bool,
    detailed_exitcode: bool,
    build: str | None,
    prevent_reuse: bool,
) -> int:
    """Show what would be built, and why. Builds nothing.

    Pins of stowplan.lock are not looked up. Registries are asked only for parent images that it does not
    pin, and for images to push that were not pushed from here.
    """
    if out is not None and build is not None:
        raise click.UsageError("--build takes a build that is there: there is no plan to save with --out")
    loaded = loaded_project(project)
    with waiting(LOOKING):
        pipeline = chosen(loaded, source, config)
        named = asked_build(loaded, pipeline, build, prevent_reuse=prevent_reuse)
        planned = plan(
            loaded,
            pipeline,
            loaded.stack(stack),
            engine=engine_chooser(engine),
            locked=locked,
            frozen=frozen,
            offline=offline,
            prevent_reuse=prevent_reuse,
            builders=possible_builders(engine),
        )
        if named is not None:
            made = named_report(planned, compared(named, planned))
        else:
            made = report(loaded, planned, engine_name=asked_engine(engine) or "", offline=offline)
    if page is not None:
        from executor.cli.render.page.document import report_page  # noqa: PLC0415  # only what is written

        sizes = tree_sizes(loaded.root, made.plan.images)
        save_page(page, report_page(made, pipeline.pipeline, sizes), loaded, planned)
    if out is not None:
        from executor.workflow.saved_plans import write_plan  # noqa: PLC0415  # few plans are saved

        write_plan(loaded, planned, out, frozen=frozen, prevent_reuse=prevent_reuse, config=config)
    match output:
        case "json":
            from executor.cli.render.data import report_data  # noqa: PLC0415  # only what is printed

            print_json(report_data(made))
        case "markdown":
            from executor.cli.render.markdown import report_markdown  # noqa: PLC0415  # as above

            print_markdown(report_markdown(made))
        case _:
            from executor.cli.render.text import report_lines  # noqa: PLC0415  # as above

            print_lines(report_lines(made, notes=not look.quiet, verbose=look.verbose))
    if out is not None:
        print_note(f"saved in {out}: `stowplan apply {out}` applies exactly this plan")
    return CHANGES if detailed_exitcode and (made.changes or made.acts) else 0


COMMANDS = {"plan": plan_command}
