"""Whether an image that an engine holds was built from a plan, and from which.

Owns the rule: a label names an image hash, and setting it was the last thing that was done to the image.
One that was built on it inherits the label, and has a longer history. The label is the last line of the
Dockerfile and no option, since not every builder writes an option into the history.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from executor.engines.protocol import HASH_LABEL
from planner.values import Digest

__all__ = ["label_line", "mark"]

# BuildKit writes the instruction as it is. The classic builder and Podman put the parent's shell in front,
# with nothing for it to do: `/bin/sh -c #(nop)  LABEL …`.
_LAST: Final = re.compile(
    rf"""(?:[^#]*\#\(nop\)\s+)?LABEL\s+["']?{re.escape(HASH_LABEL)}["']?=["']?(sha256:[0-9a-f]{{64}})["']?\s*"""
)


def label_line(image: Digest) -> str:
    """The last line of a Dockerfile, which says what is built."""
    return f"LABEL {HASH_LABEL}={image}\n"


def mark(labels: Mapping[str, str], last: str) -> Digest | None:
    """The image hash that an image was built from, by its labels and the last entry of its history."""
    match = _LAST.fullmatch(last)
    return Digest.parse(match[1]) if match and labels.get(HASH_LABEL) == match[1] else None
