"""Logs of builds and steps: the newest few are kept, and a log that cannot be written stops nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor import limits
from executor.log_file import LogFile


def write(root: Path, name: str, *, run: str | None = None) -> list[str]:
    problems: list[str] = []
    log = LogFile(root, name, problems.append, run=run)
    log.write("said")
    log.close()
    return problems


def test_the_newest_logs_are_kept_and_a_run_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "KEPT_LOGS", 3)
    logs = tmp_path / ".stowplan/logs"
    for age, name in enumerate(("first", "second", "third")):
        assert write(tmp_path, name) == []
        os.utime(logs / f"{name}.log", (1000 + age, 1000 + age))
    assert write(tmp_path, "load", run="run1") == write(tmp_path, "train", run="run1") == []
    assert {path.name for path in logs.iterdir()} == {"second.log", "third.log", "run1"}
    assert {path.read_text() for path in (logs / "run1").iterdir()} == {"said\n"}
    os.utime(logs / "run1", (1, 1))
    assert write(tmp_path, "fourth") == []
    assert {path.name for path in logs.iterdir()} == {"second.log", "third.log", "fourth.log"}


def test_another_attempt_begins_anew_and_follows_no_link(tmp_path: Path) -> None:
    write(tmp_path, "image")
    assert write(tmp_path, "image") == []
    path = tmp_path / ".stowplan/logs/image.log"
    assert path.read_text() == "said\n"
    outside = tmp_path / "outside"
    outside.write_text("mine")
    path.unlink()
    path.symlink_to(outside)
    (said,) = write(tmp_path, "image")
    assert said.startswith("its log cannot be written: ")
    assert outside.read_text() == "mine"
