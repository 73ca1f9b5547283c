"""What settings take, what they refuse, how one layer lies over another, and what layers come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from planner import (
    BuildConfig,
    BuildOptions,
    DockerSettings,
    EnvTemplate,
    FrozenMapping,
    Place,
    PlannerError,
    PythonPackageInstaller,
)
from planner.settings.cache_mount import CacheMount
from planner.settings.checked import UNSET
from planner.settings.effective import Settings, settle
from planner.settings.package_indexes import PackageIndex
from planner.settings.written import WrittenSettings
from planner.values import build_argument

PIPELINE, STEP = Place(path=("pipeline",)), Place(path=("step",))


def problems(table: dict[Any, Any]) -> list[str]:
    """All that is wrong with a table of settings, as `place: what was found`."""
    with pytest.raises(PlannerError) as refused:
        DockerSettings.decode(table)
    return [f"{problem.where}: {problem.found}" for problem in refused.value.problems]


def settled(pipeline: dict[str, Any], step: dict[str, Any] | None = None) -> Settings:
    """What the settings of a pipeline and of one of its steps come to."""
    return settle((
        WrittenSettings(DockerSettings.decode(pipeline), PIPELINE),
        WrittenSettings(DockerSettings.decode(step or {}), STEP),
    ))  # fmt: skip


def together(pipeline: dict[str, Any], step: dict[str, Any] | None = None) -> list[str]:
    """All that is wrong with what settings come to, as `place: what was found`."""
    with pytest.raises(PlannerError) as refused:
        settled(pipeline, step)
    return [f"{problem.where}: {problem.found}" for problem in refused.value.problems]


def index_of(**given: Any) -> dict[str, Any]:
    """A package index with something else about it."""
    return {"name": "corp", "url": "https://pypi.corp/simple", **given}


# Every attribute of the reference, with what it may be.
ATTRIBUTES: dict[str, list[Any]] = {
    "parent_image": ["python:3.11-slim", "my_registry.io/image_name:tag", f"python@sha256:{'0' * 64}", None],
    "image_tag": ["1.0.0", "latest", None],
    "dockerfile": ["docker/Dockerfile", None],
    "build_context_root": ["docker", None],
    "parent_image_build_config": [{"build_options": {"buildargs": {"MY_ARG": "value"}}}, None],
    "skip_build": [False],
    "prevent_build_reuse": [True, False],
    "target_repository": ["my-custom-repo-name", "team/training", None],
    "python_package_installer": ["uv", "pip", PythonPackageInstaller.PIP],
    "python_package_installer_args": [{"timeout": 1000}, {"system": None}, {"break-system-packages": None},
    {}],
    "package_indexes": [
        [{"name": "cu126", "url": "https://download.pytorch.org/whl/cu126", "packages": ["torch", "nv-*"]}],
        [{"name": "corp", "url": "http://pypi.corp:8080/simple"}],
        [],
    ],
    "python_package_installer_cache_mount": ["/root/.cache/uv", "type=cache,target=/root/.cache/uv", None],
    "machine_network": [True, False],
    "disable_automatic_requirements_detection": [True, False],
    "replicate_local_python_environment": [True, False, "pip_freeze", "uv_freeze", "poetry_export",
    ["pip", "freeze"]],
    "skip_local_packages": [True, False],
    "pyproject_path": ["pyproject.toml", "sub/pyproject.toml", "pylock.toml", "sub/pylock.train.toml", None],
    "pyproject_extras": [["train"], []],
    "pyproject_groups": [["train", "Dev_1.0"], []],
    "pyproject_export_command": [["uv", "export", "--directory={directory}"], []],
    "python_version": ["3.11", "3.12.4"],
    "requirements": [["torch==1.12.0", "torchvision"], "requirements.txt", []],
    "required_integrations": [["pytorch", "evidently"], []],
    "install_stack_requirements": [True, False],
    "install_deployment_requirements": [True, False],
    "prefer_own_requirements": [True, False],
    "local_project_install_command": ["pip install . --no-deps", None],
    "apt_packages": [["git", "curl", "libsm6", "libxext6"], []],
    "environment": [{"PYTHONUNBUFFERED": "1", "API_KEY": "${GLOBAL_API_KEY}"}, {"EPOCHS": 3}, {}],
    "runtime_environment": [{"NO_PROXY": "localhost,127.0.0.1"}, {}],
    "secrets": [{"pypi": {"env": "PYPI_TOKEN"}, "netrc": {"file": "~/.netrc", "version": 2}}, {}],
    "user": ["non-root-user", "1000", "1000:1000", "app:staff", None],
    "writable_by_any_user": [True, False],
    "build_config": [{"dockerignore": "docker/.dockerignore"},
    {"build_options": {"platform": "linux/amd64"}}, {}],
    "allow_download_from_code_repository": [True, False],
    "allow_download_from_artifact_store": [True, False],
    "allow_including_files_in_images": [True, False],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in ATTRIBUTES.items() for value in values]
)
def test_every_attribute_of_the_reference_is_taken(name: str, value: Any) -> None:
    made = DockerSettings.decode({name: value})
    assert made == DockerSettings(**{name: value})
    assert made.given == (name,)


def test_no_attribute_is_left_out_of_the_test_above() -> None:
    assert list(ATTRIBUTES) == list(DockerSettings.settable())


def test_what_is_not_given_is_unset_and_has_the_reference_s_default() -> None:
    made = DockerSettings()
    assert {getattr(made, name) for name in ATTRIBUTES} == {UNSET}
    assert made.given == ()
    assert {name: made.value(name) for name in ATTRIBUTES} == {
        **dict.fromkeys(ATTRIBUTES),
        "skip_build": False,
        "prevent_build_reuse": False,
        "writable_by_any_user": False,
        "python_package_installer": PythonPackageInstaller.UV,
        "python_package_installer_args": {},
        "package_indexes": (),
        "machine_network": False,
        "prefer_own_requirements": False,
        "disable_automatic_requirements_detection": True,
        "replicate_local_python_environment": False,
        "skip_local_packages": False,
        "pyproject_extras": (),
        "pyproject_groups": (),
        "pyproject_export_command": (),
        "requirements": (),
        "required_integrations": (),
        "install_stack_requirements": True,
        "install_deployment_requirements": True,
        "apt_packages": (),
        "environment": {},
        "runtime_environment": {},
        "secrets": {},
        "build_config": BuildConfig(),
        "allow_download_from_code_repository": True,
        "allow_download_from_artifact_store": True,
        "allow_including_files_in_images": True,
    }
    assert not UNSET
    assert repr(made.user) == "UNSET"


def test_a_default_that_is_given_is_given() -> None:
    """It lies over what is below it; one that is not given does not."""
    assert DockerSettings(skip_build=False) != DockerSettings()
    assert DockerSettings(skip_build=False).given == ("skip_build",)


def test_all_problems_come_at_once_each_with_its_place() -> None:
    assert problems({
        "parent_image": "Python:3.11",
        "apt_packages": ["git", "curl; rm -rf /", 5],
        "environment": {"A B": "x", "OK": ["1"]},
        "skip_build": "false",
        "user": "a b",
        "python_package_installer": "conda",
        "requirement": ["six"],
        "build_config": {"build_options": {"push": True, "shm_size": "lots"}, "docker_ignore": "x"},
    }) == [
        "requirement: unknown name",
        "parent_image: not an image reference: 'Python:3.11' (a repository is written in lower case)",
        "skip_build: expected true or false, found a string",
        "python_package_installer: not one of uv, pip: 'conda'",
        "apt_packages[1]: not an apt package: 'curl; rm -rf /'",
        "apt_packages[2]: expected a string, found an integer",
        "environment.A B: not the name of an environment variable: 'A B'",
        "environment.OK: expected a string, found a list",
        "user: not a user: 'a b'",
        "build_config.docker_ignore: unknown name",
        "build_config.build_options.push: stowplan sets this option itself",
        "build_config.build_options.shm_size: not a size: 'lots'",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("requirement", "did you mean 'requirements'?"),
        ("apt-packages", "did you mean 'apt_packages'?"),
        ("Parent_Image", "did you mean 'parent_image'?"),
        ("image_tags", "did you mean 'image_tag'?"),
    ],
)
def test_a_name_that_is_nearly_right_gets_advice(name: str, advice: str) -> None:
    with pytest.raises(PlannerError) as refused:
        DockerSettings.decode({name: []})
    assert [problem.fix for problem in refused.value.problems] == [advice]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("build_options", "write it inside build_config: build_config = { build_options = { … } }"),
        ("copy_files", "use allow_including_files_in_images"),
        ("copy_global_config", "leave it out: there is no global configuration to copy"),
        ("dockerignore", 'write it inside build_config: build_config = { dockerignore = "…" }'),
        ("required_hub_plugins", "leave it out: list their packages in requirements"),
        (
            "source_files",
            (
                "use allow_download_from_code_repository, allow_download_from_artifact_store and "
                "allow_including_files_in_images"
            ),
        ),
    ],
)
def test_a_deprecated_name_says_what_is_used_now(name: str, advice: str) -> None:
    with pytest.raises(PlannerError) as refused:
        DockerSettings.decode({name: "x", "user": "1"})
    (problem,) = refused.value.problems
    assert str(problem) == f"{name}: is not a setting any more: {advice}"


@pytest.mark.parametrize(
    ("value", "written"),
    [(3, "3"), (True, "True"), (False, "False"), (1.5, "1.5"), (-0.1, "-0.1"), (10**20, "1" + "0" * 20)],
)
def test_numbers_and_booleans_of_an_environment_become_text(value: object, written: str) -> None:
    """Unquoted in TOML and YAML, as real configurations have them; the text is Python's."""
    given = {"environment": {"A": value, "B": "x"}, "runtime_environment": {"A": value}}
    assert DockerSettings.decode(given) == DockerSettings(
        environment={"A": written, "B": "x"}, runtime_environment={"A": written}
    )


