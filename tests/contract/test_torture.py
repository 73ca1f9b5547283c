"""A part of the torture of engines. `make torture` has it all: Podman, and registries that fail."""

from __future__ import annotations

from pathlib import Path

from tests.contract.conftest import absent, reason_against, variable
from tests.torture.campaign import drawn
from tests.torture.engines import Engines


def test_engines_that_fail(tmp_path: Path) -> None:
    variable("STOWPLAN_TEST_REGISTRY")
    if not variable("DOCKER_HOST").startswith("unix://"):
        absent("the daemon is on no socket of this machine")
    if reason := reason_against("docker-buildkit"):
        absent(f"docker: {reason}")
    campaign = Engines(podman=False, registries=False)
    campaign.prepare(tmp_path)
    try:
        verdicts = [campaign.case(number, drawn("contract", number)) for number in range(20)]
    finally:
        campaign.close()
    assert [verdict for verdict in verdicts if not verdict.good] == []
