"""Values are hidden however they are encoded, and whatever looks like a login in a URL or a reference."""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from planner.logins import HIDDEN, holds_login, without_logins
from planner.mask import Mask
from tests.encodings import ENCODERS
from tests.property import strategies as some

# With the characters that encoders change, and long enough not to stand in a text by accident.
tokens = st.text(st.sampled_from("abcXYZ0189-_'\"$\\ #=+/&<>é日"), min_size=12, max_size=40)


@pytest.mark.parametrize("encoder", ENCODERS)
@some.examples(60)
@given(
    tokens,
    st.text(st.sampled_from("ab :/=\"'"), max_size=5),
    st.text(st.sampled_from("ab :/=\"'"), max_size=5),
)
def test_a_value_is_hidden_in_every_encoding(encoder: str, token: str, before: str, after: str) -> None:
    assume(token.strip() == token)
    written = ENCODERS[encoder](token)
    shown = Mask([token])(before + written + after)
    assert HIDDEN in shown
    assert written not in shown
    # Of base64, the bits that a character shares with those of other bytes may be left.
    inner = written.strip("\"'=")
    assert max((len(part) for part in shown.split(HIDDEN)), default=0) <= max(
        len(before) + len(after), len(written) - len(inner) + 24
    )


@some.examples(300)
@given(st.binary(max_size=7), tokens, st.binary(max_size=7), st.booleans())
def test_base64_is_hidden_at_each_of_three_offsets(
    before: bytes, token: str, after: bytes, url: bool
) -> None:
    assume(token.strip() == token)
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    written = encode(before + token.encode() + after).decode()
    # The characters that hold nothing but bits of the token.
    first, last = -(-len(before) * 8 // 6), (len(before) + len(token.encode())) * 8 // 6
    shown = Mask([token])(f"<{written}>")
    assert HIDDEN in shown
    # Of a token that repeats itself, another piece of the same length may be hidden.
    assert len(shown.replace(HIDDEN, "")) <= len(written) - (last - first) + 4
    assert written[first:last] not in shown


@some.examples(200)
@given(
    st.text(st.sampled_from("abcXYZ0189-_+/="), min_size=60, max_size=300),
    st.integers(20, 80),
    st.sampled_from(["", "#7 0.123 "]),
    st.sampled_from([str, ENCODERS["base64"], ENCODERS["base64 of user and value"], ENCODERS["hex"]]),
)
def test_a_value_that_lines_cut_is_hidden(
    token: str, width: int, prefix: str, encode: Callable[[str], str]
) -> None:
    """As `base64` and `xxd` cut it; at most a rest of some characters is left at an end."""
    mask = Mask([token])
    secret = encode(token).strip("=")
    for line in textwrap.wrap(encode(token), width):
        shown = mask(f"{prefix}{line}").removeprefix(prefix)
        for part in shown.split(HIDDEN):
            assert len(part) < 12 or part not in secret
    assert secret not in mask("\n".join(textwrap.wrap(encode(token), width))).replace("\n", "")


@some.examples(100)
@given(st.lists(tokens, min_size=1, max_size=4), st.text(st.sampled_from("abcXYZ \n"), max_size=60))
def test_what_is_no_value_is_shown(values: list[str], text: str) -> None:
    assert Mask(values)(text) == text or any(
        text[start : start + 4] in value for value in values for start in range(len(text) - 3)
    )


def test_short_values_are_no_secrets() -> None:
    assert Mask(["abc", "", "1"])("abc 1 of the ship") == "abc 1 of the ship"
    assert Mask(["abcd"])("abcd ab cd") == f"{HIDDEN} ab cd"


def test_a_mask_does_not_show_what_it_hides() -> None:
    assert "hunter22" not in repr(Mask(["hunter22"]))


users = st.text(st.sampled_from("abXY09._~!*+-%"), min_size=1, max_size=8)
passwords = st.text(st.sampled_from("abXY09:@/?#!$&'()*+,;=%[]{}|^~"), min_size=6, max_size=20).filter(
    lambda text: not re.match(r"\d{0,5}([/?#'),;\]}]|$)", text) and "$" not in text
)
schemes = st.sampled_from(["https", "http", "git+https", "ssh", "postgres", "redis", "s3", "HTTP"])


@some.examples(300)
@given(
    schemes,
    users,
    passwords,
    st.sampled_from(["h", "h.example:443", "[::1]:80"]),
    st.sampled_from(["", "/x", "/x@v1"]),
)
@example("https", "u", "p@ss/word", "h", "/x")
@example("https", "u", "it's", "h", "")
def test_a_password_in_a_url_is_hidden(scheme: str, user: str, password: str, host: str, path: str) -> None:
    for text in (
        f"{scheme}://{user}:{password}@{host}{path}",
        f"see '{scheme}://{user}:{password}@{host}{path}', and https://h/",
    ):
        shown = without_logins(text)
        assert password not in shown
        assert f"{scheme}://{HIDDEN}@" in shown
        assert holds_login(text)
        assert without_logins(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://token@host/x", "https://***@host/x"),
        ("me:hunter22@r.io/x:1", "***@r.io/x:1"),
        ("push 'me:hunter22@localhost:5000/x'", "push '***@localhost:5000/x'"),
        ("https://h/x?token=hunter22&a=b", "https://h/x?token=***&a=b"),
        ("https://h/x?a=b&access_token=hunter22", "https://h/x?a=b&access_token=***"),
        ("https://h/x#id_token=hunter22", "https://h/x#id_token=***"),
        ("https://h/x?X-Amz-Signature=hunter22", "https://h/x?X-Amz-Signature=***"),
        ("https://h/x?sig=hunter%2F22", "https://h/x?sig=***"),
        ("> Authorization: Basic bWU6aHVudGVyMjI=", "> Authorization: Basic ***"),
        ('{"Authorization": "Bearer hunter22", "a": 1}', '{"Authorization": "Bearer ***", "a": 1}'),
        ("-H 'authorization: hunter22'", "-H 'authorization: ***'"),
        ('{"u":"https://a:hunter22@h","v":"w"}', '{"u":"https://***@h","v":"w"}'),
    ],
)
def test_logins_are_hidden(text: str, shown: str) -> None:
    assert without_logins(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "python:3.11@sha256:" + "0" * 64,
        "localhost:5000/x:1@sha256:" + "0" * 64,
        "x @ git+https://github.com/o/x.git@v1",
        "git+ssh://git@github.com:22/o/x.git@v1",
        "ssh://me@host", "postgres://app@db/x", "https://[::1]:80/x@y", "http://h:8080/x@v1",
        "https://${TOKEN}@h", "https://me:${TOKEN}@h/", "https://$USER:$TOKEN@h", "https://h/?token=${TOKEN}",
        "npm:react@18.2.0", "me@example.org", "a@b:c", "author=me", "https://h/?author=me&keyboard=1",
        '{"a":"https://h:80","b":"x@y"}', "--hash=sha256:00", "https://h/x.whl#sha256=00&egg=x",
    ],
)  # fmt: skip
def test_what_is_no_login_is_shown(text: str) -> None:
    assert without_logins(text) == text
    assert not holds_login(text)
