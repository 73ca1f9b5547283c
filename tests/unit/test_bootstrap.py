"""The bootstrap: one file, the same everywhere, that runs a step in any Python."""

from __future__ import annotations

import ast
import hashlib
import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

from executor.bootstrap_file import bootstrap, bootstrap_digest
from planner.values import Digest
from tests.archives import HOSTILE, digest, file, tar
from tests.bootstrap import OLD_PYTHONS, PYTHONS, Bench, sha256
from tests.web import Reply, serving

ROOT: Final = Path(__file__).parents[2]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_file_is_the_same_in_every_process() -> None:
    script = "import sys; from executor.bootstrap_file import bootstrap; sys.stdout.buffer.write(bootstrap())"
    for extra in ({"PYTHONHASHSEED": "1", "TZ": "Asia/Kolkata"}, {"PYTHONHASHSEED": "2", "LC_ALL": "C"}):
        made = subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **extra},
        )
        assert made.stdout == bootstrap()
    assert bootstrap_digest() == Digest(hashlib.sha256(bootstrap()).hexdigest())


def test_nothing_in_the_file_says_where_or_when_it_was_made() -> None:
    with zipfile.ZipFile(io.BytesIO(bootstrap())) as archive:
        members = archive.infolist()
    assert [member.filename for member in members] == sorted(member.filename for member in members)
    assert {(each.date_time, each.external_attr >> 16, each.compress_type) for each in members} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644, zipfile.ZIP_STORED)
    }
    assert {member.filename for member in members} >= {"__main__.py", "_stowplan/run.py"}


def test_a_mode_that_is_not_known_is_a_usage_error(bench: Bench) -> None:
    done = subprocess.run([bench.python, str(bench.file), "fly"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr.startswith("usage: ")) == (64, True)


@pytest.mark.parametrize(("version", "python"), PYTHONS, ids=[version for version, _ in PYTHONS])
def test_a_step_runs_in_every_python(tmp_path: Path, version: str, python: str) -> None:
    bench = Bench(tmp_path, python)
    bench.write("train.py", "def main(n, text):\n    print(n)\n    return (n + 1, text)\n")
    inputs = {"n": {"value": 41}, "text": {"value": "é"}}
    ran = bench.run(bench.job("train:main", inputs=inputs, outputs=["number", "text"]))
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "41\n", ""), version
    assert bench.output(ran, "number") == b"42"
    assert bench.output(ran, "text") == "é".encode()
    raised = bench.run(bench.job("train:main", inputs={"n": {"value": "a"}, "text": {"value": ""}}))
    assert (raised.exit_code, raised.error["type"]) == (1, "TypeError")


@pytest.mark.parametrize(("version", "python"), OLD_PYTHONS, ids=[version for version, _ in OLD_PYTHONS])
def test_a_python_that_is_too_old_says_so(tmp_path: Path, version: str, python: str) -> None:
    bench = Bench(tmp_path, python)
    ran = bench.run(bench.job("train:main"))
    assert (ran.exit_code, ran.result) == (78, None)
    assert ran.stderr == f"stowplan: Python is 3.8 or newer, and this is {version} of {python}\n"


def test_what_a_step_returned_is_the_input_of_another(bench: Bench) -> None:
    bench.write("a.py", "def load():\n    return {'n': (1, 2.5), 3: {'x'}}\n")
    bench.write("b.py", "def train(data):\n    return repr(data)\n")
    first = bench.run(bench.job("a:load", outputs=["output"]))
    assert first.result["outputs"]["output"]["type"] == "dict"
    second = bench.run(bench.job("b:train", inputs={"data": _taken(bench, first)}, outputs=["output"]))
    assert bench.output(second) == b"{'n': (1, 2.5), 3: {'x'}}"


def _taken(bench: Bench, ran: Any, run: str | None = "r1") -> dict[str, Any]:
    """An output as an input, as the host hands it on."""
    written = ran.result["outputs"]["output"]
    (bench.exchange / "inputs").mkdir(exist_ok=True)
    (bench.exchange / written["file"]).rename(bench.exchange / "inputs/0")
    return {
        "file": "inputs/0",
        "serializer": written["serializer"],
        "sha256": written["sha256"],
        **({} if run is None else {"run": run}),
    }


