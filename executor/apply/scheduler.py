"""`apply`: carries out what was decided, images side by side where they do not depend on each other.

Owns the order of the work. A failure is an outcome: it stops what is built on the image, and nothing
else. Refuses to decide anything about an image: `planner.compare.actions` does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

from executor import limits
from executor.apply.builder import ImageBuilder, blocked, failed, nothing_to_do
from executor.apply.exclusive import alone, tidy
from executor.apply.outcome import Event, EventKind, OnEvent, Outcome
from executor.apply.presence import in_engine, in_registry, known, with_engine, with_registry
from executor.apply.recorder import Recorder, failing
from executor.defects import explained
from executor.errors import BuildFailed, ExecutorError
from executor.logins import passwords
from executor.records.store import Records
from executor.secrets import hidden_parts, read_secrets
from executor.state import read_lock
from planner.compare.actions import Action, Decision, decide, decide_image
from planner.compare.presence import Presence
from planner.errors import Place, Problem, StowplanError
from planner.facts.facts import Facts
from planner.facts.needs import Variable
from planner.image.plan import BuildPlan, ImagePlan
from planner.lock.lock import Lock
from planner.mask import Mask
from planner.values import Digest, ImageRef

if TYPE_CHECKING:
    from concurrent.futures import Future

    from executor.engines.protocol import Engine

__all__ = ["apply"]


def apply(
    plan: BuildPlan,
    facts: Facts,
    *,
    root: Path | str = ".",
    engine: Engine | Callable[[], Engine] | str | None = None,
    jobs: int = 2,
    on_event: OnEvent = lambda _: None,
) -> tuple[Outcome, ...]:
    """Build and push every image of a plan that no registry, engine or ledger has.

    `facts` are those that the plan was made from; they hold the values of the variables. `engine` is
    the engine to use, or its name; by default the one that `choose` finds, only when one is needed. At most
    `jobs` images are built side by side. Outcomes come in the order of the plan's images; a failure is
    an outcome with its error. Records and the lock's ledger are written as each image ends.

    KeyboardInterrupt stops the engine; what had ended until then is kept, and the next call goes on.
    """
    work = _Application(plan, facts, Path(root), _Chosen(engine), on_event)
    return work.tag(work.run(jobs))


class _Chosen:
    """The engine, chosen when it is first needed: what is in a registry needs none."""

    def __init__(self, given: Engine | Callable[[], Engine] | str | None) -> None:
        self._given = given
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._error: ExecutorError | None = None

    @property
    def engine(self) -> Engine:
        """The engine. EngineUnavailable if there is none, which is found out once: it can take a while."""
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._engine is None:
                try:
                    self._engine = self._choose()
                except ExecutorError as error:
                    self._error = error
                    raise
            return self._engine

    def _choose(self) -> Engine:
        if self._given is None or isinstance(self._given, str):
            from executor.engines.select import choose  # noqa: PLC0415  # planning needs no engine

            return choose(self._given)
        return self._given() if callable(self._given) else self._given

    @property
    def name(self) -> str:
        """The engine's name; empty as long as none was needed."""
        return self._engine.name if self._engine else ""

    def interrupt(self) -> None:
        """Stop what the engine does, if there is one."""
        if self._engine is not None:
            self._engine.interrupt()


