"""Markdown, fit for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor.apply.outcome import Outcome
from executor.cli.render.encode import cell, code, table
from executor.cli.render.text import by_image, image_facts, lock_words, plan_counts, result_counts, why
from executor.workflow.locks import Comparison
from executor.workflow.outdated import Outdated
from planner.compare.actions import Action
from planner.compare.report import Report
from planner.image.plan import ImagePlan
from planner.render.dockerfile import context_files, dockerfile
from planner.values import Digest

__all__ = [
    "comparison_markdown",
    "image_markdown",
    "outcome_markdown",
    "outdated_markdown",
    "report_markdown",
]


def report_markdown(report: Report) -> str:
    """What `stowplan plan` says."""
    plan = report.plan
    rows = []
    for image in plan.images:
        action = report.decisions[image.name].action
        rows.append([
            f"**{action}**" if action in (Action.BUILD, Action.PUSH) else str(action),
            code(image.name),
            ", ".join(map(code, image.steps)),
            code(image.hash.short),
            "<br>".join(map(cell, why(report, image.name))),
        ])  # fmt: skip
    parts = [
        f"### stowplan: {cell(plan.pipeline)} on {cell(plan.stack)}",
        f"{plan_counts(report)} {lock_words(report.lock)}.",
        table(["action", "image", "steps", "hash", "why"], rows),
    ]
    if plan.notes:
        parts.append("\n".join(f"- {cell(note.text)}" for note in plan.notes))
    return "\n\n".join(parts) + "\n"


def image_markdown(report: Report, image: ImagePlan) -> str:
    """What `stowplan show IMAGE` says."""
    lines = [f"- **{name}**: {code(value)}" for name, value in image_facts(report, image).items()]
    lines += [f"- {cell(line)}" for line in why(report, image.name)]
    for path, data in context_files(image.spec).items():
        lines += _block(cell(path), data.decode())
    if image.builds:
        lines += _block("Dockerfile", dockerfile(image.spec, image.base))
    return "\n".join(lines) + "\n"


def _block(title: str, text: str) -> Iterator[str]:
    # A fence that is longer than any in the text.
    fence = "`" * max(
        3, 1 + max((len(line) - len(line.lstrip("`")) for line in text.splitlines()), default=0)
    )
    yield from ("", f"{title}:", "", fence, *text.splitlines(), fence)


def comparison_markdown(title: str, comparison: Comparison) -> str:
    """The changes of one plan."""
    rows = [
        [code(name), ", ".join(map(code, comparison.steps.get(name, ()))), "<br>".join(map(cell, lines))]
        for name, lines in by_image(comparison).items()
    ]
    return f"### {cell(title)}\n\n{table(['image', 'steps', 'changes'], rows)}\n"


def outcome_markdown(outcomes: Sequence[Outcome]) -> str:
    """What `stowplan apply` says."""
    rows = [
        [item.result.value, code(item.name), code(item.reference), f"{item.seconds:.1f} s"]
        for item in outcomes
    ]
    return f"{table(['result', 'image', 'reference', 'time'], rows)}\n\n{result_counts(outcomes)}"


def outdated_markdown(found: Outdated) -> str:
    """What `stowplan outdated` says."""
    rows = []
    for item in found.newer:
        before, after = item.before, item.after
        if item.kind == "image":
            before, after = Digest.parse(before).short, Digest.parse(after).short
        rows.append([code(item.name), code(before), code(after), str(item.images)])
    rows += [[code(name), "", cell(reason), ""] for name, reason in found.unknown]
    return table(["name", "locked", "newest", "images"], rows)
