"""Run configurations: what is read, passed over and migrated, and what is wrong, with its line."""

from __future__ import annotations

import cProfile
import os
import pstats
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from executor.config.run_configuration import RunConfiguration
from executor.config.run_yaml import load_run_configuration, read_run_configuration
from executor.errors import ExecutorError
from planner import DockerSettings, Function, Output, Pipeline, Place, PlannerError, Step
from planner.settings.effective import settle
from planner.settings.plain import plain

NAMES: Final = "use a-z, A-Z, 0-9 and '_', after the first also '.' and '-', at most 100"
STEPS: Final = ("load", "train")


def read(text: str, root: Path = Path("/nowhere")) -> RunConfiguration:
    """The configuration that a text is, in a project at `root`."""
    return _written(text, root)


@pytest.fixture(autouse=True)
def _in_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _written(text: str, root: Path) -> RunConfiguration:
    Path("run.yaml").write_text(text, encoding="utf-8")
    return load_run_configuration(Path("run.yaml"), root)


def refused(text: str) -> list[str]:
    with pytest.raises(PlannerError) as error:
        read(text).over(Pipeline(name="p", steps=STEPS))
    return [f"{each.where}: {each.found}: {each.fix}" for each in error.value.problems]


def docker(text: str) -> dict[str, Any]:
    """What the settings of a pipeline come to, as plain data."""
    layer = read(text).layer
    assert layer is not None
    found: dict[str, Any] = plain(layer.settings)
    return found


def notes(text: str) -> list[str]:
    return [f"{note.code}: {note}" for note in read(text).notes]


def test_what_is_said_of_a_pipeline_and_of_its_steps_lies_over_what_they_say() -> None:
    found = read(
        "settings:\n  docker:\n    user: '1'\nsteps:\n  train:\n    settings:\n"
        "      docker: {apt_packages: [curl], environment: {B: true}}\n"
    )
    step = Step(name="train", settings=DockerSettings(apt_packages=["git"], environment={"A": "1"}))
    pipeline = found.over(Pipeline(name="p", steps=["load", step], settings=DockerSettings(user="0")))
    load, train = (settle(pipeline.layers(each)) for each in pipeline.steps)
    assert (load.user, train.user, train.apt_packages) == ("1", "1", ("curl",))
    assert {name: str(value) for name, value in train.environment.items()} == {"A": "1", "B": "True"}
    places = [str(layer.place(("user",))) for layer in pipeline.layers(step)]
    assert places[1] == "run.yaml:3: settings.docker.user"
    layer = pipeline.layers(pipeline.steps[1])[-1]
    assert str(layer.place(("environment", "B"))) == "run.yaml:7: steps.train.settings.docker.environment.B"


def test_a_problem_of_settled_settings_has_the_line_of_the_file() -> None:
    pipeline = read("settings:\n  docker:\n    skip_build: true\n").over(Pipeline(name="p", steps=STEPS))
    with pytest.raises(PlannerError, match=r"^run\.yaml:3: settings\.docker\.skip_build: no parent_image"):
        settle(pipeline.layers(pipeline.steps[0]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "settings:\n",
        "settings:\n  docker:\n",
        "steps:\n  train:\n",
        "settings: {}\nsteps: {}\n",
    ],
)
def test_what_says_nothing_changes_nothing(text: str) -> None:
    pipeline = Pipeline(name="p", steps=STEPS)
    found = read(text).over(pipeline)
    assert [step.own for step in found.steps] == [(), ()]
    assert settle(found.layers(found.steps[0])) == settle(pipeline.layers(pipeline.steps[0]))