class _Application:
    """One call of `apply`: what all its images share."""

    def __init__(self, plan: BuildPlan, facts: Facts, root: Path, chosen: _Chosen, on_event: OnEvent) -> None:
        self._plan, self._facts, self._root, self._on_event = plan, facts, root, on_event
        self._chosen = chosen
        self._records = Records(root)
        lock = read_lock(root) or Lock()
        self._recorder = Recorder(plan, root, self._records, lock)
        self._lock = lock
        self._interrupted = threading.Event()
        self._present: Mapping[str, Presence] = {}
        names = {name for image in plan.images for name in image.checkout.variables}
        values = (facts.ask(Variable(name)) for name in names)
        self._hidden = [value.reveal() for value in values if value is not None]
        self._mask = Mask(self._hidden)

    def run(self, jobs: int) -> list[Outcome]:
        """Carry out all decisions; the outcomes in the order of the images."""
        from concurrent.futures import ThreadPoolExecutor, as_completed  # noqa: PLC0415  # planning needs none

        decisions = self._decisions()
        if any(decision.action in (Action.BUILD, Action.PUSH) for decision in decisions.values()):
            # What cannot be recorded is said before anything is built, and so is a secret that is not there.
            self._recorder.prepare()
            self._read_secrets(
                image for image in self._plan.images if decisions[image.name].action is Action.BUILD
            )
        if self._chosen.name:
            tidy(self._chosen.engine)
        futures: dict[Digest, Future[list[Outcome]]] = {}
        groups: dict[Digest, list[ImagePlan]] = {}
        for image in self._plan.images:
            groups.setdefault(image.hash, []).append(image)
        with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="stowplan") as pool:
            try:
                # Parents come first: whoever waits here for one waits for work that goes on.
                for digest, images in groups.items():
                    parent = futures.get(images[0].parent.hash) if images[0].parent else None
                    futures[digest] = pool.submit(self._group, images, decisions, parent)
                for future in as_completed(futures.values()):
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._interrupted.set()
                self._chosen.interrupt()
                raise
        outcomes = {item.name: item for future in futures.values() for item in future.result()}
        return [outcomes[image.name] for image in self._plan.images]

    def _read_secrets(self, images: Iterable[ImagePlan]) -> None:
        """Look that all secrets are there and have what is needed of them, and hide them in what is said.

        ExecutorError with all that is wrong.
        """
        hidden, errors = list(self._hidden), []
        # Two images can have a secret of one name from two places.
        for image in images:
            try:
                values = read_secrets([image], self._root)
                hidden += (*hidden_parts(values.values()), *passwords(image, values))
            except ExecutorError as error:
                errors.append(error)
        if errors:
            raise ExecutorError.joined(errors)
        self._mask = Mask(hidden)

    def _decisions(self) -> Mapping[str, Decision]:
        """What is done about each image, from lock, records and registry, and the engine where it matters."""
        present = known(self._plan, self._lock, self._records)
        present = with_registry(self._plan, present, present)
        decisions = decide(self._plan, present)
        asked = [
            image.name
            for image in self._plan.images
            if image.builds
            and not image.destination.prevent_reuse
            and decisions[image.name].blocked is None
            and (not image.destination.push or decisions[image.name].action is not Action.REUSE)
        ]
        self._present = present
        if asked:
            try:
                engine = self._chosen.engine
            except ExecutorError:
                # Each image that needs it says so itself; the others need none.
                return decisions
            # Which records count shows only now: what another engine had says nothing of this one.
            of_engine = known(self._plan, self._lock, self._records, engine.name)
            present = {
                name: evolve(of_engine[name], registry=each.registry) for name, each in present.items()
            }
            present = with_engine(self._plan, present, asked, engine, self._records)
        self._present = present
        return decide(self._plan, present)

    def _group(
        self,
        images: Sequence[ImagePlan],
        decisions: Mapping[str, Decision],
        parent: Future[list[Outcome]] | None,
    ) -> list[Outcome]:
        """Images of one hash, one after the other: what the first has built is there for the others."""
        outcomes: list[Outcome] = []
        for image in images:
            outcome = self._one(image, decisions[image.name], parent, outcomes[-1] if outcomes else None)
            outcomes.append(outcome)
        return outcomes

    def _one(
        self,
        image: ImagePlan,
        decision: Decision,
        parent: Future[list[Outcome]] | None,
        same: Outcome | None,
    ) -> Outcome:
        """One image from its decision to its record. A failure is an outcome."""
        started = time.monotonic()
        try:
            outcome = self._carry_out(image, decision, parent, same)
        except StowplanError as error:
            problems = [problem.masked(self._mask) for problem in error.problems]
            hidden = (
                type(error)(problems, error.failure)
                if isinstance(error, ExecutorError)
                else ExecutorError(problems)
            )
            outcome = failed(image, decision, hidden, interrupted=self._interrupted.is_set())
        except Exception as error:  # whatever it is, the other outcomes are not lost to it
            outcome = failed(image, decision, explained(error, self._root))
        seconds = round(time.monotonic() - started, 3)
        outcome = evolve(outcome, seconds=seconds, engine=self._chosen.name)
        outcome = self._recorder.record(image, outcome)
        text = str(outcome.error) if outcome.error else outcome.reference
        self._on_event(Event(image.name, EventKind.ENDED, text, outcome.result))
        return outcome

    def _carry_out(
        self,
        image: ImagePlan,
        decision: Decision,
        parent: Future[list[Outcome]] | None,
        same: Outcome | None,
    ) -> Outcome:
        if decision.blocked is not None:
            return blocked(image, decision)
        if decision.action in (Action.REUSE, Action.PARENT):
            if same is not None and not image.destination.push:
                # That it would be there by now was why nothing was to be done.
                if same.error is not None:
                    raise same.error
                self._chosen.engine.tag(same.reference, image.reference)
            return nothing_to_do(image, decision)
        if parent is not None and (lost := [item for item in parent.result() if item.failed]):
            problem = Problem(
                Place(file=image.name),
                f"was not built: {lost[0].name}, which it is built on, failed",
                "correct that first",
                "parent-failed",
            )
            # Trying again helps where it helps the parent.
            lost_to = lost[0].error
            kind = lost_to.failure if isinstance(lost_to, ExecutorError) else None
            return failed(image, decision, ExecutorError([problem], kind))
        if same is not None and same.failed:
            assert same.error is not None  # noqa: S101  # a failure has an error
            raise same.error
        return self._build_or_push(image, decision, same)

    def _build_or_push(self, image: ImagePlan, decision: Decision, same: Outcome | None) -> Outcome:
        """Do what was decided, unless another process has done it meanwhile."""
        engine = self._chosen.engine
        builder = ImageBuilder(engine, self._root, self._facts, self._on_event)
        waiting = Event(
            image.name, EventKind.WAITING, "for another stowplan process, which works on the same image"
        )
        with alone(engine, image.hash, check=self._check, on_wait=lambda: self._on_event(waiting)) as waited:
            if same is not None:
                engine.tag(same.reference, image.reference)
            decision = self._again(image, decision, waited=waited)
            if decision.blocked is not None:
                return blocked(image, decision)
            return builder.carry_out(image, decision)

    def _again(self, image: ImagePlan, decision: Decision, *, waited: bool) -> Decision:
        """The decision about an image that nobody else works on any more."""
        if image.destination.prevent_reuse:
            return decision
        before = self._present[image.name]
        known = evolve(before, engine=in_engine(image, self._chosen.engine, self._records))
        if image.destination.push and (waited or known.engine != before.engine):
            known = evolve(known, registry=in_registry([image])[image.name])
        return decide_image(image, known)

    def _check(self) -> None:
        """BuildFailed if the user interrupted what is going on."""
        if self._interrupted.is_set():
            raise BuildFailed.of("apply", "interrupted", "run again: what is complete is kept")

    def tag(self, outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
        """Give images their further tags: of several images of one repository the last keeps a tag."""
        owners = {
            (image.destination.repository, image.destination.image_tag): image.name
            for image in self._plan.images
            if image.builds and image.destination.image_tag
        }
        kept = set(owners.values())
        return tuple(
            self._tag(image, outcome) if image.name in kept and not outcome.failed else outcome
            for image, outcome in zip(self._plan.images, outcomes, strict=True)
        )

    def _tag(self, image: ImagePlan, outcome: Outcome) -> Outcome:
        from executor.registry.tags import retag  # noqa: PLC0415  # few images have a further tag

        tag = str(image.destination.image_tag)
        try:
            if image.destination.push:
                # By its digest: the working tag can move meanwhile.
                working = ImageRef.parse(image.reference)
                ref = working.pinned(outcome.digest) if outcome.digest else working
                retag(ref, tag, timeout=limits.REGISTRY_SECONDS)
            else:
                self._chosen.engine.tag(image.reference, f"{image.destination.repository}:{tag}")
        except ExecutorError as error:
            return failing(outcome, [error])
        except Exception as error:  # as in `_one`
            return failing(outcome, [explained(error, self._root)])
        return outcome
