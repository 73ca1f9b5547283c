"""Every option of the planner's table is really taken by each builder that it names."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

import pytest

from executor.engines.protocol import Engine
from executor.errors import BuildFailed
from planner.settings.builders import builders_for
from planner.settings.option_table import OPTIONS
from tests.contract.conftest import ENGINES, absent, reason_against
from tests.contract.images import job, planned, quiet

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


@pytest.mark.parametrize(("name", "builder"), CASES)
def test_every_builder_takes_the_options_it_has(name: str, builder: str, tmp_path: Path) -> None:
    given = {name: OPTIONS[name].example}
    if name == "memory_swap":
        given["memory"] = OPTIONS["memory"].example
    image = planned(
        tmp_path, {"local_project_install_command": "true", "build_config": {"build_options": given}}
    )
    assert builder in builders_for(image.build_options)
    engine = working(builder)
    try:
        made = engine.build(job(image, tmp_path), quiet)
    except BuildFailed as error:
        said = str(error).lower()
        for sign, reason in KERNEL.items():
            if sign in said:
                pytest.skip(f"{builder}: {reason}")
        raise
    assert made.mark == image.hash
    engine.remove(made.id)
