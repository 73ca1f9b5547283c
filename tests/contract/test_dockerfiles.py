"""What a Dockerfile reaches, against BuildKit itself: it decides which files a build takes.

Stages on `scratch` are exported as directories. Each file of a context holds its own path, so that what is
exported says where it came from.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from executor.engines.docker import DockerEngine
from executor.process import Command, run
from planner.dockerfiles.context import Reached, reached_files
from planner.dockerfiles.model import Dockerfile
from planner.dockerfiles.pinning import needed_lines
from planner.dockerfiles.reach import Reach, reached
from planner.dockerfiles.reading import read
from planner.errors import PlannerError
from planner.files.tree import Tree
from tests.builders import file
from tests.contract.conftest import absent
from tests.unit.test_dockerfile_context import CASES, FILES, LINKS, tree

PLATFORM = "linux/amd64"
# Of several files of one name the last stays, and a link that a wildcard leads through only Podman follows.
MORE = {
    "COPY */a.txt /": {"a.txt", "dir/a.txt", "dir/sub/a.txt"},
    "COPY dir/* /": {"dir/a.txt"},
}
# It gives up at a link that leads to where it is.
GIVEN_UP = "COPY loop/loop/loop/a.txt /"
# The frontend that is part of Docker 26 has no --exclude and no --parents, and a scratch stage runs nothing.
COPIES = [
    each
    for each in CASES
    if each.startswith(("COPY", "ADD")) and "--" not in each and "<<" not in each and each != GIVEN_UP
]


@pytest.fixture(autouse=True)
def buildkit() -> None:
    if reason := DockerEngine("buildkit").unavailable():
        absent(str(reason))


def write(root: Path, files: Tree) -> None:
    """The files of a tree below a directory, each with its own path in it."""
    root.mkdir()
    for path in files.paths():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if path in LINKS:
            place.symlink_to(LINKS[path])
        else:
            place.write_text(path)


def build(context: Path, text: str, output: Path, *options: str) -> dict[str, str] | None:
    """What a build exports, by path; None if it fails."""
    dockerfile = context.parent / f"{output.name}.Dockerfile"
    dockerfile.write_text(text)
    command = ("docker", "buildx", "build", f"--file={dockerfile}", *options)
    done = run(Command((*command, f"--output=type=local,dest={output}", str(context))), merged=True)
    if done.code:
        assert "failed to" in done.text
        return None
    return {
        str(path.relative_to(output)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in output.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def ours(
    text: str, files: Tree, target: str | None = None, **given: str
) -> tuple[Dockerfile, Reach, Reached]:
    dockerfile = read(text, "Dockerfile")
    reach = reached(dockerfile, PLATFORM, PLATFORM, given, target)
    return dockerfile, reach, reached_files(reach.sources, files)


def test_each_source_takes_what_buildkit_takes(tmp_path: Path) -> None:
    write(tmp_path / "context", tree())
    text = "FROM scratch\n" + "".join(
        f"{statement.rpartition(' ')[0]} /{number}/\n" for number, statement in enumerate(COPIES)
    )
    exported = build(tmp_path / "context", text, tmp_path / "out")
    assert exported is not None
    for number, statement in enumerate(COPIES):
        start = f"{number}/"
        theirs = {content for path, content in exported.items() if path.startswith(start)}
        _, _, found = ours(f"FROM scratch\n{statement}\n", tree())
        paths = {f"-> {LINKS[path]}" if path in LINKS else path for path in found.tree.paths()}
        assert theirs <= paths, statement
        # A link that leads to a source is reached, and what it leads to is copied.
        more = {path for path in paths - theirs if path in FILES}
        assert more == MORE.get(statement, set()), statement


MISSING = [GIVEN_UP, "COPY none /", "COPY dir/none /", "COPY a.txt/b /", "COPY circle /", "COPY broken /"]


@pytest.mark.parametrize("statement", MISSING)
def test_what_is_not_there_fails_with_buildkit_too(tmp_path: Path, statement: str) -> None:
    write(tmp_path / "context", tree())
    assert build(tmp_path / "context", f"FROM scratch\n{statement}\n", tmp_path / "out") is None
    _, _, found = ours(f"FROM scratch\n{statement}\n", tree())
    assert bool(found.nothing) is (statement != GIVEN_UP)


# Statements of a stage with what they set before, and what BuildKit makes of the variables.
VARIABLES = {
    "ARG X=a\nCOPY $X.txt /": "a.txt",
    "ARG GIVEN=a\nCOPY $GIVEN.txt /": "b.txt",
    "ARG TOP\nCOPY ${TOP} /": "c.md",
    "ENV X=a Y=b\nENV X=b Y=$X\nCOPY $Y.txt /": "a.txt",
    "ENV X=\nCOPY ${X:-a}.txt /": "a.txt",
    "ENV X=\nCOPY ${X-a}a.txt /": "a.txt",
    "ENV X=1\nCOPY ${X:+a}.txt /": "a.txt",
    'ENV X=a\nCOPY "${X}".txt /': "a.txt",
    "COPY \\a.txt /": "a.txt",
    'ENV X=a\nCOPY ["$X.txt", "/"]': "a.txt",
    "ARG TARGETARCH\nENV N=${TARGETARCH:+a}\nCOPY $N.txt /": "a.txt",
    "ARG X=a Y=$X\nARG Z=$X.txt\nCOPY $Z /": "a.txt",
    "COPY ${NONE:-${NONE:-a}}.txt /": "a.txt",
    "COPY a$NONE.txt /": "a.txt",
}


@pytest.mark.parametrize("statements", VARIABLES)
def test_variables_are_those_of_buildkit(tmp_path: Path, statements: str) -> None:
    write(tmp_path / "context", tree())
    text = f"ARG TOP=c.md\nFROM scratch\n{statements}\n"
    exported = build(tmp_path / "context", text, tmp_path / "out", "--build-arg=GIVEN=b")
    _, _, found = ours(text, tree(), GIVEN="b")
    assert list((exported or {}).values()) == list(found.tree.paths()) == [VARIABLES[statements]]


# What is refused here, and fails with BuildKit. A file of ARGs alone is not among them: that of Docker 26
# panics at it, and takes its daemon along.
REFUSED = [
    "FROM scratch\nCOPPY a.txt /\n",
    "FROM scratch\nCOPY a.txt\n",
    "FROM scratch\nCOPY --fron=x a.txt /\n",
    "FROM scratch\nCOPY --link=yes a.txt /\n",
    "FROM scratch AS 1\n",
    "FROM scratch a\n",
    "FROM\n",
    "ENV A=1\nFROM scratch\n",
    "ARG A\nFROM $A\n",
    "FROM scratch\nCOPY --from=2 a.txt /\n",
    "FROM scratch\nCOPY --from=0 a.txt /\n",
    "FROM scratch AS a\nCOPY --from=b a.txt /\nFROM scratch AS b\nFROM a\n",
    "FROM scratch\nCOPY <<EOF /x\n",
    "FROM scratch\nENV A\n",
    "FROM scratch\nLABEL A=1 b\n",
    "FROM scratch\nCOPY [1] /\n",
    "FROM scratch\nCOPY ${X /\n",
    "FROM scratch\nCOPY ${} /\n",
    "FROM scratch\nCOPY 'a.txt /\n",
    "FROM scratch\nRUN --mount=type=scret,id=a x\n",
    "FROM scratch\nRUN --mount=trget=/a x\n",
    "FROM scratch\nSHELL bash\n",
    "FROM scratch\nONBUILD ONBUILD COPY a b\n",
    "# escape=x\nFROM scratch\n",
    "FROM --platform=$NONE scratch\n",
    "FROM scratch\nARG X\nCOPY ${X:?no} /\n",
    "FROM scratch AS a\nFROM A\n",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused_fails_with_buildkit_too(tmp_path: Path, text: str) -> None:
    write(tmp_path / "context", tree())
    assert build(tmp_path / "context", text, tmp_path / "out") is None
    with pytest.raises(ValueError, match="Dockerfile:"):
        ours(text, tree())


NAMES = ("a", "b.txt", "c.txt")
PATHS = st.builds("/".join, st.lists(st.sampled_from(("d", "e")), max_size=2).flatmap(
    lambda above: st.sampled_from(NAMES).map(lambda name: [*above, name])
))  # fmt: skip
SOURCES = st.sampled_from((
    "a", "b.txt", "./c.txt", "*.txt", "?", "[!a]*", "[^a]*", "d", "d/", "d/*", "*/a", "*/*", "d/e",
    "e/d/b.txt",
    ".", "d/../a", "${V:-a}", "${V}.txt", "${W:-a}", "/d/*.txt",
))  # fmt: skip


@st.composite
def dockerfiles(draw: st.DrawFn) -> tuple[str, str | None]:
    """A Dockerfile of a few stages on scratch, and a target."""
    lines = [*draw(st.lists(st.sampled_from(("ARG V=a", "ARG W=d")), max_size=2))]
    stages = draw(st.integers(1, 4))
    for stage in range(stages):
        base = draw(st.sampled_from(["scratch", *(f"s{below}" for below in range(stage))]))
        lines.append(f"FROM {base} AS s{stage}")
        for number in range(draw(st.integers(0, 3))):
            kind = draw(st.sampled_from(("copy", "copy", "from", "variable", "onbuild", "comment")))
            if kind == "from" and stage:
                below = draw(st.integers(0, stage - 1))
                lines.append(
                    f"COPY --from={draw(st.sampled_from((below, f's{below}', f'S{below}')))} / /{number}/"
                )
            elif kind == "variable":
                lines.append(draw(st.sampled_from(("ARG V=b", "ARG V", "ENV W=e", "ENV X=$V"))))
            elif kind == "comment":
                lines.append("# COPY b.txt /")
            else:
                onbuild = "ONBUILD " if kind == "onbuild" else ""
                sources = " ".join(draw(st.lists(SOURCES, min_size=1, max_size=2)))
                lines.append(f"{onbuild}COPY {sources} \\\n  /{stage}-{number}/")
    target = draw(st.sampled_from([None, *(f"s{stage}" for stage in range(stages))]))
    return "\n".join(lines) + "\n", target


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(dockerfiles(), st.sets(PATHS, min_size=1, max_size=6))
def test_what_is_not_reached_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[str, str | None], paths: set[str]
) -> None:
    """A build of all files, and one of those that are reached, of the text that is built, export the same."""
    text, target = made
    # No path is a directory of another.
    files = Tree.of(file(path) for path in paths)
    root = tmp_path_factory.mktemp("random")
    try:
        dockerfile, reach, found = ours(text, files, target)
    except PlannerError:
        # BuildKit hands an ARG down to another stage, and other builders do not.
        reject()
    write(root / "all", files)
    write(root / "reached", found.tree)
    everything = build(root / "all", text, root / "1", *([f"--target={target}"] if target else []))
    # Others than BuildKit fail where a statement takes nothing at all.
    assert everything is not None or found.nothing
    assert everything is None or all(source.is_pattern for source in found.nothing)
    if everything is not None:
        lines = "".join(f"{line}\n" for line, _ in needed_lines(dockerfile, reach))
        assert build(root / "reached", lines, root / "2") == everything
