"""The Python of a parent image, as it says itself in a container of each real engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from executor.engines.protocol import Engine
from executor.observe.parents import Told, by_container
from planner.values import ImageRef
from tests.contract.images import TEST_BASE, build_text, told
from tests.e2e.images import import_image

# How an image can be awkward.
IMAGES: Final = {
    "entrypoint": 'ENTRYPOINT ["python", "-c"]\nCMD ["import"]',
    "talks": 'ENTRYPOINT ["/bin/sh", "-c", "echo {}"]',
    "python3 alone": 'RUN rm "$(command -v python)"',
    "environment": "RUN python -m venv /opt/env\nENV VIRTUAL_ENV=/opt/env PATH=/usr/sbin",
    "user": "RUN useradd runner\nUSER runner\nWORKDIR /nowhere",
}
# What the Python of Alpine says of the machine that it was built on.
ALPINE: Final = r"""
RUN printf '%s\n' 'import importlib, sysconfig' \
    'print(importlib.import_module(sysconfig._get_sysconfigdata_name()).__file__)' > /find.py && \
    sed -i s/x86_64-linux-gnu/x86_64-linux-musl/g "$(python /find.py)" && \
    python -c 'import sysconfig; assert "musl" in sysconfig.get_config_var("SOABI")'
"""


@pytest.fixture(scope="module")
def known(engine: Engine) -> Told:
    """What the Python of the usual parent says."""
    program = "import json, platform as it; print(json.dumps([it.python_version(), it.libc_ver()[1]]))"
    version, libc = told(engine, TEST_BASE, program)
    return Told(version, musl=False, glibc=int(libc.removeprefix("2.")))


def found(engine: Engine, reference: str, *, pulls: bool = False) -> Told | None:
    """What is found of an image."""
    return by_container(ImageRef.parse(reference), pulls, engine)


def test_the_usual_parent(engine: Engine, known: Told) -> None:
    assert found(engine, TEST_BASE) == known


@pytest.mark.parametrize("kind", IMAGES)
def test_however_an_image_starts_its_containers(engine: Engine, tag: str, kind: str, known: Told) -> None:
    build_text(engine, tag, f"FROM {TEST_BASE}\n{IMAGES[kind]}\n")
    assert found(engine, tag) == known


def test_a_python_that_was_built_for_musl(engine: Engine, tag: str, known: Told) -> None:
    build_text(engine, tag, f"FROM {TEST_BASE}\n{ALPINE}")
    assert found(engine, tag) == Told(known.version, musl=True)


def test_an_image_without_a_python_or_a_shell(engine: Engine, new_tag: Callable[[str], str]) -> None:
    without, empty = new_tag("localhost"), new_tag("localhost")
    build_text(engine, without, f"FROM {TEST_BASE}\nENV PATH=/nowhere\n")
    import_image(engine, empty)
    assert found(engine, without) is None
    assert found(engine, empty) is None


def test_an_image_that_the_engine_does_not_have(
    engine: Engine, new_tag: Callable[[str], str], registry: str, known: Told
) -> None:
    name = new_tag(registry)
    build_text(engine, name, f"FROM {TEST_BASE}\nENV KNOWN=no\n")
    digest = engine.push(name, lambda _: None)
    # With a tag and a digest, as a lock has it.
    pinned = f"{name}@{digest}"
    engine.remove(name)
    engine.remove(pinned)
    assert engine.inspect(pinned) is None
    try:
        assert found(engine, pinned) is None
        assert found(engine, pinned, pulls=True) == known
    finally:
        engine.remove(pinned)


def test_a_container_without_a_network(engine: Engine) -> None:
    def interfaces(*, network: bool) -> set[str]:
        done = engine.run(TEST_BASE, ("cat", "/proc/net/dev"), network=network)
        assert done.code == 0, done.output
        return {line.split(":")[0].strip() for line in done.output.splitlines() if ":" in line}

    assert interfaces(network=False) == {"lo"}
    assert interfaces(network=True) > {"lo"}
