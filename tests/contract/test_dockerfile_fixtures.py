"""The Dockerfiles of `fixtures/dockerfiles`, built by each builder where their base can be had."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from executor.apply.verification import difference
from executor.context import files
from executor.engines.protocol import BuildJob, Engine
from planner.custom import custom_of_spec
from planner.settings.builders import dockerfile_refusals
from planner.values import FrozenMapping
from tests.contract.images import planned, quiet
from tests.dockerfiles import DIRECTORY, DOCKERFILES
from tests.unit.test_custom_fixtures import settings_of

BUILT = [name for name, fixture in DOCKERFILES.items() if fixture.builds]


@pytest.mark.parametrize("name", BUILT)
def test_it_builds_where_the_plan_says_so_and_is_what_was_planned(
    name: str, engine: Engine, new_tag: Callable[[], str], tmp_path: Path
) -> None:
    root = shutil.copytree(DIRECTORY / name, tmp_path / name, symlinks=True)
    image = planned(root, settings_of(name))
    builder = "podman" if engine.name == "podman" else "buildkit" if _buildkit(engine) else "classic"
    if dockerfile_refusals(custom_of_spec(image.spec), builder):
        pytest.skip(f"{builder} does not know what it says")
    secrets = dict.fromkeys(DOCKERFILES[name].secrets, b"a secret")
    job = BuildJob(image, lambda: files(image, root), secrets=FrozenMapping(secrets), root=root)
    made = engine.build(job, quiet)
    engine.tag(made.id, new_tag())
    assert difference(image, made) is None
    # What only the engine knows of it is no part of the plan.
    assert difference(evolve(image, name="other"), made) is None


def _buildkit(engine: Engine) -> bool:
    return bool(getattr(engine, "uses_buildkit", False))
