"""A plan of a locked project loads what it needs, and touches no engine, no network and no other program.

`make bench` measures what that costs. These are what made it cost more, and what any machine can tell.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Final

import pytest

from executor.engines.protocol import HASH_LABEL
from tests.index import package_index
from tests.web import Reply, Request, serving

ROOT: Final = Path(__file__).parents[2]
PINNED: Final = "python:3.11-slim@sha256:" + "0" * 64

# Each takes milliseconds to load, some a tenth of a second.
HEAVY: Final = {
    "asyncio", "concurrent.futures", "difflib", "docker", "dxf", "email", "filelock", "http", "http.client",
    "multiprocessing", "random", "requests", "rich", "shutil", "ssl", "tempfile", "tomlkit", "urllib3",
    "executor.context", "executor.engines.docker", "executor.engines.podman", "executor.process",
    "executor.registry.asking", "executor.registry.client", "planner.lock.repair", "planner.lock.version1",
}  # fmt: skip

RUN: Final = textwrap.dedent(
    """
    import json, sys

    seen = []

    def watch(event, arguments):
        if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system")):
            seen.append(event)

    sys.addaudithook(watch)
    from executor.cli.main import main

    try:
        main(sys.argv[1:])
    except SystemExit as ended:
        told = {"code": ended.code, "seen": seen, "modules": sorted(sys.modules)}
        print(json.dumps(told), file=sys.stderr)
    """
)


def stowplan(project: Path, *argv: str, **variables: str) -> dict[str, Any]:
    """Run a command in a process of its own: its exit code, what it did, and the modules it has loaded."""
    environment = {"PATH": "/nonexistent", "HOME": str(project), "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *argv],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] == 0, done.stderr
    return told


def demo(root: Path, registry: str) -> Path:
    """The demo with a parent that is pinned, and with another registry."""
    shutil.copytree(ROOT / "fixtures/projects/demo", root)
    config = root / "stowplan.toml"
    config.write_text(
        config.read_text().replace("python:3.11-slim", PINNED).replace("localhost:5000", registry)
    )
    return root


def locked(root: Path) -> None:
    """Write the lock of the demo, with packages from an index of the test's own."""
    with package_index() as index:
        for name, version in (("iniconfig", "2.0.0"), ("six", "1.16.0"), ("tabulate", "0.9.0")):
            index.release(name, version)
        stowplan(root, "lock", UV_DEFAULT_INDEX=index.url, UV_CACHE_DIR=str(root.parent / "cache"))


class Everything:
    """A registry that has every image of every plan."""

    def __init__(self) -> None:
        self._configs: dict[str, bytes] = {}

    def __call__(self, request: Request) -> Reply:
        kind, name = request.path.split("/")[-2:]
        if kind == "blobs":
            return Reply(body=self._configs[name])
        image = f"sha256:{name}"
        history = [{"created_by": f"LABEL {HASH_LABEL}={image}"}]
        config = json.dumps({"config": {"Labels": {HASH_LABEL: image}}, "history": history}).encode()
        digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
        self._configs[digest] = config
        described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest}
        manifest = json.dumps({"schemaVersion": 2, "config": described, "layers": []}).encode()
        return Reply(body=manifest, headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, locked. Its registry is one that nobody runs."""
    root = demo(tmp_path_factory.mktemp("start") / "demo", "127.0.0.1:1")
    locked(root)
    stowplan(root, "plan")
    return root


def test_a_plan_of_a_locked_project_touches_no_network_no_engine_and_no_other_program(project: Path) -> None:
    assert stowplan(project, "plan")["seen"] == []


def test_a_plan_of_a_locked_project_loads_nothing_heavy(project: Path) -> None:
    assert HEAVY & set(stowplan(project, "plan")["modules"]) == set()


def test_an_apply_with_nothing_to_do_asks_the_registry_and_nobody_else(tmp_path: Path) -> None:
    """Not even an engine, and of a registry on this machine with no more than the standard library."""
    with serving(Everything()) as site:
        root = demo(tmp_path / "demo", site.address)
        locked(root)
        stowplan(root, "apply", "--stack", "prod")  # writes the ledger
        site.requests.clear()
        told = stowplan(root, "apply", "--stack", "prod")
    assert len(site.requests) == 4  # a manifest and a config of each image
    assert {event for event in told["seen"] if not event.startswith("socket.")} == set()
    standard = {"concurrent.futures", "email", "http", "http.client", "random", "ssl"}
    ours = {"executor.registry.asking", "planner.lock.repair"}
    assert (HEAVY - standard - ours) & set(told["modules"]) == set()


def test_the_version_loads_no_planner(project: Path) -> None:
    modules = stowplan(project, "--version")["modules"]
    assert [name for name in modules if name.startswith(("planner", "attr", "executor.workflow"))] == []


def test_what_is_watched_is_seen(project: Path) -> None:
    """With a registry the plan asks it, and loads the heavy modules for that."""
    told = stowplan(project, "plan", "--stack", "prod")
    assert "socket.connect" in told["seen"]
    assert {"dxf", "requests"} <= set(told["modules"])
