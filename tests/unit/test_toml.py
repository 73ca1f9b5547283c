"""TOML is read within limits: of integers, of nesting, of keys. Each is far from what people write."""

from __future__ import annotations

import pytest

from planner.toml import InvalidToml, parse

REFUSED = {
    "an integer of 65 bits": (f"a = 1\n\nb = {2**63}\n", "an integer of more than 64 bits", None),
    "a negative one": (f"a = [[{-(2**63) - 1}]]\n", "an integer of more than 64 bits", None),
    "5,000 digits": ("a = " + "9" * 5000, "an integer of more than 64 bits", None),
    "lists in lists": ("a = " + "[" * 65 + "]" * 65, "tables and lists nested more than 64 deep", None),
    "lists for ever": ("a = " + "[" * 100_000, "tables and lists nested more than 64 deep", None),
    "tables in tables": (
        "a = " + "{b = " * 70 + "1" + "}" * 70,
        "tables and lists nested more than 64 deep",
        None,
    ),
    "tables for ever": ("a = " + "{b = " * 10_000, "tables and lists nested more than 64 deep", None),
    "a key": ("\n" + ".".join("a" * 65) + " = 1", "a key of more than 64 parts", 2),
    "a key for ever": (".".join("a" * 1_000_000) + " = 1", "a key of more than 64 parts", 1),
    "the name of a table": ("x = 1\n[ " + " . ".join(["'a.b'"] * 65) + "]", "a key of more than 64 parts", 2),
    "a key in an inline table": ("x = { " + ".".join(['"a"'] * 65) + "=1}", "a key of more than 64 parts", 1),
    "broken": ("a = 1\nb = \n", "not TOML: an invalid value", 2),
    "broken at its end": ("a = ", "not TOML: an invalid value", 1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_goes_beyond_a_limit_is_refused_in_words(name: str) -> None:
    text, found, line = REFUSED[name]
    with pytest.raises(InvalidToml) as raised:
        parse(text)
    assert (raised.value.found, raised.value.line) == (found, line)


TAKEN = {
    "integers of 64 bits": (f"a = {2**63 - 1}\nb = {-(2**63)}", {"a": 2**63 - 1, "b": -(2**63)}),
    "63 tables": ("[" + ".".join("a" * 63) + "]", None),
    "dots in a text": ('a = "' + ".".join("b" * 500) + '"', {"a": ".".join("b" * 500)}),
    "dots in quotes": ('"' + ".".join("b" * 500) + '" = 1', {".".join("b" * 500): 1}),
    "true is no integer": ("a = true", {"a": True}),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_stays_within_the_limits_is_read(name: str) -> None:
    text, data = TAKEN[name]
    read = parse(text)
    assert data is None or read == data


@pytest.mark.parametrize(
    ("text", "found", "fix"),
    [
        ("a = x", "an invalid value", "put text in quotes; write true and false in lower case"),
        ('a = "x', "a string that does not end", "end it with its quotes"),
        ('a = "x\n', "a string that does not end on its line", "end it with a quote"),
        (
            'a = "C:\\data"',
            "a backslash in double quotes",
            "double the backslash, or put the text in single quotes",
        ),
        ("a: 1", "no '=' after a name", "write name = value"),
        ("a = 1 2", "text after a value", "write each name = value on its own line"),
        ("[a", "a [table] that does not close", "add the missing ]"),
        ("a = [1", "a list that does not close", "add the missing ]"),
        ("a = { b = 1", "an inline table that does not close", "add the missing }"),
        ("a = 1\na = 2", "a name that is already defined", "keep one of the two"),
        ("a = { b = 1, b = 2 }", "'b' is defined twice in one table", "keep one of the two"),
        ("a = { b = 1 }\n[a.c]", "[a.c] is defined twice", "put everything in one table"),
        ("[a.b]\n['a'.b]", "[a.b] is defined twice", "put everything in one table"),
    ],
)
def test_what_is_not_toml_is_said_with_what_to_write(text: str, found: str, fix: str) -> None:
    with pytest.raises(InvalidToml) as raised:
        parse(text)
    assert (raised.value.found, raised.value.fix) == (f"not TOML: {found}", fix)
