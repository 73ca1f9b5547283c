"""Each dependency attribute of the reference, in real images that are built once and then looked into.

The reference's order of attributes is the order of the tests, which are named after them. One lock has all
images, and both engines build from it. Every package is named after what asks for it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

from executor.engines.protocol import Engine
from tests.contract.images import TEST_BASE
from tests.e2e.command import Project
from tests.e2e.conftest import chosen_engine
from tests.index import Index, package_index, source

# Debian packages that are small, and have a program of their name.
PROGRAMS: Final = ("tree", "ed", "bc")
LOOK: Final = f"""
import importlib.metadata, importlib.util, json, os, shutil
base = ("pip", "setuptools", "wheel")
found = [each for each in importlib.metadata.distributions() if each.name not in base]
print(json.dumps({{
    "packages": {{each.name: each.version for each in found}},
    "installers": sorted({{each.read_text("INSTALLER").strip() for each in found}}),
    "compiled": sorted({{
        each.name for each in found for file in each.files
        if file.suffix == ".py" and os.path.exists(importlib.util.cache_from_source(file.locate()))
    }}),
    "programs": [name for name in {PROGRAMS} if shutil.which(name)],
}}))
"""
FILES: Final = {
    "stowplan.toml": """
        [integration.tables]
        requirements = ["integrated"]
        apt_packages = ["bc"]

        [integration.ours]
        requirements = ["flavored"]

        [stack.prod]
        orchestrator = { flavor = "ours" }
        deployer = { flavor = "docker" }

        [stack.prod.components.tracker]
        requirements = ["component"]
        apt_packages = ["ed"]

        [pipeline.training]
        steps = ["all", "exported", "detected", "none"]

        [pipeline.training.settings.deployment]
        requirements = ["deployed"]

        # The deployer has an image of these: what else is installed comes from the index of a step.
        [pipeline.training.settings.docker]
        parent_image = "BASE"
        install_stack_requirements = false
        install_deployment_requirements = false

        [pipeline.training.step.all.settings.docker]
        install_stack_requirements = true
        install_deployment_requirements = true
        replicate_local_python_environment = true
        required_integrations = ["tables"]
        pyproject_path = "models/pyproject.toml"
        pyproject_extras = ["train"]
        pyproject_groups = ["report"]
        requirements = ["requirements/base.txt", "-c requirements/limits.txt", "limited", "DIRECT"]
        apt_packages = ["tree"]
        local_project_install_command = "pip install . --no-deps"
        python_package_installer = "pip"
        python_package_installer_args = { index-url = "INDEX", trusted-host = "HOST", timeout = 1000 }

        [pipeline.training.step.exported.settings.docker]
        allow_including_files_in_images = false
        install_stack_requirements = false
        install_deployment_requirements = false
        pyproject_path = "models/pyproject.toml"
        pyproject_export_command = ["cat", "{directory}/list.txt"]
        requirements = "requirements/base.txt"
        python_package_installer_args = { default-index = "INDEX", system = true, compile-bytecode = true }

        [pipeline.training.step.detected.settings.docker]
        allow_including_files_in_images = false
        install_stack_requirements = false
        install_deployment_requirements = false
        disable_automatic_requirements_detection = false
        python_package_installer_args = { default-index = "INDEX" }

        [pipeline.training.step.none.settings.docker]
        environment = { STEP = "none" }
        install_stack_requirements = false
        install_deployment_requirements = false
        """,
    "models/pyproject.toml": """
        [project]
        name = "models"
        version = "1"
        requires-python = ">=3.11"
        dependencies = ["depended"]

        [project.optional-dependencies]
        train = ["extra"]
        test = ["unasked"]

        [dependency-groups]
        report = ["grouped"]

        [[tool.uv.index]]
        url = "INDEX"
        default = true
        """,
    "models/list.txt": "exported\n",
    "requirements/base.txt": "# a comment\nfiled  # and one more\n-r more.txt\n",
    "requirements/more.txt": "nested ; python_version >= '3'\nunasked ; sys_platform == 'win32'\n",
    "requirements/limits.txt": "limited<2\n",
    "requirements.txt": "detected\n",
    **source("cargo", "1.2.3"),
}  # fmt: skip
PACKAGES: Final = (
    *("component", "depended", "deployed", "detected", "direct", "exported", "extra", "filed", "flavored"),
    *("grouped", "integrated", "limited", "nested", "replicated", "unasked"),
)


@frozen
class Image:
    """What is in an image: packages and their versions, who installed them, and which programs there are."""

    packages: Mapping[str, str]
    installers: list[str]
    compiled: list[str]
    programs: list[str]


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    """An index that has each package at two versions, of which everything takes the first."""
    with package_index() as made:
        for name in PACKAGES:
            made.release(name, "1.0")
        yield made


def written(root: Path, index: Index, files: Mapping[str, str]) -> Project:
    """A project that installs from this index."""
    direct = index.url.replace("/simple", "/files/direct/direct-1.0-py3-none-any.whl")
    values = {"BASE": TEST_BASE, "INDEX": index.url, "HOST": index.host, "DIRECT": direct}
    project = Project(root)
    root.mkdir()
    for word, value in values.items():
        files = {name: text.replace(word, value) for name, text in files.items()}
    project.write(files)
    return project


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, index: Index) -> Project:
    """A project with a lock, and with nothing else that a program listed requirements from."""
    project = written(tmp_path_factory.mktemp("attributes") / "project", index, FILES)
    environment = project.root.parent / "environment"
    python = str(environment / "bin/python")
    pip = (
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        f"--index-url={index.url}",
        f"--trusted-host={index.host}",
    )
    for command in (
        (sys.executable, "-m", "venv", str(environment)),
        (*pip, "replicated"),
        (sys.executable, "-m", "uv", "lock", "--quiet", f"--directory={project.root / 'models'}"),
    ):
        subprocess.run(command, check=True)
    # What the local environment has and the lock of uv says is older than what the index has by now.
    index.release("replicated", "2.0")
    index.release("depended", "2.0")
    index.release("limited", "2.0")
    project.ok("lock", "--python", python, env={"STOWPLAN_CONTAINER_ENGINE": "docker"})
    (project.root / "models/list.txt").unlink()
    return project


@pytest.fixture(scope="module", params=["docker", "podman"])
def images(request: pytest.FixtureRequest, locked: Project) -> Iterator[Mapping[str, Image]]:
    """What is in the image of each step: from one lock, on each engine."""
    locked.env["STOWPLAN_CONTAINER_ENGINE"] = request.param
    yield from built(chosen_engine(request.param), locked)


def built(engine: Engine, project: Project) -> Iterator[Mapping[str, Image]]:
    """Build what the lock of a project says, look into each image, and remove them in the end."""
    try:
        applied = project.ok("apply", "--locked", "-o", "json")
        yield {
            image["name"].partition("/")[2]: looked(engine, image["reference"])
            for image in applied.data["images"]
        }
    finally:
        for build in project.ok("builds", "list", "--images", "-o", "json").data["records"]:
            engine.remove(build["reference"])


def looked(engine: Engine, reference: str) -> Image:
    """What is in an image."""
    done = engine.run(reference, ("python", "-c", LOOK))
    assert done.code == 0, done.output
    return Image(**json.loads(done.output))


def test_replicate_local_python_environment(images: Mapping[str, Image]) -> None:
    assert images["all"].packages["replicated"] == "1.0"


def test_pyproject_path(images: Mapping[str, Image]) -> None:
    # As the uv.lock beside it says, with the extra and the group that were asked for.
    asked = {"depended": "1.0", "extra": "1.0", "grouped": "1.0"}
    assert asked.items() <= images["all"].packages.items()
    assert "unasked" not in images["all"].packages


def test_pyproject_export_command(images: Mapping[str, Image]) -> None:
    assert images["exported"].packages == {"exported": "1.0", "filed": "1.0", "nested": "1.0"}


def test_requirements(images: Mapping[str, Image]) -> None:
    # A list names a file, which names another one, and constraints, a package, and a URL without a name.
    listed = {"filed": "1.0", "nested": "1.0", "limited": "1.0", "direct": "1.0"}
    assert listed.items() <= images["all"].packages.items()
    # The path of a file in place of a list.
    assert {"filed", "nested"} <= images["exported"].packages.keys()


def test_required_integrations(images: Mapping[str, Image]) -> None:
    assert images["all"].packages["integrated"] == "1.0"
    assert "bc" in images["all"].programs


def test_install_stack_requirements(images: Mapping[str, Image]) -> None:
    # By default, what the flavor of one component and another component itself ask for.
    assert {"flavored": "1.0", "component": "1.0"}.items() <= images["all"].packages.items()
    assert "ed" in images["all"].programs
    assert not {"flavored", "component"} & images["exported"].packages.keys()
    assert images["exported"].programs == []


def test_install_deployment_requirements(images: Mapping[str, Image]) -> None:
    assert images["all"].packages["deployed"] == "1.0"
    assert "deployed" not in images["exported"].packages


def test_local_project_install_command(images: Mapping[str, Image]) -> None:
    assert images["all"].packages["cargo"] == "1.2.3"
    assert images["none"].packages == {}


def test_apt_packages(images: Mapping[str, Image]) -> None:
    # Together with those of the integration and of the stack.
    assert images["all"].programs == list(PROGRAMS)
    assert images["none"].programs == []


def test_python_package_installer_args(images: Mapping[str, Image]) -> None:
    # No other index has these packages, and only an option has uv compile them.
    assert images["exported"].compiled == ["exported", "filed", "nested"]
    assert images["detected"].compiled == []


def test_python_package_installer(images: Mapping[str, Image]) -> None:
    assert images["all"].installers == ["pip"]
    # The default.
    assert images["detected"].installers == ["uv"]


def test_disable_automatic_requirements_detection(images: Mapping[str, Image]) -> None:
    assert images["detected"].packages == {"detected": "1.0"}
    # The default: nothing is looked for, though there is a requirements.txt.
    assert images["none"].packages == {}


# --- Poetry -----------------------------------------------------------------------------------------------

POETRY: Final = ("poetry==2.5.1", "poetry-plugin-export==1.10.1")
POETRY_FILES: Final = {
    "stowplan.toml": """
        [pipeline.training]
        steps = ["train"]

        [pipeline.training.settings.docker]
        parent_image = "BASE"
        allow_including_files_in_images = false
        replicate_local_python_environment = "poetry_export"
        pyproject_path = "pyproject.toml"
        pyproject_extras = ["train"]
        pyproject_groups = ["report"]
        python_package_installer = "pip"
        python_package_installer_args = { trusted-host = "HOST" }
        """,
    "pyproject.toml": """
        [project]
        name = "models"
        version = "1"
        requires-python = ">=3.11,<4"
        dependencies = ["depended", "unasked ; sys_platform == 'win32'"]

        [project.optional-dependencies]
        train = ["extra"]
        test = ["unasked"]

        [tool.poetry]
        package-mode = false

        [tool.poetry.group.report.dependencies]
        grouped = "*"

        [[tool.poetry.source]]
        name = "here"
        url = "INDEX/"
        """,
}


@pytest.fixture
def poetry(tmp_path: Path) -> Path:
    """Poetry as a user has it on the PATH. uv keeps it from one run of the tests to the next."""
    program = tmp_path / "bin/poetry"
    program.parent.mkdir()
    uv = f"{shlex.quote(sys.executable)} -m uv tool run --quiet --from={POETRY[0]} --with={POETRY[1]}"
    program.write_text(f'#!/bin/sh\nexec {uv} poetry "$@"\n')
    program.chmod(0o755)
    return program


def test_what_poetry_exports(tmp_path: Path, poetry: Path) -> None:
    """Poetry is a program of the user's machine: one engine tells as much as two."""
    with package_index() as index:
        for name in ("depended", "extra", "grouped", "unasked"):
            index.release(name, "1.0")
        project = written(tmp_path / "project", index, POETRY_FILES)
        project.env |= {
            "PATH": f"{poetry.parent}:{os.environ['PATH']}",
            "POETRY_CONFIG_DIR": str(tmp_path / "config"),
            "POETRY_CACHE_DIR": str(tmp_path / "cache"),
            "POETRY_KEYRING_ENABLED": "false",
            "STOWPLAN_CONTAINER_ENGINE": "docker",
        }
        # Without a lock Poetry writes one, and not into the project. uv does not know Poetry's groups.
        project.ok("lock")
        assert not (project.root / "poetry.lock").exists()
        subprocess.run([poetry, "lock", "--quiet"], cwd=project.root, env=project.environment(), check=True)
        for name in ("depended", "extra", "grouped"):
            index.release(name, "2.0")
        project.ok("lock")
        layers = re.findall(
            r"(local-environment|pyproject) +(\d+) package", project.ok("show", "training").out
        )
        assert layers == [("local-environment", "1"), ("pyproject", "2")]
        # The lock has what it said.
        poetry.unlink()
        (images,) = built(chosen_engine("docker"), project)
    (image,) = images.values()
    assert image.packages == {"depended": "1.0", "extra": "1.0", "grouped": "1.0"}
