"""Programs that list packages: real processes, what they print, and which Python they are asked of."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from executor import limits
from executor.errors import ExecutorError, ProgramMissing
from executor.observe.programs import PYTHON_VARIABLE, output_of, user_python
from executor.observe.world import WorkingTree, answer
from executor.resolve.program import uv_program
from executor.resolve.uv import resolve
from planner import Printed, ProgramOutput
from planner.facts.needs import Resolve
from planner.requirements.model import Requirement, Requirements
from planner.requirements.resolution import Inputs

PYTHON = sys.executable


def script(path: Path, text: str) -> str:
    """A program of Python at a path."""
    path.write_text(f"#!{PYTHON}\n{text}\n")
    path.chmod(0o755)
    return str(path)


def asked(root: Path, *commands: tuple[str, ...], directory: str = ".") -> Printed:
    return output_of(ProgramOutput(commands, directory), root, dict(os.environ))


def test_a_program_runs_in_its_directory_and_without_a_shell(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    source = "import os, sys; print(os.getcwd()); print(*sys.argv[1:])"
    command = (PYTHON, "-c", source, "--directory={directory}", "$(id) && echo", "{other}", "{python")
    found = asked(tmp_path, command, directory="sub")
    where = os.path.realpath(tmp_path / "sub")
    assert found.text == f"{where}\n--directory={where} $(id) && echo {{other}} {{python\n"
    # What is shown says nothing of this machine's directories.
    assert "--directory={directory}" in found.command
    assert where not in found.command


def test_what_programs_write_is_not_in_the_project(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "sub").mkdir(parents=True)
    files = {"pyproject.toml": "[project]", "poetry.lock": "# a lock", "other": "1"}
    for name, text in files.items():
        (project / "sub" / name).write_text(text)
    # As Poetry does where the lock is missing.
    writes = script(
        tmp_path / "writes",
        "import os, pathlib, sys; there = pathlib.Path(sys.argv[1]); print(*sorted(os.listdir(there)));"
        "(there / 'poetry.lock').write_text('new'); (there / 'more').touch()",
    )
    assert asked(project, (writes, "{copy}"), directory="sub").text == "poetry.lock pyproject.toml\n"
    # As Poetry does, which prints what it is doing.
    output = script(
        tmp_path / "output",
        "import pathlib, sys; print('Resolving...'); pathlib.Path(sys.argv[1]).write_text('six')",
    )
    assert asked(project, (output, "{output}")).text == "six"
    assert asked(project, (PYTHON, "-c", "print('Resolving...')", "{output}")).text == ""
    # As setuptools is told where to write, which reads this file.
    source = (
        "import configparser, os, pathlib; read = configparser.RawConfigParser();"
        "read.read(os.environ['DIST_EXTRA_CONFIG']);"
        "pathlib.Path(read['egg_info']['egg_base'], 'x.egg-info').mkdir()"
    )
    assert asked(project, (PYTHON, "-c", source), directory="sub").failures == ()
    assert {path.name: path.read_text() for path in (project / "sub").iterdir()} == files
    assert [path.name for path in project.rglob("*.egg-info")] == []


def test_the_first_program_that_works_answers(tmp_path: Path) -> None:
    works = script(tmp_path / "works", "print('six==1.0')")
    fails = script(
        tmp_path / "fails",
        "import sys; print('error: https://user:hunter2@h is down\\nhint: y', file=sys.stderr); sys.exit(3)",
    )
    found = asked(tmp_path, ("no-such-program-of-ours",), (fails, "a b"), (works,), (fails,))
    assert found == Printed(
        "six==1.0\n",
        works,
        (
            "`no-such-program-of-ours`: no such program",
            f"`{fails} 'a b'`: exit code 3: error: https://***@h is down; hint: y",
        ),
    )
    assert found.worked
    assert not asked(tmp_path, (fails,)).worked


def test_offline_uv_is_told_to_ask_nobody(tmp_path: Path) -> None:
    need = ProgramOutput(((PYTHON, "-c", "import os; print(os.environ.get('UV_OFFLINE'))"),))
    for asks, said in ((True, "None"), (False, "1")):
        world = WorkingTree(tmp_path, {"PATH": os.environ["PATH"]}, asks)
        assert answer(need, world).text == f"{said}\n"


def test_what_is_no_text_is_no_answer(tmp_path: Path) -> None:
    bad = script(tmp_path / "bad", "import sys; sys.stdout.buffer.write(b'\\xff')")
    large = script(tmp_path / "large", "print('#' * (17 * 1024 * 1024))")
    assert asked(tmp_path, (bad,), (large,)).failures == (
        f"`{bad}`: printed what is not UTF-8",
        f"`{large}`: printed more than 16777216 bytes",
    )


def test_a_program_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PROGRAM_SECONDS", 0.5)
    waits = script(tmp_path / "waits", "import time; time.sleep(600)")
    (failure,) = asked(tmp_path, (waits,)).failures
    assert failure == f"`{waits}`: did not end within 0.5 s"


# --- the Python that the user works in


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment without pip, as uv makes them."""
    path = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(path)], check=True)
    return path


