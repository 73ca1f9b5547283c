"""Whether an image is what was planned: everything that a plan says of it is compared."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from executor.apply.verification import difference
from executor.engines.protocol import ImageInfo
from planner import ImagePlan
from tests.builders import World, digest, image_of

WORLD = World(variables={"TOKEN": "hunter22"})
SETTINGS = {
    "environment": {"A": "1", "B": "first", "TOKEN": "<${TOKEN}>"},
    "runtime_environment": {"B": "second"},
    "user": "1000:1000",
    "build_config": {"build_options": {"labels": {"team": "a"}}},
}
IMAGE = image_of(SETTINGS, world=WORLD)
BUILT = ImageInfo(
    "sha256:" + "8" * 64,
    labels={"team": "a", "of-the-parent": "x"},
    platform="linux/amd64",
    mark=IMAGE.hash,
    environment={"A": "1", "B": "second", "TOKEN": "<hunter22>", "PATH": "/bin"},
    user="1000:1000",
    working_directory="/app",
)


def test_what_was_planned() -> None:
    assert difference(IMAGE, BUILT, {"TOKEN": "hunter22"}) is None
    assert difference(IMAGE, BUILT) is None


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("mark", None, "it was not built from a plan, or changed since"),
        ("mark", digest("another"), f"it was built from plan {digest('another').short}"),
        ("platform", "linux/arm64", "it is for linux/arm64, and linux/amd64 was planned"),
        ("platform", "", "it is for , and linux/amd64 was planned"),
        ("environment", {"A": "1", "B": "first"}, "its environment variable B is not what was planned"),
        ("environment", {"A": "1", "B": "second"}, "its environment variable TOKEN is not what was planned"),
        ("labels", {}, "its label team is not what was planned"),
        ("user", "", "its user is '', and '1000:1000' was planned"),
        ("user", "1000", "its user is '1000', and '1000:1000' was planned"),
        ("working_directory", "/", "its working directory is '/', and '/app' was planned"),
    ],
)
def test_every_difference_is_found(field: str, value: Any, words: str) -> None:
    changed = evolve(BUILT, **{field: value})
    assert difference(IMAGE, changed, {"TOKEN": "hunter22"}) == words
    assert difference(IMAGE, changed) == words


def test_the_value_of_a_variable_is_compared_where_it_is_known() -> None:
    other = evolve(BUILT, environment={**BUILT.environment, "TOKEN": "<hunter23>"})
    found = difference(IMAGE, other, {"TOKEN": "hunter22"})
    assert found == "its environment variable TOKEN is not what was planned"
    assert difference(IMAGE, other) is None
    assert "hunter" not in repr(other)


ADDING = image_of(
    {
        "environment": {"PATH": "/opt:{parent}", "LIBRARIES": "{parent}:/lib"},
        "runtime_environment": {"PATH": "{parent}:/late", "LIBRARIES": "${TOKEN}:{parent}"},
    },
    world=WORLD,
)
PARENT = ImageInfo("sha256:" + "7" * 64, platform="linux/amd64", environment={"PATH": "/usr/bin:/bin"})


@pytest.mark.parametrize(
    ("path", "libraries", "known", "unknown"),
    [
        ("/opt:/usr/bin:/bin:/late", "hunter22:/lib", "", ""),
        ("/opt:/usr/bin:/bin:/late", "hunter22:/old:/lib", "LIBRARIES", ""),
        ("/opt:/sbin:/late", "hunter22:/lib", "PATH", ""),
        ("/opt:/late", "hunter22:/lib", "PATH", ""),
        ("/opt::/late", "hunter22:/lib", "PATH", "PATH"),
        ("/usr/bin:/bin:/late", "hunter22:/lib", "PATH", "PATH"),
        ("/opt:/usr/bin:/bin", "hunter22:/lib", "PATH", "PATH"),
        ("/opt/late", "hunter22:/lib", "PATH", "PATH"),
        ("", "hunter22:/lib", "PATH", "PATH"),
        ("/opt:/usr/bin:/bin:/late", "hunter22:/lib:", "LIBRARIES", "LIBRARIES"),
        ("/opt:/usr/bin:/bin:/late", "hunter23:/lib", "LIBRARIES", "LIBRARIES"),
    ],
)
def test_what_is_added_to_the_parents_value(path: str, libraries: str, known: str, unknown: str) -> None:
    """In full where the parent is known, else around any value of the parent."""
    info = evolve(
        BUILT, mark=ADDING.hash, labels={}, user="", environment={"PATH": path, "LIBRARIES": libraries}
    )

    def words(name: str) -> str | None:
        return f"its environment variable {name} is not what was planned" if name else None

    values = {"TOKEN": "hunter22"}
    assert difference(ADDING, info, values, PARENT) == words(known)
    assert difference(ADDING, info, values) == words(unknown)
    assert difference(ADDING, info, values, evolve(PARENT, platform="linux/arm64")) == words(unknown)
    assert difference(ADDING, info) == (words(unknown) if unknown == "PATH" else None)


@pytest.mark.parametrize(
    "found",
    [
        evolve(BUILT, environment={"PATH": "/opt"}, user="", working_directory="", labels={}),
        evolve(BUILT, environment={}, user="captain", working_directory="/srv", labels={"team": "b"}),
    ],
)
def test_what_a_plan_does_not_say_is_the_parents(found: ImageInfo) -> None:
    plain = image_of({"allow_including_files_in_images": False, "requirements": ["six==1.16.0"]})
    assert difference(plain, evolve(found, mark=plain.hash)) is None


def test_a_variant_may_be_left_out() -> None:
    image: ImagePlan = image_of(world=World(platform="linux/arm64/v8"))
    for platform, same in (("linux/arm64", True), ("linux/arm64/v8", True), ("linux/arm/v7", False)):
        info = ImageInfo("x", platform=platform, mark=image.hash, working_directory="/app")
        assert (difference(image, info) is None) is same


@pytest.mark.parametrize(
    ("written", "built"),
    [
        ("linux/aarch64", "linux/arm64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/arm", "linux/arm/v7"),
    ],
)
def test_a_platform_may_be_written_in_another_spelling(written: str, built: str) -> None:
    image = image_of({"build_config": {"build_options": {"platform": written}}})
    info = ImageInfo("x", platform=built, mark=image.hash, working_directory="/app")
    assert difference(image, info) is None
    assert difference(image, evolve(info, platform="linux/386")) is not None
