"""Which layer a builder has begun, told from what three builders write."""

from __future__ import annotations

import pytest

from executor.engines.archive import whole_dockerfile
from executor.engines.layers import Layers
from tests.builders import image_of

SETTINGS = {
    "environment": {"A": "1"},
    "apt_packages": ["git"],
    "local_project_install_command": "make it",
    "user": "1000",
}
IMAGE = image_of(SETTINGS)
# Each instruction of its Dockerfile, which a builder counts from 1.
STEPS = [
    line.split(" ")[0]
    for line in whole_dockerfile(IMAGE).splitlines()
    if line.split(" ")[0] in {"FROM", "ENV", "RUN", "COPY", "WORKDIR", "USER", "LABEL", "ARG"}
]


def begun(lines: list[str]) -> list[str]:
    layers = Layers(IMAGE)
    return [said for line in lines if (said := layers.begun(line))]


def test_a_dockerfile_has_what_is_counted() -> None:
    assert STEPS[0] == "FROM"
    assert STEPS.count("ENV") == 1


@pytest.mark.parametrize("how", ["Step {}/{} : {} …", "STEP {}/{}: {} …"])
def test_two_builders_count_all_instructions(how: str) -> None:
    lines = [how.format(number, len(STEPS), word) for number, word in enumerate(STEPS, start=1)]
    assert begun(lines) == [
        "parent image",
        "[1/5] environment",
        "[2/5] apt packages",
        "[3/5] files",
        "[4/5] project",
        "[5/5] user",
    ]


def test_buildkit_counts_what_makes_layers() -> None:
    words = [word for word in STEPS if word in {"FROM", "RUN", "COPY", "WORKDIR"}]
    lines = [f"#{7 + number} [{number}/{len(words)}] {word} …" for number, word in enumerate(words, start=1)]
    noise = ["#1 [internal] load build definition", "#9 0.271 [2/5] said the command", "#8 CACHED", "[1/2] x"]
    assert begun([*noise, *lines, *noise, lines[-1]]) == [
        "parent image",
        "[2/5] apt packages",
        "[3/5] files",
        "[4/5] project",
    ]


def test_a_number_that_the_dockerfile_does_not_have_says_nothing() -> None:
    assert begun(["STEP 0/4: RUN x", "STEP 99/100: RUN x"]) == []