def test_what_is_not_about_images_is_passed_over_with_one_note() -> None:
    assert notes(
        "enable_cache: false\nmodel: {name: m, setings: {}}\ncompliance: {a: 1}\nsettings:\n"
        "  resources: {gpu_count: 1}\n  orchestrator.vertex: {x: 1}\n  step_operator: {y: 2}\n"
        "steps:\n  train:\n    retry: {max_retries: 3}\n    settings: {orchestrator: {z: 1}}\n"
        "  load: {retry: {}}\n"
    ) == [
        ("passed-over: run.yaml: ignored, as not about images: enable_cache, model, compliance, "
        "settings.resources, settings.orchestrator.vertex, settings.step_operator; in steps: retry, "
        "settings.orchestrator")
    ]  # fmt: skip
    assert notes("settings: {docker: {user: '1'}}\n") == []


def test_the_build_that_is_asked_for() -> None:
    assert read("build: g1x2c3v4b5\n").build == "g1x2c3v4b5"
    # An id that YAML reads as a number is still an id.
    assert read("build: 0012\n").build == "0012"
    assert read("build: 1e10\n").build == "1e10"
    assert read("build: {id: x, images: {}}\n").build == {"id": "x", "images": {}}
    assert read("build:\n").build is None
    assert refused("build: [1]\n") == [
        "run.yaml:1: build: expected the id of a build, found a list: write an id"
    ]


def test_parameters_are_those_of_functions() -> None:
    found = read("parameters: {rate: 0.1, names: [a]}\nsteps:\n  train:\n    parameters: {n: 5, model: x}\n")
    assert found.parameters == {"rate": 0.1, "names": ("a",)}
    assert found.step_parameters == {"train": {"n": 5, "model": "x"}}
    train = Step(name="train", entrypoint=Function("m:train", {"n": 1, "data": Output("load")}))
    load = Step(name="load", entrypoint=Function("m:load"))
    pipeline, said = found.with_parameters(Pipeline(name="p", steps=[load, train]))
    function = pipeline.steps[1].entrypoint
    assert isinstance(function, Function)
    assert function.inputs == {"n": 5, "model": "x", "data": Output("load")}
    assert [note.text for note in said] == ["ignored, as no function takes them: parameters"]
    _, said = found.with_parameters(Pipeline(name="p", steps=STEPS))
    assert [note.text for note in said] == [
        "ignored, as no function takes them: parameters, steps.train.parameters"
    ]
    taken = read("steps:\n  train:\n    parameters:\n      data: 5\n")
    with pytest.raises(
        PlannerError, match=r"run\.yaml:4: steps\.train\.parameters\.data: is the output of load"
    ):
        taken.with_parameters(Pipeline(name="p", steps=[load, train]))


def test_a_step_operator_goes_over_that_of_the_code() -> None:
    pipeline = Pipeline(name="p", steps=["load", Step(name="train", step_operator="cpu")])
    for said, expected in (("gpu", "gpu"), ("true", True), ("false", False), ("null", "cpu"), ("~", "cpu")):
        found = read(f"steps: {{train: {{step_operator: {said}}}}}\n").over(pipeline)
        assert [step.step_operator for step in found.steps] == [None, expected]
    assert refused("steps: {train: {step_operator: a b}}\n") == [
        "run.yaml:1: steps.train.step_operator: not a name: 'a b': " + NAMES
    ]


