"""A still of a terminal: what was printed, in its colours, as one SVG that loads nothing."""

from __future__ import annotations

import io
import re
from html import escape, unescape
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

__all__ = ["said", "still"]

# Colours that can be read on a light ground. First the eight usual ones, from black to white.
_THEME: Final = TerminalTheme(
    (246, 248, 250),
    (10, 12, 14),
    [(27, 31, 36), (164, 14, 29), (18, 96, 43), (138, 70, 0), (5, 80, 174), (102, 57, 186), (4, 95, 115),
     (87, 96, 106)],
)  # fmt: skip
# Of rich's own format, what needs neither a network nor a font that is not there.
_FORMAT: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<desc>%s</desc>
<style>
.{unique_id}-matrix {{ font: {char_height}px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
_SAID: Final = re.compile(r"<desc>(.*?)</desc>", re.DOTALL)


def still(printed: str) -> str:
    """An SVG of what was printed, as wide as its longest line. Its description is the text."""
    text = Text.from_ansi(printed.rstrip())
    width = max(line.cell_len for line in text.split("\n"))
    console = Console(file=io.StringIO(), record=True, width=width, force_terminal=True)
    console.print(text)
    # rich fills the format in as `str.format` does.
    description = escape(text.plain, quote=False).replace("{", "{{").replace("}", "}}")
    drawn = console.export_svg(
        title="", theme=_THEME, code_format=_FORMAT.replace("%s", description), unique_id="still"
    )
    return "".join(f"{line.rstrip()}\n" for line in drawn.splitlines())


def said(svg: str) -> str:
    """The text of a still."""
    found = _SAID.search(svg)
    assert found, "there is no text in the still"
    return unescape(found[1])
