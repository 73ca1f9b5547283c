"""`.dockerignore` as Docker reads it: an ignore file, a path, and whether the path is left out."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from planner.errors import PlannerError
from planner.files.ignore import IgnoreRules

NFC, NFD = "caf\u00e9", "cafe\u0301"


def rules(text: str) -> IgnoreRules:
    return IgnoreRules.parse(text, file=".dockerignore")


READING = {
    "an empty file": ("", ()),
    "blank lines": ("\n\n  \n\t\n", ()),
    "comments": ("# a comment\nbuild\n#dist\n", ("build",)),
    "a comment starts in the first column": (" # build\n", ("# build",)),
    "an escaped '#' is a name": ("\\#build\n", ("\\#build",)),
    "'!' before '#' is a name too": ("!#build\n", ("!#build",)),
    "a byte order mark": ("\ufeffbuild\n", ("build",)),
    "a comment after a byte order mark": ("\ufeff# a comment\nbuild\n", ("build",)),
    "line ends of Windows": ("build\r\n# a comment\r\n\r\n!docs\r\n", ("build", "!docs")),
    "a carriage return alone ends no line": ("a\rb\n", ("a\rb",)),
    "no line end at the end": ("build\ndist", ("build", "dist")),
    "white space around": ("  build  \n\tdist\t\n\u00a0venv\u3000\n", ("build", "dist", "venv")),
    "white space inside": ("a file\n", ("a file",)),
    "a separator that only Python calls white space": ("\x1fbuild\n", ("\x1fbuild",)),
    "white space after '!'": ("! docs\n", ("!docs",)),
    "a slash at the end": ("build/\n", ("build",)),
    "a slash at the start": ("/build\n!/docs\n", ("build", "!docs")),
    "slashes and dots too many": ("//a//b\n./a/./b\na/c/../b\n/../a/b\n", ("a/b",) * 4),
    "cleaning knows no classes": ("[a/../b]\n", ("b]",)),
    "stars and a slash": ("**/\n/**\na/**/\n", ("**", "**", "a/**")),
    "'!!' re-includes a name with '!'": ("!!odd\n", ("!!odd",)),
    "'/!' re-includes: Docker cleans twice": ("/!docs\n./!docs\n", ("!docs", "!docs")),
    "patterns that can match nothing": (".\n/\n..\n../a\n../**\n!.\n!..\n!../a\n", ()),
}


@pytest.mark.parametrize(("text", "patterns"), READING.values(), ids=READING)
def test_reading(text: str, patterns: tuple[str, ...]) -> None:
    assert rules(text).patterns == patterns


# One pattern; the paths it ignores; paths it leaves alone.
MATCHING: dict[str, tuple[str, list[str], list[str]]] = {
    "a name is a name in the root": ("build", ["build"], ["a/build", "builds", "rebuild", "Build"]),
    "a directory takes all below it along": ("build", ["build/a", "build/a/b/c"], ["build.py"]),
    "a path is a path from the root": ("a/b", ["a/b", "a/b/c"], ["a", "b", "c/a/b", "a/bc"]),
    "'*' stays in its component": ("*.pyc", ["x.pyc", ".pyc"], ["a/x.pyc", "x.py"]),
    "'*' alone is everything in the root, so everything": ("*", ["a", ".env", "a/b/c"], []),
    "'*' as a component": ("*/b", ["a/b", "x/b/c"], ["b", "a/x/b"]),
    "'*' may be empty": ("a*b*c", ["abc", "axbxc"], ["a/b/c", "acb"]),
    "'*' takes the shortest or the longest": ("*a*b*a", ["aba", "aababa", "xaybza"], ["ab", "abab"]),
    "'?' is one character": ("a?c", ["abc", "a.c", "a\u00e9c"], ["ac", "abbc", "a/c"]),
    "leading '**/'": ("**/x", ["x", "a/x", "a/b/x", "a/x/c"], ["ax", "a/bx"]),
    "leading '**/' before a path": ("**/a/b", ["a/b", "x/a/b", "x/y/a/b/c"], ["a", "a/x/b", "xa/b"]),
    "leading '**/' before a wildcard": ("**/*.py", ["x.py", "a/b/x.py", ".py"], ["x.pyc", "a/b"]),
    "middle '/**/'": ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a", "b", "x/a/b", "a/xb"]),
    "trailing '/**' spares the directory itself": ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
    "'**' alone": ("**", ["a", "a/b", ".env"], []),
    "'**/**'": ("**/**", ["a", "a/b"], []),
    "'**/*'": ("**/*", ["a", "a/b"], []),
    "'***'": ("***", ["a", "a/b"], []),
    "glued in front: any path with this end": ("**foo", ["foo", "a/foo", "xfoo", "a/xfoo"], ["foox"]),
    "glued in front, with a wildcard: a name": ("**foo*", ["foo", "foo1", "a/foo1"], ["xfoo", "a/xfoo1"]),
    "glued behind: any path with this start": (
        "foo**",
        ["foo", "foox", "foo/a", "foox/a"],
        ["xfoo", "a/foo"],
    ),
    "glued between": ("a**b", ["ab", "a/b", "ax/b", "ax/y/b"], ["axb", "a/xb"]),
    "glued behind a wildcard": ("*.d**", ["x.d", "x.d/a", "x.dist/a"], ["a/x.d"]),
    "'**' twice": ("**/a/**/b", ["a/b", "x/a/y/b", "a/a/b"], ["a", "x/b"]),
    "'**' first and last": ("**/a/**", ["a/b", "x/a/y/z"], ["a", "x/a"]),
    "a class": ("[ab]x", ["ax", "bx"], ["cx", "abx", "x"]),
    "a class with a range": ("[a-c0-9]x", ["bx", "7x"], ["dx", "-x", "Bx"]),
    "a class with a range beyond ASCII": ("[\u00e0-\u00ff]", ["\u00e9"], ["e", "\u0101"]),
    "a negated class": ("[^ab]x", ["cx", "^x", "\u00e9x"], ["ax", "bx"]),
    "a negated class matches a slash": ("a[^b]c", ["axc", "a/c"], ["abc"]),
    "'!' in a class is itself": ("[!a]", ["!", "a"], ["b"]),
    "'^' late in a class is itself": ("[a^]", ["^", "a"], ["b"]),
    "escapes in a class": ("[\\]\\-\\\\]", ["]", "-", "\\"], ["a"]),
    "specials of expressions in a class": ("a[.+|$(]", ["a.", "a+", "a|", "a$", "a("], ["ab"]),
    "the usual class": ("**/*.py[cod]", ["x.pyc", "a/x.pyo", "a/b/x.pyd"], ["x.py", "x.pyx"]),
    "']' alone is itself": ("a]", ["a]"], ["a"]),
    "an escaped star": ("a\\*b", ["a*b"], ["axb", "ab"]),
    "an escaped question mark": ("a\\?b", ["a?b"], ["axb"]),
    "an escaped bracket": ("a\\[b]", ["a[b]"], ["ab"]),
    "an escaped backslash": ("a\\\\b", ["a\\b"], ["ab", "a\\\\b"]),
    "an escaped '!'": ("\\!a", ["!a"], ["a"]),
    "an escaped slash is a slash": ("a\\/b", ["a/b"], ["ab"]),
    "specials of expressions": ("a.b+c(d)$|{2}", ["a.b+c(d)$|{2}"], ["axb+c(d)$|{2}", "a.bbc(d)$|{2}"]),
    "specials of expressions beside a star": (
        "a.b+(c)$*",
        ["a.b+(c)$", "a.b+(c)$x"],
        ["axb+(c)$", "a.bb(c)$"],
    ),
    "braces are no alternatives": ("*.{js,ts}", ["x.{js,ts}"], ["x.js", "x.ts"]),
    "'^' is itself in a plain pattern": ("^a", ["^a"], ["a"]),
    "'^' is the start of the path beside a star": ("^a*", ["a", "ab"], ["^a", "^ab"]),
    "a name with spaces": ("my file*", ["my file", "my file 2"], ["my"]),
    "a newline in a name, '*' and '?'": ("a*b?c", ["a\nb\nc"], []),
    "a newline in a name, '**/'": ("**/x", ["a\nb/x"], []),
    "a newline is not crossed by a '**' between": ("a/**/x", ["a/bc/x"], ["a/b\nc/x"]),
    "a newline is not crossed by a '**' before a star": ("**/x*", ["a/bc/x"], ["b\nc/x"]),
    "a newline at the end of a name": ("a?", ["a\n"], ["a"]),
    "composed is not decomposed": (NFC, [NFC], [NFD]),
    "decomposed is not composed": (NFD, [NFD], [NFC]),
    "a decomposed letter is two characters": ("caf??", [NFD], [NFC]),
    "255 bytes": ("x" * 254 + "?", ["x" * 255], ["x" * 254]),
}


@pytest.mark.parametrize(("pattern", "ignored", "kept"), MATCHING.values(), ids=MATCHING)
def test_matching(pattern: str, ignored: list[str], kept: list[str]) -> None:
    found = rules(pattern)
    assert [path for path in ignored if not found.ignores(path)] == []
    assert [path for path in kept if found.ignores(path)] == []


# Several rules; the paths they ignore; paths they leave alone.
ORDER: dict[str, tuple[str, list[str], list[str]]] = {
    "the last match wins": ("*.md\n!README.md\nREADME.*", ["README.md", "a.md"], ["a.txt"]),
    "order counts": ("!README.md\n*.md", ["README.md"], []),
    "below an ignored directory": (
        "docs\n!docs/keep.md",
        ["docs", "docs/a", "docs/sub/keep.md"],
        ["docs/keep.md"],
    ),
    "far below": ("a\n!a/b/c", ["a", "a/x", "a/b", "a/b/x"], ["a/b/c", "a/b/c/d"]),
    "a directory again, with all below it": ("*\n!src", ["setup.py", "lib/x"], ["src", "src/a/b"]),
    "and a part of it out again": ("*\n!src\nsrc/tmp", ["src/tmp", "src/tmp/x"], ["src", "src/a"]),
    "ignored, back, ignored, back": (
        "a\n!a/b\na/b/c\n!a/b/c/d",
        ["a/x", "a/b/c", "a/b/c/x"],
        ["a/b/x", "a/b/c/d"],
    ),
    "'!' at any depth": ("*\n!**/*.py", ["a", "a/b", "a/b.txt"], ["x.py", "a/x.py", "a/b/x.py"]),
    "'!' with a star": ("*.md\n!R*.md", ["a.md"], ["README.md"]),
    "everything below, nothing of it back": ("a/**\n!a", ["a/b", "a/b/c"], ["a"]),
    "'!' on a name in another place": ("node_modules\n!docs/keep", ["node_modules/docs/keep"], ["docs/keep"]),
    "a '!' that had nothing to re-include is not handed down": (
        "**/*.pyc\n!src",
        ["x.pyc", "src/x.pyc"],
        ["src", "src/x.py"],
    ),
    "nor is an ignoring rule that had nothing to ignore": ("a\n!a/b\na", ["a", "a/x"], ["a/b", "a/b/c"]),
    "a name that starts with '!'": ("*o*\n!!foo", ["foo", "oo"], ["!foo"]),
    "the tool's own files are files like others": (
        "Dockerfile\n.*",
        ["Dockerfile", ".dockerignore"],
        ["app"],
    ),
}


@pytest.mark.parametrize(("text", "ignored", "kept"), ORDER.values(), ids=ORDER)
def test_order(text: str, ignored: list[str], kept: list[str]) -> None:
    found = rules(text)
    assert [path for path in ignored if not found.ignores(path)] == []
    assert [path for path in kept if found.ignores(path)] == []


@pytest.mark.parametrize("text", ["", "*", "**", "*\n!a"])
def test_the_context_root_is_never_ignored(text: str) -> None:
    assert not any(rules(text).ignores(root) or rules(text).prunes(root) for root in ("", "."))


# Rules; directories a walk need not enter; directories it must.
PRUNING: dict[str, tuple[str, list[str], list[str]]] = {
    "no '!': every ignored directory": ("a\n**/b", ["a", "a/x", "b", "x/b"], ["x", "x/y"]),
    "a '!' elsewhere": ("node_modules\n!docs/keep", ["node_modules", "node_modules/docs"], ["docs"]),
    "a '!' below": ("a\n!a/b/c", ["a/x", "a/b/x"], ["a", "a/b", "a/b/c"]),
    "a '!' in the root cannot reach below": ("*\n!*.md", ["a", "a/b"], ["x.md"]),
    "a '!' reaches its own depth": ("*\n!*/keep", ["a/b", "a/b/keep"], ["a", "a/keep"]),
    "a '!' whose first component does not fit": ("*\n!s?c/*/x", ["lib", "src/a/b"], ["src", "src/a"]),
    "a '!' at any depth can reach everywhere": ("*\n!**/keep", [], ["a", "a/b"]),
    "a '!' with '**' below a name": ("*\n!src/**/keep", ["lib"], ["src", "src/a/b"]),
    "a '!' with a class may cross a slash": ("*\n!a[^b]c", [], ["a", "x"]),
    "a '!' with an escape": ("*\n!src/\\*/x", ["lib"], ["src"]),
    "a '!' before the last rule": ("!a/b\na", ["a", "a/b"], []),
    "a '!' overruled by a later rule": ("a\n!a/b\na/*", ["a/c"], ["a"]),
    "a '!' that takes the directory back": ("*\n!a", ["b"], ["a", "a/b"]),
}


@pytest.mark.parametrize(("text", "pruned", "entered"), PRUNING.values(), ids=PRUNING)
def test_pruning(text: str, pruned: list[str], entered: list[str]) -> None:
    found = rules(text)
    assert [path for path in pruned if not found.prunes(path)] == []
    assert [path for path in entered if found.prunes(path)] == []


MALFORMED = {
    "a lone '!'": ("!", "'!' without a pattern"),
    "'!' and white space": ("  !  ", "'!' without a pattern"),
    "'!' and a slash": ("!/", "'!' without a pattern"),
    "an unclosed class": ("a[bc", "opens no well-formed character class"),
    "an empty class": ("a[]", "opens no well-formed character class"),
    "an empty negated class": ("a[^]", "opens no well-formed character class"),
    "a class that starts with ']'": ("[]a]", "opens no well-formed character class"),
    "a class that starts with '-'": ("[-a]", "opens no well-formed character class"),
    "half a range": ("[a-]", "opens no well-formed character class"),
    "a range of three": ("[a-b-c]", "opens no well-formed character class"),
    "a range that runs backwards": ("[c-a]", "runs backwards"),
    "a backslash at the end": ("a\\", "escapes nothing"),
    "a backslash before white space at the end": ("a\\ ", "escapes nothing"),
    "a path of Windows": ("build\\debug", "a backslash before 'd'"),
    "an escaped letter beyond ASCII": ("\\\u00e9", "a backslash before '\u00e9'"),
    "an escaped letter in a class": ("[\\d]", "a backslash before 'd'"),
    "a star in a class": ("[*]", "Docker does not read as written"),
    "a question mark in a class": ("[a?]", "Docker does not read as written"),
    "a named class": ("[[:alpha:]]", "Docker does not read as written"),
    "an alternative": ("a|b*", "beside wildcards"),
    "a repetition": ("a?{2}", "beside wildcards"),
    "a byte order mark in the middle": ("\ufeff\ufeffbuild", "a byte order mark before a pattern"),
    "a line Docker cannot read": ("#" * 65536, "more than 65535 bytes"),
}


@pytest.mark.parametrize(("line", "found"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(line: str, found: str) -> None:
    with pytest.raises(PlannerError) as caught:
        rules(line)
    (problem,) = caught.value.problems
    assert found in problem.found
    assert problem.fix
    assert str(problem.where) == ".dockerignore:1"


@pytest.mark.parametrize("line", ["a|b", "{2}", "*.{js,ts}", "[|]*", "a\\|b*", "?\\{2}", "#" * 65535])
def test_close_to_malformed(line: str) -> None:
    rules(line)


def test_all_problems_at_once_each_with_its_line() -> None:
    with pytest.raises(PlannerError) as caught:
        IgnoreRules.parse("build\r\n\n# [\n!\n[a\n!b[\nok\\\n", file="images/.dockerignore")
    assert [str(problem.where) for problem in caught.value.problems] == [
        f"images/.dockerignore:{line}" for line in (4, 5, 6, 7)
    ]


def test_malformed_patterns_make_no_value() -> None:
    with pytest.raises(PlannerError):
        IgnoreRules(("a", "!["))


def test_the_value_is_what_the_rules_are_not_how_they_are_written() -> None:
    written, rewritten = rules("# why\n/build/\n\n! docs\n."), rules("build\n!docs")
    assert (written, hash(written)) == (rewritten, hash(rewritten))
    assert rules("a\n!b") != rules("!b\na")


def test_asking_does_not_change_the_value() -> None:
    asked, fresh = rules("a\n!a/b"), rules("a\n!a/b")
    assert not asked.ignores("a/b/c")
    assert (asked, hash(asked), repr(asked)) == (fresh, hash(fresh), repr(fresh))
    assert pickle.loads(pickle.dumps(asked)) == fresh  # noqa: S301 - our own bytes


def test_a_path_deeper_than_the_stack() -> None:
    deep = "/".join("d" * 5000)
    found = rules("**/x\n!d/**/y")
    assert found.ignores(f"{deep}/x/d")
    assert not found.ignores(f"{deep}/x/y")
    assert not found.ignores(deep)


def test_many_stars_do_not_take_for_ever() -> None:
    assert not rules("*a" * 40 + "b").ignores("a" * 255)
    assert rules("*a" * 40 + "*b").ignores("a" * 254 + "b")


# A pattern, and a path for which an expression that goes back tries more ways than anyone waits for.
SLOW = {
    "classes that match a slash": ("[^x]*" * 7 + "z", "y" * 255),
    "directories": ("**/a*/" * 6 + "z", "/".join(["a"] * 120)),
    "names glued to '**'": ("a**" * 9 + "z", "/".join(["a"] * 120)),
    "two stars between classes": ("[^x]*[^x]*z", "y" * 100_000),
    "two of any directories": ("**/a**/z", "/".join(["a"] * 2500)),
    "stars in names at any depth": ("**/*a*/**/*a*/**/*a*/**/*a*b", "/".join(["aa"] * 80)),
}


@pytest.mark.parametrize("name", SLOW)
def test_matching_does_not_go_back(name: str) -> None:
    """In a process that the system ends after ten seconds of work; they are milliseconds."""
    pattern, path = SLOW[name]
    script = f"""
import resource
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
from planner.files.ignore import IgnoreRules
pattern, path = {pattern!r}, {path!r}
assert not IgnoreRules((pattern,)).ignores(path)
assert IgnoreRules((pattern, "y*", "**/a*")).ignores(path)
assert not IgnoreRules((pattern, "!y*")).prunes(path)
"""
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
