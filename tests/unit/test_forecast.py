"""How long a build may take, and what it may download, from real records and a lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.apply.outcome import Event, EventKind, Result
from executor.cli.progress import progress
from executor.records.store import Record, Records
from executor.workflow.forecast import Forecast, Forecasts
from planner.image.plan import BuildPlan
from tests.builders import plan_of


def built(
    root: Path, seconds: float, value: str, status: Result = Result.BUILT, *, name: str = "training"
) -> BuildPlan:
    """A plan whose image took so long to build."""
    plan = plan_of({"environment": {"A": value}}, name=name)
    (image,) = plan.images
    record = Record(
        0, "2024-05-01T00:00:00+00:00", seconds, name, "default", image.name, str(image.hash), status,
        "docker", image.reference,
    )  # fmt: skip
    Records(root).add(record, image)
    return plan


def test_the_median_of_the_last_builds_of_the_image(tmp_path: Path) -> None:
    plan = built(tmp_path, 900, "0")
    for number, seconds in enumerate((30, 10, 20, 50, 40), start=1):
        built(tmp_path, seconds, str(number))
    built(tmp_path, 1, "failed", Result.FAILED)
    built(tmp_path, 1, "there", Result.REUSED)
    built(tmp_path, 1, "other", name="other")
    # The first of six is too old.
    assert Forecasts(tmp_path, plan).of("training") == Forecast(30, 0)


def test_without_one_those_of_images_with_the_same_layers(tmp_path: Path) -> None:
    built(tmp_path, 12, "1", name="other")
    plan = plan_of({"environment": {"A": "2"}})
    assert Forecasts(tmp_path, plan).of("training") == Forecast(12, 0)
    more = plan_of({"environment": {"A": "2"}, "apt_packages": ["git"]})
    assert Forecasts(tmp_path, more).of("training") == Forecast(None, 0)


def test_what_cannot_be_known_is_not_said(tmp_path: Path) -> None:
    plan = plan_of({"environment": {"A": "1"}})
    assert Forecasts(tmp_path, plan).of("training") == Forecast(None, 0)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".stowplan").mkdir()
    (tmp_path / ".stowplan/records.sqlite3").write_text("no database, but as long as the head of one is")
    assert Forecasts(tmp_path, plan).of("training") == Forecast(None, 0)


@pytest.mark.parametrize(
    ("forecast", "said"),
    [
        (Forecast(None, 0), "building"),
        (Forecast(72.4, 0), "building: about 1 min 12 s"),
        (Forecast(None, 128_300), "building: up to 128.3 kB to download"),
        (Forecast(0.4, 2_700_000_000), "building: about 0.4 s, up to 2.7 GB to download"),
        (Forecast(4260, 0), "building: about 1 h 11 min"),
    ],
)
def test_it_is_said_as_a_forecast(capsys: pytest.CaptureFixture[str], forecast: Forecast, said: str) -> None:
    plan = plan_of({"environment": {"A": "1"}})
    with progress(plan, lambda _: forecast) as on_event:
        on_event(Event("training", EventKind.BUILDING))
    assert capsys.readouterr().err == f"[training] {said}\n"
