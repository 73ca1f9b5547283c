"""Twice the input takes twice the work: by the calls that are made, since a clock says something else each
time. `make bench` measures the same work at full size.
"""

from __future__ import annotations

import cProfile
import pstats
from pathlib import Path

import pytest

from benchmarks.growth import CASES

# Small enough for a test; where the output of another program is read, calls say nothing.
SIZES = {
    "pipelines": 20,
    "variables": 100,
    "steps": 30,
    "packages": 100,
    "planning": 200,
    "planning, own images": 30,
    "requirements files": 20,
    "includes": 30,
    "misspelt settings": 100,
    "misspelt steps": 250,
    "invalid names": 100,
    "unknown options": 50,
    "contradictions": 100,
    "requirement lines": 100,
    "ledger": 50,
    "versions": 30,
    "comparing": 100,
    "comparing, none the same": 100,
    "repair": 30,
    "page": 50,
    "ignored by turns": 50,
    "re-included elsewhere": 400,
}


@pytest.mark.parametrize("name", SIZES)
def test_twice_the_input_takes_twice_the_calls(name: str, tmp_path: Path) -> None:
    case, _ = CASES[name]
    case(tmp_path / "first", 5)()  # what is imported and compiled once

    def calls(count: int) -> int:
        work = case(tmp_path / str(count), count)
        profile = cProfile.Profile()
        profile.runcall(work)
        return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]

    few, more = calls(SIZES[name]), calls(2 * SIZES[name])
    assert more < 2.1 * few
