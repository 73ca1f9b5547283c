"""Platforms as uv names them, and the order in which an installer prefers wheels on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from packaging.tags import compatible_tags, cpython_tags

__all__ = ["platform_of", "ranks"]

# The versions of glibc that uv's `--python-platform` knows (uv 0.13), the newest first.
_GLIBC: Final = (40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 28, 17)
# Wheels for these versions of glibc have names from before PEP 600.
_LEGACY: Final = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64"}
_ASSUMED_GLIBC: Final = 28
# What uv takes for this architecture, of which it knows one platform.
_RISCV_GLIBC: Final = 39


def platform_of(platform: str, *, musl: bool = False, glibc: int | None = None) -> str | None:
    """What uv calls a platform of images, such as `linux/amd64`, with a C library; None if it has no name.

    `glibc` is its minor version, 36 for 2.36. Without it, one that is as old as those that most wheels
    are built for: what runs there runs on newer ones too.
    """
    machine = _ARCHITECTURES.get(platform.split("/")[1] if "/" in platform else platform)
    if machine is None:
        return None
    if machine == "riscv64":
        return None if musl else "riscv64-unknown-linux"
    if musl:
        return f"{machine}-unknown-linux-musl"
    known = next((each for each in _GLIBC if each <= (glibc or _ASSUMED_GLIBC)), _GLIBC[-1])
    return f"{machine}-manylinux_2_{known}"


@lru_cache(maxsize=8)
def ranks(python: str, platform: str) -> Mapping[object, int]:
    """The wheel tags that fit, each with its place among them: 0 is preferred."""
    version = tuple(map(int, python.split(".")[:2]))
    platforms = list(_platforms(platform))
    interpreter = "cp" + "".join(map(str, version))
    tags = [*cpython_tags(version, platforms=platforms), *compatible_tags(version, interpreter, platforms)]
    return {tag: number for number, tag in enumerate(dict.fromkeys(tags))}


def _platforms(platform: str) -> Iterator[str]:
    machine, _, rest = platform.partition("-")
    if rest.endswith("musl"):
        yield from (f"musllinux_1_{minor}_{machine}" for minor in (2, 1, 0))
    else:
        match = re.fullmatch(r"manylinux_2_(\d+)", rest)
        for minor in range(int(match[1]) if match else _RISCV_GLIBC, 4, -1):
            yield f"manylinux_2_{minor}_{machine}"
            if minor in _LEGACY:
                yield f"{_LEGACY[minor]}_{machine}"
    yield f"linux_{machine}"
