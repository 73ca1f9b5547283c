"""What happens to an image: build, push, reuse, or use the parent. The one place where that is decided.

Owns `decide`, a pure function of the plan and of what is known to be present. `plan` feeds it what it may
look at without an engine, `apply` what it saw: what is announced and what is done come from the same code.
Where they could differ, the decision names what it depends on.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, assert_never

from attrs import evolve

from planner.compare.presence import Absent, Foreign, Held, History, Presence, Registered, Untold
from planner.errors import Place, Problem
from planner.image.plan import BuildPlan, ImagePlan
from planner.immutable import frozen
from planner.values import Digest

__all__ = ["NOT_NEEDED", "Action", "Decision", "decide", "decide_image"]


class Action(StrEnum):
    """What is done about an image."""

    BUILD = "build"
    """Build it, and push it where it goes to a registry."""
    PUSH = "push"
    """It was built here, and is not in the registry yet."""
    REUSE = "reuse"
    """It is where it is needed."""
    PARENT = "parent"
    """Nothing is built: steps run in the parent as it is."""


@frozen
class Decision:
    """What is done about one image, and why.

    `code` is stable, `reason` is for people. `depends` says what was assumed and not looked at. With
    `blocked` nothing can be done: that is why. `digest` is the registry's, where it is known; `verified`
    says whether the registry itself told it.
    """

    action: Action
    code: str
    reason: str
    depends: tuple[str, ...] = ()
    blocked: Problem | None = None
    transient: bool = False
    digest: Digest | None = None
    verified: bool = True


NOT_NEEDED: Final = Decision(Action.REUSE, "not-needed", "nothing that is built on it has to be built")
"""About an image that is only there for others, which need not be built."""


def decide(plan: BuildPlan, present: Mapping[str, Presence]) -> dict[str, Decision]:
    """What is done about each image of a plan, by its name.

    An image that is built is there for the other images of the same hash. One that nothing runs in is
    only built for the sake of those that are built on it.
    """
    decisions: dict[str, Decision] = {}
    made: set[Digest] = set()
    for image in plan.images:
        known = present.get(image.name, Presence())
        if image.hash in made:
            known = evolve(known, engine=Held())
        decisions[image.name] = decision = decide_image(image, known, again=image.hash in made)
        if decision.action in (Action.BUILD, Action.PUSH) and decision.blocked is None:
            made.add(image.hash)
    for image in reversed(plan.images):
        if image.builds and not image.runs and not _is_needed(image, plan, decisions):
            decisions[image.name] = NOT_NEEDED
    return decisions


def _is_needed(image: ImagePlan, plan: BuildPlan, decisions: Mapping[str, Decision]) -> bool:
    return any(
        other.parent is not None
        and other.parent.hash == image.hash
        and decisions[other.name].action is Action.BUILD
        for other in plan.images
    )


def decide_image(image: ImagePlan, known: Presence, *, again: bool = False) -> Decision:
    """What is done about one image; `again` says that it was built a moment ago, for another name."""
    if not image.builds:
        return Decision(Action.PARENT, "parent", "used as it is")
    destination = image.destination
    if destination.prevent_reuse and not again:
        return Decision(Action.BUILD, "reuse-prevented", "prevent_build_reuse is set")
    if not destination.push:
        return _in_engine(image, known, Action.REUSE)
    match known.registry:
        case Registered(digest):
            if known.ledger is not None and known.ledger != digest:
                return _contradiction(image, known.ledger, digest)
            return Decision(Action.REUSE, "in-registry", "in the registry", digest=digest)
        case Foreign(found, _):
            fix = "someone pushed another image to this tag: delete it there, or change target_repository"
            return _blocked(image, "foreign-tag", f"is not the image that was planned: {found}", fix)
        case Absent():
            decision = _in_engine(image, known, Action.PUSH)
            if known.ledger is None or decision.blocked is not None:
                return decision
            gone = f"the registry no longer has it ({known.ledger.short})"
            return evolve(decision, code="gone-from-registry", reason=gone)
        case Untold(reason, transient):
            if known.ledger is not None:
                words = f"pushed, as the lock's ledger says; not verified: {reason}"
                return Decision(Action.REUSE, "in-ledger", words, digest=known.ledger, verified=False)
            found = f"cannot tell whether it was pushed: {reason}"
            decision = _blocked(image, "registry-unknown", found, "try again when the registry answers")
            return evolve(decision, transient=transient)
        case None:
            return _unasked(image, known)
        case _:
            assert_never(known.registry)


def _unasked(image: ImagePlan, known: Presence) -> Decision:
    """What is done about an image that is pushed, as far as that can be told without the registry."""
    if known.ledger is not None:
        return Decision(
            Action.REUSE,
            "in-ledger",
            "pushed, as the lock's ledger says",
            depends=("the registry still has it",),
            digest=known.ledger,
            verified=False,
        )
    if known.record is not None and known.record.pushed:
        return Decision(
            Action.REUSE,
            "recorded",
            _recorded(known),
            depends=("the registry still has it",),
            verified=False,
        )
    decision = _in_engine(image, known, Action.PUSH)
    return evolve(decision, depends=("the registry does not have it", *decision.depends))


def _in_engine(image: ImagePlan, known: Presence, there: Action) -> Decision:
    """What is done about an image that is not in a registry: `there` if an engine has it."""
    match known.engine:
        case Held():
            return Decision(there, "in-engine", _recorded(known))
        case Foreign(found, _):
            command = f"{known.engine_name or 'docker'} rmi {image.reference}"
            fix = f"it was not built from this plan: remove it with `{command}`"
            return _blocked(image, "foreign-image", f"is another image: {found}", fix)
        case Absent():
            return Decision(Action.BUILD, *_why(known))
        case None:
            if known.record is not None and known.record.engine:
                depends = (f"{known.record.engine} still has it",)
                return Decision(there, "recorded", _recorded(known), depends=depends)
            return Decision(Action.BUILD, *_why(known), depends=("the engine does not have it",))
        case _:
            assert_never(known.engine)


def _recorded(known: Presence) -> str:
    record = known.record
    if record is None:
        return "the engine has it"
    where = f", in {record.engine}" if record.engine else ""
    return f"record {record.number} of {record.finished}{where}"


def _why(known: Presence) -> tuple[str, str]:
    """Why an image has to be built: a code, and words."""
    if known.record is not None:
        return "missing", f"{_recorded(known)}, but it is no longer there"
    match known.history:
        case History.NEVER:
            return "never-built", "never built here"
        case History.CHANGED:
            return "changed", "changed since its last build"
        case History.ELSEWHERE:
            return "built-elsewhere", "built before, for another repository or engine"
        case _:
            assert_never(known.history)


def _contradiction(image: ImagePlan, ledger: Digest, registry: Digest) -> Decision:
    found = f"the registry has {registry.short}, and the ledger of stowplan.lock says {ledger.short}"
    fix = (
        "someone pushed to this tag again, or edited the ledger: if the registry is right, run "
        "`stowplan lock --forget-pushed`; if not, delete the tag there"
    )
    return _blocked(image, "ledger-differs", found, fix)


def _blocked(image: ImagePlan, code: str, found: str, fix: str) -> Decision:
    problem = Problem(Place(file=image.reference), found, fix, code)
    return Decision(Action.BUILD, code, found, blocked=problem)
