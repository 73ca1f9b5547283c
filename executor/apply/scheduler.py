"""A plan → images: engine calls, outcomes, records, and the ledger of what was pushed.

Owns the order of the work: what is there already is not built, independent images are built side by
side, and one that fails does not lose the others. Decides nothing about what an image is: the plan
has said that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, assert_never

from attrs import evolve, frozen

from executor.engines.protocol import HASH_LABEL, BuildJob, Engine, OnLine
from executor.errors import ExecutorError, FilesChanged, RegistryUnavailable
from executor.records.store import Record, Records
from executor.registry.lookup import Found, Missing, Unknown, head
from executor.registry.tags import retag
from executor.state import read_lock, update_lock
from planner.errors import Place, PlannerError, Problem
from planner.facts.answers import Facts
from planner.identity import variable_fingerprint
from planner.image.plan import BuildPlan, Delivery, Here, ImagePlan, Use
from planner.lock.lockfile import Lock, Pushed
from planner.render.dockerfile import dockerfile
from planner.values import Digest, ImageRef, build_argument

__all__ = ["Event", "Outcome", "Status", "apply"]


_REGISTRY_SECONDS: Final = 15.0
_RECORDED: Final = {"build": "built", "reuse": "reused", "failed": "failed"}


class Status(StrEnum):
    """How one image of a plan ended up."""

    BUILD = "build"
    REUSE = "reuse"
    PARENT = "parent"
    FAILED = "failed"


@frozen
class Event:
    """Something that happened to an image: `building`, `pushing`, a `line` of output, or its end."""

    image: str
    kind: str
    text: str = ""


@frozen
class Outcome:
    """What came of one image. `seconds` is wall time; `digest` is the registry's, None for a local image."""

    name: str
    hash: Digest
    action: Status
    reference: str
    digest: Digest | None = None
    seconds: float = 0.0
    error: ExecutorError | PlannerError | None = None


OnEvent = Callable[[Event], None]


