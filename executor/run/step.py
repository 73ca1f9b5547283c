"""Carries out one step: its inputs, the step itself, its outputs.

What a step leaves is in the artifact store before its outcome says so. Refuses to decide whether it runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve

from executor.artifacts.store import ArtifactStore
from executor.engines.exchange import empty_exchange
from executor.errors import ExecutorError, Failure, ProgramMissing
from executor.log_file import LogFile
from executor.records.database import now
from executor.run.code import Code
from executor.run.outcome import StepOutcome, StepStatus, StoredOutput
from executor.run.places import BOOTSTRAP, Place
from executor.run.results import Result, StepError, left_by, sha256_of
from executor.run.work import INPUTS, data_inputs, given_digest, input_file, job_bytes
from planner.entrypoint import Command, Function
from planner.errors import Place as Where
from planner.errors import Problem
from planner.immutable import frozen
from planner.mask import Mask
from planner.pipeline import Step

if TYPE_CHECKING:
    from executor.engines.protocol import Ended, Stream

__all__ = ["Runner", "object_name"]

_SIGNALS: Final = {137: "SIGKILL", 143: "SIGTERM", 139: "SIGSEGV", 134: "SIGABRT", 132: "SIGILL"}
_BY_SIGNAL: Final = 128
_EXCHANGES: Final = "exchanges"
_SEE_LOG: Final = "see its log"


@frozen
class Runner:
    """Runs single steps of one run."""

    run: str
    root: Path
    scratch: Path
    place: Place
    store: ArtifactStore
    code: Mapping[str, Code]
    """By step, where code is downloaded."""
    mask: Mask

    def carry_out(
        self,
        step: Step,
        finished: Mapping[str, StepOutcome],
        on_line: Callable[[str], None],
    ) -> StepOutcome:
        """Run a step after those whose outputs it takes. What goes wrong with it is an outcome."""
        assert step.entrypoint is not None  # noqa: S101  # who schedules has looked
        notes: list[str] = []
        log = LogFile(self.root, step.name, notes.append, run=self.run)
        lock = threading.Lock()

        def on_output(line: str, _: Stream) -> None:
            shown = self.mask(line)
            # Each stream comes from a thread of its own.
            with lock:
                log.write(shown)
                on_line(shown)

        started, begin = now(), time.monotonic()
        try:
            outcome = self._outcome(step, finished, on_output)
            if outcome.error is not None and log.name:
                outcome = evolve(outcome, error=_pointing(outcome.error, log.name))
        except ExecutorError as error:
            found = error.problems
            if isinstance(error, ProgramMissing):
                found = tuple(_of_step(step.name, problem) for problem in found)
            problems = [problem.masked(self.mask) for problem in found]
            outcome = StepOutcome(step.name, StepStatus.FAILED, error=type(error)(problems, error.failure))
        finally:
            log.close()
        return evolve(
            outcome,
            started=started,
            seconds=round(time.monotonic() - begin, 3),
            image=self.place.image(step.name),
            log=log.name,
            given=given_digest(step.entrypoint),
            notes=(*outcome.notes, *notes),
        )

    def _outcome(
        self, step: Step, finished: Mapping[str, StepOutcome], on_output: Callable[[str, Stream], None]
    ) -> StepOutcome:
        code = self.code.get(step.name)
        if isinstance(step.entrypoint, Command) and code is None:
            # Nothing of ours has to be in its image, and no Python either.
            return self._ended(step, self.place.run_command(step.name, step.entrypoint.argv, on_output), None)
        # A step can have the name of what else is in the directory.
        exchanges = self.scratch / _EXCHANGES
        exchanges.mkdir(exist_ok=True)
        exchange = empty_exchange(exchanges / step.name)
        stored = self._inputs(step, finished, exchange)
        if self.place.needs_bootstrap(step.name):
            from executor.bootstrap_file import bootstrap  # noqa: PLC0415  # images have it

            (exchange / BOOTSTRAP).write_bytes(bootstrap())
        assert step.entrypoint is not None  # noqa: S101  # see above
        job = job_bytes(
            self.run,
            step.name,
            step.entrypoint,
            directory=self.place.directory(step.name),
            code=code(exchange) if code is not None else None,
            stored=stored,
        )
        ended = self.place.run_job(step.name, job, exchange, on_output)
        outputs = step.entrypoint.outputs if isinstance(step.entrypoint, Function) else ()
        return self._ended(step, ended, left_by(step.name, exchange, outputs))

    def _inputs(
        self, step: Step, finished: Mapping[str, StepOutcome], exchange: Path
    ) -> Mapping[str, StoredOutput]:
        """Put the outputs that the step takes into its exchange directory."""
        stored: dict[str, StoredOutput] = {}
        for name, item in data_inputs(step.entrypoint).items():
            found = [each for each in finished[item.step].outputs if each.name == item.name]
            if not found:
                found_words = f"takes {item}, and {item.step} has no output {item.name!r}"
                fix = "name one of its outputs"
                raise ExecutorError([Problem(Where(file=step.name), found_words, fix, "output-missing")])
            stored[name] = found[0]
        if stored:
            (exchange / INPUTS).mkdir()
            (exchange / INPUTS).chmod(0o755)
        for index, each in enumerate(stored.values()):
            path = exchange / input_file(index)
            self.store.get(each.object, path)
            path.chmod(0o644)
            if sha256_of(path) != each.sha256:
                found_words = f"takes {each.object}, which is not what was written: its digest is another"
                fix = "run the pipeline again, without --rerun-failed"
                raise ExecutorError([Problem(Where(file=step.name), found_words, fix, "output-changed")])
        return stored

    def _ended(self, step: Step, ended: Ended, result: Result | None) -> StepOutcome:
        """What the end of a step comes to."""
        failed = StepOutcome(step.name, StepStatus.FAILED, code=ended.code)
        if ended.out_of_memory:
            words = "was killed: the machine, or what it may use of it, ran out of memory"
            return evolve(failed, error=_error(step.name, words, "give it more memory", "step-out-of-memory"))
        if result is not None and result.error is not None:
            return self._raised(failed, result.error)
        if ended.code:
            return evolve(failed, error=_error(step.name, _ending(ended.code), _SEE_LOG, "step-failed"))
        if isinstance(step.entrypoint, Function) and result is None:
            words = "ended without a result: it ended Python by itself"
            return evolve(failed, error=_error(step.name, words, "let the function return", "step-failed"))
        left = result.outputs if result is not None else ()
        for each in left:
            self.store.put(object_name(self.run, step.name, each.name), each.path)
        return StepOutcome(
            step.name,
            StepStatus.SUCCEEDED,
            code=ended.code,
            outputs=tuple(
                StoredOutput(
                    each.name,
                    object_name(self.run, step.name, each.name),
                    each.serializer,
                    each.type,
                    each.sha256,
                    each.bytes,
                )
                for each in left
            ),
            notes=tuple(map(self.mask, result.notes)) if result is not None else (),
        )

    def _raised(self, failed: StepOutcome, error: StepError) -> StepOutcome:
        message = self.mask(error.message)
        if error.ours:
            return evolve(failed, error=_error(failed.step, message, self.mask(error.fix), error.type))
        found = f"{error.type}: {message}" if error.traceback else message
        return evolve(
            failed,
            error=_error(failed.step, found, _SEE_LOG, "step-failed"),
            traceback=self.mask(error.traceback),
        )


def _of_step(step: str, problem: Problem) -> Problem:
    """A problem of a step that did not run, which names it."""
    return evolve(problem, where=Where(file=step), found=f"{problem.where}: {problem.found}")


def _pointing(error: ExecutorError, log: str) -> ExecutorError:
    """The error of a step, which says where all is that the step wrote."""
    problems = [
        evolve(each, fix=f"see {log}" if each.fix == _SEE_LOG else f"{each.fix}; see {log}")
        for each in error.problems
    ]
    return type(error)(problems, error.failure)


def _error(step: str, found: str, fix: str, code: str) -> ExecutorError:
    return ExecutorError([Problem(Where(file=step), found, fix, code)], Failure.STEP_FAILED)


def _ending(code: int) -> str:
    """An exit code in words (bash(1), "EXIT STATUS")."""
    if code == _BY_SIGNAL + 9:
        return "was killed (SIGKILL): if nobody did that, memory ran out"
    if code in _SIGNALS:
        return f"was ended by {_SIGNALS[code]} (exit code {code})"
    words = {126: ": the program cannot be executed", 127: ": there is no such program"}
    return f"ended with exit code {code}{words.get(code, '')}"


def object_name(run: str, step: str, output: str) -> str:
    """The name of an output in the artifact store."""
    return f"runs/{run}/{step}/{output}"
