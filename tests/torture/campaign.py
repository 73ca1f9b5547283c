"""A campaign: many cases of one kind of fault, each with a verdict, and a journal that lets a run go on.

A case is drawn from a seed and its number alone, so that any of them can be run again by itself.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

from attrs import asdict, frozen

__all__ = ["CODES", "Campaign", "Journal", "Verdict", "drawn", "run", "table"]

CODES: Final = frozenset({0, 1, 2, 64, 75})
"""The exit codes that a command may have, whatever fails around it."""


@frozen
class Verdict:
    """What one case came to: each field is empty, or says what went wrong. `what` says what was done.

    `torn`: something that is not whole was tagged, recorded, pushed or written. `leaked`: a process, a file,
    a container, an image or a hidden value was left where it must not be. `hung`: something did not end in
    its time. `traceback`: a traceback was the answer.
    """

    what: str
    torn: str = ""
    leaked: str = ""
    hung: str = ""
    traceback: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.torn or self.leaked or self.hung or self.traceback)


class Campaign(Protocol):
    """Cases of one kind. `count` is how many make a whole run."""

    name: str
    count: int

    def prepare(self, work: Path) -> None:
        """Set up what all cases share, in a directory of the campaign's own that may be there already."""

    def case(self, number: int, rng: random.Random) -> Verdict:
        """Run one case. What it raises is a failure of the test and not a verdict."""

    def close(self) -> None:
        """Take down what `prepare` set up."""


@frozen
class Journal:
    """The verdicts of a run, a line of JSON each: what is in it is not run again."""

    path: Path

    def read(self, name: str, seed: int) -> dict[int, Verdict]:
        """The verdicts of one campaign under one seed, by the numbers of their cases."""
        found: dict[int, Verdict] = {}
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            entry = json.loads(line)
            if (entry["campaign"], entry["seed"]) == (name, seed):
                found[entry["number"]] = Verdict(**entry["verdict"])
        return found

    def add(self, name: str, seed: int, number: int, verdict: Verdict) -> None:
        """Write one verdict down."""
        entry = {"campaign": name, "seed": seed, "number": number, "verdict": asdict(verdict)}
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def drawn(run: object, number: int) -> random.Random:
    """What one case is drawn from: the same for the same run and number."""
    return random.Random(f"{run}:{number}")


def run(
    campaign: Campaign, work: Path, journal: Journal, *, seed: int, count: int
) -> Iterator[tuple[int, Verdict]]:
    """The cases from 0 to `count`, but for those in the journal: each number with its verdict."""
    done = journal.read(campaign.name, seed)
    left = [number for number in range(count) if number not in done]
    if not left:
        return
    work.mkdir(parents=True, exist_ok=True)
    campaign.prepare(work)
    try:
        for number in left:
            verdict = campaign.case(number, drawn(f"{seed}:{campaign.name}", number))
            journal.add(campaign.name, seed, number, verdict)
            yield number, verdict
    finally:
        campaign.close()


_HEADS: Final = ("campaign", "cases", "torn", "leaked", "hung", "tracebacks")


def table(results: Iterable[tuple[str, Iterable[Verdict]]]) -> str:
    """The table of a run: a line for each campaign."""
    lines = ["{:<12}{:>8}{:>8}{:>8}{:>8}{:>12}".format(*_HEADS)]
    for name, verdicts in results:
        found = list(verdicts)
        counts = [
            sum(bool(getattr(item, kind)) for item in found)
            for kind in ("torn", "leaked", "hung", "traceback")
        ]
        lines.append("{:<12}{:>8}{:>8}{:>8}{:>8}{:>12}".format(name, len(found), *counts))
    return "\n".join(lines)
