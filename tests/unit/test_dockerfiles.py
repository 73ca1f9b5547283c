"""Dockerfiles of users are read as BuildKit reads them, and each mistake is named with its line."""

from __future__ import annotations

import cProfile
import pstats
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest

from planner.dockerfiles.model import Dockerfile, Heredoc, Statement
from planner.dockerfiles.reading import read
from planner.errors import PlannerError


def statements(dockerfile: Dockerfile) -> list[Statement]:
    inner = [each for stage in dockerfile.stages for each in (stage.start, *stage.statements)]
    return [*dockerfile.arguments, *inner]


def test_what_is_read() -> None:
    text = (
        "# syntax=docker/dockerfile:1.7\n"
        "# escape=\\\n"
        "ARG PYTHON=3.11\n"
        "\n"
        "FROM --platform=$BUILDPLATFORM python:${PYTHON} AS Builder\n"
        "# no statement\n"
        "RUN --mount=type=cache,target=/root/.cache pip install \\\n"
        "    # nor this\n"
        "    six\n"
        "FROM scratch\n"
        'COPY --from=builder --link ["/a b", "/c"]\n'
        "COPY <<EOF <<-'END' /etc/\n"
        "one $X\n"
        "EOF\n"
        "\ttwo\n"
        "\tEND\n"
        "ENV A=1 B='2 3'\n"
        "onbuild copy --chown=1 <<EOF /x\n"
        "three\n"
        "EOF\n"
    )
    found = read(text, "Dockerfile")
    assert (found.syntax, found.syntax_line, found.escape) == ("docker/dockerfile:1.7", 1, "\\")
    assert [(stage.name, stage.base, stage.platform) for stage in found.stages] == [
        ("builder", "python:${PYTHON}", "$BUILDPLATFORM"),
        (None, "scratch", None),
    ]
    trigger = Statement("COPY", ("<<EOF", "/x"), flags=("--chown=1",), heredocs=(Heredoc("EOF", "three\n"),))
    assert statements(found) == [
        Statement("ARG", ("PYTHON=3.11",)),
        Statement("FROM", ("python:${PYTHON}", "AS", "Builder"), flags=("--platform=$BUILDPLATFORM",)),
        Statement("RUN", ("pip install     six",), flags=("--mount=type=cache,target=/root/.cache",)),
        Statement("FROM", ("scratch",)),
        Statement("COPY", ("/a b", "/c"), flags=("--from=builder", "--link"), json=True),
        Statement(
            "COPY",
            ("<<EOF", "<<-'END'", "/etc/"),
            heredocs=(Heredoc("EOF", "one $X\n"), Heredoc("END", "\ttwo\n")),
        ),
        Statement("ENV", ("A", "1", "B", "'2 3'")),
        Statement("ONBUILD", trigger=trigger),
    ]
    lines = [(each.line, each.last_line) for each in statements(found)]
    assert lines == [(3, 3), (5, 5), (7, 9), (10, 10), (11, 11), (12, 16), (17, 17), (18, 20)]
    inner = statements(found)[-1].trigger
    assert inner
    assert (inner.line, inner.column) == (18, len("onbuild "))


SAME = {
    "comments": "# a\nFROM a\n\n# b\nRUN x \\\n# c\n y\n",
    "line ends of Windows": "FROM a\r\nRUN x \\\r\n y\r\n",
    "a byte order mark": "\ufeffFROM a\nRUN x \\\n y",
    "another escape": "# Escape = `\nFROM a\nRUN x `\n y\n",
    "another escape, a mark and line ends of Windows": "\ufeff# escape=`\r\nFROM a\r\nRUN x `\r\n y\r\n",
    "an indented directive": "  # escape=`\nFROM a\nRUN x `  \n y\n",
    "lower case": "from a\nrun x \\\n y\n",
    "empty lines that continue": "FROM a\nRUN x \\\n\n y\n",
    "an escape alone": "FROM a\n\\\nRUN x \\\n y\n",
    "what checks are made": "# check=skip=all\nFROM a\nRUN x \\\n y\n",
    "an escape after checks": "# check=skip=all\n# escape=`\nFROM a\nRUN x `\n y\n",
    "a comment that looks like an escape": "# a\n# escape=`\nFROM a\nRUN x \\\n y\n",
    "another comment like one": "# escape\n# escape=`\nFROM a\nRUN x \\\n y\n",
    "a line for shells": "#!/usr/bin/env docker\n# escape=`\nFROM a\nRUN x \\\n y\n",
}


@pytest.mark.parametrize("name", SAME)
def test_what_does_not_count_makes_no_difference(name: str) -> None:
    expected = read("FROM a\nRUN x \\\n y\n", "Dockerfile").stages
    assert read(SAME[name], "Dockerfile").stages == expected


