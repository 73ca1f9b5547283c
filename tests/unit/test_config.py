"""The project file: the line of every setting, and problems placed at the line that wrote them."""

from __future__ import annotations

import cProfile
import os
import pstats
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.config.lines import lines_of
from executor.config.project import find_project, load_project
from executor.errors import ExecutorError
from executor.workflow.plans import Planned, plan
from planner import PlannerError
from planner.errors import line_of
from tests.irregular import make_device, make_socket

PARENT = f"base:1@sha256:{'1' * 64}"


def numbered(text: str) -> str:
    """A text in which each `@` became the number of its line."""
    return "\n".join(line.replace("@", str(number)) for number, line in enumerate(text.split("\n"), start=1))


def leaves(value: Any, *path: str | int) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value that holds no other, by its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from leaves(item, *path, key)
    if not isinstance(value, dict | list):
        yield path, value


TEXTS = {
    "values": "a = @\nb = @\n\n# a comment\nc = @ # another\n",
    "tables": "a = @\n[t]\nb = @\n\n[t.u]\nc = @\n[t.u.v]\n\nd = @\n",
    "arrays": "a = [@, @]\nb = [\n  @, # one\n  @,\n\n  # two\n  @\n]\nc = @\n",
    "arrays in arrays": "a = [[@, @],\n [@],\n [\n[@]]]\nb = @\n",
    "inline tables": "t = { a = @, b = { c = @ }, d.e = @ }\nz = [{ a = @ },\n { a = @, b = [@,\n @] }]\n",
    "multi-line strings": 'a = """\none\ntwo"""\nb = @\nc = \'\'\'x\n\n\'\'\'\nd = @\ne = """"""\nf = @\n',
    "strings with escapes": 'a = "one\\ntwo"\nb = @\nc = """one\\\n   two"""\nd = @\ne = \'\\n\'\nf = @\n',
    "strings in arrays": 'a = ["""\none""", @, \'\'\'\n\n\'\'\', @]\nb = @\n',
    "dotted keys": "a.b.c = @\na.b.d = @\nx.y = @\na.e = @\n[t]\nu.v = @\nu.w = @\n",
    "quoted keys": "'a.b'.c = @\n\"d e\" = @\n[x.\"y.z\"]\n\"\" = @\n\"\\u00e9\" = @\n",
    "arrays of tables": "[[p]]\na = @\n[p.q]\nb = @\n[[p]]\n\na = @\n[[p.r]]\nc = @\n[[p.r]]\nc = @\n",
    "tables out of order": "[a.x]\nv = @\n[b]\nv = @\n[a.y]\nv = @\n[b.z]\nq = @\n[a]\nw = @\n",
    "arrays of tables out of order": "[a]\nx = @\n[[a.l]]\nv = @\n[e]\nk = @\n[[a.l]]\nv = @\n[a.m]\nn = @\n",
    "dotted out of order": "[a]\nb.c = @\n[d]\ne = @\n[a.f]\ng.h = @\n[a.i.j]\nk = @\n",
    "nothing in them": "a = []\nb = [\n\n]\nc = {}\n[d]\n[e]\nf = @\n",
    "other kinds": "a = true\nb = 1979-05-27T07:32:00Z\nc = 07:32:00\nd = 1.5\ne = inf\nf = 0xff\ng = @\n",
    "marks of ours": "# stowplan-value-7\na = @ # stowplan-value-0\n\"stowplan-value-1\" = @\n",
    "a mark in a value": "a = 'stowplan-value-2'\nb = @\nc = '''\nstowplan-value--1'''\nd = @\n",
    "indented": "  [t]\n\ta = @\n   [t.u]\n     b = @\n",
    "no line end": "a = @\nb = @",
    "byte for byte the same lines": "a = @\n" + "\n" * 50 + "b = @\n",
}  # fmt: skip


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", TEXTS)
def test_the_line_of_every_value(name: str, line_end: str) -> None:
    """Values that are numbers are those of their own lines."""
    text = numbered(TEXTS[name]).replace("\n", line_end)
    lines = lines_of(text)
    known = dict(leaves(tomllib.loads(text)))
    assert known.keys() <= lines.keys()
    numbers = {path: value for path, value in known.items() if type(value) is int and value < 100}
    assert numbers
    assert {path: lines[path] for path in numbers} == numbers


def test_the_line_of_a_table_and_a_list_is_that_of_the_first_value_in_it() -> None:
    lines = lines_of("[t]\n\n[t.u]\na = [\n 1,\n 2]\n[[l]]\n\nb = 1\n[e]\n")
    assert lines == {
        ("t",): 5,
        ("t", "u"): 5,
        ("t", "u", "a"): 5,
        ("t", "u", "a", 0): 5,
        ("t", "u", "a", 1): 6,
        ("l",): 9,
        ("l", 0): 9,
        ("l", 0, "b"): 9,
    }


