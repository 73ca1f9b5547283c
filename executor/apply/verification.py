"""Whether an image that an engine has is what was planned: its mark, its platform and its configuration.

Refuses to show a value of the environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from executor.engines.platforms import normal
from planner.image.configuration import planned_configuration
from planner.image.plan import ImagePlan
from planner.values import EnvTemplate

if TYPE_CHECKING:
    from executor.engines.protocol import ImageInfo

__all__ = ["difference"]


def difference(
    image: ImagePlan,
    info: ImageInfo,
    variables: Mapping[str, str] | None = None,
    parent: ImageInfo | None = None,
) -> str | None:
    """How an image differs from what was planned, in words; None if it does not.

    `variables` are the values of environment variables, by name. Without them, a value of the image that
    refers to variables only has to be there. `parent` is the image that it was built on. Without it, what
    is added to a value of the parent has to stand around any value.
    """
    return next(_differences(image, info, variables, parent), None)


def _differences(
    image: ImagePlan, info: ImageInfo, variables: Mapping[str, str] | None, parent: ImageInfo | None
) -> Iterator[str]:
    if info.mark is None:
        yield "it was not built from a plan, or changed since"
    elif info.mark != image.hash:
        yield f"it was built from plan {info.mark.short}"
    if image.platform and not _same_platform(info.platform, image.platform):
        yield f"it is for {info.platform}, and {image.platform} was planned"
    planned = planned_configuration(image.built)
    # An engine can have a parent of another platform under the same digest.
    known = parent.environment if parent and parent.platform == info.platform else None
    for name, templates in planned.environment.items():
        found = info.environment.get(name)
        before = None if known is None else known.get(name, "")
        if found is None or not _comes_to(found, templates, variables, before):
            yield f"its environment variable {name} is not what was planned"
    for name, value in planned.labels.items():
        if info.labels.get(name) != value:
            yield f"its label {name} is not what was planned"
    if planned.user is not None and info.user != planned.user:
        yield f"its user is {info.user!r}, and {planned.user!r} was planned"
    if planned.working_directory is not None and info.working_directory != planned.working_directory:
        found = info.working_directory
        yield f"its working directory is {found!r}, and {planned.working_directory!r} was planned"


# Stands for a parent's value that is not known: no variable can hold it.
_UNKNOWN: Final = "\0"


def _comes_to(
    found: str,
    templates: tuple[EnvTemplate, ...],
    variables: Mapping[str, str] | None,
    parent: str | None,
) -> bool:
    """Whether a value is what templates come to, as far as what they refer to is known."""
    if variables is None and any(template.variables for template in templates):
        return True
    known = variables or {}

    def on(value: str) -> str:
        for template in templates:
            value = template.filled(known, value)
        return value

    if parent is not None or on("") == found:
        return on(parent or "") == found
    around = on(_UNKNOWN)
    count = around.count(_UNKNOWN)
    begin, length = around.find(_UNKNOWN), len(found) - len(around) + count
    return (
        count > 0 and length > 0 and around.replace(_UNKNOWN, found[begin : begin + length // count]) == found
    )


def _same_platform(found: str, wanted: str) -> bool:
    """Whether an engine's platform is the one that was planned; an engine may leave a variant out."""
    short, long = sorted((found, normal(wanted)), key=len)
    return long == short or (long.startswith(f"{short}/") and short.count("/") == 1)
