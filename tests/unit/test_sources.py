"""The sources of requirements: which there are, in which order, and what each comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest
from attrs import evolve

from planner import (
    Component,
    DeploymentSettings,
    DockerSettings,
    Facts,
    FileText,
    Lock,
    Pins,
    Pipeline,
    PlannerError,
    ProgramOutput,
    ProjectFiles,
    RequirementsFile,
    Stack,
    dumps,
    loads,
    make_plan,
    make_spec,
    needs,
)
from planner.components import KINDS
from planner.image.instructions import InstallApt, InstallRequirements
from planner.integration_table import ALIASES, BUILT_IN, KNOWN
from planner.integrations import Integration, Integrations
from planner.requirements.lists import parse_list
from planner.requirements.names import SETTING_OF
from planner.settings.effective import settle
from planner.source import Source
from planner.sources import Sources
from tests.builders import LOCAL, NO_PINS, WORLD, World, observed, pipeline_of

PROD: Final = Stack(
    name="prod",
    container_registry={"uri": "localhost:5000", "flavor": "aws"},
    components={
        "orchestrator": {"flavor": "kubernetes"},
        "artifact_store": {"flavor": "s3", "requirements": ["boto3<2"]},
        "deployer": {"flavor": "docker"},
        "vector_db": {"requirements": ["pgvector==0.3"], "apt_packages": ["libpq5"]},
    },
)


def layers(
    table: Mapping[str, Any], stack: Stack = LOCAL, world: World = WORLD, **of_pipeline: Any
) -> dict[str, list[str]]:
    """What each source asks for, by its name, in the order of the layers, after the apt packages."""
    pipeline = evolve(pipeline_of(table), **of_pipeline)
    (image,) = make_plan(pipeline, stack, observed(pipeline, stack, world)).images
    found: dict[str, list[str]] = {}
    for item in image.spec.instructions:
        match item:
            case InstallApt():
                found["apt"] = list(item.packages)
            case InstallRequirements():
                found[item.source] = [package.text for package in item.requirements.packages]
            case _:
                pass
    return found


def problems(
    table: Mapping[str, Any], stack: Stack = LOCAL, world: World = WORLD, **of_pipeline: Any
) -> list[str]:
    """All that is wrong with the sources of one step."""
    pipeline = evolve(pipeline_of(table), **of_pipeline)
    with pytest.raises(PlannerError) as refused:
        observed(pipeline, stack, world)
    return [
        str(problem).removeprefix("pipeline.training.settings.docker.") for problem in refused.value.problems
    ]


def test_the_order_is_that_of_the_reference() -> None:
    found = layers(
        {
            "requirements": ["six==1.17"],
            "required_integrations": ["lightgbm", "sklearn"],
            "apt_packages": ["git"],
        },
        PROD,
        deployment=DeploymentSettings(requirements=["fastapi>=0.100"], apt_packages=["curl"]),
    )
    assert found == {
        "apt": ["curl", "git", "libgomp1", "libpq5"],
        "stack": [
            "aws-profile-manager", "boto3", "boto3<2", "jinja2", "kubernetes", "kubernetes<26,>=21.7",
            "pgvector==0.3", "pytz>=2021.1", "s3fs!=2025.3.1,>2022.3.0", "sagemaker<3.0.0,>=2.237.3",
        ],
        "deployment": ["fastapi>=0.100"],
        "integrations": ["lightgbm>=1.0.0", "scikit-learn"],
        "requirements": ["six==1.17"],
    }  # fmt: skip
    assert list(found) == ["apt", "stack", "deployment", "integrations", "requirements"]


def test_each_source_has_a_setting_that_asks_for_it() -> None:
    world = World(
        texts={"pyproject.toml": "[project]\ndependencies = ['rich']\n"}, programs={PIP_FREEZE: "click==8.1"}
    )
    table = {
        "replicate_local_python_environment": True,
        "required_integrations": ["sklearn"],
        "pyproject_path": "pyproject.toml",
        "requirements": ["six>=1"],
    }
    found = layers(table, PROD, world, deployment={"requirements": ["fastapi"]})
    assert [name for name in found if name != "apt"] == list(SETTING_OF)
    assert {*SETTING_OF.values()} <= {*DockerSettings.settable()}


def test_a_source_that_asks_for_nothing_is_no_layer() -> None:
    assert layers({"required_integrations": ["airflow", "kaniko"]}) == {}
    assert layers({}, Stack(components={"orchestrator": {"flavor": "local"}, "deployer": {}})) == {}
    # Without a deployer nothing is deployed.
    assert layers({}, deployment=DeploymentSettings(requirements=["fastapi"])) == {}


# --- integrations


def test_the_known_integrations() -> None:
    assert len(KNOWN) == 66
    for name in KNOWN:
        found = Integrations().named(name)
        assert len(parse_list(found.requirements).packages) == len(found.requirements)
    assert {*ALIASES.values()} <= KNOWN.keys()


def test_each_known_integration_can_be_asked_for() -> None:
    """Those that no flavor of a component belongs to as well."""
    for name, (requirements, apt_packages) in KNOWN.items():
        found = layers({"required_integrations": [name]})
        assert bool(found.get("integrations")) is bool(requirements)
        assert found.get("apt", []) == sorted(apt_packages)


def test_an_integration_of_the_project_is_added_or_replaces_a_known_one() -> None:
    own = {
        "torch_cpu": Integration(requirements=["torch==2.9.0+cpu"]),
        "sklearn": {"requirements": ["scikit-learn==1.7"], "apt_packages": ["libgomp1"]},
    }
    table = {"required_integrations": ["sklearn", "torch_cpu"]}
    assert layers(table, integrations=own) == {
        "apt": ["libgomp1"], "integrations": ["scikit-learn==1.7", "torch==2.9.0+cpu"],
    }  # fmt: skip
    known = Integrations({"torch_cpu": Integration(requirements=["torch==2.9.0+cpu"])})
    assert "torch_cpu" in known.names
    assert len(known.names) == 67


def test_an_unknown_integration() -> None:
    assert problems({"required_integrations": ["pytorch", "sklern", "xyzzy"]}) == [
        "required_integrations[1]: unknown integration 'sklern': did you mean 'sklearn'?",
        (
            "required_integrations[2]: unknown integration 'xyzzy': see `stowplan integrations list`, "
            "or add it to the project file: [integration.NAME] requirements = […]"
        ),
    ]
    assert problems({"required_integrations": ["torch-cpo"]}, integrations={"torch-cpu": {}}) == [
        "required_integrations[0]: unknown integration 'torch-cpo': did you mean 'torch-cpu'?"
    ]


def test_integrations_that_contradict_each_other() -> None:
    own = {"a": {"requirements": ["six==1.0"]}, "b": {"requirements": ["six==2.0"]}}
    assert problems({"required_integrations": ["a", "b"]}, integrations=own) == [
        (
            "required_integrations[1]: six==2.0 contradicts six==1.0 at required_integrations[0]: "
            "keep one, or give each a marker"
        )
    ]


# --- components of the stack


@pytest.mark.parametrize(
    ("kind", "flavor", "integration"),
    [
        ("orchestrator", "vertex", "gcp"), ("step_operator", "sagemaker", "aws"),
        ("orchestrator", "azureml", "azure"), ("orchestrator", "vm_aws", "skypilot_aws"),
        ("step_operator", "spark-kubernetes", "spark"), ("experiment_tracker", "wandb", "wandb"),
        ("model_registry", "mlflow", "mlflow"), ("container_registry", "aws", "aws"),
        ("container_registry", "gcp", None), ("artifact_store", "gcp", "gcp"),
        ("artifact_store", "local", None), ("image_builder", "kaniko", None),
        ("anything", "default", None), ("orchestrator", "local_docker", None),
    ],
)  # fmt: skip
def test_a_flavor_says_the_integration(kind: str, flavor: str, integration: str | None) -> None:
    found = Integrations().of_flavor(kind, flavor)
    assert found == (Integration() if integration is None else Integrations().named(integration))


def test_the_flavor_of_a_component_of_a_project_s_own() -> None:
    stack = Stack(components={"orchestrator": {"flavor": "ours"}})
    assert layers({}, stack, integrations={"ours": {"requirements": ["ours>=1"]}}) == {"stack": ["ours>=1"]}
    # A flavor that nobody knows, whose packages are said beside it.
    assert layers({}, Stack(components={"orchestrator": {"flavor": "x", "requirements": ["y"]}})) == {
        "stack": ["y"]
    }


def test_an_unknown_flavor_of_a_component() -> None:
    stack = Stack(
        name="prod",
        container_registry={"uri": "localhost:5000", "flavor": "awss"},
        components={"orchestrator": {"flavor": "kubernets"}, "vector_db": {"flavor": "xyzzy"}},
    )
    assert problems({}, stack) == [
        "stack.prod.container_registry.flavor: unknown flavor 'awss': did you mean 'aws'?",
        "stack.prod.orchestrator.flavor: unknown flavor 'kubernets': did you mean 'kubernetes'?",
        "stack.prod.components.vector_db.flavor: unknown flavor 'xyzzy': give its requirements beside it",
    ]
    assert layers({"install_stack_requirements": False}, stack) == {}


def test_a_stack_is_written_with_its_components_by_their_kinds() -> None:
    stack = Stack.decode({
        "name": "prod",
        "orchestrator": {"flavor": "kubernetes"},
        "components": {"vector_db": {"requirements": ["pgvector"]}},
    })  # fmt: skip
    assert stack == Stack(
        name="prod",
        components={
            "orchestrator": Component(flavor="kubernetes"),
            "vector_db": Component(requirements=["pgvector"]),
        },
    )


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ({"orchestrater": {}}, "orchestrater: unknown name: did you mean 'orchestrator'?"),
        (
            {"vector_db": {}},
            "vector_db: unknown name: a component of another kind is written components.vector_db",
        ),
        ({"orchestrator": "kubernetes"}, "orchestrator: expected a table, found a string"),
        ({"orchestrator": {"flavour": "x"}}, "orchestrator.flavour: unknown name: did you mean 'flavor'?"),
        ({"orchestrator": {"flavor": "a b"}}, "orchestrator.flavor: not a flavor: 'a b'"),
        ({"deployer": {"requirements": ["-e ."]}}, "deployer.requirements[0]: the local package '-e .'"),
        (
            {"deployer": {"requirements": ["r.txt"]}},
            "deployer.requirements[0]: the file 'r.txt' in this list",
        ),
        ({"deployer": {"requirements": "six"}}, "deployer.requirements: expected a list, found a string"),
        ({"deployer": {"apt_packages": ["a;b"]}}, "deployer.apt_packages[0]: not an apt package: 'a;b'"),
        ({"components": {"A": {}}}, "components.A: not a kind of component: 'A'"),
        ({"components": {"a": {"x": 1}}}, "components.a.x: unknown name"),
        ({"components": []}, "components: expected tables, found a list"),
        ({"deployer": {}, "components": {"deployer": {}}}, "components.deployer: deployer is there twice"),
        ({"container_registry": {"uri": "h:1", "flavor": 1}}, "container_registry.flavor: expected a string"),
    ],
)
def test_what_is_no_component(table: Mapping[str, Any], found: str) -> None:
    with pytest.raises(PlannerError) as refused:
        Stack.decode(table)
    (problem,) = refused.value.problems
    assert str(problem).startswith(found)


# --- deployment


def test_a_file_says_in_one_place_what_a_deployment_and_integrations_need() -> None:
    """Elsewhere it would be taken back by what the place of its own says, or not be used at all."""
    asked = {"requirements": ["click"]}
    table = {"name": "p", "steps": ["a"], "deployment": asked, "integrations": {"own": asked}}
    with pytest.raises(PlannerError) as refused:
        Pipeline.decode({**table, "settings": {"deployment": asked}})
    assert [str(problem) for problem in refused.value.problems] == [
        "deployment: is not written here: write it as settings.deployment",
        "integrations: is not written here: write [integration.NAME], which all pipelines have",
    ]


def test_the_deployment_of_a_pipeline_is_written_among_its_settings() -> None:
    settings = {
        "docker": {"user": "1"},
        "deployment": {"requirements": ["fastapi"], "apt_packages": ["curl"]},
    }
    pipeline = Pipeline.decode({"name": "p", "steps": ["a"], "settings": settings})
    assert pipeline.deployment == DeploymentSettings(requirements=["fastapi"], apt_packages=["curl"])
    assert pipeline.settings.user == "1"
    with pytest.raises(PlannerError) as refused:
        Pipeline.decode({"name": "p", "steps": ["a"], "settings": {"deployment": {"requirement": []}}})
    assert str(refused.value) == (
        "settings.deployment.requirement: unknown name: did you mean 'requirements'?"
    )


def test_every_kind_of_component_that_has_flavors_of_its_own_is_a_kind() -> None:
    assert {*BUILT_IN} <= {*KINDS, "container_registry"}


# --- a pyproject.toml

PROJECT: Final = """
[project]
name = "models"
dependencies = ["numpy>=2", "six"]
[project.optional-dependencies]
Train = ["torch==2.9.0"]
[dependency-groups]
test = ["pytest", {include-group = "lint"}]
lint = ["ruff"]
[tool.uv]
package = false
"""
EXPORT: Final = (
    "uv export --locked --format=requirements.txt --no-dev --no-emit-project --no-hashes --no-annotate "
    "--directory={directory}"
)
COMPILE: Final = "uv pip compile pyproject.toml --universal --no-annotate --directory={directory}"
POETRY: Final = (
    "poetry export --format=requirements.txt --without-hashes --directory={copy} --output={output}"
)
PIP_FREEZE: Final = "{python} -m pip --disable-pip-version-check freeze"


def of_pyproject(
    texts: Mapping[str, str], programs: Mapping[str, str] | None = None, **table: Any
) -> dict[str, list[str]]:
    """The sources of an image with the pyproject.toml at the root."""
    world = World(texts=texts, programs=programs or {})
    return layers({"pyproject_path": "pyproject.toml", **table}, world=world)


def refused(table: Mapping[str, Any], world: World) -> list[str]:
    """All that is wrong in a world."""
    return problems(table, world=world)


def test_standard_tables_are_read_without_a_program() -> None:
    texts = {"pyproject.toml": PROJECT}
    assert of_pyproject(texts) == {"pyproject": ["numpy>=2", "six"]}
    assert of_pyproject(texts, pyproject_extras=["train"], pyproject_groups=["Test"]) == {
        "pyproject": ["numpy>=2", "pytest", "ruff", "six", "torch==2.9.0"]
    }
    # A group needs no [project] beside it.
    groups = {"pyproject.toml": "[dependency-groups]\ntrain = ['torch']\n"}
    assert of_pyproject(groups, pyproject_groups=["train"]) == {"pyproject": ["torch"]}


def test_a_lock_of_uv_is_exported_by_uv_alone() -> None:
    texts = {"pyproject.toml": PROJECT, "uv.lock": "version = 1"}
    listed = {
        EXPORT: "# made by uv\nsix==1.17.0 --hash=sha256:"
        + "a" * 64
        + "\nnumpy==2.3.0 ; python_version < '4'\n"
    }
    assert of_pyproject(texts, listed) == {"pyproject": ['numpy==2.3.0; python_version < "4"', "six==1.17.0"]}
    chosen = EXPORT.replace("--directory", "--extra=train --group=test --directory")
    with_extras = of_pyproject(
        texts, {chosen: "torch==2.9.0"}, pyproject_extras=["train"], pyproject_groups=["test"]
    )
    assert with_extras == {"pyproject": ["torch==2.9.0"]}
    assert refused({"pyproject_path": "pyproject.toml"}, World(texts=texts, programs={POETRY: "six"})) == [
        f"pyproject_path: no list of packages: `{EXPORT}`: no such program: make this command work"
    ]


def test_the_lock_of_a_workspace_is_above_its_members() -> None:
    texts = {"libs/a/pyproject.toml": PROJECT, "uv.lock": "version = 1"}
    world = World(texts=texts, programs={EXPORT: "six==1.17.0"})
    assert layers({"pyproject_path": "libs/a/pyproject.toml"}, world=world) == {"pyproject": ["six==1.17.0"]}


UV_SOURCES: Final = """
[tool.uv.sources]
Torch = [
    { index = "cpu", marker = "sys_platform != 'linux'" },
    { index = "cuda", marker = "sys_platform == 'linux' and platform_machine == 'x86_64'", extra = "Train" },
]
six = { index = "cuda", group = "test" }
numpy = { git = "https://h.invalid/numpy" }
[[tool.uv.index]]
name = "cpu"
url = "https://example.com/cpu"
explicit = true
[[tool.uv.index]]
name = "cuda"
url = "https://example.com/cuda"
explicit = true
[[tool.uv.index]]
name = "own"
url = "https://example.com/own"
[[tool.uv.index]]
url = "https://example.com/unnamed"
[[tool.uv.index]]
url = "https://example.com/mirror"
default = true
"""


def options_of(table: Mapping[str, Any], world: World, pins: Pins = NO_PINS) -> list[str]:
    """The options that the packages of an image are installed with."""
    pipeline = pipeline_of(table)
    facts = observed(pipeline, LOCAL, world, pins=pins)
    (image,) = make_plan(pipeline, LOCAL, facts, pins=pins).images
    return [str(option) for option in image.spec.installs[0].options]


def test_indexes_of_a_project_are_those_of_its_image() -> None:
    """A source of uv counts if its marker holds in the image, and its extra or group is installed."""
    texts = {"pyproject.toml": PROJECT + UV_SOURCES, "uv.lock": ""}
    listed = {EXPORT: "torch", EXPORT.replace("--dir", "--extra=train --dir"): "torch"}
    listed[EXPORT.replace("--dir", "--group=test --dir")] = "torch"
    world = World(texts=texts, programs=listed)
    own = ["--extra-index-url=https://example.com/unnamed", "--index-url=https://example.com/mirror"]
    others = ["--package-index=own=https://example.com/own"]
    table = {"pyproject_path": "pyproject.toml"}
    assert options_of(table, world) == own + others
    train = options_of({**table, "pyproject_extras": ["train"]}, world)
    assert train == [*own, "--package-index=cuda=https://example.com/cuda packages=torch", *others]
    test = options_of({**table, "pyproject_groups": ["test"]}, world)
    assert test == [*own, "--package-index=cuda=https://example.com/cuda packages=six", *others]
    # What a setting says goes before it.
    more: dict[str, Any] = {**table, "pyproject_extras": ["train"]}
    given: dict[str, Any] = {"name": "mine", "url": "https://example.com/mine", "packages": ["TORCH"]}
    assert options_of({**more, "package_indexes": [given]}, world) == [
        *own,
        "--package-index=mine=https://example.com/mine packages=torch",
        "--package-index=cuda=https://example.com/cuda packages=torch",
        *others,
    ]
    # Of an index of the same name it says where it is, and, if it likes, which packages are from there.
    given = {"name": "CUDA", "url": "https://example.com/mine"}
    assert options_of({**more, "package_indexes": [given]}, world) == [
        *own,
        "--package-index=CUDA=https://example.com/mine packages=torch",
        *others,
    ]
    given |= {"packages": ["torch*"]}
    assert options_of({**more, "package_indexes": [given]}, world) == [
        *own,
        "--package-index=CUDA=https://example.com/mine packages=torch*",
        *others,
    ]


def test_indexes_of_a_workspace_are_those_of_its_members() -> None:
    member = "[project]\nname = 'a'\ndependencies = ['torch']\n"
    root = "[tool.uv.sources]\ntorch = { index = 'cuda' }\n[[tool.uv.index]]\nname = 'cuda'\n"
    root += "url = 'https://example.com/cuda'\nexplicit = true\n"
    texts = {"libs/a/pyproject.toml": member, "pyproject.toml": root, "uv.lock": "version = 1"}
    world = World(texts=texts, programs={EXPORT: "torch"})
    options = options_of({"pyproject_path": "libs/a/pyproject.toml"}, world)
    assert options == ["--package-index=cuda=https://example.com/cuda packages=torch"]


def test_an_index_that_the_lock_has_of_a_package_goes_with_its_setting() -> None:
    texts = {"pyproject.toml": PROJECT, "uv.lock": ""}
    world = World(texts=texts, programs={EXPORT: "six"})
    table = {"pyproject_path": "pyproject.toml"}
    index = {"name": "own", "url": "https://example.com/six", "packages": ["six"]}
    given = {**table, "package_indexes": [index]}
    pipeline = pipeline_of(given)
    spec = make_spec(pipeline, LOCAL, observed(pipeline, LOCAL, world, checkout=False))
    pins = Pins(loads(dumps(Lock([spec]))))
    assert options_of(given, world, pins) == ["--package-index=own=https://example.com/six packages=six"]
    assert options_of(table, world, pins) == []


NAMED: Final = "[[tool.uv.index]]\nname = 'x'\n"


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("[tool.uv.sources]\nsix = { index = 'x' }\n", "no index 'x'"),
        (f"{NAMED}url = './wheels'\n", "--extra-index-url of './wheels'"),
        (
            f"{NAMED}url = './wheels'\nexplicit = true\n[tool.uv.sources]\nsix.index = 'x'\n",
            "--index-url of './wheels'",
        ),
        (
            "[[tool.uv.index]]\nurl = 'https://me:hunter22@h.invalid'\n",
            "credentials in the URL https://***@h.invalid",
        ),
        (
            f"{NAMED}url = 'https://h.invalid'\n[tool.uv.sources]\nsix = {{ index = 'x', marker = 'x y' }}\n",
            "'x y' is not a marker",
        ),
    ],
)
def test_indexes_that_no_image_can_use_are_refused(more: str, found: str) -> None:
    world = World(texts={"pyproject.toml": PROJECT + more, "uv.lock": ""}, programs={EXPORT: "six"})
    problems = refused({"pyproject_path": "pyproject.toml"}, world)
    assert problems[0].startswith("pyproject.toml: tool.uv.")
    assert found in problems[0]
    assert "hunter22" not in str(problems)


def test_a_lock_of_poetry_is_exported_by_poetry_alone() -> None:
    texts = {"pyproject.toml": PROJECT, "poetry.lock": "# made by Poetry"}
    assert of_pyproject(texts, {POETRY: "six==1.17.0", COMPILE: "x"}) == {"pyproject": ["six==1.17.0"]}
    chosen = f"{POETRY} --extras=train --with=test"
    found = of_pyproject(texts, {chosen: "six"}, pyproject_extras=["train"], pyproject_groups=["test"])
    assert found == {"pyproject": ["six"]}


@pytest.mark.parametrize(
    "more",
    [
        "[tool.uv.sources]\nsix = { git = 'https://h.invalid/six' }\n",
        "[tool.uv]\noverride-dependencies = ['six<2']\n",
        "[tool.poetry.dependencies]\nsix = '^1'\n",
    ],
)
def test_what_only_a_tool_can_read_is_exported(more: str) -> None:
    texts = {"pyproject.toml": "[project]\nname = 'x'\ndependencies = ['six']\n" + more}
    assert of_pyproject(texts, {COMPILE: "six==1.17.0"}) == {"pyproject": ["six==1.17.0"]}
    # Where uv does not work Poetry may.
    assert of_pyproject(texts, {POETRY: "six==1.16.0"}) == {"pyproject": ["six==1.16.0"]}


def test_when_all_commands_fail_each_is_named_with_its_error() -> None:
    world = World(texts={"pyproject.toml": "[project]\nname = 'x'\ndynamic = ['dependencies']\n"})
    assert refused({"pyproject_path": "pyproject.toml"}, world) == [
        (
            f"pyproject_path: no list of packages: `{COMPILE}`: no such program; "
            f"`{POETRY}`: no such program: make one of these commands work"
        )
    ]


def test_a_command_of_the_settings_is_the_only_one() -> None:
    table = {"pyproject_export_command": ["make", "list", "--in={directory}"]}
    texts = {"pyproject.toml": "not TOML, which the command may know better", "uv.lock": ""}
    assert of_pyproject(texts, {"make list --in={directory}": "six"}, **table) == {"pyproject": ["six"]}
    world = World(texts=texts, programs={"make list --in={directory}": " \n"})
    assert refused({"pyproject_path": "pyproject.toml", **table}, world) == [
        ("pyproject_path: `make list --in={directory}` printed nothing: have it print a list of requirements")
    ]


def test_what_is_wrong_with_a_pyproject() -> None:
    table = {"pyproject_path": "pyproject.toml", "pyproject_extras": ["trian"], "pyproject_groups": ["tets"]}
    assert refused(table, World(texts={"pyproject.toml": PROJECT})) == [
        "pyproject_extras: pyproject.toml has no extra 'trian': did you mean 'Train'?",
        "pyproject_groups: pyproject.toml has no group 'tets': did you mean 'test'?",
    ]
    table = {"pyproject_path": "pyproject.toml"}
    assert refused(table, World()) == [
        "pyproject_path: pyproject.toml does not exist: create it, or name another"
    ]
    for text, found in (
        ("[project\n", "pyproject.toml:1: not TOML"),
        ("[project]\ndependencies = ['-e .', 'x @ file:///x']\n", "pyproject.toml: project.dependencies: "),
        (
            "[project]\ndependencies = 'six'\n",
            "pyproject.toml: project.dependencies: expected a list of strings",
        ),
    ):
        for problem in refused(table, World(texts={"pyproject.toml": text})):
            assert problem.startswith(found)
    deep = "".join(f"g{n} = [{{include-group = 'g{n + 1}'}}]\n" for n in range(5000))
    for groups in (
        "a = [{include-group = 'a'}]",
        "a = [{include-group = 'b'}]",
        "a = [1]",
        "a = 1",
        "a = ['x=']",
        f"a = [{{include-group = 'g0'}}]\n{deep}",
    ):
        world = World(texts={"pyproject.toml": f"[dependency-groups]\n{groups}\n"})
        (problem,) = refused({**table, "pyproject_groups": ["a"]}, world)
        assert problem.startswith("pyproject.toml: dependency-groups.a: the group cannot be read: ")


def test_what_a_command_prints_is_checked() -> None:
    texts = {"pyproject.toml": PROJECT, "uv.lock": ""}
    printed = "-i https://user:hunter2@h/simple\nsix==1.0\nfoo=1\n-r more.txt\n"
    found = refused({"pyproject_path": "pyproject.toml"}, World(texts=texts, programs={EXPORT: printed}))
    assert [problem.partition(f"output of `{EXPORT}`, ")[2].split(": ")[0] for problem in found] == [
        "line 1", "line 3", "line 4",
    ]  # fmt: skip
    assert "hunter2" not in "".join(found)


# --- a lock of PEP 751

PYLOCK: Final = f"""
lock-version = "1.0"
created-by = "test"
[[packages]]
name = "six"
version = "1.17.0"
marker = "python_version >= '3.9'"
[[packages.wheels]]
url = "https://files.example.com/six-1.17.0-py2.py3-none-any.whl"
hashes = {{ sha256 = "{"a" * 64}", md5 = "0" }}
[packages.sdist]
url = "https://files.example.com/six-1.17.0.tar.gz"
hashes = {{ sha256 = "{"b" * 64}" }}
"""


def source_of(table: Mapping[str, Any], world: World) -> Source:
    """The one source of a step, as it is read."""
    pipeline = pipeline_of(table)
    settings = settle(pipeline.layers(pipeline.steps[0]))
    sources = Sources(pipeline, LOCAL, observed(pipeline, LOCAL, world), Pins())
    (make,) = sources.of(settings)
    return make()


@pytest.mark.parametrize(
    ("table", "source"),
    [({"pyproject_path": "pylock.toml"}, "pyproject"), ({"requirements": ["pylock.toml"]}, "requirements"),
     ({"requirements": "pylock.toml"}, "requirements")],
)  # fmt: skip
def test_a_pylock_is_read_with_its_hashes(table: Mapping[str, Any], source: str) -> None:
    found = source_of(table, World(texts={"pylock.toml": PYLOCK}))
    assert found.name == source
    assert [package.line for package in found.requirements.packages] == [
        f'six==1.17.0; python_version >= "3.9" --hash=sha256:{"a" * 64} --hash=sha256:{"b" * 64}'
    ]
    assert list(map(str, found.requirements.options)) == ["--require-hashes"]


def test_a_pylock_with_other_sources() -> None:
    text = (
        PYLOCK
        + f"""
