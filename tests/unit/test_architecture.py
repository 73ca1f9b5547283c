"""The planner is pure, and this proves it (STYLE.md, habit 12): by what it imports, by an audit hook that
watches it plan, and by planning the same thing in very different processes.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PLANNER: Final = sorted((ROOT / "planner").rglob("*.py"))
# What runs elsewhere, where nothing of ours is: it has rules of its own, below.
BOOTSTRAP: Final = sorted((ROOT / "executor/bootstrap").rglob("*.py"))
EXECUTOR: Final = sorted({*(ROOT / "executor").rglob("*.py")} - {*BOOTSTRAP})

# Values in, values out. Not among these: os, pathlib, io, time, datetime, random, locale, importlib, and
# whatever else depends on where and when it runs. `dockerfile` is the parser of BuildKit, for texts.
PURE: Final = {
    "__future__", "attrs", "base64", "bisect", "cattrs", "collections", "difflib", "dockerfile", "enum",
    "functools", "graphlib", "hashlib", "heapq", "itertools", "json", "math", "operator", "packaging",
    "planner", "posixpath", "re", "shlex", "tomlkit", "tomllib", "typing",
}  # fmt: skip
# Built-in functions that look outside, or run what they are given.
OUTSIDE: Final = {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every import of a module, wherever in it it stands, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, level=level):
                assert level == 0, f"{path}:{node.lineno}: a relative import hides what it imports"
                yield node.lineno, module or ""
            case _:
                pass


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PLANNER, ids=_named)
def test_the_planner_imports_nothing_that_could_look_outside(path: Path) -> None:
    # The names of the package itself are loaded when they are used.
    known = PURE | ({"importlib"} if path == ROOT / "planner" / "__init__.py" else set())
    foreign = [(line, name) for line, name in _imports(path) if name.partition(".")[0] not in known]
    assert foreign == []


@pytest.mark.parametrize("path", PLANNER, ids=_named)
def test_the_planner_calls_nothing_that_looks_outside(path: Path) -> None:
    calls = [
        (node.lineno, node.func.id)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in OUTSIDE
    ]
    assert calls == []


def test_there_is_a_planner_to_look_at() -> None:
    assert len(PLANNER) > 15
    assert not any("executor" in name for path in PLANNER for _, name in _imports(path))


def test_only_one_module_starts_processes() -> None:
    """A command is a value; one function executes it."""
    starters = {"subprocess", "pty", "multiprocessing", "asyncio.subprocess"}
    found = {_named(path) for path in EXECUTOR for _, name in _imports(path) if name in starters}
    assert found == {"executor/process.py"}


def test_no_module_starts_a_process_through_os() -> None:
    calls = [
        f"{_named(path)}:{node.lineno}: os.{node.attr}"
        for path in EXECUTOR
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr.startswith(("system", "popen", "exec", "spawn", "posix_spawn", "fork"))
    ]
    assert calls == []


# What both proofs below run: everything the planner has to say of one project, as text.
SAY: Final = textwrap.dedent(
    """
    from planner import *
    from planner.compare.presence import Absent, Held
    from planner.lock.repair import repair
    from tests.builders import World, file, link, observed

    def project():
        settings = {
            "parent_image": None,
            "requirements": "requirements.txt",
            "apt_packages": ["libgomp1", "git"],
            "environment": {"B": "it's ${TOKEN}", "A": "1"},
            "runtime_environment": {"HTTP_PROXY": "http://proxy"},
            "python_package_installer_args": {"timeout": 10, "no_deps": None},
            "local_project_install_command": "pip install .",
            "user": "1000",
            "build_config": {"build_options": {"labels": {"z": "1", "a": "2"}, "network": "host"}},
        }
        steps = {"load": {}, "train": {"apt_packages": ["curl"]}, "eval": {"environment": {"C": "${REGION}"}}}
        pipeline = Pipeline.decode({
            "name": "training",
            "steps": list(steps),
            "settings": {"docker": settings},
            "step": {name: {"settings": {"docker": table}} for name, table in steps.items()},
        })
        world = World(
            texts={
                "requirements.txt": "six\\nattrs\\n-c c.txt\\n",
                "c.txt": "idna<4\\n",
                ".dockerignore": "*.csv\\n",
            },
            entries=(file("train.py"), file("\\u00e9/x.csv"), file("\\u00e9/x.py"), link("to", "train.py")),
            variables={"TOKEN": "s3cr3t", "REGION": "eu"},
        )
        stack = Stack(name="prod", container_registry={"uri": "localhost:5000/team"})
        return pipeline, stack, observed(pipeline, stack, world)

    def say(pipeline, stack, facts):
        asked = needs(pipeline, stack)
        plan = make_plan(pipeline, stack, facts)
        small = Pipeline(name="training", steps=["load"], settings={"docker": {"user": "1"}})
        other = make_spec(small, stack, facts)
        entry = Pushed(plan.images[0].hash, ImageRef.parse("localhost:5000/x@sha256:" + "1" * 64),
                       "training", "prod")
        lock = dumps(Lock((other,)).with_plans([plan.spec]).with_pushed([entry]))
        pins = Pins(loads(lock))
        changes = diff(loads(dumps(Lock((other,)))).plan("training", "prod"), plan)
        report = Report(
            plan,
            decide(plan, {
                "training": Presence(engine=Held(), registry=Absent()),
                "training/eval": Presence(),
            }),
            since_lock=changes,
            rebuilt={image.name: rebuilt_layers(None, image) for image in plan.images},
        )
        refused = ""
        try:
            loads(lock.replace('name = "six"\\nversion = "1.0"', 'name = "six"\\nversion = "1.1"'))
        except PlannerError as error:
            refused = str(error)
        repaired = repair(
            "<<<<<<< a\\n" + lock + "=======\\n" + lock.replace("curl", "wget") + ">>>>>>> b\\n"
        )
        return {
            "needs": [repr(need) for need in asked],
            "pinned": [repr(need) for need in needs(pipeline, stack, pins=pins)],
            "frozen": str(make_plan(pipeline, stack, facts, pins=pins, frozen=True).hash),
            "hashes": [str(plan.hash), str(plan.spec.hash)]
            + [str(hash) for image in plan.images for hash in (image.hash, image.spec.hash)],
            "lock": lock,
            "dockerfiles": [dockerfile(image.spec) for image in plan.images],
            "generated": [
                [k, v.decode()] for image in plan.images for k, v in context_files(image.spec).items()
            ],
            "changes": [change.text for change in changes],
            "report": [repr(change) for _, change in report.changes],
            "decisions": {name: repr(found) for name, found in report.decisions.items()},
            "rebuilt": {name: list(layers) for name, layers in report.rebuilt.items()},
            "notes": [repr(note) for note in plan.notes],
            "refused": refused,
            "repaired": [dumps(repaired.lock), *repaired.kept, *repaired.dropped],
        }
    """
)


def _run(script: str, **given: Any) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **given.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, env=environment, **given
    )


WATCH: Final = textwrap.dedent(
    """
    import sys

    question = project()
    # What is imported where it is used, and what cattrs generates for each class, is there after this.
    expected = [say(*question) for _ in range(3)][-1]

    # Python's own bookkeeping. Every other event is the world: open, import, os.*, socket.*, subprocess.*.
    INNER = ("object.__getattr__", "object.__setattr__", "object.__delattr__", "sys._getframe", "builtins.id")
    watching, seen = False, []

    def watch(event, arguments):
        if watching and not event.startswith(INNER):
            seen.append(event)
            raise RuntimeError(f"the planner is not pure: {event}{arguments!r}")

    sys.addaudithook(watch)
    watching = True
    try:
        said = say(*question)
    finally:
        watching = False
    assert said == expected
    assert seen == [], seen

    # The hook does see what it is for.
    import os, socket
    watching = True
    for look in (lambda: open("/dev/null"), lambda: os.listdir("/"), lambda: socket.socket(),
                 lambda: __import__("this"), lambda: os.system("true"), lambda: os.putenv("A", "1")):
        try:
            look()
        except RuntimeError:
            continue
        raise SystemExit("the hook is blind")
    watching = False
    print("pure")
    """
)


def test_nothing_outside_is_touched_while_planning() -> None:
    done = _run(SAY + WATCH)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "pure\n"


# Nothing of the machine, the user or the moment may show.
PLACES: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "another hash seed": {"env": {"PYTHONHASHSEED": "1"}},
    "yet another hash seed": {"env": {"PYTHONHASHSEED": "4294967295"}},
    "another time zone": {"env": {"TZ": "Asia/Kolkata"}},
    "another language": {"env": {"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"}},
    "no language": {"env": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}},
    "another umask": {"umask": 0o077},
    "a wide umask": {"umask": 0o000},
    "another directory": {"cwd": "/"},
    "another home": {"env": {"HOME": "/nonexistent", "USER": "nobody", "TOKEN": "other", "STOWPLAN_X": "1"}},
    "optimised": {"env": {"PYTHONOPTIMIZE": "2"}},
}
_ASK: Final = SAY + "\nimport json\nprint(json.dumps(say(*project()), ensure_ascii=True))\n"


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What the planner says in the plainest place."""
    done = _run(_ASK, env={"PYTHONHASHSEED": "0"})
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("place", PLACES)
def test_the_same_is_planned_everywhere(place: str, said: dict[str, str]) -> None:
    done = _run(_ASK, **{**PLACES[place], "env": dict(PLACES[place].get("env", {}))})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == said


