from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor import limits
from executor.errors import ExecutorError, FilesChanged
from executor.process import Command, Completed, Stop, run
from planner.values import FrozenMapping

ROOT = Path(__file__).parents[2]


def sh(script: str, **env: str) -> Command:
    return Command(("sh", "-c", script), FrozenMapping(env))


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(*pids: int) -> None:
    tick = threading.Event()
    for _ in range(200):
        if not any(alive(pid) for pid in pids):
            return
        tick.wait(0.05)
    pytest.fail(f"still running: {[pid for pid in pids if alive(pid)]}")


def test_both_streams_apart() -> None:
    done = run(sh("echo out; echo err >&2; exit 3"))
    assert (done.code, done.stdout, done.text, done.stderr) == (3, b"out\n", "out\n", "err\n")


def test_both_streams_as_one() -> None:
    assert run(sh("echo a; echo b >&2; echo c"), merged=True) == Completed(0, b"a\nb\nc\n", "")


def test_lines_of_both_streams_apart() -> None:
    lines: list[str] = []
    errors: list[str] = []
    done = run(
        sh("cat; echo err >&2; printf end >&2; exit 3"),
        stdin=iter([b"in\n"]),
        on_line=lines.append,
        on_error_line=errors.append,
    )
    assert (done, lines, errors) == (Completed(3), ["in"], ["err", "end"])


def test_lines_come_as_they_are_written() -> None:
    """The child waits for an answer to each line it writes: held back, the lines would never come."""
    reader, writer = os.pipe()
    lines: list[str] = []

    def answer(line: str) -> None:
        lines.append(line)
        os.write(writer, b"go\n")

    done = run(
        sh(f"for i in 1 2 3; do echo $i; read x < /proc/{os.getpid()}/fd/{reader}; done"), on_line=answer
    )
    os.close(reader)
    os.close(writer)
    assert lines == ["1", "2", "3"]
    assert done == Completed(0)


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (r"a\nb\n", ["a", "b"]),
        (r"a\r\nb", ["a", "b"]),
        (r"10%%\r50%%\r100%%\nnext\n", ["100%", "next"]),
        (r"\n\n", ["", ""]),
        (r"x\377y\303\244\n", ["x\N{REPLACEMENT CHARACTER}yä"]),
        ("", []),
    ],
)
def test_lines(written: str, lines: list[str]) -> None:
    found: list[str] = []
    run(sh(f"printf '{written}'"), on_line=found.append)
    assert found == lines


def test_lines_of_both_streams() -> None:
    found: list[str] = []
    run(sh("echo out; echo err >&2"), on_line=found.append)
    assert sorted(found) == ["err", "out"]


def test_input_and_output_larger_than_any_pipe() -> None:
    chunks = [bytes([65 + n]) * 100_000 for n in range(20)]
    assert run(Command(("cat",)), stdin=iter(chunks)).stdout == b"".join(chunks)


def test_without_input_the_child_reads_nothing() -> None:
    assert run(Command(("cat",))).stdout == b""


def test_a_child_that_ends_before_it_has_read_everything() -> None:
    closed = []

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield bytes(65536)
        finally:
            closed.append(True)

    assert run(sh("echo enough; exit 4"), stdin=endless()).code == 4
    assert closed == [True]


def test_what_the_input_raises_ends_the_child_and_is_raised() -> None:
    pids: list[int] = []

    def chunks() -> Iterator[bytes]:
        yield b"first\n"
        raise FilesChanged.of("train.py", "changed", "plan again")

    with pytest.raises(FilesChanged, match=r"train\.py"):
        run(
            # Had the input seemed to end, `cat` would have ended well and left a file behind.
            sh("echo $$; cat > /dev/null; echo complete"),
            stdin=chunks(),
            on_line=lambda line: pids.append(int(line)),
        )
    wait_until_gone(*pids)


@pytest.mark.parametrize("end", ["", "\\n", "\\r\\n", "\\nlast"])
def test_a_long_line_is_cut_off(end: str) -> None:
    found: list[str] = []
    run(sh(f"head -c 400000 /dev/zero | tr '\\0' x; printf '{end}'"), on_line=found.append)
    assert found == ["x" * 65_536 + "…", *(["last"] if "last" in end else [])]


def test_a_line_that_fits_is_whole() -> None:
    found: list[str] = []
    run(sh("head -c 65536 /dev/zero | tr '\\0' x; echo; echo next"), on_line=found.append)
    assert found == ["x" * 65_536, "next"]


def test_what_a_long_line_is_drawn_over_with_shows() -> None:
    found: list[str] = []
    run(sh("head -c 400000 /dev/zero | tr '\\0' x; printf '\\r100%%\\n'"), on_line=found.append)
    assert found == ["100%"]


