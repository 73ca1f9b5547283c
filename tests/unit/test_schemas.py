"""JSON Schemas: of project files and run configurations as they are read, and of what `-o json` prints."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import tomlkit
import yaml
from jsonschema import Draft202012Validator

from executor.cli.main import run
from executor.config.project import load_project
from executor.library.texts import attribute_texts
from executor.schemas.known import SCHEMAS
from planner import DockerSettings
from planner.errors import PlannerError
from planner.settings.build_options import BuildOptions
from planner.settings.option_table import OPTIONS
from tests.e2e.pages import Page
from tests.schemas import wrong, wrong_output

ROOT: Final = Path(__file__).parents[2]
PROJECTS: Final = sorted((ROOT / "fixtures/projects").glob("*/stowplan.toml"))
CONFIGURATIONS: Final = sorted((ROOT / "fixtures/run_configurations").glob("*.yaml"))


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_names_itself(name: str) -> None:
    schema = SCHEMAS[name]()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].startswith(f"urn:stowplan:schema:{name}")
    assert json.loads(json.dumps(schema)) == schema


def _project_name(path: Path) -> str:
    return path.parent.name


@pytest.mark.parametrize("path", PROJECTS, ids=_project_name)
def test_the_schema_takes_each_fixture_project(path: Path) -> None:
    assert wrong("project", tomllib.loads(path.read_text("utf-8"))) == []


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_the_schema_takes_each_run_configuration(path: Path) -> None:
    assert wrong("run-configuration", yaml.safe_load(path.read_text("utf-8"))) == []


def test_the_schema_takes_each_project_of_the_pages() -> None:
    pages = [Page.read(path) for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]
    files = [each for page in pages for each in page.blocks if each.comments.get("file") == "stowplan.toml"]
    assert len(files) > 5
    for block in files:
        assert wrong("project", tomllib.loads(block.text)) == [], block.line


def test_each_example_of_the_reference_is_what_its_schema_says() -> None:
    page = Page.read(ROOT / "docs/reference.md")
    seen = set()
    for block in page.blocks:
        if block.language == "json":
            data = json.loads(block.text)
            name = data["schema"].split("/")[1]
            assert wrong_output(data) == [], f"line {block.line}"
            seen.add(name)
    assert seen == set(SCHEMAS) - {"project", "run-configuration"}


def test_each_key_that_is_printed_has_a_text() -> None:
    for name in set(SCHEMAS) - {"project", "run-configuration"}:
        schema = SCHEMAS[name]()
        for each in (schema, *schema.get("$defs", {}).values()):
            without = [key for key, said in each["properties"].items() if "description" not in said]
            assert without == [], name


def test_each_setting_has_the_text_below_it_and_its_default() -> None:
    settings = SCHEMAS["project"]()["$defs"]["DockerSettings"]["properties"]
    assert settings.keys() == set(DockerSettings.settable())
    assert all(each["description"] for each in settings.values())
    assert settings["user"]["description"] == attribute_texts(DockerSettings)["user"]
    assert settings["python_package_installer"]["enum"] == ["uv", "pip"]
    assert settings["python_package_installer"]["default"] == "uv"
    assert settings["skip_build"] == {
        "type": "boolean", "description": "Use `parent_image` as it is.", "default": False,
    }  # fmt: skip


def test_each_build_option_has_its_text_in_each_spelling() -> None:
    options = SCHEMAS["project"]()["$defs"]["BuildOptions"]["properties"]
    assert {*OPTIONS, *BuildOptions.settable()} <= options.keys()
    assert options["cpu-shares"]["description"] == options["cpu_shares"]["description"]
    assert {"shmsize", "shm-size", "shm_size"} <= options.keys()


DOCKER: Final = {"pipeline": {"p": {"steps": ["a"], "settings": {"docker": {}}}}}


def _with(table: Mapping[str, Any], **given: Any) -> dict[str, Any]:
    return {**table, **given}


def _docker(**settings: Any) -> dict[str, Any]:
    return {"pipeline": {"p": {"steps": ["a"], "settings": {"docker": settings}}}}


def _options(**options: Any) -> dict[str, Any]:
    return _docker(build_config={"build_options": options})


def _step(**step: Any) -> dict[str, Any]:
    return {"pipeline": {"p": {"steps": ["a"], "step": {"a": step}}}}


# Each is refused by the decoder for its shape.
REFUSED: Final[Mapping[str, Mapping[str, Any]]] = {
    "a table of another name": {"pipelines": {}},
    "a pipeline without steps": {"pipeline": {"p": {}}},
    "a pipeline that is a text": {"pipeline": {"p": "x"}},
    "a pipeline of another name": {"pipeline": {"a b": {"steps": ["a"]}}},
    "steps that are a text": {"pipeline": {"p": {"steps": "a"}}},
    "a step twice": {"pipeline": {"p": {"steps": ["a", "a"]}}},
    "steps that are tables": {"pipeline": {"p": {"steps": [{"name": "a"}]}}},
    "a pipeline in Python with steps": {"pipeline": {"p": {"source": "a:b", "steps": ["a"]}}},
    "a source without an object": {"pipeline": {"p": {"source": "a"}}},
    "settings of another kind": {"pipeline": {"p": {"steps": ["a"], "settings": {"dokcer": {}}}}},
    "a setting of another name": _docker(requirement=["six"]),
    "a setting that is no more": _docker(source_files="include"),
    "a truth as a text": _docker(skip_build="true"),
    "a list as a text": _docker(apt_packages="git"),
    "no name of a Debian package": _docker(apt_packages=["Git!"]),
    "a table as a list": _docker(environment=["A=1"]),
    "no name of a variable": _docker(environment={"A-B": "1"}),
    "a value that is a table": _docker(environment={"A": {"b": "1"}}),
    "no installer": _docker(python_package_installer="poetry"),
    "a path out of the project": _docker(dockerfile="../Dockerfile"),
    "an empty path": _docker(requirements=""),
    "a text of two lines": _docker(local_project_install_command="a\nb"),
    "no user": _docker(user="a b"),
    "a secret as a text": _docker(secrets={"a": "s3cr3t"}),
    "a secret of two places": _docker(secrets={"a": {"env": "A", "file": "b"}}),
    "a secret of no place": _docker(secrets={"a": {}}),
    "a version of 0": _docker(secrets={"a": {"env": "A", "version": 0}}),
    "an index without a name": _docker(package_indexes=[{"url": "https://a.example/simple"}]),
    "an index that is no URL": _docker(package_indexes=[{"name": "a", "url": "a.example"}]),
    "indexes as a table": _docker(package_indexes={"a": {}}),
    "an unknown option": _options(colour="red"),
    "an option that is refused": _options(squash=True),
    "an option of another type": _options(memory=True),
    "an option out of its range": _options(cpu_shares=1),
    "an option of another choice": _options(network="none of these"),
    "a build argument of ours": _options(build_args={"STOWPLAN_X": "1"}),
    "a label of ours": _options(labels={"dev.stowplan.hash": "1"}),
    "no platform": _options(platform="linux"),
    "limits that are none": _options(container_limits={"network": "host"}),
    "a step with both": _step(command="true", function="a:b"),
    "a step with inputs of none": _step(inputs={"a": "b"}),
    "an empty command": _step(command=[]),
    "a command of numbers": _step(command=[1]),
    "an input that is a table": _step(function="a:b", inputs={"a": {"x": 1}}),
    "a step of another name": _step(comand="true"),
    "a registry as a text": {"stack": {"s": {"container_registry": "localhost:5000"}}},
    "a registry without an address": {"stack": {"s": {"container_registry": {}}}},
    "a registry with a scheme": {"stack": {"s": {"container_registry": {"uri": "https://a.example"}}}},
    "a component of another kind": {"stack": {"s": {"orchestartor": {"flavor": "local"}}}},
    "a component as a text": {"stack": {"s": {"orchestrator": "local"}}},
    "a repository without an URL": {"code_repository": {"r": {"type": "github"}}},
    "a repository of another type": {"code_repository": {"r": {"type": "svn", "url": "https://a.example/r"}}},
    "an integration as a list": {"integration": {"i": ["six"]}},
    "a secret of the project": {"secret": {"a": {"value": "s3cr3t"}}},
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_for_its_shape_is_refused_by_the_schema(what: str, tmp_path: Path) -> None:
    (tmp_path / "stowplan.toml").write_text(tomlkit.dumps(REFUSED[what]), encoding="utf-8")
    with pytest.raises(PlannerError):
        load_project(tmp_path)
    assert wrong("project", REFUSED[what])


LOCAL: Final = {"flavor": "local"}
TAKEN: Final[Mapping[str, Mapping[str, Any]]] = {
    "nothing": {},
    "values of variables": _docker(environment={"A": 1, "B": True, "C": 1.5, "D": ""}),
    "requirements as a path": _docker(requirements="requirements.txt"),
    "requirements as a list": _docker(requirements=["six", "-r more.txt"]),
    "options of the installer": _docker(
        python_package_installer_args={"no_cache": True, "retries": 2, "x": ["a"]}
    ),
    "spellings of options": _options(
        buildargs={"A": "1"}, **{"cap-add": "NET_ADMIN"}, memory="1g", dns="10.0.0.1"
    ),
    "limits": _options(container_limits={"memory": "1g", "cpu-shares": "5"}, add_host={"a": "10.0.0.1"}),
    "flags": _options(force_rm=1, pull=True),
    "a command and a function": {
        "pipeline": {
            "p": {
                "steps": ["a", "b", "c"],
                "step": {
                    "a": {"function": "m:g"},
                    "c": {"command": "true"},
                    "b": {
                        "function": "m:f",
                        "inputs": {"x": "a", "y": 1, "z": {"value": {"k": 1}}},
                        "outputs": ["o"],
                    },
                },
            }
        }
    },
    "a pipeline in Python": {"pipeline": {"p": {"source": "päckage.module:größe"}}},
    "components": {"stack": {"s": {"orchestrator": LOCAL, "components": {"mine": LOCAL}}}},
    "how to replicate": _docker(replicate_local_python_environment="uv_freeze"),
    "a cache": _docker(python_package_installer_cache_mount="type=cache,target=/root/.cache/uv"),
}


@pytest.mark.parametrize("what", TAKEN)
def test_what_is_read_is_taken_by_the_schema(what: str, tmp_path: Path) -> None:
    (tmp_path / "stowplan.toml").write_text(tomlkit.dumps(TAKEN[what]), encoding="utf-8")
    load_project(tmp_path)
    assert wrong("project", TAKEN[what]) == []


PINNED: Final = f"python:3.11-slim@sha256:{'0' * 64}"
PROJECT: Final = f"""\
[pipeline.p]
steps = ["a"]
settings.docker = {{ parent_image = "{PINNED}", environment = {{ A = "1" }} }}
[pipeline.p.step.a]
command = "true"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "stowplan.toml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "a.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


