"""Which pipeline a command is about, and that it is the same pipeline however it was said."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve

from executor.config.project import load_project
from executor.config.source import Chosen, chosen
from executor.errors import ExecutorError, UsageError
from executor.workflow.locks import check_lock, renew, write_lock
from executor.workflow.plans import plan
from planner.entrypoint import Function, Output
from planner.errors import PlannerError, StowplanError
from planner.lock.lock import PipelineSource
from planner.pipeline import Pipeline
from planner.values import FrozenMapping

NAMES: Final = "use a-z, A-Z, 0-9 and '_', after the first also '.' and '-', at most 100"
PINNED: Final = f"python@sha256:{'1' * 64}"
TOML: Final = f"""
[pipeline.training]
steps = ["load", "train", "train_2", "show"]
settings.docker = {{ parent_image = "{PINNED}", environment = {{ A = 1, B = "x" }} }}
settings.deployment = {{ requirements = ["fastapi==0.115.0"] }}
[pipeline.training.step.load]
function = "pipe:load"
outputs = ["output_0", "label"]
after = []
[pipeline.training.step.train]
function = "pipe:train"
inputs = {{ n = "load.output_0", options = {{ value = {{ rate = 0.5, layers = [1, 2] }} }} }}
after = []
settings.docker = {{ apt_packages = ["git"], environment = {{ B = "y" }} }}
[pipeline.training.step.train_2]
function = "pipe:train"
inputs = {{ n = "train" }}
after = ["train"]
step_operator = "gpu"
settings.docker = {{ apt_packages = ["git", "curl"], environment = {{ B = "y" }}, user = "1000" }}
[pipeline.training.step.show]
function = "pipe:show"
inputs = {{ label = "load.label", text = {{ value = "load" }} }}
outputs = []
after = ["train_2"]
"""
PYTHON: Final = f"""
from typing import Annotated, Tuple
from stowplan import DeploymentSettings, DockerSettings, pipeline, step

@step
def load() -> Tuple[int, Annotated[str, "label"]]: ...

@step(settings={{"docker": DockerSettings(apt_packages=["git"], environment={{"B": "y"}})}})
def train(n: int, options: dict = {{}}) -> int: ...

@step
def show(label: str, text: str) -> None: ...

gpu = train.with_options(
    step_operator="gpu",
    settings={{"docker": DockerSettings(apt_packages=("git", "curl"), user="1000")}},
)

@pipeline(settings={{
    "docker": DockerSettings(parent_image="{PINNED}", environment={{"A": 1, "B": "x"}}),
    "deployment": DeploymentSettings(requirements=["fastapi==0.115.0"]),
}})
def training():
    n, label = load()
    n = train(n, options={{"rate": 0.5, "layers": [1, 2]}})
    n = gpu(n, after=n)
    show(label, text="load", after=n)

@pipeline
def bare():
    n, label = load()
    n = train(n, options={{"rate": 0.5, "layers": [1, 2]}})
    n = gpu(n, after=n)
    show(label, text="load", after=n)

with_options = bare.with_options(
    name="training",
    settings={{"docker": {{"parent_image": "python:3.10", "environment": {{"A": "1"}}}},
              "deployment": {{"requirements": ["fastapi==0.115.0"]}}}},
).with_options(settings={{"docker": DockerSettings(parent_image="{PINNED}", environment={{"B": "x"}})}})
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write the files of a project; its root."""

    def write_files(toml: str = "", python: str = PYTHON) -> Path:
        (tmp_path / "stowplan.toml").write_text(toml)
        (tmp_path / "pipe.py").write_text(python)
        (tmp_path / ".dockerignore").write_text(".stowplan\nrun.yaml\nplain.py\n")
        return tmp_path

    return write_files


def refused(root: Path, source: str | None) -> str:
    with pytest.raises(StowplanError) as raised:
        chosen(load_project(root), source)
    return str(raised.value)


def shape(pipeline: Pipeline) -> Pipeline:
    """A pipeline without what says where it was said, and in how many layers."""
    steps = []
    for step in pipeline.steps:
        settings = step.settings
        for layer in step.overrides:
            settings = layer.settings.over(settings)
        steps.append(evolve(step, settings=settings, overrides=(), origin=None))
    settings = pipeline.settings
    for layer in pipeline.overrides:
        settings = layer.settings.over(settings)
    return evolve(pipeline, settings=settings, overrides=(), origin=None, steps=tuple(steps))


# The same once more, over functions that say less.
YAML: Final = f"""
settings:
  docker: {{parent_image: "{PINNED}", environment: {{A: 1, B: x}}}}
  deployment: {{requirements: [fastapi==0.115.0]}}