def test_what_on_line_raises_ends_the_child_and_is_raised() -> None:
    pids: list[int] = []

    def stop(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(sh("echo $$; sleep 1000"), on_line=stop)
    wait_until_gone(*pids)


def test_stop_from_another_thread_ends_the_whole_group() -> None:
    stops: list[Stop] = []
    pids: list[int] = []

    def line(text: str) -> None:
        pids.append(int(text))
        if len(pids) == 2:
            threading.Thread(target=stops[0]).start()

    done = run(sh("sleep 1000 & echo $!; echo $$; wait"), on_line=line, stoppable=stops.append)
    assert done.code == -15
    wait_until_gone(*pids)
    stops[0]()  # nothing happens


def test_stop_ends_a_child_that_ignores_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ENDING_SECONDS", 0.1)
    stops: list[Stop] = []
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    assert run(sh(script), on_line=lambda _: stops[0](), stoppable=stops.append).code == -9


def test_stop_ends_what_left_the_group_and_lets_the_child_tidy_up() -> None:
    stops: list[Stop] = []
    lines: list[str] = []

    def line(text: str) -> None:
        lines.append(text)
        if text.isdigit():
            stops[0]()

    # It has a session of its own before it tells its number.
    script = "setsid sh -c 'echo $$; exec sleep 1000' & wait; echo tidied"
    assert run(sh(script), on_line=line, stoppable=stops.append).code == 0
    assert lines[1] == "tidied"
    wait_until_gone(int(lines[0]))


def test_stop_does_not_wait_for_what_nobody_can_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that left the group and whose parent has ended still holds the pipe."""
    monkeypatch.setattr(limits, "ENDING_SECONDS", 0.1)
    stops: list[Stop] = []
    pids: list[int] = []

    def line(text: str) -> None:
        pids.append(int(text))
        stops[0]()

    run(
        sh("setsid --fork sh -c 'echo $$; exec sleep 1000'; sleep 1000"),
        on_line=line,
        stoppable=stops.append,
    )
    with contextlib.suppress(ProcessLookupError):  # it was found, if its parent was still there
        os.kill(pids[0], signal.SIGKILL)
    wait_until_gone(*pids)


def test_a_stop_asked_for_at_once() -> None:
    assert run(sh("sleep 1000"), stoppable=lambda stop: stop()).code == -15


def test_timeout() -> None:
    pids: list[int] = []
    with pytest.raises(ExecutorError, match=r"sh: did not end within 0\.2 s"):
        run(sh("echo $$; sleep 1000"), on_line=lambda line: pids.append(int(line)), timeout=0.2)
    wait_until_gone(*pids)


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(ExecutorError, match=r"no-such-program: no such program: install it"):
        run(Command(("no-such-program", "--help"), FrozenMapping({"TOKEN": "hunter22"})))


def test_a_program_that_cannot_be_executed(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(ExecutorError, match="cannot be started: Permission denied"):
        run(Command((str(tmp_path / "x"),)))


def test_the_environment_is_added_and_never_shown() -> None:
    command = sh('printf %s "$TOKEN$HOME"', TOKEN="hunter22")
    assert run(command).text == "hunter22" + os.environ["HOME"]
    assert "hunter22" not in repr(command)
    assert "TOKEN" in repr(command)


def test_a_command_is_a_value() -> None:
    assert sh("x", A="1") == sh("x", A="1") != sh("x", A="2")
    assert len({sh("x", A="1"), sh("x", A="1")}) == 1


def test_keyboard_interrupt_ends_the_child(tmp_path: Path) -> None:
    """A real SIGINT, sent to a process that waits in `run`."""
    file = tmp_path / "pid"
    program = (
        "import os, signal, threading\n"
        "from executor.process import Command, run\n"
        f"command = Command(('sh', '-c', 'echo $$ > {file}; echo up; sleep 1000'))\n"
        "try:\n"
        "    run(command, on_line=lambda _: os.kill(os.getpid(), signal.SIGINT))\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    done = run(Command((sys.executable, "-c", program)))
    assert done.text == "interrupted\n", done.stderr
    wait_until_gone(int(file.read_text()))


PARENT = """
import sys
from executor.process import Command, run
sleep = Command(("sh", "-c", "echo $$; exec sleep 60"))
run(sleep, on_line=lambda line: print(line, flush=True), stoppable=lambda stop: None)
"""


@pytest.mark.skipif(not shutil.which("setpriv"), reason="only util-linux knows how")
def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
    wait_until_gone(child)


def test_a_program_that_is_missing_is_missing_however_it_is_started() -> None:
    with pytest.raises(ExecutorError, match="no such program"):
        run(Command(("no-such-program",)), stoppable=lambda _: None)
