"""Every option of the planner's table is really taken by each builder that it names."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final
from uuid import uuid4

import pytest

from executor.engines.docker import DockerEngine
from executor.engines.podman import PodmanEngine
from executor.engines.protocol import BuildJob, Engine
from executor.errors import BuildFailed
from planner import BuildOptions
from planner.settings.builders import builders_for
from planner.settings.option_table import OPTIONS
from tests.contract.conftest import ENGINES, absent, reason_against
from tests.contract.images import EMPTY_CONTEXT, TEST_BASE, quiet

ENGINE_OF: Final = {"buildkit": "docker-buildkit", "classic": "docker-classic", "podman": "podman"}
CASES: Final = [
    pytest.param(option.name, builder, id=f"{option.name}-{builder}")
    for option in OPTIONS.values()
    for builder in sorted(option.builders)
]
# What the kernel of a machine may not have, by what the engine says then.
KERNEL: Final = {
    "swap limit": "the kernel does not account for swap",
    "memory.memsw": "the kernel does not account for swap",
    "error setting cgroup config": "the kernel lets no container in a container have that control group",
    "cpuset": "the kernel has no cpusets to give",
}


@functools.cache
def working(builder: str) -> Engine:
    name = ENGINE_OF[builder]
    if reason := reason_against(name):
        absent(f"{name}: {reason}")
    return ENGINES[name]()


@pytest.fixture
def reference() -> Iterator[str]:
    """A reference that is gone from both engines afterwards."""
    made = f"localhost/opt-helper-{uuid4().hex}:1"
    yield made
    for engine in (DockerEngine(), PodmanEngine()):
        if engine.unavailable() is None:
            engine.remove(made)


@pytest.mark.parametrize(("name", "builder"), CASES)
def test_every_builder_takes_the_options_it_has(name: str, builder: str, reference: str) -> None:
    given = {name: OPTIONS[name].example}
    if name == "memory_swap":
        given["memory"] = OPTIONS["memory"].example
    options = BuildOptions.decode(given)
    assert builder in builders_for(options)
    engine = working(builder)
    try:
        engine.build(BuildJob(reference, f"FROM {TEST_BASE}\nRUN true\n", EMPTY_CONTEXT, options), quiet)
    except BuildFailed as error:
        said = str(error).lower()
        for sign, reason in KERNEL.items():
            if sign in said:
                pytest.skip(f"{builder}: {reason}")
        raise
    assert engine.inspect(reference) is not None
