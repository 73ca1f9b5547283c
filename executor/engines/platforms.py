"""Platforms in one spelling, whatever an engine calls them.

The rules are those of github.com/containerd/platforms (`Normalize`), by which registries name them too.
"""

from __future__ import annotations

from typing import Final

__all__ = ["normal", "platform"]

_ARCHITECTURES: Final = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "i386": ("386", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
# The variants that are meant where none is named.
_USUAL: Final = {("amd64", "v1"), ("arm64", "v8")}


def platform(system: str, architecture: str, variant: str = "") -> str:
    """`linux/amd64`, `linux/arm64`, `linux/arm/v7`; empty where an engine does not know."""
    architecture, implied = _ARCHITECTURES.get(architecture.lower(), (architecture.lower(), ""))
    variant = variant.lower() or implied
    if variant.isdigit():
        variant = f"v{variant}"
    if architecture == "arm":
        variant = variant or "v7"
    if (architecture, variant) in _USUAL:
        variant = ""
    return "/".join(part for part in (system.lower(), architecture, variant) if part)


def normal(written: str) -> str:
    """A platform that somebody wrote, such as `linux/aarch64`, in that spelling."""
    return platform(*written.split("/"))
