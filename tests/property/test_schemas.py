"""The schema of project files takes whatever is read, and refuses what is refused for its shape."""

from __future__ import annotations

import functools
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from executor.schemas.known import SCHEMAS
from planner import DockerSettings
from planner.errors import PlannerError
from tests.property import hostile

# How the decoder speaks of a shape: of what else it says, a schema can know nothing.
_OF_SHAPE: Final = ("expected ", "unknown name", "is not a setting any more", "unknown build option")


@functools.cache
def validator() -> Draft202012Validator:
    schema = SCHEMAS["project"]()
    return Draft202012Validator({"$defs": schema["$defs"], "$ref": "#/$defs/DockerSettings"})


def as_json(value: Any) -> Any:
    """A value as JSON has it: what it does not have is left out of this test."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value if isinstance(value, str | bool | int | float) or value is None else str(value)


def agree(settings: dict[str, Any]) -> None:
    """Assert that the schema takes settings that are read, and refuses those that are refused for a shape."""
    taken = validator().is_valid(settings)
    try:
        DockerSettings.decode(settings)
    except PlannerError as error:
        if any(problem.found.startswith(_OF_SHAPE) for problem in error.problems):
            assert not taken
    else:
        assert taken, [each.message for each in validator().iter_errors(settings)]


@given(hostile.settings.map(as_json))
def test_settings_are_taken_and_refused_as_they_are_read(settings: dict[str, Any]) -> None:
    agree(settings)


_VALUES: Final = hostile.text | st.integers() | st.booleans() | st.none() | st.lists(hostile.text, max_size=2)


@given(st.sampled_from(sorted(DockerSettings.settable())), _VALUES)
def test_each_setting_alone_is_taken_as_it_is_read(name: str, value: object) -> None:
    agree({name: value})
