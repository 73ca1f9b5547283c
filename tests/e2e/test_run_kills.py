"""Some kills of runs, in the active environment and with each engine. `make torture` has fifty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import chosen_engine
from tests.torture.campaign import drawn
from tests.torture.runs import PLACES, RunKills


@pytest.mark.parametrize("number", range(2 * len(PLACES)))
def test_a_run_that_is_killed_loses_nothing_that_had_finished(number: int, tmp_path: Path) -> None:
    place = PLACES[number % len(PLACES)]
    if place != "local":
        chosen_engine(place)
    campaign = RunKills()
    campaign.prepare(tmp_path)
    verdict = campaign.case(number, drawn("short:runs", number))
    assert verdict.good, verdict