steps:
  train:
    parameters: {{options: {{rate: 0.5, layers: [1, 2]}}}}
    settings: {{docker: {{apt_packages: [git], environment: {{B: y}}}}}}
  train_2:
    step_operator: gpu
    settings: {{docker: {{apt_packages: [git, curl], environment: {{B: y}}, user: "1000"}}}}
"""
PLAIN: Final = """
from pipe import load, show
from stowplan import DockerSettings, pipeline, step

@step
def train(n: int, options: dict = {}) -> int: ...

train.entrypoint.__module__ = "pipe"

@pipeline(settings={"docker": DockerSettings(parent_image="python:3.9", environment={"B": "z"})})
def training():
    n, label = load()
    n = train(n)
    n = train(n, after="train")
    show(label, text="load", after=n)
"""


@pytest.mark.parametrize(
    ("toml", "source", "config"),
    [
        ("", "pipe:training", None),
        ("", "pipe.training", None),
        ("", "pipe:with_options", None),
        ('[pipeline.training]\nsource = "pipe:bare_again"', None, None),
        ("", "plain:training", "run.yaml"),
    ],
)
def test_a_pipeline_is_the_same_however_it_was_said(
    toml: str, source: str | None, config: str | None, write: Callable[..., Path]
) -> None:
    python = PYTHON + "\nbare_again = with_options.with_options(name='other')\n"
    said = chosen(load_project(write(TOML)), None).pipeline
    project = load_project(write(toml, python))
    (project.root / "run.yaml").write_text(YAML)
    (project.root / "plain.py").write_text(PLAIN)
    found = chosen(project, source, project.root / config if config else None)
    assert shape(found.pipeline) == shape(said)
    assert list(found.pipeline.after.items()) == list(said.after.items())
    in_python = plan(project, found.pipeline, project.stack(None), offline=True).plan
    # The files are the same: the project file is in no image.
    again = load_project(write(TOML, python))
    in_toml = plan(again, said, again.stack(None), offline=True).plan
    assert in_python.hash == in_toml.hash
    assert [(image.name, image.steps, image.hash) for image in in_python.images] == [
        (image.name, image.steps, image.hash) for image in in_toml.images
    ]
    assert len(in_python.images) == 3


def test_a_pipeline_of_this_process_is_what_another_says_of_it(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here `DockerSettings` is that of the planner, and there a stand-in."""
    settings = """DockerSettings(
        python_package_installer=PythonPackageInstaller.PIP, user=None, requirements=[],
        secrets={"TOKEN": Secret(env="TOKEN"), "OTHER": {"file": "a.txt"}},
        build_config=BuildConfig(build_options={"buildargs": {"A": "1"}, "network": "host"}),
        parent_image_build_config=BuildConfig(build_options=BuildOptions(build_args={"A": "1"}, labels={})),
        python_package_installer_args={"no_deps": None}, package_indexes=[{"name": "a", "url": "https://a.b/"}],
    )"""
    python = PYTHON.replace("DockerSettings(parent_image", "DockerSettings(image_tag='a', parent_image")
    python += f"again = training.with_options(settings={{'docker': {settings}}})\n"
    python = python.replace(
        "stowplan import", "stowplan import BuildConfig, BuildOptions, Secret, PythonPackageInstaller,"
    )
    root = write("[pipeline.daily]\nsource = 'pipe:training'\n", python)
    monkeypatch.syspath_prepend(root)
    monkeypatch.delitem(sys.modules, "pipe", raising=False)
    pipe = importlib.import_module("pipe")
    project = load_project(root)
    assert chosen(project, pipe.again) == chosen(project, "pipe:again")
    # The project file has a name for it.
    assert chosen(project, pipe.training) == chosen(project, "daily")
    monkeypatch.delitem(sys.modules, "pipe")


def test_what_a_step_runs(write: Callable[..., Path]) -> None:
    pipeline = chosen(load_project(write()), "pipe.training").pipeline
    assert pipeline.steps[1].entrypoint == Function(
        source="pipe:train",
        inputs={
            "n": Output("load", "output_0"),
            "options": FrozenMapping({"rate": 0.5, "layers": (1, 2)}),
        },
    )


