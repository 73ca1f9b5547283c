"""Platforms as uv names them, and the wheels that fit: those for one C library fit no other."""

from __future__ import annotations

import re

import pytest
from packaging.tags import Tag, parse_tag

from executor.process import Command, run
from executor.resolve.tags import platform_of, ranks


@pytest.mark.parametrize(
    ("platform", "musl", "glibc", "name"),
    [
        ("linux/amd64", False, None, "x86_64-manylinux_2_28"),
        ("linux/amd64", False, 36, "x86_64-manylinux_2_36"),
        # The newest that is not newer than the image's.
        ("linux/amd64", False, 30, "x86_64-manylinux_2_28"),
        ("linux/amd64", False, 27, "x86_64-manylinux_2_17"),
        ("linux/amd64", False, 99, "x86_64-manylinux_2_40"),
        ("linux/amd64", True, None, "x86_64-unknown-linux-musl"),
        ("linux/amd64/v3", False, None, "x86_64-manylinux_2_28"),
        ("linux/arm64", False, 36, "aarch64-manylinux_2_36"),
        ("linux/arm64/v8", True, None, "aarch64-unknown-linux-musl"),
        ("linux/riscv64", False, 36, "riscv64-unknown-linux"),
        # Wheels for musl on this one have no name: none is better than one of glibc.
        ("linux/riscv64", True, None, None),
        ("linux/arm/v7", False, 36, None),
        ("linux/386", False, 36, None),
        ("linux/s390x", True, None, None),
    ],
)
def test_what_uv_calls_a_platform(platform: str, musl: bool, glibc: int | None, name: str | None) -> None:
    assert platform_of(platform, musl=musl, glibc=glibc) == name


def test_uv_knows_every_platform_by_its_name() -> None:
    from uv import find_uv_bin  # noqa: PLC0415  # only this test asks it

    said = run(Command((find_uv_bin(), "pip", "compile", "--help"))).text
    (listed,) = re.findall(r"--python-platform <.*?possible values:(.*?)\]", said, re.DOTALL)
    known = set(listed.replace(",", " ").split())
    names = {
        platform_of(f"linux/{machine}", musl=musl, glibc=glibc)
        for machine in ("amd64", "arm64", "riscv64")
        for musl in (False, True)
        for glibc in range(60)
    }
    assert names - {None} <= known
    # And of those with a version of glibc, all: a newer uv may know newer ones.
    assert {name for name in known if re.search(r"manylinux_2_\d+$", name)} <= names


def fits(wheel: str, python: str, platform: str) -> bool:
    """Whether a wheel with these tags fits."""
    return not parse_tag(wheel).isdisjoint(ranks(python, platform))


@pytest.mark.parametrize(
    ("wheel", "platforms"),
    [
        ("cp311-cp311-manylinux_2_28_x86_64", {"glibc"}),
        ("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", {"glibc", "old glibc"}),
        ("cp311-abi3-manylinux1_x86_64", {"glibc", "old glibc"}),
        ("cp311-cp311-manylinux_2_36_x86_64", {"glibc"}),
        ("cp311-cp311-manylinux_2_39_x86_64", set()),
        ("cp311-cp311-musllinux_1_2_x86_64", {"musl"}),
        ("cp311-cp311-musllinux_1_1_x86_64", {"musl"}),
        ("cp311-cp311-manylinux_2_17_aarch64", {"arm"}),
        ("cp311-cp311-musllinux_1_2_aarch64", {"arm musl"}),
        ("cp312-cp312-manylinux_2_17_x86_64", set()),
        ("cp38-abi3-musllinux_1_2_x86_64", {"musl"}),
        ("cp311-cp311-win_amd64", set()),
        ("cp311-cp311-macosx_11_0_arm64", set()),
        ("py3-none-any", {"glibc", "old glibc", "musl", "arm", "arm musl"}),
        ("py2.py3-none-any", {"glibc", "old glibc", "musl", "arm", "arm musl"}),
    ],
)
def test_which_wheels_fit_where(wheel: str, platforms: set[str]) -> None:
    names = {
        "glibc": "x86_64-manylinux_2_36",
        "old glibc": "x86_64-manylinux_2_17",
        "musl": "x86_64-unknown-linux-musl",
        "arm": "aarch64-manylinux_2_36",
        "arm musl": "aarch64-unknown-linux-musl",
    }
    assert {name for name, platform in names.items() if fits(wheel, "3.11.2", platform)} == platforms


def test_a_wheel_for_this_very_platform_is_preferred() -> None:
    rank = ranks("3.11", "x86_64-manylinux_2_36")
    wanted = [
        Tag("cp311", "cp311", "manylinux_2_36_x86_64"),
        Tag("cp311", "cp311", "manylinux_2_17_x86_64"),
        Tag("cp311", "cp311", "manylinux2014_x86_64"),
        Tag("cp311", "abi3", "manylinux_2_17_x86_64"),
        Tag("cp38", "abi3", "manylinux_2_17_x86_64"),
        Tag("py3", "none", "any"),
    ]
    assert sorted(wanted, key=rank.__getitem__) == wanted
