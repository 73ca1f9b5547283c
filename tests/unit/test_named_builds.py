"""A build that is named, compared with a plan; and what is closest to an image that is missed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve

from executor.apply.outcome import Result
from executor.errors import ExecutorError
from executor.records.store import Record, Records
from executor.workflow.builds import build_from
from executor.workflow.reports import closest_to
from planner import BuildPlan, Digest, Stack
from planner.build import Build
from planner.compare.actions import Action
from planner.compare.named_build import NamedBuild, compare_build, named_decision
from planner.compare.nearest import Candidate, nearest
from planner.image.delivery import Delivery, Way
from planner.image.plan import ImagePlan
from tests.builders import World, digest, file, plan_of
from tests.unit.test_builds import CODE, NO_CODE, REGISTRY, made, outcomes, planned

TWO: Final = {"load": {}, "train": {"environment": {"B": "1"}}}


def codes(named: NamedBuild) -> list[str]:
    return [note.code for note in named.notes]


def text(named: NamedBuild) -> str:
    return "\n".join(note.text for note in named.notes)


def problems(named: NamedBuild) -> list[str]:
    return [problem.code for problem in named.problems]


@pytest.mark.parametrize("settings", [CODE, NO_CODE])
@pytest.mark.parametrize("stack", [Stack(), REGISTRY], ids=["here", "pushed"])
def test_of_a_build_of_the_same_plan_there_is_nothing_to_say(
    settings: Mapping[str, Any], stack: Stack
) -> None:
    plan = planned(settings, stack=stack)
    named = compare_build(made(plan), plan)
    assert (named.notes, named.problems) == ((), ())
    assert [image.name for image in named.plan.images] == [image.name for image in plan.images]
    assert [image.hash for image in named.plan.images] == [image.hash for image in plan.images]
    assert [image and image.name for image in named.images] == [image.name for image in plan.images]


def test_another_stack_and_another_pipeline_are_noted() -> None:
    build = made(planned(name="other"))
    named = compare_build(build, planned(stack=REGISTRY))
    assert codes(named) == ["build-other-pipeline", "build-other-stack"]
    assert f"build {build.id} was made for the stack default, not prod" in text(named)
    # It is where it was, and not where the plan would have it.
    assert {image.destination.push for image in named.plan.images} == {False}


def test_other_settings_are_noted_in_the_words_of_a_diff() -> None:
    plan = planned({**CODE, "environment": {"A": "2", "C": "1"}})
    named = compare_build(made(), plan)
    assert codes(named) == ["build-other-settings"] * 2
    assert "for load: environment: A 1 → 2; environment: + C=1" in text(named)
    assert "for train: environment: A 1 → 2; environment: + C=1" in text(named)
    # What was not read with its specs is noted without words.
    without = compare_build(evolve(made(), specs=None), plan)
    assert codes(without) == codes(named)
    assert without.notes[0].text.endswith("other settings for load")


def test_of_many_changes_the_first_are_told() -> None:
    plan = planned({**CODE, "environment": {"A": "1", **{f"V{n}": "1" for n in range(9)}}})
    assert "and 4 more" in text(compare_build(made(), plan))


def test_code_that_is_not_the_local_code_is_noted() -> None:
    edited = planned(CODE, world=World(entries=(file("train.py", "print(2)"),)))
    named = compare_build(evolve(made(), commit="c" * 40), edited)
    assert codes(named) == ["build-has-code"]
    assert f"contains code of commit {'c' * 12} that is not the local code" in text(named)


def downloaded(plan: BuildPlan) -> BuildPlan:
    """The plan with code that containers download, so that its images have none."""
    images = [
        evolve(image, checkout=evolve(image.checkout, trees={}), delivery=Delivery(Way.ARTIFACT_STORE))
        for image in plan.images
    ]
    return evolve(plan, images=tuple(images))


def test_code_that_was_not_looked_at_may_differ() -> None:
    named = compare_build(made(planned(CODE)), downloaded(planned(CODE)))
    assert codes(named) == ["build-has-code"]
    assert "may not be the local code" in text(named)
    # What is in the image is what runs.
    assert {image.delivery.kind for image in named.plan.images if image.delivery} == {Way.IMAGE}


def test_a_build_without_code_needs_a_way_to_download_it() -> None:
    plan = planned(CODE)
    included = evolve(
        plan, images=tuple(evolve(image, delivery=Delivery(Way.IMAGE)) for image in plan.images)
    )
    build = made(downloaded(planned(CODE)))
    assert not build.contains_code
    assert problems(compare_build(build, included)) == ["build-lacks-code"] * 2
    assert problems(compare_build(build, downloaded(plan))) == []
    assert problems(compare_build(made(planned(NO_CODE)), planned(NO_CODE))) == []


def test_values_of_variables_are_told_apart_from_settings() -> None:
    settings = {**NO_CODE, "environment": {"A": "${TOKEN}"}}
    plans = [planned(settings, world=World(variables={"TOKEN": value})) for value in ("s3cret", "t0ken")]
    named = compare_build(made(plans[0]), plans[1])
    assert set(codes(named)) == {"build-other-values"}
    assert "s3cret" not in text(named)
    assert "t0ken" not in text(named)


def test_a_step_that_the_build_does_not_have_is_a_problem() -> None:
    named = compare_build(made(), plan_of(CODE, {**TWO, "report": {}, "send": {}}))
    assert problems(named) == ["build-lacks-step"] * 2
    assert "no image for the step report" in named.problems[0].found


def test_a_build_with_other_images_gives_each_step_its_own() -> None:
    """The plan would have one image for both."""
    plan = plan_of(CODE, {"load": {}, "train": {}})
    (whole,) = plan.images
    build = made(planned(CODE))
    named = compare_build(build, plan)
    assert [image.steps for image in named.plan.images] == [("load",), ("train",)]
    assert {image.hash for image in named.plan.images} == {whole.hash}
    assert [image and image.steps for image in named.images] == [("load",), ("train",)]
    assert len({image.name for image in named.plan.images}) == 2
    # And the other way round.
    back = compare_build(made(plan), planned(CODE))
    assert [image and image.steps for image in back.images] == [("load", "train")] * 2


def test_images_that_nothing_runs_in_stay_in_the_plan() -> None:
    plan = planned(CODE)
    first, second = plan.images
    with_parent = evolve(plan, images=(evolve(first, steps=(), uses=()), second))
    named = compare_build(made(with_parent), with_parent)
    assert named.images[0] is None
    assert [image.steps for image in named.plan.images] == [(), ("train",)]


def test_a_build_for_other_steps_is_a_problem() -> None:
    plan = planned(CODE)
    with_bootstrap = evolve(
        plan,
        images=tuple(
            evolve(image, checkout=evolve(image.checkout, bootstrap=digest("file"))) for image in plan.images
        ),
    )
    assert "build-lacks-bootstrap" in problems(compare_build(made(plan), with_bootstrap))
    assert problems(compare_build(made(with_bootstrap), with_bootstrap)) == []


def test_decisions_about_a_named_build_reuse_it() -> None:
    for build, verified in ((made(), False), (made(planned(stack=REGISTRY)), False)):
        for image in build.images:
            decision = named_decision(image, build)
            assert (decision.action, decision.code) == (Action.REUSE, "named-build")
            assert build.id in decision.reason
            assert image.pinned in decision.reason
            assert decision.digest == image.digest
            assert decision.verified is verified
    parent = plan_of({"parent_image": f"python@{Digest('1' * 64)}", "skip_build": True})
    (image,) = build_from(parent, outcomes(parent, result=Result.PARENT), seconds=0).images
    assert named_decision(image, made()).action is Action.PARENT


# The closest


def candidate(number: int, settings: Mapping[str, Any]) -> Candidate:
    (image,) = plan_of(settings).images
    return Candidate(number, "training", "default", image)


def one(settings: Mapping[str, Any]) -> ImagePlan:
    (image,) = plan_of(settings).images
    return image


def environment(**variables: str) -> dict[str, Any]:
    return {**NO_CODE, "environment": variables}


def test_the_closest_has_the_fewest_changes_and_of_several_it_is_the_newest() -> None:
    image = one(environment(A="1", B="1", C="1"))
    candidates = [
        candidate(9, environment()),
        candidate(8, environment(A="1", B="2", C="1")),
        candidate(7, environment(A="1", B="1")),
    ]
    found = nearest(image, candidates)
    assert found is not None
    assert (found.record, [change.text for change in found.changes]) == (8, ["environment: B 2 → 1"])
    assert str(found) == "training on default, record 8: environment: B 2 → 1"


def test_the_same_image_is_no_candidate_and_none_is_no_closest() -> None:
    image = one(environment(A="1"))
    assert nearest(image, []) is None
    assert nearest(image, [candidate(1, environment(A="1"))]) is None


def test_of_a_closest_with_many_changes_a_few_are_told() -> None:
    found = nearest(one(environment(**{f"V{n}": "1" for n in range(6)})), [candidate(1, environment())])
    assert str(found).endswith("environment: + V1=1 and 4 more")


def record(plan: BuildPlan, image: ImagePlan, status: Result = Result.BUILT) -> Record:
    return Record(
        0, "2024-05-01T00:00:00+00:00", 1.0, plan.pipeline, plan.stack, image.name, str(image.hash), status,
        "docker", image.reference,
    )  # fmt: skip


def test_what_failed_is_no_candidate_and_what_was_built_later_does_not_count(tmp_path: Path) -> None:
    records = Records(tmp_path)
    wanted = one(environment(A="1", B="1"))
    for settings, status in (
        (environment(A="1", B="2"), Result.FAILED),
        (environment(A="2"), Result.BUILT),
        (environment(A="1"), Result.BUILT),
    ):
        plan = plan_of(settings, name="other")
        records.add(record(plan, plan.images[0], status), plan.images[0])
    assert records.last_number() == 3
    found = closest_to([wanted], records.candidates(3))[wanted.name]
    assert (found.record, found.pipeline) == (3, "other")
    assert closest_to([wanted], records.candidates(2))[wanted.name].record == 2
    assert closest_to([wanted], records.candidates(1)) == {}


def test_where_nothing_is_missed_nothing_is_looked_up(tmp_path: Path) -> None:
    records, plan = Records(tmp_path), plan_of(environment(A="1"))
    (image,) = plan.images
    other = one(environment(A="2"))
    records.add(record(plan, image), image)
    assert records.survey("training", "default", [image]).candidates == ()
    (found,) = records.survey("training", "default", [other]).candidates
    assert found.image.hash == image.hash


def test_a_build_that_does_not_fit_is_an_error_with_all_that_is_wrong(tmp_path: Path) -> None:
    from executor.workflow.named import compared  # noqa: PLC0415  # only here
    from executor.workflow.plans import Planned  # noqa: PLC0415  # as above
    from planner import Facts  # noqa: PLC0415  # as above

    del tmp_path
    plan = plan_of(CODE, {**TWO, "report": {}, "send": {}})
    build: Build = made()
    with pytest.raises(ExecutorError) as caught:
        compared(build, Planned(plan, Facts(), None))
    assert len(caught.value.problems) == 2


def test_a_run_configuration_may_hold_a_whole_build(tmp_path: Path) -> None:
    """What an exported file holds, in place of its name."""
    from executor.config.project import load_project  # noqa: PLC0415  # only here
    from executor.records.documents import build_data, specs_data  # noqa: PLC0415  # as above
    from executor.workflow.named import given_build  # noqa: PLC0415  # as above

    (tmp_path / "stowplan.toml").write_text('[pipeline.p]\nsteps = ["a"]\n')
    project = load_project(tmp_path)
    build = made()
    assert build.specs is not None
    whole = {**build_data(build), "specs": specs_data(build.specs)}
    found = given_build(project, whole)
    assert (found, found.specs) == (build, build.specs)
    for wrong in ({}, build_data(build), {**whole, "engine": "podman"}):
        with pytest.raises(ExecutorError, match="holds no build that can be read"):
            given_build(project, wrong)


def test_an_image_that_only_a_component_uses_is_told_by_its_name() -> None:
    plan = planned({**CODE, "environment": {"A": "2"}})
    first, second = plan.images
    deployed = evolve(plan, images=(evolve(first, steps=()), second))
    named = compare_build(made(), deployed)
    assert "for training: environment: A 1 → 2" in text(named)


def test_a_plan_says_what_is_closest_unless_it_is_the_last_build_of_the_image() -> None:
    from executor.cli.render.text import why  # noqa: PLC0415  # only here
    from planner.compare.actions import decide  # noqa: PLC0415  # as above
    from planner.compare.changes import diff_images  # noqa: PLC0415  # as above
    from planner.compare.report import Report  # noqa: PLC0415  # as above

    plan = plan_of(environment(A="1", B="1"))
    (image,) = plan.images
    far, near = one(environment()), candidate(7, environment(A="1"))
    closest = nearest(image, [near])
    assert closest is not None
    report = Report(plan, decide(plan, {}), closest={image.name: closest})
    said = "closest: training on default, record 7: environment: + B=1"
    assert said in list(why(report, image.name))
    # The last build of the image differs in more.
    far_off = evolve(report, since_build=tuple(diff_images(far, image)))
    assert said in list(why(far_off, image.name))
    # The last build is the closest: what changed since is said.
    last = evolve(report, since_build=tuple(diff_images(near.image, image)))
    assert said not in list(why(last, image.name))
