"""Plans and changes → words: text for a terminal, Markdown for a pull request, data for programs.

Owns what `stowplan plan`, `diff` and `show` say. Refuses to decide anything, and to show the value of
a variable: it never has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any

from attrs import asdict, frozen

from planner.compare.changes import Change
from planner.image.plan import BuildPlan, ImagePlan, Use
from planner.render.dockerfile import context_files, dockerfile
from planner.values import FrozenMapping

__all__ = [
    "Action",
    "Report",
    "cell",
    "changes_data",
    "code",
    "count",
    "image_data",
    "image_text",
    "layers_text",
    "lock_words",
    "markdown",
    "report_data",
    "steps_text",
    "table",
    "text_lines",
]


class Action(StrEnum):
    """What applying a plan would do for an image."""

    BUILD = "build"
    REUSE = "reuse"
    PARENT = "parent"


@frozen
class Report:
    """A plan with what would be done and why.

    `since_lock` compares with the lock and `since_build` with the last build of each image; `rebuilt`
    names the layers of each image that would be built anew. `lock` is `fresh`, `stale` or `missing`.
    """

    plan: BuildPlan
    actions: Mapping[str, Action]
    since_lock: tuple[Change, ...] = ()
    since_build: tuple[Change, ...] = ()
    rebuilt: Mapping[str, tuple[str, ...]] = FrozenMapping()
    reasons: Mapping[str, str] = FrozenMapping()
    lock: str = "fresh"
    notes: tuple[str, ...] = ()

    @cached_property
    def changes(self) -> tuple[tuple[str, Change], ...]:
        """All changes, each once, with what they are changes since: `lock` or `build`."""
        merged = dict.fromkeys(self.since_build, "build") | dict.fromkeys(self.since_lock, "lock")
        order = {name: index for index, name in enumerate(image.name for image in self.plan.images)}
        pairs = [(since, change) for change, since in merged.items()]
        return tuple(sorted(pairs, key=lambda pair: order.get(pair[1].image, len(order))))

    @property
    def to_build(self) -> int:
        """How many images would be built."""
        return sum(action is Action.BUILD for action in self.actions.values())


def report_data(report: Report) -> dict[str, Any]:
    """The report as plain data: the object that `stowplan plan -o json` prints, schema `stowplan/plan/1`."""
    plan = report.plan
    return {
        "schema": "stowplan/plan/1",
        "plan": str(plan.hash),
        "pipeline": plan.pipeline,
        "stack": plan.stack,
        "lock": report.lock,
        "images": [_summary(report, image) for image in plan.images],
        "changes": changes_data(report.changes),
        "notes": list(report.notes),
    }


def _summary(report: Report, image: ImagePlan) -> dict[str, Any]:
    """What a report says of one image, as plain data."""
    return {
        "name": image.name,
        "hash": str(image.hash),
        "environment_hash": str(image.environment_hash),
        "steps": list(image.steps),
        "parent": parent_text(image),
        "platform": image.platform,
        "dockerfile": dockerfile(image) if image.use is Use.BUILD else None,
        "action": report.actions[image.name].value,
        "reason": report.reasons.get(image.name),
        "reference": image.reference,
        "rebuilt": list(report.rebuilt.get(image.name, ())),
    }


def changes_data(changes: Iterable[tuple[str, Change]]) -> list[dict[str, Any]]:
    """Changes as plain data, each with what it is a change since."""
    return [{**asdict(change), "since": since} for since, change in changes]


def parent_text(image: ImagePlan) -> str:
    """The parent with tag and digest, where it has them."""
    digest = f"@{image.parent.digest}" if image.parent.digest else ""
    return f"{image.parent.reference}{digest}"


def text_lines(report: Report) -> Iterator[str]:
    """The report for a terminal."""
    plan = report.plan
    yield f"{plan.pipeline} on {plan.stack}: {count(len(plan.images), 'image')}, {report.to_build} to build"
    width = max((len(image.name) for image in plan.images), default=0)
    for image in plan.images:
        yield ""
        action, steps = report.actions[image.name], steps_text(image.steps)
        yield f"  {action:<7} {image.name:<{width}}  {image.hash.short}  {steps}"
        yield from (f"          {line}" for line in _why(report, image.name))
    names = {image.name for image in plan.images}
    gone = [change for _, change in report.changes if change.image not in names]
    if gone:
        yield ""
        yield from (f"  {change.image}: {change.text}" for change in gone)
    if report.notes:
        yield ""
        yield from (f"note: {note}" for note in report.notes)
    yield ""
    yield f"plan {plan.hash.short}; {lock_words(report.lock)}"


def lock_words(state: str) -> str:
    """How the lock stands to the plan, and what to do about it."""
    match state:
        case "fresh":
            return "stowplan.lock is up to date"
        case "missing":
            return "there is no stowplan.lock yet: write it with `stowplan lock`"
        case _:
            return "stowplan.lock is stale: write it with `stowplan lock`"


def _why(report: Report, name: str) -> Iterator[str]:
    if reason := report.reasons.get(name):
        yield reason
    for since, change in report.changes:
        if change.image == name:
            only_lock = since == "lock" and change not in report.since_build
            yield f"{change.text} (since the lock)" if only_lock else change.text
    rebuilt = report.rebuilt.get(name, ())
    if rebuilt and report.actions[name] is Action.BUILD:
        yield layers_text(rebuilt)


def steps_text(steps: Sequence[str]) -> str:
    """`step train`, `steps load, train`."""
    return f"{'step' if len(steps) == 1 else 'steps'} {', '.join(steps)}"


def layers_text(layers: Sequence[str]) -> str:
    """What `rebuilt_layers` found, in words."""
    return f"builds layers: {', '.join(layers)}"


def count(number: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def markdown(report: Report) -> str:
    """The report as Markdown, fit for a comment on a pull request."""
    plan = report.plan
    rows = [
        [
            f"**{report.actions[image.name]}**" if report.actions[image.name] is Action.BUILD
            else str(report.actions[image.name]),
            code(image.name),
            ", ".join(map(code, image.steps)),
            code(image.hash.short),
            "<br>".join(map(cell, _why(report, image.name))),
        ]
        for image in plan.images
    ]  # fmt: skip
    parts = [
        f"### stowplan: {cell(plan.pipeline)} on {cell(plan.stack)}",
        f"{count(len(plan.images), 'image')}, {report.to_build} to build; {lock_words(report.lock)}.",
        table(["action", "image", "steps", "hash", "why"], rows),
    ]
    if report.notes:
        parts.append("\n".join(f"- {cell(note)}" for note in report.notes))
    return "\n\n".join(parts) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """Text that stands for itself in a cell: no character of it is markup."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\\", "\\\\")
    for character in "|`*_[]#":
        escaped = escaped.replace(character, f"\\{character}")
    return " ".join(escaped.splitlines())


