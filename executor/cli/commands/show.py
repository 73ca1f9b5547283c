"""`stowplan show IMAGE`: one image, whole or in part."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.options import LOOKING, engine_chooser, loaded_project, options
from executor.cli.output import print_exact, print_json, print_lines, print_markdown
from executor.cli.pages import save_page
from executor.cli.progress import waiting
from executor.config.project import Project
from executor.config.source import chosen
from executor.engines.names import asked_engine
from executor.errors import ExecutorError
from executor.observe.images import ChooseEngine
from executor.workflow.pages import tree_sizes
from executor.workflow.plans import image_spec, plan, unknown_image
from executor.workflow.reports import report
from planner.pipeline import Pipeline
from planner.render.dockerfile import dockerfile

__all__ = ["COMMANDS"]


@click.command(
    cls=Command,
    examples=(
        ("stowplan show training --dockerfile", "The Dockerfile of an image."),
        ("stowplan show train --settings", "Each setting, and where it comes from."),
    ),
)
@click.argument("image", shell_complete=names_of("image"))
@click.option("--dockerfile", "part", flag_value="dockerfile", help="Print the Dockerfile and nothing else.")
@click.option(
    "--context", "part", flag_value="context", help="Print the paths of the files that go into the image."
)
@click.option(
    "--settings",
    "part",
    flag_value="settings",
    help="Print each setting of a step, or of the pipeline: its value, and where it is set.",
)
@click.option(
    "-0", "null", is_flag=True, help="With --context: end each path with NUL instead of a line end."
)
@options("project", "pipeline", "config", "stack", "engine", "python", "output", "html", "frozen", "offline")
def show(
    image: str,
    part: str | None,
    null: bool,
    project: Path | None,
    pipeline: str | None,
    config: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    page: Path | None,
    frozen: bool,
    offline: bool,
) -> None:
    """Show one image. IMAGE is the name of the pipeline, of a step, or `pipeline/step`."""
    if null and part != "context":
        raise click.UsageError("-0 without --context: add --context")
    if page is not None and part is not None:
        raise click.UsageError(f"--html shows the whole image: leave out --{part}")
    loaded = loaded_project(project)
    if part == "dockerfile":
        with waiting(LOOKING):
            text = _dockerfile(
                loaded, image, pipeline, stack, config, engine_chooser(engine), asks=not offline
            )
        print_exact(text)
        return
    if part == "settings":
        _settings(loaded, chosen(loaded, pipeline, config, image=image).pipeline, image, output)
        return
    with waiting(LOOKING):
        picked = chosen(loaded, pipeline, config, image=image)
        planned = plan(
            loaded,
            picked,
            loaded.stack(stack),
            engine=engine_chooser(engine),
            frozen=frozen,
            offline=offline,
        )
    found = planned.plan.image(image)
    if found is None:
        raise unknown_image(image, planned.plan)
    if part == "context":
        end = "\0" if null else "\n"
        paths = (path for tree in found.checkout.trees.values() for path in tree.paths())
        print_exact("".join(f"{path}{end}" for path in paths), anywhere=null)
        return
    made = report(loaded, planned, engine_name=asked_engine(engine) or "", offline=offline)
    if page is not None:
        from executor.cli.render.page.document import image_page  # noqa: PLC0415  # only what is written

        sizes = tree_sizes(loaded.root, made.plan.images)
        save_page(page, image_page(made, picked.pipeline, found, sizes), loaded, planned)
    match output:
        case "json":
            from executor.cli.render.data import image_data  # noqa: PLC0415  # only what is printed

            print_json(image_data(made, found))
        case "markdown":
            from executor.cli.render.markdown import image_markdown  # noqa: PLC0415  # as above

            print_markdown(image_markdown(made, found))
        case _:
            from executor.cli.render.text import image_lines  # noqa: PLC0415  # as above

            print_lines(image_lines(made, found))


def _settings(loaded: Project, pipeline: Pipeline, name: str, output: str) -> None:
    """Say what each setting of a step is, or of the pipeline, and where it is said."""
    from executor.cli.render.settings import (  # noqa: PLC0415  # only what is printed
        settings_data,
        settings_lines,
        settings_markdown,
    )
    from executor.workflow.settings import settings_of  # noqa: PLC0415  # as above

    step, said = settings_of(loaded, pipeline, name)
    title = f"step {step} of {pipeline.name}" if step else f"pipeline {pipeline.name}"
    match output:
        case "json":
            print_json(settings_data(pipeline.name, step, said))
        case "markdown":
            print_markdown(settings_markdown(title, said))
        case _:
            print_lines(settings_lines(title, said))


def _dockerfile(
    loaded: Project,
    image: str,
    pipeline: str | None,
    stack: str | None,
    config: Path | None,
    engine: ChooseEngine,
    *,
    asks: bool,
) -> str:
    """The Dockerfile of an image. It names variables and holds no value: none has to be set to print it."""
    found = image_spec(loaded, image, pipeline, stack, config, asks=asks, engine=engine)
    if not found.spec.builds:
        what = f"uses {found.spec.external.base} as it is"
        raise ExecutorError.of(found.name, what, "it has no Dockerfile")
    return dockerfile(found.spec, cache=found.cache_mount, trusting=found.machine_network)


COMMANDS = {"show": show}
