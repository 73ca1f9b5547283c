"""A secret in the life of a project: it is missing, given, replaced, and gets a new version."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.command import Project
from tests.e2e.images import Tags

SETTINGS: Final = """
    [secret.token]
    env = "PLANTED_TOKEN"
    version = {version}

    [secret.netrc]
    file = "~/.netrc"

    [pipeline.p]
    steps = ["plain", "reading"]
    [pipeline.p.settings.docker]
    parent_image = "{base}"
    environment = {{ RUN_OF = "{run}" }}
    secrets = {{ own = {{ file = "keys/own" }} }}
    build_config.build_options.network = "none"
    [pipeline.p.step.reading.settings.docker]
    user = "1234"
    local_project_install_command = "{command}"
    """
READ: Final = "cat /run/secrets/netrc /run/secrets/own /run/secrets/token | sha256sum > /app/read"


@pytest.fixture
def using(project: Project, tmp_path: Path) -> Project:
    """A project with a secret in each place there is, one of which is not set."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("of the home")
    project.write({"keys/own": "of the project", ".dockerignore": "keys\n", "train.py": "1"})
    project.env |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    return project


def test_a_secret_is_missing_given_replaced_and_gets_a_new_version(
    using: Project, tags: Tags, base: str
) -> None:
    engine = tags.engine
    run = uuid.uuid4().hex

    def configure(version: int) -> None:
        using.write({"stowplan.toml": SETTINGS.format(version=version, base=base, run=run, command=READ)})

    def read(value: str) -> str:
        together = f"of the homeof the project{value}"
        return f"{hashlib.sha256(together.encode()).hexdigest()}  -"

    def results(token: str) -> list[str]:
        done = using.ok("apply", "-o", "json", env={"PLANTED_TOKEN": token}).data
        return [image["result"] for image in done["images"]]

    configure(1)
    # To plan and to lock, nobody needs it. To build, it has to be there, and nothing is built before.
    planned = using.ok("plan", "-o", "json").data["images"]
    using.ok("lock")
    for env, found in (({}, "is not set"), ({"PLANTED_TOKEN": ""}, "is empty")):
        refused = using.run("apply", env=env)
        assert refused.code == 1
        assert refused.err.splitlines()[0] == (
            f"error: stowplan.toml:2: secret.token: environment variable PLANTED_TOKEN {found}"
        )
    assert using.ok("builds", "list", "--images", "-o", "json").data["records"] == []
    assert [engine.inspect(image["reference"]) for image in planned] == [None, None]
    assert results("first") == ["built", "built"]
    reference = planned[1]["reference"]
    assert engine.run(reference, ("cat", "/app/read")).output.strip() == read("first")
    # Neither the secrets, nor the file that one is in, are in the image.
    paths = engine.run(reference, ("find", "/app", "/run", "-type", "f")).output.split()
    assert {Path(path).name for path in paths}.isdisjoint(("own", "netrc", "token"))
    assert "/app/read" in paths
    # Another value makes no other plan, and is not even looked at.
    tokens = ({"PLANTED_TOKEN": token} for token in ("first", "second"))
    plans = [using.ok("plan", "-o", "json", env=env).data for env in tokens]
    assert plans[0] == plans[1]
    assert results("second") == ["reused", "reused"]
    assert [image["result"] for image in using.ok("apply", "-o", "json").data["images"]] == [
        "reused",
        "reused",
    ]
    configure(2)
    changed = using.ok("plan", "-o", "json").data
    assert [image["action"] for image in changed["images"]] == ["reuse", "build"]
    assert [change["field"] for change in changed["changes"]] == ["secrets"]
    assert results("second") == ["reused", "built"]
    (_, again) = using.ok("plan", "-o", "json").data["images"]
    assert engine.run(again["reference"], ("cat", "/app/read")).output.strip() == read("second")


@pytest.mark.usefixtures("engine")
def test_a_file_that_is_not_there_is_said_before_anything_is_built(using: Project, base: str) -> None:
    command = "cat /run/secrets/netrc /run/secrets/own"
    settings = SETTINGS.format(version=1, base=base, run=uuid.uuid4().hex, command=command)
    using.write({"stowplan.toml": settings})
    (using.root / "keys/own").unlink()
    (Path(using.env["HOME"]) / ".netrc").unlink()
    refused = using.run("apply")
    assert refused.code == 1
    assert "secret.netrc: ~/.netrc does not exist" in refused.err
    assert "pipeline.p.settings.docker.secrets.own: keys/own does not exist" in refused.err
    assert using.ok("builds", "list", "--images", "-o", "json").data["records"] == []


STEPS: Final = """
    [pipeline.p]
    steps = ["one", "two"]
    [pipeline.p.settings.docker]
    parent_image = "{base}"
    environment = {{ RUN_OF = "{run}" }}
    local_project_install_command = "cat /run/secrets/token; sha256sum < /run/secrets/token > read; {end}"
    build_config.build_options.network = "none"
    [pipeline.p.step.one.settings.docker]
    secrets = {{ token = {{ env = "FIRST" }} }}
    [pipeline.p.step.two.settings.docker]
    secrets = {{ token = {{ env = "SECOND", version = 2 }} }}
    """


def test_two_steps_have_a_secret_of_one_name_from_two_places(using: Project, tags: Tags, base: str) -> None:
    run = uuid.uuid4().hex
    using.write({"stowplan.toml": STEPS.format(base=base, run=run, end="exit 3")})
    missing = using.run("apply")
    assert missing.code == 1
    assert [f"variable {name} is not set" in missing.err for name in ("FIRST", "SECOND")] == [True, True]
    env = {"FIRST": "first-of-all", "SECOND": "second-to-none"}
    failed = using.run("apply", "-v", "-o", "json", env=env)
    assert failed.code == 1
    assert "***" in failed.err
    for value in env.values():
        assert value not in failed.out + failed.err
    using.write({"stowplan.toml": STEPS.format(base=base, run=run, end="true")})
    images = using.ok("apply", "-o", "json", env=env).data["images"]
    found = [tags.engine.run(image["reference"], ("cat", "/app/read")).output.split()[0] for image in images]
    assert found == [hashlib.sha256(value.encode()).hexdigest() for value in env.values()]
