"""Some of the kills of `make torture`, on each builder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.contract.conftest import absent, variable
from tests.torture.campaign import Journal, run
from tests.torture.kills import BUILDERS, Kills
from tests.torture.private import DOCKERD_PATH

CASES = 5


@pytest.mark.parametrize("builder", BUILDERS)
def test_whatever_is_killed_the_next_command_works_and_nothing_stays_behind(
    builder: str, tmp_path: Path
) -> None:
    variable("STOWPLAN_TEST_REGISTRY")
    variable("STOWPLAN_TEST_BASE_DIGEST")
    if os.geteuid() != 0:
        absent("only root runs a Docker daemon of its own")
    program = {"podman": "podman"}.get(builder, "dockerd")
    if shutil.which(program, path=DOCKERD_PATH) is None:
        absent(f"there is no {program}")
    journal = Journal(tmp_path / "journal.jsonl")
    found = run(Kills(builders=(builder,)), tmp_path / "kills", journal, seed=1, count=CASES)
    bad = [str(verdict) for _, verdict in found if not verdict.good]
    assert not bad, "\n".join(bad)
