"""What foreign text becomes in each output: on a terminal, in Markdown, in HTML, in JSON."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from executor.cli.render import encode
from executor.cli.render.encode import (
    Markdown,
    bullets,
    cell,
    code,
    document,
    element,
    heading,
    html,
    html_lines,
    html_words,
    json_text,
    page,
    terminal,
)
from planner.logins import without_logins
from tests.property import strategies as some

# What GitHub takes for Markdown: CommonMark with tables and strikethrough.
PARSER: Final = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# Format characters that have a picture of their own: signs before Arabic numbers and the like.
VISIBLE: Final = {
    *"\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd",
    *map(chr, range(0x600, 0x606)),
    *map(chr, range(0x13430, 0x13440)),
}

AWKWARD: Final = (
    "\x1b[2J", "\x1b]8;;https://evil.example\x07text\x1b]8;;\x07", "\x9b31m", "\r", "\n", "\t",
    "\x00", "\x7f", "\u202e", "\u2066", "\u200b", "\u200d", "\u2028", "\x85", "\ufe0f",
    "\u2764\ufe0f", "\U000e0041", "\ud800", "\udcff", "\xad", "`", "``", "```", "~~~", "a`b`c",
    "`a``b`", "|", "\\", "\\|", "\\`", "# x", "#1", "x#12", "@me", "@org/team", "a@b.example",
    "GH-1", "https://evil.example", "www.evil.example", "ftp://x", "<b>",
    "<script>alert(1)</script>", "<!-- x", "-->", "&lt;", "&#35;", "&", "[a](b)", "![a](b)",
    "[a]: b", "[^1]", "*x*", "**", "_x_", "__", "~~x~~", "$x$", "==x==", "- x", "+ x", "1. x",
    "1) x", "---", "===", "> x", "    x", ":tada:", ":+1:", "<https://x.example>", "- [ ] x", " ",
    "  \n", "\n\n# x\n", "| a | b |\n| - | - |", "é", "日本",
)  # fmt: skip
foreign = (
    st.lists(st.sampled_from(AWKWARD) | st.text(max_size=4), max_size=6).map("".join)
    | st.text(st.characters(codec=None, categories=["L", "N", "P", "S", "Z", "C"]), max_size=12)
    | st.text(st.sampled_from("`|\\*_<>&#@:/-+=[]()!~$ 1.a\t\n"), max_size=12)
)


def _name(character: str) -> str:
    return unicodedata.name(character, "")


def test_no_character_that_is_obeyed_or_not_seen_is_shown() -> None:
    characters = map(chr, range(sys.maxunicode + 1))
    wrong = [
        f"{ord(character):x}"
        for character in characters
        if (
            unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
            or "VARIATION SELECTOR" in _name(character)
        )
        and character not in VISIBLE
        and character in terminal(character)
    ]
    assert wrong == []


@some.examples(300)
@given(foreign)
def test_a_terminal_is_given_one_line_that_does_nothing(text: str) -> None:
    shown = terminal(text)
    assert all(unicodedata.category(each) not in {"Cc", "Cs", "Zl", "Zp"} for each in shown)
    assert shown.encode() or not text
    assert terminal(shown) == shown


def test_what_is_harmless_is_shown_as_it_is() -> None:
    for text in ("caf\xe9 日本 🚢 \u2764\ufe0f", "a\\b `c` <d> | e", "e\u0301", "לא ישן"):
        assert terminal(text) == text


def test_a_selector_that_no_emoji_takes_is_shown() -> None:
    assert terminal("a\ufe0f") == "a\\ufe0f"
    assert terminal("\u2764\ufe0f\ufe0f") == "\u2764\ufe0f\\ufe0f"


@some.examples(300)
@given(foreign)
@example("\x1b]8;;https://evil.example\x07text\x1b]8;;\x07@me")
def test_json_is_read_as_it_was_and_obeyed_by_no_terminal(text: str) -> None:
    """Without what may be a login, as everywhere."""
    written, kept = json_text({"a": [text], text: None}), without_logins(text)
    assert json.loads(written) == {"a": [kept], kept: None}
    assert terminal(written.replace("\n", "")) == written.replace("\n", "")
    assert json.loads(written.encode())


def _leaves(tokens: list[Token] | None) -> Iterator[Token]:
    for token in tokens or ():
        if token.children:
            yield from _leaves(token.children)
        elif token.type != "inline":
            yield token


def _rendered(markdown: Markdown) -> tuple[set[str], str]:
    """The kinds of what a parser finds, and the text of it."""
    leaves = list(_leaves(PARSER.parse(markdown)))
    return {leaf.type for leaf in leaves}, "".join(leaf.content for leaf in leaves)


TEXT: Final = {"text", "code_inline"}
PARAGRAPH: Final = TEXT | {"paragraph_open", "paragraph_close"}
LIST: Final = {"bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"}
TABLE: Final = {
    f"{part}_{end}" for part in ("table", "thead", "tbody", "tr", "th", "td") for end in ("open", "close")
}
PLACES: Final[dict[str, tuple[Callable[[Markdown], Markdown], set[str], str]]] = {
    "paragraph": (lambda made: made, PARAGRAPH, ""),
    "list": (lambda made: bullets([made]), PARAGRAPH | LIST, ""),
    "list beside another": (lambda made: bullets([cell("a"), made]), PARAGRAPH | LIST, "a"),
    "table": (lambda made: encode.table(["h"], [[made]]), TEXT | TABLE, "h"),
    "document": (lambda made: document([cell("a"), made]), PARAGRAPH, "a"),
}


@pytest.mark.parametrize("place", PLACES)
@some.examples(300)
@given(foreign)
@example("\n| --- |\n")
@example("`a``b`")
@example("a`\\`b")
def test_a_cell_is_text_wherever_it_stands(place: str, text: str) -> None:
    put, kinds, around = PLACES[place]
    found, content = _rendered(put(cell(text)))
    assert found <= kinds
    expected = terminal(text).strip()
    # Between our backticks is code, which shows none.
    assert content.replace("\u200b", "").replace("`", "") == around + expected.replace("`", "")
    if expected.count("`") % 2:
        assert content.replace("\u200b", "") == around + expected


@pytest.mark.parametrize("place", PLACES)
@some.examples(300)
@given(foreign)
def test_code_is_code_wherever_it_stands(place: str, text: str) -> None:
    put, kinds, around = PLACES[place]
    found, content = _rendered(put(code(text)))
    assert found <= kinds
    assert content.startswith(around)
    assert content.removeprefix(around).replace("\u200b", "").strip() == terminal(text).strip()


@some.examples(300)
@given(foreign)
def test_a_heading_is_one_heading(text: str) -> None:
    found, content = _rendered(heading(f"x {text} y"))
    assert found <= TEXT | {"heading_open", "heading_close"}
    assert content.replace("\u200b", "").replace("`", "") == terminal(f"x {text} y").replace("`", "")


@some.examples(300)
@given(foreign)
@example("   ```\nout")
@example("a\n\n```\n<script>\n")
def test_a_block_holds_all_of_its_text(text: str) -> None:
    tokens = PARSER.parse(document([encode.block("title", text), cell("after")]))
    assert [token.type for token in tokens if token.level == 0 and token.nesting >= 0] == [
        "paragraph_open", "fence", "paragraph_open",
    ]  # fmt: skip
    (fence,) = (token for token in tokens if token.type == "fence")
    lines = text.removesuffix("\n").split("\n")
    assert fence.content == "".join("\t".join(map(terminal, line.split("\t"))) + "\n" for line in lines)


@some.examples(300)
@given(foreign)
def test_nobody_is_mentioned_and_nothing_linked(text: str) -> None:
    """GitHub makes links of these in the text that comes of Markdown, whatever was escaped in it."""
    for leaf in _leaves(PARSER.parse(cell(text))):
        if leaf.type == "text":
            assert not re.search(r"@\w|#\d|://|\b(?i:www\.|gh-\d)|:(?:[a-z][\w+-]*|[+-]1):", leaf.content)


def test_own_words_keep_their_code() -> None:
    assert cell("write it with `stowplan lock`") == "write it with `stowplan lock`"


class Heard(HTMLParser):
    """What a parser of HTML makes of a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.said: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.said += [("start", tag), *((name, value or "") for name, value in attrs)]

    def handle_endtag(self, tag: str) -> None:
        self.said.append(("end", tag))

    def handle_data(self, data: str) -> None:
        if self.said and self.said[-1][0] == "text":
            data = self.said.pop()[1] + data
        self.said.append(("text", data))

    def handle_comment(self, data: str) -> None:
        self.said.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.said.append(("declaration", decl))


