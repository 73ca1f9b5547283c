"""The commands about integrations: which there are, and what each installs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.group import Group
from executor.cli.options import options, project_root
from executor.cli.output import print_json, print_lines, print_markdown, print_table
from executor.config.project import has_project, load_project
from executor.errors import UsageError
from planner.errors import PlannerError
from planner.integrations import Integrations

__all__ = ["COMMANDS"]


@click.group(cls=Group, homes=dict.fromkeys(("list", "show"), __name__))
def integrations() -> None:
    """List integrations, and show what they install."""


@click.command(
    "list",
    cls=Command,
    examples=(("stowplan integrations list", "All integrations that can be required."),),
)
@options("project", "output")
def integrations_list(project: Path | None, output: str) -> None:
    """List the known integrations, and those of the project."""
    known = _known(project)
    data = [_data(known, name) for name in known.names]
    heads = ["name", "from", "apt packages", "requirements"]
    rows = [
        [
            item["name"], "this project" if item["own"] else "stowplan", ", ".join(item["apt_packages"]),
            ", ".join(item["requirements"]),
        ]
        for item in data
    ]  # fmt: skip
    match output:
        case "json":
            print_json({"schema": "stowplan/integrations/1", "integrations": data})
        case "markdown":
            from executor.cli.render.markdown import table_markdown  # noqa: PLC0415  # only what is printed

            print_markdown(table_markdown(heads, rows))
        case _:
            print_table(heads, rows, spare=["from"])


@click.command(
    "show",
    cls=Command,
    examples=(("stowplan integrations show sklearn", "What one of them installs."),),
)
@click.argument("name", shell_complete=names_of("integration"))
@options("project", "output")
def integrations_show(name: str, project: Path | None, output: str) -> None:
    """Show what an integration installs."""
    known = _known(project)
    try:
        data = _data(known, name)
    except PlannerError as error:
        (problem,) = error.problems
        raise UsageError.of("command line", problem.found, problem.fix) from None
    if output == "json":
        print_json({"schema": "stowplan/integration/1", **data})
        return
    lines = [(key, line) for key in ("requirements", "apt_packages") for line in data[key]]
    if output == "markdown":
        from executor.cli.render.markdown import table_markdown  # noqa: PLC0415  # only what is printed

        print_markdown(table_markdown(["kind", "package"], lines))
        return
    print_lines(f"{key:<13} {line}" for key, line in lines)
    if not lines:
        print_lines([f"{name} installs nothing"])


def _known(project: Path | None) -> Integrations:
    """The known integrations, with those of the project if there is one."""
    root = project_root(project)
    return Integrations(load_project(root).integrations if project or has_project(root) else {})


def _data(known: Integrations, name: str) -> dict[str, Any]:
    found = known.named(name)
    return {
        "name": name,
        "requirements": list(found.requirements),
        "apt_packages": list(found.apt_packages),
        "own": name in known.own,
    }


COMMANDS = {"integrations": integrations, "list": integrations_list, "show": integrations_show}