def test_a_cache_mount_is_a_path_or_a_mount_specification() -> None:
    assert CacheMount.parse("/root/.cache/uv") == CacheMount("/root/.cache/uv")
    whole = "type=cache,target=/c,id=uv,sharing=locked"
    assert CacheMount.parse(whole) == CacheMount("/c", "uv", "locked")
    assert CacheMount.parse("type=cache,target=/c,gid=0,uid=1000") == CacheMount("/c", uid="1000", gid="0")
    assert CacheMount.parse("dst=/c,type=cache") == CacheMount.parse("type=cache,destination=/c")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("cache", "not an absolute path: 'cache'"),
        ("/a b", "not an absolute path: '/a b'"),
        ("type=cache", "no target"),
        ("target=/c", "a mount of type bind, not cache"),
        ("type=secret,target=/c", "a mount of type secret, not cache"),
        ("type=cache,target=c", "not an absolute path: 'c'"),
        ("type=cache,target=/c,sharing=all", "'sharing=all' is not an option of a cache"),
        ("type=cache,target=/c,uid=runner", "'uid=runner' is not an option of a cache"),
        ("type=cache,target=/c,from=x", "'from=x' is not an option of a cache"),
        ("type=cache,target=/c,mode=$(id)", "'mode=$(id)' is not an option of a cache"),
        ("type=cache,,target=/c", "'' is not an option of a cache"),
    ],
)
def test_what_is_no_cache_mount(value: str, found: str) -> None:
    (problem,) = problems({"python_package_installer_cache_mount": value})
    assert problem.startswith(f"python_package_installer_cache_mount: {found}")


def test_a_name_that_is_near_nothing_gets_all_names() -> None:
    with pytest.raises(PlannerError) as refused:
        DockerSettings.decode({"xyzzy": 1})
    (problem,) = refused.value.problems
    assert problem.fix.startswith("known names: allow_download_from_artifact_store, ")


