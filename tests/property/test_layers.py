"""Layers of settings: wherever and in whatever order something is said, it comes to the same."""

from __future__ import annotations

from functools import reduce
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from executor.config.yaml import read_yaml
from planner import DockerSettings, Pipeline, Place, PlannerError, Step
from planner.settings.checked import Layer
from planner.settings.effective import Settings, settle
from planner.settings.explained import explained
from planner.settings.plain import plain
from planner.settings.written import WrittenSettings
from tests.property import strategies as some

HERE = Place(file="run.yaml")


def decoded(table: dict[str, Any]) -> DockerSettings:
    return DockerSettings.decode(table)


def merged(layers: list[DockerSettings]) -> DockerSettings:
    return reduce(lambda lower, upper: upper.over(lower), layers)


def outcome(pipeline: Pipeline) -> Settings | list[str]:
    """What the settings of the step come to, or what is wrong with them together."""
    try:
        return settle(pipeline.layers(pipeline.steps[0]))
    except PlannerError as error:
        return sorted(f"{problem.where.path[-1:]}: {problem.found}" for problem in error.problems)


@given(
    some.settings(),
    some.settings(whole=False),
    some.settings(whole=False),
    some.settings(whole=False),
)
def test_settings_come_to_the_same_wherever_they_are_said(
    code: dict[str, Any], file: dict[str, Any], of_step: dict[str, Any], of_step_file: dict[str, Any]
) -> None:
    lowest, low, high, highest = map(decoded, (code, file, of_step, of_step_file))
    step = Step(name="a", settings=high, overrides=(WrittenSettings(highest, HERE),))
    said = Pipeline(name="p", steps=[step], settings=lowest, overrides=(WrittenSettings(low, HERE),))
    over = tuple(WrittenSettings(each, HERE) for each in (lowest, low))
    later = tuple(WrittenSettings(each, HERE) for each in (high, DockerSettings(), highest))
    elsewhere = Pipeline(name="p", steps=[Step(name="a", overrides=later)], overrides=over)
    assert outcome(said) == outcome(elsewhere)
    assert said.steps[0].own == elsewhere.steps[0].own


@given(some.settings(), st.lists(st.integers(0, 3), min_size=40, max_size=40), st.permutations(range(4)))
def test_what_no_two_layers_say_may_be_said_in_any_order(
    table: dict[str, Any], parts: list[int], order: list[int]
) -> None:
    layers: list[dict[str, Any]] = [{}, {}, {}, {}]
    for (name, value), part in zip(table.items(), parts, strict=False):
        layers[part][name] = value
    made = [decoded(layer) for layer in layers]
    assert merged([made[index] for index in order]) == merged(made) == decoded(table)


@given(some.settings())
def test_settings_are_read_back_from_the_yaml_that_is_written_of_them(table: dict[str, Any]) -> None:
    settings = decoded(table)
    text = yaml.safe_dump(plain(settings))
    assert decoded(read_yaml(text, "run.yaml").data) == settings


@given(st.lists(some.settings(whole=False), min_size=1, max_size=4))
def test_each_setting_is_said_by_the_layer_that_has_its_value(tables: list[dict[str, Any]]) -> None:
    layers = [
        WrittenSettings(decoded(table), Place(file=f"{index}.yaml")) for index, table in enumerate(tables)
    ]
    together = merged([layer.settings for layer in layers])
    found: dict[str, Any] = {}
    for said in explained(layers):
        if said.where is None:
            assert said.path[0] not in together.given
            assert said.value == plain(together.value(said.path[0]))
            continue
        inner = found
        for name in said.path[:-1]:
            inner = inner.setdefault(name, {})
        inner[said.path[-1]] = said.value
        # The layer that is named says that value of it.
        layer = layers[int(str(said.where.file).removesuffix(".yaml"))].settings
        assert layer.gives(said.path) or said.path[0] in layer.given
        value: Any = plain(layer)
        for name in said.path:
            value = value[name]
        assert value == said.value
    assert without_empty(found) == without_empty(plain(together))
    assert {said.path[0] for said in explained(layers)} == set(DockerSettings.settable())


def without_empty(data: Any) -> Any:
    """Tables without tables that hold nothing: whether one is explicit is seen in the layers."""
    if not isinstance(data, dict):
        return data
    inner = {name: without_empty(item) for name, item in data.items()}
    return {name: item for name, item in inner.items() if item != {}}


def test_a_layer_knows_which_of_its_settings_were_given() -> None:
    assert isinstance(DockerSettings(), Layer)
    assert {said.origin for said in explained([WrittenSettings(DockerSettings(), HERE)])} == {"default"}
