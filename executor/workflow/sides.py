"""The plans of one side of a comparison: all that were asked for, of a project as some world has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from executor.config.project import Project
from executor.config.source import Chosen
from executor.observe.facts import answered
from executor.observe.images import ChooseEngine
from executor.observe.world import World
from executor.workflow.plans import located
from planner.compare.comparison import AnyPlan
from planner.errors import PlannerError, Problem
from planner.facts.facts import Facts
from planner.immutable import frozen
from planner.lock.lock import Lock, Pins
from planner.planning import Planning
from planner.stack import Stack

__all__ = ["Asked", "SidePlanner"]


@frozen
class Asked:
    """What is compared, of which pipeline and stack, and who may be asked for what no lock has.

    `root` finds the directory of the project, which two files do not need. `stdin` reads standard input.
    """

    root: Callable[[], Path]
    stdin: Callable[[], bytes]
    pipeline: str | None = None
    stack: str | None = None
    config: Path | None = None
    asks: bool = True
    engine: ChooseEngine | None = None


@frozen
class SidePlanner:
    """Plans a project as a world has it, with the pins of a lock.

    What is `whole` knows files and variables; of these, values are told apart if it `hashes` them.
    """

    project: Project
    world: World
    lock: Lock
    asked: Asked
    whole: bool
    hashes: bool

    def plans(self, pipelines: Iterable[Chosen], stacks: Iterable[Stack]) -> tuple[AnyPlan, ...]:
        """The plans of some pipelines on some stacks. PlannerError holds the problems of all of them."""
        pins, asked, root = Pins(self.lock), self.asked, self.project.root
        facts = Facts()
        plans: list[AnyPlan] = []
        problems: dict[Problem, None] = {}
        places = tuple(stacks)
        for each in pipelines:
            for stack in places:
                planning = Planning(each.pipeline, stack, pins=pins, checkout=self.whole, hashes=self.hashes)
                try:
                    facts = answered(
                        planning, facts, root=root, asks=asked.asks, engine=asked.engine, world=self.world
                    )
                    plans.append(planning.plan(facts) if self.whole else planning.spec(facts))
                except PlannerError as error:
                    problems |= dict.fromkeys(located(self.project, error).problems)
        if problems:
            raise PlannerError(problems)
        return tuple(plans)
