"""Carries out what was decided about one image: build, look at it, tag, push.

Publishing comes last: an image gets its planned tag when it is known to be what was planned. Refuses to
decide anything.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, assert_never

from attrs import evolve

from executor.ahead import load_ahead
from executor.apply.outcome import Event, EventKind, OnEvent, Outcome, Result
from executor.apply.presence import in_registry
from executor.apply.verification import difference
from executor.errors import BuildFailed, ExecutorError, FilesChanged, RegistryRefused, RegistryUnavailable
from executor.network import Network, network_of
from executor.secrets import read_secrets
from planner.compare.actions import Action, Decision
from planner.compare.presence import Foreign, InRegistry, Registered
from planner.errors import Place, Problem
from planner.facts.facts import Facts
from planner.facts.needs import Variable
from planner.identity import variable_fingerprint
from planner.image.capabilities import required
from planner.image.configuration import planned_configuration
from planner.image.plan import ImagePlan
from planner.image.spec import ExternalImage
from planner.immutable import frozen
from planner.values import Digest, build_argument

if TYPE_CHECKING:
    from executor.engines.protocol import Engine, ImageInfo, OnLine

__all__ = ["ImageBuilder"]

_OTHER: Final = "built-something-else"


@frozen
class ImageBuilder:
    """Makes single images be where their plan wants them."""

    engine: Engine
    root: Path
    facts: Facts
    on_event: OnEvent

    def carry_out(self, image: ImagePlan, decision: Decision) -> Outcome:
        """Do what was decided. ExecutorError if that fails."""
        match decision.action:
            case Action.BUILD:
                self._build(image)
                digest, pushed = self._publish(image, rebuilt=image.destination.prevent_reuse)
                return _outcome(image, decision, Result.BUILT, digest, pushed=pushed)
            case Action.PUSH:
                digest, pushed = self._publish(image, rebuilt=False)
                return _outcome(image, decision, Result.PUSHED, digest, pushed=pushed)
            case Action.REUSE | Action.PARENT:
                return nothing_to_do(image, decision)
            case _:
                assert_never(decision.action)

    def _build(self, image: ImagePlan) -> None:
        from executor.context import files  # noqa: PLC0415  # planning builds nothing
        from executor.engines.protocol import BuildJob  # noqa: PLC0415  # as above

        if missing := required(image) - self.engine.capabilities:
            words = ", ".join(sorted(missing))
            problem = Problem(
                Place(file=image.name), f"{self.engine.name} cannot {words}", "use another engine"
            )
            raise BuildFailed([problem])
        self.on_event(Event(image.name, EventKind.BUILDING, image.reference))
        variables = dict(self._values(image))
        arguments = {build_argument(name): value for name, value in variables.items()}
        secrets = read_secrets([image], self.root)
        network = network_of(os.environ) if image.machine_network else Network()
        job = BuildJob(image, lambda: files(image, self.root), arguments, self.root, secrets, network)
        if image.destination.push:
            load_ahead("tomlkit", "filelock")  # for the ledger, which says what was pushed
        with self._logged(image) as on_line:
            made = self.engine.build(job, on_line)
            # Only what was planned gets the planned tag.
            if found := difference(image, made, variables, self._parent(image)):
                self.engine.remove(made.id)
                found = f"what {self.engine.name} built is not what was planned: {found}"
                raise BuildFailed([
                    Problem(Place(file=image.name), found, "look into what the builder wrote", _OTHER)
                ])  # fmt: skip
        self.engine.tag(made.id, image.reference)

    def _parent(self, image: ImagePlan) -> ImageInfo | None:
        """The image that a variable of this one adds to; None if none does, or the engine does not have it.

        Of a parent that is only known by its tag, a builder may have taken another one than the engine has.
        """
        planned = planned_configuration(image.built).environment
        if not any(template.adds for templates in planned.values() for template in templates):
            return None
        parent, local = image.spec.parent, image.checkout.parent_id
        pinned = not isinstance(parent, ExternalImage) or parent.digest is not None or local is not None
        return self.engine.inspect(image.base) if pinned else None

    def _publish(self, image: ImagePlan, *, rebuilt: bool) -> tuple[Digest | None, bool]:
        """Push an image that goes to a registry: its digest there, and whether it was pushed now.

        Somebody else may have pushed it since it was looked for: then theirs stands, unless the image was
        to be built anew.
        """
        if not image.destination.push:
            return None, False
        if not rebuilt:
            found = in_registry([image])[image.name]
            if isinstance(found, Registered):
                return found.digest, False
            _refuse(image, found)
        self.on_event(Event(image.name, EventKind.PUSHING, image.reference))
        pushed = self.engine.push(image.reference, self._on_line(image), self.root)
        # Of two that push at once the last has the tag: its digest is what both ledgers are to say.
        found = in_registry([image])[image.name]
        _refuse(image, found)
        return found.digest if isinstance(found, Registered) and not rebuilt else pushed, True

    @contextlib.contextmanager
    def _logged(self, image: ImagePlan) -> Iterator[OnLine]:
        """Pass lines of a build on, say which layer they are about, and keep them in a log.

        What fails inside says where the log is.
        """
        from executor.engines.layers import Layers  # noqa: PLC0415  # planning builds nothing
        from executor.log_file import LogFile  # noqa: PLC0415  # as above

        layers = Layers(image)
        # A log that cannot be written stops no build, and nobody misses one of a build that went well.
        lost: list[str] = []
        log = LogFile(self.root, image.hash.short, lost.append)

        def on_line(line: str) -> None:
            log.write(line)
            if begun := layers.begun(line):
                self.on_event(Event(image.name, EventKind.LAYER, begun))
            self.on_event(Event(image.name, EventKind.LINE, line))

        try:
            yield on_line
        except BuildFailed as error:
            where = f"log: {log.name}" if log.name and not lost else f"no log: {', '.join(lost)}"
            problems = [evolve(each, fix=f"{each.fix}\n{where}") for each in error.problems]
            raise BuildFailed(problems, error.failure) from None
        finally:
            log.close()

    def _on_line(self, image: ImagePlan) -> OnLine:
        return lambda line: self.on_event(Event(image.name, EventKind.LINE, line))

    def _values(self, image: ImagePlan) -> Iterator[tuple[str, str]]:
        """The values of the image's variables, which must be those that were planned with."""
        for name, fingerprint in image.checkout.variables.items():
            value = self.facts.ask(Variable(name))
            if value is None or variable_fingerprint(name, value.reveal()) != fingerprint:
                problem = Problem(Place(file=f"${name}"), "is not what it was when planned", "plan again")
                raise FilesChanged([problem])
            yield name, value.reveal()