_TREE: Final = "class Tree:\n    def __init__(self, n):\n        self.n = n\n"


def test_an_object_is_pickled_within_a_run(bench: Bench) -> None:
    bench.write("model.py", _TREE + "def fit():\n    return Tree(7)\ndef use(tree):\n    return tree.n\n")
    fitted = bench.run(bench.job("model:fit", outputs=["output"]))
    assert fitted.result["outputs"]["output"]["type"] == "model.Tree"
    used = bench.run(bench.job("model:use", inputs={"tree": _taken(bench, fitted)}, outputs=["output"]))
    assert bench.output(used) == b"7"


@pytest.mark.parametrize("run", [None, "another"])
def test_a_pickle_of_nobody_or_of_another_run_is_refused(bench: Bench, run: str | None) -> None:
    bench.write("model.py", _TREE + "def fit():\n    return Tree(7)\ndef use(tree):\n    return tree.n\n")
    taken = _taken(bench, bench.run(bench.job("model:fit", outputs=["output"])), run)
    (bench.exchange / "inputs/0").write_bytes(_marking(bench))
    taken["sha256"] = sha256(bench.exchange / "inputs/0")
    ran = bench.run(bench.job("model:use", inputs={"tree": taken}, outputs=["output"]))
    assert (ran.exit_code, ran.error["type"]) == (78, "input-refused")
    assert ran.error["message"].startswith("the input 'tree': it is a pickle that this run did not write")
    assert not (bench.directory / "marked").exists()


def test_a_file_with_another_digest_is_not_looked_at(bench: Bench) -> None:
    bench.write("model.py", _TREE + "def fit():\n    return Tree(7)\ndef use(tree):\n    return tree.n\n")
    taken = _taken(bench, bench.run(bench.job("model:fit", outputs=["output"])))
    (bench.exchange / "inputs/0").write_bytes(_marking(bench))
    ran = bench.run(bench.job("model:use", inputs={"tree": taken}, outputs=["output"]))
    assert (ran.exit_code, ran.error["type"]) == (78, "input-refused")
    assert "digest" in ran.error["message"]
    assert not (bench.directory / "marked").exists()
    # It does mark where it is read.
    taken["sha256"] = sha256(bench.exchange / "inputs/0")
    bench.run(bench.job("model:use", inputs={"tree": taken}, outputs=["output"]))
    assert (bench.directory / "marked").exists()


def _marking(bench: Bench) -> bytes:
    """A pickle that makes a directory when it is read."""
    return f"cos\nmkdir\n(V{bench.directory}/marked\ntR.".encode()


def test_an_error_of_the_step_has_its_own_traceback(bench: Bench) -> None:
    bench.write("deep/__init__.py", "")
    bench.write("deep/a.py", "def run():\n    inner()\ndef inner():\n    raise ValueError('no\\nluck')\n")
    ran = bench.run(bench.job("deep.a:run", outputs=["output"]))
    assert (ran.exit_code, ran.stdout, ran.stderr) == (1, "", "")
    assert (ran.error["kind"], ran.error["type"], ran.error["message"]) == ("step", "ValueError", "no\nluck")
    lines = [line for line in ran.error["traceback"].splitlines() if line.startswith("  File ")]
    assert [line.partition("deep/a.py")[2] for line in lines] == ['", line 2, in run', '", line 4, in inner']
    assert ran.result["outputs"] == {}


@pytest.mark.parametrize(
    ("source", "type_"),
    [
        ("missing:run", "ModuleNotFoundError"),
        ("broken:run", "SyntaxError"),
        ("odd:run", "odd.Odd"),
    ],
)
def test_what_cannot_be_imported_or_shown_is_an_error_of_the_step(
    bench: Bench, source: str, type_: str
) -> None:
    bench.write("broken.py", "def run(:\n")
    bench.write(
        "odd.py",
        "class Odd(Exception):\n    def __str__(self):\n        raise KeyError\ndef run():\n    raise Odd\n",
    )
    ran = bench.run(bench.job(source))
    assert (ran.exit_code, ran.error["kind"], ran.error["type"]) == (1, "step", type_)
    assert "_stowplan" not in ran.error["traceback"]
    assert "importlib" not in ran.error["traceback"]