@some.examples(300)
@given(foreign)
@example("</script><script>")
@example("\0&#0;&nbsp")
def test_foreign_text_is_text_in_html(text: str) -> None:
    shown = terminal(text)
    said = [("text", shown)] if shown else []
    assert Heard(element("p", html(text))).said == [("start", "p"), *said, ("end", "p")]
    attribute = [("title", shown)] if text else []
    assert Heard(element("p", title=text)).said == [("start", "p"), *attribute, ("end", "p")]


@some.examples(300)
@given(foreign)
def test_words_in_html_have_no_markup_but_code(text: str) -> None:
    said = Heard(html_words(text)).said
    assert {item for item in said if item[0] != "text"} <= {("start", "code"), ("end", "code")}
    words = "".join(data for kind, data in said if kind == "text")
    assert words.replace("`", "") == terminal(text).replace("`", "")


@some.examples(100)
@given(foreign)
def test_lines_of_html_are_those_of_the_text(text: str) -> None:
    shown = "\n".join(terminal(line.expandtabs()) for line in text.split("\n"))
    assert Heard(html_lines(text)).said == ([("text", shown)] if shown else [])


def test_a_style_or_a_script_cannot_end_its_element() -> None:
    for text in ("a</style>b", "</SCRIPT ", "<!-- "):
        with pytest.raises(ValueError, match="cannot end it"):
            page("x", [], style=text, script="")
        with pytest.raises(ValueError, match="cannot end it"):
            page("x", [], style="", script=text)


def test_logins_are_not_in_html() -> None:
    assert "s3cr3t" not in html("https://user:s3cr3t@example.org/simple")
    assert "s3cr3t" not in html_words("see `https://user:s3cr3t@example.org/simple`")
