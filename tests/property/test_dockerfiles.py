"""The Dockerfile of every image, read back by the official parser: it says what the instructions say."""

from __future__ import annotations

import re
import shlex
from collections import Counter

import dockerfile as official
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import BuildPlan, ImagePlan, ImageSpec, PlannerError, context_files, dockerfile
from planner.custom import last_user
from planner.image.instructions import (
    BuildDockerfile,
    CopyBootstrap,
    CopyFiles,
    InstallApt,
    InstallProject,
    InstallRequirements,
    Instruction,
    MakeDirectory,
    SetEnvironment,
    SetUser,
)
from planner.render.dockerfile import context_directories
from planner.requirements.indexes import of_options
from planner.requirements.model import constraint_lines, to_lines
from planner.settings.package_indexes import index_of
from planner.values import Literal, ParentRef, VariableRef, build_argument
from tests.builders import World, file, image_of, plan_of
from tests.property import shapes
from tests.property import strategies as some

# What stands for the value that a variable has already, alone and with a colon that goes where it is empty.
_PARENT = {
    "${%s}": ParentRef(),
    "${%s:+:${%s}}": ParentRef(before=":"),
    "${%s:+${%s}:}": ParentRef(after=":"),
}


def _unquoted(word: str, variable: str = "") -> tuple[Literal | VariableRef | ParentRef, ...]:
    r"""What Docker makes of a word in double quotes (moby, `frontend/dockerfile/shell/lex.go`).

    Inside them `\` escapes `"`, `$` and itself and is kept before anything else, and `${NAME}` is replaced.
    `variable` is the one whose value the word is.
    """
    assert word[0] == word[-1] == '"'
    own = {text.replace("%s", variable): part for text, part in _PARENT.items()} if variable else {}
    parts: list[Literal | VariableRef | ParentRef] = []
    literal, rest = "", word[1:-1]
    while rest:
        if rest[0] == "\\":
            assert rest[1:2], "the closing quote is escaped"
            literal += rest[1] if rest[1] in '"$\\' else rest[:2]
            rest = rest[2:]
        elif rest[0] == "$":
            parts += [Literal(literal)] if literal else []
            literal = ""
            if text := next(filter(rest.startswith, own), ""):
                parts.append(own[text])
                rest = rest[len(text) :]
                continue
            found = re.match(r"\$\{(STOWPLAN_[0-9a-f]{12}_(\w+))\}", rest)
            assert found, f"Docker would replace {rest!r}"
            assert found[1] == build_argument(found[2])
            parts.append(VariableRef(found[2]))
            rest = rest[found.end() :]
        else:
            assert rest[0] != '"', "the quote ends here"
            literal, rest = literal + rest[0], rest[1:]
    return tuple(parts + ([Literal(literal)] if literal else []))


def _literal(word: str) -> str:
    """A word in double quotes that names no variable."""
    parts = _unquoted(word)
    assert all(isinstance(part, Literal) for part in parts)
    return "".join(part.text for part in parts if isinstance(part, Literal))


def _is_looked_up(user: str) -> bool:
    """Whether a user or a group goes by a name that not each image has."""
    return not all(each.isdigit() or each == "root" for each in user.split(":"))


def _expected(item: Instruction) -> list[str]:
    """The commands that an instruction becomes."""
    match item:
        case SetEnvironment():
            names = {name for value in item.variables.values() for name in value.variables}
            return ["ARG"] * len(names) + ["ENV"]
        case InstallApt() | InstallProject():
            return ["RUN"]
        case InstallRequirements():
            return ["COPY", "RUN"] if item.closure is None or item.closure.packages else []
        case CopyFiles():
            return [*(["COPY"] if item.owner or item.group_writes else []), "COPY", "WORKDIR"]
        case MakeDirectory():
            return ["COPY", "WORKDIR"]
        case CopyBootstrap():
            return ["COPY"]
        case SetUser():
            return [*(["RUN"] if _is_looked_up(item.user) else []), "USER"]
        case BuildDockerfile():
            raise AssertionError("what others wrote is compared with what they wrote")