def test_a_function_that_its_module_does_not_have_is_named(bench: Bench) -> None:
    bench.write("a.py", "")
    ran = bench.run(bench.job("a:missing"))
    assert (ran.exit_code, ran.error["type"]) == (78, "function-missing")
    assert ran.error["message"].startswith("a has no missing")


@pytest.mark.parametrize(("code", "expected"), [("3", 3), ("0", 1), ("None", 1), ("'words'", 1), ("1000", 1)])
def test_a_step_that_ends_python_has_failed(bench: Bench, code: str, expected: int) -> None:
    bench.write("a.py", f"import sys\ndef run():\n    sys.exit({code})\n")
    ran = bench.run(bench.job("a:run"))
    assert (ran.exit_code, ran.error["type"]) == (expected, "SystemExit")


@pytest.mark.parametrize("returns", ["1", "(1,)", "(1, 2, 3)", "None", "[1, 2]"])
def test_more_or_fewer_outputs_are_an_error(bench: Bench, returns: str) -> None:
    bench.write("a.py", f"def run():\n    return {returns}\n")
    ran = bench.run(bench.job("a:run", outputs=["x", "y"]))
    assert (ran.exit_code, ran.error["type"]) == (78, "outputs-differ")
    assert ran.error["message"].startswith("the step has 2 outputs (x, y) and returned ")


def test_an_output_of_another_type_than_annotated_is_a_note(bench: Bench) -> None:
    bench.write(
        "a.py", "def run() -> str:\n    return 1\ndef both() -> 'tuple[int, str]':\n    return 1, '2'\n"
    )
    ran = bench.run(bench.job("a:run", outputs=["output"]))
    assert (ran.exit_code, ran.result["notes"]) == (0, ["the output 'output' is int, not str"])
    assert bench.run(bench.job("a:both", outputs=["x", "y"])).result["notes"] == []


def test_an_output_that_cannot_be_written_is_named(bench: Bench) -> None:
    bench.write("a.py", "def run():\n    return (line for line in 'ab')\n")
    ran = bench.run(bench.job("a:run", outputs=["output"]))
    assert (ran.exit_code, ran.error["type"]) == (78, "output-not-written")
    assert ran.error["message"].startswith("the output 'output' of type builtins.generator cannot be pickled")
    assert list((bench.exchange / "outputs").iterdir()) == []


def test_a_decorated_step_is_called_like_its_function(bench: Bench) -> None:
    bench.write(
        "pipe.py",
        """
from stowplan import DockerSettings, pipeline, step

@step
def load() -> int:
    return "no number"

@step(settings={"docker": DockerSettings(requirements=["six"])})
def train(n):
    return n + 1

slow = train.with_options(settings={"docker": DockerSettings(user="1")})

@pipeline
def training():
    train(load())
""",
    )
    ran = bench.run(bench.job("pipe:load", outputs=["output"]))
    assert (bench.output(ran), ran.result["notes"]) == (b"no number", ["the output 'output' is str, not int"])
    for name in ("train", "slow"):
        ran = bench.run(bench.job(f"pipe:{name}", inputs={"n": {"value": 1}}, outputs=["output"]))
        assert bench.output(ran) == b"2"


@pytest.mark.parametrize("start", ["spawn", "fork", "forkserver"])
@pytest.mark.parametrize(("version", "python"), PYTHONS, ids=[version for version, _ in PYTHONS])
def test_a_step_may_start_processes(tmp_path: Path, version: str, python: str, start: str) -> None:
    bench = Bench(tmp_path, python)
    bench.write(
        "work.py",
        f"""
import multiprocessing

def square(n):
    return n * n

def run():
    with multiprocessing.get_context({start!r}).Pool(2) as pool:
        return pool.map(square, range(4))
""",
    )
    ran = bench.run(bench.job("work:run", outputs=["output"]))
    assert json.loads(bench.output(ran)) == [0, 1, 4, 9], version