def test_what_a_deployment_needs() -> None:
    found = read("settings:\n  deployment: {requirements: [fastapi], app_title: x}\n")
    pipeline = found.over(Pipeline(name="p", steps=STEPS, deployment={"apt_packages": ["git"]}))
    assert (pipeline.deployment.requirements, pipeline.deployment.apt_packages) == (("fastapi",), ("git",))
    assert "settings.deployment.app_title" in str(found.notes[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nsetings: {docker: {}}\n", "run.yaml:2: setings: unknown name: did you mean 'settings'?"),
        ("step: {}\n", "run.yaml:1: step: unknown name: did you mean 'steps'?"),
        ("docker: {user: x}\n", "run.yaml:1: docker: unknown name: write it inside settings"),
        ("settings.docker: {}\n", "run.yaml:1: settings.docker: unknown name: write docker inside settings"),
        ("requirements: [six]\n", "run.yaml:1: requirements: unknown name: write it inside settings.docker"),
        ("settings: {requirements: [six]}\n",
         "run.yaml:1: settings.requirements: unknown name: write it inside docker"),
        ("settings: {dockr: {}}\n", "run.yaml:1: settings.dockr: unknown name: did you mean 'docker'?"),
        ("settings:\n  docker:\n    requirement: [six]\n",
         "run.yaml:3: settings.docker.requirement: unknown name: did you mean 'requirements'?"),
        ("steps:\n  train:\n    setting: {}\n",
         "run.yaml:3: steps.train.setting: unknown name: did you mean 'settings'?"),
        ("steps:\n  train:\n    docker: {}\n",
         "run.yaml:3: steps.train.docker: unknown name: write it inside settings"),
        ("steps:\n  trian: {}\n", "run.yaml:2: steps.trian: no step 'trian' in p: did you mean 'train'?"),
        ("settings: [docker]\n", "run.yaml:1: settings: expected a table, found a list: write name: value"),
        ("- a\n", "run.yaml: expected a table, found a list: write name: value"),
        ("settings:\n  docker:\n    apt_packages:\n    - git\n    - curl; rm\n",
         ("run.yaml:5: settings.docker.apt_packages[1]: not an apt package: 'curl; rm': "
         "write one name, like 'libgomp1'; a list takes several")),
        ("settings:\n  docker:\n    user: 1000\n",
         "run.yaml:3: settings.docker.user: expected a string, found an integer: put it in quotes"),
        ("settings:\n  docker:\n    environment:\n      A:\n",
         "run.yaml:4: settings.docker.environment.A: expected a string, found nothing: put it in quotes"),
        ("settings:\n  docker:\n    build_options: {push: true}\n",
         ("run.yaml:3: settings.docker.build_config.build_options.push: stowplan sets this option itself: "
         "leave it out")),
        ("settings:\n  docker:\n    source_files: downlod\n",
         ("run.yaml:3: settings.docker.source_files: not one of download, download_or_include, ignore, "
         "include: did you mean 'download'?")),
        ("settings:\n  docker:\n    user: a\n    user: b\n",
         ("run.yaml:4: settings.docker.user: user is set twice, with different values: "
         "keep one of them")),
        ("settings:\n  deployment: {requirement: [six]}\n",
         "run.yaml:2: settings.deployment.requirement: unknown name: did you mean 'requirements'?"),
    ],
)  # fmt: skip
def test_what_is_wrong(text: str, expected: str) -> None:
    assert refused(text) == [expected]


def test_all_that_is_wrong_comes_at_once() -> None:
    assert [each.partition(": ")[0] for each in refused(
        "setings: {}\nsettings:\n  docker: {user: 5, requirement: x}\nsteps:\n  train:\n    settings:\n"
        "      docker:\n        apt_packages: git\n  load: 5\nparameters: x\n"
    )] == [
        "run.yaml:1", "run.yaml:3", "run.yaml:3", "run.yaml:8", "run.yaml:9", "run.yaml:10",
    ]  # fmt: skip


def test_a_name_that_stands_twice_in_what_is_passed_over_says_nothing() -> None:
    assert read("enable_cache: true\nmodel: {a: 1, a: 2}\nenable_cache: false\n").notes


