"""How work grows with its input: ten times as much input should take ten times as long, and no longer.

Each case is a function of a size that sets up, and returns the work to measure. What is printed is the time
of the processor, in this process, for a size and for ten times that size, and the ratio of the two.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import evolve

from benchmarks.pages import page_images
from executor.config.project import load_project
from executor.process import Command, run
from executor.workflow.locks import check_lock, write_lock
from executor.workflow.plans import plan
from planner import (
    LOCK_NAME,
    Digest,
    IgnoreRules,
    ImageRef,
    Lock,
    Pipeline,
    PlannerError,
    PlanSpec,
    Pushed,
    Stack,
    diff,
    dumps,
    loads,
    make_spec,
)
from planner.lock.repair import repair
from planner.requirements.files import included_files, parse_file
from tests.builders import World, observed

__all__ = ["CASES", "growing"]

PARENT: Final = "python:3.11-slim@sha256:" + "0" * 64
ONE: Final = f'[pipeline.p]\nsteps = ["only"]\n[pipeline.p.settings.docker]\nparent_image = "{PARENT}"\n'
"""A project of one step; what follows is of its settings."""
Work = Callable[[], object]


def _project(root: Path, text: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "stowplan.toml").write_text(text)
    return root


def _locking(root: Path, text: str) -> Work:
    place = _project(root, text)

    def work() -> None:
        (place / LOCK_NAME).unlink(missing_ok=True)
        project = load_project(place)
        checked = check_lock(project, None, None, asks=False)
        write_lock(project, checked)
        check_lock(project, None, None, asks=False).fresh  # noqa: B018  # compares

    return work


def pipelines(root: Path, count: int) -> Work:
    """`stowplan lock` and `lock --check` of so many pipelines."""
    return _locking(root, "".join(
        f'[pipeline.p{index}]\nsteps = ["only"]\nsettings.docker = {{ parent_image = "{PARENT}", '
        f'requirements = ["six==1.{index}", "attrs==25.1"] }}\n'
        for index in range(count)
    ))  # fmt: skip


def variables(root: Path, count: int) -> Work:
    """The same of one pipeline with so many variables."""
    lines = "".join(f'V{index} = "{index}"\n' for index in range(count))
    return _locking(root, f"{ONE}[pipeline.p.settings.docker.environment]\n{lines}")


def steps(root: Path, count: int) -> Work:
    """The same of one pipeline with so many steps, each with an image of its own."""
    names = ", ".join(f'"s{index}"' for index in range(count))
    tables = "".join(
        f'[pipeline.p.step.s{index}.settings.docker]\nenvironment.A = "{index}"\n'
        f'requirements = ["six==1.{index}"]\n'
        for index in range(count)
    )
    return _locking(
        root, f'[pipeline.p]\nsteps = [{names}]\nsettings.docker.parent_image = "{PARENT}"\n{tables}'
    )


def packages(root: Path, count: int) -> Work:
    """The same of one pipeline with so many packages in a list."""
    lines = "".join(f'  "package-{index}==1.{index}",\n' for index in range(count))
    return _locking(root, f"{ONE}requirements = [\n{lines}]\n")


def files(root: Path, count: int) -> Work:
    """The same of so many pipelines, each with a requirements file of its own."""
    root.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        (root / f"r{index}.txt").write_text(f"six==1.{index}\n")
    return _locking(root, "".join(
        f'[pipeline.p{index}]\nsteps = ["only"]\nsettings.docker = {{ parent_image = "{PARENT}", '
        f'requirements = "r{index}.txt" }}\n'
        for index in range(count)
    ))  # fmt: skip


def includes(root: Path, count: int) -> Work:
    """The same of one requirements file with so many includes, each in the one before."""
    root.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        (root / f"r{index}.txt").write_text(f"package-{index}==1\n-r r{index + 1}.txt\n")
    (root / f"r{count}.txt").write_text("six\n")
    return _locking(root, f'{ONE}requirements = "r0.txt"\n')


def _planning(root: Path, count: int, tables: str = "") -> Work:
    """`stowplan plan` of so many steps that share a pyproject.toml, from a lock."""
    names = ", ".join(f'"s{index}"' for index in range(count))
    text = f'[pipeline.p]\nsteps = [{names}]\n[pipeline.p.settings.docker]\nparent_image = "{PARENT}"\n'
    place = _project(root, f'{text}pyproject_path = "pyproject.toml"\n{tables}')
    lines = ", ".join(f'"package-{index}==1.0"' for index in range(100))
    shared = {
        "pyproject.toml": f'[project]\nname = "p"\nversion = "1"\ndependencies = [{lines}]\n',
        ".dockerignore": "stowplan.*\n",
    }
    for name, content in shared.items():
        (place / name).write_text(content)
    project = load_project(place)
    pipeline, stack = project.pipeline(None), project.stack(None)
    facts = observed(pipeline, stack, World(shared), checkout=False)
    (place / LOCK_NAME).write_text(dumps(Lock([make_spec(pipeline, stack, facts)])))

    def work() -> None:
        loads.cache_clear()
        again = load_project(place)
        plan(again, again.pipeline(None), again.stack(None), offline=True)

    return work


def planning(root: Path, count: int) -> Work:
    """The same, all in one image."""
    return _planning(root, count)


def planning_images(root: Path, count: int) -> Work:
    """The same, each with an image of its own."""
    return _planning(root, count, "".join(
        f'[pipeline.p.step.s{index}.settings.docker]\nenvironment.A = "{index}"\n' for index in range(count)
    ))  # fmt: skip


def _failing(root: Path, text: str) -> Work:
    place = _project(root, text)

    def work() -> None:
        with suppress(PlannerError):
            check_lock(load_project(place), None, None, asks=False)

    return work


def bad_settings(root: Path, count: int) -> Work:
    """Reading a project file with so many misspelt settings, each said with its line."""
    lines = "".join(f"enviroment{index} = 1\n" for index in range(count))
    return _failing(root, f"{ONE}{lines}")


def bad_names(root: Path, count: int) -> Work:
    """Reading a project file with so many invalid names of variables."""
    lines = "".join(f'"not a name {index}" = "1"\n' for index in range(count))
    return _failing(root, f"{ONE}[pipeline.p.settings.docker.environment]\n{lines}")


def bad_options(root: Path, count: int) -> Work:
    """Reading a project file with so many unknown build options."""
    lines = "".join(f'option_{index} = "1"\n' for index in range(count))
    return _failing(root, f"{ONE}[pipeline.p.settings.docker.build_config.build_options]\n{lines}")


def bad_steps(root: Path, count: int) -> Work:
    """Reading a project file with so many steps, and as many tables for steps of other names."""
    names = ", ".join(f'"step-{index}"' for index in range(count))
    tables = "".join(f"[pipeline.p.step.stp-{index}.settings.docker]\n" for index in range(count))
    return _failing(root, f"[pipeline.p]\nsteps = [{names}]\n{tables}")


def bad_list(root: Path, count: int) -> Work:
    """Planning so many requirements that contradict one."""
    lines = "".join(f'  "package==1.{index}",\n' for index in range(count))
    return _failing(root, f"{ONE}requirements = [\n{lines}]\n")


def line_of_output(_: Path, count: int) -> Work:
    """A program that writes one line of so many bytes."""
    return lambda: run(Command(("head", "-c", str(count), "/dev/zero")), on_line=lambda _: None)


def redrawn_output(_: Path, count: int) -> Work:
    """A program that draws its line anew so many times."""
    script = f"yes progress | head -n {count} | tr '\\n' '\\r'"
    return lambda: run(Command(("sh", "-c", script)), on_line=lambda _: None)


def _reading(text: str) -> Work:
    def work() -> None:
        included_files.__wrapped__(text, file="r.txt")
        with suppress(PlannerError):
            parse_file("r.txt", {"r.txt": text})

    return work


def requirement_lines(_: Path, count: int) -> Work:
    """A requirements file of so many pinned lines with hashes."""
    digest = "a" * 64
    return _reading("".join(f"package-{index}==1 \\\n    --hash=sha256:{digest}\n" for index in range(count)))


LONG: Final = {
    "letters": "a",
    "names": "a==1 ",
    "brackets": "a[",
    "parentheses": "(",
    "continued": "a\\\n",
    "options": "--hash=sha256:a ",
    "urls": "//a@",
    "schemes": "a://",
    "variables": "${a",
    "quotes": "'",
    "comments": " #",
    "commas": "a,",
    "clauses": "<1,",
    "colons": "a:",
    "spaces": " ",
}


def _long(piece: str) -> Callable[[Path, int], Work]:
    return lambda _, count: _reading("six " + piece * (count // len(piece)))


def ledger(_: Path, count: int) -> Work:
    """Reading and writing a lock with so many entries in its ledger, one of which is replaced."""
    lock = Lock((), tuple(
        Pushed(
            Digest(f"{index:064x}"),
            ImageRef.parse(f"localhost:5000/team/p{index}@sha256:{index:064x}"),
            f"p{index}",
            "default",
        )
        for index in range(count)
    ))  # fmt: skip

    def work() -> None:
        read = loads.__wrapped__(dumps(lock))
        read.with_pushed([evolve(lock.pushed[0], image=Digest("f" * 64))])

    return work


def _made(pipeline: Pipeline) -> PlanSpec:
    """The spec of a pipeline, whose requirements come to packages of a world in memory."""
    return make_spec(pipeline, Stack(), observed(pipeline, checkout=False))


def _spec(count: int, offset: int) -> PlanSpec:
    settings = {
        "docker": {
            "parent_image": PARENT,
            "requirements": [f"package-{index}==1.{index + offset}" for index in range(count)],
            "apt_packages": [f"lib{index}=1.{index + offset}" for index in range(count)],
            "environment": {f"V{index}": str(index + offset) for index in range(count)},
            "build_config": {
                "build_options": {"labels": {f"l{index}": str(index + offset) for index in range(count)}}
            },
        }
    }
    pipeline = Pipeline(name="p", steps=[f"s{index + offset}" for index in range(count)], settings=settings)
    return _made(pipeline)


def comparing(_: Path, count: int) -> Work:
    """Comparing two plans of one image with so many packages, variables, labels and steps, all changed."""
    old, new = _spec(count, 0), _spec(count, 1)
    return lambda: diff(old, new)


def comparing_none(_: Path, count: int) -> Work:
    """Comparing two plans of one image with other packages each."""
    old, new = _spec(count, 0), _spec(count, count)
    return lambda: diff(old, new)


def _lock(requirements: Iterable[str]) -> Lock:
    """A lock of one pipeline for each requirement."""
    plans = []
    for index, requirement in enumerate(requirements):
        settings = {"docker": {"parent_image": PARENT, "requirements": [requirement]}}
        pipeline = Pipeline(name=f"p{index}", steps=["only"], settings=settings)
        plans.append(_made(pipeline))
    return Lock(plans)


def repairing(_: Path, count: int) -> Work:
    """Repairing a lock of so many images with a conflict in the middle."""
    text = dumps(_lock(f"package-{index}==1" for index in range(count)))
    middle = text.index("\n# 80\n")
    broken = f"{text[:middle]}\n<<<<<<< ours\n=======\n>>>>>>> theirs\n{text[middle:]}"
    return lambda: repair(broken)


def versions(_: Path, count: int) -> Work:
    """Reading and writing a lock with so many versions of one package."""
    lock = _lock(f"package==1.{index}" for index in range(count))
    return lambda: loads.__wrapped__(dumps(lock))


def _paths() -> Iterator[str]:
    return (f"package{index % 10}/part{index % 97}/module{index}.py" for index in range(1000))


def ignore_names(_: Path, count: int) -> Work:
    """A thousand paths under so many patterns without wildcards."""
    return _ignoring([f"package{index}/part/module{index}.py" for index in range(count)])


def ignore_wild(_: Path, count: int) -> Work:
    """A thousand paths under so many patterns with wildcards."""
    return _ignoring([f"**/*.t{index}" for index in range(count)])


def ignore_turns(_: Path, count: int) -> Work:
    """A thousand paths under so many patterns that ignore and re-include by turns."""
    return _ignoring([f"{'!' * (index % 2)}package{index}/*/a*" for index in range(count)])


def ignore_back(_: Path, count: int) -> Work:
    """A thousand ignored directories, and so many patterns that re-include something below others."""
    text = "*\n" + "".join(f"!a{index}*/b*\n" for index in range(count))

    def work() -> None:
        rules = IgnoreRules.parse(text, file=".dockerignore")
        for index in range(1000):
            rules.prunes(f"directory{index}")

    return work


def _ignoring(patterns: list[str]) -> Work:
    text = "\n".join(patterns)

    def work() -> None:
        rules = IgnoreRules.parse(text, file=".dockerignore")
        for path in _paths():
            rules.ignores(path)

    return work


PATTERNS: Final = {
    "classes": "[^x]*[^x]*z",
    "classes apart": "[^x]*[^x][^x]*[^x]z",
    "any directories": "**/a**/z",
    "two any": "**/a/**/a*/z",
    "stars": "*a*a*a*b",
    "many": "[^x]*" * 7 + "z",
}


def _path(pattern: str) -> Callable[[Path, int], Work]:
    def case(_: Path, count: int) -> Work:
        rules = IgnoreRules((pattern,))
        directory = "a/a" * (count // 3)
        # A walk asks for a directory before it asks for what is in it.
        rules.ignores(f"{directory}/")
        return lambda: [rules.ignores(f"{directory}/{index}") for index in range(200)]

    return case


CASES: Final[dict[str, tuple[Callable[[Path, int], Work], int]]] = {
    "pipelines": (pipelines, 200),
    "variables": (variables, 2000),
    "steps": (steps, 1000),
    "packages": (packages, 1000),
    "planning": (planning, 1000),
    "planning, own images": (planning_images, 1000),
    "requirements files": (files, 200),
    "includes": (includes, 100),
    "misspelt settings": (bad_settings, 1000),
    "misspelt steps": (bad_steps, 1000),
    "invalid names": (bad_names, 1000),
    "unknown options": (bad_options, 1000),
    "contradictions": (bad_list, 1000),
    "requirement lines": (requirement_lines, 1000),
    "ledger": (ledger, 1000),
    "versions": (versions, 200),
    "comparing": (comparing, 500),
    "comparing, none the same": (comparing_none, 500),
    "repair": (repairing, 200),
    "page": (page_images, 200),
    "one line of output": (line_of_output, 4_000_000),
    "output drawn anew": (redrawn_output, 400_000),
    "ignored names": (ignore_names, 1000),
    "ignored, wild": (ignore_wild, 200),
    "ignored by turns": (ignore_turns, 200),
    "re-included elsewhere": (ignore_back, 100),
    **{f"path, {name}": (_path(pattern), 400) for name, pattern in PATTERNS.items()},
    **{f"long line, {name}": (_long(piece), 100_000) for name, piece in LONG.items()},
}


def growing(root: Path, chosen: str = "") -> None:
    """Measure and print the cases whose names hold a text."""
    print("\nten times the input: seconds of the processor, the better of two runs\n")
    print(f"{'':<30}{'size':>10}{'seconds':>10}{'ten times':>12}{'ratio':>8}")
    for name, (case, size) in CASES.items():
        if chosen not in name:
            continue
        few, more = (_seconds(case, root / f"{name}-{count}", count) for count in (size, 10 * size))
        print(f"{name:<30}{size:>10,}{few:>10.3f}{more:>12.3f}{more / few:>8.1f}", flush=True)


def _seconds(case: Callable[[Path, int], Work], root: Path, count: int) -> float:
    work = case(root, count)
    seconds = []
    for _ in range(2):
        # As timeit does: a collection comes when it comes.
        gc.collect()
        gc.disable()
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
        gc.enable()
    return min(seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chosen", nargs="?", default="", help="only cases whose names hold this")
    with tempfile.TemporaryDirectory(prefix="stowplan-growth-") as directory:
        growing(Path(directory), parser.parse_args().chosen)
