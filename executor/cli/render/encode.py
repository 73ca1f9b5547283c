"""One encoder for each output: terminal, Markdown, HTML, JSON. What is not ours passes through one of them.

Owns which characters are shown as text, and how Markdown and HTML are kept from being markup. Text that was
encoded for one of them has a type of its own, which only this module makes. Logins are masked on the way.
Refuses to know what is encoded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NewType

__all__ = [
    "MARKER", "Html", "Markdown", "block", "bold", "bullets", "cell", "code", "document", "element",
    "heading", "html", "html_lines", "html_words", "joined", "json_text", "page", "table", "terminal",
    "yaml_text",
]  # fmt: skip

Markdown = NewType("Markdown", str)
"""Text whose markup is ours."""

Html = NewType("Html", str)
"""The same for HTML."""

MARKER: Final = Markdown("<!-- stowplan diff -->")
"""Begins what `stowplan diff` writes, and shows nowhere."""

# What moves the cursor, starts a control sequence, ends a line or reorders it (Unicode: Cc, Zl, Zp,
# Bidi_Control), what nobody sees (Default_Ignorable_Code_Point, tags and variation selectors among them),
# and halves of surrogate pairs, which no UTF-8 can hold.
_UNSEEN: Final = (
    "\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Emoji come with these two. Elsewhere they are variation selectors like all others.
_PRESENTATION: Final = (
    "(?<![\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u27bf\u2934\u2935\u2b00-\u2bff\u3030\u303d"
    "\u3297\u3299\U0001f000-\U0001faff])[\ufe0e\ufe0f]"
)
# Compiled when they are used: that takes a millisecond, and most lines are plain.
_CONTROLS: Final = f"[\x00-\x1f{_UNSEEN}]|{_PRESENTATION}"
# In JSON that was written, a line end is always ours.
_JSON_CONTROLS: Final = f"[{_UNSEEN}]|{_PRESENTATION}"


def terminal(text: str) -> str:
    r"""One line that a terminal shows and does not obey: controls, line ends and tabs as `\x1b`, `\n`."""
    text = _without_logins(text)
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_CONTROLS, lambda match: ascii(match[0])[1:-1], text)


def json_text(data: Mapping[str, Any]) -> str:
    r"""An object as JSON that can be printed on a terminal: what `terminal` would show is `\uXXXX`."""
    text = json.dumps(_masked(data), indent=2, ensure_ascii=False)
    return re.sub(_JSON_CONTROLS, lambda match: json.dumps(match[0])[1:-1], text)


def yaml_text(data: Mapping[str, Any]) -> str:
    """An object as YAML that can be printed on a terminal: what is not ASCII is an escape."""
    from executor.workflow.build_files import yaml_text as text  # noqa: PLC0415  # few outputs are YAML

    return text(_masked(data))


def _without_logins(text: str) -> str:
    if "@" not in text and "=" not in text:
        return text
    from planner.logins import without_logins  # noqa: PLC0415  # `stowplan --version` loads no planner

    return without_logins(text)


def _masked(data: Any) -> Any:
    match data:
        case str():
            return _without_logins(data)
        case Mapping():
            return {_without_logins(key): _masked(item) for key, item in data.items()}
        case list() | tuple():
            return [_masked(item) for item in data]
        case _:
            return data


# GitHub, GitLab and others make links of these after Markdown was rendered, so no escape helps: mentions
# and addresses, issues, URLs, and pictures by their names.
_LINKED: Final = (
    r"@(?=\w)|#(?=\d)|(?i:\bgh-(?=\d))|:(?=//)|(?i:\bwww(?=\.))|:(?=(?:[a-z][\w+-]{0,60}|[+-]1):)"
)
_HTML: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_MARKUP: Final = re.compile(r"[\\`*_\[\]#~$!^=]")
# A list, a heading or a line of its own, at the beginning of a line.
_BEGINNING: Final = re.compile(r"[-+:]|(?<=\d)[.)]")
_NUMBER: Final = re.compile(r"\d{0,9}")


def cell(text: str) -> Markdown:
    """Text that stands for itself in Markdown: nothing of it is markup, a link or a mention.

    Only what stands between two backticks, as our own words have it, is code.
    """
    parts = _between_backticks(terminal(text).strip())
    return Markdown(
        "".join(
            code(part) if index % 2 else _plain(part, begins=not index) for index, part in enumerate(parts)
        )
    )


def _between_backticks(plain: str) -> list[str]:
    """Encoded text in parts, of which each second is code; one part where backticks do not mean that."""
    parts = plain.split("`")
    return [plain] if len(parts) % 2 == 0 or not all(map(str.strip, parts[1:-1])) else parts


def _plain(text: str, *, begins: bool = True) -> Markdown:
    """Encoded text of which no character is markup; `begins` says that a line may begin with it."""
    # A zero-width space keeps them apart, and reads the same.
    text = re.sub(_LINKED, lambda match: f"{match[0]}\u200b", text)
    number = _NUMBER.match(text)
    start = number.end() if number else 0
    text = _MARKUP.sub(r"\\\g<0>", text)
    if begins and _BEGINNING.match(text, start):
        text = f"{text[:start]}\\{text[start:]}"
    return Markdown(re.sub("[&<>|]", lambda match: _HTML[match[0]], text))


def code(text: str) -> Markdown:
    """Text as Markdown code, in a cell or elsewhere; empty if there is none."""
    plain = terminal(text)
    if not plain.strip():
        return Markdown("")
    if "|" in plain:
        # In the code of a table, a backslash before a bar cannot be written.
        return _plain(plain.strip())
    fence = "`" * (_longest_run(plain) + 1)
    # CommonMark takes one space off both ends.
    pad = " " if plain[0] in "` " or plain[-1] in "` " else ""
    return Markdown(f"{fence}{pad}{plain}{pad}{fence}")


def _longest_run(text: str) -> int:
    """Of how many backticks the longest run of them is."""
    return max(map(len, re.findall("`+", text)), default=0)


def bold(text: str) -> Markdown:
    """Text in bold."""
    return Markdown(f"**{cell(text)}**")


def joined(separator: Literal[", ", "<br>", ": ", " "], parts: Iterable[Markdown]) -> Markdown:
    """Parts beside or below each other."""
    return Markdown(separator.join(parts))


def heading(text: str) -> Markdown:
    """A heading of the third level: what it stands in has its own."""
    return Markdown(f"### {cell(text)}")


def bullets(items: Iterable[Markdown]) -> Markdown:
    """A list."""
    return Markdown("\n".join(f"- {item}" for item in items))


def table(heads: Sequence[str], rows: Iterable[Sequence[Markdown]]) -> Markdown:
    """A table."""
    lines: list[Sequence[str]] = [[cell(head) for head in heads], ["---"] * len(heads), *rows]
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))


def block(title: str, text: str) -> Markdown:
    """Text of several lines as it stands, below a title."""
    fence = "`" * max(3, _longest_run(text) + 1)
    lines = ("\t".join(map(terminal, line.split("\t"))) for line in text.removesuffix("\n").split("\n"))
    return Markdown("\n".join([f"{cell(title)}:", "", fence, *lines, fence]))


def document(parts: Iterable[Markdown]) -> Markdown:
    """Parts one after the other, with the line end of the last."""
    return Markdown("\n\n".join(part.rstrip("\n") for part in parts if part) + "\n")


_WITHOUT_END: Final = frozenset({"input", "meta"})


def html(text: str) -> Html:
    """Text that stands for itself in HTML, between elements and in the quotes of an attribute."""
    from html import escape  # noqa: PLC0415  # few outputs are HTML

    return Html(escape(terminal(text)))


def html_words(text: str) -> Html:
    """Words of ours, as `html` has them: what stands between two backticks is code."""
    parts = map(html, _between_backticks(text))
    return Html("".join(element("code", part) if index % 2 else part for index, part in enumerate(parts)))


def html_lines(text: str) -> Html:
    """Text of several lines, each as `html` has it; a tab is spaces."""
    return Html("\n".join(html(line.expandtabs()) for line in text.split("\n")))


def element(name: str, /, *content: Html, **attributes: str | bool) -> Html:
    """An element. Its name and those of its attributes are ours; values are encoded.

    `_` stands for `-` in the name of an attribute, and means nothing at the end of one. True is an attribute
    without a value; False, and an empty value, is none.
    """
    said = "".join(
        f" {key.strip('_').replace('_', '-')}" + ("" if value is True else f'="{html(str(value))}"')
        for key, value in attributes.items()
        if value
    )
    end = "" if name in _WITHOUT_END else f"</{name}>"
    return Html(f"<{name}{said}>{''.join(content)}{end}")


def page(title: str, content: Iterable[Html], *, style: str, script: str) -> Html:
    """A page that loads nothing: its one style and its one script, which are ours, are all that may be in it.

    Whatever else asks to be loaded or run is refused by the browser.
    """
    policy = (
        f"default-src 'none'; style-src '{_source(style)}'; script-src '{_source(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="generator", content="stowplan"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", html(title)),
        element("style", _own(style)),
    )
    body = element("body", *content, element("script", _own(script)))
    return Html(f"<!doctype html>\n{element('html', head, body, lang='en')}\n")


def _own(text: str) -> Html:
    """A style or a script of ours, as it is."""
    if "</" in text or "<!--" in text:
        raise ValueError("what stands in an element as it is cannot end it")
    return Html(text)


def _source(text: str) -> str:
    """A style or a script by its hash, as a Content-Security-Policy names it."""
    import base64  # noqa: PLC0415  # few outputs are HTML
    import hashlib  # noqa: PLC0415  # as above

    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
