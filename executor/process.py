"""Runs a command: the only module that starts a process.

A `Command` is a frozen value that pure functions make and tests compare; `run` carries it out. A child
has its own process group, so that what it started ends with it, and one that can be stopped ends with us
where the kernel sees to that. Refuses a shell, and refuses to show the values of a command's environment,
which can be secrets.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
import os
import selectors
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from attrs import field

from executor import limits
from executor.errors import ExecutorError, ProgramMissing, ProgramSilent
from planner.immutable import frozen
from planner.values import FrozenMapping

__all__ = ["Command", "Completed", "Lines", "Stop", "kill_children_of", "run"]

Stop = Callable[[], None]
"""Ends what it belongs to, from any thread; does nothing when that has ended already."""

_READ_BYTES: Final = 1 << 16
_LONGEST_LINE: Final = 1 << 16


def _frozen(env: Mapping[str, str]) -> FrozenMapping[str]:
    return FrozenMapping(env)


def _names(env: Mapping[str, str]) -> str:
    return f"<{', '.join(env)}>"


@frozen
class Command:
    """A program and its arguments, what is added to this process's environment for it, and where it runs.

    >>> Command(("podman", "build"), env={"STOWPLAN_TOKEN": "s3cret"})
    Command(argv=('podman', 'build'), env=<STOWPLAN_TOKEN>)
    """

    argv: tuple[str, ...] = field(converter=tuple[str, ...])
    env: Mapping[str, str] = field(default=FrozenMapping(), converter=_frozen, repr=_names)
    directory: str | None = field(default=None, repr=False)
    """Its working directory; None for that of this process."""
    unset: tuple[str, ...] = field(default=(), repr=False)
    """Variables of this process that it does not get."""

    @property
    def program(self) -> str:
        """The program's name, as an error shows it."""
        return self.argv[0]


@frozen
class Completed:
    """How a command ended: its exit code (negative: the signal that killed it) and what it wrote.

    Empty where that was given to `on_line` or `on_output`.
    """

    code: int
    stdout: bytes = field(default=b"", repr=False)
    stderr: str = field(default="", repr=False)

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode(errors="replace")


def run(
    command: Command,
    *,
    stdin: Iterable[bytes] | None = None,
    on_line: Callable[[str], None] | None = None,
    on_error_line: Callable[[str], None] | None = None,
    on_output: Callable[[bytes], None] | None = None,
    merged: bool = False,
    timeout: float | None = None,
    grace: float | None = None,
    stoppable: Callable[[Stop], None] | None = None,
) -> Completed:
    """Run a command to its end; an exit code other than 0 is for the caller to judge.

    `stdin` is fed from a thread; what it raises ends the child and is raised here, and a child that
    ends before it has read everything is no error. `on_line` takes each line of both streams as it
    comes, in this thread: the first 65,536 characters, and of a line that redraws itself with carriage
    returns its last state. With `on_error_line` that takes the lines of standard error, in a thread of its
    own. `on_output` takes the bytes of standard output instead, as they come, in this thread. With `merged`
    both streams are in `stdout`. `timeout` is in seconds, and so is `grace`: how long a child that was asked
    to end may take before it is killed. `stoppable` is handed a function that ends the child from another
    thread; `run` then returns as usual. Such a child is asked to end (TERM) when this process is killed, too,
    where `setpriv` can arrange it (Linux). Any exception here, such as KeyboardInterrupt, ends the child.
    ExecutorError when the program cannot be started,
    ProgramMissing if it is not there, ProgramSilent when it takes longer than `timeout`.
    """
    prefix = _with_parent() if stoppable is not None and shutil.which(command.program) else ()
    merged = merged or (on_line is not None and on_error_line is None)
    child = _Child(command, stdin is not None, merged, prefix, grace)
    with child.ending(), _noted(child):
        if stoppable is not None:
            stoppable(child.stop)
        if timeout is not None:
            child.stop_after(timeout)
        if stdin is not None:
            child.start_thread(child.feed, stdin)
        errors: list[bytes] = []
        if child.process.stderr is not None:
            take_error = errors.append if on_error_line is None else Lines(on_error_line).take
            child.start_thread(child.read_all, child.process.stderr, take_error)
        output: list[bytes] = []
        assert child.process.stdout is not None  # noqa: S101  # it is a pipe
        take = on_output or output.append if on_line is None else Lines(on_line).take
        child.read_all(child.process.stdout, take)
        code = child.process.wait()
    if child.error is not None:
        raise child.error
    if child.timed_out:
        raise ProgramSilent.of(
            command.program, f"did not end within {timeout:g} s", "see what it waits for, and try again"
        )
    return Completed(code, b"".join(output), b"".join(errors).decode(errors="replace"))


