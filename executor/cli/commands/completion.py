"""`stowplan completion SHELL`: the script that makes a shell complete."""

from __future__ import annotations

import click

from executor.cli.command import Command
from executor.cli.completion import SHELLS, script
from executor.cli.output import print_exact

__all__ = ["COMMANDS"]


@click.command(
    cls=Command,
    examples=(("stowplan completion bash", "Print the script for bash."),),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands, options and names of the project.

    bash: add `eval "$(stowplan completion bash)"` to ~/.bashrc. zsh: add the same with zsh to ~/.zshrc.
    fish: `stowplan completion fish > ~/.config/fish/completions/stowplan.fish`.
    """
    print_exact(script(context.find_root().command, shell) + "\n")


COMMANDS = {"completion": completion}