def test_a_key_that_is_no_string_is_a_problem_and_not_a_crash() -> None:
    """YAML reads `on: 1` as `{True: 1}`."""
    assert problems({True: 1}) == ["True: unknown name"]
    assert problems({"environment": {1: "a", "B": "b"}}) == [
        "environment.1: expected a string, found an integer"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("skip_build", "false"), ("skip_build", 0), ("skip_build", None), ("apt_packages", "git"),
        ("apt_packages", {"git": "1"}), ("environment", ["A=1"]), ("environment", "A=1"),
        ("environment", {"A": None}),
        ("environment", {"A": {}}), ("requirements", {"six": "1"}), ("requirements", [1]),
        ("requirements", None),
        ("user", 1000), ("parent_image", 3.11), ("image_tag", 1.0), ("build_config", []),
        ("build_config", "x"),
        ("python_package_installer_args", {"a": False}), ("python_package_installer_args", {"a": 1.5}),
        ("python_package_installer_args", {"a": {"b": "c"}}),
        ("python_package_installer_args", {"a": [None]}),
        ("python_package_installer_args", {"a": [True]}), ("python_package_installer_args", {"a": [["b"]]}),
        ("python_package_installer", None), ("apt_packages", None),
        ("replicate_local_python_environment", "freeze"),
        ("python_package_installer_cache_mount", True),
        ("pyproject_path", "requirements.txt"), ("pyproject_path", "../pyproject.toml"),
        ("pyproject_path", "setup.toml"), ("pyproject_groups", ["-x"]), ("pyproject_extras", ["a b"]),
        ("pyproject_export_command", "uv export"),
        ("package_indexes", ["torch"]), ("package_indexes", "https://example.com"),
        ("package_indexes", [index_of(url=["https://example.com"])]),
        ("package_indexes", [index_of(packages="torch")]), ("package_indexes", [index_of(packages=[1])]),
    ],
)  # fmt: skip
def test_nothing_is_coerced(name: str, value: Any) -> None:
    (problem,) = problems({name: value})
    assert problem.startswith(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("apt_packages", ["curl; rm -rf /"]), ("apt_packages", ["git\n"]), ("apt_packages", ["-y"]),
        ("apt_packages", ["$(id)"]), ("apt_packages", ["git curl"]), ("apt_packages", ["vim-"]),
        ("apt_packages", [""]),
        ("apt_packages", ["git=1;id"]), ("user", "root;id"), ("user", "$USER"), ("user", "a:b:c"),
        ("user", ""),
        ("user", "root\n"), ("user", "-x"), ("image_tag", "a b"), ("image_tag", "-x"),
        ("image_tag", "x" * 129),
        ("target_repository", "Team/X"), ("target_repository", "../x"), ("target_repository", "x:1"),
        ("environment", {"A": "x\nRUN evil"}), ("environment", {"A": "x\0"}), ("environment", {"A\n": "x"}),
        ("environment", {"1A": "x"}), ("environment", {"A": "\ud800"}),
        ("local_project_install_command", "a\nb"),
        ("requirements", "../requirements.txt"), ("requirements", "a/../../b"), ("requirements", ""),
        ("parent_image", "python:3.11\nRUN evil"), ("parent_image", ""), ("parent_image", "--platform=x"),
        ("python_package_installer_cache_mount", "cache"), ("python_package_installer_args", {"--x": "1"}),
        ("python_package_installer_args", {"x y": "1"}),
        ("python_package_installer_args", {"extra_index_url": "https://user:pw@example.com/simple"}),
        ("package_indexes", [index_of(url="wheels")]), ("package_indexes", [index_of(url="file:///wheels")]),
        ("package_indexes", [index_of(url="https://example.com/a b")]),
        ("package_indexes", [index_of(name="a=b")]), ("package_indexes", [index_of(name="a b")]),
        ("package_indexes", [index_of(packages=["torch,six"])]),
        ("package_indexes", [index_of(packages=["six --index-url=https://example.com"])]),
        ("package_indexes", [index_of(url="https://user:pw@example.com/simple")]),
    ],
)  # fmt: skip
def test_text_that_would_reach_a_shell_or_a_dockerfile_is_matched_whole(name: str, value: Any) -> None:
    (problem,) = problems({name: value})
    assert problem.startswith(name)
    assert "pw" not in problem


@pytest.mark.parametrize(
    ("value", "found"),
    [
        # What the setting was in an earlier version of this release.
        ({"torch": "https://x"}, "package_indexes: expected a list of tables, found a table"),
        ([{"url": "https://x"}], "package_indexes[0].name: is not given"),
        ([{"name": "x"}], "package_indexes[0].url: is not given"),
        ([{"name": "x", "url": "https://x", "package": []}], "package_indexes[0].package: unknown name"),
        ([index_of(name="a.b"), index_of(name="A-B")], "package_indexes: two indexes have the name a.b"),
    ],
    ids=str,
)
def test_an_index_says_its_name_and_its_url(value: Any, found: str) -> None:
    assert found in problems({"package_indexes": value})


def test_a_mapping_of_indexes_is_told_how_a_list_is_written() -> None:
    with pytest.raises(PlannerError, match=r'\[\{ name = "corp", url = "https://[^"]*", packages = '):
        DockerSettings.decode({"package_indexes": {"torch": "https://x"}})


def test_the_secret_of_an_index_is_declared_and_the_only_one_of_its_host() -> None:
    secrets = {"pypi": {"env": "PYPI"}, "other": {"env": "OTHER"}}
    mine = index_of(secret="pypi")
    assert settled({"package_indexes": [mine, index_of(name="b", secret="pypi")], "secrets": secrets})
    assert together(
        {"package_indexes": [index_of(), index_of(name="b", secret="pipy")], "secrets": secrets}
    ) == ["pipeline.package_indexes[1].secret: the secret pipy is not declared"]
    second = index_of(name="b", url="http://PYPI.corp:8080/", secret="other")
    assert together({"package_indexes": [mine, second], "secrets": secrets}) == [
        "pipeline.package_indexes[1].secret: pypi.corp has the secret pypi already, for the index corp"
    ]


@pytest.mark.parametrize(
    ("pattern", "names", "others"),
    [
        ("corp-*", ["corp-", "corp-a", "corp-a-b"], ["corp", "a-corp-b", "xcorp-a"]),
        ("Corp_Utils", ["corp-utils"], ["corp-utils-2", "corp"]),
        ("*", ["a"], []),
        ("*-corp", ["a-corp", "-corp"], ["corp", "a-corp-b"]),
        ("a*b*c", ["abc", "axbxc", "abbcc"], ["ab", "ac", "acb", "abcd"]),
        ("a*a", ["aa", "aba"], ["a"]),
        ("**a", ["a", "ba"], ["b"]),
    ],
)
def test_a_pattern_stands_for_names(pattern: str, names: list[str], others: list[str]) -> None:
    index = PackageIndex(name="x", url="https://x", packages=[pattern])
    assert [each for each in (*names, *others) if index.has(each)] == names


