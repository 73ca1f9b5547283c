"""Mistakes: each message says where it is, what it is and what to do, and doing that helps.

The table is fixtures/mistakes. `--update-golden` writes the messages and exit codes into it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomlkit

from tests.e2e.command import Project
from tests.index import Index, package_index
from tests.mistakes import DIRECTORY, Mistake, made, mistakes, remedied, written

ALL = list(mistakes())
SECRET = "hunter22"


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    """An index that has the packages of the table."""
    with package_index() as found:
        found.release("six", "1.16.0")
        found.release("six", "1.15.0")
        for name in ("scikit-learn", "pandas", "jinja2"):
            found.release(name, "1.3")
        yield found


@pytest.fixture
def newcomer(project: Project, index: Index, tmp_path: Path) -> Project:
    """The project of somebody who has git and uv, and no engine that works."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\nname = n\nemail = n@example.org\n")
    project.env |= {
        "HOME": str(home),
        "DOCKER_HOST": f"unix://{tmp_path}/docker.sock",
        "STOWPLAN_CONTAINER_ENGINE": "docker",
        "UV_DEFAULT_INDEX": index.url,
        "UV_INSECURE_HOST": index.host,
        "COLUMNS": "100",
        "STOWPLAN_PYTHON": sys.executable,
    }
    return project


@pytest.mark.parametrize("mistake", ALL, ids=[each.id for each in ALL])
def test_a_mistake_is_met_with_its_remedy(newcomer: Project, mistake: Mistake, update_golden: bool) -> None:
    ran = made(newcomer, mistake)
    said = written(newcomer, ran)
    assert "Traceback" not in said
    assert SECRET not in said
    if update_golden:
        _update(mistake, said, ran.code)
    else:
        assert (said, ran.code) == (mistake.row["message"], mistake.row["exit"])
    assert ran.code not in (0, 70)
    after = remedied(newcomer, mistake)
    assert after.code == 0, after.err + after.out


def _update(mistake: Mistake, message: str, code: int) -> None:
    path = DIRECTORY / f"{mistake.area}.toml"
    table = tomlkit.parse(path.read_text())
    row = next(each for each in table["mistake"] if each["name"] == mistake.row["name"])
    row["message"] = tomlkit.parse(f"message = '''\n{message}'''\n")["message"]
    row["exit"] = code
    path.write_text(tomlkit.dumps(table))
