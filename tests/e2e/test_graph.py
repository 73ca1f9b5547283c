"""A plan whose images are built on each other: parents first, and only where they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve

from executor.apply.outcome import Outcome, Result, exit_code
from executor.apply.scheduler import apply
from executor.records.store import Records
from planner import Action, BuildPlan, Facts, ImagePlan
from tests.contract.images import planned
from tests.e2e.command import Project
from tests.e2e.images import Tags


@pytest.fixture
def pinned(tags: Tags, registry: str) -> str:
    """A small parent image by its digest."""
    reference = f"{registry}/parent:1"
    return f"{reference}@{tags.publish(reference)}"


def image(project: Project, base: str, name: str, **settings: Any) -> ImagePlan:
    """An image without files, in which one step runs."""
    made = planned(project.root, {"allow_including_files_in_images": False, **settings}, parent=base)
    return evolve(made, name=name, steps=(name,))


def on(parent: ImagePlan, child: ImagePlan) -> ImagePlan:
    """The child on another image of the plan."""
    return evolve(child, spec=evolve(child.spec, parent=parent.spec), parent=parent)


def variables(**values: str) -> Mapping[str, Any]:
    """Settings that set variables."""
    return {"environment": values}


def outcomes(project: Project, tags: Tags, *images: ImagePlan) -> dict[str, Outcome]:
    """What came of the images of a plan."""
    made = BuildPlan("p", "default", images)
    found = apply(made, Facts(), root=project.root, engine=tags.engine)
    for each in images:
        tags.made(each.reference)
    return {outcome.name: outcome for outcome in found}


def results(found: Mapping[str, Outcome]) -> dict[str, Result]:
    """Only how they ended."""
    return {name: outcome.result for name, outcome in found.items()}


def test_a_parent_is_built_first_and_the_child_stands_on_it(
    project: Project, tags: Tags, pinned: str
) -> None:
    parent = evolve(image(project, pinned, "parent", **variables(A="1")), steps=(), uses=())
    child = on(parent, image(project, pinned, "child", **variables(B="1"), runtime_environment={"C": "1"}))
    grandchild = on(child, image(project, pinned, "grandchild", **variables(D="1")))
    first = outcomes(project, tags, parent, child, grandchild)
    assert results(first) == dict.fromkeys(("parent", "child", "grandchild"), Result.BUILT)
    infos = [tags.engine.inspect(each.reference) for each in (parent, child, grandchild)]
    assert [info.mark if info else None for info in infos] == [parent.hash, child.hash, grandchild.hash]
    # What the parent set is there in what is built on it.
    variables_of = planned_variables(tags, grandchild.reference)
    assert {"A=1", "B=1", "C=1", "D=1"} <= variables_of

    # Another parent is another child, although nothing else of it changed.
    other = evolve(image(project, pinned, "parent", **variables(A="2")), steps=())
    assert on(other, child).hash != child.hash


def test_a_child_adds_to_the_variables_of_its_parent(project: Project, tags: Tags, pinned: str) -> None:
    """And what was built is compared with what the parent has."""
    parent = evolve(image(project, pinned, "parent", **variables(A="/one:{parent}", B="/one")), steps=())
    later = {"A": "{parent}:/late"}
    settings = {
        **variables(A="/two:{parent}", B="/two:{parent}", C="{parent}:/two"),
        "runtime_environment": later,
    }
    child = on(parent, image(project, pinned, "child", **settings))
    assert results(outcomes(project, tags, parent, child)) == dict.fromkeys(("parent", "child"), Result.BUILT)
    expected = {"A=/two:/one:/late", "B=/two:/one", "C=/two"}
    assert expected <= planned_variables(tags, child.reference)
    # It is found again.
    assert results(outcomes(project, tags, parent, child))["child"] is Result.REUSED


def planned_variables(tags: Tags, reference: str) -> set[str]:
    """The variables of an image, as its engine has them."""
    from executor.process import Command, run  # noqa: PLC0415  # one test asks past the protocol

    command = (
        tags.engine.name,
        "image",
        "inspect",
        "--format={{range .Config.Env}}{{println .}}{{end}}",
        reference,
    )
    done = run(Command(command))
    assert done.code == 0, done.stderr
    return set(done.text.split())


def test_a_parent_in_which_no_step_runs_is_built_for_its_children_only(
    project: Project, tags: Tags, pinned: str
) -> None:
    parent = evolve(image(project, pinned, "parent", **variables(A="1")), steps=(), uses=())
    child = on(parent, image(project, pinned, "child", **variables(B="1")))
    assert results(outcomes(project, tags, parent, child)) == {
        "parent": Result.BUILT,
        "child": Result.BUILT,
    }
    tags.engine.remove(parent.reference)
    builds = len(Records(project.root).all())
    again = outcomes(project, tags, parent, child)
    assert results(again) == {"parent": Result.REUSED, "child": Result.REUSED}
    assert again["parent"].code == "not-needed"
    assert tags.engine.inspect(parent.reference) is None
    assert len(Records(project.root).all()) == builds
    # It is built again where a child is.
    tags.engine.remove(child.reference)
    assert results(outcomes(project, tags, parent, child)) == {
        "parent": Result.BUILT,
        "child": Result.BUILT,
    }


def test_a_failing_parent_fails_what_is_built_on_it_and_nothing_else(
    project: Project, tags: Tags, pinned: str
) -> None:
    # The small parent has no shell to install anything with.
    parent = image(project, pinned, "parent", apt_packages=["git"])
    child = on(parent, image(project, pinned, "child", **variables(B="1")))
    grandchild = on(child, image(project, pinned, "grandchild", **variables(C="1")))
    alone = image(project, pinned, "alone", **variables(D="1"))
    found = outcomes(project, tags, parent, child, grandchild, alone)
    assert results(found) == {
        "parent": Result.FAILED,
        "child": Result.FAILED,
        "grandchild": Result.FAILED,
        "alone": Result.BUILT,
    }
    assert {name: outcome.action for name, outcome in found.items()} == dict.fromkeys(found, Action.BUILD)
    codes = {
        name: [problem.code for problem in outcome.error.problems] if outcome.error else []
        for name, outcome in found.items()
    }
    assert codes["child"] == codes["grandchild"] == ["parent-failed"]
    assert codes["parent"] != ["parent-failed"]
    assert codes["alone"] == []
    child_error, grandchild_error = found["child"].error, found["grandchild"].error
    assert child_error is not None
    assert grandchild_error is not None
    assert "parent, which it is built on" in str(child_error)
    assert "child, which it is built on" in str(grandchild_error)
    assert exit_code(found.values()) == 1
    assert tags.engine.inspect(child.reference) is None


def test_one_image_under_two_names_is_built_once_and_fails_for_both(
    project: Project, tags: Tags, pinned: str
) -> None:
    for expected, settings in (
        ((Result.FAILED, Result.FAILED), {"apt_packages": ["git"]}),
        ((Result.BUILT, Result.REUSED), variables(A="1")),
    ):
        first = image(project, pinned, "first", **settings)
        second = evolve(
            image(project, pinned, "second", **settings),
            destination=evolve(first.destination, repository="localhost/second"),
        )
        assert first.hash == second.hash
        found = outcomes(project, tags, first, second)
        assert results(found) == dict(zip(("first", "second"), expected, strict=True))
        there = tags.engine.inspect(second.reference)
        assert (there is not None) == (expected[1] is Result.REUSED)