def apply(
    plan: BuildPlan,
    facts: Facts,
    *,
    root: Path | str = ".",
    engine: Engine | Callable[[], Engine] | None = None,
    jobs: int = 2,
    on_event: OnEvent = lambda _: None,
) -> tuple[Outcome, ...]:
    """Make every image of a plan be there: build and push what no registry, engine or ledger has.

    `facts` are those that the plan was made from; they hold the values of the variables. `engine` is
    the engine to use, by default the one that `choose` finds, and only when one is needed. At most
    `jobs` images are built side by side. Outcomes come in the order of the plan's images; a failure is
    an outcome with its error. Records and the lock's ledger are written as each image ends.

    KeyboardInterrupt stops the engine; what had ended until then is kept, and the next call goes on.
    """
    from concurrent.futures import Future, ThreadPoolExecutor, as_completed  # noqa: PLC0415  # planning needs none

    work = _Work(plan, facts, Path(root), engine, on_event)
    groups: dict[Digest, list[ImagePlan]] = {}
    for image in plan.images:
        groups.setdefault(image.hash, []).append(image)
    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="stowplan") as pool:
        futures: list[Future[list[Outcome]]] = [pool.submit(work.same, images) for images in groups.values()]
        try:
            for future in as_completed(futures):
                outcomes |= {outcome.name: outcome for outcome in future.result()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            work.interrupt()
            raise
    return work.tag([outcomes[image.name] for image in plan.images])


class _Work:
    """One call of `apply`: what all its images share."""

    def __init__(
        self,
        plan: BuildPlan,
        facts: Facts,
        root: Path,
        engine: Engine | Callable[[], Engine] | None,
        on_event: OnEvent,
    ) -> None:
        self.plan, self.facts, self.root, self.on_event = plan, facts, root, on_event
        self.records = Records(root)
        self.lock = read_lock(root) or Lock()
        self._given = engine
        self._engine: Engine | None = None
        self._choosing = threading.Lock()
        self._interrupted = threading.Event()

    @property
    def engine(self) -> Engine:
        """The engine, chosen when it is first needed: what is in a registry needs none."""
        with self._choosing:
            if self._engine is None:
                self._engine = self._given() if callable(self._given) else self._given
                if self._engine is None:
                    from executor.engines.select import choose  # noqa: PLC0415  # planning needs no engine

                    self._engine = choose()
            return self._engine

    def interrupt(self) -> None:
        """Stop what is being built."""
        self._interrupted.set()
        if self._engine is not None:
            self._engine.interrupt()

    def same(self, images: Sequence[ImagePlan]) -> list[Outcome]:
        """Images of one hash, one after the other: what the first has built is there for the others."""
        return [self.one(image, again=index > 0) for index, image in enumerate(images)]

    def one(self, image: ImagePlan, *, again: bool) -> Outcome:
        """Make one image be there. A failure is an outcome."""
        started = time.monotonic()
        try:
            outcome = self._make(image, again=again)
        except (ExecutorError, PlannerError) as error:
            outcome = Outcome(image.name, image.hash, Status.FAILED, image.reference, error=error)
        outcome = evolve(outcome, seconds=round(time.monotonic() - started, 3))
        self._record(image, outcome)
        self.on_event(Event(image.name, outcome.action.value, str(outcome.error or outcome.reference)))
        return outcome

    def _make(self, image: ImagePlan, *, again: bool) -> Outcome:
        if image.use is Use.PARENT:
            return Outcome(image.name, image.hash, Status.PARENT, image.reference, image.parent.digest)
        delivery = _delivery(image)
        must_build = delivery.prevent_reuse and not again
        if delivery.push and not must_build and (digest := self._pushed(image)) is not None:
            return Outcome(image.name, image.hash, Status.REUSE, image.reference, digest)
        action = Status.BUILD if must_build or not self._local(image) else Status.REUSE
        if action is Status.BUILD:
            self._build(image)
        digest = None
        if delivery.push:
            self.on_event(Event(image.name, "pushing", image.reference))
            digest = self.engine.push(image.reference, self._on_line(image))
        return Outcome(image.name, image.hash, action, image.reference, digest)

    def _pushed(self, image: ImagePlan) -> Digest | None:
        """The digest under which the registry has the image; None if it does not."""
        answer = head(ImageRef.parse(image.reference), timeout=_REGISTRY_SECONDS)
        match answer:
            case Found():
                return answer.digest
            case Missing():
                return None
            case Unknown():
                # The ledger says what was pushed; without it, "cannot tell" is neither yes nor no.
                known = self.lock.pushed_as(image.hash, _delivery(image).repository)
                if known is not None:
                    return known.digest
                found = f"cannot tell whether it was pushed: {answer.reason}"
                raise RegistryUnavailable([Problem(Place(file=image.reference), found, "try again")])
            case _:
                assert_never(answer)

    def _local(self, image: ImagePlan) -> bool:
        """Whether the engine has the image, under this reference or one for another repository."""
        there = self.engine.built(image.hash)
        if there and image.reference not in there:
            self.engine.tag(there[0], image.reference)
        return bool(there)

    def _build(self, image: ImagePlan) -> None:
        from executor.context import context  # noqa: PLC0415  # planning builds nothing

        self.on_event(Event(image.name, "building", image.reference))
        job = BuildJob(
            tag=image.reference,
            dockerfile=dockerfile(image),
            context=lambda: context(image, self.root),
            options=image.options,
            labels={HASH_LABEL: str(image.hash)},
            secrets={build_argument(name): value for name, value in self._values(image)},
        )
        self.engine.build(job, self._on_line(image))

    def _on_line(self, image: ImagePlan) -> OnLine:
        return lambda line: self.on_event(Event(image.name, "line", line))

    def _values(self, image: ImagePlan) -> Iterator[tuple[str, str]]:
        """The values of the image's variables, which must be those that were planned with."""
        for name, fingerprint in (image.here or Here()).variables.items():
            value = self.facts.variable(name)
            if value is None or variable_fingerprint(name, value.reveal()) != fingerprint:
                raise FilesChanged(
                    [Problem(Place(file=f"${name}"), "is not what it was when planned", "plan again")]
                )
            yield name, value.reveal()

    def _record(self, image: ImagePlan, outcome: Outcome) -> None:
        """Write down what came of an image, and where it was pushed."""
        status = _RECORDED.get(outcome.action)
        if status == "failed" and self._interrupted.is_set():
            status = "interrupted"
        if status is not None and not (
            status == "reused" and self.records.existing(image.hash, image.reference)
        ):
            self.records.add(
                Record(
                    id=0,
                    finished=datetime.now(UTC).isoformat(timespec="seconds"),
                    seconds=outcome.seconds,
                    pipeline=self.plan.pipeline,
                    stack=self.plan.stack,
                    image=image.name,
                    hash=str(image.hash),
                    status=status,
                    engine=self._engine.name if self._engine else "",
                    reference=outcome.reference,
                    digest=str(outcome.digest) if outcome.digest else None,
                    error=str(outcome.error) if outcome.error else None,
                ),
                self.plan,
                image,
            )
        if outcome.digest is not None and image.use is Use.BUILD:
            reference = ImageRef.parse(_delivery(image).repository).pinned(outcome.digest)
            pushed = Pushed(self.plan.pipeline, self.plan.stack, image.name, image.hash, reference)
            update_lock(self.root, lambda lock: lock.with_pushed(self.plan, [pushed]))

    def tag(self, outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
        """Give images their further tags: of several images of one repository the last keeps a tag."""
        owners = {
            (delivery.repository, delivery.image_tag): image.name
            for image in self.plan.images
            if image.use is Use.BUILD and (delivery := _delivery(image)).image_tag
        }
        return tuple(
            self._tag(image, outcome)
            if image.name in owners.values() and outcome.action is not Status.FAILED
            else outcome
            for image, outcome in zip(self.plan.images, outcomes, strict=True)
        )

    def _tag(self, image: ImagePlan, outcome: Outcome) -> Outcome:
        delivery = _delivery(image)
        try:
            if delivery.push:
                retag(ImageRef.parse(image.reference), str(delivery.image_tag), timeout=_REGISTRY_SECONDS)
            else:
                self.engine.tag(image.reference, f"{delivery.repository}:{delivery.image_tag}")
        except ExecutorError as error:
            return evolve(outcome, action=Status.FAILED, error=error)
        return outcome


def _delivery(image: ImagePlan) -> Delivery:
    assert image.delivery is not None  # noqa: S101  # only the images of a lock have none
    return image.delivery
