"""Equal needs are one question, and what a lock answers is none: programs are counted, as Python says that
it starts them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from uv import find_uv_bin

from executor.config.project import Project, load_project
from executor.observe.programs import PYTHON_VARIABLE
from executor.workflow.locks import check_lock, write_lock
from executor.workflow.outdated import outdated
from executor.workflow.plans import plan, required_lock
from planner import ImagePlan
from tests.audit import watched
from tests.index import Index, package_index, wheel

RESOLUTION: Final = {"uv pip compile": 2}
"""What a resolution takes: the files, and who wants them."""
PYPROJECT: Final = '[project]\nname = "models"\nversion = "1"\ndependencies = ["six"]\n'
FILES: Final = {
    "requirements.txt": "six\n",
    "plain/pyproject.toml": PYPROJECT,
    "locked/pyproject.toml": PYPROJECT,
    "dynamic/pyproject.toml": f"{PYPROJECT}[tool.uv]\nindex-strategy = 'first-index'\n",
}
# Settings that say what is installed → the programs that are asked before it is resolved.
SOURCES: Final[Mapping[str, tuple[str, Mapping[str, int]]]] = {
    "local-environment": ('replicate_local_python_environment = "uv_freeze"', {"uv pip freeze": 1}),
    "stack": ("install_stack_requirements = true", {}),
    "deployment": ("install_deployment_requirements = true", {}),
    "integrations": ('required_integrations = ["ours"]', {}),
    "pyproject": ('pyproject_path = "plain/pyproject.toml"', {}),
    "pyproject and uv.lock": ('pyproject_path = "locked/pyproject.toml"', {"uv export": 1}),
    "pyproject of uv": ('pyproject_path = "dynamic/pyproject.toml"', {"uv pip compile": 1}),
    "requirements": ('requirements = ["six"]', {}),
    "requirements file": ('requirements = "requirements.txt"', {}),
    "detected": ("disable_automatic_requirements_detection = false", {}),
}

OTHERS: Final = ("install_stack_requirements", "install_deployment_requirements")
"""Sources that there are unless settings say otherwise."""


@pytest.fixture(scope="module", autouse=True)
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """An index with one package, and a cache of uv for these tests alone."""
    with package_index() as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("UV_DEFAULT_INDEX", made.url)
        made.release("six", "1.16.0")
        yield made


def project(root: Path, settings: str, more: str = "", *, steps: int = 1) -> Project:
    """A project whose steps have these settings."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    names = json.dumps([f"s{number}" for number in range(steps)])
    (root / "stowplan.toml").write_text(
        textwrap.dedent(f"""
            [integration.ours]
            requirements = ["six"]

            [stack.default]
            orchestrator = {{ requirements = ["six"] }}
            deployer = {{ flavor = "docker" }}

            [pipeline.training]
            steps = {names}
            settings.deployment = {{ requirements = ["six"] }}

            [pipeline.training.settings.docker]
            parent_image = "python:3.11-slim@sha256:{"0" * 64}"
            python_version = "3.11.2"
            allow_including_files_in_images = false
        """)
        + "".join(f"{name} = false\n" for name in OTHERS if name not in settings)
        + f"{settings}\n{more}"
    )
    return load_project(root)


def environment(root: Path) -> str:
    """The Python of an environment that has one package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root)], check=True)
    name, data = wheel("six", "1.16.0")
    (root / name).write_bytes(data)
    (packages,) = root.glob("lib/python*/site-packages")
    with zipfile.ZipFile(root / name) as archive:
        archive.extractall(packages)
    return str(root / "bin/python")


@contextmanager
def programs() -> Iterator[Counter[str]]:
    """The programs that are started, by the words that say what they are asked."""
    started: Counter[str] = Counter()

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "subprocess.Popen":
            words = arguments[1]
            assert isinstance(words, list | tuple)
            first = next(number for number, word in enumerate(words) if Path(word).name == "uv")
            asked = [word for word in words[first + 1 : first + 3] if word.isalpha()]
            started[" ".join(("uv", *asked))] += 1
        elif event.startswith(("os.exec", "os.fork", "os.posix_spawn", "os.system", "socket.connect")):
            started[event] += 1

    with watched(watch):
        yield started


@pytest.mark.parametrize("source", SOURCES)
def test_what_a_lock_has_no_program_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    settings, listed = SOURCES[source]
    made = project(tmp_path, settings)
    monkeypatch.setenv(PYTHON_VARIABLE, environment(tmp_path / "work"))
    subprocess.run([find_uv_bin(), "lock", "--quiet"], cwd=tmp_path / "locked", check=True)
    with programs() as first:
        write_lock(made, check_lock(made, None, None, asks=True))
    assert first == Counter(listed) + Counter(RESOLUTION)
    with programs() as later:
        assert [image.spec.packages[0].text for image in _planned(made)] == ["six==1.16.0"]
        assert check_lock(made, None, None, asks=True).fresh
    assert later == {}


def test_a_program_that_lists_no_packages_is_asked_for_a_lock_and_not_for_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(
        tmp_path, 'replicate_local_python_environment = "uv_freeze"\npyproject_path = "pyproject.toml"'
    )
    (tmp_path / "pyproject.toml").write_text(PYPROJECT.replace('"six"', ""))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "work")], check=True)
    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "work/bin/python"))
    subprocess.run([find_uv_bin(), "lock", "--quiet"], cwd=tmp_path, check=True)
    with programs() as first:
        write_lock(made, check_lock(made, None, None, asks=True))
    assert first == {"uv export": 1, "uv pip freeze": 1}
    with programs() as later:
        assert [image.builds for image in _planned(made)] == [False]
        assert check_lock(made, None, None, asks=True).fresh
    assert later == {}


def _planned(made: Project) -> tuple[ImagePlan, ...]:
    return plan(made, made.pipeline(None), made.stack(None)).plan.images


def test_steps_that_share_their_requirements_ask_for_them_once(tmp_path: Path) -> None:
    """Also where each has an image of its own."""
    own = "".join(
        f"[pipeline.training.step.s{number}.settings.docker]\nenvironment.STEP = {number}\n"
        for number in range(1000)
    )
    settings, listed = SOURCES["pyproject and uv.lock"]
    made = project(tmp_path, settings, own, steps=1000)
    subprocess.run([find_uv_bin(), "lock", "--quiet"], cwd=tmp_path / "locked", check=True)
    with programs() as started:
        (checked,) = check_lock(made, None, None, asks=True).plans
    # One for each step, and that of the deployer, which has the settings of the pipeline.
    assert len(checked.images) == 1001
    assert started == Counter(listed) + Counter(RESOLUTION)


def test_outdated_asks_for_each_page_of_an_index_once(index: Index, tmp_path: Path) -> None:
    """Also of an index that lets nobody keep its pages."""
    names = [f"package-{number}" for number in range(100)]
    for number, name in enumerate(names):
        index.release(name, "1.0", names[number + 1 : number + 2])
    made = project(tmp_path, f'requirements = ["{names[0]}"]')
    write_lock(made, check_lock(made, None, None, asks=True))
    index.release(names[-1], "1.1")
    assert index.site is not None
    index.site.requests.clear()
    found = outdated(made, required_lock(made))
    assert [(newer.name, newer.before, newer.after) for newer in found.newer] == [(names[-1], "1.0", "1.1")]
    pages = [each.path for each in index.site.requests if "/simple/" in each.path]
    assert sorted(pages) == sorted(f"{index.path}/simple/{name}/" for name in names)
