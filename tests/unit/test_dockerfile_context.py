"""Which files of a build context a Dockerfile reaches."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from planner.dockerfiles.context import narrowed, reached_files
from planner.dockerfiles.reach import reached
from planner.dockerfiles.reading import read
from planner.files.tree import Tree
from tests.builders import file, link

FILES = (
    "a.txt", "b.txt", "c.md", "dir/a.txt", "dir/b.md", "dir/sub/a.txt", "dir/sub/c.md", "other/a.txt",
    "other/sub/deep/a.txt", ".env", "x[1].txt", "star*.txt",
)  # fmt: skip
LINKS = {
    "to-file": "dir/a.txt",
    "to-dir": "other/sub",
    "dir/up": "../a.txt",
    "absolute": "/dir/sub",
    "circle": "circle",
    "loop": ".",
    "broken": "nowhere",
}


def tree(files: Iterable[str] = FILES) -> Tree:
    return Tree.of([*(file(path) for path in files), *(link(path, to) for path, to in LINKS.items())])


def reached_paths(statement: str, of: Tree | None = None) -> tuple[list[str], list[str]]:
    """What is reached, and the sources that reach nothing."""
    reach = reached(read(f"FROM scratch\n{statement}\n", "Dockerfile"), "linux/amd64", "linux/amd64")
    found = reached_files(reach.sources, of or tree())
    return list(found.tree.paths()), [source.path for source in found.nothing]


WHOLE_DIR = ["dir/a.txt", "dir/b.md", "dir/sub/a.txt", "dir/sub/c.md", "dir/up"]
CASES = {
    "COPY a.txt /": ["a.txt"],
    "COPY ./a.txt /b.txt /": ["a.txt", "b.txt"],
    "COPY dir /x": WHOLE_DIR,
    "COPY dir/ /x": WHOLE_DIR,
    "COPY other/../dir /x": WHOLE_DIR,
    "COPY *.txt /": ["a.txt", "b.txt", "star*.txt", "x[1].txt"],
    "COPY ?.txt /": ["a.txt", "b.txt"],
    "COPY [b-c].* /": ["b.txt", "c.md"],
    "COPY [^a-b].* /": ["c.md"],
    "COPY */a.txt /": ["a.txt", "dir/a.txt", "dir/sub/a.txt", "absolute", "loop", "other/a.txt"],
    "COPY d*/s*/*.md /": ["dir/sub/c.md"],
    "COPY dir/* /": [*WHOLE_DIR, "a.txt"],
    "COPY x[[]1].txt /": ["x[1].txt"],
    r"COPY star\*.txt /": ["star*.txt"],
    "COPY .env* /": [".env"],
    "COPY to-file /": ["dir/a.txt", "to-file"],
    "COPY to-dir /": ["other/sub/deep/a.txt", "to-dir"],
    "COPY to-dir/deep/a.txt /": ["other/sub/deep/a.txt", "to-dir"],
    "COPY absolute/*.md /": ["absolute", "dir/sub/c.md"],
    "COPY dir/up /": ["a.txt", "dir/up"],
    "COPY loop/loop/loop/a.txt /": ["a.txt", "loop"],
    "COPY --exclude=*.md dir /": ["dir/a.txt", "dir/sub/a.txt", "dir/sub/c.md", "dir/up"],
    "COPY --exclude=**/*.md --exclude=up dir /": ["dir/a.txt", "dir/sub/a.txt"],
    "COPY --exclude=sub --exclude=!sub/c.md dir /": ["dir/a.txt", "dir/b.md", "dir/sub/c.md", "dir/up"],
    "COPY --parents **/[a]*.txt /": [
        "a.txt", "dir/a.txt", "dir/sub/a.txt", "other/a.txt", "other/sub/deep/a.txt",
    ],
    "COPY --parents dir/./*.md /": ["dir/b.md"],
    "COPY --parents dir/./sub /": ["dir/sub/a.txt", "dir/sub/c.md"],
    "COPY --parents dir/a.txt c.md /": ["c.md", "dir/a.txt"],
    "RUN --mount=target=/x,source=dir/sub x": ["dir/sub/a.txt", "dir/sub/c.md"],
    "ADD dir/sub /": ["dir/sub/a.txt", "dir/sub/c.md"],
    "COPY <<EOF /\na.txt\nEOF": [],
    "RUN --mount=type=cache,target=/x,source=dir x": [],
    "COPY --from=busybox dir /": [],
}  # fmt: skip


@pytest.mark.parametrize("statement", CASES)
def test_what_is_reached(statement: str) -> None:
    assert reached_paths(statement) == (sorted(CASES[statement], key=str.encode), [])


@pytest.mark.parametrize("statement", ["COPY . /", "COPY / /", "RUN --mount=target=/x x", "ADD ./ /"])
def test_the_whole_context(statement: str) -> None:
    assert reached_paths(statement) == (list(tree().paths()), [])


NOTHING = {
    "COPY none /": ["none"],
    "COPY none/ a.txt dir/none /": ["none", "dir/none"],
    "COPY *.zip none* /": ["*.zip", "none*"],
    "COPY a.txt none/* dir/*.zip /": ["none/*"],
    "COPY a.txt/b /": ["a.txt/b"],
    "COPY circle /": ["circle"],
    "COPY broken /": ["broken"],
    "COPY --parents dir/none /": [""],
    "RUN --mount=target=/x,source=*.txt x": ["*.txt"],
    "COPY " + "a/" * 3000 + " /": ["/".join("a" * 3000)],
}


@pytest.mark.parametrize("statement", NOTHING)
def test_what_is_not_there(statement: str) -> None:
    found, nothing = reached_paths(statement)
    assert nothing == NOTHING[statement]
    assert not set(found) - {"a.txt", "circle", "broken"}


def test_a_pattern_may_match_nothing_where_something_else_is_taken() -> None:
    assert reached_paths("COPY a.txt poetry.lock* dir/*.zip /") == (["a.txt"], [])


@pytest.mark.parametrize("statement", CASES)
def test_rules_leave_out_nothing_that_is_reached(statement: str) -> None:
    reach = reached(read(f"FROM scratch\n{statement}\n", "Dockerfile"), "linux/amd64", "linux/amd64")
    rules = narrowed(reach.sources)
    entries = [entry for entry in tree().entries() if not rules.ignores(entry.path)]
    found = reached_files(reach.sources, Tree.of(entries))
    everything = reached_files(reach.sources, tree())
    assert found.tree == everything.tree or found.astray or found.nothing


def test_rules_leave_out_what_is_not_reached() -> None:
    for statement, left in {
        "COPY dir/sub /": ["dir/sub/a.txt", "dir/sub/c.md"],
        "COPY [ab].txt /": ["a.txt", "b.txt"],
        "COPY <<EOF /\nEOF": [],
    }.items():
        reach = reached(read(f"FROM scratch\n{statement}\n", "Dockerfile"), "linux/amd64", "linux/amd64")
        rules = narrowed(reach.sources)
        assert [path for path in tree().paths() if not rules.ignores(path)] == left


def test_links_that_multiply_take_no_longer() -> None:
    """Each of two links leads back: forty components have 2^40 ways."""
    loops = Tree.of([file("a.txt"), link("l1", "."), link("l2", ".")])
    assert reached_paths("COPY " + "l*/" * 40 + "a.txt /", loops)[0] == ["a.txt", "l2"]
    stars = Tree.of([file("a" * 200 + "b")])
    assert reached_paths("COPY " + "*a" * 50 + "*c /", stars) == ([], ["*a" * 50 + "*c"])