MIGRATED: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "copy_files": (
        "copy_files: false",
        {"allow_including_files_in_images": False},
        ["copy_files is read as allow_including_files_in_images"],
    ),
    "copy_files and what replaced it": (
        "copy_files: true\n    allow_including_files_in_images: false",
        {"allow_including_files_in_images": False},
        ["copy_files is left out: allow_including_files_in_images says it"],
    ),
    "copy_files and source_files": (
        "copy_files: false\n    source_files: include",
        {
            "allow_download_from_code_repository": False,
            "allow_download_from_artifact_store": False,
            "allow_including_files_in_images": True,
        },
        [
            "copy_files is left out: source_files says it",
            (
                "source_files is read as allow_download_from_code_repository = false and "
                "allow_download_from_artifact_store = false and allow_including_files_in_images = true"
            ),
        ],
    ),
    "source_files and what replaced it": (
        "source_files: download\n    allow_including_files_in_images: true",
        {"allow_including_files_in_images": True},
        ["source_files is left out: settings that begin with allow_ say it"],
    ),
    "copy_global_config": (
        "copy_global_config: true",
        {},
        ["copy_global_config is left out: there is no global configuration to copy"],
    ),
    "required_hub_plugins": (
        "required_hub_plugins: [x]",
        {},
        ["required_hub_plugins is left out: there is no hub"],
    ),
    "build_options": (
        "build_options: {buildargs: {A: x}}",
        {"build_config": {"build_options": {"build_args": {"A": "x"}}}},
        ["build_options is read as build_config.build_options"],
    ),
    "build_options of a Dockerfile": (
        "dockerfile: Dockerfile\n    build_options: {target: x}",
        {"dockerfile": "Dockerfile", "parent_image_build_config": {"build_options": {"target": "x"}}},
        ["build_options is read as parent_image_build_config.build_options"],
    ),
    "dockerignore": (
        "dockerignore: a/.dockerignore\n    build_config: {build_options: {pull: true}}",
        {"build_config": {"build_options": {"pull": True}, "dockerignore": "a/.dockerignore"}},
        ["dockerignore is read as build_config.dockerignore"],
    ),
    "dockerignore and what replaced it": (
        "dockerignore: a\n    build_config: {dockerignore: b}",
        {"build_config": {"dockerignore": "b"}},
        ["dockerignore is left out: build_config says it"],
    ),
    "nothing": ("copy_files:\n    source_files: null\n    dockerignore: ~", {}, []),
}


@pytest.mark.parametrize("name", MIGRATED)
def test_a_deprecated_setting_is_migrated_with_a_note(name: str) -> None:
    table, expected, said = MIGRATED[name]
    text = f"settings:\n  docker:\n    {table}\n"
    assert docker(text) == expected
    found = read(text).notes
    assert [note.text for note in found] == said
    assert {note.code for note in found} <= {"deprecated"}
    assert all(note.where.line in {3, 4} for note in found)


def test_a_migrated_setting_has_the_line_of_what_was_written() -> None:
    layer = read("settings:\n  docker:\n    user: '1'\n    dockerignore: x\n    source_files: ignore\n").layer
    assert layer is not None
    assert layer.place(("build_config", "dockerignore")).line == 4
    assert layer.place(("allow_download_from_artifact_store",)).line == 5


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("requirements:", {"requirements": []}),
        ("replicate_local_python_environment: null", {"replicate_local_python_environment": False}),
        ("parent_image: null", {"parent_image": None}),
        ("apt_packages:", {}),
        ("required_integrations: ~", {}),
        ("environment:", {}),
        ("build_config: {build_options: null, dockerignore: null}", {"build_config": {}}),
        ("build_config:", {}),
        ("python_package_installer_args: {no-cache: null, system: null}",
         {"python_package_installer_args": {"no-cache": None, "system": None}}),
        ("python_package_installer: pip", {"python_package_installer": "pip"}),
    ],
)  # fmt: skip
def test_nothing_takes_back_what_the_reference_takes_back(table: str, expected: dict[str, Any]) -> None:
    assert docker(f"settings:\n  docker:\n    {table}\n") == expected


def test_numbers_and_booleans_become_text_and_a_note_says_what_is_not_as_it_is_written() -> None:
    text = (
        "settings:\n  docker:\n    environment:\n      A: 1\n      B: true\n      C: 1.10\n      D: on\n"
        "      E: False\n      F: 010\n      G: '010'\n      H: 2024-01-01\n      I: 1.5\n      J: 12:30:00\n"
    )
    assert docker(text)["environment"] == {
        "A": "1", "B": "True", "C": "1.1", "D": "True", "E": "False", "F": "8", "G": "010",
        "H": "2024-01-01", "I": "1.5", "J": "45000",
    }  # fmt: skip
    assert [(note.code, note.where.line, note.text.partition(":")[0]) for note in read(text).notes] == [
        ("yaml-value", 6, "YAML reads 1.10 as 1.1"),
        ("yaml-value", 7, "YAML reads on as True"),
        ("yaml-value", 9, "YAML reads 010 as 8"),
        ("yaml-value", 13, "YAML reads 12"),
    ]