@pytest.mark.parametrize(("version", "python"), PYTHONS, ids=[version for version, _ in PYTHONS])
def test_a_process_that_was_just_forked_can_be_ended(tmp_path: Path, version: str, python: str) -> None:
    """As a pool ends its workers, some of which have hardly begun."""
    bench = Bench(tmp_path, python)
    bench.write(
        "work.py",
        """
import os, signal

def run():
    ended = set()
    for _ in range(300):
        child = os.fork()
        if not child:
            # Where the signal is lost, another one ends it.
            signal.alarm(5)
            signal.pause()
            os._exit(0)
        os.kill(child, signal.SIGTERM)
        ended.add(os.waitpid(child, 0)[1])
    return ended
""",
    )
    ran = bench.run(bench.job("work:run", outputs=["output"]))
    assert json.loads(bench.output(ran)) == {"$set": [signal.SIGTERM]}, version


def test_code_is_found_where_modules_were_looked_for_before(tmp_path: Path) -> None:
    bench = Bench(tmp_path, environment={"PYTHONPATH": str(tmp_path / "app")})
    code = _code(bench, tar([file("train.py", b"def main():\n    return 1\n")]))
    assert bench.output(bench.run(bench.job("train:main", outputs=["output"], code=code))) == b"1"


def test_a_module_of_the_project_may_have_any_name(bench: Bench) -> None:
    """Also one that the bootstrap has: those of its own are not on the path."""
    for name in ("job", "run", "executor", "_stowplan_x", "stowplan_settings"):
        bench.write(f"{name}.py", f"def main():\n    return __name__ == {name!r}\n")
        ran = bench.run(bench.job(f"{name}:main", outputs=["output"]))
        assert bench.output(ran) == b"true"


def test_the_step_gets_neither_the_job_nor_the_path_of_the_bootstrap(bench: Bench) -> None:
    bench.write(
        "a.py", "import os, sys\ndef run():\n    return [sys.stdin.read(), sys.path[0], os.getcwd()]\n"
    )
    ran = bench.run(bench.job("a:run", outputs=["output"]))
    assert json.loads(bench.output(ran)) == ["", str(bench.root), str(bench.root)]


def test_a_command_is_run_in_the_source_root_and_its_exit_code_is_ours(bench: Bench) -> None:
    bench.write("lib/tools.py", "NAME = 'tools'\n")
    script = (
        "import sys, os, lib.tools; print(os.getcwd(), sys.argv[1:], repr(sys.stdin.read())); sys.exit(7)"
    )
    ran = bench.run(bench.job(command=[sys.executable, "-c", script, "a b", "--x"]))
    assert ran.exit_code == 7
    assert ran.stdout == f"{bench.root} ['a b', '--x'] ''\n"
    assert ran.error["message"] == "the command ended with exit code 7"
    fine = bench.run(bench.job(command=["/bin/sh", "-c", "echo hello"]))
    assert (fine.exit_code, fine.stdout, fine.error) == (0, "hello\n", None)


def test_a_command_that_is_not_there_is_named(bench: Bench) -> None:
    ran = bench.run(bench.job(command=["no-such-program"]))
    assert (ran.exit_code, ran.error["type"]) == (78, "command-not-started")
    assert ran.error["message"] == "'no-such-program' cannot be started: No such file or directory"


