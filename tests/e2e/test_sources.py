"""Each setting that says what is installed, in a real image: built once, and then looked into.

Every step has one of the settings, and a package that no other step has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from executor.engines.protocol import Engine
from tests.e2e.command import Project
from tests.e2e.conftest import chosen_engine

PACKAGES: Final = ("six", "iniconfig", "pluggy", "humanize", "colorama", "tomli")
LOOK: Final = f"""
import importlib.metadata, json, os, shutil
found = {{}}
for name in {PACKAGES}:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps({{"packages": found, "tree": bool(shutil.which("tree")), "RATE": os.environ.get("RATE")}}))
"""
FILES: Final = {
    "stowplan.toml": """
        [integration.tables]
        requirements = ["humanize==4.12.3"]
        apt_packages = ["tree"]

        [stack.prod.components.tracker]
        requirements = ["pluggy==1.5.0"]

        [stack.prod]
        orchestrator = { flavor = "ours" }
        deployer = { flavor = "docker" }

        [integration.ours]
        requirements = ["iniconfig==2.0.0"]

        [pipeline.training]
        steps = [
            "replicate", "pyproject", "command", "listed", "integrations", "stack", "deployment", "detected",
        ]

        [pipeline.training.settings]
        deployment = { requirements = ["tomli==2.2.1"] }

        [pipeline.training.settings.docker]
        parent_image = "BASE"
        allow_including_files_in_images = false
        install_stack_requirements = false
        install_deployment_requirements = false

        [pipeline.training.step.replicate.settings.docker]
        replicate_local_python_environment = true

        [pipeline.training.step.pyproject.settings.docker]
        pyproject_path = "models/pyproject.toml"
        pyproject_extras = ["train"]
        pyproject_groups = ["report"]

        [pipeline.training.step.command.settings.docker]
        pyproject_path = "models/pyproject.toml"
        pyproject_export_command = ["PYTHON", "-c", "print(open('list.txt').read())", "{directory}"]

        [pipeline.training.step.listed.settings.docker]
        requirements = ["requirements/base.txt", "-c requirements/limits.txt", "humanize"]
        environment = { RATE = 0.5 }

        [pipeline.training.step.integrations.settings.docker]
        required_integrations = ["tables"]

        [pipeline.training.step.stack.settings.docker]
        install_stack_requirements = true

        [pipeline.training.step.deployment.settings.docker]
        install_deployment_requirements = true

        [pipeline.training.step.detected.settings.docker]
        disable_automatic_requirements_detection = false
        """,
    "models/pyproject.toml": """
        [project]
        name = "models"
        version = "1"
        dependencies = ["six==1.16.0"]
        [project.optional-dependencies]
        train = ["iniconfig==2.0.0"]
        [dependency-groups]
        report = ["pluggy==1.5.0"]
        """,
    "models/list.txt": "colorama==0.4.6\n",
    "requirements/base.txt": "# a comment\nsix==1.16.0  # and one more\n",
    "requirements/limits.txt": "humanize==4.12.3\n",
    "requirements.txt": "colorama==0.4.6\n",
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """What is in the image of each step; all of them are built by one `apply`, from its lock."""
    engine = chosen_engine("docker")
    root = tmp_path_factory.mktemp("sources")
    project = Project(root / "project", {"STOWPLAN_CONTAINER_ENGINE": "docker"})
    project.root.mkdir()
    base = os.environ.get("STOWPLAN_TEST_BASE", "python:3.11-slim")
    text = FILES["stowplan.toml"].replace("BASE", base).replace("PYTHON", sys.executable)
    project.write({**FILES, "stowplan.toml": text})
    subprocess.run([sys.executable, "-m", "venv", str(root / "work")], check=True)
    python = str(root / "work/bin/python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "tomli==2.2.1"], check=True)
    project.ok("lock", "--python", python)
    # Without an environment to list and without the programs: the lock has what they said.
    (project.root / "models/list.txt").unlink()
    applied = project.ok("apply", "--locked", "-o", "json")
    try:
        yield {
            step: _look(engine, image["reference"])
            for image in applied.data["images"]
            for step in [image["name"].partition("/")[2]]
        }
    finally:
        for build in project.run("builds", "list", "-o", "json").data["builds"]:
            engine.remove(build["reference"])


def _look(engine: Engine, reference: str) -> Any:
    done = engine.run(reference, ("python", "-c", LOOK))
    assert done.code == 0, done.output
    return json.loads(done.output)


def test_replicate_local_python_environment(images: Mapping[str, Any]) -> None:
    assert images["replicate"]["packages"] == {"tomli": "2.2.1"}


def test_pyproject_path(images: Mapping[str, Any]) -> None:
    assert images["pyproject"]["packages"] == {"six": "1.16.0", "iniconfig": "2.0.0", "pluggy": "1.5.0"}


def test_pyproject_export_command(images: Mapping[str, Any]) -> None:
    assert images["command"]["packages"] == {"colorama": "0.4.6"}


def test_requirements(images: Mapping[str, Any]) -> None:
    assert images["listed"]["packages"] == {"six": "1.16.0", "humanize": "4.12.3"}
    assert images["listed"]["RATE"] == "0.5"


def test_required_integrations(images: Mapping[str, Any]) -> None:
    assert images["integrations"]["packages"] == {"humanize": "4.12.3"}
    assert images["integrations"]["tree"]
    assert not images["listed"]["tree"]


def test_install_stack_requirements(images: Mapping[str, Any]) -> None:
    assert images["stack"]["packages"] == {"iniconfig": "2.0.0", "pluggy": "1.5.0"}


def test_install_deployment_requirements(images: Mapping[str, Any]) -> None:
    assert images["deployment"]["packages"] == {"tomli": "2.2.1"}


def test_disable_automatic_requirements_detection(images: Mapping[str, Any]) -> None:
    assert images["detected"]["packages"] == {"colorama": "0.4.6"}
