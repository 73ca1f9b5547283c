"""Two plans compared, of whatever there is: a lock, a saved plan, a git revision, the project as it is.

Owns how the sides of a comparison are named. Files and values of variables are compared where both sides know
them: a lock does not. Refuses to print.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve

from executor.config.project import Project, load_project
from executor.config.source import Chosen, all_chosen, chosen
from executor.errors import ExecutorError, UsageError
from executor.observe.git import GitUnknown
from executor.observe.world import ComparedTree
from executor.reading import NotRead, read_whole
from executor.state import LARGEST_LOCK_BYTES, lock_of_file, read_lock
from executor.workflow.sides import Asked, SidePlanner
from planner.compare.comparison import AnyPlan, Comparison, compare
from planner.errors import StowplanError, did_you_mean
from planner.image.plan import BuildPlan, ImagePlan, PlanSpec
from planner.immutable import frozen
from planner.lock.lock import Lock

if TYPE_CHECKING:
    from executor.observe.commit import Commit
    from executor.workflow.saved_plans import SavedPlan

__all__ = ["Kind", "Side", "compare_sides"]

STDIN: Final = "-"
_HOW: Final = (
    "name a git revision, a lock file, a saved plan, `lock`, `now`, or - for standard input; "
    "a branch that is not in this clone has to be fetched"
)


class Kind(StrEnum):
    """What a side of a comparison is."""

    LOCK = "lock"
    LOCK_FILE = "lock-file"
    PLAN = "plan"
    REVISION = "revision"
    NOW = "now"


_LIVE: Final = frozenset({Kind.NOW, Kind.REVISION})
"""What is planned for the comparison."""


@frozen
class Side:
    """One side of a comparison: what it is, how it was named, its plans, and what is to be said of it."""

    kind: Kind
    name: str
    plans: tuple[AnyPlan, ...] = ()
    commit: str | None = None
    notes: tuple[str, ...] = ()


def compare_sides(before: str, after: str, asked: Asked) -> tuple[Side, Side, tuple[Comparison, ...]]:
    """Two sides, and what is different in the second.

    A side is `lock` or `now`, `-` for standard input, a file with a lock or a saved plan, or a git revision.
    UsageError for what is none of these; PlannerError and ExecutorError if a side cannot be planned.
    """
    if before == after == STDIN:
        raise UsageError.of("command line", "both sides are standard input", "name a file for one of them")
    here = _Here(asked)
    named = [_named(each, here) for each in (before, after)]
    kinds = {each.kind for each in named}
    if len(kinds) > 1 and (saved := next((each.saved for each in named if each.saved), None)) is not None:
        # A saved plan is of one pipeline on one stack: of the other side nothing else is looked at.
        here.asked = asked = saved.asked(asked)
    # What one side does not know is not looked at on the other: a lock has no files.
    whole = all(each.whole for each in named)
    hashes = Kind.PLAN in kinds
    one, other = (each.side(whole=whole, hashes=hashes) for each in named)
    pipeline = asked.pipeline
    if pipeline or asked.config:
        # It may be named by its module: whoever has planned it knows what it is called.
        live = (plan.pipeline for side in (one, other) if side.kind in _LIVE for plan in side.plans)
        pipeline = next(live, pipeline)

    def wanted(side: Side) -> Side:
        plans = (
            each
            for each in side.plans
            if (pipeline or each.pipeline, asked.stack or each.stack) == (each.pipeline, each.stack)
        )
        return evolve(side, plans=tuple(plans))

    one, other = wanted(one), wanted(other)
    if not one.plans and not other.plans and (asked.pipeline or asked.stack):
        raise UsageError.of("command line", *_neither(before, after, here))
    unset = _unset(one, other) if hashes and kinds & _LIVE else frozenset()
    plans = [[_without(each, unset) for each in side.plans] for side in (one, other)]
    return one, other, compare(*plans)


def _neither(before: str, after: str, here: _Here) -> tuple[str, str]:
    """What is wrong where no side has what was asked for, and what there is now."""
    asked = {"pipeline": here.asked.pipeline, "stack": here.asked.stack}
    what = " on ".join(f"the {kind} {name!r}" for kind, name in asked.items() if name)
    fix = "leave it out to compare all"
    with contextlib.suppress(StowplanError):
        project = here.project
        known = {"pipeline": {*project.pipelines, *project.sources}, "stack": {*project.stacks}}
        wrong = (
            did_you_mean(name, known[kind])
            for kind, name in asked.items()
            if name and name not in known[kind]
        )
        fix = next(wrong, fix)
    return f"neither {before} nor {after} has {what}", fix


def _unset(*sides: Side) -> frozenset[str]:
    """The variables that are not set here: a saved plan knows their values, and nobody else does."""
    names = (
        name
        for side in sides
        for plan in side.plans
        if isinstance(plan, BuildPlan)
        for image in plan.images
        for name in image.checkout.variables
    )
    return frozenset(name for name in names if name not in os.environ)


def _without(plan: AnyPlan, names: frozenset[str]) -> AnyPlan:
    """A plan without the fingerprints of some variables."""
    if not names or isinstance(plan, PlanSpec):
        return plan
    made: dict[str, ImagePlan] = {}
    for image in plan.images:
        known = {name: each for name, each in image.checkout.variables.items() if name not in names}
        parent = made[image.parent.name] if image.parent is not None else None
        made[image.name] = evolve(image, parent=parent, checkout=evolve(image.checkout, variables=known))
    return evolve(plan, images=tuple(made.values()))


class _Here:
    """The project as it is, each file of its state read once, and only if a side needs it."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    @cached_property
    def root(self) -> Path:
        return self.asked.root()

    @cached_property
    def project(self) -> Project:
        return load_project(self.root)

    @cached_property
    def lock(self) -> Lock:
        return read_lock(self.root) or Lock()

    @cached_property
    def pipelines(self) -> tuple[Chosen, ...]:
        asked = self.asked
        if asked.pipeline or asked.config:
            return (chosen(self.project, asked.pipeline, asked.config),)
        return all_chosen(self.project, self.lock.sources)


