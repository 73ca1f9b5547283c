"""How long building an image may take, and how much it may download: from earlier builds, and from the lock.

Refuses to be exact, and to fail: what is not known is not said.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from executor.errors import ExecutorError
from planner.compare.layers import layer_name
from planner.image.plan import BuildPlan, ImagePlan
from planner.immutable import frozen

__all__ = ["Forecast", "Forecasts"]

_BUILDS: Final = 5


@frozen
class Forecast:
    """`seconds` is the median of the last builds, None without any; `size` what packages take, in bytes.

    A builder that still has a layer does not download it: `size` is the most that is downloaded.
    """

    seconds: float | None
    size: int


class Forecasts:
    """Forecasts of the images of a plan, each looked up when it is asked for."""

    def __init__(self, root: Path, plan: BuildPlan) -> None:
        from executor.records.store import Records  # noqa: PLC0415  # commands that build nothing have none

        self._records = Records(root, on_warning=lambda _: None)
        self._plan = plan

    def of(self, name: str) -> Forecast:
        """The forecast of one image."""
        image = self._plan.image(name)
        if image is None:
            return Forecast(None, 0)
        times: tuple[float, ...] = ()
        with contextlib.suppress(ExecutorError):
            times = self._records.build_seconds(name, _BUILDS) or self._alike(image)
        closures = (item.closure for item in image.spec.installs)
        size = sum(closure.size[0] for closure in closures if closure is not None)
        return Forecast(sorted(times)[len(times) // 2] if times else None, size)

    def _alike(self, image: ImagePlan) -> tuple[float, ...]:
        """How long the last images took that have layers of the same names."""
        wanted = _layers(image)
        last = self._records.candidates(self._records.last_number())
        numbers = [each.record for each in last if _layers(each.image) == wanted]
        return self._records.seconds_of(numbers[:_BUILDS])


def _layers(image: ImagePlan) -> tuple[str, ...]:
    return tuple(map(layer_name, image.built.instructions))
