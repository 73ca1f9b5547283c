"""What a Dockerfile reaches: of each target exactly what it needs, and each mistake with its line."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable, Mapping
from contextlib import suppress

import pytest

from planner.dockerfiles.origins import BUILD_PLATFORM, NamedImage
from planner.dockerfiles.pinning import needed_lines, pinned
from planner.dockerfiles.reach import Reach, reached
from planner.dockerfiles.reading import read
from planner.dockerfiles.words import Unknown, expand
from planner.errors import PlannerError
from planner.values import Digest, ImageRef

PIN = Digest("1" * 64)


def reach_of(text: str, target: str | None = None, platform: str = "linux/amd64", **build_args: str) -> Reach:
    return reached(read(text, "Dockerfile"), platform, "linux/amd64", build_args, target)


def problems_of(text: str, target: str | None = None, **build_args: str) -> list[str]:
    with pytest.raises(PlannerError) as raised:
        reach_of(text, target, **build_args)
    assert all(problem.code.startswith("dockerfile-") for problem in raised.value.problems)
    return [str(problem) for problem in raised.value.problems]


def images(reach: Reach) -> list[tuple[str, str | None]]:
    return [(image.reference.familiar, image.platform) for image in reach.images]


def paths(reach: Reach) -> list[str]:
    return [source.path for source in reach.sources]


STAGES = """\
# syntax=docker/dockerfile:1
ARG VERSION=3.11
FROM python:${VERSION} AS base
COPY base.txt /
FROM base AS builder
COPY --from=ghcr.io/astral-sh/uv:0.4 /uv /bin/
COPY builder.txt /
FROM golang AS other
COPY other.txt /
RUN --mount=type=secret,id=other x
FROM debian AS tests
COPY --from=Builder /builder.txt /
RUN --mount=from=busybox,target=/b --mount=from=base,target=/x x
FROM scratch
COPY --from=1 /x /
"""


@pytest.mark.parametrize(
    ("target", "stages", "named", "files"),
    [
        (
            None,
            [0, 1, 4],
            ["docker/dockerfile:1", "python:3.11", "ghcr.io/astral-sh/uv:0.4"],
            ["base.txt", "builder.txt"],
        ),
        (
            "TESTS",
            [0, 1, 3],
            [
                "docker/dockerfile:1",
                "python:3.11",
                "ghcr.io/astral-sh/uv:0.4",
                "debian:latest",
                "busybox:latest",
            ],
            ["base.txt", "builder.txt"],
        ),
        ("base", [0], ["docker/dockerfile:1", "python:3.11"], ["base.txt"]),
        ("other", [2], ["docker/dockerfile:1", "golang:latest"], ["other.txt"]),
    ],
)
def test_only_what_the_target_needs_is_reached(
    target: str | None, stages: list[int], named: list[str], files: list[str]
) -> None:
    reach = reach_of(STAGES, target)
    assert [stage.index for stage in reach.stages] == stages
    assert [name for name, _ in images(reach)] == named
    assert paths(reach) == files
    assert [secret.name for secret in reach.secrets] == (["other"] if target == "other" else [])
    assert bool(reach.arguments) == (0 in stages)


def test_the_base_and_the_user_of_the_target() -> None:
    text = "FROM python AS a\nUSER one\nFROM a AS b\nENV WHO=two\nFROM b\nUSER $WHO\nFROM scratch\n"
    assert str(reach_of(text, "b").base) == str(NamedImage(ImageRef.parse("python")))
    assert reach_of(text, "b").user == "one"
    assert (reach_of(text).base, reach_of(text).user) == (None, None)
    assert reach_of(text.rpartition("FROM")[0]).user == "two"
    assert isinstance(reach_of("FROM python\nUSER $WHO\n").user, Unknown)


PLATFORMS = {
    "FROM a": None,
    "FROM --platform=$BUILDPLATFORM a": BUILD_PLATFORM,
    "FROM --platform=${BUILDPLATFORM} a": BUILD_PLATFORM,
    "FROM --platform=$TARGETPLATFORM a": None,
    "FROM --platform=linux/arm64 a": "linux/arm64",
    "FROM --platform=linux/arm/v7 a": "linux/arm/v7",
    "FROM --platform=$TARGETOS/ppc64le a": "linux/ppc64le",
}


@pytest.mark.parametrize("text", PLATFORMS)
def test_the_platform_of_an_image(text: str) -> None:
    assert images(reach_of(text)) == [("a:latest", PLATFORMS[text])]


def test_variables_of_the_platform_are_those_of_the_image() -> None:
    text = "FROM a-$TARGETARCH\nARG TARGETVARIANT\nCOPY x-${TARGETVARIANT:-none} /\n"
    reach = reach_of(text, platform="linux/arm64/v8")
    assert images(reach) == [("a-arm64:latest", None)]
    assert paths(reach) == ["x-v8"]
    assert dict(reach.buildkit) == {"variables of the platform": 1}
    assert paths(reach_of(text)) == ["x-none"]


VARIABLES = {
    "an ARG with a default": ("FROM a\nARG X=1\nCOPY $X /", "1"),
    "an ARG at the top": ("ARG X=1\nFROM a\nARG X\nCOPY $X /", "1"),
    "another default in the stage": ("ARG X=1\nFROM a\nARG X=2\nCOPY $X /", "2"),
    "a build argument": ("ARG GIVEN=1\nFROM a\nARG GIVEN=2\nCOPY $GIVEN /", "given"),
    "ENV": ("FROM a\nENV X=1 Y=$X\nENV X=2 Z=${X}3\nCOPY $X$Z /", "213"),
    "ENV of the stage below": ("FROM a AS b\nENV X=1\nFROM b\nARG Y=2\nCOPY $X$Y /", "12"),
    "a default": ("FROM scratch\nCOPY ${X:-${Y:-1}} /", "1"),
    "what is not set": ("FROM scratch\nCOPY a$X /", "a"),
    "a default that is not used": ("FROM a\nARG X=1\nCOPY ${X:-$HOME} /", "1"),
    "another value": ("FROM a\nARG X=\nCOPY ${X:+1}${X+2} /", "2"),
    "quotes": ("FROM a\nARG X=1\nCOPY \"$X a\"'$X' /", '"1'),
    "quotes in JSON": ('FROM a\nARG X=1\nCOPY ["$X a\\\\\'b", "/"]', "1 a'b"),
    "escapes": ("FROM a\nCOPY \\$X /", "$X"),
    "another escape": ("# escape=`\nFROM a\nCOPY `$X\\a /", "$X\\a"),
    "an ARG of several": ("FROM a\nARG X=1 Y=2\nCOPY $X$Y /", "12"),
}


@pytest.mark.parametrize("name", VARIABLES)
def test_variables_in_what_is_copied(name: str) -> None:
    text, expected = VARIABLES[name]
    if name == "quotes":
        text = text.replace('"$X a"', '"$X"')
        expected = "1$X"
    assert paths(reach_of(text, GIVEN="given")) == [expected]


WORDS = {
    "a": "a",
    "$A": "1",
    "${A}b": "1b",
    "$Ab": "",
    "$": "$",
    "a$ b": "a$ b",
    "$1": "",
    "'$A'": "$A",
    '"$A \\" \\a"': '1 " \\a',
    "\\a": "a",
    "a\\": "a",
    "${NONE-x}${EMPTY-x}${EMPTY:-x}": "xx",
    "${A:+x}${EMPTY:+x}${EMPTY+y}": "xy",
    "${A:?no}": "1",
}


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_expanded_as_a_shell_does(word: str) -> None:
    assert expand(word, {"A": "1", "EMPTY": ""}.get) == WORDS[word]


BROKEN = {
    "${": "a broken substitution in '${'",
    "${}": "a broken substitution in '${}'",
    "${A": "a broken substitution in '${A'",
    "${A:-x": "no '}' in '${A:-x'",
    "'a": 'a single quote that does not end in "\'a"',
    '"a': "a double quote that does not end in '\"a'",
    "${A#x}": "${A#…}, which not every builder takes",
    "${A:=x}": "${A=…}, which not every builder takes",
    "${B:?set B}": "B has no value: set B",
    "${A:-" * 21 + "x" + "}" * 21: "substitutions that are nested too deeply in",
}


@pytest.mark.parametrize("word", BROKEN)
def test_what_no_word_comes_to(word: str) -> None:
    found = expand(word, {"A": "1"}.get)
    assert isinstance(found, Unknown)
    assert found.found.startswith(BROKEN[word])


WRONG: Mapping[str, tuple[str, list[str]]] = {
    "variables of the image": (
        "FROM a\nCOPY $HOME/x /\nCOPY ${X:-y} /\nRUN --mount=type=bind,source=$Y,target=/x z\n",
        [
            "Dockerfile:2: COPY of the variable HOME, which only the image a:latest could set: write its value, or set it before with ARG HOME=… or ENV HOME=…",
            "Dockerfile:3: COPY of the variable X, which only the image a:latest could set: write its value, or set it before with ARG X=… or ENV X=…",
            "Dockerfile:4: RUN --mount of the variable Y, which only the image a:latest could set: write its value, or set it before with ARG Y=… or ENV Y=…",
        ],
    ),
    "modifiers": (
        "ARG X=1\nFROM a AS b\nARG X\nCOPY ${X#1} /\nFROM ${X%1}\nCOPY --from=b a b\n",
        [
            "Dockerfile:4: COPY of ${X#…}, which not every builder takes: write the value that is meant, or give X that value",
            "Dockerfile:5: FROM ${X%1}: ${X%…}, which not every builder takes: write the value that is meant, or give X that value",
        ],
    ),
    "ARG of the stage below": (
        "ARG Z=1\nFROM scratch AS b\nARG X=1\nARG Z\nFROM b\nARG X\nARG Z\nCOPY $X $Z /\n",
        ["Dockerfile:8: COPY of the variable X, which ARG sets in the stage that this one is built on: declare it again: ARG X=…; not every builder hands it down"],
    ),
    "ENV and ARG": (
        "FROM a\nENV X=1\nARG X=2\nCOPY $X /\n",
        ["Dockerfile:4: COPY of the variable X, which both ENV and ARG set: give them different names"],
    ),
    "empty ones": (
        "ARG X\nFROM scratch\nCOPY $X /\nFROM $X\nCOPY --from=0 a b\n",
        [
            "Dockerfile:3: COPY of '$X', which is empty: give its variables a value",
            "Dockerfile:4: FROM $X, which is empty: give its ARG above the first FROM a default, or set the build argument",
        ],
    ),
    "no base": (
        "ARG X\nFROM $X\nCOPY $HOME /\n",
        [
            "Dockerfile:2: FROM $X, which is empty: give its ARG above the first FROM a default, or set the build argument",
            "Dockerfile:3: COPY of the variable HOME, which only the image $X could set: write its value, or set it before with ARG HOME=… or ENV HOME=…",
        ],
    ),
    "no reference": (
        "FROM a:b:c AS d\nCOPY --from=B!x y z\nCOPY --from=builde y z\nFROM d AS builder\n",
        [
            "Dockerfile:1: FROM a:b:c: not an image reference: 'a:b:c': name an image, or a stage that stands above",
            "Dockerfile:2: COPY --from=B!x: not an image reference: 'B!x' (a repository is written in lower case): name an image, or a stage that stands above",
        ],
    ),
    "stages": (
        "FROM a AS b\nFROM B AS c\nFROM later\nCOPY --from=c x y\nFROM z AS later\nFROM z\nCOPY --from=2 x y\n",
        [
            "Dockerfile:2: FROM B: write b: FROM knows stages in lower case alone",
            "Dockerfile:3: FROM later: stage later begins on line 5, after it is used: take from a stage that stands above it",
        ],
    ),
    "names of stages": (
        "FROM a AS b\nCOPY --from=b x y\nCOPY --from=0 x y\nCOPY --from=1 x y\nCOPY --from=4 x y\nCOPY --from=$X x y\nRUN --mount=from=0 x\n",
        [
            "Dockerfile:2: COPY --from=b: stage b is this stage itself: take from a stage that stands above it",
            "Dockerfile:3: COPY --from=0: stage b is this stage itself: take from a stage that stands above it",
            "Dockerfile:4: COPY --from=1: there is no such stage: stages count from 0 to 0",
            "Dockerfile:5: COPY --from=4: there is no such stage: stages count from 0 to 0",
            "Dockerfile:6: COPY --from=$X: variables have no meaning there: add a stage above, FROM it, and take it from that stage",
            "Dockerfile:7: RUN --mount with from=0: give the stage a name, and write that",
        ],
    ),
    "platforms": (
        "FROM --platform=$X a AS x\nFROM --platform=amd64 a AS y\nFROM --platform=${X a AS z\nFROM x\nCOPY --from=y a b\nCOPY --from=z a b\n",
        [
            "Dockerfile:1: FROM --platform=$X, which is empty: write a platform as linux/amd64 or linux/arm64, or $BUILDPLATFORM or $TARGETPLATFORM",
            "Dockerfile:2: FROM --platform=amd64: write a platform as linux/amd64 or linux/arm64, or $BUILDPLATFORM or $TARGETPLATFORM",
            "Dockerfile:3: FROM --platform=${X: a broken substitution in '${X': write ${NAME}, ${NAME:-default} or ${NAME:+other}",
        ],
    ),
    "paths": (
        "FROM a\nCOPY ../x /\nADD a/../../b /\nCOPY /../x /\nCOPY --parents ../x/./y /\nCOPY a[b /\nCOPY [z-] /\n",
        [
            "Dockerfile:2: COPY ../x, which is outside of the build context: copy what it needs below `build_context_root`, or set that to a directory above",
            "Dockerfile:3: ADD a/../../b, which is outside of the build context: copy what it needs below `build_context_root`, or set that to a directory above",
            "Dockerfile:4: COPY /../x, which is outside of the build context: copy what it needs below `build_context_root`, or set that to a directory above",
            "Dockerfile:5: COPY ../x/./y, which is outside of the build context: copy what it needs below `build_context_root`, or set that to a directory above",
            r"Dockerfile:6: COPY: the pattern 'a[b', which is malformed and matches nothing: write a class as [abc], [a-z] or [^a-z], and \[ for the character itself",
            r"Dockerfile:7: COPY: the pattern '[z-]', which is malformed and matches nothing: write a class as [abc], [a-z] or [^a-z], and \[ for the character itself",
        ],
    ),
    "patterns": (
        "FROM a\nCOPY --exclude=[ --parents a/[b /\n",
        [
            r"Dockerfile:2: COPY: --parents: 'a/[b' has a '[' that opens no well-formed character class: write a class as [abc], [a-z] or [^a-z], and \[ for the character itself",
            r"Dockerfile:2: COPY: --exclude: '[' has a '[' that opens no well-formed character class: write a class as [abc], [a-z] or [^a-z], and \[ for the character itself",
        ],
    ),
    "what is fetched": (
        "FROM a\nCOPY https://x/y /\nADD https://me:secret@x/y /\nADD git@github.com:a/b.git /\nADD ssh://github.com/a/b /\n",
        [
            "Dockerfile:2: COPY of a URL: write ADD instead",
            "Dockerfile:3: ADD of a URL with a login: fetch it in a RUN that mounts a secret",
            "Dockerfile:4: ADD of a git repository over ssh: keys of ssh are not supported: use its https URL, or fetch it in a RUN that mounts a secret",
            "Dockerfile:5: ADD of a git repository over ssh: keys of ssh are not supported: use its https URL, or fetch it in a RUN that mounts a secret",
        ],
    ),
    "mounts": (
        "FROM a\nRUN --mount=type=ssh x\nRUN --mount=type=secret x\nRUN --mount=type=scret x\nRUN --mount=trget=/x x\nRUN --mount=target x\nRUN --mount=type=secret,id=$X x\n",
        [
            "Dockerfile:2: RUN --mount=type=ssh: keys of ssh are not supported: mount a secret (--mount=type=secret,id=NAME)",
            "Dockerfile:3: a secret without a name: write --mount=type=secret,id=NAME",
            "Dockerfile:4: RUN --mount of the type 'scret': did you mean 'secret'?",
            "Dockerfile:5: RUN --mount with 'trget': did you mean 'target'?",
            "Dockerfile:6: RUN --mount with target without a value: write target=…",
            "Dockerfile:7: a secret of the variable X, which only the image a:latest could set: write its value, or set it before with ARG X=… or ENV X=…",
        ],
    ),
    "a frontend": (
        "# syntax=A!\nFROM a\n",
        [
            "Dockerfile:1: # syntax=A!: not an image reference: 'A!' (a repository is written in lower case): name an image, or a stage that stands above"
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_each_mistake_is_named_with_its_line(name: str) -> None:
    text, expected = WRONG[name]
    assert problems_of(text) == expected


def test_a_target_that_is_none_of_the_stages() -> None:
    text = "FROM a AS train\nFROM a AS test\n"
    assert problems_of(text, "tain") == ["Dockerfile: no stage tain: did you mean 'train'?"]
    assert problems_of(text, "0") == ["Dockerfile: no stage 0: known names: test, train"]
    assert problems_of("FROM a\n", "x") == [
        "Dockerfile: no stage x: none of its stages has a name: remove `target`"
    ]


def test_a_frontend_by_build_argument_is_refused() -> None:
    (problem,) = problems_of("FROM a\n", BUILDKIT_SYNTAX="x")
    assert "the build argument BUILDKIT_SYNTAX: write `# syntax=IMAGE`" in problem


def test_mistakes_of_stages_that_are_not_needed_are_nobodys_concern() -> None:
    text = "FROM $NONE AS x\nCOPY ../x /\nRUN --mount=type=ssh x\nFROM a\n"
    assert images(reach_of(text)) == [("a:latest", None)]


def test_secrets() -> None:
    text = (
        "FROM a\n"
        "RUN --mount=type=secret,id=one x\n"
        "RUN --mount=type=secret,id=two,required x\n"
        "RUN --mount=type=secret,src=three,required=true x\n"
        "RUN --mount=type=secret,target=/run/secrets/four,required=false x\n"
        'RUN --mount=type=secret,"id=five",env=FIVE --mount=type=secret,id=one x\n'
    )
    found = [(secret.name, secret.required, secret.line) for secret in reach_of(text).secrets]
    assert found == [
        ("one", False, 2), ("two", True, 3), ("three", True, 4), ("four", False, 5), ("five", False, 6),
        ("one", False, 6),
    ]  # fmt: skip


SECRETS = {
    "id=a": "id=a@2,target=/run/secrets/a",
    "src=a": "src=a@2,target=/run/secrets/a",
    "id=a,target=/b": "id=a@2,target=/b",
    "target=/b/a": "target=/b/a,id=a@2",
    "id=a,env=A": "id=a@2,env=A",
    "required,id=a,mode=0444": "required,id=a@2,mode=0444,target=/run/secrets/a",
    "id=b": "id=b",
    "id=$NAME": "id=a@2,target=/run/secrets/a",
}


@pytest.mark.parametrize("mount", SECRETS)
@pytest.mark.parametrize("around", ["{}", '"{}"', "{} --mount=type=cache,target=/id=a"])
def test_a_secret_is_called_otherwise_where_it_is_mounted_and_nowhere_else(mount: str, around: str) -> None:
    text = "FROM a\nENV NAME=a\nRUN --mount={} --network=none x --mount=type=secret,id=a <<EOF\n{}\nEOF\n"
    before = text.format(around.format(f"type=secret,{mount}"), "--mount=type=secret,id=a")
    after = text.format(around.format(f"type=secret,{SECRETS[mount]}"), "--mount=type=secret,id=a")
    reach = reach_of(before)
    assert pinned(read(before, "Dockerfile"), reach, {}, {"a": "a@2"}) == after.replace(
        "FROM a", "FROM docker.io/library/a:latest"
    )
    assert [secret.name for secret in reach_of(after).secrets] == ["b" if mount == "id=b" else "a@2"]


def test_what_only_buildkit_can_do() -> None:
    text = (
        "# syntax=docker/dockerfile:1\n"
        "FROM a\n"
        "COPY --link a /\n"
        "COPY --chmod=1 --exclude=b a /\n"
        "ADD --checksum=sha256:1 https://a/b /\n"
        "ADD https://a/b.git /\n"
        "RUN --mount=type=cache,target=/a --network=none x\n"
        "RUN <<EOF\nEOF\n"
        "RUN --mount=type=cache,target=/b x\n"
        "COPY --from=b --chown=1 a /\n"
        "RUN --mount=type=secret,id=a,env=A x\n"
    )
    assert dict(reach_of(text).buildkit) == {
        "# syntax=": 1, "COPY --link": 3, "COPY --chmod": 4, "COPY --exclude": 4, "ADD --checksum": 5,
        "ADD of a git repository": 6, "RUN --mount=type=cache": 7, "RUN --network": 7, "heredocs": 8,
        "RUN --mount=type=secret": 12, "a secret as a variable": 12,
    }  # fmt: skip
    assert not reach_of("FROM a\nRUN x\nCOPY --from=b a /\nADD a /\n").buildkit


def test_what_is_fetched_and_whether_it_is_the_same_each_time() -> None:
    commit = "1" * 40
    text = (
        "FROM a\n"
        "ADD https://a/b.tgz /\n"
        "ADD --checksum=sha256:1 https://a/b.tgz /\n"
        f"ADD https://a/b.git#{commit} https://a/b.git#{commit}:dir https://a/b.git?commit={commit} /\n"
        "ADD https://a/b.git#main git://a/b https://a/b.git /\n"
    )
    found = [(each.url.removeprefix("https://"), each.git, each.pinned) for each in reach_of(text).remotes]
    assert found == [
        ("a/b.tgz", False, False), ("a/b.tgz", False, True), (f"a/b.git#{commit}", True, True),
        (f"a/b.git#{commit}:dir", True, True), (f"a/b.git?commit={commit}", True, True),
        ("a/b.git#main", True, False), ("git://a/b", True, False), ("a/b.git", True, False),
    ]  # fmt: skip


def test_what_a_run_sees_of_the_context() -> None:
    text = "FROM a\nRUN --mount=target=/x --mount=type=bind,src=a/*,dst=/y --mount=type=tmpfs,target=/z x\n"
    sources = reach_of(text).sources
    assert [(source.path, source.wildcards) for source in sources] == [("", False), ("a/*", False)]


def test_onbuild_of_a_stage_is_carried_out_where_another_builds_on_it() -> None:
    text = "FROM a AS b\nONBUILD COPY --from=c x y\nONBUILD COPY k l\n"
    alone = reach_of(text)
    assert (images(alone), paths(alone)) == ([("a:latest", None)], [])
    assert [each.trigger.words for each in alone.triggers if each.trigger] == [("x", "y"), ("k", "l")]
    below = reach_of(text + "FROM b AS d\nFROM d\n")
    assert (images(below), paths(below)) == ([("a:latest", None), ("c:latest", None)], ["k"])
    assert below.triggers == ()


def test_build_arguments_that_nothing_declares() -> None:
    text = "ARG A\nFROM a\nARG B\n"
    given = {"A": "1", "B": "1", "C": "1", "HTTP_PROXY": "x", "TARGETARCH": "x", "SOURCE_DATE_EPOCH": "0"}
    assert reach_of(text, None, "linux/amd64", **given).undeclared == ("C",)


def counted(text: str) -> list[str]:
    return [line for line, _ in needed_lines(read(text, "Dockerfile"), reach_of(text))]


COUNTED = "ARG V=1\nFROM a:$V AS b\nRUN x \\\n y\nFROM c AS d\nFROM scratch\nCOPY --from=b x y\n"
NOTHING = {
    "comments": COUNTED.replace("RUN", "# a\n\nRUN").replace("\n y", "\n # b\n y"),
    "line ends": COUNTED.replace("\n", "\r\n"),
    "stages that are not needed": COUNTED.replace("FROM c AS d", "FROM e AS f\nRUN z"),
    "arguments that are not needed": "ARG Z=1\n" + COUNTED,
    "checks": "# check=skip=all\n" + COUNTED,
    "case": COUNTED.replace("RUN", "run"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_does_not_count(name: str) -> None:
    assert counted(NOTHING[name]) == counted(COUNTED)


SOMETHING = {
    "a command": COUNTED.replace("RUN x", "RUN z"),
    "a default": COUNTED.replace("V=1", "V=2"),
    "a flag": COUNTED.replace("COPY", "COPY --chown=1"),
    "an instruction": COUNTED + "USER app\n",
    "the order": COUNTED.replace("COPY --from=b x y", "COPY --from=b y x"),
    "the form": COUNTED.replace("RUN x \\\n y", 'RUN ["x", "y"]'),
}


@pytest.mark.parametrize("name", SOMETHING)
def test_what_counts(name: str) -> None:
    assert counted(SOMETHING[name]) != counted(COUNTED)


TEXTS = {
    "one line": ("FROM python:3.11 AS a", "FROM {python} AS a"),
    "case and spaces": ("from   --platform=linux/amd64\tpython:3.11   as a", "from   --platform=linux/amd64\t{python}   as a"),
    "variables": ("ARG V=3.11\nFROM python:${V}", "ARG V=3.11\nFROM {python}"),
    "continued": ("FROM \\\n  # comment\n\n  python:3.11 \\\n AS a", "FROM \\\n  # comment\n\n  {python} \\\n AS a"),
    "in two": ("FROM pyt\\\n# comment\nhon:3.11 AS a\nRUN x", "FROM \\\n# comment\n{python} AS a\nRUN x"),
    "another escape": ("# escape=`\nFROM `\npython:3.11", "# escape=`\nFROM `\n{python}"),
    "a mark and line ends of Windows": ("\ufeffFROM python:3.11\r\nRUN x\r\n", "\ufeffFROM {python}\r\nRUN x\r\n"),
    "COPY": ("FROM scratch\nCOPY --chown=1 --from=python:3.11 --link a b", "FROM scratch\nCOPY --chown=1 --from={python} --link a b"),
    "quotes": ('FROM scratch\nCOPY --from="python:3.11" a b', 'FROM scratch\nCOPY --from="{python}" a b'),
    "mounts": (
        'FROM scratch\nRUN --mount=type=bind,from=python:3.11,target=/a \\\n  --mount=type=bind,"from=python:3.11",target=/b x <<EOF\nfrom=python:3.11\nEOF',
        'FROM scratch\nRUN --mount=type=bind,from={python},target=/a \\\n  --mount=type=bind,"from={python}",target=/b x <<EOF\nfrom=python:3.11\nEOF',
    ),
    "a frontend": ("# syntax = python:3.11 # or so\nFROM scratch", "# syntax = {python} # or so\nFROM scratch"),
    "ONBUILD": (
        "FROM scratch AS a\nONBUILD COPY --from=python:3.11 x y\nFROM a",
        "FROM scratch AS a\nONBUILD COPY --from={python} x y\nFROM a",
    ),
    "ONBUILD that nobody triggers": ("FROM scratch\nONBUILD COPY --from=python:3.11 x y",) * 2,
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_pins_are_put_in_place_and_nothing_else_moves(name: str) -> None:
    text, expected = TEXTS[name]
    dockerfile = read(text, "Dockerfile")
    reach = reach_of(text)
    result = pinned(dockerfile, reach, dict.fromkeys(reach.images, PIN))
    assert result == expected.replace("{python}", f"docker.io/library/python@{PIN}")
    again = reach_of(result)
    assert [stage.line for stage in again.stages] == [stage.line for stage in reach.stages]
    assert [image.reference for image in again.images] == [
        image.reference.pinned(PIN) for image in reach.images
    ]


LINES = {
    "stages": (
        "FROM a AS b\nFROM other\nRUN <<EOF\n  x\n\nEOF\n\nFROM scratch\nCOPY --from=0 x y\nFROM c\nCOPY --from=\\\n2 x y\nCOPY --from=b x y\n",
        [
            ("FROM a AS b", 1), ("FROM scratch", 8), ("COPY --from=0 x y", 9), ("FROM c", 10),
            ("COPY --from=1 x y", 11), ("COPY --from=b x y", 13),
        ],
    ),
    "what is around": (
        "# comment\nARG X\nARG Y=1\n  from a:$Y \\\n# comment\n AS b  \nrun x \\\n\n  y\n",
        [("ARG Y=1", 3), ("FROM a:$Y  AS b", 4), ("RUN x   y", 7)],
    ),
    "documents": (
        "FROM a\r\nCOPY <<EOF /x\r\n# one\r\n\r\nEOF\r\nUSER b\r\n",
        [("FROM a", 1), ("COPY <<EOF /x\n# one\n\nEOF", 2), ("USER b", 6)],
    ),
    "directives": (
        "# syntax=a\n# check=skip=all\n# escape=`\nFROM b `\n AS c\n",
        [("# escape=`", 1), ("# syntax=a", 1), ("FROM b  AS c", 4)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_what_is_built_are_the_statements_that_are_needed(name: str) -> None:
    text, expected = LINES[name]
    reach = reach_of(text)
    lines = list(needed_lines(read(text, "Dockerfile"), reach))
    assert lines == expected
    again = "".join(f"{line}\n" for line, _ in lines)
    # Nothing is lost, and writing it once more changes nothing.
    assert [line for line, _ in needed_lines(read(again, "Dockerfile"), reach_of(again))] == [
        line for line, _ in lines
    ]
    assert [each.keyword for each in reach_of(again).statements] == [
        each.keyword for each in reach.statements
    ]


HOSTILE: dict[str, Callable[[int], str]] = {
    "stages": lambda many: "FROM a AS s0\n" + "".join(f"FROM s{i} AS s{i + 1}\n" for i in range(many)),
    "mounts": lambda many: "FROM a\nRUN " + "--mount=from=b,target=/c " * many + "x",
    "dollars": lambda many: "FROM scratch\nCOPY " + "${X:-" * many + " /",
    "arguments": lambda many: "ARG A0=1\n" + "".join(f"ARG A{i + 1}=$A{i}\n" for i in range(many)) + f"FROM a:$A{many}",
    "copies": lambda many: "FROM a\n" + "COPY --from=b x y\n" * many,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_takes_deep_or_more_than_its_length(name: str) -> None:
    def calls(many: int) -> int:
        profile = cProfile.Profile()
        with suppress(PlannerError):
            profile.runcall(reach_of, HOSTILE[name](many))
        return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]

    calls(5)
    assert calls(400) < 2.2 * calls(200)
