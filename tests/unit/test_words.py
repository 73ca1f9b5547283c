"""One word for one thing: messages, help and docs do without words that there is a better one for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
# What is not written, and what is written in its place.
REJECTED: Final = {
    r"belongs? into": "belongs in",
    r"(?<!there )\bis no (?!longer\b)": "is not a …",
    r"\b(?:is|are) none(?: of| in)": "is not one of …",
    r"\bthat is none\b": "name what it is not",
    r"\banother (?:\w+ )?than\b": "not the same … as",
    r"\bthere yet\b": "does not exist yet",
    r"\bmend\b": "correct",
    r"\bbrought? \S+ up to date": "updated …",
    r"\btried out\b": "tested",
    r"\basks for (?!a login)": "needs",
    r"\bpassed over\b": "ignored",
    r"\banew\b": "again",
    r"\bside by side\b": "in parallel",
    r"\bcomes? to\b": "resolves to, results in",
    r"\bstands? twice\b": "is listed twice",
}
PAGES: Final = sorted(ROOT.glob("docs/*.md"))
MODULES: Final = sorted([*ROOT.glob("planner/**/*.py"), *ROOT.glob("executor/**/*.py")])


def found_in(text: str) -> list[str]:
    """The rejected words of a text, with what is around them."""
    plain = re.sub(r"\s+", " ", text)
    return [
        f"{plain[max(0, match.start() - 30) : match.end() + 30]}  ({better})"
        for words, better in REJECTED.items()
        for match in re.finditer(words, plain)
    ]


def said(tree: ast.Module) -> Iterator[str]:
    """The texts in a module that somebody may read: strings with spaces, and the help of commands."""
    docs = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            docs.add(first.value)
            is_command = isinstance(node, ast.FunctionDef) and any(
                "click" in ast.unparse(each) for each in node.decorator_list
            )
            if is_command:
                yield str(first.value.value)
    for node in ast.walk(tree):
        # What documents a field is for those who read the code.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docs.add(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node not in docs and isinstance(node.value, str):
            yield node.value


def test_messages_and_help_have_no_rejected_words() -> None:
    wrong = {
        str(path.relative_to(ROOT)): words
        for path in MODULES
        if (words := [each for text in said(ast.parse(path.read_text())) for each in found_in(text)])
    }
    assert wrong == {}


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_pages_have_no_rejected_words(page: Path) -> None:
    # But for the table that says which they are.
    assert found_in(page.read_text().partition("| not | but |")[0]) == []


def test_a_rejected_word_is_found() -> None:
    text = "write it anew, or\nmend that"
    assert [each.rpartition("  ")[2] for each in found_in(text)] == ["(correct)", "(again)"]