def test_which_python_the_user_works_in(environment: Path, tmp_path: Path) -> None:
    other = tmp_path / "bin"
    other.mkdir()
    (other / "python3").symlink_to(environment / "bin/python")
    active, on_path = {"VIRTUAL_ENV": str(environment)}, {"PATH": f"{tmp_path / 'none'}:{other}"}
    assert user_python(on_path) == other / "python3"
    assert user_python({**on_path, **active}) == environment / "bin/python"
    named = {PYTHON_VARIABLE: str(other / "python3")}
    assert user_python({**on_path, **active, **named}) == other / "python3"
    assert user_python({**on_path, PYTHON_VARIABLE: "python3"}) == other / "python3"
    with contextlib.chdir(tmp_path):
        assert user_python({PYTHON_VARIABLE: "bin/python3"}) == other / "python3"
        assert user_python({"PATH": "bin"}) == other / "python3"
    with contextlib.chdir(environment.parent):
        assert user_python({**on_path, "VIRTUAL_ENV": "venv"}) == environment / "bin/python"
    # One that is gone.
    assert user_python({**on_path, "VIRTUAL_ENV": str(tmp_path / "gone")}) == other / "python3"
    with pytest.raises(ExecutorError, match=r"--python: there is no Python 'python9'"):
        user_python({**on_path, PYTHON_VARIABLE: "python9"})
    with pytest.raises(ExecutorError, match="the local Python: there is none on the PATH"):
        user_python({"PATH": str(tmp_path / "none")})


def test_the_python_of_stowplan_as_a_tool_is_not_the_user_s(environment: Path, tmp_path: Path) -> None:
    """As `uv tool install` and pipx make its environment: nothing that a project needs is in there."""
    own = environment / "bin"
    other = tmp_path / "bin"
    other.mkdir()
    (other / "python3").symlink_to(PYTHON)
    source = (
        "from executor.observe.programs import user_python;"
        f"print(user_python({{'PATH': '{own}:{other}', 'VIRTUAL_ENV': '{environment}'}}))"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])

    def found() -> str:
        command = [str(own / "python"), "-c", source]
        return subprocess.run(
            command, env={"PYTHONPATH": path}, check=True, capture_output=True, text=True
        ).stdout.strip()

    assert found() == str(own / "python")
    for receipt in ("uv-receipt.toml", "pipx_metadata.json"):
        (environment / receipt).touch()
        assert found() == str(other / "python3")
        (environment / receipt).unlink()


def test_what_an_environment_has_installed(environment: Path, tmp_path: Path) -> None:
    """Without pip of its own uv lists it."""
    packages = next((environment / "lib").glob("python3*/site-packages"))
    for name, more in (("six", ""), ("local", '{"url": "file:///home/me/local", "dir_info": {}}')):
        info = packages / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").touch()
        if more:
            (info / "direct_url.json").write_text(more)
    commands = (
        ("{python}", "-m", "pip", "--disable-pip-version-check", "freeze"),
        ("uv", "pip", "freeze", "--python={python}"),
    )
    world = WorkingTree(tmp_path, {"VIRTUAL_ENV": str(environment), "PATH": ""})
    found = answer(ProgramOutput(commands), world)
    assert found.text.splitlines() == ["local @ file:///home/me/local", "six==1.0"]
    assert found.command == "uv pip freeze --python={python}"
    (failure,) = found.failures
    assert "No module named pip" in failure


@pytest.mark.parametrize("missing", ["package", "binary"])
def test_the_uv_of_stowplan_goes_before_the_one_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    own = tmp_path / "uv"
    own.symlink_to(PYTHON)
    environ = {"PATH": str(tmp_path)}
    assert uv_program(environ) == find_uv_bin()

    def lost() -> str:
        raise FileNotFoundError("Could not find the uv binary in any of the following locations: …")

    if missing == "package":
        monkeypatch.setitem(sys.modules, "uv", None)
    else:
        monkeypatch.setattr("uv.find_uv_bin", lost)
    assert uv_program(environ) == str(own)
    for elsewhere in ({"PATH": str(tmp_path / "other")}, {"PATH": ""}, {}):
        with pytest.raises(ProgramMissing) as caught:
            uv_program(elsewhere)
        assert str(caught.value) == "uv: no such program: install it, or put its directory on the PATH"
    # Whoever needs it says so: a program that is asked for a list, and a resolution.
    found = answer(ProgramOutput((("uv", "export"),)), WorkingTree(tmp_path, {}))
    assert found.failures == ("`uv export`: no such program",)
    sources = (("requirements", Requirements.of([Requirement.parse("six")])),)
    with pytest.raises(ProgramMissing):
        resolve(Resolve(Inputs(sources, "3.11", "x86_64-manylinux_2_28")), {})