@functools.cache
def _with_parent() -> tuple[str, ...]:
    """The beginning of a command line that ends with this process; nothing where there is no such thing.

    prctl(2), PR_SET_PDEATHSIG, has to be called by the child itself. Between fork and exec no Python may
    run in a process of several threads, so util-linux' setpriv does it. The signal comes when the thread
    ends that has started the child; that thread waits in `run`.
    """
    if not sys.platform.startswith("linux"):
        return ()
    program = shutil.which("setpriv")
    if program is None:
        return ()
    prefix = (program, "--pdeathsig", "TERM", "--")
    try:
        # busybox has a setpriv that does not know the option.
        done = subprocess.run(  # noqa: S603  # no shell
            (*prefix, "true"), capture_output=True, check=False, timeout=limits.SETPRIV_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return prefix if done.returncode == 0 else ()


class Lines:
    """Cuts bytes into lines: each without its end, and without what it overwrote after a carriage return.

    A line that is longer than anybody reads is cut off, so that a program that writes without line ends
    takes neither time nor memory that grow faster than what it writes.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._rest = ""

    def take(self, data: bytes) -> None:
        """Take the next bytes; none at all are the end."""
        *lines, self._rest = (self._rest + self._decode(data, not data)).split("\n")
        if not data and self._rest:
            lines.append(self._rest)
        for line in lines:
            self._on_line(_cut(line.rstrip("\r").rpartition("\r")[2]))
        # A progress bar may redraw its line for as long as it likes: only what shows now is kept.
        self._rest = _cut(self._rest[self._rest.rstrip("\r").rfind("\r") + 1 :])


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"


def _signal(send: Callable[[int, int], None], target: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        send(target, number)


def _outside(leader: int) -> tuple[int, ...]:
    """The descendants of a process that have left its group; none where there is no /proc to tell."""
    found: dict[int, tuple[int, int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # proc(5): pid (name) state parent group …; a name can hold spaces and parentheses.
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
            found[int(path.parent.name)] = (int(fields[1]), int(fields[2]))
    family = {leader}
    while more := {pid for pid, (parent, _) in found.items() if parent in family} - family:
        family |= more
    return tuple(sorted(pid for pid in family - {leader} if found[pid][1] != leader))


@contextlib.contextmanager
def _noted(child: _Child) -> Iterator[None]:
    """Keep which thread waits for a child, for as long as it does."""
    with _running_lock:
        _running[child] = threading.get_ident()
    try:
        yield
    finally:
        with _running_lock:
            del _running[child]


def kill_children_of(threads: Iterable[threading.Thread]) -> None:
    """Kill the programs that these threads wait for in `run`, with all that those have started."""
    idents = {thread.ident for thread in threads}
    with _running_lock:
        children = [child for child, ident in _running.items() if ident in idents]
    for child in children:
        child.kill()


_running_lock: Final = threading.Lock()
_running: Final[dict[_Child, int]] = {}


def _without(names: tuple[str, ...]) -> dict[str, str]:
    """The environment of this process without some variables."""
    return {name: value for name, value in os.environ.items() if name not in names}


def _forget(_: bytes) -> None:
    """Keep nothing."""


class _Child:
    """A running process, its group, and the threads that serve it."""

    def __init__(
        self, command: Command, fed: bool, merged: bool, prefix: tuple[str, ...], grace: float | None
    ) -> None:
        self._grace = limits.ENDING_SECONDS if grace is None else grace
        self.error: BaseException | None = None
        self.timed_out = False
        self._lock = threading.Lock()
        self._stopped = self._ended = False
        self._threads: list[threading.Thread] = []
        self._timers: list[threading.Timer] = []
        try:
            self.process = subprocess.Popen(  # noqa: S603  # no shell, and argv is made by our own functions
                (*prefix, *command.argv),
                stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merged else subprocess.PIPE,
                env={**_without(command.unset), **command.env},
                cwd=command.directory,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise ProgramMissing.of(
                command.program, "no such program", "install it, or put its directory on the PATH"
            ) from None
        except OSError as error:
            raise ExecutorError.of(
                command.program, f"cannot be started: {error.strerror}", "check that it is executable"
            ) from None
        # Readable once nobody waits any longer for what the child writes.
        self._given_up = os.pipe()

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """Leave no process of the group, no thread and no pipe behind, whatever happens inside."""
        try:
            yield
        except BaseException:
            self.stop()
            if self.process.stdout is not None:
                # Nobody reads on, but a child that tidies up may have to write.
                self.start_thread(self.read, self.process.stdout, _forget)
            raise
        finally:
            try:
                self.process.wait()
            finally:
                # Reached early when the user interrupts the wait itself.
                self._end()

    def _end(self) -> None:
        with self._lock:
            self._ended = True
        for timer in self._timers:
            timer.cancel()
            timer.join()
        if self._stopped:
            self._signal(signal.SIGKILL)
            self._give_up()
        for thread in self._threads:
            thread.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        for end in self._given_up:
            os.close(end)

    def stop(self) -> None:
        """Ask the group to end, and see to it that it does.

        What left the group, as the containers of `podman build` do, is killed first. The child then
        sees its work fail, and has time to tidy up before it is asked to end itself.
        """
        with self._lock:
            if self._stopped or self._ended:
                return
            self._stopped = True
        patience = self._grace if self._kill_escaped() else 0
        self._later(patience, self._terminate)
        self._later(patience + self._grace, self._kill)

    def kill(self) -> None:
        """End it at once."""
        with self._lock:
            if self._ended:
                return
            self._stopped = True
        self._kill()

    def _terminate(self) -> None:
        self._kill_escaped()
        self._signal(signal.SIGTERM)

    def _kill(self) -> None:
        self._kill_escaped()
        self._signal(signal.SIGKILL)
        # Whoever can still write is nobody's child any more: what it writes is not waited for.
        self._later(self._grace, self._give_up)

    def _give_up(self) -> None:
        os.write(self._given_up[1], b"!")

    def _kill_escaped(self) -> bool:
        """Kill what left the group; whether there was anything."""
        escaped = _outside(self.process.pid)
        for process in escaped:
            _signal(os.kill, process, signal.SIGKILL)
        return bool(escaped)

    def stop_after(self, seconds: float) -> None:
        """Stop the child unless it ends within that time."""

        def expire() -> None:
            self.timed_out = True
            self.stop()

        self._later(seconds, expire)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        with self._lock:
            if not self._ended:
                self._timers.append(timer)
                timer.start()

    def _signal(self, number: signal.Signals) -> None:
        # The group can outlive its leader, so a leader that has ended is no reason to spare the group.
        _signal(os.killpg, self.process.pid, number)

    def start_thread(self, target: Callable[..., None], *arguments: object) -> None:
        """Serve a pipe from a thread of its own."""
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def read(self, stream: IO[bytes], take: Callable[[bytes], None]) -> None:
        """Hand over what comes from a pipe until all who can write to it have closed it, or are given up."""
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            selector.register(self._given_up[0], selectors.EVENT_READ)
            while ready := {key.fileobj for key, _ in selector.select()}:
                data = os.read(stream.fileno(), _READ_BYTES) if stream in ready else b""
                if not data:
                    return
                take(data)

    def read_all(self, stream: IO[bytes], take: Callable[[bytes], None]) -> None:
        """Hand over the same, and then nothing at all, which is the end."""
        self.read(stream, take)
        take(b"")

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Write to the child's standard input until all is written or the child reads no more."""
        pipe = self.process.stdin
        assert pipe is not None  # noqa: S101  # it is a pipe
        try:
            for chunk in chunks:
                if not self._write(pipe, chunk):
                    break
            else:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        except BaseException as error:  # it is raised again by `run`
            # The pipe stays open until the child is gone: its end would look like the end of the data.
            self.error = error
            self.stop()
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    @staticmethod
    def _write(pipe: IO[bytes], chunk: bytes) -> bool:
        try:
            pipe.write(chunk)
        except BrokenPipeError:
            return False
        return True
