"""What a person sees: commands in a real terminal, at two widths, with and without colour, as golden files.

`--update-golden` writes them to `fixtures/expected/screens`; `\\e` stands for what begins a colour.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from executor.engines.select import choose
from tests.contract.images import eventually
from tests.e2e.command import ROOT, Project
from tests.e2e.screens import Screen, stable

SCREENS: Final = ROOT / "fixtures/expected/screens"
COLUMNS: Final = (80, 120)
PROJECT: Final = """
    [pipeline.training]
    steps = ["load", "train"]
    [pipeline.training.settings.docker]
    parent_image = "{base}"
    [pipeline.training.step.load]
    command = ["python", "-c", "print('loading')"]
    [pipeline.training.step.train]
    command = ["python", "-c", "print('training')"]
    after = ["load"]
    [pipeline.training.step.train.settings.docker]
    environment = {{ EPOCHS = "10" }}
    local_project_install_command = "{command}"
    [stack.default]
    """


@pytest.fixture
def shop(project: Project, base: str) -> Project:
    """A project whose images nobody has built."""
    project.env["STOWPLAN_CONTAINER_ENGINE"] = "docker"
    ignore = "*\n!train.py\n"
    project.write({"train.py": f"# {uuid.uuid4()}\n", ".dockerignore": ignore, "command": base})
    return project


def write(project: Project, base: str, command: str) -> None:
    project.write({"stowplan.toml": PROJECT.format(base=base, command=command)})


def check(name: str, screen: str, update: bool, names: Iterable[str] = ()) -> None:
    """Compare a screen with its golden file, or write that. `names` are those that were made up."""
    path, text = SCREENS / f"{name}.txt", stable(screen, names)
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{name} looks different"


def made_up(project: Project) -> list[str]:
    """The ids of builds and runs."""
    builds = project.ok("builds", "list", "-o", "json").data["builds"]
    runs = project.ok("runs", "list", "-o", "json").data["runs"]
    return [*(build["id"] for build in builds), *(run["run"] for run in runs)]


def remove(project: Project) -> None:
    """Remove what was built for the project."""
    engine = choose("docker")
    for record in project.ok("builds", "list", "--images", "-o", "json").data["records"]:
        if engine.inspect(record["reference"]) is not None:
            engine.remove(record["reference"])


@pytest.mark.parametrize("columns", COLUMNS)
def test_what_reads(shop: Project, base: str, columns: int, update_golden: bool) -> None:
    """`plan`, `show`, `diff` and `lock --check`: in colour at one width, and in none at the other."""
    write(shop, base, "true")
    color = "always" if columns == COLUMNS[0] else "never"
    shop.ok("lock")
    shop.write({"stowplan.toml": (shop.root / "stowplan.toml").read_text().replace('"10"', '"20"')})
    for argv in (["plan"], ["show", "train"], ["diff"], ["lock", "--check"]):
        with Screen(shop, columns, (*argv, "--color", color)) as screen:
            check(f"{argv[0]}-{columns}", screen.ended(), update_golden)


def test_what_makes_images_and_runs_them(shop: Project, base: str, update_golden: bool) -> None:
    """`apply` while it builds at two widths, interrupted, failed, and done; `run`; what lists it."""
    # The command does not end until it is made to.
    write(shop, base, "echo started; sleep infinity")
    try:
        with Screen(shop, 80, ("apply",)) as screen:
            assert screen.shows("✓ training ")
            assert screen.shows("[3/3] project")
            check("apply-building-80", screen.shown(), update_golden)
            screen.resize(120)
            assert eventually(lambda: "[3/3] project" in screen.shown())
            check("apply-building-120", screen.shown(), update_golden)
            screen.press("C-c")
            check("apply-interrupted-120", screen.ended(), update_golden)
        write(shop, base, "echo found nothing; false")
        with Screen(shop, 80, ("apply",)) as screen:
            check("apply-failed-80", screen.ended(), update_golden)
        write(shop, base, "true")
        with Screen(shop, 80, ("apply",)) as screen:
            check("apply-80", screen.ended(), update_golden)
        for argv in (["run"], ["builds", "list"], ["runs", "list"]):
            with Screen(shop, 80, tuple(argv)) as screen:
                check(f"{'-'.join(argv)}-80", screen.ended(), update_golden, made_up(shop))
    finally:
        remove(shop)


def test_terminals_that_can_do_less(shop: Project, base: str) -> None:
    """One that obeys nothing, one that has ASCII alone, and one that is narrow."""
    write(shop, base, "true")
    for env in ({"TERM": "dumb"}, {"NO_COLOR": "1"}):
        with Screen(shop, 80, ("plan",), env) as screen:
            shown = screen.ended()
            assert "\x1b" not in shown
            assert "\n  + build  training " in shown
    with Screen(shop, 80, ("show", "train"), {"LC_ALL": "C", "PYTHONUTF8": "0", "NO_COLOR": "1"}) as screen:
        assert screen.ended().isascii()
    with Screen(shop, 40, ("plan", "--color", "never")) as screen:
        shown = screen.ended()
    # Nothing is cut, and no word begins on one line and ends on another.
    assert shown.split() == shop.ok("plan").out.split()


def test_the_golden_screens_are_those_that_are_taken() -> None:
    text = Path(__file__).read_text()
    for path in SCREENS.iterdir():
        assert path.stem.partition("-")[0] in text
