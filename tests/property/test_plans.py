"""What holds for every plan: it survives its lock, no order matters that means nothing, and its
Dockerfile says to the official parser what the instructions say to us.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import dockerfile as official
import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from planner import (
    BuildPlan,
    DockerSettings,
    Facts,
    ImagePlan,
    Lock,
    Pipeline,
    PlannerError,
    Stack,
    Tree,
    Use,
    context_files,
    diff,
    dockerfile,
    dumps,
    loads,
    make_plan,
    rebuilt_layers,
)  # fmt: skip
from planner.compare.changes import Change
from planner.identity import canonical
from planner.image.instructions import (
    CopyFiles,
    InstallApt,
    InstallProject,
    InstallRequirements,
    Instruction,
    SetEnvironment,
    SetUser,
)  # fmt: skip
from planner.requirements.files import constraint_lines, to_lines
from planner.values import EnvTemplate, Literal, VariableRef, build_argument
from tests.builders import World, file, image_of, observed, plan_of
from tests.property import strategies as some


def _plan(table: dict[str, Any], world: World, *, here: bool, mix: int | None = None) -> BuildPlan:
    """The plan of one step with these settings; `mix` is a seed to shuffle the facts with."""
    pipeline = Pipeline(name="p", steps=["a"], settings=DockerSettings.decode(table))
    facts = observed(pipeline, world=world, here=here)
    if mix is not None:
        answered = some.shuffled(facts._answers, mix)  # noqa: SLF001  # their order is the point
        facts = Facts().also({need: facts.answer(need) for need in answered})
    return make_plan(pipeline, Stack(), facts, here=here)


# --- the lock -----------------------------------------------------------------------------------------


@some.examples(200)
@given(some.cases)
def test_200_random_plans_survive_their_lock(case: some.Case) -> None:
    plan = case.plan
    text = dumps(plan)

    assert loads(text) == Lock((plan.locked(),))
    assert dumps(loads(text)) == text
    assert dumps(plan.locked()) == text
    assert diff(loads(text), plan) == ()
    (locked,) = loads(text).plans
    assert locked.environment_hash == plan.environment_hash
    assert [image.environment_hash for image in locked.images] == [
        image.environment_hash for image in plan.images
    ]
    for before, after in zip(locked.images, plan.images, strict=True):
        assert rebuilt_layers(before, after) == ()


@some.examples(100)
@given(some.cases_here)
def test_a_lock_is_the_same_whether_or_not_files_and_variables_were_looked_at(case: some.Case) -> None:
    assert dumps(case.plan) == dumps(evolve(case, here=False).plan)


@some.examples(60)
@given(some.plans, some.plans)
def test_a_lock_of_several_plans_does_not_depend_on_their_order(one: BuildPlan, other: BuildPlan) -> None:
    assume((one.pipeline, one.stack) != (other.pipeline, other.stack))
    assert dumps(Lock((one, other))) == dumps(Lock((other, one)))
    assert Lock((one,)).with_plan(other) == Lock((other,)).with_plan(one) == loads(dumps(Lock((one, other))))


@some.examples(150)
@given(some.settings(), some.settings(), some.worlds, st.data())
def test_a_diff_is_empty_exactly_when_the_lock_would_not_change(
    table: dict[str, Any], other: dict[str, Any], world: World, data: st.DataObject
) -> None:
    """Nothing moves a hash without a word: `apply` and `lock --check` obey the same comparison."""
    key = data.draw(st.sampled_from(sorted({*table, *other} - {"skip_build"})))
    changed = {name: value for name, value in table.items() if name != key} | (
        {key: other[key]} if key in other else {}
    )
    if changed.get("parent_image") is None or changed.get("local_project_install_command"):
        changed.pop("skip_build", None)
        changed["allow_including_files_in_images"] = True
    one, two = (_plan(given, world, here=False) for given in (table, changed))
    # Of what is shown, only the new name of the same parent moves no hash.
    moved = [change for change in diff(Lock((one,)), two) if "(the same digest)" not in change.text]
    assert (moved == []) == (one.environment_hash == two.environment_hash)


@some.examples(100)
@given(some.plans, st.data())
def test_a_damaged_lock_is_refused_and_never_crashes(plan: BuildPlan, data: st.DataObject) -> None:
    text = dumps(plan)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    put = data.draw(
        st.sampled_from(["", "1", "1.5", '"', "x", "=", "[", "]", "\n", "2020-01-01", "true", "{}"])
    )
    damaged = text[:start] + put + text[end:]
    try:
        read = loads(damaged)
    except PlannerError as error:
        assert all(problem.where.file == "stowplan.lock" for problem in error.problems)  # noqa: PT017
    else:
        # What was read is what was planned: the damage was in a comment, a space, or text of equal meaning.
        assert {p.environment_hash for p in read.plans} <= {plan.environment_hash}


# --- order that means nothing -------------------------------------------------------------------------


def _reordered(value: Any, seed: int) -> Any:
    """The same settings, with every mapping, and every list whose order means nothing, in another order."""
    if isinstance(value, Mapping):
        free = ("requirements", "apt_packages")
        return {
            key: some.shuffled(item, seed)
            if key in free and isinstance(item, list)
            else _reordered(item, seed)
            for key, item in some.shuffled(value.items(), seed)
        }
    return value


@some.examples(100)
@given(some.settings(), some.worlds, st.booleans(), st.integers(0, 9))
def test_shuffled_inputs_give_the_same_hashes(
    table: dict[str, Any], world: World, here: bool, seed: int
) -> None:
    mixed = evolve(world, entries=tuple(some.shuffled(world.entries, seed)))
    one = _plan(table, world, here=here)
    other = _plan(_reordered(table, seed), mixed, here=here, mix=seed)
    assert one.environment_hash == other.environment_hash
    if here:
        assert one.hash == other.hash
    assert [dockerfile(image) for image in one.images] == [dockerfile(image) for image in other.images]
    assert dumps(one) == dumps(other)


@some.examples(100)
@given(some.entries(), st.integers(0, 9))
def test_the_order_of_the_entries_of_a_tree_means_nothing(items: tuple[Any, ...], seed: int) -> None:
    tree = Tree.of(items)
    assert Tree.of(some.shuffled(items, seed)) == tree
    assert Tree.of(tree.entries()) == tree
    assert tree.changed_paths(tree) == ()


@some.examples(30)
@given(some.requirement_files(), st.integers(0, 9))
def test_the_order_of_the_lines_of_a_requirements_file_means_nothing(
    texts: dict[str, str], seed: int
) -> None:
    def lines(text: str) -> str:
        # Of indexes the first wins, of formats the last word, and what is included stands at its place.
        in_order = ("--extra", "--find", "--no-binary", "--only-binary", "-r")
        listed = text.splitlines()
        fixed = [line for line in listed if line.startswith(in_order)]
        return "\n".join([*some.shuffled([line for line in listed if line not in fixed], seed), *fixed])

    mixed = {path: lines(text) for path, text in texts.items()}
    one, other = (
        plan_of({"requirements": "requirements.txt"}, world=World(texts=found), here=False)
        for found in (texts, mixed)
    )
    assert one.environment_hash == other.environment_hash


# --- canonical bytes ----------------------------------------------------------------------------------


def _typed(value: Any) -> Any:
    """A value that is equal to another exactly when kinds and contents are: Python has 1 == True."""
    match value:
        case dict():
            return ("mapping", sorted((key, _typed(item)) for key, item in value.items()))
        case tuple():
            return ("tuple", [_typed(item) for item in value])
        case frozenset():
            return ("set", sorted((_typed(item) for item in value), key=repr))
        case _:
            return (type(value).__name__, repr(value))


@some.examples(500)
@given(some.framed, some.framed)
def test_canonical_bytes_are_equal_exactly_for_equal_values(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (_typed(one) == _typed(other))


@some.examples(300)
@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_strings_are_framed(one: list[str], other: list[str]) -> None:
    assert (canonical(tuple(one)) == canonical(tuple(other))) == (one == other)


# --- the Dockerfile, read back by the official parser ---------------------------------------------------


def _unquoted(word: str) -> tuple[Literal | VariableRef, ...]:
    r"""What Docker makes of a word in double quotes (moby, `frontend/dockerfile/shell/lex.go`).

    Inside them `\` escapes `"`, `$` and itself and is kept before anything else, and `${NAME}` is replaced.
    """
    assert word[0] == word[-1] == '"'
    parts: list[Literal | VariableRef] = []
    literal, rest = "", word[1:-1]
    while rest:
        if rest[0] == "\\":
            assert rest[1:2], "the closing quote is escaped"
            literal += rest[1] if rest[1] in '"$\\' else rest[:2]
            rest = rest[2:]
        elif rest[0] == "$":
            found = re.match(r"\$\{STOWPLAN_(\w+)\}", rest)
            assert found, f"Docker would replace {rest!r}"
            parts += [Literal(literal)] if literal else []
            parts.append(VariableRef(found[1]))
            literal, rest = "", rest[found.end() :]
        else:
            assert rest[0] != '"', "the quote ends here"
            literal, rest = literal + rest[0], rest[1:]
    return tuple(parts + ([Literal(literal)] if literal else []))


def _expected(item: Instruction) -> list[str]:
    """The commands that an instruction becomes."""
    match item:
        case SetEnvironment():
            names = {name for value in item.variables.values() for name in value.variables}
            return ["ARG"] * len(names) + ["ENV"]
        case InstallApt() | InstallProject():
            return ["RUN"]
        case InstallRequirements():
            return ["COPY", "RUN"]
        case CopyFiles():
            return ["WORKDIR", *(["RUN"] if item.owner else []), "COPY"]
        case SetUser():
            return ["USER"]


def _check_environment(item: SetEnvironment, commands: list[official.Command]) -> None:
    *declared, env = commands
    names = {name for value in item.variables.values() for name in value.variables}
    assert [command.value for command in declared] == [(build_argument(name),) for name in sorted(names)]
    words = env.value
    read = {words[i]: _unquoted(words[i + 1]) for i in range(0, len(words), 2)}
    assert read == {name: value.parts for name, value in item.variables.items()}


def _check_requirements(
    item: InstallRequirements, commands: list[official.Command], image: ImagePlan
) -> None:
    copy, run = commands
    *sources, destination = copy.value
    files = context_files(image)
    assert [files[source].decode().splitlines() for source in sources] == [
        list(lines) for lines in (to_lines(item.requirements), constraint_lines(item.requirements)) if lines
    ]
    words = shlex.split(run.value[0])
    start = max(i for i, word in enumerate(words) if word == "install") + 1
    given = words[start:]
    assert f"--requirement={destination}{item.source}.txt" in given
    for name, value in item.installer.arguments.items():
        for each in value if isinstance(value, tuple) else (value,):
            assert (f"--{name}" if each is None else f"--{name}={each}") in given
    if item.installer.version:
        assert f"uv=={item.installer.version}" in words


def _check(item: Instruction, commands: list[official.Command], image: ImagePlan) -> None:
    match item:
        case SetEnvironment():
            _check_environment(item, commands)
        case InstallApt():
            words = shlex.split(commands[0].value[0])
            start = words.index("--no-install-recommends") + 1
            assert tuple(words[start : start + len(item.packages)]) == item.packages
            assert words[start + len(item.packages)] == "&&"
        case InstallRequirements():
            _check_requirements(item, commands, image)
        case CopyFiles():
            assert commands[0].value == (item.destination,)
            assert commands[-1].value == (f"trees/{item.tree}/", f"{item.destination}/")
            if item.owner:
                assert commands[1].json
                assert commands[1].value == ("chown", item.owner, item.destination)
            owner = item.owner if item.owner is None or ":" in item.owner else f"{item.owner}:0"
            assert commands[-1].flags == ((f"--chown={owner}",) if owner else ())
        case InstallProject():
            assert commands[0].json
            assert commands[0].value == ("/bin/sh", "-c", item.command)
        case SetUser():
            assert commands[0].value == (item.user,)


@some.examples(200)
@given(some.plans)
def test_a_dockerfile_parses_back_to_the_values_it_was_made_from(plan: BuildPlan) -> None:
    for image in plan.images:
        if image.use is Use.PARENT:
            continue
        first, *commands = official.parse_string(dockerfile(image))
        assert (first.cmd, first.value) == ("FROM", (str(image.parent.base),))
        proxies = {"HTTP_PROXY", "no_proxy"}
        declared = [name for name in image.options.build_args if name not in proxies]
        assert [command.value for command in commands[: len(declared)]] == [(name,) for name in declared]
        rest = commands[len(declared) :]
        for item in image.instructions:
            expected = _expected(item)
            own, rest = rest[: len(expected)], rest[len(expected) :]
            assert [command.cmd for command in own] == expected
            assert all(command.heredocs == () for command in own)
            _check(item, own, image)
        assert rest == []


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
    assert dockerfile(made) == dockerfile(image_of(world=World(entries=())))
    assert dockerfile(made).count("\n") == len(dockerfile(made).splitlines())


# --- words --------------------------------------------------------------------------------------------


@some.examples(100)
@given(some.plans, some.plans)
def test_a_change_is_one_line_of_words_for_one_image(one: BuildPlan, other: BuildPlan) -> None:
    other = evolve(other, pipeline=one.pipeline, stack=one.stack)
    for change in diff(one, other):
        assert isinstance(change, Change)
        assert change.text
        assert "\n" not in change.text
        assert "FrozenMapping" not in change.text
        assert change.image in {image.name for image in (*one.images, *other.images)}


@some.examples(100)
@given(some.literal)
def test_a_template_without_variables_is_its_text(value: str) -> None:
    assert EnvTemplate(value).variables == ()
    assert EnvTemplate(value).parts == ((Literal(value),) if value else ())