def test_a_project_file_names_a_pipeline_in_python(write: Callable[..., Path]) -> None:
    root = write('[pipeline.daily]\nsource = "pipe:training"\n[secret.TOKEN]\nenv = "TOKEN"\n')
    project = load_project(root)
    found = chosen(project, None)
    assert (found.pipeline.name, found.source) == ("daily", PipelineSource())
    assert set(found.pipeline.secrets) == {"TOKEN"}
    assert project.pipeline("daily") == found.pipeline
    # By either name it is the same pipeline.
    assert chosen(project, "pipe.training") == found
    assert chosen(project, "pipe:bare").source == PipelineSource("pipe:bare")


def test_two_pipelines_of_one_name_are_told_apart(write: Callable[..., Path]) -> None:
    said = refused(write('[pipeline.training]\nsource = "pipe:with_options"\n'), "pipe:training")
    assert said == (
        "pipe.py:19: its name is 'training', and so is that of another pipeline, in stowplan.toml: "
        "give it another name: @pipeline(name=…)"
    )


SEVERAL = """\
[pipeline.a]
steps = ["load", "train"]
[pipeline.b]
steps = ["load", "report"]
"""


@pytest.mark.parametrize(
    ("image", "pipeline"),
    [("a", "a"), ("b/load", "b"), ("report", "b"), ("train", "a"), ("b/none", "b")],
)
def test_an_image_says_which_of_several_pipelines_it_is_of(
    write: Callable[..., Path], image: str, pipeline: str
) -> None:
    project = load_project(write(SEVERAL))
    assert chosen(project, None, image=image).pipeline.name == pipeline
    # What is named goes over what an image tells.
    assert chosen(project, "a", image=image).pipeline.name == "a"


@pytest.mark.parametrize(
    ("more", "image", "found"),
    [
        ("", "load", "step 'load' is in several pipelines: a, b: write a/load, or name one with --pipeline"),
        ("", "reprot", "no image 'reprot': did you mean 'report'?"),
        # Whether a pipeline in Python has such a step is not known before it is imported.
        (
            "[pipeline.c]\nsource = 'pipe:bare'\n",
            "report",
            "this project has several pipelines: a, b, c: name one with --pipeline",
        ),
    ],
)
def test_an_image_that_says_nothing_of_its_pipeline_is_an_error_that_says_what_to_write(
    write: Callable[..., Path], more: str, image: str, found: str
) -> None:
    project = load_project(write(SEVERAL + more))
    with pytest.raises(UsageError) as error:
        chosen(project, None, image=image)
    (problem,) = error.value.problems
    assert f"{problem.found}: {problem.fix}" == found


@pytest.mark.parametrize(
    ("toml", "source", "found"),
    [
        (
            "",
            None,
            "stowplan.toml names no pipeline: write module:pipeline, like training.pipelines:train",
        ),
        ("", "training", "there is no pipeline 'training': write module:pipeline"),
        (TOML, "trainin", "there is no pipeline 'trainin': did you mean 'training'?"),
        (TOML + "[pipeline.b]\nsource = 'pipe:bare'\n", None, "several pipelines: training, b: name one"),
        ("", "pipe.py", "there is no pipeline 'pipe.py': write pipe:NAME, with the name of the pipeline"),
        ("", "./jobs/pipe.py:training", "no pipeline './jobs/pipe.py:training': write jobs.pipe:training"),
        ("", "pipe:", "there is no pipeline 'pipe:'"),
        ("", "-x", "there is no pipeline '-x'"),
        ("", "pipe:a b", "there is no pipeline 'pipe:a b'"),
        ("", "pipe:trainin", "command line: pipe has no trainin: did you mean 'training'?"),
        (
            '[pipeline.x]\nsource = "pipe:trainin"\n',
            "x",
            "stowplan.toml:2: pipeline.x.source: pipe has no trainin: did you mean 'training'?",
        ),
    ],
)
def test_a_source_that_names_no_pipeline(
    toml: str, source: str | None, found: str, write: Callable[..., Path]
) -> None:
    assert found in refused(write(toml), source)


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ("source = 3", "stowplan.toml:2: pipeline.x.source: expected a string, found an integer"),
        ("source = 'pipe'", "pipeline.x.source: not a pipeline in Python: 'pipe': write it like"),
        (
            "source = 'a:b'\nsteps = ['a']\nsettings.docker.user = '1'",
            "stowplan.toml:3: pipeline.x.steps: source says that the pipeline is in Python: write it there",
        ),
    ],
)
def test_a_table_that_names_no_place(table: str, found: str, write: Callable[..., Path]) -> None:
    with pytest.raises(PlannerError) as raised:
        load_project(write(f"[pipeline.x]\n{table}\n"))
    assert found in str(raised.value)


