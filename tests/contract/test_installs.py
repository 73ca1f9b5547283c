"""What installing leaves in an image, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from executor.engines.protocol import Engine
from tests.contract.images import TEST_BASE, build, build_text, told

LOOK = """
import glob, importlib.metadata, json, os, shutil, sys
import iniconfig, six
print(json.dumps({
    "versions": [importlib.metadata.version("six"), importlib.metadata.version("iniconfig")],
    "where": os.path.dirname(six.__file__),
    "prefix": sys.prefix,
    "uv": [shutil.which("uv"), *(d.name for d in importlib.metadata.distributions() if d.name == "uv")],
    "caches": [path for path in ("/root/.cache", "/root/.local") if os.path.exists(path)],
    "tmp": os.listdir("/tmp"),
    "apt": glob.glob("/var/lib/apt/lists/*") + glob.glob("/var/cache/apt/archives/*.deb"),
    "tree": shutil.which("tree"),
}))
"""


@pytest.fixture(params=["system", "environment"])
def parent(request: pytest.FixtureRequest) -> str:
    """A parent image without and one with an active virtual environment."""
    return TEST_BASE if request.param == "system" else request.getfixturevalue("environment_base")


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_requirements(engine: Engine, tag: str, tmp_path: Path, parent: str, installer: str) -> None:
    environment = parent != TEST_BASE
    settings = {
        "requirements": ["six==1.16.0", "iniconfig==2.0.0"],
        "python_package_installer": installer,
        # Once for each engine is enough: it does not depend on the rest.
        "apt_packages": ["tree"] if installer == "uv" and not environment else [],
    }
    build(engine, tag, tmp_path, settings, parent=parent)
    found = told(engine, tag, LOOK)
    assert found["versions"] == ["1.16.0", "2.0.0"]
    assert found["where"].startswith("/opt/venv/") is environment
    assert (found["prefix"] == "/opt/venv") is environment
    assert found["uv"] == [None]
    assert found["caches"] == []
    assert found["tmp"] == []
    assert found["apt"] == []
    assert bool(found["tree"]) is bool(settings["apt_packages"])


def test_uv_in_an_environment_without_pip(
    engine: Engine, new_tag: Callable[[str], str], tmp_path: Path
) -> None:
    parent, tag = new_tag("localhost"), new_tag("localhost")
    text = (
        f"FROM {TEST_BASE}\nRUN python -m venv --without-pip /opt/venv\n"
        "ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH\n"
    )
    build_text(engine, parent, text)
    build(engine, tag, tmp_path, {"requirements": ["six==1.16.0"]}, parent=parent)
    assert told(engine, tag, "import json, six; print(json.dumps(six.__file__))").startswith("/opt/venv/")


def test_an_installed_project(engine: Engine, tag: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
        "[project]\nname = 'cargo'\nversion = '1.2.3'\n[tool.setuptools]\npy-modules = ['cargo']\n"
    )
    (tmp_path / "cargo.py").write_text("weight = 42\n")
    command = "python -m pip install --no-cache-dir . && echo $((6 * 7)) > weight"
    build(engine, tag, tmp_path, {"local_project_install_command": command})
    found = told(
        engine,
        tag,
        "import os; os.chdir('/'); import cargo; print(cargo.weight + int(open('/app/weight').read()))",
    )
    assert found == 84


def test_requirements_with_markers_extras_and_constraints(engine: Engine, tag: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "-c constraints.txt\nsix ; python_version >= '3'\nno-such-package ; sys_platform == 'win32'\n"
    )
    (tmp_path / "constraints.txt").write_text("six==1.15.0\n")
    build(engine, tag, tmp_path, {"requirements": "requirements.txt"})
    assert told(engine, tag, "import json, six; print(json.dumps(six.__version__))") == "1.15.0"