def test_the_line_of_what_is_not_there_is_that_of_what_it_would_be_in() -> None:
    lines = lines_of("[t]\na = 1\nb = [1,\n2]\n")
    assert line_of(lines, ("t", "b", 1)) == 4
    assert line_of(lines, ("t", "b", 7)) == 3
    assert line_of(lines, ("t", "c", "d")) == 2
    assert line_of(lines, ("u",)) is None
    assert line_of(lines, ()) is None


SHAPES: dict[str, Callable[[int], str]] = {
    "values": lambda count: "".join(f"k{number} = @\n" for number in range(count)),
    "a table each": lambda count: "".join(f"[t.k{number}]\nx = @\n" for number in range(count)),
    "dotted keys": lambda count: "".join(f"t.k{number} = @\n" for number in range(count)),
    "an array": lambda count: "a = [\n" + "@,\n" * count + "]\n",
    "an array of tables": lambda count: "[[t]]\nx = @\n" * count,
    "an inline table": lambda count: "t = {" + ", ".join(f"k{number} = @" for number in range(count)) + "}\n",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_settings_take_twice_the_calls(shape: str) -> None:
    """By the calls that are made, of C functions too: a clock says something else each time."""

    def calls(count: int) -> int:
        text = numbered(SHAPES[shape](count))
        profile = cProfile.Profile()
        profile.runcall(lines_of, text)
        return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]

    few, more = calls(250), calls(500)
    assert more < 2.1 * few


def test_the_lines_of_5000_settings() -> None:
    text = numbered(SHAPES["values"](5000))
    assert lines_of(text) == {(f"k{number}",): number + 1 for number in range(5000)}


# --- problems at the lines that wrote them


def problems_of(root: Path, text: str) -> list[tuple[str, int | None, str]]:
    """What is wrong with the only pipeline of a project file: the path, the line, and what was found."""
    (root / "stowplan.toml").write_text(text, "utf-8")

    def planned() -> Planned:
        project = load_project(root)
        return plan(project, project.pipeline(None), project.stack(None))

    with pytest.raises(PlannerError) as raised:
        planned()
    problems = raised.value.problems
    assert {problem.where.file for problem in problems} == {"stowplan.toml"}
    return [(problem.where.dotted, problem.where.line, problem.found) for problem in problems]


# The lines that the step below begins after are 1 to 7.
PIPELINE = f"""\
[pipeline.training]
steps = ["load", "train"]

[pipeline.training.settings.docker]
parent_image = "{PARENT}"
user = "captain"
%s
"""
STEP = "[pipeline.training.step.train.settings.docker]\n"
UNSET = "environment variable STOWPLAN_TEST_UNSET is not set"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STOWPLAN_TEST_UNSET", raising=False)


@pytest.mark.parametrize(
    "own", ["", 'environment.A = "fine"\n', 'environment = { A = "fine" }\nuser = "me"\n']
)
def test_what_the_pipeline_says_wrongly_is_placed_there_whatever_the_step_says(
    tmp_path: Path, own: str
) -> None:
    text = PIPELINE % 'environment.B = "${STOWPLAN_TEST_UNSET}"' + STEP + own
    place = "pipeline.training.settings.docker.environment.B"
    assert problems_of(tmp_path, text) == [(place, 7, UNSET)]


def test_what_a_step_says_wrongly_is_placed_there_whatever_the_pipeline_says(tmp_path: Path) -> None:
    text = PIPELINE % 'environment.B = "fine"' + STEP + 'environment.A = "${STOWPLAN_TEST_UNSET}"\n'
    place = "pipeline.training.step.train.settings.docker.environment.A"
    assert problems_of(tmp_path, text) == [(place, 9, UNSET)]


def test_a_problem_of_a_step_and_one_of_the_pipeline_are_each_at_their_own_line(tmp_path: Path) -> None:
    text = PIPELINE % 'runtime_environment = { A = "1", B = "${STOWPLAN_TEST_UNSET}" }'
    text += STEP + 'apt_packages = ["git"]\ndockerfile = "Dockerfile"\nruntime_environment.A = "2"\n'
    assert problems_of(tmp_path, text) == [
        ("pipeline.training.settings.docker.runtime_environment.B", 7, UNSET),
        ("pipeline.training.step.train.settings.docker.dockerfile", 10, "Dockerfile does not exist"),
    ]
    text = text.replace('dockerfile = "Dockerfile"', 'environment.C = "${STOWPLAN_TEST_UNSET_TOO}"')
    found = "environment variable STOWPLAN_TEST_UNSET_TOO is not set"
    assert problems_of(tmp_path, text) == [
        ("pipeline.training.settings.docker.runtime_environment.B", 7, UNSET),
        ("pipeline.training.step.train.settings.docker.environment.C", 10, found),
    ]


