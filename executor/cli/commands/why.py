"""`stowplan why IMAGE PACKAGE`: who wants a package."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.options import LOOKING, engine_chooser, loaded_project, options
from executor.cli.output import print_json, print_lines, print_markdown
from executor.cli.progress import waiting
from executor.errors import UsageError
from executor.workflow.plans import image_spec
from planner.errors import did_you_mean
from planner.requirements.packages import Package
from planner.requirements.why import Chain, chains

__all__ = ["COMMANDS"]


@click.command(
    cls=Command,
    examples=(("stowplan why training numpy", "Who wants numpy."),),
)
@click.argument("image", shell_complete=names_of("image"))
@click.argument("package", shell_complete=names_of("package"))
@options("project", "pipeline", "config", "stack", "engine", "output", "offline")
def why(
    image: str,
    package: str,
    project: Path | None,
    pipeline: str | None,
    config: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    offline: bool,
) -> None:
    """Show why an image has a package: the requirements, and the packages on the way to it."""
    from packaging.utils import canonicalize_name  # noqa: PLC0415  # other commands take no package

    loaded = loaded_project(project)
    with waiting(LOOKING):
        spec = image_spec(
            loaded, image, pipeline, stack, config, asks=not offline, engine=engine_chooser(engine)
        ).spec
    packages = {each.name: each for each in spec.packages}
    name = canonicalize_name(package)
    if name not in packages:
        raise UsageError.of(
            "command line", f"{image} has no package {package!r}", did_you_mean(name, packages)
        )
    _show(packages[name], list(chains(spec, name)), output)


def _show(package: Package, found: list[Chain], output: str) -> None:
    match output:
        case "json":
            from executor.cli.render.data import why_data  # noqa: PLC0415  # only what is printed

            print_json(why_data(package, found))
        case "markdown":
            from executor.cli.render.markdown import table_markdown  # noqa: PLC0415  # as above

            rows = [(each.source, each.requirement, " → ".join(each.packages)) for each in found]
            print_markdown(table_markdown(["source", "requirement", "packages"], rows))
        case _:
            print_lines([f"{package.name} {package.shown}"])
            print_lines(
                f"  {each.source}: {' → '.join((each.requirement, *each.packages[1:]))}" for each in found
            )


COMMANDS = {"why": why}