def test_what_is_compared_is_something(said: dict[str, Any]) -> None:
    assert len(said["dockerfiles"]) == 3
    assert said["changes"]
    assert "is not that of its content" in said["refused"]
    assert not any("ImageDigest" in need for need in said["pinned"])
    assert said["frozen"] == said["hashes"][0]
    assert {found.split("'")[1] for found in said["decisions"].values()} == {"build", "push"}
    assert any("the first side's is kept" in words for words in said["repaired"])
    assert "s3cr3t" not in json.dumps(said)


def test_importing_the_planner_imports_nothing_heavy() -> None:
    """`stowplan --version` stays fast: what only a lock needs is imported where a lock is read."""
    done = _run(
        "import sys, planner\n"
        "heavy = {'cattrs', 'tomlkit', 'docker', 'requests', 'asyncio', 'executor'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert done.stdout == "[]\n", done.stderr


# Whatever is printed passes the encoders, because only the module that calls them prints.
def test_only_one_module_prints() -> None:
    printing = re.compile(
        r"print|(click\.)?(echo|secho|style|echo_via_pager)|(.*\.)?Console"
        r"|(.*\.)?(stdout|stderr|__stdout__|__stderr__)\.(buffer\.)?(write|writelines)"
    )
    calls = {
        f"{_named(path)}: {called}"
        for path in (*PLANNER, *EXECUTOR)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and printing.fullmatch(called := ast.unparse(node.func))
    }
    assert {call.partition(":")[0] for call in calls} == {"executor/cli/output.py"}
    assert len(calls) > 3


@pytest.mark.parametrize("kind", ["Markdown", "Html"])
def test_only_the_encoder_says_that_text_was_encoded(kind: str) -> None:
    makers = {
        _named(path)
        for path in EXECUTOR
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (kind, f"encode.{kind}", "cast")
        if kind in ast.unparse(node)
    }
    assert makers == {"executor/cli/render/encode.py"}


def _absolute(nodes: Sequence[ast.AST]) -> set[str]:
    """What is imported by its whole name."""
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = (node for node in nodes if isinstance(node, ast.ImportFrom))
    return names | {node.module for node in froms if node.module and not node.level}


@pytest.mark.parametrize("path", BOOTSTRAP, ids=_named)
def test_the_bootstrap_needs_the_standard_library_and_nothing_else(path: Path) -> None:
    """What users have installed is imported in functions, because they may not have."""
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    assert {name.partition(".")[0] for name in _absolute(tree.body)} <= sys.stdlib_module_names
    # In its file the package has another name.
    assert not {"executor", "planner", "_stowplan"} & {
        name.partition(".")[0] for name in _absolute(list(ast.walk(tree)))
    }
