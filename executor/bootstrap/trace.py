"""The calls of steps by the function of a pipeline, while it is called to find out about them."""

from __future__ import annotations

import contextlib
import contextvars
import difflib
import inspect
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from .annotations import output_names
from .references import Outputs, Reference, SaidWrong, Where, reference, step_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CURRENT", "GUARD", "Call", "Layer", "Trace", "advice", "bound"]


GUARD = 'put it under if __name__ == "__main__":'
"""What to do about what runs when a module is imported."""


MOST_STEPS = 10000
"""How often a pipeline may call steps: a loop that never ends ends here."""


class Layer(NamedTuple):
    """Settings that were written in one place; `how` says in which words."""

    settings: Any
    where: Where
    how: str


class Call(NamedTuple):
    """A step that a pipeline called."""

    name: str
    step: Any
    inputs: Mapping[str, Any]
    outputs: tuple[str, ...]
    after: tuple[str, ...]
    layers: tuple[Layer, ...]
    where: Where


class Trace:
    """What a pipeline called so far. `parameters` are given to steps, by their names, besides.

    None are those of no pipeline: what a module calls while it is imported would run.
    """

    def __init__(self, parameters: Mapping[str, Mapping[str, Any]] | None) -> None:
        self.calls: dict[str, Call] = {}
        self._parameters = parameters
        self._inner: tuple[Layer, ...] = ()

    @contextlib.contextmanager
    def inside(self, layers: tuple[Layer, ...], where: Where) -> Iterator[None]:
        """Steps that are called here have these layers of settings below their own."""
        if self._parameters is None:
            found = "a pipeline is called while its module is imported: it would run"
            raise SaidWrong(where, found, GUARD)
        before, self._inner = self._inner, self._inner + layers
        try:
            yield
        finally:
            self._inner = before

    def called(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any], where: Where) -> Any:
        """Note a call of a step; references to its outputs."""
        if self._parameters is None:
            found = f"step {step.name} is called while a module is imported: it would run"
            raise SaidWrong(where, found, GUARD)
        signature = inspect.signature(step.entrypoint)
        extra = {
            name: kwargs.pop(name)
            for name in ("id", "after")
            if name in kwargs and name not in signature.parameters
        }
        if len(self.calls) >= MOST_STEPS:
            found = f"a pipeline calls more than {MOST_STEPS} steps"
            raise SaidWrong(where, found, "see whether the loop ends, or do more in each step")
        name = self._name(extra.get("id") or step.name)
        inputs = bound(f"step {name}", signature, args, kwargs, self._parameters.get(name, {}), where)
        outputs = output_names(step.entrypoint)
        self.calls[name] = Call(
            name,
            step,
            {parameter: _input(name, parameter, value, where) for parameter, value in inputs.items()},
            outputs,
            tuple(self._after(name, extra.get("after"), where)),
            self._inner + step.layers,
            where,
        )
        return reference(name, outputs)

    def _name(self, wanted: str) -> str:
        """A name that no other call has: the second `train` is `train_2`."""
        name, number = wanted, 1
        while name in self.calls:
            number += 1
            name = f"{wanted}_{number}"
        return name

    def _after(self, name: str, given: Any, where: Where) -> Iterator[str]:
        for item in given if isinstance(given, (list, tuple, set)) else () if given is None else (given,):
            step = step_of(item) or item
            if not isinstance(step, str):
                found = f"step {name} comes after {type(item).__name__}"
                raise SaidWrong(where, found, "give what a step returned, or the name of a step")
            if step not in self.calls:
                found = f"step {name} comes after {step!r}, which was not called before it"
                raise SaidWrong(where, found, advice(step, self.calls))
            yield step


CURRENT: contextvars.ContextVar[Trace | None] = contextvars.ContextVar("stowplan_trace", default=None)
"""Where calls of steps are noted; None where steps are ordinary functions."""


def bound(  # noqa: PLR0917  # what a call is
    whose: str,
    signature: inspect.Signature,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    parameters: Mapping[str, Any],
    where: Where,
) -> dict[str, Any]:
    """Arguments by the names of their parameters; `parameters` go over what the code gives."""
    kinds = {name: each.kind for name, each in signature.parameters.items()}
    for name in parameters:
        if name not in kinds and inspect.Parameter.VAR_KEYWORD not in kinds.values():
            raise SaidWrong(where, f"{whose} has no parameter {name!r}", advice(name, kinds))
    for name, kind in kinds.items():
        if kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            found = f"{whose} has a parameter that has no name to be given by: {signature.parameters[name]}"
            raise SaidWrong(where, found, "give it parameters with names")
    try:
        given = dict(signature.bind_partial(*args, **kwargs).arguments)
        for name, kind in kinds.items():
            if kind is inspect.Parameter.VAR_KEYWORD:
                given.update(given.pop(name, {}))
        for name in parameters:
            if isinstance(given.get(name), (Reference, Outputs)):
                found = (
                    f"{name} of {whose} is an output of {given[name].step}, and is given as a parameter too"
                )
                raise SaidWrong(where, found, "leave it out of the parameters")
        given.update(parameters)
        signature.bind(**given)
    except TypeError as error:
        raise SaidWrong(where, f"{whose}: {error}", f"its parameters are {signature}") from None
    return given


def _input(step: str, parameter: str, value: Any, where: Where) -> Any:
    """An input as data: `{"step": …, "output": …}` or `{"value": …}`."""
    if isinstance(value, Outputs):
        found = f"{parameter} of step {step}: what {value.step} returns is {len(value) or 'no'} values"
        fix = f"pass one of them: {value.step}()[0]" if len(value) else "use after= for order without data"
        raise SaidWrong(where, found, fix)
    if isinstance(value, Reference):
        return {"step": value.step, "output": value.output}
    wrong = _not_json(value)
    if wrong is not None:
        raise SaidWrong(where, f"{parameter} of step {step}: {wrong[0]}", wrong[1])
    return {"value": value}


def _not_json(value: Any) -> tuple[str, str] | None:
    """What of a value JSON does not have, and what to do; None if it has all of it."""
    if value is None or type(value) in (bool, int, str):
        return None
    if type(value) is float:
        return None if math.isfinite(value) else (f"JSON has no {value}", "give a finite number")
    if type(value) is list:
        return next(filter(None, map(_not_json, value)), None)
    if type(value) is dict:
        if not all(type(key) is str for key in value):
            return "JSON has no keys but strings", "give it strings as keys"
        return next(filter(None, map(_not_json, value.values())), None)
    if isinstance(value, (Reference, Outputs)):
        return f"the output of {value.step} is inside of another value", "pass it as an argument of its own"
    if type(value) is tuple:
        return "JSON has no tuples", "give a list, or make it in a step"
    kind = type(value).__qualname__
    return f"JSON has no {kind}", "give numbers, text, lists and dictionaries, or make it in a step"


def advice(name: str, known: Any) -> str:
    """The nearest known name; when none is near, all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known names: {', '.join(names)}" if names else "there are none"
