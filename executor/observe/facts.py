"""`observe`: the way in for all facts. Asks the planner what it needs, and the world for the answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor import limits
from executor.engines.chooser import engine_chooser
from executor.observe.images import ChooseEngine, Images, any_engine
from executor.observe.world import WorkingTree, World, answer
from planner.errors import PlannerError, Problem
from planner.facts.facts import Facts
from planner.facts.needs import Need, Resolve
from planner.lock.lock import Pins
from planner.planning import Planning

if TYPE_CHECKING:
    from executor.engines.protocol import ImageStore
    from planner.pipeline import Pipeline
    from planner.stack import Stack

__all__ = ["answered", "observe"]


def observe(
    pipeline: Pipeline,
    stack: Stack,
    *,
    root: Path | str = ".",
    pins: Pins = Pins(),  # noqa: B008  # frozen
    frozen: bool = False,
    checkout: bool = True,
    asks: bool = True,
    engine: ChooseEngine | ImageStore | str | None = any_engine,
    environ: Mapping[str, str] | None = None,
    timeout: float | None = None,
    facts: Facts = Facts(),  # noqa: B008  # frozen
    world: World | None = None,
) -> Facts:
    """The facts that this pipeline on this stack needs to be planned, and those already in `facts`.

    What `pins` hold is not looked up. The digest of any other image comes from its registry, else from
    the engine's own image; with `asks=False` it stays unknown. `engine` is only wanted where no registry
    tells, so it can be a name, or a function that finds one; by default it is the one that `apply` would
    build with, and with None no engine is asked. Looking for images ends after `timeout` seconds in the
    registries, and an engine that leaves one question open for as long is not asked another. `world` is by
    default the working tree at `root`. PlannerError with all that could not be answered.
    """
    planning = Planning(pipeline, stack, pins=pins, frozen=frozen, checkout=checkout, hashes=False)
    return answered(
        planning,
        facts,
        root=root,
        asks=asks,
        engine=engine,
        environ=environ,
        timeout=timeout,
        world=world,
    )


def answered(
    planning: Planning,
    facts: Facts = Facts(),  # noqa: B008  # frozen
    *,
    root: Path | str,
    asks: bool,
    engine: ChooseEngine | ImageStore | str | None,
    environ: Mapping[str, str] | None = None,
    timeout: float | None = None,
    world: World | None = None,
) -> Facts:
    """The facts that a planning needs, and those already in `facts`, as `observe` has them.

    The planning has all that it can make of them by then, and goes on from there.
    """
    variables = os.environ if environ is None else environ
    place = WorkingTree(Path(root), variables, asks) if world is None else world
    images = Images(
        engine=_chooser(engine),
        environ=variables,
        timeout=limits.PLAN_REGISTRY_SECONDS if timeout is None else timeout,
        host_platform=place.host_platform,
        asks=asks,
    )
    while wanted := planning.needs(facts):
        facts = facts.also(_answers(wanted, place, images, Path(root)))
    return facts


def _chooser(engine: ChooseEngine | ImageStore | str | None) -> ChooseEngine | None:
    if engine is None or callable(engine):
        return engine
    if isinstance(engine, str):
        return engine_chooser(engine)
    chosen = engine
    return lambda: chosen


def _answers(wanted: tuple[Need[Any], ...], world: World, images: Images, root: Path) -> dict[Need[Any], Any]:
    """The answer to each need. PlannerError with all that have none."""
    found = images.answers(wanted)
    problems: dict[Problem, None] = {}
    for need in wanted:
        if need in found:
            continue
        if isinstance(need, Resolve):
            from executor.resolve.uv import resolve  # noqa: PLC0415  # a locked plan resolves nothing

            found[need] = resolve(need, images.environ, asks=images.asks, root=root)
            continue
        try:
            found[need] = answer(need, world)
        except PlannerError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise PlannerError(problems)
    return found
