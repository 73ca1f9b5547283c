"""Shell commands of settings: what can be told of one without running it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["calls_uv"]

# Where a shell looks for a command: at the beginning, behind an operator, and behind words that start one.
_UV: Final = re.compile(
    r"(?:^|[;&|({\n`]|\$\()\s*"
    r"(?:(?:[A-Za-z_]\w*=(?:\"[^\"]*\"|'[^']*'|[^\s\"';&|]*)|!|command|do|else|env|exec|if|nice|then|time)\s+)*"
    r"uvx?(?=$|[\s;&|)}`])"
)


def calls_uv(command: str) -> bool:
    """Whether a shell command starts `uv` or `uvx` by name, so that one has to be on the PATH.

    >>> calls_uv("cd libs && UV_NO_CACHE=1 uv pip install ."), calls_uv("pip install uv")
    (True, False)
    """
    return _UV.search(command) is not None