WRONG: Final = """
from stowplan import DockerSettings, pipeline, step

@step(
    settings={"docker": DockerSettings(
        apt_package=["git"], parent_image=1, required_integrations={"a"}, environment=b"x",
    )},
)
def load(): ...

@step(name="../x")
def odd(): ...

@pipeline(settings={"dokcer": DockerSettings(), "docker": ["a"]})
def training():
    load()
    odd()

@pipeline
def empty():
    pass

@pipeline(settings=DockerSettings(apt_packages=["git"]))
def short():
    load.with_options(settings=3)()
"""


def test_what_is_wrong_has_the_words_of_a_project_file_and_the_line_of_the_decorator(
    write: Callable[..., Path],
) -> None:
    """All of it at once."""
    step = "pipe.py:4: pipeline.training.step.load.settings.docker"
    assert refused(write("", WRONG), "pipe:training").split("\n") == [
        "pipe.py:14: pipeline.training.settings.dokcer: unknown kind of settings: did you mean 'docker'?",
        "pipe.py:14: pipeline.training.settings.docker: expected a table, found a list: write name = value",
        f"{step}.apt_package: unknown name: did you mean 'apt_packages'?",
        f"{step}.parent_image: expected a string, found an integer: put it in quotes",
        f'{step}.required_integrations: expected a list, found set: write it as a list: ["…"]',
        f'{step}.environment: expected a table, found bytes: write it as {{ NAME = "value" }}',
        "pipe.py:17: pipeline.training.step.../x.name: not a name: '../x': " + NAMES,
    ]
    empty = "pipe.py:19: pipeline.empty: it calls no step: call a function that is decorated with @step"
    assert refused(write("", WRONG), "pipe:empty") == empty
    assert "pipe.py:25: pipeline.short.step.load.settings: expected a table" in refused(
        write("", WRONG), "pipe:short"
    )


def test_settings_that_contradict_each_other_are_placed_at_the_decorator(write: Callable[..., Path]) -> None:
    python = PYTHON.replace(f'parent_image="{PINNED}"', "skip_build=True")
    project = load_project(write("", python))
    found = chosen(project, "pipe.training")
    with pytest.raises(PlannerError) as raised:
        plan(project, found.pipeline, project.stack(None), offline=True)
    assert "pipe.py:19: pipeline.training.settings.docker.skip_build: no parent_image" in str(raised.value)


def test_what_says_nothing_of_images_is_passed_over_with_notes(write: Callable[..., Path]) -> None:
    python = PYTHON.replace("@step\ndef load", "@step(enable_cache=False, retry=3)\ndef load").replace(
        '    "deployment"', '    "resources": {"cpu": 1},\n    "deployment"'
    )
    notes = chosen(load_project(write("", python)), "pipe:training").notes
    assert [(note.code, str(note)) for note in notes] == [
        (
            "passed-over",
            "pipe.py:19: pipeline.training.settings: those of resources say nothing about images: ignored",
        ),
        ("passed-over", "pipe.py:5: enable_cache, retry say nothing about images, and are ignored"),
    ]


NOTHING: Final = PipelineSource()


def locked(root: Path, source: str | None = None) -> dict[str, str | None]:
    """Write the lock of a pipeline, or of all; where the lock says that pipelines are."""
    project = load_project(root)
    checked = check_lock(project, source, None, asks=False)
    write_lock(project, checked)
    again = check_lock(load_project(root), None, None, asks=False)
    assert again.fresh
    assert again.lock is not None
    return {
        made.pipeline: again.lock.sources[made.pipeline].module
        if made.pipeline in again.lock.sources
        else None
        for made in again.lock.plans
    }


