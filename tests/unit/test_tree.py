"""File trees as values."""

from __future__ import annotations

import hashlib

import pytest

from planner import Entry, Kind, Tree
from planner.files.tree import Child, decode_node, encode_node
from tests.builders import file, link

CODE = (
    file("train.py", "1"),
    file("utils/io.py", "2"),
    file("utils/deep/x.py", "3"),
    link("now", "train.py"),
)


def directory(path: str) -> Entry:
    return Entry(path, Kind.DIRECTORY, b"")


def test_a_tree_gives_back_what_it_was_made_of() -> None:
    tree = Tree.of(CODE)
    assert list(tree.paths()) == ["now", "train.py", "utils/deep/x.py", "utils/io.py"]
    assert set(tree.entries()) == set(CODE)
    assert [entry.target for entry in tree.entries() if entry.kind is Kind.LINK] == ["train.py"]
    assert Tree.of(tree.entries()) == tree


def test_a_tree_holds_its_directories() -> None:
    assert sorted(Tree.of(CODE).nodes) == ["", "utils", "utils/deep"]
    assert Tree.of([]).nodes == {"": b"stowplan/tree/1\n"}


def test_the_digest_is_a_merkle_digest() -> None:
    """Written out, because pushed images are found by it: it may not change."""
    content = hashlib.sha256(b"1").digest()
    inner = b"stowplan/tree/1\n" + b"x4:a.sh" + b"32:" + content
    root = (
        b"stowplan/tree/1\n" + b"d3:bin" + b"32:" + hashlib.sha256(inner).digest() + b"l2:to" + b"8:bin/a.sh"
    )
    tree = Tree.of([file("bin/a.sh", "1", Kind.EXECUTABLE), link("to", "bin/a.sh")])
    assert tree.nodes == {"": root, "bin": inner}
    assert tree.digest.hex == hashlib.sha256(root).hexdigest()


def test_names_are_framed() -> None:
    one = Tree.of([file("ab", "c"), file("d", "c")])
    assert one.digest != Tree.of([file("a", "c"), file("bd", "c")]).digest
    assert Tree.of([file("a/b")]).digest != Tree.of([file("ab")]).digest


@pytest.mark.parametrize(
    "other",
    [
        (file("train.py", "2"), *CODE[1:]),
        (file("train.py", "1", Kind.EXECUTABLE), *CODE[1:]),
        (file("Train.py", "1"), *CODE[1:]),
        (*CODE[:3], link("now", "utils")),
        (*CODE[:3], file("now", "train.py")),
        CODE[1:],
    ],
)
def test_contents_bits_names_and_targets_count(other: tuple[Entry, ...]) -> None:
    assert Tree.of(other).digest != Tree.of(CODE).digest


def test_a_directory_is_there_for_what_it_holds() -> None:
    """Git keeps no empty directory: one that counted would move the hash between two checkouts."""
    assert Tree.of([*CODE, directory("utils"), directory("empty"), directory("utils/deep/er")]) == Tree.of(
        CODE
    )
    assert Tree.of([directory("a/b")]).nodes == Tree.of([]).nodes


def test_unicode_forms_are_different_names() -> None:
    both = Tree.of([file("\xe9"), file("e\u0301")])
    assert sorted(both.paths()) == ["e\u0301", "\xe9"]


def test_awkward_names_survive() -> None:
    names = ["a b", "a\nb", "\u65e5\u672c", "x" * 255, "a:b", "3:abc", "-x", "#x", "\\", "f1:"]
    assert sorted(Tree.of([file(name) for name in names]).paths()) == sorted(names)


def test_the_children_of_a_node_are_sorted_by_the_bytes_of_their_names() -> None:
    children = [Child(name, Kind.FILE, b"\0" * 32) for name in ("b", "a", "\uffff", "\U00010000")]
    assert encode_node(children) == encode_node(reversed(children))
    assert [child.name for child in decode_node(encode_node(children))] == ["a", "b", "\uffff", "\U00010000"]


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (CODE, CODE, ()),
        (CODE, (file("train.py", "x"), *CODE[1:]), ("train.py",)),
        (CODE, CODE[1:], ("train.py",)),
        (CODE, (*CODE, file("new/a"), file("new/b")), ("new/a", "new/b")),
        (CODE, CODE[:1], ("now", "utils/deep/x.py", "utils/io.py")),
        (CODE, (*CODE[:3], link("now", "utils/io.py")), ("now",)),
        ((file("a"),), (file("a/b"),), ("a", "a/b")),
        # A file where a directory was: the file, and what is gone.
        ((file("a/b"), file("a/c")), (file("a"),), ("a", "a/b", "a/c")),
        ((), (file("deep/er/x"),), ("deep/er/x",)),
    ],
)
def test_changed_paths(before: tuple[Entry, ...], after: tuple[Entry, ...], changed: tuple[str, ...]) -> None:
    one, other = Tree.of(before), Tree.of(after)
    assert one.changed_paths(other) == changed
    assert set(other.changed_paths(one)) == set(changed)


def test_a_deep_tree() -> None:
    path = "/".join("d" * 300)
    assert list(Tree.of([file(f"{path}/x")]).paths()) == [f"{path}/x"]
