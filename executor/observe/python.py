"""What is known of this machine without looking at a file: its Python, and the platform of its containers.

Refuses to guess: a machine that no image can name is passed on under its own name, in lower case.
"""

from __future__ import annotations

import platform
import sys
from typing import Final

__all__ = ["host_platform", "python_version"]

# What `uname -m` says → architecture and variant as images name them (Go's GOARCH, as in
# github.com/containerd/platforms, `normalizeArch`).
_ARCHITECTURES: Final = {
    "aarch64": "arm64",
    "amd64": "amd64",
    "arm64": "arm64",
    "armv5l": "arm/v5",
    "armv6l": "arm/v6",
    "armv7l": "arm/v7",
    # A 64-bit kernel under 32-bit programs.
    "armv8l": "arm/v7",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "loongarch64": "loong64",
    "mips64": "mips64le" if sys.byteorder == "little" else "mips64",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "x86": "386",
    "x86_64": "amd64",
}


def python_version() -> str:
    """Major and minor version of the running interpreter, like `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def host_platform(machine: str | None = None) -> str:
    """The platform that an engine on this machine builds for, like `linux/amd64`.

    Always Linux: on macOS and Windows engines run in a virtual machine of the same architecture.
    `machine` is what `uname -m` says, by default here.

    >>> host_platform("aarch64")
    'linux/arm64'
    """
    name = (machine or platform.machine()).lower()
    return f"linux/{_ARCHITECTURES.get(name, name)}"
