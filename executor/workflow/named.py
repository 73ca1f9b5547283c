"""A named build taken for a plan: found, looked at where its images are, and noted as used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from executor import limits
from executor.apply.outcome import Outcome, Result
from executor.config.project import Project
from executor.config.source import Chosen
from executor.errors import ExecutorError, UsageError
from executor.records.database import now
from executor.records.documents import UnreadableBuild, build_of
from executor.records.store import Records
from executor.workflow.build_files import named_build
from executor.workflow.plans import Planned
from planner.build import Build, BuiltImage
from planner.compare.actions import NOT_NEEDED, Action
from planner.compare.named_build import NamedBuild, compare_build
from planner.errors import Place, Problem
from planner.image.plan import ImagePlan
from planner.values import ImageRef

if TYPE_CHECKING:
    from executor.engines.protocol import Engine

__all__ = ["asked_build", "compared", "given_build", "take_build"]

_OTHER: Final = "make a build with `stowplan build`, or name another: see `stowplan builds list`"


def asked_build(
    project: Project, pipeline: Chosen, build: str | None, *, prevent_reuse: bool
) -> Build | None:
    """The build that a command or its run configuration names. UsageError where nothing is to be reused."""
    given = build or pipeline.build
    if given is None:
        return None
    if prevent_reuse:
        found = "names a build and prevents that one is reused"
        raise UsageError.of("command line", found, "leave out --build, or --prevent-build-reuse")
    return given_build(project, given)


def given_build(project: Project, given: str | Mapping[str, Any]) -> Build:
    """The build that is asked for: its id, the start of one, a file, or what such a file holds.

    ExecutorError if there is none.
    """
    if isinstance(given, str):
        return named_build(Records(project.root), given)
    try:
        return build_of(given, given.get("specs", ()))
    except UnreadableBuild as error:
        found = f"holds no build that can be read: {error}"
        raise UsageError.of("build", found, "name a build by its id") from None


def compared(build: Build, planned: Planned) -> NamedBuild:
    """The build compared with a plan. ExecutorError if it cannot be taken for it."""
    named = compare_build(build, planned.plan)
    if named.problems:
        raise ExecutorError(named.problems)
    return named


def take_build(
    project: Project, named: NamedBuild, engine: Engine | Callable[[], Engine] | None
) -> tuple[Build, tuple[Outcome, ...]]:
    """Look that the images of a build are there, and note that it was used; the outcome of each image.

    ExecutorError if an image is gone, or something else is in its place.
    """
    build = named.build
    locals_ = [image for image in build.images if image.is_local]
    used = ""
    if locals_:
        from executor.engines.select import choose  # noqa: PLC0415  # what is in a registry needs no engine

        chosen = choose() if engine is None else engine() if callable(engine) else engine
        used = chosen.name
        if used != build.engine:
            found = f"its images are in {build.engine}, and {used} is used"
            fix = f"use --engine {build.engine}, or make a build with {used}"
            raise ExecutorError([_problem(build, found, "build-other-engine", fix)])
        problems = [problem for image in locals_ for problem in _local(build, image, chosen)]
        if problems:
            raise ExecutorError(problems)
    verified = _in_registries(build)
    records = Records(project.root)
    noted = records.note_build(evolve(build, used=now()))
    outcomes = (
        _outcome(planned, built, build, used, verified)
        for planned, built in zip(named.plan.images, named.images, strict=True)
    )
    return noted, tuple(outcomes)


def _problem(build: Build, found: str, code: str = "build-image-gone", fix: str = _OTHER) -> Problem:
    return Problem(Place(file=f"build {build.id}"), found, fix, code)


def _local(build: Build, image: BuiltImage, engine: Engine) -> Iterator[Problem]:
    """What is wrong with an image that an engine should have."""
    info = engine.inspect(image.reference)
    if info is None:
        yield _problem(build, f"its image {image.reference} is no longer in {engine.name}")
    elif info.mark != image.hash:
        yield _problem(build, f"what {engine.name} has as {image.reference} is another image")


def _in_registries(build: Build) -> dict[str, bool]:
    """Whether registries say that they have the images, by reference. ExecutorError if one is gone."""
    pushed = [image for image in build.images if image.builds and not image.is_local]
    if not pushed:
        return {}
    from executor.registry.lookup import Found, Missing, Question, heads  # noqa: PLC0415  # as above

    questions = {image.reference: Question(ImageRef.parse(image.pinned), None) for image in pushed}
    told = heads(questions.values(), timeout=limits.REGISTRY_SECONDS)
    gone = [name for name, question in questions.items() if isinstance(told[question], Missing)]
    if gone:
        raise ExecutorError(_problem(build, f"the registry no longer has its image {name}") for name in gone)
    return {name: isinstance(told[question], Found) for name, question in questions.items()}


def _outcome(
    planned: ImagePlan, built: BuiltImage | None, build: Build, engine: str, verified: Mapping[str, bool]
) -> Outcome:
    if built is None:
        words = f"build {build.id} was named"
        return Outcome(
            planned.name, planned.hash, Action.REUSE, Result.REUSED, planned.reference, NOT_NEEDED.code, words
        )
    return Outcome(
        planned.name,
        built.hash,
        Action.REUSE if built.builds else Action.PARENT,
        Result.REUSED if built.builds else Result.PARENT,
        built.pinned,
        "named-build",
        f"build {build.id} was named",
        built.digest,
        verified=verified.get(built.reference, True),
        engine=engine,
    )
