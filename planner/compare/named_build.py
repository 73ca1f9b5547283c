"""A build that somebody named, compared with a plan: which image each step gets, and what to say of that.

A named build is taken as it is, whatever the plan says. What differs is a note, with the words of a diff;
what cannot work is a problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import evolve

from planner.build import Build, BuiltImage, included_code
from planner.compare.actions import Action, Decision
from planner.compare.changes import diff_images
from planner.errors import Place, Problem, first_few
from planner.image.delivery import Delivery, Way
from planner.image.plan import BuildPlan, ImagePlan, Note
from planner.immutable import frozen

__all__ = ["NamedBuild", "compare_build", "named_decision"]

_SHOWN: Final = 5


@frozen
class NamedBuild:
    """What comes of a named build: the plan with the images of the build, these, and what there is to say.

    `plan` has an image for each image of the build that steps of one planned image run in. `images` are
    these, in the same order; None for a planned image that no step runs in. With `problems` the build cannot
    be taken.
    """

    build: Build
    plan: BuildPlan
    images: tuple[BuiltImage | None, ...]
    notes: tuple[Note, ...] = ()
    problems: tuple[Problem, ...] = ()


def compare_build(build: Build, plan: BuildPlan) -> NamedBuild:
    """Take a build for a plan of the pipeline, on whatever stack, with whatever settings it was made."""
    problems = [
        Problem(
            Place(file=f"build {build.id}"),
            f"has no image for the step {step}",
            f"name a build of {plan.pipeline} that has one, or make it with `stowplan build`",
            "build-lacks-step",
        )
        for image in plan.images
        for step in image.steps
        if build.image_of(step) is None
    ]
    taken = list(_pairs(build, plan))
    pairs = [(planned, built) for planned, built in taken if built is not None]
    problems += [
        Problem(
            Place(file=f"build {build.id}"),
            f"was made for other steps: what runs {_who(planned)} is not in its image",
            f"make it again with `stowplan build {plan.pipeline}`",
            "build-lacks-bootstrap",
        )
        for planned, built in pairs
        if planned.checkout.bootstrap is not None and not built.bootstrap
    ]
    problems += [
        Problem(
            Place(file=f"build {build.id}"),
            f"has no code of the project for {_who(planned)}, and containers cannot download it",
            "name a build that contains code, or have it downloaded: from a code repository, or from the "
            "artifact store of the stack",
            "build-lacks-code",
        )
        for planned, built in pairs
        if _lacks_code(planned, built)
    ]
    return NamedBuild(
        build,
        evolve(plan, images=tuple(_taken(planned, built, build) for planned, built in taken)),
        tuple(built for _, built in taken),
        tuple(_notes(build, plan, pairs)),
        tuple(problems),
    )


def named_decision(image: BuiltImage, build: Build) -> Decision:
    """What is done about an image of a named build: nothing, where it is still there."""
    if not image.builds:
        return Decision(Action.PARENT, "named-build", f"build {build.id} uses it as it is")
    where = build.engine or "the engine" if image.is_local else "the registry"
    return Decision(
        Action.REUSE,
        "named-build",
        f"build {build.id} was named, and has {image.pinned}",
        depends=(f"{where} still has it",),
        digest=image.digest,
        verified=False,
    )


def _pairs(build: Build, plan: BuildPlan) -> Iterator[tuple[ImagePlan, BuiltImage | None]]:
    """Planned images, each with an image of the build, and the steps that both have."""
    for image in plan.images:
        if not image.steps:
            yield image, next((each for each in build.images if each.name == image.name), None)
        of_steps: dict[str, list[str]] = {}
        for step in image.steps:
            built = build.image_of(step)
            if built is not None:
                of_steps.setdefault(built.name, []).append(step)
        for built in build.images:
            if built.name in of_steps:
                # What the build has apart is told apart by the names that it has there.
                name = image.name if len(of_steps) == 1 else built.name
                yield evolve(image, name=name, steps=tuple(of_steps[built.name])), built


def _taken(planned: ImagePlan, built: BuiltImage | None, build: Build) -> ImagePlan:
    """The planned image, but for where the one of the build is, and how its code gets there."""
    if built is None:
        return planned
    delivery = planned.delivery
    if built.code is not None:
        delivery = Delivery(Way.IMAGE, f"build {build.id} contains it")
    return evolve(
        planned,
        destination=evolve(planned.destination, push=built.builds and not built.is_local, image_tag=None),
        delivery=delivery,
    )


def _lacks_code(planned: ImagePlan, built: BuiltImage) -> bool:
    delivery = planned.delivery
    return built.code is None and delivery is not None and delivery.kind is Way.IMAGE


def _notes(build: Build, plan: BuildPlan, pairs: list[tuple[ImagePlan, BuiltImage]]) -> Iterator[Note]:
    name = f"build {build.id}"
    if build.pipeline != plan.pipeline:
        text = f"{name} was made for the pipeline {build.pipeline}, not {plan.pipeline}"
        yield Note("build-other-pipeline", build.id, text)
    if build.stack != plan.stack:
        text = f"{name} was made for the stack {build.stack}, not {plan.stack}, which may need other images"
        yield Note("build-other-stack", build.id, text)
    with_code = [(planned, built) for planned, built in pairs if built.code is not None]
    if with_code:
        # Where containers download their code, nobody has looked at the local one.
        same = all(included_code(planned) == built.code for planned, built in with_code)
        unknown = any(included_code(planned) is None for planned, _ in with_code)
        of = f" of commit {build.commit[:12]}" if build.commit else ""
        if not same:
            differs = "may not be the local code" if unknown else "is not the local code"
            text = f"{name} contains code{of} that {differs}: steps run what is in the images"
            yield Note("build-has-code", build.id, text)
    old = {} if build.specs is None else {image.name: image for image in build.specs.images}
    for planned, built in pairs:
        if planned.spec.hash != built.spec:
            before = old.get(built.name)
            changes = [] if before is None else [*diff_images(before, _spec_of(planned, plan))]
            words = [change.text for change in changes if change.field != "steps"]
            said = f": {first_few(words, _SHOWN, '; ')}" if words else ""
            text = f"{name} was made with other settings for {_who(planned)}{said}"
            yield Note("build-other-settings", planned.name, text)
        elif planned.hash != built.hash and included_code(planned) == built.code:
            text = (
                f"{name} has another image for {_who(planned)}: values of its variables, the "
                "platform, or a parent image that one machine alone has, are others"
            )
            yield Note("build-other-values", planned.name, text)


def _who(planned: ImagePlan) -> str:
    """What runs in an image: its steps, or the component that is all that uses it."""
    return ", ".join(planned.steps) or planned.name


def _spec_of(planned: ImagePlan, plan: BuildPlan) -> ImagePlan:
    """The image as planned, with all of its steps."""
    return next((image for image in plan.images if image.name == planned.name), planned)
