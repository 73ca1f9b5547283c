"""Package indexes: patterns mean what a shell's mean, and options of requirements say them whole."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from planner.requirements.indexes import as_options, of_options
from planner.requirements.options import canonical_options, parse_option
from planner.settings.package_indexes import PackageIndex, index_of

NAMES: Final = st.from_regex(r"[ab](?:[ab-]{0,6}[ab])?", fullmatch=True)
PATTERNS: Final = st.from_regex(r"[ab*](?:[ab*-]{0,6}[ab*])?", fullmatch=True)
INDEXES: Final = st.builds(
    PackageIndex,
    name=st.sampled_from(["corp", "a.b", "Z-9"]),
    url=st.sampled_from(["https://pypi.corp/simple", "http://[::1]:8080/a?b=c&d=e,f#g=h", "https://x"]),
    packages=st.lists(PATTERNS, max_size=3),
    secret=st.none() | st.sampled_from(["pypi", "a.b-c_9"]),
)


@given(PATTERNS, NAMES)
def test_a_pattern_stands_for_what_it_does_in_a_shell(pattern: str, name: str) -> None:
    (own,) = PackageIndex(name="x", url="https://x", packages=[pattern]).packages
    assert PackageIndex(name="x", url="https://x", packages=[pattern]).has(name) is fnmatchcase(name, own)


@given(st.lists(INDEXES, max_size=4), NAMES)
def test_options_say_indexes_whole_and_in_their_order(indexes: list[PackageIndex], name: str) -> None:
    options = canonical_options(as_options(indexes))
    read = of_options(tuple(parse_option(str(option)) for option in options))
    assert read == tuple(dict.fromkeys(indexes))
    assert index_of(read, name) == index_of(indexes, name)
