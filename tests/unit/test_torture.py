"""A part of the torture that needs no engine; `make torture` has all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.campaign import drawn
from tests.torture.registry import Registry


def test_registries_that_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    campaign = Registry()
    campaign.prepare(tmp_path)
    try:
        verdicts = [campaign.case(number, drawn("unit", number)) for number in range(30)]
    finally:
        campaign.close()
    assert [verdict for verdict in verdicts if not verdict.good] == []
    assert len({verdict.what for verdict in verdicts}) > 20