@frozen
class _Named:
    """A side by its name, before it is planned."""

    kind: Kind
    name: str
    here: _Here
    whole: bool
    """Whether it knows files and variables."""
    known: tuple[AnyPlan, ...] = ()
    commit: Commit | None = None
    saved: SavedPlan | None = None

    def side(self, *, whole: bool, hashes: bool) -> Side:
        """What it comes to."""
        match self.kind:
            case Kind.NOW:
                return self._now(whole=whole, hashes=hashes)
            case Kind.REVISION:
                return self._revision(whole=whole, hashes=hashes)
            case _:
                return Side(self.kind, self.name, self.known)

    def _now(self, *, whole: bool, hashes: bool) -> Side:
        here, asked = self.here, self.here.asked
        project = here.project
        stacks = [project.stack(asked.stack)] if asked.stack else list(project.stacks.values())
        world = ComparedTree(project.root, asks=asked.asks)
        planner = SidePlanner(project, world, here.lock, asked, whole, hashes)
        return Side(self.kind, self.name, planner.plans(here.pipelines, stacks))

    def _revision(self, *, whole: bool, hashes: bool) -> Side:
        from executor.workflow.revisions import plans_of_commit  # noqa: PLC0415  # few comparisons are of commits

        assert self.commit is not None  # noqa: S101  # `_named` found it
        plans, notes = plans_of_commit(self.commit, self.here.asked, whole=whole, hashes=hashes)
        notes = tuple(f"{self.name}: {note}" for note in notes)
        return Side(self.kind, self.name, plans, self.commit.id, notes)


def _named(name: str, here: _Here) -> _Named:
    """A side by its name. UsageError if it names nothing."""
    if name == "now":
        return _Named(Kind.NOW, name, here, whole=True)
    if name == "lock":
        return _Named(Kind.LOCK, name, here, whole=False, known=here.lock.plans)
    if name == STDIN:
        return _of_data(here.asked.stdin(), "standard input", here)
    path = Path(name)
    if name.startswith(("./", "../", "/")) or (path.suffix in {".lock", ".json"} and ":" not in name):
        return _of_file(path, here)
    is_file = os.path.isfile(name)  # noqa: PTH113  # Path.is_file raises for a name that is too long
    commit = _commit(name, here, only=not is_file)
    if commit is not None and is_file:
        found = f"{name!r} is a file and a revision"
        raise UsageError.of("command line", found, f"write ./{name} for the file, or the commit's hash")
    if commit is not None:
        return _Named(Kind.REVISION, name, here, whole=True, commit=commit)
    if is_file:
        return _of_file(path, here)
    raise UsageError.of("command line", *_nothing(name, here))


def _nothing(name: str, here: _Here) -> tuple[str, str]:
    """What is wrong with a name that is no side, and what to write for what was most likely meant."""
    if os.path.isdir(name):  # noqa: PTH112  # as for files
        return f"{name!r} is a directory", "`now` is the project as it is, and --project says where it is"
    one, dots, other = name.partition("..")
    if dots:
        since = other.startswith(".")
        one, other = (shlex.quote(each or "HEAD") for each in (one, other.removeprefix(".")))
        first = f"$(git merge-base {one} {other})" if since else one
        return f"{name!r} is a range of revisions", f"name its two ends: `stowplan diff {first} {other}`"
    revision, colon, _ = name.partition(":")
    if revision and colon:
        return f"{name!r} is a file of a revision", f"name the revision alone: {revision}"
    from executor.observe.commit import Commit  # noqa: PLC0415  # as in `_commit`, which had no answer

    fix = did_you_mean(name, ("lock", "now", *Commit.names(here.root)), _HOW)
    with contextlib.suppress(StowplanError):
        if name in {*here.project.pipelines, *here.project.sources}:
            fix = f"for a pipeline, write `--pipeline {name}`"
    return f"there is no revision and no file {name!r}", fix


def _commit(name: str, here: _Here, *, only: bool) -> Commit | None:
    """The commit of a name; None if there is none. UsageError where git cannot tell, if it is that `only`."""
    from executor.observe.commit import Commit  # noqa: PLC0415  # few comparisons are of commits

    try:
        return Commit.named(here.root, name)
    except GitUnknown as error:
        if not only:
            return None
        found = f"there is no file {name!r}, and no revision: {error.found}"
        raise UsageError.of("command line", found, error.fix) from None


def _of_file(path: Path, here: _Here) -> _Named:
    try:
        data = read_whole(path, LARGEST_LOCK_BYTES)
    except NotRead as error:
        raise ExecutorError.of(str(path), error.found, error.fix) from None
    if data is None:
        raise UsageError.of(str(path), "no such file", "name a lock file, or a saved plan")
    return _of_data(data, str(path), here)


def _of_data(data: bytes, name: str, here: _Here) -> _Named:
    if data.lstrip().startswith(b"{"):
        from executor.workflow.saved_plans import saved_plan_of  # noqa: PLC0415  # few comparisons have one

        saved = saved_plan_of(data, name)
        return _Named(Kind.PLAN, name, here, whole=True, known=(saved.plan,), saved=saved)
    return _Named(Kind.LOCK_FILE, name, here, whole=False, known=lock_of_file(data, name).plans)