def _check_environment(item: SetEnvironment, commands: list[official.Command]) -> None:
    *declared, env = commands
    names = {name for value in item.variables.values() for name in value.variables}
    assert [command.value for command in declared] == [(build_argument(name),) for name in sorted(names)]
    words = env.value
    read = {words[i]: _unquoted(words[i + 1], words[i]) for i in range(0, len(words), 2)}
    assert read == {name: value.parts for name, value in item.variables.items()}


def _check_requirements(item: InstallRequirements, commands: list[official.Command], spec: ImageSpec) -> None:
    if not commands:
        assert not any(path.startswith(f"requirements/{item.source}/") for path in context_files(spec))
        return
    copy, run = commands
    source, destination = copy.value
    files = {path: text for path, text in context_files(spec).items() if path.startswith(source)}
    expected = {f"{source}{item.source}.txt": to_lines(item.requirements)}
    if item.closure is not None:
        kinds = {"wheel": "", "sdist": "-sdist", "vcs": "-vcs"}
        indexes = of_options(item.options)
        lines: dict[tuple[str, int], list[str]] = {}
        for package in item.closure.packages:
            named = index_of(indexes, package.name) if package.version else None
            at = indexes.index(named) + 1 if named else 0
            lines.setdefault((kinds[package.kind], at), []).append(package.requirement.line)
        numbers = Counter[str]()
        expected = {}
        for end, at in sorted(lines):
            numbers[end] += bool(at)
            index = f"-index{numbers[end]}" if at else ""
            expected[f"{source}{item.source}{end}{index}.txt"] = tuple(lines[end, at])
    elif constraints := constraint_lines(item.requirements):
        expected[f"{source}{item.source}-constraints.txt"] = constraints
    assert {path: tuple(text.decode().splitlines()) for path, text in files.items()} == expected
    words = shlex.split(run.value[0])
    start = max(i for i, word in enumerate(words) if word == "install") + 1
    given = words[start:]
    for name in (path.removeprefix(source) for path in expected):
        kind = "constraint" if name.endswith("-constraints.txt") else "requirement"
        assert f"--{kind}={destination}{name}" in words
    for name, value in item.installer.arguments.items():
        for each in value if isinstance(value, tuple) else (value,):
            assert (f"--{name}" if each is None else f"--{name}={each}") in given
    if item.installer.version:
        assert f"uv=={item.installer.version}" in words


def _check(item: Instruction, commands: list[official.Command], spec: ImageSpec) -> None:
    match item:
        case SetEnvironment():
            _check_environment(item, commands)
        case InstallApt():
            words = shlex.split(commands[0].value[0])
            start = words.index("--no-install-recommends") + 1
            assert tuple(words[start : start + len(item.packages)]) == item.packages
            assert words[start + len(item.packages)] == "&&"
        case InstallRequirements():
            _check_requirements(item, commands, spec)
        case CopyFiles():
            owner = item.owner or "0:0"
            owner = owner if ":" in owner else f"{owner}:0"
            *given, copy, work = commands
            assert work.value == (item.destination,)
            assert copy.value == (f"trees/{item.tree}/", f"{item.destination}/")
            assert copy.flags == (f"--chown={owner}",)
            if given:
                assert given[0].flags == copy.flags
                source, above = given[0].value
                made = {
                    path: mode for path, mode in context_directories(spec).items() if path.startswith(source)
                }
                assert made == {f"{source}{item.destination.rpartition('/')[2]}": item.mode(0o755)}
                assert above == item.destination.rpartition("/")[0] + "/"
        case InstallProject():
            assert commands[0].json
            *shell, command = commands[0].value
            assert command == item.command
            assert shell[:2] == ["/bin/sh", "-c"]
            assert '/bin/sh -c "$0"' in shell[2]
        case SetUser():
            *check, user = commands
            assert user.value == (item.user,)
            assert all(f"chown {item.user} " in each.value[0] for each in check)