def test_a_pattern_is_looked_for_in_linear_time() -> None:
    index = PackageIndex(name="x", url="https://x", packages=["a*" * 200 + "b"])
    assert not index.has("a" * 20_000)


@pytest.mark.parametrize(
    ("where", "table"),
    [
        (
            "python_package_installer_args.index-strategy",
            {"python_package_installer_args": {"index_strategy": "unsafe-best-match"}},
        ),
        ("environment.UV_INDEX_STRATEGY", {"environment": {"UV_INDEX_STRATEGY": "unsafe-first-match"}}),
    ],
)
def test_no_strategy_looks_elsewhere_for_what_is_limited_to_an_index(where: str, table: Any) -> None:
    limited = {"package_indexes": [index_of(packages=["corp-*"])], **table}
    found = "looks for packages in other indexes, too, that are from the index corp alone"
    assert together(limited) == [f"pipeline.{where}: {found}"]
    assert settled({"package_indexes": [index_of()], **table}).package_indexes


def test_what_could_not_work_together_is_refused() -> None:
    assert together({"skip_build": True}) == ["pipeline.skip_build: no parent_image to use as it is"]
    assert together({"local_project_install_command": "make", "allow_including_files_in_images": False}) == [
        "pipeline.local_project_install_command: the files it would install are not in the image"
    ]
    assert together({"build_config": {"build_options": {"target": "dev"}}}) == [
        "pipeline.build_config.build_options.target: only a custom Dockerfile has stages"
    ]
    assert settled({"skip_build": True, "parent_image": "python:3.11"}).skip_build


@pytest.mark.parametrize("name", ["torch-backend", "torch_backend"])
def test_a_backend_of_torch_is_one_that_every_machine_means(name: str) -> None:
    where = "pipeline.python_package_installer_args.torch-backend"
    arguments = {"python_package_installer_args": {name: "auto"}}
    assert together(arguments) == [f"{where}: auto is what the machine has that writes the lock"]
    assert together({"environment": {"UV_TORCH_BACKEND": "auto"}}) == [
        "pipeline.environment.UV_TORCH_BACKEND: auto is what the machine has that writes the lock"
    ]
    arguments = {"python_package_installer_args": {name: "cu126"}}
    assert together({**arguments, "python_package_installer": "pip"}) == [f"{where}: pip has no such option"]
    assert settled(arguments).installer_arguments == {"torch-backend": "cu126"}


def test_a_layer_may_only_make_sense_over_others() -> None:
    skip = {"skip_build": True}
    assert DockerSettings.decode(skip).skip_build
    assert settled(skip, {"parent_image": "python:3.11"}).skip_build
    assert settled({"parent_image": "python:3.11"}, skip).skip_build
    # What is wrong by itself is wrong in a layer, too.
    assert problems({"skip_build": 1}) == ["skip_build: expected true or false, found an integer"]


# --- the cascade ----------------------------------------------------------------------------------------


def test_lists_replace() -> None:
    lower = DockerSettings(apt_packages=["git"], requirements=["six"])
    upper = DockerSettings(apt_packages=["curl"], requirements="requirements.txt")
    assert upper.over(lower).apt_packages == ("curl",)
    assert upper.over(lower).requirements == "requirements.txt"
    assert lower.over(upper).requirements == ("six",)


def test_mappings_and_tables_merge() -> None:
    lower = DockerSettings(
        environment={"A": "1", "B": "1"},
        build_config={"build_options": {"labels": {"a": "1"}, "pull": True}, "dockerignore": "x"},
    )
    upper = DockerSettings(
        environment={"B": "2", "C": "2"},
        build_config={"build_options": {"labels": {"b": "2"}, "network": "host"}},
    )
    made = upper.over(lower)
    assert made.environment == {"A": "1", "B": "2", "C": "2"}
    assert isinstance(made.build_config, BuildConfig)
    assert made.build_config.dockerignore == "x"
    assert made.build_config.build_options == BuildOptions(
        labels={"a": "1", "b": "2"}, pull=True, other={"network": "host"}
    )


@pytest.mark.parametrize(
    ("name", "lower", "empty"),
    [
        ("apt_packages", ["git"], ()), ("requirements", ["six"], ()), ("environment", {"A": "1"}, {}),
        ("runtime_environment", {"A": "1"}, {}), ("user", "1000", None), ("image_tag", "1", None),
        ("local_project_install_command", "make", None), ("prevent_build_reuse", True, False),
        ("python_package_installer_args", {"a": "1"}, {}),
    ],
)  # fmt: skip
def test_an_explicit_empty_value_replaces_what_is_below_it(name: str, lower: Any, empty: Any) -> None:
    below = DockerSettings(**{name: lower})
    assert getattr(DockerSettings(**{name: empty}).over(below), name) == empty
    assert DockerSettings().over(below) == below


def test_what_was_given_is_remembered_through_the_cascade() -> None:
    made = DockerSettings(user=None).over(DockerSettings(apt_packages=["git"]))
    assert set(made.given) == {"user", "apt_packages"}


@pytest.mark.parametrize(
    ("path", "gives"),
    [
        (("user",), True),
        (("image_tag",), False),
        (("environment",), True),
        (("environment", "A"), True),
        (("environment", "B"), False),
        (("apt_packages", 1), True),
        (("build_config", "build_options"), True),
        (("build_config", "build_options", "labels", "a"), True),
        (("build_config", "build_options", "labels", "b"), False),
        (("build_config", "build_options", "pull"), False),
        (("build_config", "dockerignore"), False),
        (("no", "such", "setting"), False),
        ((), False),
    ],
)
def test_a_layer_knows_what_it_wrote(path: tuple[str | int, ...], gives: bool) -> None:
    layer = DockerSettings(
        user=None,
        environment={"A": "1"},
        apt_packages=["git"],
        build_config={"build_options": {"labels": {"a": "1"}}},
    )
    assert layer.gives(path) is gives


