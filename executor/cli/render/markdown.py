"""Markdown, fit for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from executor.apply.outcome import Outcome
from executor.cli.render.encode import (
    MARKER,
    Markdown,
    block,
    bold,
    bullets,
    cell,
    code,
    document,
    heading,
    joined,
    table,
)
from executor.cli.render.text import (
    by_image,
    code_words,
    image_facts,
    lock_words,
    other_uses,
    plan_counts,
    result_counts,
    same_on_stacks,
    why,
)
from executor.workflow.comparing import Side
from executor.workflow.outdated import Outdated
from planner.compare.actions import Action
from planner.compare.comparison import Comparison
from planner.compare.report import Report
from planner.image.plan import ImagePlan
from planner.render.dockerfile import context_files, planned_dockerfile
from planner.values import Digest

__all__ = [
    "comparisons_markdown",
    "diff_markdown",
    "facts_markdown",
    "image_markdown",
    "outcome_markdown",
    "outdated_markdown",
    "report_markdown",
    "table_markdown",
]


def report_markdown(report: Report) -> Markdown:
    """What `stowplan plan` says."""
    plan = report.plan
    rows = []
    for image in plan.images:
        action = report.decisions[image.name].action
        rows.append([
            bold(action) if action in (Action.BUILD, Action.PUSH) else cell(action),
            code(image.name),
            joined(", ", [*map(code, image.steps), *map(cell, other_uses(image))]),
            code(image.hash.short),
            joined("<br>", map(cell, [*why(report, image.name), *_code(image)])),
        ])  # fmt: skip
    return document([
        heading(f"stowplan: {plan.pipeline} on {plan.stack}"),
        cell(f"{plan_counts(report)} {lock_words(report.lock)}."),
        table(["action", "image", "steps", "hash", "why"], rows),
        bullets(cell(str(note)) for note in plan.notes),
    ])  # fmt: skip


def _code(image: ImagePlan) -> Iterator[str]:
    """How code reaches the containers of an image, where that is to be said."""
    if words := code_words(image):
        yield f"code: {words}"


def image_markdown(report: Report, image: ImagePlan) -> Markdown:
    """What `stowplan show IMAGE` says."""
    items = _facts(image_facts(report, image))
    blocks = [block(path, data.decode()) for path, data in context_files(image.built).items()]
    if image.builds:
        blocks.append(block("Dockerfile", planned_dockerfile(image)))
    return document([bullets([*items, *map(cell, why(report, image.name))]), *blocks])


def facts_markdown(facts: Mapping[str, str]) -> Markdown:
    """Values by their names, such as those of a build."""
    short = {name: value for name, value in facts.items() if "\n" not in value}
    return document([
        bullets(_facts(short)),
        *(block(name, value) for name, value in facts.items() if name not in short),
    ])  # fmt: skip


def _facts(facts: Mapping[str, str]) -> list[Markdown]:
    return [joined(": ", [bold(name), code(value)]) for name, value in facts.items()]


def table_markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markdown:
    """A table of texts: what the commands that list say."""
    return table(heads, [[*map(cell, row)] for row in rows])


def diff_markdown(sides: Iterable[Side], compared: Iterable[Comparison]) -> Markdown:
    """What `stowplan diff` says, after a comment that nobody sees: a script finds its earlier words by it."""
    both, found = tuple(sides), tuple(compared)
    changed = any(comparison.changes for comparison in found)
    return document([
        MARKER,
        comparisons_markdown(found) if changed else cell("no changes"),
        joined(" ", [cell("Compared:"), joined(", ", map(_side, both))]),
        bullets(cell(note) for side in both for note in side.notes),
    ])  # fmt: skip


def _side(side: Side) -> Markdown:
    if side.commit is None or side.commit.startswith(side.name):
        return code(side.name)
    return joined(" ", [code(side.name), cell(f"({side.commit[:12]})")])


def comparisons_markdown(compared: Iterable[Comparison]) -> Markdown:
    """The changes of plans; empty if there are none."""
    parts = [
        part
        for title, comparison in same_on_stacks(compared)
        for part in (heading(title), _comparison_table(comparison))
    ]
    return document(parts) if parts else cell("")


def _comparison_table(comparison: Comparison) -> Markdown:
    rows = [
        [
            code(name),
            joined(", ", map(code, comparison.steps.get(name, ()))),
            joined("<br>", map(cell, lines)),
        ]
        for name, lines in by_image(comparison).items()
    ]
    return table(["image", "steps", "changes"], rows)


def outcome_markdown(outcomes: Sequence[Outcome]) -> Markdown:
    """What `stowplan apply` says."""
    rows = [
        [cell(item.result), code(item.name), code(item.reference), cell(f"{item.seconds:.1f} s")]
        for item in outcomes
    ]
    heads = ["result", "image", "reference", "time"]
    return document([table(heads, rows), cell(result_counts(outcomes))])


def outdated_markdown(found: Outdated) -> Markdown:
    """What `stowplan outdated` says."""
    rows = []
    for item in found.newer:
        before, after = item.before, item.after
        if item.kind == "image":
            before, after = Digest.parse(before).short, Digest.parse(after).short
        rows.append([code(item.name), code(before), code(after), cell(str(item.images))])
    return document([
        table(["name", "locked", "newest", "images"], rows) if rows or not found.unknown else cell(""),
        bullets(joined(": ", [code(name), cell(f"not known: {reason}")]) for name, reason in found.unknown),
    ])  # fmt: skip
