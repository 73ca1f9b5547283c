"""`@step` and `@pipeline`: functions that stay functions, and say what a pipeline is.

Refuses to run a step to find out what a pipeline is: only the function of the pipeline is called, and a step
that it calls gives references to its outputs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, overload

from .references import SaidWrong, Where, caller
from .trace import CURRENT, GUARD, Layer, advice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Generic, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")
else:
    # ParamSpec came with Python 3.10, and only type checkers want it.
    class Generic:
        """What `Generic[P, R]` is while a program runs: nothing."""

        def __class_getitem__(cls, _):
            return cls

    P = R = None

__all__ = ["Pipeline", "Step", "pipeline", "step"]

# Arguments of the reference that say nothing of images: they are taken, so that its code can be imported.
_PASSED_OVER = frozenset((
    "cache_policy", "enable_artifact_metadata", "enable_artifact_visualization", "enable_cache",
    "enable_heartbeat", "enable_step_logs", "environment", "extra", "heartbeat_healthy_threshold", "model",
    "on_failure", "on_success", "retry", "runtime", "secrets", "substitutions",
))  # fmt: skip
_OF_STEPS = _PASSED_OVER | {"experiment_tracker", "group", "output_materializers"}
_OF_PIPELINES = _PASSED_OVER | {
    "depends_on", "dynamic", "enable_pipeline_logs", "execution_mode", "on_cleanup", "on_init",
    "on_init_kwargs", "run_name", "schedule", "tags", "unlisted",
}  # fmt: skip


class _Decorated:
    """A function, its name, the settings that were written for it, and what was passed over."""

    taken = frozenset(("name", "settings"))
    passed = frozenset[str]() if TYPE_CHECKING else frozenset()
    kind = ""
    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[..., Any], where: Where, given: Mapping[str, Any]) -> None:
        if not inspect.isfunction(function):
            found = f"@{self.kind} is on {type(function).__name__}, which is not a function"
            raise SaidWrong(where, found, "put it on a function")
        functools.update_wrapper(self, function)  # type: ignore[arg-type]  # subclasses are called
        self.entrypoint: Callable[..., Any] = function
        """The function as it was written."""
        self.name: str = function.__name__
        self.where = where
        self.layers: tuple[Layer, ...] = ()
        self.passed_over: tuple[str, ...] = ()
        self._take(given, where, f"@{self.kind}")

    def __reduce__(self) -> str:
        """It is pickled as functions are: by its name."""
        return str(self.entrypoint.__qualname__)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name} of {self.entrypoint.__module__}>"

    def _take(self, given: Mapping[str, Any], where: Where, how: str) -> None:
        """Take over what was said of it."""
        known = self.taken | self.passed
        for name, value in given.items():
            if name not in known:
                raise SaidWrong(where, f"{how} has no argument {name!r}", advice(name, known))
            if name in self.passed and value is not None and name not in self.passed_over:
                self.passed_over += (name,)
        if given.get("name") is not None:
            self.name = given["name"]
        if given.get("settings") is not None:
            self.layers += (Layer(given["settings"], where, how),)

    def _with_options(self, given: Mapping[str, Any]) -> Any:
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._take(given, caller(), "with_options")  # noqa: SLF001  # it is of this class
        return made


class Step(_Decorated, Generic[P, R]):
    """A step. Called by a pipeline that is described it gives references; else it is its function."""

    taken = _Decorated.taken | {"step_operator"}
    passed = _OF_STEPS
    kind = "step"
    step_operator: str | None = None

    def _take(self, given: Mapping[str, Any], where: Where, how: str) -> None:
        super()._take(given, where, how)
        if given.get("step_operator") is not None:
            self.step_operator = given["step_operator"] or None

    def with_options(
        self,
        *,
        name: str | None = None,
        settings: Any = None,
        step_operator: Any = None,
        **passed_over: Any,
    ) -> Step[P, R]:
        """The same step under other options: settings go over those it has, field by field."""
        given = {"name": name, "settings": settings, "step_operator": step_operator, **passed_over}
        made: Step[P, R] = self._with_options(given)
        return made

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    def __call__(self, *args: Any, after: Any, **kwargs: Any) -> R: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; in a pipeline that is described: note the call.

        There it takes `after` too: outputs or names of steps that end before it begins, one or a list; and
        `id`, the name of this step. A function that has a parameter of that name gets it.
        """
        trace = CURRENT.get()
        if trace is None:
            return self.entrypoint(*args, **kwargs)
        return trace.called(self, args, kwargs, caller())