def test_a_problem_stands_at_the_layer_that_wrote_what_is_wrong() -> None:
    """Of two variables of one table, one can be the pipeline's and one the step's."""
    one, two = build_argument("ONE"), build_argument("TWO")
    assert together(
        {"environment": {"KEY": "${ONE}", two: "x"}}, {"environment": {"OTHER": "${TWO}", one: "x"}}
    ) == [
        f"pipeline.environment.{two}: stowplan carries the value of TWO by this name",
        f"step.environment.{one}: stowplan carries the value of ONE by this name",
    ]
    assert together({"requirements": ["-e ."]}, {"user": "1"}) == [
        "pipeline.requirements[0]: the local package '-e .'"
    ]
    # What a step makes of its pipeline's settings is the step's problem.
    assert together({"parent_image": "python:3.11", "skip_build": True}, {"parent_image": None}) == [
        "pipeline.skip_build: no parent_image to use as it is"
    ]
    assert together({"parent_image": None}, {"skip_build": True}) == [
        "step.skip_build: no parent_image to use as it is"
    ]


def test_all_problems_of_what_layers_come_to_come_at_once() -> None:
    assert together(
        {"skip_build": True, "requirements": ["six==", "attrs"]},
        {"dockerfile": "Dockerfile", "build_config": {"build_options": {"target": "x"}}},
    ) == [
        "pipeline.skip_build: no parent_image to use as it is",
        "step.build_config.build_options.target: only a custom Dockerfile has stages",
        "pipeline.requirements[0]: 'six==' is not a requirement",
    ]


def test_equal_meanings_are_equal_whatever_layers_they_come_from() -> None:
    whole = {"apt_packages": ["git", "curl"], "environment": {"A": "1", "B": "2"}, "skip_build": False}
    parts = {"apt_packages": ["vim"], "environment": {"A": "1"}}
    rest = {"apt_packages": ["curl", "git", "git"], "environment": {"B": "2"}, "image_tag": None}
    assert settled(whole) == settled(parts, rest)
    assert hash(settled(whole)) == hash(settled(parts, rest))
    assert settled(whole) != settled(parts)


def test_what_settings_come_to_has_a_value_for_all() -> None:
    made = settled(
        {
            "environment": {"A": "x-${T}"},
            "runtime_environment": {"B": "${T}${U}"},
            "build_config": {"dockerignore": "x"},
        }
    )
    assert UNSET not in attrs.astuple(made, recurse=False)
    assert made.parent_image is None
    assert made.environment == {"A": EnvTemplate("x-${T}")}
    assert made.dockerignore == "x"
    assert made.includes_files
    assert made.installer is PythonPackageInstaller.UV
    assert set(made.variables) == {"T", "U"}
    # Each variable with a setting that refers to it.
    assert made.variables["U"] == ("runtime_environment", "B")


# --- values ---------------------------------------------------------------------------------------------


def test_settings_are_frozen_all_the_way_down() -> None:
    args = {"a": ["b"]}
    made = DockerSettings(environment={"A": "1"}, python_package_installer_args=args, apt_packages=["git"])
    args["a"].append("c")
    assert made.python_package_installer_args == {"a": ("b",)}
    assert isinstance(made.environment, FrozenMapping)
    assert hash(made) == hash(
        DockerSettings(
            environment={"A": "1"}, python_package_installer_args={"a": ["b"]}, apt_packages=["git"]
        )
    )
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.user = "root"  # type: ignore[misc]


def test_a_bare_flag_is_none_or_true() -> None:
    """TOML has no null."""
    none, true = (DockerSettings(python_package_installer_args={"no-deps": value}) for value in (None, True))
    assert none == true
    flag, written = (BuildOptions(tuning={"http_proxy": value}) for value in (None, True))
    assert flag == written


def test_the_options_of_a_build_have_two_spellings() -> None:
    ours = BuildOptions(build_args={"A": "1"}, cache_from=["python"], no_cache=True, shm_size="1g")
    theirs = BuildOptions.decode(
        {"buildargs": {"A": "1"}, "cachefrom": ["python"], "nocache": True, "shmsize": "1g"}
    )
    dashed = BuildOptions.decode(
        {"build-args": {"A": "1"}, "cache-from": ["python"], "no-cache": True, "shm-size": "1g"}
    )
    assert ours == theirs == dashed


def test_one_option_in_two_spellings_is_a_problem() -> None:
    with pytest.raises(PlannerError, match="nocache: no_cache is given twice"):
        BuildOptions.decode({"no_cache": True, "nocache": True})


def test_an_option_without_a_field_is_taken_by_its_name() -> None:
    made = BuildOptions.decode(
        {"network": "host", "add-host": ["b:10.0.0.2", "a:10.0.0.1"], "ulimits": {"nofile": 9}, "jobs": 2}
    )
    assert made.other == {"network": "host", "add_host": ("a:10.0.0.1", "b:10.0.0.2")}
    assert made.tuning == {"ulimit": ("nofile=9:9",), "jobs": 2}
    assert made.by_name == {**made.other, **made.tuning}
    assert made.given == ("other", "tuning")


@pytest.mark.parametrize(
    "given",
    [
        {"other": {"network": "host", "jobs": 2}},
        {"tuning": {"network": "host", "jobs": 2}},
        {"other": {"network": "host"}, "jobs": "2"},
        {"tuning": {"jobs": 2}, "network-mode": "host"},
    ],
)
def test_decoding_puts_each_option_where_it_belongs(given: dict[str, Any]) -> None:
    assert BuildOptions.decode(given) == BuildOptions(other={"network": "host"}, tuning={"jobs": 2})


def test_options_by_name_in_the_cascade() -> None:
    lower = BuildOptions.decode({"network": "host", "jobs": 2, "memory": "1g"})
    upper = BuildOptions.decode({"network": "default", "jobs": 3})
    made = upper.over(lower)
    assert (made.other, made.tuning) == ({"network": "default"}, {"jobs": 3, "memory": 1 << 30})
    # A network that is the default asks for nothing.
    assert made.by_name == {"jobs": 3, "memory": 1 << 30}
    assert made.counted == {}
    assert BuildOptions.decode({"other": {}}).over(lower).by_name == {"jobs": 2, "memory": 1 << 30}
    # Only for what it holds, and not also the table that it happens to be written in.
    assert BuildOptions.decode({"other": {"jobs": 3}}).over(lower).other == {"network": "host"}


