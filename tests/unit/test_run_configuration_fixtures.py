"""Run configurations in the shapes that public projects use, each planned as it is, against its golden file.

`pytest --update-golden` (or `make golden`) writes the golden files anew.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from executor.config.run_yaml import load_run_configuration
from executor.config.yaml import read_yaml
from planner import DockerSettings, Function, Output, Pipeline, Stack, Step, make_plan
from planner.settings.plain import plain
from tests.builders import World, file, observed

DIRECTORY: Final = Path(__file__).parents[2] / "fixtures/run_configurations"
EXPECTED: Final = DIRECTORY.parent / "expected/run_configurations"
NAMES: Final = sorted(path.stem for path in DIRECTORY.iterdir())

# A pipeline in code that says little of its images.
TRAINING: Final = Pipeline(
    name="training",
    steps=[
        Step(name="load", entrypoint=Function("steps:load")),
        Step(name="train", entrypoint=Function("steps:train", {"data": Output("load")})),
        Step(name="evaluate", entrypoint=Function("steps:evaluate", {"model": Output("train")})),
    ],
    settings=DockerSettings(apt_packages=["curl"]),
)
WORLD: Final = World(
    texts={
        ".dockerignore": "*.log\n",
        "Dockerfile": "FROM python:3.11-slim\nARG FLAVOR\nCOPY steps.py .\n",
        "constraints.txt": "anyio<5\n",
        "pyproject.toml": '[project]\nname = "ranker"\nversion = "1"\ndependencies = ["six"]\n',
        "requirements.txt": "numpy\n",
    },
    entries=(file("steps.py", "…"),),
    variables={"API_URL": "https://api.example.com"},
    programs={"{python} -m pip --disable-pip-version-check freeze": "six==1.16.0\n"},
)
STACK: Final = Stack(components={"deployer": {"flavor": "local"}, "orchestrator": {"flavor": "local"}})


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_is_planned_as_it_is(
    name: str, update_golden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(DIRECTORY)
    found = load_run_configuration(Path(f"{name}.yaml"), Path("/nowhere"))
    pipeline, unused = found.with_parameters(found.over(TRAINING))
    plan = make_plan(pipeline, STACK, observed(pipeline, STACK, WORLD))
    groups: dict[str, dict[str, Any]] = {}
    for step in pipeline.steps:
        image = plan.image(step.name)
        assert image is not None
        assert isinstance(step.entrypoint, Function)
        layers = (layer.settings for layer in pipeline.layers(step))
        said = {
            "image": image.name,
            "step_operator": step.step_operator,
            "parameters": {
                key: plain(value)
                for key, value in step.entrypoint.inputs.items()
                if not isinstance(value, Output)
            },
            "settings": plain(functools.reduce(lambda lower, upper: upper.over(lower), layers)),
        }
        groups.setdefault(json.dumps(said), {"steps": [], **said})["steps"].append(step.name)
    data = {
        "build": found.build,
        "notes": [f"{note.code}: {note}" for note in (*found.notes, *unused, *plan.notes)],
        "steps": list(groups.values()),
    }
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    path = EXPECTED / f"{name}.json"
    if update_golden:
        EXPECTED.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name}: review, then `make golden`"


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_says_what_pyyaml_reads(name: str) -> None:
    text = (DIRECTORY / f"{name}.yaml").read_text(encoding="utf-8")
    assert read_yaml(text, name).data == yaml.safe_load(text)


def test_every_golden_file_is_of_a_configuration() -> None:
    assert sorted(path.stem for path in EXPECTED.iterdir()) == NAMES
    assert len(NAMES) >= 12
