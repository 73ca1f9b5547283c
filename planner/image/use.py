"""What an image is for: the components of the stack that ask for it, by their kinds.

A component asks for an image with settings, and not for one of its own: equal images are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from planner.immutable import frozen

__all__ = ["DEPLOYER", "ORCHESTRATOR", "STEP_OPERATOR", "Use", "uses_of"]

ORCHESTRATOR: Final = "orchestrator"
STEP_OPERATOR: Final = "step_operator"
DEPLOYER: Final = "deployer"


@frozen
class Use:
    """A component that asks for an image, by its kind, and the steps that it runs in it.

    `key` is `orchestrator`, which runs the steps that nothing else does, `step_operator`, or `deployer`,
    which runs the pipeline as a whole and so names no step.
    """

    key: str
    steps: tuple[str, ...] = ()


def uses_of(steps: Sequence[str], operated: frozenset[str], *, deployed: bool) -> tuple[Use, ...]:
    """What an image is for in which these steps run; `operated` are those that a step operator runs."""
    found = (
        Use(ORCHESTRATOR, tuple(step for step in steps if step not in operated)),
        Use(STEP_OPERATOR, tuple(step for step in steps if step in operated)),
    )
    return (*(use for use in found if use.steps), *([Use(DEPLOYER)] if deployed else ()))