def test_what_only_the_two_together_say_wrongly_is_placed_where_the_setting_was_written(
    tmp_path: Path,
) -> None:
    text = PIPELINE % 'local_project_install_command = "pip install ."'
    text += STEP + "allow_including_files_in_images = false\n"
    found = "the files it would install are not in the image"
    place = "pipeline.training.settings.docker.local_project_install_command"
    assert problems_of(tmp_path, text) == [(place, 7, found)]


@pytest.mark.parametrize(
    ("below", "above", "place", "line"),
    [
        ("jobs = 2", "use_config_proxy = false", "settings.docker", 7),
        ("use_config_proxy = false", "jobs = 2", "step.train.settings.docker", 10),
    ],
)
def test_an_option_of_a_build_is_placed_at_the_layer_that_gives_it(
    tmp_path: Path, below: str, above: str, place: str, line: int
) -> None:
    """No builder has both: of those that lack one, the classic one lacks jobs."""
    text = PIPELINE % f"build_config.build_options = {{ {below}, labels.a = 'b' }}"
    text += STEP + f"build_config.build_options.pull = true\nbuild_config.build_options.{above}\n"
    assert problems_of(tmp_path, text) == [
        (
            f"pipeline.training.{place}.build_config.build_options.jobs",
            line,
            "Docker's classic builder has no jobs",
        )
    ]


def test_what_is_read_wrongly_is_placed_at_its_own_line(tmp_path: Path) -> None:
    text = PIPELINE % "environment.B = []" + STEP + 'enviroment.A = "1"\nskip_build = "no"\n'
    found = [(place, line) for place, line, _ in problems_of(tmp_path, text)]
    assert sorted(found) == [
        ("pipeline.training.settings.docker.environment.B", 7),
        ("pipeline.training.step.train.settings.docker.enviroment", 9),
        ("pipeline.training.step.train.settings.docker.skip_build", 10),
    ]


def test_the_lines_of_a_pyproject_are_those_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "a"\n\n[tool.stowplan.pipeline.p]\nsteps = ["a"]\nsetings = 1\n', "utf-8"
    )
    with pytest.raises(PlannerError) as raised:
        load_project(tmp_path)
    (problem,) = raised.value.problems
    assert (problem.where.file, problem.where.line) == ("pyproject.toml", 6)


# --- what is no project file


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"# stowplan\n")
        file.truncate(17 * 1024 * 1024)


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a fifo": (os.mkfifo, "is not a regular file"),
    "a device": (make_device, "is not a regular file"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
    "a directory": (Path.mkdir, "is a directory, not a file"),
    "large": (_large, "is larger than 16 MiB, the most that is read: make it smaller"),
    "a socket": (make_socket, "is not a regular file"),
    "a link to itself": (
        lambda path: path.symlink_to(path.name),
        "cannot be read: Too many levels of symbolic links: remove the link",
    ),
}


@pytest.mark.parametrize("file", ["stowplan.toml", "pyproject.toml"])
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_project_file_is_refused_in_words(tmp_path: Path, kind: str, file: str) -> None:
    make, words = NO_FILES[kind]
    make(tmp_path / file)
    with pytest.raises(ExecutorError, match=rf"^{file}: {words}"):
        load_project(tmp_path)


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_above_a_project_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    below = tmp_path / "project"
    below.mkdir()
    NO_FILES[kind][0](tmp_path / "pyproject.toml")
    assert find_project(below) == below
    with pytest.raises(ExecutorError, match=r"no stowplan\.toml"):
        load_project(below)


def test_a_directory_above_that_may_not_be_looked_into(unprivileged: Path) -> None:
    below = unprivileged / "above/project"
    below.mkdir(parents=True)
    (unprivileged / "above/pyproject.toml").touch(0)
    (unprivileged / "stowplan.toml").touch()
    assert find_project(below) == unprivileged
    (unprivileged / "above/project/pyproject.toml").touch(0)
    with pytest.raises(ExecutorError, match=r"pyproject\.toml: cannot be read: Permission denied"):
        load_project(below)


NO_TABLES = {
    "several": ("[[tool.stowplan]]\n", "expected one table, found a list"),
    "a text": ("[tool]\nstowplan = 'x'\n", "expected one table, found a string"),
    "tools that are a list": ("tool = ['stowplan']\n", r"no stowplan\.toml"),
    "nested deeply": ("[tool.stowplan]\na = " + "[" * 5000, "nested more than 64 deep"),
    "a long key": (f"[tool.stowplan]\n{'.'.join('a' * 5000)} = 1\n", "a key of more than 64 parts"),
}


@pytest.mark.parametrize("kind", NO_TABLES)
def test_what_is_no_table_is_refused_in_words(tmp_path: Path, kind: str) -> None:
    text, words = NO_TABLES[kind]
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ExecutorError, match=words):
        load_project(tmp_path)
