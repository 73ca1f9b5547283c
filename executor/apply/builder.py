"""Carries out what was decided about one image: build, look at it, tag, push.

Publishing comes last: an image gets its planned tag when it is known to be what was planned. Refuses to
decide anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from attrs import frozen

from executor.apply.outcome import Event, EventKind, OnEvent, Outcome, Result
from executor.apply.presence import REGISTRY_SECONDS, in_registry
from executor.errors import BuildFailed, ExecutorError, FilesChanged, RegistryUnavailable
from planner.compare.actions import Action, Decision
from planner.compare.presence import Absent, Foreign, Registered, Untold
from planner.errors import Place, Problem
from planner.facts.facts import Facts
from planner.facts.needs import Variable
from planner.identity import variable_fingerprint
from planner.image.capabilities import required
from planner.image.plan import ImagePlan
from planner.values import Digest, ImageRef, build_argument

if TYPE_CHECKING:
    from executor.engines.protocol import Engine, ImageInfo, OnLine

__all__ = ["ImageBuilder"]


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
                built = self._build(image)
                digest, pushed = self._publish(image, built, rebuilt=image.destination.prevent_reuse)
                return _outcome(image, decision, Result.BUILT, digest, pushed=pushed)
            case Action.PUSH:
                digest, pushed = self._publish(image, image.reference, rebuilt=False)
                return _outcome(image, decision, Result.PUSHED, digest, pushed=pushed)
            case Action.REUSE | Action.PARENT:
                return nothing_to_do(image, decision)
            case _:
                assert_never(decision.action)

    def _build(self, image: ImagePlan) -> str:
        """Build an image, look at it, and give it its tag; its ID."""
        from executor.context import files  # noqa: PLC0415  # planning builds nothing
        from executor.engines.protocol import BuildJob  # noqa: PLC0415  # as above

        if missing := required(image.spec) - self.engine.capabilities:
            words = ", ".join(sorted(missing))
            problem = Problem(
                Place(file=image.name), f"{self.engine.name} cannot {words}", "use another engine"
            )
            raise BuildFailed([problem])
        self.on_event(Event(image.name, EventKind.BUILDING, image.reference))
        variables = {build_argument(name): value for name, value in self._values(image)}
        job = BuildJob(image, lambda: files(image, self.root), variables)
        made = self.engine.build(job, self._on_line(image))
        self._verify(image, made)
        self.engine.tag(made.id, image.reference)
        return made.id

    def _verify(self, image: ImagePlan, info: ImageInfo) -> None:
        """Only what was planned gets the planned tag."""
        found = None
        if info.mark != image.hash:
            found = f"the image that {self.engine.name} built does not carry the hash of the plan"
        elif image.platform and not _same_platform(info.platform, image.platform):
            found = f"{self.engine.name} built for {info.platform}, and {image.platform} was planned"
        if found is not None:
            self.engine.remove(info.id)
            raise BuildFailed([
                Problem(Place(file=image.name), found, "see the lines above", "built-something-else")
            ])  # fmt: skip

    def _publish(self, image: ImagePlan, local: str, *, rebuilt: bool) -> tuple[Digest | None, bool]:
        """Push an image that goes to a registry: its digest there, and whether it was pushed now.

        `local` is what the engine has it under besides its tag, if anything.

        Somebody else may have pushed it since it was looked for: then theirs stands, unless the image was
        to be built anew.
        """
        if not image.destination.push:
            return None, False
        if not rebuilt:
            match in_registry([image])[image.name]:
                case Registered(digest):
                    return digest, False
                case Foreign(found, _):
                    fix = "someone pushed another image to this tag: delete it there"
                    what = f"is not what was planned: {found}"
                    raise ExecutorError([Problem(Place(file=image.reference), what, fix, "foreign-tag")])
                case Absent() | Untold():
                    pass
        self.on_event(Event(image.name, EventKind.PUSHING, image.reference))
        pushed = self._push(image, local)
        return pushed if rebuilt else _settled(image, pushed), True

    def _push(self, image: ImagePlan, local: str) -> Digest:
        """Push an image, once more if its tag was lost.

        The same plan is the same image, byte for byte, and Podman drops a tag that is given while another
        process commits the image that it is given to (it reads all tags, and writes them back later).
        """
        try:
            return self.engine.push(image.reference, self._on_line(image))
        except ExecutorError:
            lost = local != image.reference and self.engine.inspect(image.reference) is None
            if not lost or self.engine.inspect(local) is None:
                raise
        self.engine.tag(local, image.reference)
        return self.engine.push(image.reference, self._on_line(image))

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


def _settled(image: ImagePlan, pushed: Digest) -> Digest:
    """The digest that the registry has an image under, once it was pushed.

    Of two that push at once the last has the tag: its digest is what both ledgers are to say.
    """
    from executor.registry.lookup import Found, head  # noqa: PLC0415  # only what was pushed is looked for

    answer = head(ImageRef.parse(image.reference), timeout=REGISTRY_SECONDS)
    if isinstance(answer, Found) and answer.digest != pushed:
        found = in_registry([image])[image.name]
        if isinstance(found, Registered):
            return found.digest
    return pushed


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
    kind = RegistryUnavailable if decision.transient else ExecutorError
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


def _same_platform(found: str, wanted: str) -> bool:
    """Whether an engine's platform is the one that was planned; an engine may leave a variant out."""
    short, long = sorted((found, wanted), key=len)
    return long == short or (long.startswith(f"{short}/") and short.count("/") == 1)
