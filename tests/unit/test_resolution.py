"""What is resolved together: where a contradiction is said to be, and when nothing is resolved again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest

from planner import Lock, Note, Pins, PlannerError, Stack, dumps, loads, make_plan, make_spec
from planner.facts.needs import Resolve
from tests.builders import World, observed, pipeline_of

INDEX: Final[Mapping[str, Mapping[str, list[str]]]] = {"alpha": {"1.0": [], "2.0": []}}
ORCHESTRATED: Final = Stack(
    name="prod", components={"orchestrator": {"flavor": "local", "requirements": ["alpha<2"]}}
)
DOCKER: Final = "pipeline.training.settings.docker."


@pytest.mark.parametrize(
    ("table", "stack", "where", "found"),
    [
        ({"requirements": ["alpha>3"]}, Stack(), "requirements", "requirements cannot be resolved"),
        (
            {"requirements": ["alpha>=2"]},
            ORCHESTRATED,
            "requirements",
            (
                "stack and requirements cannot be resolved together: "
                "stack asks for alpha<2; requirements asks for alpha>=2. "
            ),
        ),
        (
            {"pyproject_path": "pyproject.toml"},
            ORCHESTRATED,
            "pyproject_path",
            (
                "stack and pyproject cannot be resolved together: "
                "stack asks for alpha<2; pyproject asks for alpha>=2. "
            ),
        ),
        (
            {"replicate_local_python_environment": True},
            ORCHESTRATED,
            "install_stack_requirements",
            (
                "local-environment and stack cannot be resolved together: "
                "local-environment asks for alpha==2.0; stack asks for alpha<2. "
            ),
        ),
    ],
)
def test_a_contradiction_is_at_a_setting_and_names_what_each_source_asks_for(
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
    assert problem.where.dotted == DOCKER + where
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
        f"change one of them, or set prefer_own_requirements = true to have those of {source} win"
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


def test_a_contradiction_of_one_source_has_no_other_to_win_over() -> None:
    pipeline = pipeline_of({"requirements": ["alpha>=3"], "prefer_own_requirements": True})
    with pytest.raises(PlannerError) as refused:
        observed(pipeline, Stack(), World(index=INDEX))
    assert refused.value.problems[0].fix == "change one of them"


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
