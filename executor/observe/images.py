"""What is known of parent images: the digest that a registry has, or the engine's own image.

Owns the order in which they are asked: the registry, then the engine, which is looked for once. An engine
that fails knows nothing, and one that hangs is not asked again. Refuses to wait longer than it is told to.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field

from executor import limits
from planner.facts.answers import ImageId, ImagePython, Pin
from planner.facts.needs import ImageDigest, LocalImage, Need, PythonOf
from planner.image.external import SCRATCH
from planner.values import Digest, ImageRef

if TYPE_CHECKING:
    from executor.engines.protocol import Engine, ImageStore

__all__ = ["ChooseEngine", "Images", "any_engine"]

T = TypeVar("T")

ChooseEngine = Callable[[], "ImageStore | None"]
"""Finds the engine whose images are looked at. One is pulled and run only if nothing else tells a Python."""


def any_engine() -> Engine | None:
    """The engine that would build, found when it is asked for."""
    from executor.engines.select import choose  # noqa: PLC0415  # most plans need none

    return choose()


@define(kw_only=True)
class Images:
    """Answers needs about images. `host_platform` tells the platform that an index is looked through for.

    With `asks=False` no registry and no engine is asked for a digest.
    """

    engine: ChooseEngine | None
    environ: Mapping[str, str]
    timeout: float
    host_platform: Callable[[], str]
    asks: bool = True
    _found: list[ImageStore | None] = field(factory=list, init=False)
    """The engine, once it was looked for."""
    _hangs: bool = field(default=False, init=False)

    def answers(self, needs: Iterable[Need[Any]]) -> dict[Need[Any], Any]:
        """The answers to those needs that are about images."""
        wanted = tuple(needs)
        digests = [need for need in wanted if isinstance(need, ImageDigest)]
        found: dict[Need[Any], Any] = {}
        if digests:
            found.update((need, pin) for need, pin in self._pins(digests).items())
        for need in wanted:
            if isinstance(need, LocalImage):
                found[need] = self._local(need)
        if pythons := [need for need in wanted if isinstance(need, PythonOf)]:
            found.update(self._pythons(pythons).items())
        return found

    def _pins(self, needs: list[ImageDigest]) -> dict[ImageDigest, Pin]:
        if not self.asks:
            return {need: Pin(reason="it is not in the lock") for need in needs}
        from executor.registry.lookup import Found, Question, Unknown, heads  # noqa: PLC0415  # most plans ask nobody

        questions = {need: Question(need.ref, need.platform or self.host_platform()) for need in needs}
        told = heads(questions.values(), timeout=self.timeout, environ=self.environ)
        pins: dict[ImageDigest, Pin] = {}
        for need, question in questions.items():
            answer = told[question]
            if isinstance(answer, Found):
                pins[need] = Pin(answer.digest, answer.kind, question.platform, answer.manifest)
            else:
                transient = isinstance(answer, Unknown) and answer.transient
                local = self._ask(partial(_digest, need.ref))
                pins[need] = Pin(local, reason=answer.reason, transient=transient)
        return pins

    def _local(self, need: LocalImage) -> ImageId:
        found: ImageId | None = self._ask(partial(_image_id, need.ref))
        return found or ImageId(reason="no engine answers")

    def _pythons(self, needs: list[PythonOf]) -> dict[PythonOf, ImagePython]:
        """The Pythons of images: as configurations tell, else containers of them, else that of this machine.

        A version that a setting says is taken for granted. Where no registry tells the rest, no image is
        pulled for it, but one that the engine has is run.
        """
        from executor.observe import parents  # noqa: PLC0415  # only what is resolved anew needs it

        images = {need: (need.ref, need.platform or self.host_platform()) for need in needs}
        # Nobody has the image that is empty.
        there = [image for image in images.values() if image[0] != SCRATCH.reference]
        told: dict[tuple[ImageRef, str], parents.Told] = {}
        if self.asks:
            told |= parents.by_configuration(there, timeout=self.timeout, environ=self.environ)
        # Steps on one image differ in whether a setting says the version. One container tells it all of them.
        unsaid = {image for need, image in images.items() if need.version is None}
        for image in dict.fromkeys(there) if self.asks else ():
            known = told.get(image)
            versionless = image in unsaid and (known is None or known.version is None)
            if versionless or known is None or known.musl is None:
                run = partial(parents.by_container, image[0], known is not None or versionless)
                if ran := self._ask(run, wait=limits.PARENT_SECONDS):
                    told[image] = ran
        return {
            need: parents.python(told.get(image) or parents.Told(), image[1], given=need.version)
            for need, image in images.items()
        }

    def _ask(self, question: Callable[[Any], T], *, wait: float | None = None) -> T | None:
        """What the engine says; None if there is none, it fails, or it does not answer in time."""
        if self.engine is None or self._hangs:
            return None
        choose = self.engine
        answers: list[T] = []

        def ask() -> None:
            with contextlib.suppress(Exception):
                if not self._found:
                    self._found.append(None)  # also where looking for one fails
                    self._found[0] = choose()
                engine = self._found[0]
                if engine is not None:
                    answers.append(question(engine))

        # A thread that nobody waits for any longer: an engine that hangs knows nothing of time.
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(wait or self.timeout)
        # One engine that hangs costs one wait, not one for each image.
        self._hangs = thread.is_alive()
        return answers[0] if answers else None


def _digest(ref: ImageRef, engine: ImageStore) -> Digest | None:
    return engine.digest(ref)


def _image_id(ref: ImageRef, engine: ImageStore) -> ImageId:
    image = engine.inspect(str(ref))
    if image is None:
        return ImageId(engine=engine.name, reason=f"{engine.name} does not have it")
    return ImageId(Digest(image.id.removeprefix("sha256:")), engine.name)