def _check_custom(image: ImagePlan, item: BuildDockerfile) -> None:
    """What others wrote is what they wrote, but for the names of images, and the labels behind it."""
    text = "".join(f"{line}\n" for line in item.lines)
    written, built = official.parse_string(text), official.parse_string(dockerfile(image.spec))
    if image.spec.labels:
        *built, last = built
        words = [_literal(word) for word in last.value]
        assert dict(zip(words[::2], words[1::2], strict=True)) == dict(image.spec.labels)
    assert [(each.cmd, each.json, each.heredocs) for each in built] == [
        (each.cmd, each.json, each.heredocs) for each in written
    ]
    for new, old in zip(built, written, strict=True):
        assert new == old or new.cmd in {"FROM", "COPY", "RUN"}


def _check_image(image: ImagePlan) -> None:
    if image.spec.dockerfile is not None:
        _check_custom(image, image.spec.dockerfile)
        return
    below = last_user(image.spec.parent) if isinstance(image.spec.parent, ImageSpec) else None
    sets_user = any(isinstance(item, SetUser) for item in image.spec.instructions)
    first, *commands = official.parse_string(dockerfile(image.spec, image.base))
    assert (first.cmd, first.value) == ("FROM", (image.base,))
    proxies = {"HTTP_PROXY", "no_proxy"}
    declared = [name for name in image.spec.build_args if name not in proxies]
    assert [command.value for command in commands[: len(declared)]] == [(name,) for name in declared]
    rest = commands[len(declared) :]
    if sets_user or below:
        first, *rest = rest
        assert (first.cmd, first.value) == ("USER", ("0",))
    if image.spec.labels:
        *rest, last = rest
        words = [_literal(word) for word in last.value]
        assert last.cmd == "LABEL"
        assert dict(zip(words[::2], words[1::2], strict=True)) == dict(image.spec.labels)
    if below and not sets_user:
        *rest, last = rest
        assert (last.cmd, last.value) == ("USER", (below,))
    for item in image.spec.instructions:
        expected = _expected(item)
        own, rest = rest[: len(expected)], rest[len(expected) :]
        assert [command.cmd for command in own] == expected
        assert all(command.heredocs == () for command in own)
        _check(item, own, image.spec)
    assert rest == []


@some.examples(80)
@given(some.plans)
def test_a_dockerfile_parses_back_to_the_values_it_was_made_from(plan: BuildPlan) -> None:
    for image in plan.images:
        if image.builds:
            _check_image(image)


@some.examples(80)
@given(shapes.plans())
def test_a_dockerfile_of_any_instructions_parses_back(plan: BuildPlan) -> None:
    for image in plan.images:
        _check_image(image)


@some.examples(60)
@given(some.text, st.sampled_from(["\n", "\r", "\0", "\r\n"]), some.text)
def test_no_text_with_a_line_end_reaches_a_plan(before: str, end: str, after: str) -> None:
    """A line end would start an instruction of its own: `ENV A=x` and then `RUN …`."""
    bad = before + end + "RUN evil " + after
    for table in (
        {"environment": {"A": bad}},
        {"environment": {bad: "a"}},
        {"runtime_environment": {"A": bad}},
        {"local_project_install_command": bad},
        {"user": bad},
        {"apt_packages": [bad]},
        {"parent_image": bad},
        {"python_package_installer_args": {"timeout": bad}},
        {"python_package_installer_args": {"timeout": [bad]}},
        {"python_package_installer_args": {bad: "1"}},
        {"build_config": {"build_options": {"build_args": {bad: "1"}}}},
        {"build_config": {"build_options": {"build_args": {"A": bad}}}},
        {"build_config": {"build_options": {"platform": bad}}},
        {"requirements": [bad]},
        {"requirements": bad},
    ):
        with pytest.raises(PlannerError):
            plan_of(table)
    with pytest.raises(PlannerError):
        plan_of({"environment": {"A": "${TOKEN}"}}, world=World(variables={"TOKEN": bad}))


@some.examples(40)
@given(st.lists(st.sampled_from(["train.py\nRUN evil", "a b", "é", "x\\"]), unique=True), some.text)
def test_what_files_are_called_and_hold_is_not_in_a_dockerfile(paths: list[str], content: str) -> None:
    made = image_of(world=World(entries=tuple(file(path, content) for path in paths)))
    assert dockerfile(made.spec) == dockerfile(image_of(world=World(entries=())).spec)
    assert dockerfile(made.spec).count("\n") == len(dockerfile(made.spec).splitlines())