[[packages]]
name = "peft"
[packages.vcs]
type = "git"
url = "https://h.invalid/peft.git"
commit-id = "{"c" * 40}"
subdirectory = "a"
[[packages]]
name = "tokens"
index = "https://index.example.com/simple"
[packages.archive]
url = "https://h.invalid/tokens.zip"
hashes = {{ sha256 = "{"d" * 64}" }}
"""
    )
    found = source_of(
        {"requirements": ["pylock.toml", "rich"]}, World(texts={"pylock.toml": text})
    ).requirements
    # Hash checking is all or nothing, and a commit has no hash.
    assert [package.line for package in found.packages] == [
        f"peft @ git+https://h.invalid/peft.git@{'c' * 40}#subdirectory=a",
        "rich",
        'six==1.17.0; python_version >= "3.9"',
        "tokens @ https://h.invalid/tokens.zip",
    ]
    # What is from an address needs no index.
    assert found.options == ()


CUDA: Final = "--package-index=example-com-cuda=https://example.com/cuda"


@pytest.mark.parametrize(
    ("of_six", "elsewhere", "options"),
    [
        # Of several indexes each may have the packages of the others, too.
        ("https://pypi.org/simple", [], [f"{CUDA} packages=torch"]),
        (None, ["https://example.com/cpu"], [f"{CUDA} packages=torch"]),
        (
            "https://example.com/mirror",
            ["https://example.com/cpu"],
            [
                "--package-index=example-com-mirror=https://example.com/mirror packages=six",
                f"{CUDA} packages=torch",
            ],
        ),
        ("https://example.com/cuda", [], ["--extra-index-url=https://example.com/cuda"]),
    ],
)
def test_indexes_of_a_pylock_are_those_of_its_packages(
    of_six: str | None, elsewhere: list[str], options: list[str]
) -> None:
    """`elsewhere` are indexes of torch for another system."""
    text = PYLOCK if of_six is None else PYLOCK.replace('"1.17.0"', f'"1.17.0"\nindex = "{of_six}"', 1)
    urls = {"https://example.com/cuda": "==", **dict.fromkeys(elsewhere, "!=")}
    for url, operator in urls.items():
        text += f"""