SYNTAX = {
    "# syntax=a": ("a", 1),
    "#syntax = a b": ("a", 1),
    "# SYNTAX=a": ("a", 1),
    "\ufeff# syntax=a": ("a", 1),
    "# check=skip=all\n# syntax=a": ("a", 2),
    "#!/usr/bin/env docker\n# syntax=a": ("a", 2),
    " # syntax=a": (None, None),
    "# a\n# syntax=a": (None, None),
    "\n# syntax=a": (None, None),
    "# other=a\n# syntax=a": (None, None),
    "# syntax=": (None, None),
}


@pytest.mark.parametrize("head", SYNTAX)
def test_the_frontend_is_asked_for_at_the_top_alone(head: str) -> None:
    found = read(head + "\nFROM scratch\n", "Dockerfile")
    assert (found.syntax, found.syntax_line) == SYNTAX[head]


WRONG = {
    "empty": ("", ["Dockerfile: no instructions in it: begin with FROM and an image"]),
    "comments": ("# a\n\n# b\n", ["Dockerfile: no instructions in it: begin with FROM and an image"]),
    "a directive": ("# escape=`", ["Dockerfile: no instructions in it: begin with FROM and an image"]),
    "no FROM": ("ARG A=1\n", ["Dockerfile: no FROM in it: begin with FROM and an image"]),
    "before FROM": (
        "ARG A\nRUN x\nFROM a\n",
        ["Dockerfile:2: RUN before the first FROM: begin with FROM; only ARG may stand before it"],
    ),
    "an empty FROM": (
        "FROM\n",
        ["Dockerfile:1: FROM with nothing after it: name an image, a stage or scratch"],
    ),
    "words after FROM": (
        "FROM a b\nFROM a AS 1\nFROM a AS scratch\n",
        [
            "Dockerfile:1: FROM with 2 words: write FROM IMAGE or FROM IMAGE AS NAME",
            "Dockerfile:2: a stage with the name '1': begin with a letter, and use letters, digits, '.', '_' and '-'",
            "Dockerfile:3: a stage with the name scratch: that is the empty image: give the stage another name",
        ],
    ),
    "a name twice": (
        "FROM a AS b\nFROM c AS B\n",
        ["Dockerfile:2: a second stage with the name b, which line 1 has: give it another name"],
    ),
    "unknown instructions": (
        "FROM a\nCOPPY a b\n\nONBUILD FOOBAR\n",
        [
            "Dockerfile:2: unknown instruction COPPY: did you mean 'COPY'?",
            "Dockerfile:4: unknown instruction FOOBAR: see the Dockerfile reference for the instructions there are",
        ],
    ),
    "flags": (
        (
            "FROM a\nCOPY --fron=x a b\nCOPY --from a b\nCOPY --link=yes a b\nRUN --mount=a --mount=b x\n"
            "COPY --chown=a --chown=b a b\nUSER --x a\n"
        ),
        [
            "Dockerfile:2: unknown flag COPY --fron: did you mean 'from'?",
            "Dockerfile:3: COPY --from without a value: write COPY --from=…",
            "Dockerfile:4: COPY --link=yes: write true or false",
            "Dockerfile:6: COPY --chown twice: keep one of them",
            "Dockerfile:7: unknown flag USER --x: USER has no flags",
        ],
    ),
    "what is not allowed while building": (
        "FROM a\nRUN --security=insecure x\nRUN --network=host x\nRUN --device=vendor.com/d x\n",
        [
            "Dockerfile:2: RUN --security=insecure: a RUN that needs privileges is not supported: remove the flag",
            "Dockerfile:3: RUN --network=host: a RUN in the network of the host is not supported: remove the flag",
            "Dockerfile:4: RUN --device: devices are not supported while an image is built: remove the flag",
        ],
    ),
    "copies": (
        "FROM a\nCOPY a\nADD\nCOPY ['a', 'b']\nCOPY [ab].txt b\nCOPY a <<EOF\nx\nEOF\n",
        [
            "Dockerfile:2: COPY a without a destination: write COPY SOURCE DESTINATION",
            "Dockerfile:3: ADD with nothing after it: name what to copy, and where to",
            (
                "Dockerfile:4: COPY with what looks like a JSON array but is not one: write COPY "
                '["source", "destination"], with double quotes'
            ),
            "Dockerfile:6: COPY to a heredoc: name the destination last",
        ],
    ),
    "arrays": (
        'FROM a\nRUN [1]\nCMD ["a"] b\nCMD ["a"]\nRUN [ "a" = b ] && c\n',
        [
            "Dockerfile:2: a JSON array of other things than strings: write strings only",
            "Dockerfile:3: text after a JSON array: write the array alone, or a command without one",
        ],
    ),
    "what the parser refuses, and more": (
        "FROM a\nENV x\nRUN <<E\nENV\nE\nLABEL a b=c d\nLABEL a=b c\nCOPY x\nRUN <<F\nENV x\n",
        [
            "Dockerfile:2: ENV must have two arguments: write NAME=value",
            'Dockerfile:7: Syntax error - can\'t find = in "c". Must be of the form: name=value: write NAME=value, with quotes around a value with spaces',
            "Dockerfile:8: COPY x without a destination: write COPY SOURCE DESTINATION",
            "Dockerfile:9: a heredoc that does not end: end it with its word on a line of its own",
        ],
    ),
    "directives": (
        "# escape=x\n# check=skip=all\n# check=skip=all\nFROM\n",
        [
            "Dockerfile:1: the escape 'x': an escape is a backslash or a backtick",
            "Dockerfile:3: a second `# check=`: keep one of them",
            "Dockerfile:4: FROM with nothing after it: name an image, a stage or scratch",
        ],
    ),
    "ONBUILD": (
        "FROM a\nONBUILD ONBUILD RUN x\nONBUILD\nONBUILD FROM a\nONBUILD COPY a\n",
        [
            "Dockerfile:2: ONBUILD ONBUILD: ONBUILD takes any other instruction",
            "Dockerfile:3: ONBUILD with nothing after it: complete it, or remove it",
            "Dockerfile:4: ONBUILD FROM: ONBUILD takes any other instruction",
            "Dockerfile:5: COPY a without a destination: write COPY SOURCE DESTINATION",
        ],
    ),
    "others": (
        "FROM a\nSHELL bash\nHEALTHCHECK curl\nARG =1\nWORKDIR\n",
        [
            'Dockerfile:2: SHELL is not a JSON array: write SHELL ["/bin/bash", "-c"]',
            "Dockerfile:3: HEALTHCHECK curl: write HEALTHCHECK CMD … or HEALTHCHECK NONE",
            "Dockerfile:4: ARG with an empty name: write ARG NAME or ARG NAME=default",
            "Dockerfile:5: WORKDIR with nothing after it: complete it, or remove it",
        ],
    ),
    "an escape at the end": (
        "FROM a\nCOPY a b\n\\\n",
        ["Dockerfile:3: a line that continues on none: remove it"],
    ),
    "a byte order mark elsewhere": (
        "FROM a\n\ufeffRUN x\n",
        ["Dockerfile:2: unknown instruction \ufeffRUN: did you mean 'RUN'?"],
    ),
    "NUL": (
        "FROM a\nRUN a\0b\n",
        ["Dockerfile:2: a character that is not text: save the file as UTF-8, without NUL characters"],
    ),
    "half a character": (
        "FROM a\nRUN a\udc80\n",
        ["Dockerfile:2: a character that is not text: save the file as UTF-8, without NUL characters"],
    ),
    "a long line": (
        "FROM a\nRUN " + "x" * 70_000,
        ["Dockerfile:2: a line of more than 65535 bytes: break it: builders fail on it"],
    ),
    "a long text": (
        "FROM a\n" + "#\n" * 600_000,
        ["Dockerfile: more than 1048576 characters: no Dockerfile is as long: name another file"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_mistake_is_named_with_its_line(name: str) -> None:
    text, expected = WRONG[name]
    with pytest.raises(PlannerError) as raised:
        read(text, "Dockerfile")
    assert [str(problem) for problem in raised.value.problems] == expected
    assert {problem.code.partition("-")[0] for problem in raised.value.problems} == {"dockerfile"}


def test_broken_json_is_a_command_for_the_shell_as_builders_read_it() -> None:
    (stage,) = read("FROM a\nCMD ['a', 'b']\nRUN [ -f /a ]\n", "Dockerfile").stages
    assert [(each.words, each.json) for each in stage.statements] == [
        (("['a', 'b']",), False),
        (("[ -f /a ]",), False),
    ]


HOSTILE: dict[str, Callable[[int], str]] = {
    "continuations": lambda many: "FROM a\nRUN x" + " \\\n y" * many,
    "ONBUILD": lambda many: "FROM a\n" + "ONBUILD " * many + "RUN x",
    "no end of a heredoc": lambda many: "FROM a\nRUN <<EEEE\n" + "E\n" * many,
    "heredocs": lambda many: "FROM a\nRUN " + "<<E " * many + "\n" + "E\n" * many,
    "stages": lambda many: "FROM a\n" * many,
    "spaces": lambda many: "# escape =" + " " * many + "\nFROM a" + " " * many,
    "mistakes": lambda many: "FROM a\n" + "COPPY\n" * many,
    "mistakes of the parser": lambda many: "FROM a\n" + "ENV a\n" * many,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_takes_deep_or_more_than_its_length(name: str) -> None:
    def calls(many: int) -> int:
        profile = cProfile.Profile()
        with suppress(PlannerError):
            profile.runcall(read, HOSTILE[name](many), "Dockerfile")
        return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]

    calls(5)
    assert calls(4000) < 2.1 * calls(2000)


def test_where_the_parser_is_missing_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dockerfile", None)
    with pytest.raises(PlannerError) as raised:
        read("FROM a\n", "Dockerfile")
    (problem,) = raised.value.problems
    assert problem.code == "dockerfile-parser"
    assert "pip install dockerfile" in problem.fix
