"""Requirements that come to nothing: what is said, and at which line, with the real uv and a real index."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from executor.config.project import load_project
from executor.workflow.locks import check_lock
from planner import PlannerError
from tests.index import Index, package_index

PROJECT: Final = f"""\
[stack.default.orchestrator]
flavor = "local"
requirements = ["alpha<2"]

[integration.ours]
requirements = ["ours"]

[pipeline.training]
steps = ["train"]

[pipeline.training.settings.docker]
parent_image = "python:3.11-slim@sha256:{"0" * 64}"
python_version = "3.11.2"
"""
UNSATISFIABLE: Final = "we can conclude that your requirements are unsatisfiable"
CORRECT: Final = "correct the name, or add an index that has it to package_indexes"


@pytest.fixture(scope="module", autouse=True)
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """An index, and a cache of uv for these tests alone."""
    with package_index() as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("UV_DEFAULT_INDEX", made.url)
        made.release("alpha", "1.0")
        made.release("alpha", "2.0")
        made.release("needy", "1.0", ["nowhere"])
        yield made


def refused(
    root: Path, settings: str, files: Mapping[str, str], *, stack: bool, newest: str | None = None
) -> list[str]:
    """All that is wrong with a project when it is locked, with its codes."""
    for name, text in files.items():
        (root / name).write_text(text)
    without = "" if stack else "install_stack_requirements = false\n"
    (root / "stowplan.toml").write_text(PROJECT + without + textwrap.dedent(settings))
    with pytest.raises(PlannerError) as caught:
        check_lock(load_project(root), None, None, asks=True, exclude_newer=newest)
    return [f"{problem.code}: {problem}" for problem in caught.value.problems]


DOCKER: Final = "pipeline.training.settings.docker"


@pytest.mark.parametrize(
    ("settings", "files", "found"),
    [
        (
            'requirements = [\n    "alpha",\n    "nope>=1",\n]',
            {},
            (
                f"unknown-package: stowplan.toml:17: {DOCKER}.requirements[1]: "
                f"no package index has nope: requirements needs nope>=1: {CORRECT}"
            ),
        ),
        (
            'requirements = "r.txt"',
            {"r.txt": "alpha\n-r more.txt\n", "more.txt": "# what is not there\nnope\n"},
            f"unknown-package: more.txt:2: no package index has nope: requirements needs nope: {CORRECT}",
        ),
        (
            'pyproject_path = "pyproject.toml"',
            {"pyproject.toml": '[project]\nname = "x"\nversion = "1"\ndependencies = ["nope"]\n'},
            (
                "unknown-package: pyproject.toml: project.dependencies: "
                f"no package index has nope: pyproject needs nope: {CORRECT}"
            ),
        ),
        (
            'required_integrations = ["ours"]',
            {},
            (
                f"unknown-package: stowplan.toml:15: {DOCKER}.required_integrations[0]: "
                f"no package index has ours: integrations needs ours: {CORRECT}"
            ),
        ),
        (
            'requirements = ["needy"]',
            {},
            (
                f"unknown-package: stowplan.toml:15: {DOCKER}.requirements[0]: "
                "no package index has nowhere, and requirements needs needy. "
                "Because nowhere was not found in the package registry and "
                "all versions of needy depend on nowhere, we can conclude that "
                f"all versions of needy cannot be used. And because you require needy, {UNSATISFIABLE}: "
                "add an index that has it to package_indexes, or change what depends on it"
            ),
        ),
        (
            'requirements = ["alpha>3"]',
            {},
            (
                f"contradiction: stowplan.toml:15: {DOCKER}.requirements[0]: requirements needs alpha>3, "
                "which cannot be installed: only alpha<=2.0 is available: change the requirement"
            ),
        ),
        (
            'requirements = ["-r r.txt", "-c c.txt"]',
            {"r.txt": "alpha\n", "c.txt": "\nalpha==1.5\n"},
            (
                "contradiction: c.txt:2: requirements needs alpha==1.5, "
                "which cannot be installed: there is no version of alpha==1.5: change the requirement"
            ),
        ),
    ],
)
def test_what_is_in_no_index_is_said_with_the_line_that_wants_it(
    tmp_path: Path, settings: str, files: Mapping[str, str], found: str
) -> None:
    assert refused(tmp_path, settings, files, stack=False) == [found]


def test_of_what_cannot_be_resolved_together_each_is_named_with_its_place(tmp_path: Path) -> None:
    files = {"a.txt": "alpha>=1\n", "b.txt": "\nalpha>=2\n"}
    assert refused(tmp_path, 'requirements = ["-r a.txt", "-r b.txt"]', files, stack=True) == [
        (
            "contradiction: b.txt:2: stack and requirements cannot be resolved together: "
            "stack needs alpha<2 at stack.default.orchestrator; "
            "requirements needs alpha>=1 at a.txt:1; requirements needs alpha>=2. "
            f"Because you require alpha<2 and alpha>=2, {UNSATISFIABLE}: "
            "change one of these requirements, "
            "or set prefer_own_requirements = true to have those of requirements win"
        )
    ]


def test_a_date_that_hides_a_version_is_named(tmp_path: Path) -> None:
    found = refused(tmp_path, 'requirements = ["alpha>=2"]', {}, stack=False, newest="2025-01-01T00:00:00Z")
    assert found == [
        (
            f"contradiction: stowplan.toml:15: {DOCKER}.requirements[0]: requirements needs alpha>=2, "
            "which cannot be installed: there are no versions of alpha: change the requirement, "
            "or see with --exclude-newer whether what is newer than 2025-01-01T00:00:00Z will do"
        )
    ]


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        (
            (
                'requirements = ["alpha"]\n'
                "[pipeline.training.settings.docker.python_package_installer_args]\n"
                'prerelease = "allow"\nresolution = "oldest"\n'
            ),
            f"stowplan.toml:18: {DOCKER}.python_package_installer_args.resolution",
        ),
        (
            'requirements = ["alpha"]\nenvironment.UV_RESOLUTION = "oldest"\n',
            f"stowplan.toml:16: {DOCKER}.environment.UV_RESOLUTION",
        ),
    ],
)
def test_an_option_that_uv_does_not_take_is_said_at_its_line(
    tmp_path: Path, settings: str, where: str
) -> None:
    (found,) = refused(tmp_path, settings, {}, stack=False)
    # Values of variables are not shown.
    value = "***" if "environment" in settings else "oldest"
    assert found.startswith(f"invalid-input: {where}: uv does not take it: invalid value '{value}' for ")
    assert found.endswith(": see `uv pip compile --help`")
