"""What `stowplan apply` costs, next to the commands that a person would type for the same image.

Needs Docker with buildx and a registry, as `scripts/engines.sh env` names them; without, it says so.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from pathlib import Path
from typing import Final

from benchmarks.measure import STOWPLAN, best, run, table

__all__ = ["applying"]

# By hand: the same parent, package and files, in the order that caches best.
DOCKERFILE: Final = """\
FROM {parent}
ENV MODEL_DIR=/models
RUN pip install --quiet --no-cache-dir --break-system-packages six==1.16.0
COPY . /app/
WORKDIR /app
"""
PROJECT: Final = """\
[pipeline.bench]
steps = ["only"]
[pipeline.bench.settings.docker]
parent_image = "{parent}"
environment = {{ MODEL_DIR = "/models" }}
requirements = ["six==1.16.0"]
python_package_installer = "pip"
[stack.default]
container_registry = {{ uri = "{registry}", default_repository = "bench" }}
"""


def applying(root: Path, runs: int) -> None:
    """An apply with nothing to do next to its plan, and one changed file built and pushed next to docker."""
    registry = os.environ.get("STOWPLAN_TEST_REGISTRY")
    parent = os.environ.get("STOWPLAN_TEST_BASE")
    digest = os.environ.get("STOWPLAN_TEST_BASE_DIGEST")
    if not (registry and parent and digest and os.environ.get("STOWPLAN_TEST_BUILDX")):
        print("\nno Docker, buildx and registry: apply is not measured (scripts/engines.sh up)")
        return
    pinned = f"{parent}@{digest}"
    address = f"{registry}/bench-{uuid.uuid4().hex[:12]}"
    ours, theirs = root / "stowplan", root / "docker"
    for directory in (ours, theirs):
        directory.mkdir(parents=True)
        (directory / ".dockerignore").write_text("Dockerfile\n.dockerignore\n")
        for index in range(200):
            (directory / f"module{index}.py").write_text(f"# {index}\n" * 50)
    (ours / "stowplan.toml").write_text(PROJECT.format(parent=pinned, registry=address))
    (theirs / "Dockerfile").write_text(DOCKERFILE.format(parent=pinned))
    run(*STOWPLAN, "lock", cwd=ours)
    run(*STOWPLAN, "apply", "--engine", "docker", cwd=ours)
    tag = f"{address}/by-hand:1"
    build = ("docker", "buildx", "build", "--load", "--quiet", "--tag", tag, ".")
    run(*build, cwd=theirs)
    run("docker", "push", "--quiet", tag, cwd=theirs)
    # Files changed in the last moments are read again by any cache that is honest about clocks.
    time.sleep(2.5)
    run(*STOWPLAN, "plan", cwd=ours)
    figures = best(
        4 * runs,
        {
            "stowplan plan": lambda: run(*STOWPLAN, "plan", "--engine", "docker", cwd=ours),
            "stowplan apply": lambda: run(*STOWPLAN, "apply", "--engine", "docker", cwd=ours),
        },
    )
    table("one image, pushed, nothing to do", figures, ("stowplan plan",))

    def change(directory: Path) -> None:
        (directory / "module7.py").write_text(f"# {uuid.uuid4()}\n")

    def by_hand() -> None:
        run(*build, cwd=theirs)
        run("docker", "push", "--quiet", tag, cwd=theirs)

    engine: list[float] = []
    rest: list[float] = []

    def apply() -> None:
        started = time.perf_counter()
        told = json.loads(run(*STOWPLAN, "apply", "--engine", "docker", "-o", "json", cwd=ours))
        engine.append(sum(image["seconds"] for image in told["images"]))
        rest.append(time.perf_counter() - started - engine[-1])

    figures = best(
        2 * runs,
        {"docker build, push": by_hand, "stowplan apply": apply},
        before={"docker build, push": lambda: change(theirs), "stowplan apply": lambda: change(ours)},
    )
    # Its own word: `seconds` of an image begin when it is decided what to do about it.
    figures["  build, push, record"] = min(engine)
    figures["  start, plan, look"] = min(rest)
    table("one file of 200 changed, built and pushed", figures, ("docker build, push",))
    shutil.rmtree(root)
