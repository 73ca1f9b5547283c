"""The build context of a custom Dockerfile: which files of which directory its target can copy.

Owns which ignore file is in effect, as BuildKit has it, and what is said of a source that is not there.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from attrs import evolve

from planner.code import IGNORE_FILE
from planner.custom import Custom
from planner.errors import PlannerError, Problem
from planner.facts.facts import Facts
from planner.facts.needs import FileText, FileTree
from planner.files.defaults import OWN_FILES, default_rules
from planner.files.ignore import IgnoreRules
from planner.files.tree import Tree
from planner.immutable import frozen
from planner.settings.effective import Settings

if TYPE_CHECKING:
    from planner.dockerfiles.context import ContextSource

__all__ = ["Context", "context_tree"]


@frozen
class Context:
    """Where the files come from that a custom Dockerfile copies, as the settings say it.

    Without a `root` there is one file, the Dockerfile itself.
    """

    dockerfile: str
    root: str | None
    dockerignore: str | None

    @classmethod
    def of(cls, settings: Settings) -> Context | None:
        """That of some settings; None where they name no Dockerfile."""
        if settings.dockerfile is None:
            return None
        return cls(settings.dockerfile, settings.context_root, settings.parent_dockerignore)

    @property
    def directory(self) -> str:
        """The directory that paths in the context are from, by its path from the project's root."""
        return posixpath.dirname(self.dockerfile) if self.root is None else self.root

    def rules(self, facts: Facts) -> tuple[IgnoreRules, str | None]:
        """What is left out of the context, and the ignore file that says so; None for the default rules.

        The file that the settings name counts, else the one beside the Dockerfile that has its name, else
        that of the root. PlannerError if the first does not exist.
        """
        if self.root is None:
            return IgnoreRules(), None
        named = self.dockerignore and posixpath.normpath(self.dockerignore)
        paths = (
            [named] if named else [f"{self.dockerfile}.dockerignore", posixpath.join(self.root, IGNORE_FILE)]
        )
        for path in paths:
            text = facts.ask(FileText(path))
            if text is not None:
                return IgnoreRules.parse(text, file=path), path
        if named:
            where = ("parent_image_build_config", "dockerignore")
            raise PlannerError([Problem.at(where, f"{named} does not exist", "create it")])
        return default_rules(), None


def context_tree(context: Context, custom: Custom, facts: Facts) -> tuple[Tree, bool]:
    """The files that a Dockerfile's target can copy, and whether the default rules leave out others.

    Nothing is looked at where nothing is copied. PlannerError with every source that the context does not
    have.
    """
    from planner.dockerfiles.context import narrowed, reached_files  # noqa: PLC0415  # as in planner.custom

    if not custom.sources:
        return Tree.of(()), False
    rules, file = context.rules(facts)
    if context.root is None:
        rules = IgnoreRules(("*", f"!{posixpath.basename(context.dockerfile)}"))
    left_out = {posixpath.relpath(path, context.directory or ".") for path in OWN_FILES}
    left_out |= {IGNORE_FILE, *([posixpath.relpath(file, context.directory or ".")] if file else ())}
    inside = tuple(sorted(path for path in left_out if not path.startswith("../")))
    need = FileTree(rules, inside, context.directory, narrowed(custom.sources))
    found = reached_files(custom.sources, facts.ask(need))
    if found.nothing or found.astray:
        # A link can lead anywhere.
        found = reached_files(custom.sources, facts.ask(evolve(need, only=None)))
    if found.nothing:
        raise PlannerError(_missing(source, context, custom, rules, file) for source in found.nothing)
    return found.tree, context.root is not None and file is None


def _missing(
    source: ContextSource, context: Context, custom: Custom, rules: IgnoreRules, file: str | None
) -> Problem:
    """The problem of a source that nothing in the context is."""
    place = context.directory or "the project"
    if context.root is None:
        found = f"{source.written} is not in the context, which has the Dockerfile alone"
        fix = "set build_context_root to the directory that it is in"
    elif source.is_pattern:
        found = f"no file of the context matches {source.written}"
        fix = f"look into {place} and {file or 'the default ignore rules'}, or correct the pattern"
    elif rules.ignores(source.path):
        found = f"{source.written} is left out of the context by {file or 'the default ignore rules'}"
        fix = f"add !{source.path} to it" if file else f"write a {IGNORE_FILE} of your own in {place}"
    else:
        found = f"{source.written} does not exist in {place}, or holds no files"
        fix = "create it, or correct its path, which is from build_context_root"
    return Problem(custom.place(source.line), f"{source.keyword}: {found}", fix, "dockerfile-copy")