PRINTING: Final = (
    ("lock",), ("plan",), ("show", "a"), ("show", "a", "--settings"), ("diff",), ("impact", "A"),
    ("lock", "--check"), ("builds", "list"), ("builds", "list", "--images"), ("runs", "list"),
    ("stack", "list"), ("stack", "show"), ("integrations", "list"), ("integrations", "show", "lightgbm"),
    ("why", "a", "six"), ("plan", "nowhere"),
)  # fmt: skip


@pytest.mark.usefixtures("project")
def test_what_is_printed_is_what_its_schema_says(capsys: pytest.CaptureFixture[str]) -> None:
    seen = set()
    for words in PRINTING:
        run([*words, "-o", "json"])
        data = json.loads(capsys.readouterr().out)
        name = data["schema"].split("/")[1]
        assert wrong_output(data) == [], words
        seen.add(name)
    assert len(seen) >= 13


def test_a_schema_is_printed_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "project"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMAS["project"]()
    assert run(["schema", "stowplan/plan/2"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMAS["plan"]()
    assert run(["schema"]) == 0
    assert capsys.readouterr().out.split() == list(SCHEMAS)


def test_a_name_of_no_schema_gets_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "projcet"]) == 64
    assert "did you mean 'project'?" in capsys.readouterr().err


def test_a_class_without_a_source_has_no_texts() -> None:
    made = type("Made", (), {})
    assert re.fullmatch(r"\{\}", str(dict(attribute_texts(made))))
