"""The order of steps: which come after which, and what is wrong with what they say of it.

A mapping of them has each step, in the order in which they are listed, with those that end before it begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from planner.entrypoint import Command, Entrypoint, Function, Output
from planner.errors import KnownNames, Problem

__all__ = ["after_of", "order_problems", "ordered"]


class _Step(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def entrypoint(self) -> Entrypoint | None: ...
    @property
    def after(self) -> tuple[str, ...] | None: ...


def after_of(steps: Sequence[_Step]) -> Mapping[str, tuple[str, ...]]:
    """The steps that end before each begins.

    They are those that it names, else the one that is listed before it, and those whose outputs it takes.
    """
    found: dict[str, tuple[str, ...]] = {}
    before: tuple[str, ...] = ()
    for step in steps:
        said = before if step.after is None else step.after
        found[step.name] = tuple(dict.fromkeys((*said, *(item.step for _, item in _taken(step)))))
        before = (step.name,)
    return found


def ordered(after: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Each step after those that it comes after, and else as they are listed. There is no cycle in it."""
    import heapq  # noqa: PLC0415  # only running steps needs it
    from graphlib import TopologicalSorter  # noqa: PLC0415  # likewise

    places = {name: place for place, name in enumerate(after)}
    sorter = TopologicalSorter(after)
    sorter.prepare()
    waiting: list[tuple[int, str]] = []
    found: list[str] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(waiting, (places[name], name))
        _, name = heapq.heappop(waiting)
        found.append(name)
        sorter.done(name)
    return tuple(found)


def order_problems(steps: Sequence[_Step]) -> Iterator[Problem]:
    """What is wrong with the order of steps, whose names differ: what there is not, and a cycle."""
    if all(step.after is None and not _taken(step) for step in steps):
        return
    by_name = {step.name: step for step in steps}
    known = KnownNames(by_name)
    problems = [
        Problem.at(
            ("step", step.name, "after", index), f"no step {name!r} in this pipeline", known.advice(name)
        )
        for step in steps
        for index, name in enumerate(step.after or ())
        if name not in by_name
    ]
    problems += [
        problem.inside("step", step.name, "inputs", parameter)
        for step in steps
        for parameter, item in _taken(step)
        for problem in _untakable(item, by_name, known)
    ]
    yield from problems
    after = after_of(steps)
    if not problems and (around := _cycle(after)):
        found = f"these steps wait for each other: {' → '.join(around)}"
        fix = "list them in their order, or say with after what each waits for"
        yield Problem.at(("step", around[-1], "after"), found, fix)


def _untakable(item: Output, steps: Mapping[str, _Step], known: KnownNames) -> Iterator[Problem]:
    """Why an output cannot be taken, if it cannot."""
    if item.step not in steps:
        yield Problem.at((), f"no step {item.step!r} in this pipeline", known.advice(item.step))
        return
    match steps[item.step].entrypoint:
        case Function(outputs=outputs):
            if item.name not in outputs:
                found = f"the step {item.step} has no output {item.name!r}"
                yield Problem.at((), found, KnownNames(outputs).advice(item.name))
        case Command():
            fix = "write it as a function, or name it in after"
            yield Problem.at((), f"the step {item.step} is a command, which has no outputs", fix)
        case None:
            pass  # What it runs is not known, or wrong, which is a problem of its own.


def _taken(step: _Step) -> tuple[tuple[str, Output], ...]:
    """The outputs that a step takes, by parameter."""
    if not isinstance(step.entrypoint, Function):
        return ()
    return tuple((name, item) for name, item in step.entrypoint.inputs.items() if isinstance(item, Output))


def _cycle(after: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Steps of which each comes before the next, the first at both ends; nothing if there are none."""
    from graphlib import CycleError, TopologicalSorter  # noqa: PLC0415  # few pipelines say anything of order

    try:
        TopologicalSorter(after).prepare()
    except CycleError as error:
        return tuple(error.args[1])
    return ()
