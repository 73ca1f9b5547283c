"""One encoder for each output: whatever is not ours passes through it.

Owns which characters reach a terminal and how Markdown is kept from being markup. Refuses to know what is
encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["cell", "code", "table", "terminal"]

# Everything that moves the cursor, starts a control sequence, or reorders text (Unicode's "Bidi_Control").
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
_MARKUP = re.compile(r"([\\|`*_\[\]#~])")


def terminal(text: str) -> str:
    r"""Text that a terminal shows and does not obey: control characters as `\x1b`."""
    return _CONTROLS.sub(lambda match: repr(match[0])[1:-1], text)


def cell(text: str) -> str:
    """Text that stands for itself in Markdown: no character of it is markup, and nobody is mentioned."""
    safe = terminal(" ".join(text.splitlines()))
    safe = safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = _MARKUP.sub(r"\\\1", safe)
    # A zero-width space keeps `@name` from being a mention, and reads the same.
    return re.sub(r"@(?=\w)", "@\u200b", safe)


def code(text: str) -> str:
    """Text as Markdown code, in a cell or elsewhere."""
    plain = terminal(" ".join(text.splitlines())).replace("`", "'").replace("|", "\u2502")
    return f"`{plain}`" if plain else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
