"""Whether an image that an engine has is what was planned: its mark, its platform and its configuration.

Refuses to show a value of the environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from executor.engines.platforms import normal
from planner.image.configuration import planned_configuration
from planner.image.plan import ImagePlan
from planner.values import EnvTemplate, Literal

if TYPE_CHECKING:
    from executor.engines.protocol import ImageInfo

__all__ = ["difference"]


def difference(image: ImagePlan, info: ImageInfo, variables: Mapping[str, str] | None = None) -> str | None:
    """How an image differs from what was planned, in words; None if it does not.

    `variables` are the values of environment variables, by name. Without them, a value of the image that
    refers to variables only has to be there.
    """
    return next(_differences(image, info, variables), None)


def _differences(image: ImagePlan, info: ImageInfo, variables: Mapping[str, str] | None) -> Iterator[str]:
    if info.mark is None:
        yield "it was not built from a plan, or changed since"
    elif info.mark != image.hash:
        yield f"it was built from plan {info.mark.short}"
    if image.platform and not _same_platform(info.platform, image.platform):
        yield f"it is for {info.platform}, and {image.platform} was planned"
    planned = planned_configuration(image.spec)
    for name, template in planned.environment.items():
        found = info.environment.get(name)
        if found is None or found != _value(template, variables, otherwise=found):
            yield f"its environment variable {name} is not what was planned"
    for name, value in planned.labels.items():
        if info.labels.get(name) != value:
            yield f"its label {name} is not what was planned"
    if planned.user is not None and info.user != planned.user:
        yield f"its user is {info.user!r}, and {planned.user!r} was planned"
    if planned.working_directory is not None and info.working_directory != planned.working_directory:
        found = info.working_directory
        yield f"its working directory is {found!r}, and {planned.working_directory!r} was planned"


def _value(template: EnvTemplate, variables: Mapping[str, str] | None, *, otherwise: str) -> str:
    """The value that a template comes to; `otherwise` where the values of its variables are not known."""
    if variables is None and template.variables:
        return otherwise
    known = variables or {}
    return "".join(part.text if isinstance(part, Literal) else known[part.name] for part in template.parts)


def _same_platform(found: str, wanted: str) -> bool:
    """Whether an engine's platform is the one that was planned; an engine may leave a variant out."""
    short, long = sorted((found, normal(wanted)), key=len)
    return long == short or (long.startswith(f"{short}/") and short.count("/") == 1)
