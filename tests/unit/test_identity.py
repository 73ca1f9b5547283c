"""Canonical bytes, written out: hashes of pushed images depend on every one of them."""

from __future__ import annotations

import hashlib
from enum import Enum, StrEnum
from typing import Any

import attrs
import pytest
from attrs import field, frozen

from planner import Digest, EnvTemplate, FrozenMapping, ImageRef
from planner.identity import COUNTED, NOT_COUNTED, canonical, content_hash, counts, variable_fingerprint


class Colour(StrEnum):
    RED = "red"


class Count(Enum):
    ONE = 1


@frozen
class Value:
    name: str = field(metadata=COUNTED)
    seen: int | None = field(default=None, metadata=COUNTED)
    tag: str = field(default="x", metadata=NOT_COUNTED)
    later: str | None = field(default=None, metadata=COUNTED)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, b"n;"),
        (True, b"t;"),
        (False, b"f;"),
        (0, b"i0;"),
        (-12, b"i-12;"),
        ("", b"s0:"),
        ("ab", b"s2:ab"),
        ("\xe9", b"s2:\xc3\xa9"),
        (b"ab", b"b2:ab"),
        ((), b"l0:"),
        (("a", 1), b"l2:s1:ai1;"),
        (frozenset({"b", "a"}), b"u2:s1:as1:b"),
        (FrozenMapping({"b": 1, "a": None}), b"m2:s1:an;s1:bi1;"),
        ({"b": 1, "a": None}, b"m2:s1:an;s1:bi1;"),
        # The text of these is all they are.
        (Digest("0" * 64), b"s71:sha256:" + b"0" * 64),
        (EnvTemplate("${A}"), b"s4:${A}"),
        (ImageRef.parse("python"), b"s31:docker.io/library/python:latest"),
        (Colour.RED, b"s3:red"),
        (Count.ONE, b"i1;"),
        # The fields of a value that count, by their names; one that is None is left out.
        (Value("a", 1), b"vm2:s4:names1:as4:seeni1;"),
        (Value("a"), b"vm1:s4:names1:a"),
    ],
)
def test_canonical_bytes(value: Any, expected: bytes) -> None:
    assert canonical(value) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a", ("b", "c")), (("a", "b"), "c")),
        (("a", ("b", "c")), ("a", "b", "c")),
        (((),), ()),
        ((None,), ()),
        (None, ""),
        (None, ()),
        ("", ()),
        ((), FrozenMapping()),
        ((), frozenset()),
        (1, True),
        (0, False),
        (1, "1"),
        (True, "True"),
        ("a", b"a"),
        ("n;", None),
        (("s1:a",), ("a",)),
        (("a", "b"), frozenset({"a", "b"})),
        (FrozenMapping({"a": "b"}), ("a", "b")),
        (FrozenMapping({"a": FrozenMapping({"b": "c"})}), FrozenMapping({"a": "b", "c": ""})),
        ("\xe9", "e\u0301"),
    ],
)
def test_different_values_have_different_bytes(one: Any, other: Any) -> None:
    assert canonical(one) != canonical(other)


def test_order_counts_where_it_means_something() -> None:
    assert canonical(("a", "b")) != canonical(("b", "a"))
    assert canonical(frozenset(["a", "b"])) == canonical(frozenset(["b", "a"]))
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})


@pytest.mark.parametrize("value", [1.5, float("nan"), [1], {1}, object(), str, bytearray(b"a"), (1, [2])])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    """`repr` would be a form that changes with the machine and the version of Python."""
    with pytest.raises(TypeError, match="no canonical form for"):
        canonical(value)


def test_a_field_that_does_not_say_whether_it_counts_cannot_be_hashed() -> None:
    @frozen
    class Silent:
        name: str

    with pytest.raises(KeyError, match="the field 'name' does not say whether it counts"):
        canonical(Silent("a"))


def test_what_counts_is_said_where_a_field_is_declared() -> None:
    assert [counts(attribute) for attribute in attrs.fields(Value)] == [True, True, False, True]
    assert canonical(Value("a", 1)) != canonical(Value("a"))
    assert canonical(Value("a", 1, "x")) == canonical(Value("a", 1, "y"))
    # All the way down.
    assert canonical((FrozenMapping({"k": Value("a", 1, "x")}),)) == canonical(({"k": Value("a", 1, "y")},))


def test_a_new_optional_field_moves_no_hash() -> None:
    """`later` is None in all that was hashed before it was there."""
    assert b"later" not in canonical(Value("a"))
    assert canonical(Value("a", later="")) != canonical(Value("a"))


def test_a_hash_names_its_schema_and_its_kind() -> None:
    expected = hashlib.sha256(b"l3:s14:stowplan/imagei2;s1:a").hexdigest()
    assert content_hash("image", "a").hex == expected
    assert content_hash("plan", "a").hex != expected


def test_the_value_of_a_variable_is_not_hashed_plainly() -> None:
    """Written out: scrypt of RFC 7914, salted with the name, so that no table of common values helps."""
    salt = b"l3:s17:stowplan/variablei2;s5:TOKEN"
    expected = hashlib.scrypt(b"s3cr3t", salt=salt, n=2**14, r=8, p=1, dklen=32).hex()
    assert variable_fingerprint("TOKEN", "s3cr3t").hex == expected
    assert variable_fingerprint("OTHER", "s3cr3t").hex != expected