def test_twice_the_steps_take_twice_the_calls() -> None:
    """By the calls that are made, of C functions too: a clock says something else each time."""
    one = "  s{}: {{settings: {{docker: {{user: '1', environment: {{A: 1.10}}, requirements: [six]}}}}}}\n"

    def calls(count: int) -> int:
        text = "steps:\n" + "".join(one.format(number) for number in range(count))
        profile = cProfile.Profile()
        profile.runcall(read_run_configuration, text, "run.yaml", Path("/project"))
        return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]

    few, more = calls(100), calls(200)
    assert more < 2.1 * few


def test_an_absolute_path_below_the_project_is_a_path_of_the_project(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "docker").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(root)
    for top in (root, link):
        text = (
            f"settings:\n  docker:\n    requirements: {top}/requirements.txt\n"
            f"    dockerfile: {top}/docker/Dockerfile\n"
            f"    build_context_root: {top}\n    pyproject_path: {top}/pyproject.toml\n"
            f"    build_config: {{dockerignore: {top}/.dockerignore}}\n"
            f"    parent_image_build_config: {{dockerignore: {top}/docker/../a}}\n"
        )
        found = read(text, top).layer
        assert found is not None
        assert plain(found.settings) == {
            "requirements": "requirements.txt", "dockerfile": "docker/Dockerfile", "build_context_root": ".",
            "pyproject_path": "pyproject.toml", "build_config": {"dockerignore": ".dockerignore"},
            "parent_image_build_config": {"dockerignore": "a"},
        }  # fmt: skip
    listed = f"settings:\n  docker:\n    requirements: ['-r {root}/a.txt', '{root}/b.txt', six, '-c c.txt']\n"
    assert plain(read(listed, root).layer.settings)["requirements"] == [  # type: ignore[union-attr]
        "-r a.txt", "b.txt", "six", "-c c.txt",
    ]  # fmt: skip
    # A path of another place is not the project's, and its setting says so.
    assert docker("settings:\n  docker:\n    requirements: /path/to/requirements.txt\n") == {
        "requirements": "/path/to/requirements.txt"
    }


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ExecutorError, match=r"^none\.yaml: does not exist"):
        load_run_configuration(Path("none.yaml"), Path())
    Path("large.yaml").write_text("a: 1\n" * 300_000, encoding="utf-8")
    with pytest.raises(ExecutorError, match=r"^large\.yaml: is larger than 1 MiB"):
        load_run_configuration(Path("large.yaml"), Path())
    Path("latin.yaml").write_bytes(b"a: caf\xe9\n")
    with pytest.raises(ExecutorError, match=r"^latin\.yaml: not UTF-8 at byte 6"):
        load_run_configuration(Path("latin.yaml"), Path())
    os.mkfifo("fifo.yaml")
    with pytest.raises(ExecutorError, match=r"^fifo\.yaml: is not a regular file"):
        load_run_configuration(Path("fifo.yaml"), Path())
    Path("marked.yaml").write_bytes(b"\xef\xbb\xbfbuild: x\n")
    assert load_run_configuration(Path("marked.yaml"), Path()).build == "x"


def test_settings_are_read_back_from_what_is_written_of_them() -> None:
    written = {
        "settings": {"docker": plain(DockerSettings(user="1000", environment={"A": "1.10", "B": "on"}))}
    }
    assert docker(yaml.safe_dump(written)) == {"user": "1000", "environment": {"A": "1.10", "B": "on"}}
    assert Place(file="run.yaml") in {note.where for note in read("tags: [x]\n").notes}
