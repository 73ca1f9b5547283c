"""Words for a terminal, line by line. `executor.cli.output` encodes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from executor.apply.outcome import Outcome, Result
from executor.cli.render.line import Line, Part, Style, cells, faint, note, padded
from planner.compare.actions import Action, Decision
from planner.compare.nearest import Nearest
from planner.compare.report import LockState, Report
from planner.image.plan import ImagePlan
from planner.image.use import ORCHESTRATOR
from planner.lock.lock import LOCK_NAME
from planner.render.dockerfile import context_files, planned_dockerfile
from planner.values import Digest

if TYPE_CHECKING:
    from executor.workflow.outdated import Newer, Outdated
    from planner.compare.comparison import Comparison

__all__ = [
    "RESULTS",
    "amount",
    "code_words",
    "count",
    "image_facts",
    "image_lines",
    "lock_words",
    "other_uses",
    "outcome_lines",
    "outdated_lines",
    "plan_counts",
    "report_lines",
    "result_counts",
    "same_on_stacks",
    "steps_text",
    "uses_text",
    "why",
]


_SYMBOLS: Final[Mapping[Action, str]] = {
    Action.BUILD: "+",
    Action.PUSH: "↑",
    Action.REUSE: "=",
    Action.PARENT: "=",
}
_STYLES: Final[Mapping[Action, Style]] = {
    Action.BUILD: Style.TODO,
    Action.PUSH: Style.TODO,
    Action.REUSE: Style.GOOD,
    Action.PARENT: Style.GOOD,
}
# So far in stands what is said of an image.
_BELOW: Final = " " * 11


def report_lines(report: Report, *, notes: bool = True, verbose: bool = False) -> Iterator[Line]:
    """What `stowplan plan` says: a block for each image, the reason first, and the counts last.

    Notes can be left out; what is `verbose` has whole references.
    """
    plan = report.plan
    yield Part(f"{plan.pipeline} on {plan.stack}", Style.STRONG), f": {count(len(plan.images), 'image')}"
    width = max((cells(image.name) for image in plan.images), default=0)
    for image in plan.images:
        yield ""
        name = padded(Part(image.name, Style.STRONG), width)
        yield "  ", *_action(report.decisions[image.name]), *name, f"  {image.hash.short}  {uses_text(image)}"
        yield from (f"{_BELOW}{line}" for line in why(report, image.name))
        if words := code_words(image):
            yield f"{_BELOW}code: {words}"
        if verbose:
            yield f"{_BELOW}reference: {image.reference}"
    if report.gone:
        yield ""
        yield from (f"  {change.image}: {change.text}" for change in report.gone)
    if notes and plan.notes:
        yield ""
        yield from (note(str(each)) for each in plan.notes)
    yield ""
    yield faint(f"plan {plan.hash.short}"), f"; {lock_words(report.lock)}"
    yield plan_counts(report)


def _action(decision: Decision) -> tuple[Part, str]:
    """What is done about an image, as a symbol and a word; red where `apply` will fail."""
    symbol, style = _SYMBOLS[decision.action], _STYLES[decision.action]
    if decision.blocked is not None:
        symbol, style = "!", Style.BAD
    return padded(Part(f"{symbol} {decision.action}", style), 9)


def code_words(image: ImagePlan) -> str:
    """How code reaches the containers of an image, and why; empty where nothing is set up for it."""
    delivery = image.delivery
    if delivery is None or delivery.usual:
        return ""
    return f"{delivery} ({delivery.reason})" if delivery.reason else str(delivery)


def plan_counts(report: Report) -> str:
    """How many images are built, pushed, and reused."""
    parents = report.count(Action.PARENT)
    as_is = f", {parents} to use as is" if parents else ""
    build, push, reuse = (report.count(each) for each in (Action.BUILD, Action.PUSH, Action.REUSE))
    return f"Plan: {build} to build, {push} to push, {reuse} to reuse{as_is}."


def lock_words(state: LockState) -> str:
    """How the lock stands to the plan, and what to do about it."""
    match state:
        case LockState.FRESH:
            return f"{LOCK_NAME} is up to date"
        case LockState.MISSING:
            return f"{LOCK_NAME} does not have this plan: write it with `stowplan lock`"
        case LockState.STALE:
            return f"{LOCK_NAME} is stale: write it with `stowplan lock`"


def why(report: Report, name: str) -> Iterator[str]:
    """Why something is done about an image, what changed, and which layers are built anew."""
    decision = report.decisions[name]
    yield from _reason(decision)
    for since, change in report.changes:
        if change.image == name:
            only_lock = since == "lock" and change not in report.since_build
            yield f"{change.text} (since the lock)" if only_lock else change.text
    closest = report.closest.get(name)
    if closest is not None and not _is_last(report, name, closest):
        yield f"closest: {closest}"
    rebuilt = report.rebuilt.get(name, ())
    if rebuilt and decision.action is Action.BUILD:
        image = report.plan.image(name)
        sizes = _downloads(image) if image else {}
        layers = (f"{layer} ({sizes[layer]})" if layer in sizes else layer for layer in rebuilt)
        yield f"builds layers: {', '.join(layers)}"


def _is_last(report: Report, name: str, closest: Nearest) -> bool:
    """Whether it is the last build of the image itself, or no closer: what changed since that is said."""
    since = sum(change.image == name and change.field != "steps" for change in report.since_build)
    return bool(since) and len(closest.changes) >= since


def _downloads(image: ImagePlan) -> dict[str, str]:
    """How much the layers of an image download that install packages, as far as the lock knows."""
    found = {}
    for item in image.spec.installs:
        if item.closure is not None and item.closure.packages:
            size, unknown = item.closure.size
            more = " and more" if unknown else ""
            found[item.source] = f"{amount(size)}{more} to download" if size else "of unknown size"
    return found


def amount(size: int) -> str:
    """Bytes for people: `512 B`, `69.6 kB`, `1.2 GB`."""
    number, units = float(size), iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while number >= 1000 and unit != "GB":
        number, unit = number / 1000, next(units)
    return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"


def _reason(decision: Decision) -> Iterator[str]:
    depends = f" (if {' and '.join(decision.depends)})" if decision.depends and not decision.blocked else ""
    yield decision.reason + depends
    if decision.blocked is not None:
        yield f"apply will fail: {decision.blocked.fix}"


def uses_text(image: ImagePlan) -> str:
    """What an image is for: its steps, and what else than the orchestrator asks for it."""
    steps, others = steps_text(image.steps) if image.steps else "", ", ".join(other_uses(image))
    if steps and others:
        return f"{steps} ({others})"
    return steps or others or "parent of other images"


def other_uses(image: ImagePlan) -> list[str]:
    """What else than the orchestrator asks for an image: `step operator for train`, `deployer`."""
    found = []
    for use in image.uses:
        word = use.key.replace("_", " ")
        if use.key != ORCHESTRATOR:
            found.append(word if use.steps in ((), image.steps) else f"{word} for {', '.join(use.steps)}")
    return found


def steps_text(steps: Sequence[str]) -> str:
    """`step train`, `steps load, train`."""
    return f"{'step' if len(steps) == 1 else 'steps'} {', '.join(steps)}"


def count(number: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def image_facts(report: Report, image: ImagePlan) -> dict[str, str]:
    """What there is to say of an image in a word or two, by its name."""
    files = [path for tree in image.checkout.trees.values() for path in tree.paths()]
    downloads = {source: f", {size}" for source, size in _downloads(image).items()}
    facts = {
        "image": image.name,
        "hash": str(image.hash),
        "spec hash": str(image.spec.hash),
        "steps": ", ".join(image.steps),
        "used by": ", ".join(use.key.replace("_", " ") for use in image.uses),
        "parent": image.parent_text,
        "platform": image.platform or "",
        "reference": image.reference,
        "action": report.decisions[image.name].action.value,
        **{
            item.source: f"{count(len(item.closure.packages), 'package')}{downloads.get(item.source, '')}"
            for item in image.spec.installs
            if item.closure is not None
        },
        "code": code_words(image),
        "files": count(len(files), "file") if image.built.trees else "none",
    }
    return {name: value for name, value in facts.items() if value}


def image_lines(report: Report, image: ImagePlan) -> Iterator[str]:
    """What `stowplan show IMAGE` says."""
    yield from (f"{name:<12} {value}" for name, value in image_facts(report, image).items())
    yield from (f"{'':<12} {line}" for line in why(report, image.name))
    for path, data in context_files(image.built).items():
        yield from _block(path, data.decode())
    if image.builds:
        yield from _block("Dockerfile", planned_dockerfile(image))


def _block(title: str, text: str) -> Iterator[str]:
    yield ""
    yield f"{title}:"
    yield from (f"  {line.expandtabs()}" for line in text.removesuffix("\n").split("\n"))


RESULTS: Final[Mapping[Result, Style]] = {
    Result.BUILT: Style.GOOD,
    Result.PUSHED: Style.GOOD,
    Result.REUSED: Style.GOOD,
    Result.PARENT: Style.GOOD,
    Result.FAILED: Style.BAD,
    Result.INTERRUPTED: Style.BAD,
}
"""The style of each result."""


def outcome_lines(outcomes: Sequence[Outcome], *, verbose: bool = False) -> Iterator[Line]:
    """What `stowplan apply` says: a line for each image, then the counts. Verbose lines have references."""
    width = max((cells(item.name) for item in outcomes), default=0)
    for item in outcomes:
        also = ", pushed" if item.pushed and item.result is Result.BUILT else ""
        doubt = "  not verified" if not item.verified else ""
        result = padded(Part(f"{item.result}{also}", RESULTS[item.result]), 15)
        time = "" if item.result in (Result.REUSED, Result.PARENT) else f"  {item.seconds:.1f} s"
        where = item.reference if verbose else _repository(item)
        yield *result, *padded(item.name, width), f"  {item.hash.short}{time}  {where}{doubt}"
    yield result_counts(outcomes)


def _repository(outcome: Outcome) -> str:
    """Where an image is: with its hash, a tag is known. A parent has one of its own."""
    if outcome.result is Result.PARENT:
        return outcome.reference.partition("@")[0]
    return outcome.reference.rpartition(":")[0]


def result_counts(outcomes: Iterable[Outcome]) -> str:
    """How many images were built, pushed, reused, and how many are not there."""
    items = tuple(outcomes)
    results = Counter(item.result for item in items)
    pushed = sum(item.pushed for item in items)
    lost = results[Result.FAILED] + results[Result.INTERRUPTED]
    parents = f", used as is {results[Result.PARENT]}" if results[Result.PARENT] else ""
    built, reused = results[Result.BUILT], results[Result.REUSED]
    return f"Built {built}, pushed {pushed}, reused {reused}{parents}, failed {lost}."


def outdated_lines(found: Outdated) -> Iterator[str]:
    """What `stowplan outdated` says."""
    width = max((len(item.name) for item in found.newer), default=0)
    for item in found.newer:
        yield f"{item.name:<{width}}  {_shown(item)}  ({count(item.images, 'image')})"
        if item.same_manifest:
            yield f"{'':<{width}}  the index was published again; its image for {item.platform} is the same"
    for name, reason in found.unknown:
        yield f"{name}: not known: {reason}"
    if not found.newer and not found.unknown:
        yield f"everything that {LOCK_NAME} pins is the newest there is"


def _shown(item: Newer) -> str:
    if item.kind == "image":
        return f"{Digest.parse(item.before).short} → {Digest.parse(item.after).short}"
    return f"{item.before} → {item.after}"


def same_on_stacks(compared: Iterable[Comparison]) -> Iterator[tuple[str, Comparison]]:
    """What changed in each plan, with a title; stacks on which the same changed are named together."""
    same: dict[tuple[str, object], list[Comparison]] = {}
    for comparison in compared:
        if comparison.changes:
            same.setdefault((comparison.pipeline, comparison.changes), []).append(comparison)
    for (pipeline, _), comparisons in same.items():
        stacks = ", ".join(comparison.stack for comparison in comparisons)
        yield f"{pipeline} on {stacks}", comparisons[0]


def comparison_lines(title: str, comparison: Comparison) -> Iterator[Line]:
    """The changes of one plan, those of an image together, with its steps and the layers built anew."""
    yield Part(title, Style.STRONG), ":"
    for name, lines in by_image(comparison).items():
        steps = comparison.steps.get(name, ())
        yield "  ", Part(name, Style.STRONG), f" ({steps_text(steps)})" if steps else ""
        yield from (f"    {line}" for line in lines)


def by_image(comparison: Comparison) -> dict[str, list[str]]:
    """The changes of each image in words, and then the layers that are built anew."""
    words: dict[str, list[str]] = {}
    for change in comparison.changes:
        words.setdefault(change.image, []).append(change.text)
    for name, layers in comparison.rebuilt.items():
        if name in words and layers:
            words[name].append(f"builds layers: {', '.join(layers)}")
    return words
