"""Whatever a run configuration says, it is read, or all that is wrong with it is said with its lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml
from hypothesis import given
from hypothesis import strategies as st

from executor.config.run_yaml import read_run_configuration
from planner import DockerSettings, Pipeline, PlannerError, Problem
from planner.settings.deprecated import DEPRECATED
from planner.settings.effective import settle

PIPELINE: Final = Pipeline(name="p", steps=["load", "train"])
NAMES: Final = (
    *(*DockerSettings.settable(), *DEPRECATED, "settings", "steps", "docker", "load", "train", "build", ""),
    *("parameters", "step_operator", "deployment", "resources", "orchestrator.vertex", "enable_cache"),
    *("buildargs", "setings"),
)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
# Values that settings take, and such as they do not.
values: st.SearchStrategy[Any] = st.recursive(
    scalars
    | st.sampled_from(["requirements.txt", "python:3.11", "git", "download", "/etc/x", "../x", "${A}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
settings = st.dictionaries(st.sampled_from((*DockerSettings.settable(), *DEPRECATED)), values, max_size=4)
tables = st.fixed_dictionaries({}, optional={"docker": settings | values, "deployment": values})
documents = values | st.fixed_dictionaries(
    {},
    optional={
        "settings": tables | values,
        "steps": st.dictionaries(
            st.sampled_from(["load", "train", "trian"]),
            st.fixed_dictionaries({}, optional={"settings": tables, "parameters": values}) | values,
            max_size=2,
        ),
        "build": values,
        "parameters": values,
        "model": values,
    },
)


def wrong(text: str) -> tuple[Problem, ...]:
    """All that is wrong with a run configuration; any other exception than that is one too many."""
    try:
        found = read_run_configuration(text, "run.yaml", Path("/project"))
        pipeline, _ = found.with_parameters(found.over(PIPELINE))
        for step in pipeline.steps:
            settle(pipeline.layers(step))
    except PlannerError as error:
        return error.problems or (Problem.at((), "", ""),)
    return ()


@given(documents)
def test_whatever_is_said_is_read_or_refused_with_its_line(data: Any) -> None:
    text = yaml.safe_dump(data)
    lines = text.count("\n") + 1
    for problem in wrong(text):
        assert problem.where.file == "run.yaml"
        # Only what is no table as a whole has no line.
        assert 1 <= problem.where.line <= lines if problem.where.line else not problem.where.path
        assert problem.found
        assert problem.fix


MARKUP = list("{}[]:,-&*!|>'\"%@` \n\t#?a1~<")


@given(st.text(max_size=60) | st.lists(st.sampled_from(MARKUP), max_size=40).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert {problem.where.file for problem in wrong(text)} <= {"run.yaml"}