# What a build option that is refused says of itself, and what to do. REVIEW B5: all of these were passed on.
REFUSALS: dict[str, tuple[Any, str, str]] = {
    "env": ("GIT_SHA", "changes variables of the image", "environment or runtime_environment"),
    "volume": ("/host:/x", "reads what only the machine that builds has", "into the project"),
    "v": ("/host:/x", "reads what only the machine that builds has", "into the project"),
    "build-context": ("a=/x", "reads what only the machine that builds has", "into the project"),
    "device": ("/dev/kvm", "reads what only the machine that builds has", "into the project"),
    "secret": ("id=token", "has a setting of its own", "use secrets, beside build_config"),
    "ssh": ("default", "there is no agent in a build", "use secrets, beside build_config, for the key"),
    "help": (True, "builds nothing", "leave it out"),
    "print": ("targets", "builds nothing", "leave it out"),
    "check": (True, "builds nothing", "leave it out"),
    "call": ("outline", "builds nothing", "leave it out"),
    "label": ("dev.stowplan.image=x", "unseen by its plan", "use labels"),
    "annotation": ("a=b", "unseen by its plan", "use labels"),
    "build_arg": ("A=1", "has a field of its own", "use build_args"),
    "build-arg": ("A=1", "has a field of its own", "use build_args"),
    "timestamp": (0, "stowplan sets this option itself", "leave it out"),
    "iidfile": ("id", "stowplan sets this option itself", "leave it out"),
    "quiet": (True, "stowplan sets this option itself", "leave it out"),
    "squash": (True, "makes one layer of all", "each setting makes one layer"),
    "from": ("python", "has a setting of its own", "use parent_image"),
    "arch": ("arm64", "an image has one platform", "use platform"),
    "cache_to": ("type=inline", "somewhere else", "cache_from"),
    "nocach": (True, "unknown build option 'nocach'", "did you mean 'no_cache'?"),
    "memmory": ("1g", "unknown build option 'memmory'", "did you mean 'memory'?"),
    "no_such_option": ("x", "unknown build option 'no_such_option'", ""),
    "xyz": ("x", "unknown build option 'xyz'", "see the build options of the reference"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_the_list_of_build_options_is_closed(name: str) -> None:
    value, found, fix = REFUSALS[name]
    given: dict[str, Any] = {name: value}
    ways: list[tuple[Callable[[], BuildOptions], str]] = [
        (lambda: BuildOptions.decode(given), name),
        (lambda: BuildOptions.decode({"other": given}), f"other.{name}"),
        (lambda: BuildOptions(other=given), f"other.{name}"),
        (lambda: BuildOptions(tuning=given), f"tuning.{name}"),
    ]
    for make, where in ways:
        with pytest.raises(PlannerError) as caught:
            make()
        (problem,) = caught.value.problems
        assert problem.where.dotted == where
        assert found in problem.found
        assert fix in problem.fix


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"network": "host"}, {"network_mode": "host"}),
        ({"network": "host"}, {"network-mode": "host"}),
        ({"network": "host"}, {"other": {"networkmode": "host"}}),
        ({"extra_hosts": {"b": "10.0.0.2", "a": "10.0.0.1"}}, {"add-host": ["a:10.0.0.1", "b=10.0.0.2"]}),
        ({"add_host": "a:::1"}, {"extra-hosts": ["a:[::1]", "a=::1"]}),
        ({"force_rm": 1}, {"forcerm": True}),
        ({"force_rm": 0}, {"force-rm": False}),
        ({"ulimits": {"nofile": 1024}}, {"ulimit": "nofile=1024:1024"}),
        ({"ulimit": ["nofile=1", "nproc=2:3"]}, {"ulimit": ["nproc=2:3", "nofile=1:1"]}),
        ({"memory": "1g"}, {"memory": 1 << 30}),
        ({"container_limits": {"memory": "1G", "memswap": "-1"}}, {"memory": "1024m", "memory_swap": -1}),
        ({"container_limits": {"cpushares": "5", "cpusetcpus": 0}}, {"cpu_shares": 5, "cpuset-cpus": "0"}),
        ({"other": {"container-limits": {"memory": "1g"}}}, {"tuning": {"memory": "1g"}}),
        ({"cap_add": ["net_admin", "CAP_CHOWN"]}, {"cap-add": ["chown", "CAP_NET_ADMIN", "NET_ADMIN"]}),
        ({"dns": "10.0.0.1"}, {"dns": ["10.0.0.1"]}),
        ({"jobs": "2"}, {"jobs": 2}),
    ],
)
def test_equal_meanings_are_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert BuildOptions.decode(one) == BuildOptions.decode(other)
    assert repr(BuildOptions.decode(one)) == repr(BuildOptions.decode(other))


def test_the_order_of_name_servers_means_something() -> None:
    """And so does that of the addresses of one host."""
    for name in ("dns", "dns_search", "add_host"):
        items = ["a:10.0.0.2", "a:10.0.0.1"] if name == "add_host" else ["10.0.0.2", "10.0.0.1"]
        one, other = (BuildOptions.decode({name: value}) for value in (items, items[::-1]))
        assert one != other


