"""Whatever a Dockerfile says, it is read as BuildKit reads it, or refused in words with a line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from planner.dockerfiles.context import narrowed, reached_files
from planner.dockerfiles.pinning import needed_lines, pinned
from planner.dockerfiles.reach import Reach, reached
from planner.dockerfiles.reading import read
from planner.errors import PlannerError
from planner.values import Digest
from tests.dockerfiles import DOCKERFILES
from tests.property import strategies as some
from tests.unit.test_dockerfile_context import tree

TEXTS = [fixture.text(name) for name, fixture in DOCKERFILES.items()]
PIECES = (
    "\\\n", "\n", "\r\n", "`", "\\", "$", "${", "}", ":-", "'", '"', "<<EOF", "<<-E", "EOF", "FROM ",
    "COPY ", "--from=", "--mount=", "type=secret", ",", "id=", "ONBUILD ", "ARG ", "ENV ", "=", "[", "]", "*",
    "?", "/",
    "../", "#", " ", "\t", "\u00e9", "\u2028", "\x0b", "0", "@sha256:", "scratch", " AS a", "# syntax=",
    "# escape=`\n", "{", "\ufeff", "\0", "-", "^", "\ud800",
)  # fmt: skip


@st.composite
def broken(draw: st.DrawFn) -> str:
    """A Dockerfile that somebody edited without looking."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.sampled_from((start, start, start + 1, start + 15)))
        text = text[:start] + draw(st.sampled_from(("", *PIECES))) + text[end:]
    return text


def reach_of(text: str) -> Reach:
    return reached(read(text, "Dockerfile"), "linux/amd64", "linux/arm64")


def inner(reach: Reach) -> list[tuple[str, list[list[str]]]]:
    """Instructions and the lines of their heredocs, which end in one way when they are built."""
    statements = (each for stage in reach.stages for each in stage.statements)
    return [
        (each.keyword, [[line.rstrip("\r") for line in doc.content.split("\n")] for doc in each.heredocs])
        for each in statements
    ]


@some.examples(200)
@given(broken())
def test_a_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        reach = reach_of(text)
    except PlannerError as error:
        refused = error.problems
    else:
        refused = ()
        found = reached_files(reach.sources, tree())
        assert set(found.tree.paths()) <= set(tree().paths())
        assert narrowed(reach.sources).patterns is not None
        lines = "".join(f"{line}\n" for line, _ in needed_lines(read(text, "Dockerfile"), reach))
        built = read(lines, "Dockerfile")
        pins = dict.fromkeys(reach_of(lines).images, Digest("1" * 64))
        again = reach_of(pinned(built, reach_of(lines), pins))
        assert len(again.stages) == len(reach.stages)
        assert inner(again) == inner(reach)
        assert [source.path for source in again.sources] == [source.path for source in reach.sources]
    for problem in refused:
        assert problem.code.startswith("dockerfile-")
        assert problem.where.file == "Dockerfile"
        assert "in two ways" not in problem.found
        assert problem.fix
