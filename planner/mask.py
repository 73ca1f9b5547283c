"""The mask of what a build says: values of variables, in every encoding they can stand in, and logins.

The time it takes grows with the length of a text and not faster, whatever the text is. Refuses to know where
a text comes from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from attrs import field

from planner.immutable import frozen
from planner.logins import HIDDEN, without_logins

__all__ = ["Mask"]

# Shorter values would hide half of every log, and are no secrets.
_SHORTEST: Final = 4
# Of a value that a line end cuts, pieces of this length are found.
_PIECE: Final = 8
# The pieces of longer forms are too many to keep: they are looked for in the forms.
_LONG: Final = 8192
# BuildKit puts it before each line of what a command writes.
_BUILDKIT: Final = r"#\d+ \d+\.\d+ "


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


@frozen
class Mask:
    """Hides values in a text, however they are encoded there, and all logins.

    >>> Mask(["hunter22"])("login bWU6aHVudGVyMjI=, https://me:other@host/")
    'login bWU6***I=, https://***@host/'
    """

    values: Collection[str] = field(default=(), converter=_distinct, repr=False)
    _forms: tuple[str, ...] = field(init=False, repr=False, eq=False)
    _short: tuple[str, ...] = field(init=False, repr=False, eq=False)
    _by_start: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, eq=False)
    _pieces: frozenset[str] = field(init=False, repr=False, eq=False)
    _long: tuple[str, ...] = field(init=False, repr=False, eq=False)

    @_forms.default
    def _all_forms(self) -> tuple[str, ...]:
        forms = {form for value in self.values for form in _encoded(value) if len(form) >= _SHORTEST}
        # The longest first, or a value that begins with another one would show its rest.
        return tuple(sorted(forms, key=lambda form: (-len(form), form)))

    @_short.default
    def _all_short(self) -> tuple[str, ...]:
        return tuple(form for form in self._forms if len(form) < _PIECE)

    @_by_start.default
    def _all_starts(self) -> Mapping[str, tuple[str, ...]]:
        """The forms by what they begin with: a text is looked through once, however many there are."""
        found: dict[str, list[str]] = {}
        for form in self._forms:
            if len(form) >= _PIECE:
                found.setdefault(form[:_PIECE], []).append(form)
        return {start: tuple(forms) for start, forms in found.items()}

    @_pieces.default
    def _all_pieces(self) -> frozenset[str]:
        return frozenset(
            form[start : start + _PIECE]
            for form in self._forms
            if _PIECE < len(form) <= _LONG
            for start in range(len(form) - _PIECE + 1)
        )

    @_long.default
    def _all_long(self) -> tuple[str, ...]:
        return tuple(form for form in self._forms if len(form) > _LONG)

    def __call__(self, text: str) -> str:
        """The text with `***` in place of every value and every login."""
        if self._forms:
            for form in (*self._beginning(text), *self._short):
                text = text.replace(form, HIDDEN)
            if len(text) >= _PIECE:
                lines = text.split("\n") if "\n" in text else (text,)
                text = "\n".join(map(self._whole_pieces, lines))
        return without_logins(text)

    def _beginning(self, text: str) -> Iterable[str]:
        """The forms whose beginnings are in a text, the longest first."""
        parts = {text[at : at + _PIECE] for at in range(len(text) - _PIECE + 1)}
        if self._by_start.keys().isdisjoint(parts):
            return ()
        found = [form for start in self._by_start.keys() & parts for form in self._by_start[start]]
        return sorted(found, key=lambda form: (-len(form), form))

    def _whole_pieces(self, line: str) -> str:
        """A line without the piece of a value that it begins or ends with: its other lines have the rest."""
        line_end = line.rstrip()
        if self._is_piece(line_end[-_PIECE:]):
            cut = max(map(len, self._ends(line_end)), default=0)
            line = (line_end[:-cut] if cut else line_end) + (HIDDEN if cut else "")
        prefix = re.match(_BUILDKIT, line)
        begin = prefix.end() if prefix else 0
        if self._is_piece(line[begin : begin + _PIECE]):
            cut = max(map(len, self._beginnings(line, begin)), default=0)
            line = line[:begin] + (HIDDEN if cut else "") + line[begin + cut :]
        return line

    def _is_piece(self, text: str) -> bool:
        return text in self._pieces or (len(text) == _PIECE and any(text in form for form in self._long))

    def _ends(self, line: str) -> Iterator[str]:
        """The beginnings of values that a line ends with, or that it is a part of."""
        prefix = re.match(_BUILDKIT, line)
        whole = line[prefix.end() if prefix else 0 :]
        for form in self._forms:
            if whole in form:
                yield whole
            at = form.find(line[-_PIECE:])
            while at >= 0:
                if line.endswith(form[: at + _PIECE]):
                    yield form[: at + _PIECE]
                at = form.find(line[-_PIECE:], at + 1)

    def _beginnings(self, line: str, begin: int) -> Iterator[str]:
        """The ends of values that a line begins with."""
        piece = line[begin : begin + _PIECE]
        for form in self._forms:
            at = form.find(piece)
            while at >= 0:
                if line.startswith(form[at:], begin):
                    yield form[at:]
                at = form.find(piece, at + 1)


def _encoded(value: str) -> Iterator[str]:
    """A value as it can stand in a text.

    Plain, or from its end to its beginning; quoted for a shell, a Dockerfile, Python, JSON, HTML or a URL; in
    hexadecimal digits or in base64.
    """
    for text in {value, value.strip(), *value.splitlines()}:
        yield text
        yield text.replace("'", "'\"'\"'")
        yield text.replace("'", "'\\''")
        yield re.sub(r"([^\w@%+=:,./-])", r"\\\1", text)
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        yield escaped
        yield escaped.replace("$", "\\$")
        yield escaped.replace("$", "\\$").replace("`", "\\`")
        yield repr(text)[1:-1]
        yield ascii(text)[1:-1]
        yield repr(text.encode(errors="surrogateescape"))[2:-1]
        html = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield html
        yield html.replace('"', "&quot;").replace("'", "&#x27;")
        yield html.replace('"', "&#34;").replace("'", "&#39;")
        yield text[::-1]
        for form in _distinct((text, *_json(text))):
            data = form.encode(errors="surrogateescape")
            yield form
            yield from _in_url(data)
            yield data.hex()
            yield data.hex().upper()
            for core in _base64(data):
                yield core
                yield core.replace("+", "-").replace("/", "_")
                yield core.replace("+", "%2B").replace("/", "%2F")


def _json(text: str) -> Iterator[str]:
    """A text in JSON, as Python and as Go write it."""
    import json  # noqa: PLC0415  # see _base64

    for plain in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield plain
        yield plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


# What encoders of URLs leave as it is beside letters and digits: the least, paths, and JavaScript.
_UNRESERVED: Final = ("_.-~", "_.-~/", "_.-~!'()*")


def _in_url(data: bytes) -> Iterator[str]:
    """Bytes in a URL, with digits of both cases, and with both spellings of a space."""
    for safe in _UNRESERVED:
        for digits in ("%{:02X}", "%{:02x}"):
            written = "".join(
                chr(byte)
                if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in safe)
                else digits.format(byte)
                for byte in data
            )
            yield written
            yield written.replace("%20", "+")


def _base64(data: bytes) -> Iterator[str]:
    """What three bytes at a time come to wherever the data begin, in a text that is encoded as a whole.

    The first and the last character also depend on what stands beside the data: they are left out.
    """
    import base64  # noqa: PLC0415  # only values need it

    for offset in range(3):
        written = base64.b64encode(b"\0" * offset + data).decode()
        yield written[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]