@pytest.mark.parametrize(
    ("given", "place", "found"),
    [
        ({"network": "hots"}, "network", "not one of bridge, default, host, none: 'hots'"),
        ({"network": "container:x"}, "network", "not one of"),
        ({"network": "ns:/run/netns/x"}, "network", "not one of"),
        ({"network": ["host"]}, "network", "a list"),
        ({"other": {"network_mode": True}}, "other.network_mode", "true"),
        ({"add_host": ["a"]}, "add_host[0]", "not a host and its address"),
        ({"add_host": ["a:host-gateway"]}, "add_host[0]", "not a host and its address"),
        ({"add_host": {"a": ["10.0.0.1"]}}, "add_host[0]", "not a host and its address"),
        ({"ulimit": {"nofiles": 1}}, "ulimit[0]", "not a limit: 'nofiles=1:1'"),
        ({"ulimit": ["nofile=1", "nofile=2"]}, "ulimit", "nofile is given twice"),
        ({"ulimit": 5}, "ulimit", "expected a list"),
        ({"memory": "lots"}, "memory", "not a whole number: 'lots'"),
        ({"memory": True}, "memory", "not a whole number: true"),
        ({"memory": "9" * 5000}, "memory", "not a whole number"),
        ({"memory": 1}, "memory", "out of range: 1"),
        ({"cpu_quota": 1.5}, "cpu_quota", "not a whole number: a number"),
        ({"cpuset_cpus": "all"}, "cpuset_cpus", "not a set of numbers"),
        ({"force_rm": "true"}, "force_rm", "expected true or false"),
        ({"force_rm": 2}, "force_rm", "expected true or false"),
        ({"cap_add": ["CAP_NET_ADMN"]}, "cap_add[0]", "not one of"),
        ({"security_opt": "seccomp=/etc/profile.json"}, "security_opt[0]", "without a file of the machine"),
        ({"userns": "/proc/1/ns/user"}, "userns", "not one of"),
        ({"container_limits": {"memmory": 1}}, "container_limits.memmory", "unknown build option"),
        ({"container_limits": {"jobs": 1}}, "container_limits.jobs", "not a limit of containers"),
        ({"container_limits": "1g"}, "container_limits", "a table of several options"),
        ({"other": "x"}, "other", "expected a table"),
        ({"tuning": None}, "tuning", "expected a table"),
    ],
)
def test_values_of_options_by_name(given: dict[str, Any], place: str, found: str) -> None:
    with pytest.raises(PlannerError) as caught:
        BuildOptions.decode(given)
    (problem,) = caught.value.problems
    assert problem.where.dotted == place
    assert found in problem.found


def test_all_problems_of_build_options_come_at_once() -> None:
    with pytest.raises(PlannerError) as caught:
        BuildOptions.decode(
            {"nocach": True, "env": "X", "network": "x", "labels": {"dev.stowplan.image": "x"}}
        )
    assert [problem.where.dotted for problem in caught.value.problems] == [
        "nocach", "env", "network", "labels.dev.stowplan.image",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        {"network": "host", "network_mode": "host"},
        {"network": "host", "other": {"network": "none"}},
        {"memory": "1g", "container_limits": {"memory": "1g"}},
        {"jobs": 1, "tuning": {"jobs": 1}},
    ],
)
def test_an_option_by_name_in_two_places_is_a_problem(given: dict[str, Any]) -> None:
    with pytest.raises(PlannerError, match="is given twice"):
        BuildOptions.decode(given)


def test_an_option_by_name_has_one_place() -> None:
    with pytest.raises(PlannerError, match="network is given twice"):
        BuildOptions(other={"network": "host", "network_mode": "none"})
    with pytest.raises(PlannerError, match="jobs is not one of these options: write it inside tuning"):
        BuildOptions(other={"jobs": 2})
    with pytest.raises(PlannerError, match="network is not one of these options: write it inside other"):
        BuildOptions(tuning={"network": "host"})


@pytest.mark.parametrize("label", ["dev.stowplan.image", "dev.stowplan.x"])
def test_the_labels_of_stowplan_are_its_own(label: str) -> None:
    with pytest.raises(PlannerError, match="stowplan sets these labels itself"):
        BuildOptions(labels={label: "sha256:0"})
    assert BuildOptions(labels={"dev.stowplanner": "x"}).labels


def test_labels_hold_no_credentials() -> None:
    with pytest.raises(PlannerError, match=r"labels.source: holds credentials: .*leave them out") as caught:
        BuildOptions(labels={"source": "https://me:hunter22@example.com"})
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("name", ["STOWPLAN_TOKEN", "STOWPLAN_", "SOURCE_DATE_EPOCH"])
def test_the_build_arguments_of_stowplan_are_its_own(name: str) -> None:
    with pytest.raises(PlannerError, match="stowplan sets this build argument itself"):
        BuildOptions(build_args={name: "0"})
    assert BuildOptions(build_args={"MY_STOWPLAN_X": "0"}).build_args


@pytest.mark.parametrize(
    "name", ["push", "tag", "t", "file", "context", "output", "dockerfile", "metadata-file"]
)
def test_what_stowplan_decides_is_not_an_option(name: str) -> None:
    with pytest.raises(PlannerError, match="stowplan sets this option itself"):
        BuildOptions.decode({name: "x"})
    with pytest.raises(PlannerError, match="stowplan sets this option itself"):
        BuildOptions.decode({"other": {name: "x"}})
    with pytest.raises(PlannerError, match="stowplan sets this option itself"):
        BuildOptions(other={name: "x"})


@pytest.mark.parametrize("name", ["no_cache", "nocache", "cache-from", "labels"])
def test_an_option_with_a_field_cannot_hide_among_the_others(name: str) -> None:
    """It would count in the hash, or not, against what its field says."""
    with pytest.raises(PlannerError, match="has a field of its own"):
        BuildOptions(other={name: "x"})


@pytest.mark.parametrize("size", [1, 2**40, "64m", "1g", "1024", "5K"])
def test_sizes(size: int | str) -> None:
    assert BuildOptions(shm_size=size).shm_size == size


@pytest.mark.parametrize("size", [0, -1, True, "0", "1t", "m", "1.5g", "1g\n", 1.5])
def test_no_sizes(size: Any) -> None:
    with pytest.raises(PlannerError, match="not a size"):
        BuildOptions(shm_size=size)


def test_a_build_config_is_a_value_or_a_table() -> None:
    value = BuildConfig(build_options=BuildOptions(pull=True))
    table = {"build_options": {"pull": True}}
    assert DockerSettings(build_config=value) == DockerSettings(build_config=table)
    assert DockerSettings(build_config=table).build_config == value
    assert settled({"build_config": table}).build_options.pull


# --- what comes later -----------------------------------------------------------------------------------


