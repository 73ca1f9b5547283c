"""Runs whose code and outputs are in a bucket: a real S3 server, and real engines."""

from __future__ import annotations

import uuid

import pytest
import requests

from tests.e2e.command import Project
from tests.s3 import Server

PIPELINE = """
    [pipeline.training]
    steps = ["fit", "score"]
    settings.docker = {{ parent_image = "{base}", allow_including_files_in_images = false }}
    [pipeline.training.step.fit]
    function = "pipe:fit"
    outputs = ["model", "folder"]
    [pipeline.training.step.score]
    function = "pipe:score"
    inputs = {{ model = "fit.model", folder = "fit.folder" }}
    [stack.default]
    artifact_store = {{ uri = "s3://bucket/{place}" }}
"""
STEPS = """
    from pathlib import Path

    class Model:
        weights = (1, 2.5)

    def fit():
        folder = Path("/tmp/folder")
        (folder / "deep").mkdir(parents=True)
        (folder / "deep/w").write_bytes(b"7")
        return Model(), folder

    def score(model, folder):
        print("scored", model.weights, (folder / "deep/w").read_bytes(), Path("data/kept").read_text())
"""


def _names(server: Server, place: str) -> list[str]:
    """What is in a part of the bucket."""
    answer = requests.get(f"{server.url}/bucket?list-type=2&prefix={place}/", timeout=30)
    return [part.partition("<")[0].removeprefix(f"{place}/") for part in answer.text.split("<Key>")[1:]]


def test_code_and_outputs_are_in_a_bucket(project: Project, engine: str, base: str, bucket: Server) -> None:
    place = uuid.uuid4().hex
    project.write({
        "stowplan.toml": PIPELINE.format(base=base, place=place),
        "pipe.py": STEPS,
        ".gitignore": "data/ignored\n",
        "data/kept": "kept",
        "data/ignored": "ignored",
    })  # fmt: skip
    assert engine
    first = project.ok("run", "training", "-o", "json")
    assert "[score] scored (1, 2.5) b'7' kept" in first.err.splitlines()
    run = first.data["run"]
    code, *outputs = _names(bucket, place)
    assert code.startswith("code/")
    assert outputs == [f"runs/{run}/fit/folder", f"runs/{run}/fit/model", f"runs/{run}/score/output"]
    # What is there is not sent again, and an edit builds nothing.
    again = project.ok("run", "training", "-o", "json")
    assert again.data["run"] != run
    assert [name for name in _names(bucket, place) if name.startswith("code/")] == [code]
    project.write({"pipe.py": STEPS.replace('"scored"', '"edited"')})
    edited = project.ok("run", "training", "-o", "json")
    assert "[score] edited (1, 2.5) b'7' kept" in edited.err.splitlines()
    assert edited.data["build"] == first.data["build"]
    assert len([name for name in _names(bucket, place) if name.startswith("code/")]) == 2
    for ran in (first, again, edited):
        assert "planted-secret-of-s3" not in ran.out + ran.err
    state = b"".join(path.read_bytes() for path in (project.root / ".stowplan").rglob("*") if path.is_file())
    assert b"planted-secret-of-s3" not in state


def test_a_bucket_that_does_not_answer_is_named(
    project: Project, engine: str, base: str, bucket: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine
    assert bucket.port
    project.write({"stowplan.toml": PIPELINE.format(base=base, place="x"), "pipe.py": STEPS})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    ran = project.run("run", "training")
    assert ran.code == 75
    assert "s3://bucket/x/code/" in ran.err
    assert "cannot be reached" in ran.err
    assert "Traceback" not in ran.err
