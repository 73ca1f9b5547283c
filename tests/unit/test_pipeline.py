"""Pipelines, their steps, and the tables that describe them."""

from __future__ import annotations

from typing import Any

import pytest

from planner import Command, DockerSettings, Function, Output, Pipeline, Place, PlannerError, Problem, Step
from planner.settings.effective import settle
from planner.settings.written import WrittenSettings


def problems(table: dict[str, Any]) -> list[str]:
    with pytest.raises(PlannerError) as refused:
        Pipeline.decode(table)
    return [f"{problem.where}: {problem.found}" for problem in refused.value.problems]


def test_steps_are_names_or_values() -> None:
    train = Step(name="train", settings=DockerSettings(user="1000"))
    pipeline = Pipeline(name="training", steps=["load", train])
    assert [step.name for step in pipeline.steps] == ["load", "train"]
    assert pipeline.steps[1] is train
    assert pipeline.steps[0].settings == DockerSettings()


def test_settings_are_a_value_or_the_reference_s_table() -> None:
    value = DockerSettings(apt_packages=["git"])
    for given in (value, {"docker": value}, {"docker": {"apt_packages": ["git"]}}):
        made = Pipeline(name="p", steps=["a"], settings=given)
        assert made.settings == value
        assert made.settings.given == ("apt_packages",)


def test_settings_of_a_pipeline_may_be_partial() -> None:
    """A step may bring what is missing."""
    made = Pipeline(name="p", steps=["a"], settings={"docker": {"skip_build": True}})
    assert made.settings.skip_build


def test_a_table_gives_steps_settings_by_their_names() -> None:
    made = Pipeline.decode({
        "name": "training",
        "steps": ["load", "train"],
        "settings": {"docker": {"user": "1000"}},
        "step": {"train": {"settings": {"docker": {"apt_packages": ["git"]}}}},
    })  # fmt: skip
    assert [step.settings.given for step in made.steps] == [(), ("apt_packages",)]


def test_the_layers_of_a_step_come_with_the_places_where_they_were_written() -> None:
    own = DockerSettings(apt_packages=["git"])
    pipeline = Pipeline(name="p", steps=[Step(name="a", settings=own)], settings={"docker": {"user": "1"}})
    lower, upper = pipeline.layers(pipeline.steps[0])
    assert (lower.settings, upper.settings) == (DockerSettings(user="1"), own)
    assert lower.origin.dotted == "pipeline.p.settings.docker"
    assert upper.origin.dotted == "pipeline.p.step.a.settings.docker"


def test_what_is_written_in_code_and_in_a_configuration_lies_in_this_order() -> None:
    """Lowest first: secrets of the project, pipeline in code and in YAML, step in code and in YAML."""
    said = {name: DockerSettings(user=name) for name in ("code", "file", "step", "step-file")}
    line: dict[tuple[str | int, ...], int] = {("user",): 7}
    step = Step(
        name="a",
        settings=said["step"],
        origin=Place(file="pipe.py", line=12),
        overrides=(WrittenSettings(said["step-file"], Place(("steps", "a"), "run.yaml"), lines=line),),
    )
    pipeline = Pipeline(
        name="p",
        steps=[step],
        settings=said["code"],
        origin=Place(file="pipe.py", line=3),
        overrides=(WrittenSettings(said["file"], Place(("settings",), "run.yaml")),),
        secrets={"pypi": {"env": "TOKEN"}},
    )
    layers = pipeline.layers(step)
    assert [layer.settings.user for layer in layers[1:]] == ["code", "file", "step", "step-file"]
    assert [str(layer.place(("user",))) for layer in layers[1:]] == [
        "pipe.py:3: user", "run.yaml: settings.user", "pipe.py:12: user", "run.yaml:7: steps.a.user",
    ]  # fmt: skip
    settings = settle(layers)
    assert settings.user == "step-file"
    assert str(settings.placed(Problem.at("user", "", "")).where) == "run.yaml:7: steps.a.user"
    assert settings.placed(Problem.at(("secrets", "pypi"), "", "")).where.dotted == "secret.pypi"


def test_steps_of_a_project_say_what_they_run_in_their_tables() -> None:
    made = Pipeline.decode(
        {
            "name": "training",
            "steps": ["load", "train", "report"],
            "step": {
                "load": {"command": ["python", "load.py"]},
                "train": {"function": "train:main", "after": ["load"], "step_operator": "gpu"},
                "report": {"function": "report:main", "inputs": {"model": "train"}},
            },
        }
    )
    assert [step.entrypoint for step in made.steps] == [
        Command(("python", "load.py")),
        Function("train:main"),
        Function("report:main", {"model": Output("train")}),
    ]  # fmt: skip
    assert [step.step_operator for step in made.steps] == [None, "gpu", None]
    assert made.order == ("load", "train", "report")


def test_all_problems_come_at_once_each_with_its_place() -> None:
    assert problems({
        "name": "a b",
        "steps": ["load", "tra in", 5],
        "settings": {"docker": {"user": 5}, "kubernetes": {}},
        "step": {"lood": {"settings": {"docker": {"skip_build": "x", "apt": []}}}},
        "schedule": "daily",
    }) == [
        "step.lood: not a step of this pipeline",
        "step.lood.settings.docker.apt: unknown name",
        "step.lood.settings.docker.skip_build: expected true or false, found a string",
        "schedule: unknown name",
        "name: not a name: 'a b'",
        "steps[1]: not a name: 'tra in'",
        "steps[2]: expected the name of a step, found an integer",
        "settings.kubernetes: unknown kind of settings",
        "settings.docker.user: expected a string, found an integer",
    ]  # fmt: skip


def test_a_step_that_is_nearly_right_gets_advice() -> None:
    with pytest.raises(PlannerError, match="did you mean 'train'"):
        Pipeline.decode({"name": "p", "steps": ["train"], "step": {"trian": {}}})


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"name": "p", "steps": []}, "steps: no steps"),
        ({"name": "p"}, "steps: no steps"),
        ({"name": "p", "steps": ["a", "b", "a"]}, "steps[2]: 'a' is listed twice"),
        ({"name": "p", "steps": "a"}, "steps: expected a list, found a string"),
        ({"name": "p", "steps": {"a": {}}}, "steps: expected a list, found a table"),
        ({"name": "p", "steps": ["a"], "step": []}, "step: expected tables, found a list"),
        ({"name": "p", "steps": ["a"], "step": {"a": 5}}, "step.a: expected a table, found an integer"),
        ({"name": "p", "steps": ["a"], "settings": []}, "settings: expected a table, found a list"),
        ({"name": "p", "steps": ["a"], "settings": {"docker": 5}},
        "settings.docker: expected a table, found an integer"),
        ({"name": "", "steps": ["a"]}, "name: not a name: ''"),
        ({"name": "../x", "steps": ["a"]}, "name: not a name: '../x'"),
        ({"name": "p\n", "steps": ["a"]}, "name: holds a line end or NUL"),
        ({"name": "x" * 101, "steps": ["a"]}, f"name: not a name: '{'x' * 101}'"),
        ({"steps": ["a"]}, "name: not a name: ''"),
    ],
)  # fmt: skip
def test_what_is_no_pipeline(table: dict[str, Any], expected: str) -> None:
    assert problems(table) == [expected]


def test_what_is_no_table() -> None:
    with pytest.raises(PlannerError, match="expected a table, found a list"):
        Pipeline.decode([])


def test_equal_pipelines_are_equal() -> None:
    one, other = (Pipeline(name="p", steps=["a"], settings={"docker": {"user": "1"}}) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
