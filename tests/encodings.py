"""How a value can be written down, by the standard library and not by us; and the search for all of it."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

__all__ = ["ENCODERS", "base64_of", "forms", "found"]


def _small(text: str) -> str:
    """Percent encoding with small digits."""
    return re.sub("%..", lambda match: match[0].lower(), text)


def _go(text: str) -> str:
    """JSON as Go writes it."""
    plain = json.dumps(text, ensure_ascii=False)
    return plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


ENCODERS: Final[dict[str, Callable[[str], str]]] = {
    "plain": str,
    "reversed": lambda text: text[::-1],
    "shell": shlex.quote,
    "shell, by hand": lambda text: re.sub(r"([^\w@%+=:,./-])", r"\\\1", text),
    "json": json.dumps,
    "json in unicode": lambda text: json.dumps(text, ensure_ascii=False),
    "json of Go": _go,
    "python": repr,
    "python in ASCII": ascii,
    "python bytes": lambda text: repr(text.encode()),
    "url": quote,
    "part of a url": lambda text: quote(text, safe=""),
    "url in small digits": lambda text: _small(quote(text, safe="")),
    "url of JavaScript": lambda text: quote(text, safe="!'()*"),
    "form": quote_plus,
    "form in small digits": lambda text: _small(quote_plus(text)),
    "json in a url": lambda text: quote(json.dumps({"x": text})),
    "html": html.escape,
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of a url": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 of user and value": lambda text: base64.b64encode(f"me:{text}".encode()).decode(),
    "base64 of json": lambda text: base64.b64encode(json.dumps({"auth": text}).encode()).decode(),
    "base64 in a url": lambda text: quote(base64.b64encode(f"x:{text}".encode()).decode(), safe=""),
}


def base64_of(data: bytes) -> Iterator[str]:
    """The characters that hold nothing but bits of the data, wherever these begin in a longer text."""
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * before + data + b"\0\0\0")[first:last].decode()


def forms(value: str) -> Iterator[str]:
    """What must be found nowhere: the value in every encoding, without quotes around it and padding."""
    for encode in ENCODERS.values():
        yield encode(value).strip("\"'=")
    yield from base64_of(value.encode())
    yield from base64_of(json.dumps(value)[1:-1].encode())


def found(value: str, said: str | bytes) -> list[str]:
    """The encodings of a value that are in a text or in bytes."""
    data = said.encode(errors="surrogatepass") if isinstance(said, str) else said
    return sorted({form for form in forms(value) if form.encode() in data})