def test_what_belongs_to_a_dockerfile_needs_one() -> None:
    config = {"build_options": {"target": "x"}}
    for name, value in (("build_context_root", "docker"), ("parent_image_build_config", config)):
        assert together({name: value}) == [f"pipeline.{name}: there is no dockerfile"]
    of_pipeline = {
        "dockerfile": "./docker/Dockerfile",
        "build_context_root": "./docker/",
        "parent_image_build_config": {**config, "dockerignore": "ignore"},
    }
    found = settled(of_pipeline)
    assert (found.dockerfile, found.context_root) == ("docker/Dockerfile", "docker")
    assert (found.parent_options.target, found.parent_dockerignore) == ("x", "ignore")
    assert settled({**of_pipeline, "build_context_root": "."}).context_root == ""
    # A step can take back what its pipeline asks for.
    assert settled(of_pipeline, {"dockerfile": None}).dockerfile is None


def test_what_belongs_to_a_pyproject_needs_one() -> None:
    for name, value in (
        ("pyproject_extras", ["a"]),
        ("pyproject_groups", ["a"]),
        ("pyproject_export_command", ["a"]),
    ):
        assert together({name: value}) == [f"pipeline.{name}: there is no pyproject_path"]
        assert together({"pyproject_path": "pylock.toml"}, {name: value}) == [
            f"step.{name}: pylock.toml is a lock, which has no choice"
        ]
    whole = {"pyproject_path": "pyproject.toml", "pyproject_export_command": ["a"], "pyproject_groups": ["b"]}
    assert together(whole) == ["pipeline.pyproject_groups: pyproject_export_command says what is exported"]


@pytest.mark.parametrize(
    ("command", "calls"),
    [
        ("uv pip install .", True), ("uv", True), ("  uv sync --frozen", True), ("uvx tox", True),
        ("cd libs && uv pip install .", True), ("make; uv sync", True), ("a|uv pip install -r -", True),
        ("UV_NO_CACHE=1 X='a b' uv sync", True), ("time uv sync", True), ("(uv sync)", True),
        ("if test -e uv.lock; then uv sync; fi", True), ("x=$(uv --version)", True),
        ("pip install uv", False), ("pip install . --no-deps", False), ("uvicorn x", False),
        ("cat uv.lock", False), ("python -m uv sync", False), ("make uv", False), ("./uv sync", False),
        ("", False),
    ],
)  # fmt: skip
def test_whether_a_command_needs_uv(command: str, calls: bool) -> None:
    assert settled({"local_project_install_command": command or None}).project_calls_uv is calls


def test_ways_of_code_are_allowed_unless_they_are_forbidden() -> None:
    usual = settled({})
    assert (usual.from_repository, usual.from_store, usual.includes_files) == (True, True, True)
    assert not settled({"allow_including_files_in_images": False}).includes_files
    assert not settled({"allow_download_from_code_repository": False}).from_repository
    assert not settled({"allow_download_from_artifact_store": False}).from_store


def test_what_is_allowed_anyway_is_demanded_where_it_is_said() -> None:
    name = "allow_download_from_artifact_store"
    assert not settled({}).demands(name)
    assert not settled({name: False}).demands(name)
    assert settled({name: True}).demands(name)


def test_a_login_in_an_image_reference_is_not_repeated() -> None:
    with pytest.raises(PlannerError) as caught:
        DockerSettings(parent_image="me:hunter22@registry.example.com/base:1")
    assert "hunter22" not in str(caught.value)
    assert "***@registry.example.com/base:1" in str(caught.value)


def test_build_arguments_hold_no_credentials() -> None:
    with pytest.raises(PlannerError) as caught:
        DockerSettings(build_config={"build_options": {"build_args": {"PROXY": "http://me:hunter22@proxy"}}})
    assert "hunter22" not in str(caught.value)
    assert "build_config.build_options.build_args.PROXY: holds credentials" in str(caught.value)


TAKEN = build_argument("TOKEN")


@pytest.mark.parametrize(
    "settings",
    [
        {"environment": {"KEY": "${TOKEN}", TAKEN: "x"}},
        {"environment": {TAKEN: "x"}, "runtime_environment": {"KEY": "${TOKEN}"}},
    ],
)
def test_nothing_takes_the_name_that_carries_a_variable(settings: dict[str, Any]) -> None:
    (problem,) = together(settings)
    assert problem.endswith(f"{TAKEN}: stowplan carries the value of TOKEN by this name")


ARGUMENT: dict[str, Any] = {
    "runtime_environment": {"A": "x:{parent}"},
    "build_config": {"build_options": {"build_args": {"A": "1"}}},
}
INDEX: dict[str, Any] = {"environment": {"UV_EXTRA_INDEX_URL": "https://a.example/ {parent}"}}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (ARGUMENT, "runtime_environment.A: {parent} would be the build argument of this name"),
        (INDEX, "environment.UV_EXTRA_INDEX_URL: {parent} is not known when requirements are resolved"),
    ],
)
def test_what_the_parent_has_is_not_said_by_another(settings: dict[str, Any], problem: str) -> None:
    (found,) = together({}, settings)
    assert found.startswith(f"step.{problem}")
    same = dict.fromkeys(settings.get("environment", {}), "x")
    assert settled({**settings, "environment": same, "runtime_environment": {"A": "{{parent}}"}})


def test_only_what_requirements_are_resolved_with_has_to_be_known() -> None:
    pip = {"environment": {"PIP_INDEX_URL": "{parent}"}}
    assert settled(pip)
    assert settled({"runtime_environment": {"UV_INDEX_URL": "{parent}"}})
    assert together({}, {**pip, "python_package_installer": "pip"})


@pytest.mark.parametrize("user", ["1000:1000", "app:staff"])
def test_a_group_of_the_user_is_no_group_of_any_user(user: str) -> None:
    (problem,) = together({"writable_by_any_user": True}, {"user": user})
    group = user.partition(":")[2]
    assert problem.startswith(
        f"pipeline.writable_by_any_user: the files would belong to the group {group}, and any other user"
    )
    for fine in ("1000", "1000:0", "app:root", None):
        assert settled({"writable_by_any_user": True, "user": fine}).any_user


def test_a_name_that_carries_nothing_is_free() -> None:
    """A parent image that sets `STOWPLAN_TOKEN` used to win over the argument of that name."""
    assert settled({"environment": {"KEY": "${TOKEN}", "STOWPLAN_TOKEN": "x", build_argument("NO"): "x"}})
