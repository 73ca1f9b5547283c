"""The commands about stacks: which there are, and what is in one."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.group import Group
from executor.cli.options import loaded_project, options
from executor.cli.output import print_json, print_lines, print_markdown, print_table
from executor.config.project import Project
from executor.errors import UsageError
from planner.stack import Stack

__all__ = ["COMMANDS"]


@click.group(cls=Group, homes=dict.fromkeys(("list", "show"), __name__))
def stack() -> None:
    """List and show stacks: where images go, and what runs pipelines."""


@click.command(
    "list",
    cls=Command,
    examples=(("stowplan stack list", "All stacks, and which is active."),),
)
@options("project", "output")
def stack_list(project: Path | None, output: str) -> None:
    """List the stacks. The active stack is the one that commands without --stack use."""
    from executor.cli.render.stacks import stack_data, stack_row  # noqa: PLC0415  # only what is printed

    loaded = loaded_project(project)
    active = _active(loaded)
    if output == "json":
        found = [stack_data(each, active=each == active) for each in loaded.stacks.values()]
        print_json({"schema": "stowplan/stacks/1", "stacks": found})
        return
    heads = ["stack", "active", "registry", "components"]
    rows = [stack_row(each, active=each == active) for each in loaded.stacks.values()]
    if output == "markdown":
        from executor.cli.render.markdown import table_markdown  # noqa: PLC0415  # as above

        print_markdown(table_markdown(heads, rows))
        return
    print_table(heads, rows)


@click.command(
    "show",
    cls=Command,
    examples=(("stowplan stack show prod", "The components of a stack."),),
)
@click.argument("name", required=False, shell_complete=names_of("stack"))
@options("project", "output")
def stack_show(name: str | None, project: Path | None, output: str) -> None:
    """Show the components of a stack. Default: the active stack."""
    from executor.cli.render.stacks import stack_data, stack_facts  # noqa: PLC0415  # only what is printed

    loaded = loaded_project(project)
    found = loaded.stack(name)
    active = found == _active(loaded)
    match output:
        case "json":
            print_json({"schema": "stowplan/stack/1", **stack_data(found, active=active)})
        case "markdown":
            from executor.cli.render.markdown import facts_markdown  # noqa: PLC0415  # as above

            print_markdown(facts_markdown(stack_facts(found, active=active)))
        case _:
            facts = stack_facts(found, active=active)
            width = max(map(len, facts))
            print_lines(f"{key:<{width}}  {value}" for key, value in facts.items())


def _active(project: Project) -> Stack | None:
    """The stack of commands that name none; None where they have to."""
    try:
        return project.stack(None)
    except UsageError:
        return None


COMMANDS = {"stack": stack, "list": stack_list, "show": stack_show}
