"""What a change of something would build: each kind of name, and settings as they really move layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from executor.cli.main import run
from planner import DockerSettings, Stack
from planner.compare.impact import Looked, Reach, Reading, impact, nearest_name
from planner.compare.layers import rebuilt_layers
from planner.compare.moved import first_moved, known_settings
from planner.integrations import Integration
from planner.planning import make_plan
from tests.builders import LOCAL, World, file, image_of, observed, pipeline_of, plan_of

WORLD: Final = World(
    texts={
        "requirements.txt": "-r more.txt\nalpha\n",
        "more.txt": "beta\n",
        ".dockerignore": "secret.txt\n",
        "Dockerfile": "FROM python:3.11-slim\nCOPY tool /tool\n",
        "pyproject.toml": '[project]\nname = "x"\nversion = "1"\ndependencies = ["delta"]\n',
    },
    entries=(file("train.py"), file("src/a.py"), file("tool")),
    variables={"HOME": "/home/me"},
    index={"alpha": {"1.0": ["gamma"]}, "gamma": {"2.0": []}},
)


def looked(
    table: Mapping[str, Any] | None = None,
    steps: Any = ("load", "train"),
    *,
    stack: Stack = LOCAL,
    world: World = WORLD,
    **fields: Any,
) -> Looked:
    pipeline = pipeline_of(table, steps)
    if fields:
        pipeline = type(pipeline)(
            name=pipeline.name, steps=pipeline.steps, settings=pipeline.settings, **fields
        )
    facts = observed(pipeline, stack, world)
    return Looked(pipeline, stack, make_plan(pipeline, stack, facts), facts)


def read(name: str, *plans: Looked, is_file: bool = False) -> Reading:
    (found,) = impact(name, plans, is_file=is_file)
    return found


def reached(name: str, *plans: Looked) -> Reach:
    (found,) = read(name, *plans).reaches
    return found


def words(reach: Reach) -> list[str]:
    return [each.text for each in reach.through]


def test_a_package_is_reached_through_what_requires_it() -> None:
    plan = looked({"requirements": "requirements.txt", "apt_packages": ["git"]})
    found = reached("Gamma", plan)
    assert read("Gamma", plan).name == "gamma"
    assert (found.image, found.steps) == ("training", ("load", "train"))
    assert words(found) == ["2.0, requirements needs alpha → gamma"]
    assert found.layers == ("requirements", "files")
    assert found.builds


def test_a_package_of_one_step_reaches_the_image_of_that_step() -> None:
    plan = looked({}, {"load": {}, "train": {"requirements": ["alpha"]}})
    found = reached("gamma", plan)
    assert (found.image, found.steps) == ("training/train", ("train",))


def test_a_debian_package_is_asked_for_by_settings_and_by_integrations() -> None:
    own = {"mine": Integration(apt_packages=["git"])}
    table = {"apt_packages": ["git=1:2"], "required_integrations": ["mine"]}
    found = reached("git", looked(table, integrations=own))
    assert words(found) == ["apt_packages needs it", "the integration mine needs it"]
    assert found.layers == ("apt packages", "files")


def test_a_file_is_copied_and_read() -> None:
    plan = looked({"requirements": "requirements.txt"})
    found = reached("./more.txt", plan)
    assert words(found) == [
        "is copied into the image", "is read as requirements, included by requirements.txt",
    ]  # fmt: skip
    assert found.layers == ("requirements", "files")
    assert words(reached("src", plan)) == ["has files that are copied into the image"]
    assert reached("src/a.py", plan).layers == ("files",)
    assert words(reached(".dockerignore", plan)) == ["says which files are copied into the image"]


def test_a_file_that_is_ignored_reaches_nothing() -> None:
    assert read("secret.txt", looked(), is_file=True).reaches == ()
    assert impact("secret.txt", [looked()]) == ()


def test_a_pyproject_is_read_as_requirements() -> None:
    table = {"pyproject_path": "pyproject.toml", "allow_including_files_in_images": False}
    found = reached("pyproject.toml", looked(table))
    assert (words(found), found.layers) == (["says what pyproject_path installs"], ("pyproject",))


def test_a_requirements_file_that_is_detected_is_read() -> None:
    found = reached("more.txt", looked({"disable_automatic_requirements_detection": False}))
    assert "is read as requirements, included by requirements.txt" in words(found)


def test_a_dockerfile_is_built_from_and_what_is_on_top_follows() -> None:
    table = {
        "dockerfile": "Dockerfile",
        "build_context_root": ".",
        "apt_packages": ["git"],
        "parent_image": None,
    }
    plan = looked(table)
    parent, child = read("Dockerfile", plan).reaches
    assert (words(parent), parent.layers) == (["is the Dockerfile that it is built from"], ("dockerfile",))
    assert words(child) == ["is copied into the image", f"is built on {parent.image}"]
    assert child.layers == ("apt packages", "files")
    # The context has it, and so has the image on top.
    parent, child = read("tool", plan).reaches
    assert (words(parent), parent.layers) == (["is copied by the Dockerfile"], ("dockerfile",))
    assert "is built on training-parent" in words(child) or child.layers == ("apt packages", "files")


def test_a_variable_is_set_and_taken() -> None:
    plan = looked(
        {"environment": {"A": "${HOME}"}, "runtime_environment": {"B": "1"}, "apt_packages": ["git"]}
    )
    found = reached("HOME", plan)
    assert words(found) == ["environment.A takes its value from the machine that plans"]
    assert found.layers == ("environment", "apt packages", "files", "runtime environment")
    found = reached("B", plan)
    assert (words(found), found.layers) == (["runtime_environment sets it"], ("runtime environment",))
    options = {"build_config": {"build_options": {"build_args": {"ARG_A": "1"}}}}
    found = reached("ARG_A", looked(options))
    assert (words(found), found.layers) == (["is a build argument"], ("files",))


@pytest.mark.parametrize("name", ["python:3.11-slim", "python", "docker.io/library/python:3.11-slim"])
def test_a_parent_image_is_below_all_layers(name: str) -> None:
    plan = looked({"apt_packages": ["git"]})
    assert read(name, plan).name == "python:3.11-slim"
    found = reached(name, plan)
    assert (words(found), found.layers) == (["is built on it"], ("apt packages", "files"))


def test_an_image_of_the_plan_is_a_parent_too() -> None:
    plan = looked({"dockerfile": "Dockerfile", "build_context_root": ".", "apt_packages": ["git"]})
    parent = plan.plan.images[0].name
    assert words(reached(parent, plan)) == ["is built on it"]
    below, above = read("python", plan).reaches
    assert (below.image, above.image) == (parent, "training")
    assert words(above) == [f"is built on {parent}"]


SECRET: Final = {"secrets": {"pypi": {"env": "PYPI_TOKEN"}}}


def test_a_secret_is_named_by_a_layer_and_its_value_builds_nothing() -> None:
    plan = looked({**SECRET, "local_project_install_command": "cat /run/secrets/pypi"})
    found = reached("pypi", plan)
    assert found.layers == ("project",)
    assert words(found) == ["the layer project reads it: a new version rebuilds it, a new value does not"]
    found = reached("PYPI_TOKEN", plan)
    assert (found.layers, found.builds) == ((), False)
    assert read("pypi", looked(SECRET)).reaches == ()


def test_an_index_has_packages_or_is_asked_for_all() -> None:
    url = "https://pypi.example.com/simple"
    table: dict[str, Any] = {"requirements": ["alpha"], "package_indexes": [{"name": "corp", "url": url}]}
    found = reached("corp", looked(table))
    assert (words(found), found.layers) == (["is asked for every package"], ("requirements", "files"))
    table["package_indexes"] = [{"name": "corp", "url": url, "packages": ["other-*"]}]
    assert words(reached("corp", looked(table))) == ["no package of the image is from it"]


def test_an_integration_is_named_by_settings_or_a_component() -> None:
    own = {"mine": Integration(requirements=["alpha"])}
    found = reached("mine", looked({"required_integrations": ["mine"]}, integrations=own))
    assert (words(found), found.layers) == (["required_integrations names it"], ("integrations", "files"))
    stack = Stack(components={"orchestrator": {"flavor": "mine"}})
    found = reached("mine", looked(integrations=own, stack=stack))
    assert (words(found), found.layers) == (
        ["is the flavor of the orchestrator of the stack default"], ("stack", "files"),
    )  # fmt: skip


def test_a_name_of_several_things_is_read_as_each() -> None:
    world = World(entries=(file("requirements"),))
    kinds = [each.kind for each in impact("requirements", [looked(world=world)])]
    assert kinds == ["file", "setting"]


def test_a_name_of_nothing_gets_advice_from_all_kinds() -> None:
    plan = looked({"requirements": ["alpha"]})
    assert impact("alfa", [plan]) == ()
    assert nearest_name("alfa", [plan]) == "did you mean 'alpha'?"
    assert nearest_name("src/b.py", [plan]) == "did you mean 'src/a.py'?"
    assert nearest_name("apt_package", [plan]) == "did you mean 'apt_packages'?"
    assert "a package, a file" in nearest_name("qqqqqqqqqqqq", [plan])


def test_a_setting_is_said_by_its_whole_name() -> None:
    plan = looked({"environment": {"A": "1"}})
    (found,) = impact("settings.docker.environment.A", [plan])
    assert (found.kind, found.name) == ("setting", "environment.A")
    assert not [each for each in impact("requirements.txt", [plan]) if each.kind == "setting"]


# For each setting what it is, what it becomes, and what else is set. Each is tried out below.
FULL: Final[Mapping[str, Any]] = {
    "environment": {"A": "1"},
    "apt_packages": ["git"],
    "pyproject_path": "pyproject.toml",
    "requirements": ["alpha"],
    "local_project_install_command": "true",
    "user": "1000",
    "runtime_environment": {"B": "1"},
}
DOCKERFILE: Final = {"dockerfile": "Dockerfile", "build_context_root": ".", "parent_image": None}
INDEX: Final = {"name": "corp", "url": "https://pypi.example.com/simple"}
OPTIONS: Final = "build_config.build_options"
CHANGES: Final[tuple[tuple[str, Any, Any, Mapping[str, Any]], ...]] = (
    ("parent_image", "python:3.11-slim", "python:3.12-slim", FULL),
    ("dockerfile", None, "Plain", FULL),
    ("build_context_root", None, ".", {**FULL, "dockerfile": "Plain", "parent_image": None}),
    ("parent_image_build_config", {}, {"build_options": {"labels": {"a": "b"}}}, {**FULL, **DOCKERFILE}),
    ("skip_build", False, True, {}),
    ("environment", {"A": "1"}, {"A": "2"}, FULL),
    ("apt_packages", ["git"], ["curl"], FULL),
    ("python_package_installer", "uv", "pip", FULL),
    ("python_package_installer_args", {}, {"no-cache": None}, FULL),
    ("package_indexes", [], [INDEX], FULL),
    ("python_version", "3.11", "3.12", FULL),
    ("prefer_own_requirements", False, True, FULL),
    ("replicate_local_python_environment", False, True, FULL),
    ("skip_local_packages", False, True, FULL),
    ("disable_automatic_requirements_detection", True, False, {}),
    ("pyproject_path", "pyproject.toml", "sub/pyproject.toml", FULL),
    ("pyproject_extras", [], ["x"], FULL),
    ("pyproject_groups", [], ["x"], FULL),
    ("pyproject_export_command", [], ["export"], FULL),
    ("requirements", ["alpha"], ["beta"], FULL),
    ("required_integrations", [], ["lightgbm"], FULL),
    ("install_stack_requirements", True, False, FULL),
    ("install_deployment_requirements", True, False, FULL),
    ("local_project_install_command", "true", "false", FULL),
    ("secrets", {}, {"pypi": {"env": "A"}}, FULL),
    ("user", "1000", "1001", FULL),
    ("writable_by_any_user", False, True, FULL),
    ("runtime_environment", {"B": "1"}, {"B": "2"}, FULL),
    ("allow_including_files_in_images", False, True, {"user": "1000", "apt_packages": ["git"]}),
    ("allow_download_from_code_repository", True, False, FULL),
    ("allow_download_from_artifact_store", True, False, FULL),
    ("image_tag", None, "1", FULL),
    ("prevent_build_reuse", False, True, FULL),
    ("target_repository", None, "x", FULL),
    ("python_package_installer_cache_mount", None, "/cache", FULL),
    ("machine_network", False, True, FULL),
    ("build_config", {}, {"build_options": {"platform": "linux/arm64"}}, FULL),
    ("build_config.dockerignore", None, "other.ignore", FULL),
    (f"{OPTIONS}.platform", None, "linux/arm64", FULL),
    (f"{OPTIONS}.build_args", {}, {"X": "1"}, FULL),
    (f"{OPTIONS}.labels", {}, {"x": "1"}, FULL),
    (f"{OPTIONS}.network", "default", "host", FULL),
    (f"{OPTIONS}.cache_from", [], ["x"], FULL),
    (f"{OPTIONS}.memory", None, "1g", FULL),
)  # fmt: skip
# What a setting can move and does not have to: packages that stay as they are, a stack without components.
UNMOVED: Final = {
    "build_context_root", "skip_build", "python_version",
    "package_indexes", "prefer_own_requirements", "skip_local_packages", "pyproject_extras",
    "pyproject_groups", "install_stack_requirements", "install_deployment_requirements", "secrets",
    "allow_download_from_code_repository", "allow_download_from_artifact_store", f"{OPTIONS}.network",
}  # fmt: skip
TRIED: Final = World(
    texts={
        **WORLD.texts,
        "Plain": "FROM python:3.11-slim\nRUN true\n",
        "other.ignore": "train.py\n",
        "sub/pyproject.toml": '[project]\nname = "y"\nversion = "1"\ndependencies = ["epsilon"]\n',
        "pyproject.toml": (
            '[project]\nname = "x"\nversion = "1"\ndependencies = ["delta"]\n'
            "[project.optional-dependencies]\nx = []\n[dependency-groups]\nx = []\n"
        ),
    },
    entries=WORLD.entries,
    programs={
        "export": "delta==2.0",
        "{python} -m pip --disable-pip-version-check freeze": "delta==1.0",
    },
)


def _nested(path: str, value: Any, table: Mapping[str, Any]) -> dict[str, Any]:
    name, _, rest = path.partition(".")
    below = table.get(name) or {}
    if not rest and value is None:
        return {key: item for key, item in table.items() if key != name}
    return {**table, name: _nested(rest, value, below) if rest else value}


@pytest.mark.parametrize(("path", "before", "after", "others"), CHANGES, ids=[each[0] for each in CHANGES])
def test_a_setting_moves_the_layers_that_are_said(
    path: str, before: Any, after: Any, others: Mapping[str, Any]
) -> None:
    old, new = (_nested(path, value, others) for value in (before, after))
    plan = looked(old, ("train",), world=TRIED)
    (reading,) = (each for each in impact(path, [plan]) if each.kind == "setting")
    image = plan.plan.image("train")
    changed = plan_of(new, world=TRIED).image("train")
    assert image is not None
    assert changed is not None
    (reach,) = (each for each in reading.reaches if each.steps)
    kept = rebuilt_layers(None, image)
    moved = tuple(layer for layer in rebuilt_layers(image, changed) if layer in kept)
    if path in UNMOVED:
        assert set(moved) <= set(reach.layers)
    else:
        assert reach.layers == moved
    assert reach.builds or image.hash == changed.hash


def test_each_setting_is_tried() -> None:
    tried = {path.partition(".")[0] for path, *_ in CHANGES}
    assert tried == set(DockerSettings.settable())
    assert all(first_moved(name.split(".")) or True for name in known_settings())


PROJECT: Final = """\
[pipeline.training]
steps = ["load", "train"]
[pipeline.training.settings.docker]
parent_image = "python:3.11-slim@sha256:{digest}"
environment.A = "1"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    text = PROJECT.replace("{digest}", "0" * 64)
    (tmp_path / "stowplan.toml").write_text(text, encoding="utf-8")
    (tmp_path / "train.py").write_text("print(1)\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_a_place_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["impact", "A"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "variable A",
        "  training (steps load, train)",
        "    environment sets it (stowplan.toml:5)",
        "    a change builds layers: environment, files",
        "",
        "A change builds 1 image.",
    ]


@pytest.mark.usefixtures("project")
def test_a_name_of_nothing_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["impact", "trian.py"]) == 64
    said = capsys.readouterr().err
    assert "nothing is called 'trian.py'" in said
    assert "did you mean 'train.py'?" in said


@pytest.mark.usefixtures("project")
def test_markdown_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["impact", "train.py", "-o", "markdown"]) == 0
    assert "| `training (steps load, train)` | is copied into the image | " in capsys.readouterr().out


def test_an_image_without_labels_is_built_anew_for_them() -> None:
    image = image_of({"apt_packages": ["git"]})
    found = reached(f"{OPTIONS}.labels", looked({"apt_packages": ["git"]}))
    assert (found.layers, found.builds) == ((), True)
    assert image.builds
