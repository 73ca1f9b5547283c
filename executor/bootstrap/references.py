"""What a step gives when a pipeline is described: references to its outputs, which have no values yet.

Refuses to be taken for a value: `if n > 3` would decide before there is a value.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Outputs", "Reference", "SaidWrong", "Where", "caller"]


class Where(NamedTuple):
    """A line of a file, from 1."""

    file: str
    line: int


class SaidWrong(Exception):  # it says what happened
    """A pipeline says what cannot be: where, what was found, and what to do."""

    def __init__(self, where: Where, found: str, fix: str) -> None:
        super().__init__(f"{where.file}:{where.line}: {found}: {fix}")
        self.where, self.found, self.fix = where, found, fix


def caller() -> Where:
    """The line of the user's code that is running: the nearest frame that is of another package."""
    frame = sys._getframe(1)  # noqa: SLF001  # there is no other way to a line that is as fast
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame = frame.f_back
    return Where(frame.f_code.co_filename, frame.f_lineno)


class _NotYet:
    """What has no value before the pipeline runs."""

    _shown: str

    def _refuse(self, what: str) -> Any:
        found = f"{self._shown} is {what}, and is known only when the pipeline runs"
        raise SaidWrong(caller(), found, "do that in a step")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # Python asks for many of these where nobody wants the value.
            raise AttributeError(name)
        return self._refuse(f"asked for .{name}")

    def __bool__(self) -> bool:
        return bool(self._refuse("used as a condition"))

    def __str__(self) -> str:
        return str(self._refuse("made text"))

    def __format__(self, spec: str) -> str:
        return str(self._refuse("made text"))

    def __repr__(self) -> str:
        return f"<{self._shown}>"

    # Whoever says what equals it says what its hash is.
    __hash__ = object.__hash__


def _refusing(what: str) -> Any:
    def refuse(self: _NotYet, *_: Any) -> Any:
        return self._refuse(what)  # it becomes a method

    return refuse


_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "contains")
_BINARY = (
    "add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow", "lshift", "rshift", "and",
    "xor", "or",
)  # fmt: skip
_UNARY = ("neg", "pos", "abs", "invert", "int", "float", "complex", "index", "round")
_OTHERS = ("len", "setitem", "delitem", "call", "bytes", "enter")
for _names, _what in (
    (_COMPARISONS, "compared"),
    ((*_BINARY, *("r" + each for each in _BINARY), *_UNARY), "calculated with"),
    (_OTHERS, "used as a value"),
):
    for _name in _names:
        setattr(_NotYet, "__" + _name + "__", _refusing(_what))


class Reference(_NotYet):
    """One output of a step."""

    def __init__(self, step: str, output: str) -> None:
        self.step, self.output = step, output
        self._shown = f"the output of {step}" if output == "output" else f"the output {output} of {step}"

    def __iter__(self) -> Iterator[Any]:
        return iter(self._refuse_one())

    def __getitem__(self, key: Any) -> Any:
        return self._refuse_one()

    def _refuse_one(self) -> Any:
        found = f"{self._shown} is one value, by its annotation"
        fix = "say what the step returns: -> Tuple[int, str]; or take the value apart in a step"
        raise SaidWrong(caller(), found, fix)


class Outputs(_NotYet):
    """All outputs of a step that returns none, or several: they are taken apart, or named in `after`."""

    def __init__(self, step: str, names: tuple[str, ...]) -> None:
        self.step = step
        self._all = tuple(Reference(step, name) for name in names)
        self._shown = f"what {step} returns"

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Reference]:
        return iter(self._all)

    def __getitem__(self, key: int | str) -> Reference:
        known = {each.output: each for each in self._all}
        if isinstance(key, str) and key in known:
            return known[key]
        if isinstance(key, int) and -len(self._all) <= key < len(self._all):
            return self._all[key]
        if isinstance(key, int):
            # Python takes tuples apart by it.
            raise IndexError(key)
        names = ", ".join(known) or "none"
        raise SaidWrong(caller(), f"{self._shown} has no output {key!r}", f"its outputs are {names}")


def reference(step: str, names: tuple[str, ...]) -> Reference | Outputs:
    """What a call of a step gives."""
    return Reference(step, names[0]) if len(names) == 1 else Outputs(step, names)


def step_of(value: object) -> str | None:
    """The step that a reference is of; None for anything else."""
    return value.step if isinstance(value, (Reference, Outputs)) else None
