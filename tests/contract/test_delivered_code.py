"""Images whose code is downloaded: an empty directory for it, and the program that starts a step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve

from executor.apply.verification import difference
from executor.bootstrap_file import bootstrap_digest
from executor.engines.protocol import Engine
from executor.errors import FilesChanged
from executor.process import Command, run
from planner.image.instructions import BOOTSTRAP, MakeDirectory
from planner.image.plan import ImagePlan
from tests.builders import digest
from tests.contract.images import TEST_BASE, build_text, job, planned, quiet, told
from tests.contract.test_any_user import as_user

LOOK: Final = f"""
import hashlib, json, os
def of(path):
    state = os.stat(path)
    return [state.st_uid, state.st_gid, oct(state.st_mode)[-4:]]
data = open("{BOOTSTRAP}", "rb").read()
open("/app/made", "w").close()
print(json.dumps({{
    "directory": os.getcwd(),
    "found": sorted(set(os.listdir("/app")) - {{"made"}}),
    "app": of("/app"),
    "above": of(os.path.dirname("{BOOTSTRAP}")),
    "bootstrap": of("{BOOTSTRAP}"),
    "digest": hashlib.sha256(data).hexdigest(),
}}))
"""
PARENTS: Final = {
    "plain": "ENV A=1\n",
    "user": "USER 1001:0\n",
    "volume": "VOLUME /app\n",
    "directory": "RUN mkdir -m 0700 /app /stowplan && touch /app/theirs && chown -R 5:5 /app /stowplan\n",
}


def downloaded(root: Path, settings: dict[str, Any], parent: str = TEST_BASE) -> ImagePlan:
    """The image of these settings as it is where its code is downloaded."""
    image = planned(root, settings, parent=parent)
    directory = MakeDirectory(owner=settings.get("user"), group_writes=settings.get("writable_by_any_user"))
    seen = evolve(image.checkout, trees={}, directory=directory, bootstrap=bootstrap_digest())
    return evolve(image, checkout=seen)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("print(1)\n")
    return tmp_path


@pytest.mark.parametrize("kind", PARENTS)
def test_the_user_may_write_where_code_is_downloaded_to(
    engine: Engine, new_tag: Callable[[str], str], project: Path, kind: str
) -> None:
    parent, tag = new_tag("localhost"), new_tag("localhost")
    build_text(engine, parent, f"FROM {TEST_BASE}\n{PARENTS[kind]}")
    image = downloaded(project, {"user": "1234"}, parent)
    made = engine.build(job(image, project), quiet)
    assert difference(image, made) is None
    engine.tag(made.id, tag)
    assert told(engine, tag, LOOK) == {
        "directory": "/app",
        "found": ["theirs"] if kind == "directory" else [],
        "app": [1234, 0, "0755"],
        "above": [0, 0, "0755"],
        "bootstrap": [0, 0, "0644"],
        "digest": bootstrap_digest().hex,
    }
    done = run(Command((engine.name, "run", "--rm", tag, "python", BOOTSTRAP)))
    assert done.code not in {0, 126, 127}
    assert "usage" in (done.text + done.stderr).lower()


def test_any_user_may_write_there_if_that_is_asked_for(engine: Engine, tag: str, project: Path) -> None:
    image = downloaded(project, {"writable_by_any_user": True})
    engine.tag(engine.build(job(image, project), quiet).id, tag)
    found = as_user(engine, tag, "12345:0", LOOK)
    assert (found["app"], found["bootstrap"]) == ([0, 0, "0775"], [0, 0, "0644"])


def test_an_edit_builds_nothing(engine: Engine, tag: str, project: Path) -> None:
    """The same image comes of the same plan, and the code is in none."""
    before = downloaded(project, {"user": "1234"})
    (project / "train.py").write_text("print(2)\n")
    after = downloaded(project, {"user": "1234"})
    assert after.hash == before.hash
    engine.tag(engine.build(job(after, project), quiet).id, tag)
    assert told(engine, tag, LOOK)["found"] == []


def test_the_bootstrap_of_another_version_is_not_taken_for_the_one_that_was_planned(
    engine: Engine, project: Path
) -> None:
    image = downloaded(project, {})
    other = evolve(image, checkout=evolve(image.checkout, bootstrap=digest("another version")))
    with pytest.raises(FilesChanged, match="planned with the bootstrap of another version"):
        engine.build(job(other, project), quiet)