def _refuse(image: ImagePlan, found: InRegistry) -> None:
    """ExecutorError if the registry has something else under the tag of an image."""
    if isinstance(found, Foreign):
        fix = "someone pushed another image to this tag: delete it there"
        what = f"is not what was planned: {found.found}"
        raise ExecutorError([Problem(Place(file=image.reference), what, fix, "foreign-tag")])


def nothing_to_do(image: ImagePlan, decision: Decision) -> Outcome:
    """The outcome of an image that is where it is needed."""
    result = Result.PARENT if decision.action is Action.PARENT else Result.REUSED
    digest = decision.digest
    if decision.action is Action.PARENT:
        digest = image.spec.external.digest
    return _outcome(image, decision, result, digest)


def blocked(image: ImagePlan, decision: Decision) -> Outcome:
    """The outcome of an image about which nothing can be done."""
    assert decision.blocked is not None  # noqa: S101  # whoever asks has looked
    refused = RegistryRefused if decision.code == "registry-unknown" else ExecutorError
    kind = RegistryUnavailable if decision.transient else refused
    return failed(image, decision, kind([decision.blocked]))


def failed(
    image: ImagePlan, decision: Decision, error: ExecutorError, *, interrupted: bool = False
) -> Outcome:
    """The outcome of an image that is not there."""
    result = Result.INTERRUPTED if interrupted else Result.FAILED
    return Outcome(
        image.name,
        image.hash,
        decision.action,
        result,
        image.reference,
        decision.code,
        decision.reason,
        error=error,
    )


def _outcome(
    image: ImagePlan, decision: Decision, result: Result, digest: Digest | None, *, pushed: bool = False
) -> Outcome:
    return Outcome(
        image.name,
        image.hash,
        decision.action,
        result,
        image.reference,
        decision.code,
        decision.reason,
        digest,
        pushed,
        decision.verified,
    )
