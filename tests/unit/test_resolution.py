"""What is resolved together: where a contradiction is said to be, and when nothing is resolved again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest

from planner import Lock, Note, Pins, PlannerError, Stack, dumps, loads, make_plan, make_spec
from planner.facts.answers import ImagePython
from planner.facts.needs import PythonOf, Resolve
from planner.image.plan import PlanSpec
from tests.builders import PARENT, World, asked, observed, pipeline_of, plan_of, ref, spec_of

INDEX: Final[Mapping[str, Mapping[str, list[str]]]] = {"alpha": {"1.0": [], "2.0": []}}
ORCHESTRATED: Final = Stack(
    name="prod", components={"orchestrator": {"flavor": "local", "requirements": ["alpha<2"]}}
)
DOCKER: Final = "pipeline.training.settings.docker."


@pytest.mark.parametrize(
    ("table", "stack", "where", "found"),
    [
        (
            {"requirements": ["alpha>3"]},
            Stack(),
            f"{DOCKER}requirements[0]",
            "requirements needs alpha>3, which",
        ),
        (
            {"requirements": ["alpha>=2"]},
            ORCHESTRATED,
            f"{DOCKER}requirements[0]",
            (
                "stack and requirements cannot be resolved together: "
                "stack needs alpha<2 at stack.prod.orchestrator; requirements needs alpha>=2. "
            ),
        ),
        (
            {"pyproject_path": "pyproject.toml"},
            ORCHESTRATED,
            "pyproject.toml: project.dependencies",
            (
                "stack and pyproject cannot be resolved together: "
                "stack needs alpha<2 at stack.prod.orchestrator; pyproject needs alpha>=2. "
            ),
        ),
        (
            {"replicate_local_python_environment": True},
            ORCHESTRATED,
            "stack.prod.orchestrator",
            (
                "local-environment and stack cannot be resolved together: "
                "local-environment needs alpha==2.0; stack needs alpha<2. "
            ),
        ),
    ],
)
def test_a_contradiction_is_at_a_requirement_and_names_what_each_source_asks_for(
    table: Mapping[str, Any], stack: Stack, where: str, found: str
) -> None:
    world = World(
        index=INDEX,
        texts={"pyproject.toml": "[project]\ndependencies = ['alpha>=2']\n"},
        programs={"{python} -m pip --disable-pip-version-check freeze": "alpha==2.0"},
    )
    with pytest.raises(PlannerError) as refused:
        observed(pipeline_of(table), stack, world)
    (problem,) = refused.value.problems
    assert problem.code == "contradiction"
    assert str(problem.where) == where
    assert problem.found.startswith(found)


@pytest.mark.parametrize(
    ("table", "won"),
    [
        ({"requirements": ["alpha>=2"]}, "alpha>=2 of requirements"),
        ({"pyproject_path": "pyproject.toml"}, "alpha>=2 of pyproject"),
        ({"replicate_local_python_environment": True}, "alpha==2.0 of local-environment"),
    ],
)
def test_own_requirements_win_over_those_of_the_stack_with_a_note(table: Mapping[str, Any], won: str) -> None:
    world = World(
        index=INDEX,
        texts={"pyproject.toml": "[project]\ndependencies = ['alpha>=2']\n"},
        programs={"{python} -m pip --disable-pip-version-check freeze": "alpha==2.0"},
    )
    pipeline = pipeline_of(table)
    with pytest.raises(PlannerError) as refused:
        observed(pipeline, ORCHESTRATED, world)
    source = won.rpartition(" ")[2]
    assert refused.value.problems[0].fix == (
        "change one of these requirements, "
        f"or set prefer_own_requirements = true to have those of {source} win"
    )
    pipeline = pipeline_of({**table, "prefer_own_requirements": True})
    plan = make_plan(pipeline, ORCHESTRATED, observed(pipeline, ORCHESTRATED, world))
    note = Note("overridden", "training", f"training: {won} wins over alpha<2 of stack")
    assert note in plan.notes
    assert [package.text for package in plan.images[0].spec.packages] == ["alpha==2.0"]
    # The lock says so, too.
    pins = Pins(loads(dumps(Lock([plan.spec]))))
    facts = observed(pipeline, ORCHESTRATED, world, pins=pins)
    assert not [need for need in facts.needs if isinstance(need, Resolve)]
    assert note in make_plan(pipeline, ORCHESTRATED, facts, pins=pins).notes


def test_a_note_names_what_gave_way_and_nothing_else() -> None:
    asked = ["alpha<2; python_version >= '3'", "alpha<1; python_version < '3'", "alpha>=1"]
    stack = Stack(name="prod", components={"orchestrator": {"flavor": "local", "requirements": asked}})
    pipeline = pipeline_of({"requirements": ["alpha>=2"], "prefer_own_requirements": True})
    plan = make_plan(pipeline, stack, observed(pipeline, stack, World(index=INDEX)))
    (text,) = [note.text for note in plan.notes if note.code == "overridden"]
    assert text == ('training: alpha>=2 of requirements wins over alpha<2; python_version >= "3" of stack')


def test_a_contradiction_of_one_source_has_no_other_to_win_over() -> None:
    pipeline = pipeline_of({"requirements": ["alpha>=3"], "prefer_own_requirements": True})
    with pytest.raises(PlannerError) as refused:
        observed(pipeline, Stack(), World(index=INDEX))
    assert refused.value.problems[0].fix == "change the requirement"


def test_that_own_requirements_are_preferred_changes_nothing_without_others() -> None:
    specs = []
    for prefers in (False, True):
        pipeline = pipeline_of({"requirements": ["alpha"], "prefer_own_requirements": prefers})
        specs.append(make_spec(pipeline, Stack(), observed(pipeline, Stack(), World(), checkout=False)))
    assert specs[0] == specs[1]


def test_what_a_command_lists_with_hashes_is_resolved_once() -> None:
    """Its hashes are left out: what the lock keeps of the list leads to the same resolution."""
    table = {"pyproject_path": "pyproject.toml", "pyproject_export_command": ["export"]}
    listed = f"alpha==1.0 --hash=sha256:{'a' * 64}"
    world = World(texts={"pyproject.toml": ""}, programs={"export": listed}, index=INDEX)
    pipeline = pipeline_of(table)
    spec = make_spec(pipeline, Stack(), observed(pipeline, Stack(), world, checkout=False))
    pins = Pins(loads(dumps(Lock([spec]))))
    facts = observed(pipeline, Stack(), world, pins=pins, checkout=False)
    assert not [need for need in facts.needs if isinstance(need, Resolve)]
    assert make_spec(pipeline, Stack(), facts, pins=pins) == spec


# --- the Python of an image

ALPHA: Final = {"requirements": ["alpha"]}
GLIBC: Final = "x86_64-manylinux_2_36"
OTHER: Final = World(image_python=ImagePython("3.12.8", "x86_64-unknown-linux-musl"))


def written(spec: PlanSpec) -> Pins:
    """The pins of a lock with one plan, as it is read again."""
    return Pins(loads(dumps(Lock([spec]))))


def python_of(spec: PlanSpec) -> ImagePython:
    """What the packages of the one image are resolved for."""
    (image,) = spec.images
    assert image.spec.resolved is not None
    return image.spec.resolved.python


def about_pythons(table: Mapping[str, Any], pins: Pins, world: World = OTHER) -> list[PythonOf]:
    """What is asked about the Pythons of images."""
    return [need for need in asked(table, world, pins=pins) if isinstance(need, PythonOf)]


@pytest.mark.parametrize("image_python", [OTHER.image_python, ImagePython("3.11", GLIBC, assumed=True)])
def test_the_lock_keeps_what_an_image_told_of_its_python(image_python: ImagePython) -> None:
    spec = spec_of(ALPHA, world=World(image_python=image_python))
    assert python_of(spec) == image_python
    pins = written(spec)
    # Nobody is asked for it again, also where the requirements are others.
    for table in (ALPHA, {"requirements": ["alpha", "beta"]}):
        assert about_pythons(table, pins) == []
        assert python_of(spec_of(table, world=OTHER, pins=pins)) == image_python
    # Another parent, or platform, is another image.
    elsewhere = {"build_config": {"build_options": {"platform": "linux/arm64"}}}
    for other in ({"parent_image": "python:3.12"}, elsewhere):
        assert len(about_pythons({**ALPHA, **other}, pins)) == 1


def test_a_version_of_a_setting_goes_with_the_setting() -> None:
    given = {**ALPHA, "python_version": "3.10"}
    spec = spec_of(given)
    assert python_of(spec) == ImagePython("3.10", GLIBC, given=True)
    pins = written(spec)
    assert about_pythons(given, pins) == []
    assert python_of(spec_of(ALPHA, world=OTHER, pins=pins)) == OTHER.image_python
    # Another version of a setting is asked for anew: only an image tells what else belongs to it.
    (need,) = about_pythons({**ALPHA, "python_version": "3.9"}, pins)
    assert need.version == "3.9"


def test_a_setting_that_says_what_the_image_told_asks_nobody() -> None:
    pins = written(spec_of(ALPHA))
    given = {**ALPHA, "python_version": "3.11.2"}
    assert about_pythons(given, pins) == []
    assert python_of(spec_of(given, world=OTHER, pins=pins)) == ImagePython("3.11.2", GLIBC)


def test_an_image_that_is_looked_up_anew_is_asked_for_its_python_anew() -> None:
    lock = written(spec_of(ALPHA)).lock
    for pins in (Pins(lock, all_released=True), Pins(lock, frozenset({ref(PARENT)}))):
        assert python_of(spec_of(ALPHA, world=OTHER, pins=pins)) == OTHER.image_python
    assert about_pythons(ALPHA, Pins(lock, frozenset({ref("python:3.12")}))) == []


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            ALPHA,
            "the Python of python:3.11-slim is not known: requirements are resolved for Python 3.11.2",
        ),
        (
            {**ALPHA, "python_version": "3.10"},
            "the C library of python:3.11-slim is not known: requirements are resolved for Python 3.10",
        ),
    ],
)
def test_what_is_assumed_is_noted(table: Mapping[str, Any], words: str) -> None:
    world = World(image_python=ImagePython("3.11.2", GLIBC, assumed=True))
    (note,) = (note for note in plan_of(table, world=world).notes if note.code == "assumed-python")
    assert note.text.startswith(words)
    assert "`stowplan lock --upgrade-image python:3.11-slim`" in note.text