class Pipeline(_Decorated, Generic[P, R]):
    """A pipeline: a function that calls steps. Called it is that function, and runs them in this process."""

    taken = _Decorated.taken | {"parameters"}
    passed = _OF_PIPELINES
    kind = "pipeline"
    parameters: Mapping[str, Any] = {}

    def _take(self, given: Mapping[str, Any], where: Where, how: str) -> None:
        super()._take(given, where, how)
        if given.get("parameters"):
            self.parameters = {**self.parameters, **given["parameters"]}

    def with_options(
        self,
        *,
        name: str | None = None,
        settings: Any = None,
        parameters: Mapping[str, Any] | None = None,
        **passed_over: Any,
    ) -> Pipeline[P, R]:
        """The same pipeline under other options: settings go over those it has, field by field."""
        given = {"name": name, "settings": settings, "parameters": parameters, **passed_over}
        made: Pipeline[P, R] = self._with_options(given)
        return made

    def run(self, **options: Any) -> None:
        """Run it as `stowplan run` does, with the options of that command: `config="run.yaml"`, `build="…"`.

        Needs stowplan in this Python, and raises its errors.
        """
        self._command("run", options)

    def build(self, **options: Any) -> None:
        """Build its images ahead of a run, as `stowplan build` does, with the options of that command."""
        self._command("build", options)

    def _command(self, name: str, options: Mapping[str, Any]) -> None:
        if __package__ != "executor.bootstrap":
            # Whoever describes or runs a pipeline imports its module.
            found = f"{self.name}.{name}() is called while its module is imported"
            raise SaidWrong(caller(), found, GUARD)
        import_module("executor.cli.methods").call(name, self, options)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function: its steps are ordinary functions, and run here.

        Called by another pipeline that is described, its steps are steps of that one.
        """
        trace = CURRENT.get()
        if trace is None:
            made: R = self.entrypoint(*args, **kwargs)
            return made
        with trace.inside(self.layers, caller()):
            inner: R = self.entrypoint(*args, **kwargs)
            return inner


@overload
def step(function: Callable[P, R]) -> Step[P, R]: ...


@overload
def step(
    *, name: str | None = ..., settings: Any = ..., step_operator: Any = ..., **passed_over: Any
) -> Callable[[Callable[P, R]], Step[P, R]]: ...


def step(function: Any = None, **given: Any) -> Any:
    """Make a function a step: `@step`, or `@step(settings={"docker": DockerSettings(…)})`.

    `name` is that of the step, by default the function's; `step_operator` names a component of the stack that
    runs it. What else the reference takes says nothing of images, and is passed over with a note.
    """
    where = caller()
    if function is not None:
        return Step(function, where, given)
    return lambda plain: Step(plain, where, given)


@overload
def pipeline(function: Callable[P, R]) -> Pipeline[P, R]: ...


@overload
def pipeline(
    *, name: str | None = ..., settings: Any = ..., **passed_over: Any
) -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...


def pipeline(function: Any = None, **given: Any) -> Any:
    """Make a function a pipeline: `@pipeline`, or `@pipeline(settings={"docker": DockerSettings(…)})`.

    `name` is that of the pipeline, by default the function's. The settings are those of all of its steps.
    """
    where = caller()
    if function is not None:
        return Pipeline(function, where, given)
    return lambda plain: Pipeline(plain, where, given)
