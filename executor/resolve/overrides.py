"""What is overridden where the requirements of some sources win over others, and what uv is told of it."""

from __future__ import annotations

from collections.abc import Container, Iterator

from planner.requirements.model import Requirement
from planner.requirements.resolution import Inputs, named_in

__all__ = ["asked_by", "contested", "override"]


def contested(inputs: Inputs, reason: str) -> frozenset[str]:
    """The packages which uv names, and of which a source that prevails says more than that it wants them.

    None if uv names no package that another source asks for: then the sources that prevail are at odds.
    """
    words = named_in(reason)
    others = {source for source, _ in inputs.sources} - set(inputs.prevail)
    if not any(each.name in words for each in asked_by(inputs, others)):
        return frozenset()
    own = asked_by(inputs, inputs.prevail)
    return frozenset(each.name for each in own if each.name in words and (each.clauses or each.url))


def asked_by(inputs: Inputs, sources: Container[str], *, constraints: bool = True) -> Iterator[Requirement]:
    """What some sources say of packages of the image, in constraints as well."""
    for name, asked in inputs.sources:
        for each in (*asked.packages, *(asked.constraints if constraints else ())):
            if name in sources and (each.marker is None or each.marker.holds(inputs.python, inputs.platform)):
                yield each


def override(inputs: Inputs, name: str) -> str:
    """What the sources that prevail say of a package, with the extras that any source asks for.

    Without a marker: uv leaves out a package if that of its override does not hold.
    """
    own = [each for each in asked_by(inputs, inputs.prevail) if each.name == name]
    every = [each for each in asked_by(inputs, {source for source, _ in inputs.sources}) if each.name == name]
    url = next((each.url for each in own if each.url), None)
    return Requirement(
        name,
        [extra for each in every for extra in each.extras],
        () if url else [clause for each in own for clause in each.clauses],
        url,
    ).text
