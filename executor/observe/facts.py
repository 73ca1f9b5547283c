"""The way in for all facts about the world: what a plan needs to know is looked up here, once.

Owns the answers to each kind of need and where the digest of an image is taken from. Refuses to look at
anything that no need asks for, and to hand out anything but values.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from attrs import define, evolve

from executor.observe import python
from executor.observe.files import read_text
from planner.errors import Place, PlannerError, Problem
from planner.facts.answers import Fact, Facts, Pin, Secret
from planner.facts.needs import FileText, FileTree, HostPlatform, ImageDigest, Need, PythonVersion, Variable
from planner.image.plan import needs
from planner.lock.lockfile import LOCK_NAME

if TYPE_CHECKING:
    from executor.engines.protocol import Engine
    from planner.lock.lockfile import Lock
    from planner.pipeline import Pipeline
    from planner.stack import Stack
    from planner.values import Digest, ImageRef

__all__ = ["observe"]


def _any_engine() -> Engine:
    """The engine that would build, found when it is asked for."""
    from executor.engines.select import choose  # noqa: PLC0415  # most plans need none

    return choose()


def observe(
    pipeline: Pipeline,
    stack: Stack,
    *,
    root: Path | str = ".",
    engine: Callable[[], Engine | None] | Engine | None = _any_engine,
    lock: Lock | None = None,
    frozen: bool = False,
    here: bool = True,
    environ: Mapping[str, str] | None = None,
    timeout: float = 5.0,
    facts: Facts = Facts(),  # noqa: B008  # frozen
) -> Facts:
    """The facts that this pipeline on this stack needs to be planned, and those already in `facts`.

    The digest of an image comes from its registry, else from the engine's own image, else from the
    lock, which is by default the project's own; with `frozen` from the lock only. The `engine` is only
    wanted when a registry did not tell, so it can be a function that finds one; by default it is the
    one that `apply` would build with, and with None no engine is asked. Looking for an image ends after
    `timeout` seconds in a registry and as many in the engine. PlannerError with all that could not be
    answered.
    """
    looking = _Looking(
        root=Path(root),
        engine=engine,
        lock=lock,
        frozen=frozen,
        environ=os.environ if environ is None else environ,
        timeout=timeout,
    )
    while wanted := needs(pipeline, stack, facts, here=here):
        facts = facts.also(looking.answers(wanted))
    return facts


@define(kw_only=True)
class _Looking:
    """One look at the world: where, how far, and what is asked when a registry does not tell."""

    root: Path
    engine: Callable[[], Engine | None] | Engine | None
    lock: Lock | None
    frozen: bool
    environ: Mapping[str, str]
    timeout: float

    def answers(self, wanted: Iterable[Need]) -> dict[Need, Fact]:
        """The answer to each need. PlannerError with all that have none."""
        wanted = tuple(wanted)
        found: dict[Need, Fact] = {}
        problems: dict[Problem, None] = {}
        look_up = self._locked if self.frozen else self._looked_up
        try:
            pins = look_up([need.ref for need in wanted if isinstance(need, ImageDigest)])
        except PlannerError as error:
            problems |= dict.fromkeys(error.problems)
            pins = {}
        for need in wanted:
            try:
                match need:
                    case ImageDigest(ref):
                        found |= {need: pins[ref]} if ref in pins else {}
                    case FileText() | FileTree():
                        found[need] = self._file(need)
                    case Variable(name):
                        found[need] = self._variable(name)
                    case PythonVersion():
                        found[need] = python.python_version()
                    case HostPlatform():
                        found[need] = python.host_platform()
                    case _:
                        assert_never(need)
            except PlannerError as error:
                problems |= dict.fromkeys(error.problems)
        if problems:
            raise PlannerError(problems)
        return found

    def _file(self, need: FileText | FileTree) -> Fact:
        if isinstance(need, FileText):
            return read_text(self.root, need.path)
        from executor.observe.cache import Cache  # noqa: PLC0415  # SQLite, and only a tree needs it
        from executor.observe.trees import read_tree  # noqa: PLC0415  # as above

        with Cache(self.root) as cache:
            return read_tree(self.root, need, cache)

    def _variable(self, name: str) -> Secret | None:
        value = self.environ.get(name)
        if value is None:
            return None
        try:
            value.encode()
        except UnicodeEncodeError:
            found = f"the value of {name} is not UTF-8"
            raise PlannerError(
                [Problem.at("environment", found, "encode it, in base64 for instance")]
            ) from None
        return Secret(value)

    def _locked(self, refs: list[ImageRef]) -> dict[ImageRef, Pin]:
        """The pins of the lock, which is all that `frozen` looks at."""
        pins = {ref: self._pin(ref) for ref in refs}
        fix = "run without --frozen, or stowplan lock where its registry can be reached"
        missing = [
            Problem(Place(file=LOCK_NAME), f"no digest of {ref.familiar}", fix)
            for ref, digest in pins.items()
            if digest is None
        ]
        if missing:
            raise PlannerError(missing)
        return {ref: Pin(digest, "lock") for ref, digest in pins.items()}

    def _looked_up(self, refs: list[ImageRef]) -> dict[ImageRef, Pin]:
        """What is known of images: of the registry, else of the engine, else of the lock."""
        from executor.registry.lookup import Found, Question, Unknown, heads  # noqa: PLC0415  # only an image needs it

        pins: dict[ImageRef, Pin] = {}
        questions = [Question(ref) for ref in refs]
        for question, answer in heads(questions, timeout=self.timeout, environ=self.environ).items():
            ref = question.ref
            if isinstance(answer, Found):
                pins[ref] = Pin(answer.digest, "registry")
            else:
                pins[ref] = Pin(
                    reason=answer.reason, transient=isinstance(answer, Unknown) and answer.transient
                )
        untold = [ref for ref, pin in pins.items() if pin.digest is None]
        local = self._in_engine(untold) if untold else {}
        for ref in untold:
            locked = self._pin(ref)
            source = "engine" if ref in local else "lock" if locked else ""
            pins[ref] = evolve(pins[ref], digest=local.get(ref, locked), source=source)
        return pins

    def _pin(self, ref: ImageRef) -> Digest | None:
        if self.lock is None:
            from executor.state import read_lock  # noqa: PLC0415  # most registries tell
            from planner.lock.lockfile import Lock  # noqa: PLC0415  # as above

            self.lock = read_lock(self.root) or Lock()
        return self.lock.pin(ref)

    def _in_engine(self, refs: list[ImageRef]) -> dict[ImageRef, Digest]:
        """The digests of the engine's own images. An engine that fails, or hangs, does not know any."""
        known: dict[ImageRef, Digest] = {}

        def ask() -> None:
            with contextlib.suppress(Exception):
                engine = self.engine() if callable(self.engine) else self.engine
                if engine is not None:
                    for ref in refs:
                        _ask_engine(engine, ref, known)

        # A thread that nobody waits for any longer, as in heads().
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(self.timeout)
        return dict(known)


def _ask_engine(engine: Engine, ref: ImageRef, known: dict[ImageRef, Digest]) -> None:
    with contextlib.suppress(Exception):
        digest = engine.digest(ref)
        if digest is not None:
            known[ref] = digest