def image_data(report: Report, image: ImagePlan) -> dict[str, Any]:
    """One image as plain data, schema `stowplan/image/1`: what the report says of it, and what is in it."""
    return {
        "schema": "stowplan/image/1",
        **_summary(report, image),
        "files": list(image.tree.paths()) if image.tree else [],
        "generated": {path: data.decode() for path, data in context_files(image).items()},
        "changes": changes_data(pair for pair in report.changes if pair[1].image == image.name),
    }


def image_text(report: Report, image: ImagePlan, *, fenced: bool = False) -> str:
    """One image in words: what it is, why, and its Dockerfile (in a Markdown fence if `fenced`)."""
    facts = {
        "image": image.name,
        "hash": str(image.hash),
        "environment": str(image.environment_hash),
        "steps": ", ".join(image.steps),
        "parent": parent_text(image),
        "platform": image.platform or "",
        "reference": image.reference,
        "action": report.actions[image.name].value,
        "files": count(len(list(image.tree.paths())), "file") if image.tree else "none",
    }
    if fenced:
        lines = [f"- **{name}**: {code(value)}" for name, value in facts.items() if value]
    else:
        lines = [f"{name:<12} {value}" for name, value in facts.items() if value]
    lines += [f"- {cell(line)}" if fenced else f"{'':<12} {line}" for line in _why(report, image.name)]
    for path, data in context_files(image).items():
        lines += ["", *_block(path, data.decode(), fenced)]
    if image.use is Use.BUILD:
        lines += ["", *_block("Dockerfile", dockerfile(image), fenced)]
    return "\n".join(lines) + "\n"


def _block(title: str, text: str, fenced: bool) -> list[str]:
    body = text.splitlines()
    return (
        [f"{title}:", "", "```", *body, "```"] if fenced else [f"{title}:", *(f"  {line}" for line in body)]
    )


def code(text: str) -> str:
    """Text as Markdown code, in a cell or elsewhere."""
    return f"`{text.replace('`', '').replace('|', '')}`"