def test_a_lock_keeps_pipelines_in_python_while_they_are_there(write: Callable[..., Path]) -> None:
    # What needs no index to be locked.
    python = PYTHON.replace('    "deployment": DeploymentSettings(requirements=["fastapi==0.115.0"]),\n', "")
    toml = f'[pipeline.other]\nsteps = ["a"]\nsettings.docker.parent_image = "{PINNED}"\n'
    root = write(toml, python)
    assert locked(root) == {"other": None}
    assert "version = 2" in (root / "stowplan.lock").read_text()
    assert locked(root, "pipe.training") == {"other": None, "training": "pipe:training"}
    assert "version = 3" in (root / "stowplan.lock").read_text()
    # Nobody has to name it again.
    assert locked(root) == {"other": None, "training": "pipe:training"}
    stale = check_lock(
        load_project(write(toml, python.replace("'1000'", "'7'").replace('"1000"', '"7"'))),
        None,
        None,
        asks=False,
    )
    assert not stale.fresh
    # A project file that names it says what it is.
    assert locked(write(toml + '[pipeline.training]\nsource = "pipe:training"\n', python)) == {
        "other": None,
        "training": None,
    }
    assert locked(write(toml, python)) == {"other": None}


def test_a_pipeline_that_is_gone_is_gone_from_the_lock(write: Callable[..., Path]) -> None:
    python = PYTHON.replace('    "deployment": DeploymentSettings(requirements=["fastapi==0.115.0"]),\n', "")
    toml = f'[pipeline.other]\nsteps = ["a"]\nsettings.docker.parent_image = "{PINNED}"\n'
    root = write(toml, python)
    locked(root)
    locked(root, "pipe.training")
    # One that cannot be looked at is not gone.
    write(toml, "raise ValueError(3)\n")
    with pytest.raises(ExecutorError, match=r"pipe\.py:1: ValueError: 3, while describing pipe:training"):
        locked(root)
    write(toml, python.replace("def training", "def renamed"))
    checked = check_lock(load_project(root), None, None, asks=False)
    assert checked.gone == (("training", "default"),)
    assert locked(root) == {"other": None}
    (root / "pipe.py").unlink()
    assert locked(root) == {"other": None}


def test_apply_keeps_where_a_pipeline_is(write: Callable[..., Path]) -> None:
    python = PYTHON.replace('    "deployment": DeploymentSettings(requirements=["fastapi==0.115.0"]),\n', "")
    project = load_project(write("", python))
    found: Chosen = chosen(project, "pipe:training")
    made = plan(project, found.pipeline, project.stack(None), offline=True)
    renew(project, made.lock, made.plan, found.source)
    checked = check_lock(project, None, None, asks=False)
    assert checked.fresh
    assert checked.lock is not None
    assert checked.lock.sources == {"training": PipelineSource("pipe:training")}


def test_a_command_that_needs_all_pipelines_says_that_there_are_none(write: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match=r"stowplan\.toml names no pipeline"):
        check_lock(load_project(write()), None, None, asks=False)


def test_a_lock_keeps_the_run_configuration_that_it_was_written_with(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    toml = f'[pipeline.other]\nsteps = ["a"]\nsettings.docker.parent_image = "{PINNED}"\n'
    root = write(toml)
    (root / "configs").mkdir()
    (root / "configs" / "user.yaml").write_text("settings: {docker: {user: '7'}}\n")
    project = load_project(root)
    monkeypatch.chdir(root / "configs")

    def write_it(config: str | None) -> None:
        write_lock(project, check_lock(project, "other", None, Path(config) if config else None, asks=False))

    write_it("user.yaml")
    checked = check_lock(project, None, None, asks=False)
    assert checked.fresh
    assert checked.lock is not None
    assert checked.lock.sources == {"other": PipelineSource(config="configs/user.yaml")}
    (root / "configs" / "user.yaml").write_text("settings: {docker: {user: '8'}}\n")
    assert not check_lock(project, None, None, asks=False).fresh
    (root / "configs" / "user.yaml").rename(root / "other.yaml")
    with pytest.raises(ExecutorError, match=r"user\.yaml: does not exist"):
        check_lock(project, None, None, asks=False)
    # One that is elsewhere is no business of others.
    outside = tmp_path_factory.mktemp("outside") / "user.yaml"
    outside.write_text("settings: {docker: {user: '7'}}\n")
    write_it(str(outside))
    assert "outside" not in (root / "stowplan.lock").read_text()
    write_it(None)
    checked = check_lock(project, None, None, asks=False)
    assert checked.fresh
    assert checked.lock is not None
    assert checked.lock.sources == {}