def test_a_standard_input_that_stays_open_is_not_waited_for(bench: Bench) -> None:
    """A connection with TLS cannot end in one direction."""
    bench.write("a.py", "def run():\n    print('ran')\n")
    command = [bench.python, str(bench.file), "run", str(bench.exchange)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(bench.job("a:run")).encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.read() == b"ran\n"
        assert process.wait() == 0


_WAITS: Final = """
import signal, sys, time
def run():
    try:
        print("ready", flush=True)
        while True:
            time.sleep(60)
    finally:
        print("cleaned", flush=True)
"""


def test_a_function_that_is_asked_to_end_cleans_up(bench: Bench) -> None:
    bench.write("a.py", _WAITS)
    process = bench.start(bench.job("a:run"))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    ran = bench.ended(process)
    assert (ran.exit_code, ran.stdout) == (143, "cleaned\n")
    assert ran.error["type"] == "Terminated"


def test_a_function_that_is_asked_twice_still_cleans_up(bench: Bench) -> None:
    bench.write(
        "a.py",
        "import os, sys, time\ndef run():\n    try:\n        print('ready', flush=True)\n"
        "        time.sleep(600)\n    finally:\n        print('ending', flush=True)\n"
        "        while not os.path.exists('go'):\n            time.sleep(0.01)\n"
        "        print('cleaned', flush=True)\n",
    )
    process = bench.start(bench.job("a:run"))
    assert process.stdout is not None
    for line in ("ready\n", "ending\n"):
        assert process.stdout.readline() == line
        process.send_signal(signal.SIGTERM)
    bench.write("go", "")
    assert bench.ended(process).stdout == "cleaned\n"


def test_a_function_that_is_interrupted_is_not_at_fault(bench: Bench) -> None:
    bench.write("a.py", _WAITS)
    process = bench.start(bench.job("a:run"))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    ran = bench.ended(process)
    assert (ran.exit_code, ran.stdout, ran.error["type"]) == (130, "cleaned\n", "Interrupted")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_reaches_a_command(bench: Bench, number: signal.Signals) -> None:
    bench.write("a.py", _WAITS + f"signal.signal({number.value}, lambda *_: sys.exit(5))\nrun()\n")
    process = bench.start(bench.job(command=[sys.executable, "a.py"]))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    ran = bench.ended(process)
    assert (ran.exit_code, ran.stdout) == (5, "cleaned\n")


def test_a_command_that_a_signal_ends_has_its_number(bench: Bench) -> None:
    ran = bench.run(bench.job(command=["/bin/sh", "-c", "kill -KILL $$"]))
    assert (ran.exit_code, ran.error["message"]) == (137, "the command ended with exit code 137")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"version": 2}, "its version is not 1"),
        ({"entrypoint": {}}, "entrypoint has to have one of function and command"),
        ({"entrypoint": {"function": "a:b", "command": ["c"]}}, "entrypoint has to have one of"),
        ({"entrypoint": {"function": "../a:b"}}, "entrypoint.function is not module:name"),
        ({"entrypoint": {"command": []}}, "entrypoint.command is not a list of words"),
        ({"outputs": ["../x"]}, "outputs is not of its form"),
        ({"outputs": ["a/b"]}, "outputs is not of its form"),
        (
            {"inputs": {"n": {"file": "../../etc/passwd"}}},
            "a file is not a path below the exchange directory",
        ),
        ({"inputs": {"n": {"file": "/etc/passwd"}}}, "a file is not a path below the exchange directory"),
        ({"code": {"kind": "floppy"}}, "code.kind is neither archive nor repository"),
        ({"code": {"kind": "archive", "sha256": "0" * 64}}, "code has to have one of file and url"),
        ({"run": 1}, "run is not of the type str"),
        ({"directory": None}, "directory is not of the type str"),
    ],
)
def test_a_job_that_is_wrong_is_refused(bench: Bench, change: dict[str, Any], found: str) -> None:
    ran = bench.run({**bench.job("a:run"), **change})
    assert (ran.exit_code, ran.error["kind"], ran.error["type"]) == (78, "bootstrap", "job-invalid")
    assert found in ran.error["message"]


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", "[" * 100_000])
def test_what_is_no_job_is_refused(bench: Bench, text: str) -> None:
    ran = bench.run(text)
    assert (ran.exit_code, ran.error["type"]) == (78, "job-invalid")


def test_a_source_root_that_is_not_there_is_named(bench: Bench) -> None:
    ran = bench.run({**bench.job("a:run"), "directory": "/no/such"})
    assert (ran.exit_code, ran.error["type"]) == (78, "directory-missing")


def test_a_python_that_lacks_a_part_of_its_library_is_no_fault_of_the_step(tmp_path: Path) -> None:
    (tmp_path / "ssl.py").write_text("raise ImportError('no module of ssl')\n")
    bench = Bench(tmp_path / "bench", environment={"PYTHONPATH": str(tmp_path)})
    code = {"kind": "archive", "url": "https://127.0.0.1:1/x", "sha256": "0" * 64}
    ran = bench.run(bench.job("train:main", code=code))
    assert (ran.exit_code, ran.error["kind"], ran.error["type"]) == (78, "bootstrap", "defect")
    assert "ImportError: no module of ssl" in ran.error["message"]
    assert "Traceback" in ran.stderr


def test_where_no_result_can_be_written_the_error_is_printed(bench: Bench) -> None:
    bench.write("a.py", "def run():\n    raise ValueError('bad')\n")
    (bench.exchange / "result.json").mkdir()
    process = bench.start(bench.job("a:run"))
    _, stderr = process.communicate()
    assert process.returncode == 1
    assert "result.json cannot be written" in stderr
    assert "ValueError: bad" in stderr


def _code(bench: Bench, archive: bytes, **more: Any) -> dict[str, Any]:
    (bench.exchange / "code.tar.gz").write_bytes(archive)
    return {"kind": "archive", "url": None, "file": "code.tar.gz", "sha256": digest(archive), **more}


def test_code_is_brought_to_the_source_root(bench: Bench) -> None:
    code = _code(
        bench,
        tar([file("train.py", b"def main():\n    return open('x/data').read()\n"), file("x/data", b"1")]),
    )
    bench.write("x/of_the_image", "kept")
    bench.write("train.py", "of the image")
    ran = bench.run(bench.job("train:main", outputs=["output"], code=code))
    assert bench.output(ran) == b"1"
    found = (path for path in bench.root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert sorted(path.name for path in found) == ["data", "of_the_image", "train.py"]


def test_code_that_comes_cut_off_is_downloaded_again(bench: Bench) -> None:
    """The server says that it has sent all of it."""
    whole = tar([file("train.py", b"def main():\n    return 42\n")], compressed=True)
    replies = [Reply(body=whole[:100]), Reply(body=whole)]
    with serving(lambda _: replies.pop(0)) as site:
        code = {"kind": "archive", "url": f"http://127.0.0.1:{site.port}/x", "sha256": digest(whole)}
        ran = bench.run(bench.job("train:main", outputs=["output"], code=code))
    assert bench.output(ran) == b"42"
    with serving(lambda _: Reply(body=whole)) as site:
        code = {"kind": "archive", "url": f"http://127.0.0.1:{site.port}/x", "sha256": "0" * 64}
        refused = bench.run(bench.job("train:main", code=code))
        assert (refused.error["type"], len(site.requests)) == ("code-refused", 2)


def test_code_with_another_digest_is_not_unpacked(bench: Bench) -> None:
    code = _code(bench, tar([file("train.py", b"")], compressed=True), sha256="0" * 64)
    ran = bench.run(bench.job("train:main", code=code))
    assert (ran.exit_code, ran.error["type"]) == (78, "code-refused")
    assert list(bench.root.iterdir()) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_code_reaches_the_source_root(bench: Bench, name: str) -> None:
    ran = bench.run(bench.job("train:main", code=_code(bench, tar(HOSTILE[name][0], compressed=True))))
    assert (ran.exit_code, ran.error["type"]) == (78, "archive-refused")
    assert list(bench.root.iterdir()) == []


def test_code_does_not_go_through_links_of_the_image(bench: Bench) -> None:
    (bench.directory / "elsewhere").mkdir()
    (bench.root / "data").symlink_to(bench.directory / "elsewhere")
    ran = bench.run(bench.job("train:main", code=_code(bench, tar([file("data/x", b"1")]))))
    assert (ran.exit_code, ran.error["type"]) == (78, "code-not-written")
    assert ran.error["message"] == f"{bench.root}/data is a directory in the code but not in the image"
    assert list((bench.directory / "elsewhere").iterdir()) == []


def test_an_archive_that_is_missing_is_named(bench: Bench) -> None:
    code = {"kind": "archive", "file": "code.tar.gz", "sha256": "0" * 64}
    ran = bench.run(bench.job("train:main", code=code))
    assert (ran.exit_code, ran.error["type"]) == (75, "code-missing")


def test_the_docs_have_every_code() -> None:
    reference = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    _, _, section = reference.partition("| code | why a step could not be run |\n| --- | --- |\n")
    rows = itertools.takewhile(lambda line: line.startswith("|"), section.splitlines())
    printed = {code for row in rows for code in re.findall(r"`([a-z-]+)`", row.split("|")[1])}
    codes = {
        node.args[0].value
        for path in (ROOT / "executor/bootstrap").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("Refused", "FunctionMissing")
        if isinstance(node.args[0], ast.Constant)
    }
    assert printed == codes