[[packages]]
name = "torch"
version = "2.0"
marker = "sys_platform {operator} 'linux'"
index = "{url}"
wheels = [{{ url = "https://h.invalid/torch-2.0-py3-none-any.whl", hashes = {{ sha256 = "{"c" * 64}" }} }}]
"""
    found = options_of({"requirements": "pylock.toml"}, World(texts={"pylock.toml": text}))
    assert [each for each in found if each != "--require-hashes"] == options


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lock-version = '1.0'\n", "pylock.toml: no lock of PEP 751"),
        ("[[packages]]\nname = 'x'\ndirectory = { path = '.' }\n", "packages[0]: the local package 'x'"),
        (
            "[[packages]]\nname = 'x'\narchive = { path = 'x.zip', hashes = { sha256 = 'a' } }\n",
            "the local package 'x'",
        ),
        (
            (
                "[[packages]]\nname = 'x'\nversion = '1'\nmarker = \"'a' in extras\"\n"
                "wheels = [{ url = 'https://h/x-1-py3-none-any.whl', hashes = { sha256 = 'a' } }]\n"
            ),
            "x is for some extras or groups only",
        ),
    ],
)
def test_what_no_image_can_install_of_a_pylock(text: str, found: str) -> None:
    whole = text if "lock-version" in text else f"lock-version = '1.0'\ncreated-by = 't'\n{text}"
    (problem,) = refused({"requirements": "pylock.toml"}, World(texts={"pylock.toml": whole}))
    assert found in problem
    assert problem.startswith("pylock.toml: ")


# --- the local environment


def test_the_local_environment_comes_first() -> None:
    world = World(programs={PIP_FREEZE: "six==1.17.0\nnumpy==2.3.0\n"})
    table = {"replicate_local_python_environment": True, "requirements": ["rich>=13"]}
    assert layers(table, world=world) == {
        "local-environment": ["numpy==2.3.0", "six==1.17.0"], "requirements": ["rich>=13"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "command"),
    [
        (True, PIP_FREEZE), ("pip_freeze", PIP_FREEZE), (True, "uv pip freeze --python={python}"),
        ("uv_freeze", "uv pip freeze --python={python}"), ("poetry_export", POETRY),
        (["conda", "list"], "conda list"),
    ],
)  # fmt: skip
def test_ways_to_list_the_local_environment(method: object, command: str) -> None:
    world = World(programs={command: "six==1.17.0"})
    table = {"replicate_local_python_environment": method}
    assert layers(table, world=world) == {"local-environment": ["six==1.17.0"]}
    # Nothing installed is nothing to install.
    assert layers(table, world=World(programs={command: ""})) == {}


FROZEN: Final = """\
anyio @ file:///croot/anyio_1729121277521/work
# Editable install with no version control (models==0.1)
-e /home/me/models
# Editable Git install with no remote (local==0.1)
-e /home/me/local
-e git+https://github.com/o/tool.git@0f1e2d3c#egg=tool
six==1.17.0
./libs/x
"""


def test_packages_of_this_machine_alone_are_one_problem_that_names_them() -> None:
    table = {"replicate_local_python_environment": True}
    world = World(programs={PIP_FREEZE: FROZEN})
    assert refused(table, world) == [
        (
            "replicate_local_python_environment: 5 packages are of this machine alone: "
            "anyio, models, local, tool, ./libs/x: set skip_local_packages = true to leave them out, "
            "and install them with local_project_install_command or publish them"
        )
    ]
    table["skip_local_packages"] = True
    assert layers(table, world=world) == {"local-environment": ["six==1.17.0"]}
    pipeline = pipeline_of(table)
    plan = make_plan(pipeline, LOCAL, observed(pipeline, LOCAL, world))
    assert [(note.code, note.text) for note in plan.notes if note.code == "left-out"] == [
        (
            "left-out",
            (
                "replicate_local_python_environment leaves out what is of this machine alone: "
                "anyio, models, local, tool, ./libs/x"
            ),
        )
    ]


def test_whatever_uv_does_not_install_is_refused_where_it_is_asked_for() -> None:
    svn = {"requirements": ["x @ svn+https://h/x"]}
    stack = Stack(name="prod", components={"deployer": svn})
    table: dict[str, Any] = {"required_integrations": ["own"], "install_stack_requirements": True}
    given: dict[str, Any] = {"integrations": {"own": svn}, "deployment": svn}
    assert [problem.partition(": x @ svn")[0] for problem in problems(table, stack, **given)] == [
        "stack.prod", "pipeline.training.settings.deployment", "required_integrations",
    ]  # fmt: skip
    table["python_package_installer"] = "pip"
    assert len(layers(table, stack, **given)) == 3


def test_what_a_lock_is_written_with_is_said() -> None:
    pipeline = pipeline_of({"replicate_local_python_environment": True, "skip_local_packages": True})
    world = World(programs={PIP_FREEZE: FROZEN})
    spec = make_spec(pipeline, LOCAL, observed(pipeline, LOCAL, world, checkout=False))
    assert [note.code for note in spec.notes] == ["left-out"]


def test_a_command_to_list_the_environment_is_deprecated() -> None:
    pipeline = pipeline_of({"replicate_local_python_environment": ["conda", "list"]})
    world = World(programs={"conda list": "six==1.17.0"})
    notes = make_plan(pipeline, LOCAL, observed(pipeline, LOCAL, world)).notes
    (note,) = [note for note in notes if note.code == "deprecated"]
    assert "write pip_freeze, uv_freeze or poetry_export" in note.text


# --- requirements that are looked for

DETECT: Final = {"disable_automatic_requirements_detection": False}


def test_requirements_are_looked_for_where_no_setting_names_any() -> None:
    both = World(texts={"requirements.txt": "six\n", "pyproject.toml": PROJECT})
    assert layers(DETECT, world=both) == {"requirements": ["six"]}
    assert layers(DETECT, world=World(texts={"pyproject.toml": PROJECT})) == {
        "pyproject": ["numpy>=2", "six"]
    }
    # Of tools alone.
    assert layers(DETECT, world=World(texts={"pyproject.toml": "[tool.ruff]\nline-length = 100\n"})) == {}
    assert layers(DETECT) == {}
    # Integrations and the stack come besides, and do not say what the project needs.
    assert layers({**DETECT, "required_integrations": ["pytorch"]}, world=both) == {
        "integrations": ["torch"], "requirements": ["six"],
    }  # fmt: skip
    for named in (
        {"requirements": ["rich>=1"]},
        {"pyproject_path": "pyproject.toml"},
        {"replicate_local_python_environment": True},
    ):
        world = evolve(both, programs={PIP_FREEZE: "click==8"})
        assert layers({**DETECT, **named}, world=world) == layers(named, world=world)


def test_requirements_are_not_looked_for_unless_asked() -> None:
    both = World(texts={"requirements.txt": "six\n", "pyproject.toml": PROJECT})
    assert layers({}, world=both) == {}
    assert layers({"disable_automatic_requirements_detection": True}, world=both) == {}


@pytest.mark.parametrize(
    ("texts", "table", "file"),
    [
        ({"requirements.txt": "six"}, {}, "requirements.txt"),
        (
            {"requirements.txt": "six", "pyproject.toml": "", "uv.lock": ""},
            {"apt_packages": ["git"]},
            "requirements.txt",
        ),
        ({"pyproject.toml": PROJECT, "uv.lock": ""}, {}, "pyproject.toml"),
        ({"pyproject.toml": PROJECT, "poetry.lock": ""}, {"required_integrations": ["s3"]}, "pyproject.toml"),
        # For the settings of tools, or somewhere else, or not in the image.
        ({"pyproject.toml": PROJECT}, {}, None),
        ({"docs/requirements.txt": "six", "uv.lock": ""}, {}, None),
        ({"requirements.txt": "six", ".dockerignore": "*.txt"}, {}, None),
        # Somebody has said what is to be installed, or that it is nothing.
        ({"requirements.txt": "six"}, {"requirements": ["rich>=1"]}, None),
        ({"requirements.txt": "six", "pyproject.toml": PROJECT}, {"pyproject_path": "pyproject.toml"}, None),
        ({"requirements.txt": "six"}, {"disable_automatic_requirements_detection": True}, None),
        ({"requirements.txt": "six"}, DETECT, None),
    ],
)
def test_a_note_says_what_is_not_installed(
    texts: Mapping[str, str], table: Mapping[str, Any], file: str | None
) -> None:
    pipeline = pipeline_of(table, ["load", "train"])
    plan = make_plan(pipeline, LOCAL, observed(pipeline, LOCAL, World(texts=texts)))
    found = [note for note in plan.notes if note.code == "not-installed"]
    assert [note.key for note in found] == ([file] if file else [])
    for note in found:
        assert note.text.startswith(f"{file} is copied, and nothing in it is installed: set ")


# --- what a lock keeps of programs


def test_a_program_is_not_asked_again_for_what_the_lock_has() -> None:
    texts = {"pyproject.toml": PROJECT, "uv.lock": "version = 1"}
    programs = {EXPORT: "six==1.17.0", PIP_FREEZE: "rich==14.0"}
    table = {"pyproject_path": "pyproject.toml", "replicate_local_python_environment": True}
    pipeline = pipeline_of(table, [f"step{number}" for number in range(3)])
    world = World(texts=texts, programs=programs)
    spec = make_spec(pipeline, LOCAL, observed(pipeline, LOCAL, world, checkout=False))
    pins = Pins(loads(dumps(Lock([spec]))))
    assert pins.lock == Lock([spec])
    # No program is there to be asked.
    later = evolve(world, programs={})
    facts = observed(pipeline, LOCAL, later, pins=pins)
    assert make_plan(pipeline, LOCAL, facts, pins=pins).spec == spec
    for change, left in (
        ({"uv.lock": "version = 2"}, 1),
        ({"pyproject.toml": PROJECT + "# a comment"}, 1),
        ({"other": "x"}, 0),
    ):
        needed = observed(pipeline, LOCAL, evolve(world, texts={**texts, **change}), pins=pins)
        assert sum(isinstance(need, ProgramOutput) for need in needed.needs) == left
    anew = observed(pipeline, LOCAL, world, pins=Pins(pins.lock, all_released=True))
    assert sum(isinstance(need, ProgramOutput) for need in anew.needs) == 2
    # Another pipeline has a list of its own.
    other = evolve(pipeline, name="other")
    assert any(isinstance(need, ProgramOutput) for need in observed(other, LOCAL, world, pins=pins).needs)


@pytest.mark.parametrize("printed", ["", "# This file was autogenerated by uv\n", "--pre\n", "-e .\n"])
def test_a_program_that_listed_no_packages_is_not_asked_again(printed: str) -> None:
    table = {"replicate_local_python_environment": True, "skip_local_packages": True}
    world = World(programs={PIP_FREEZE: printed})
    # With an image of its own, and with none.
    for more in ({"requirements": ["six"]}, {"allow_including_files_in_images": False}):
        pipeline = pipeline_of({**table, **more})
        spec = make_spec(pipeline, LOCAL, observed(pipeline, LOCAL, world, checkout=False))
        pins = Pins(loads(dumps(Lock([spec]))))
        assert dumps(pins.lock) == dumps(Lock([spec]))
        later = evolve(world, programs={})
        facts = observed(pipeline, LOCAL, later, pins=pins)
        assert dumps(Lock([make_plan(pipeline, LOCAL, facts, pins=pins).spec])) == dumps(Lock([spec]))
        # It is asked for something else, or when everything is looked up anew.
        other = pipeline_of({**table, **more, "skip_local_packages": False})
        for one, asking in ((other, pins), (pipeline, Pins(pins.lock, all_released=True))):
            asked = needs(one, LOCAL, pins=asking, checkout=False)
            assert sum(isinstance(need, ProgramOutput) for need in asked) == 1


@pytest.mark.parametrize("printed", ["", "six==1.17.0"])
def test_steps_that_share_an_image_can_ask_several_programs(printed: str) -> None:
    ways = {"pip": "pip_freeze", "uv": "uv_freeze", "none": False}
    if printed:
        del ways["none"]
    steps = {name: {"replicate_local_python_environment": way} for name, way in ways.items()}
    pipeline = pipeline_of(steps=steps)
    world = World(programs={PIP_FREEZE: printed, "uv pip freeze --python={python}": printed})
    spec = make_spec(pipeline, LOCAL, observed(pipeline, LOCAL, world, checkout=False))
    assert len(spec.images) == 1
    pins = Pins(loads(dumps(Lock([spec]))))
    facts = observed(pipeline, LOCAL, evolve(world, programs={}), pins=pins)
    assert make_plan(pipeline, LOCAL, facts, pins=pins).spec == spec


def test_what_poetry_exports_of_its_environment_is_as_new_as_its_files() -> None:
    texts = {"pyproject.toml": PROJECT, "poetry.lock": "1"}
    pipeline = pipeline_of({"replicate_local_python_environment": "poetry_export"})
    world = World(texts=texts, programs={POETRY: "six==1.17.0"})
    spec = make_spec(pipeline, LOCAL, observed(pipeline, LOCAL, world, checkout=False))
    pins = Pins(Lock([spec]))
    for text, asked in (("1", 0), ("2", 1)):
        later = evolve(world, texts={**texts, "poetry.lock": text})
        facts = observed(pipeline, LOCAL, later, pins=pins)
        assert sum(isinstance(need, ProgramOutput) for need in facts.needs) == asked


@pytest.mark.parametrize(
    "table",
    [
        {"pyproject_path": "libs/a/pyproject.toml"},
        {"requirements": ["r.txt", "-c c.txt", "pylock.toml", "six"]},
        {"replicate_local_python_environment": "poetry_export"},
    ],
)
def test_all_that_a_source_reads_is_asked_for_at_once(table: Mapping[str, Any]) -> None:
    """A round of questions is a look at each step of a pipeline."""
    pipeline = pipeline_of(table)
    texts = {
        "libs/a/pyproject.toml": PROJECT, "r.txt": "click", "c.txt": "click<9", "pylock.toml": PYLOCK,
        "pyproject.toml": PROJECT, "poetry.lock": "",
    }  # fmt: skip
    world = World(texts=texts)
    first = needs(pipeline, LOCAL, Facts(), checkout=False)
    facts = Facts().also({need: world.answer(need) for need in first})
    assert not {type(need) for need in needs(pipeline, LOCAL, facts, checkout=False)} & {
        FileText, ProjectFiles, RequirementsFile,
    }  # fmt: skip


def test_steps_that_share_a_source_ask_once() -> None:
    texts = {"pyproject.toml": PROJECT, "uv.lock": "version = 1"}
    steps = {f"step{number}": {"environment": {"N": number}} for number in range(50)}
    pipeline = pipeline_of({"pyproject_path": "pyproject.toml"}, steps)
    facts = observed(pipeline, LOCAL, World(texts=texts, programs={EXPORT: "six==1.17.0"}))
    assert sum(isinstance(need, ProgramOutput) for need in facts.needs) == 1
    assert len(make_plan(pipeline, LOCAL, facts).images) == 50
