"""Secrets on each builder that gives them to commands: there while one runs, and in no layer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from executor.apply.builder import ImageBuilder
from executor.engines.docker import DockerEngine
from executor.engines.protocol import Engine
from executor.errors import BuildFailed
from executor.process import Command, run
from executor.secrets import read_secrets
from planner import Facts, ImagePlan
from planner.compare.actions import Action, Decision
from planner.image.capabilities import Capability, required
from tests.contract.conftest import absent, reason_against
from tests.contract.images import TEST_BASE, build_text, job, planned, quiet

VALUE: Final = "pl4nted 'value' \"with\" $igns\n& a second line é"
# Writes down how the secret looks from inside, and a digest of it. Only the first is in the image for good.
LOOK: Final = "stat -c '%a %s' /run/secrets/pypi > seen; sha256sum < /run/secrets/pypi >> seen; id -u >> seen"


@pytest.fixture
def mounting(engine: Engine) -> Engine:
    """Each engine that can give secrets to commands."""
    if isinstance(engine, DockerEngine) and not engine.uses_buildkit:
        pytest.skip("the classic builder gives none: see the last test here")
    return engine


def settings(command: str = LOOK, **more: Any) -> dict[str, Any]:
    """What an image asks for whose command reads a secret, which no cache of a builder has."""
    return {
        "local_project_install_command": command,
        "secrets": {"pypi": {"env": "TOKEN", **more.pop("secret", {})}},
        "environment": {"RUN_OF": uuid4().hex},
        **more,
    }


def built(engine: Engine, root: Path, image: ImagePlan, value: str = VALUE) -> str:
    """The ID of an image that is built with a value of its secret."""
    given = job(image, root, secrets=read_secrets([image], root, {"TOKEN": value}))
    return engine.build(given, quiet).id


def said(engine: Engine, image: str, script: str) -> str:
    done = engine.run(image, ("/bin/sh", "-c", script))
    assert done.code == 0, done.output
    return done.output


def test_a_secret_is_there_while_its_command_runs_and_not_afterwards(
    mounting: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Podman takes a secret that is called like a variable for one, unless it is told what it is.
    monkeypatch.setenv("pypi", "of the environment")
    (tmp_path / "train.py").write_text("1")
    image = built(mounting, tmp_path, planned(tmp_path, settings()))
    try:
        seen = said(mounting, image, "cat /app/seen").splitlines()
        size = len(VALUE.encode())
        assert seen[0] == f"444 {size}"
        assert seen[2] == "0"
        assert said(mounting, image, "ls -A /run/secrets 2>/dev/null || :") == ""
    finally:
        mounting.remove(image)


@pytest.mark.parametrize("user", [None, "1234"])
def test_a_user_who_is_not_root_can_read_it(
    mounting: Engine, tmp_path: Path, new_tag: Callable[[str], str], user: str | None
) -> None:
    """Commands run as the parent's user, or as root where the image has a user of its own."""
    parent = new_tag("localhost")
    build_text(mounting, parent, f"FROM {TEST_BASE}\nRUN mkdir /app && chown 4321 /app\nUSER 4321\n")
    (tmp_path / "train.py").write_text("1")
    image = built(mounting, tmp_path, planned(tmp_path, settings(user=user), parent=parent))
    try:
        assert said(mounting, image, "cat /app/seen").splitlines()[2] == ("0" if user else "4321")
    finally:
        mounting.remove(image)


def test_another_value_rebuilds_nothing_and_another_version_does(mounting: Engine, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("1")
    asked = settings()
    later = {**asked, "secrets": {"pypi": {"env": "TOKEN", "version": 2}}}
    made = []
    try:
        seen = []
        for given, value in ((asked, "one"), (asked, "another"), (later, "another")):
            made.append(built(mounting, tmp_path, planned(tmp_path, given), value))
            seen.append(said(mounting, made[-1], "sed -n 2p /app/seen"))
        # Neither by stowplan nor by the cache of the builder.
        assert (made[0] == made[1], made[1] == made[2]) == (True, False)
        assert (seen[0] == seen[1], seen[1] == seen[2]) == (True, False)
    finally:
        for each in dict.fromkeys(made):
            mounting.remove(each)


def test_layers_that_read_a_secret_are_reproducible(mounting: Engine, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("1")
    asked = settings(build_config={"build_options": {"no_cache": True}})
    made = [built(mounting, tmp_path, planned(tmp_path, asked), value) for value in (VALUE, VALUE)]
    try:
        layers = [_layers(mounting, each) for each in made]
        assert layers[0] == layers[1]
    finally:
        for each in dict.fromkeys(made):
            mounting.remove(each)


def _layers(engine: Engine, image: str) -> Any:
    done = run(Command((engine.name, "image", "inspect", "--format={{json .RootFS.Layers}}", image)))
    assert done.code == 0, done.stderr
    return json.loads(done.text)


def test_what_a_command_prints_of_a_secret_is_hidden(mounting: Engine, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("1")
    netrc = "machine pypi.corp login me password s3cr3t-of-netrc\n"
    image = planned(tmp_path, settings("cat /run/secrets/pypi; base64 < /run/secrets/pypi; exit 3"))
    lines: list[str] = []
    given = job(image, tmp_path, secrets=read_secrets([image], tmp_path, {"TOKEN": netrc}))
    with pytest.raises(BuildFailed) as failed:
        mounting.build(given, lines.append)
    text = "\n".join(lines) + str(failed.value)
    assert "s3cr3t" not in text
    assert "***" in text
    assert "exit code 3" in str(failed.value)


def test_a_builder_that_gives_no_secrets_says_so_before_it_builds(tmp_path: Path) -> None:
    if reason := reason_against("docker-classic"):
        absent(f"docker-classic: {reason}")
    engine = DockerEngine("classic")
    (tmp_path / "train.py").write_text("1")
    image = planned(tmp_path, settings())
    assert required(image) - engine.capabilities == {Capability.SECRETS}
    builder = ImageBuilder(engine, tmp_path, Facts(), lambda _: pytest.fail("it was built"))
    with pytest.raises(BuildFailed, match="docker cannot give a command a secret"):
        builder.carry_out(image, Decision(Action.BUILD, "never-built", "never built here"))
