"""The lock: what it says, that it is read strictly, and that version 1 is read for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from planner import (
    BuildOptions,
    BuildPlan,
    Digest,
    ImagePlan,
    Lock,
    Parent,
    PlannerError,
    Pushed,
    Stack,
    Use,
    diff,
    dumps,
    loads,
)
from planner.image.instructions import (
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    SetEnvironment,
    SetUser,
)
from planner.requirements.model import Option, Requirement, Requirements
from planner.settings.docker import PythonPackageInstaller
from tests.builders import WORLD, World, digest, plan_of, ref

LOCKS = Path(__file__).parents[2] / "fixtures" / "locks"
AWKWARD = 'it\'s "quoted" $HOME \\ # = \t\x7f \u65e5\u672c ${TOKEN}'
UV, PIP = PythonPackageInstaller.UV, PythonPackageInstaller.PIP

# Written by hand, so that no change of the planner changes what the golden lock has to say.
VERSION_1 = Lock(
    plans=(
        BuildPlan(
            "training",
            "prod",
            (
                ImagePlan(
                    name="training",
                    steps=("load", "train"),
                    use=Use.BUILD,
                    parent=Parent(ref("python:3.11-slim"), Digest("1" * 64)),
                    instructions=(
                        SetEnvironment({"AWKWARD": AWKWARD, "EMPTY": ""}),
                        InstallApt(("git", "libgomp1:amd64")),
                        InstallRequirements(
                            "requirements",
                            Requirements(
                                packages=(
                                    Requirement.parse("mine @ git+https://example.com/mine.git@v1"),
                                    Requirement.parse(
                                        'torch==2.1.0; python_version < "3.12"', ("sha256:" + "a" * 64,)
                                    ),
                                ),
                                constraints=(Requirement.parse("urllib3<2"),),
                                options=(Option("index-url", "https://example.com/simple"), Option("pre")),
                            ),
                            Installer(UV, "0.13.9",
                            {"no-deps": None, "timeout": "10", "find-links": ("a", "b")}),
                        ),
                        CopyFiles(owner="app:staff"),
                        InstallProject("pip install '.[gpu]' && true"),
                        SetUser("app:staff"),
                        SetEnvironment({"HTTP_PROXY": "http://proxy:8080"}, runtime=True),
                    ),
                    options=BuildOptions(
                        build_args={"A": "1"},
                        labels={"org.example.team": "vision"},
                        platform="linux/amd64",
                        other={"network": "host", "add_host": ("ship.example:10.1.2.3",)},
                    ),
                ),
                ImagePlan(
                    name="training/report",
                    steps=("report",),
                    use=Use.PARENT,
                    parent=Parent(ref("localhost:5000/team/report:1"), None),
                ),
            ),
        ),
        BuildPlan(
            "etl",
            "default",
            (
                ImagePlan(
                    name="etl",
                    steps=("copy",),
                    use=Use.BUILD,
                    parent=Parent(ref("python:3.12"), Digest("2" * 64)),
                    instructions=(
                        InstallRequirements(
                            "requirements", Requirements((Requirement("six"),)), Installer(PIP)
                        ),
                        CopyFiles(),
                    ),
                ),
            ),
        ),
    ),
    pushed=(
        Pushed("training", "prod", "training", Digest("3" * 64), ref(f"ghcr.io/team/x@sha256:{'4' * 64}")),
    ),
)  # fmt: skip


def text_of(name: str) -> str:
    return (LOCKS / name).read_text(encoding="utf-8")


def problems(text: str) -> list[str]:
    with pytest.raises(PlannerError) as refused:
        loads(text)
    return [f"{problem.where}: {problem.found}" for problem in refused.value.problems]


# --- version 1 ------------------------------------------------------------------------------------------


def test_version_1_is_read_for_ever() -> None:
    """Never change this file: whoever wrote such a lock must still be able to build from it."""
    assert loads(text_of("v1.lock")) == VERSION_1


def test_the_hashes_of_version_1_are_those_of_today() -> None:
    """A change of the hash format makes every lock stale, and has to be made on purpose."""
    (etl, training) = loads(text_of("v1.lock")).plans
    assert etl.environment_hash.hex in text_of("v1.lock")
    assert training.images[0].environment_hash.hex in text_of("v1.lock")


def test_a_lock_is_written_as_version_1_has_it() -> None:
    assert dumps(VERSION_1) == text_of("v1.lock")


# --- what a lock says -----------------------------------------------------------------------------------

PLAN = plan_of(
    {
        "requirements": ["torch==2.1.0", "six"],
        "apt_packages": ["git"],
        "user": "1000",
        "environment": {"A": "${TOKEN}"},
        "python_package_installer_args": {"timeout": 10},
    },
    ("load", "train"),
    world=World(variables={"TOKEN": "s3cr3t"}),
)
TEXT = dumps(PLAN)


def test_a_lock_survives() -> None:
    assert loads(TEXT) == Lock((PLAN,))
    assert dumps(loads(TEXT)) == TEXT
    assert diff(loads(TEXT), PLAN) == ()


def test_an_empty_lock_survives() -> None:
    assert loads(dumps(Lock())) == Lock()


def test_a_lock_does_not_move_with_files_variables_and_machines() -> None:
    """It is committed: it may not go stale with every edit, nor differ from colleague to colleague."""
    settings = {"environment": {"A": "${TOKEN}"}, "requirements": ["six"]}
    mine = World(variables={"TOKEN": "mine"}, entries=(), platform="linux/amd64")
    yours = World(variables={"TOKEN": "yours"}, platform="linux/arm64")
    locks = {dumps(plan_of(settings, world=world)) for world in (mine, yours)}
    locks.add(dumps(plan_of(settings, here=False)))
    assert len(locks) == 1


def test_a_lock_says_nothing_of_where_images_go() -> None:
    settings = {
        "image_tag": "1.0",
        "build_config": {"build_options": {"pull": True, "cache_from": ["python"]}},
    }
    assert dumps(plan_of(settings)) == dumps(plan_of())
    assert "s3cr3t" not in TEXT
    assert "train.py" not in TEXT


def test_a_lock_holds_all_plans_sorted() -> None:
    one, other = plan_of(name="b"), plan_of(name="a")
    prod = plan_of(name="a", stack=Stack(name="prod"))
    lock = Lock((one,)).with_plan(prod).with_plan(other)
    assert [(plan.pipeline, plan.stack) for plan in lock.plans] == [
        ("a", "default"),
        ("a", "prod"),
        ("b", "default"),
    ]
    assert dumps(lock) == dumps(Lock((other, prod, one)))
    assert lock.plan("a", "prod") == prod.locked()
    assert lock.plan("a", "nowhere") is None


def test_a_new_plan_takes_the_place_of_the_old_one() -> None:
    lock = Lock((plan_of(name="a"), plan_of(name="b")))
    new = plan_of({"user": "1"}, name="a")
    assert lock.with_plan(new).plans == (new.locked(), lock.plans[1])
    assert lock.without([("a", "default")]).plans == (lock.plans[1],)


def test_the_lock_pins_parents() -> None:
    lock = Lock((PLAN,))
    assert lock.pin(ref("python:3.11-slim")) == PLAN.images[0].parent.digest
    assert lock.pin(ref("python:3.12")) is None


# --- the ledger -----------------------------------------------------------------------------------------


def pushed(plan: BuildPlan, number: int = 0) -> Pushed:
    image = plan.images[number]
    return Pushed(
        plan.pipeline, plan.stack, image.name, image.hash, ref(f"localhost:5000/x@{digest(image.name)}")
    )


def test_the_ledger_knows_what_was_pushed() -> None:
    plan = plan_of(steps={"a": {}, "b": {"user": "1"}})
    lock = Lock((plan,)).with_pushed(plan, [pushed(plan, 1), pushed(plan, 0)])
    assert [entry.name for entry in lock.pushed] == ["training", "training/b"]
    assert loads(dumps(lock)) == lock
    assert lock.pushed_as(plan.images[0].hash, "localhost:5000/x") == pushed(plan).reference
    assert lock.pushed_as(plan.images[0].hash, "localhost:5000/y") is None
    assert lock.pushed_as(digest("unknown"), "localhost:5000/x") is None


def test_the_ledger_forgets_what_a_plan_no_longer_is() -> None:
    old, other = plan_of(), plan_of(name="other")
    new = plan_of(world=evolve(WORLD, entries=()))
    lock = Lock().with_pushed(old, [pushed(old)]).with_pushed(other, [pushed(other)])
    lock = lock.with_pushed(new, [pushed(new)])
    assert {(entry.pipeline, entry.image) for entry in lock.pushed} == {
        ("training", new.images[0].hash),
        ("other", other.images[0].hash),
    }


# --- what is no lock ------------------------------------------------------------------------------------


def test_a_newer_schema_is_refused_by_its_version() -> None:
    """Before anything else of it is looked at: who knows what it says."""
    newer = "version = 2\n[something]\nnew = 1\n"
    with pytest.raises(PlannerError) as refused:
        loads(newer)
    (problem,) = refused.value.problems
    assert str(problem) == (
        "stowplan.lock: of a newer stowplan (schema 2; this one reads up to 1): upgrade stowplan"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "version: required field missing"),
        ("version = 0", "unknown schema 0"),
        ("version = true", "version: expected int, found true"),
        ('version = "1"', "version: expected int, found a string"),
        ("version = 1.0", "version: expected int, found a number"),
    ],
)
def test_a_version_that_never_was(text: str, found: str) -> None:
    assert problems(text) == [f"stowplan.lock: {found}"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("version = 1", "version = 1\nextra = 1", "extra fields found (extra)"),
        ('stack = "default"', 'stack = "default"\nnote = "x"', "plan[0]: extra fields found (note)"),
        ('kind = "apt"', 'kind = "apt"\nupdate = true',
        "plan[0].image[0].instruction[1]: extra fields found (update)"),
        ('kind = "apt"', 'kind = "yum"',
        "plan[0].image[0].instruction[1]: unknown kind of instruction: 'yum'"),
        ('kind = "apt"\n', "", "plan[0].image[0].instruction[1]: unknown kind of instruction: None"),
        ('user = "1000"', "user = 1000",
        "plan[0].image[0].instruction[4].user: expected str, found an integer"),
        ("runtime = false", 'runtime = "false"',
        "plan[0].image[0].instruction[0].runtime: expected bool, found a string"),
        ("runtime = false", "runtime = 0",
        "plan[0].image[0].instruction[0].runtime: expected bool, found an integer"),
        ("[\n    \"load\",\n    \"train\",\n]", "[1, 2]",
        "plan[0].image[0].steps[0]: expected str, found an integer"),
        ('use = "build"', 'use = "bild"', "plan[0].image[0].use: 'bild' is not a valid Use"),
        ('parent = "docker.io', 'parent = "Docker.io/X', "not an image reference"),
        ('version = "0.13.9"', "version = 13", "installer.version: expected str, found an integer"),
        ('name = "uv"', 'name = "conda"', "'conda' is not a valid PythonPackageInstaller"),
        ('timeout = "10"', "timeout = 1.5", "timeout: not a value of an option: a number"),
        ('timeout = "10"', "timeout = 2020-01-01", "timeout: not a value of an option: date"),
        ('stack = "default"\n', "", "plan[0].stack: required field missing"),
        ('"six"', '"six=="', "requirements: 'six==' is no requirement"),
        ('"six"', '"./six"', "requirements: the local package './six'"),
        ('"six"', '"six @ https://u:p@h/six.whl"', "requirements: credentials in the URL https://***@h"),
        ('"six"', '"six --hash=sha256:0"', "requirements: --hash=sha256:0 is no strong hash"),
    ],
)  # fmt: skip
def test_a_lock_is_read_strictly(old: str, new: str, expected: str) -> None:
    assert old in TEXT
    found = problems(TEXT.replace(old, new, 1))
    assert found[0].startswith("stowplan.lock: ")
    assert expected in found[0]


def test_all_problems_come_at_once() -> None:
    text = TEXT.replace('user = "1000"', "user = 1000").replace('use = "build"', "use = 1\nx = 1")
    assert problems(text) == [
        "stowplan.lock: plan[0].image[0].use: expected str, found an integer",
        "stowplan.lock: plan[0].image[0].instruction[4].user: expected str, found an integer",
        "stowplan.lock: plan[0].image[0]: extra fields found (x)",
    ]


def test_the_spelling_of_a_requirement_says_nothing() -> None:
    spelled = TEXT.replace('"six"', "\"Six ; os.name=='nt'\"").replace('"torch==', '"Torch == v')
    assert problems(spelled) == ["stowplan.lock: the hash of image 'training' is not that of its content"]
    assert loads(spelled.replace(" ; os.name=='nt'", "")) == loads(TEXT)


@pytest.mark.parametrize(
    ("option", "found"),
    [
        ("--pre=1", "the unknown option '--pre=1'"),
        ("pre", "the unknown option 'pre'"),
        ("--requirement=x.txt", "the unknown option '--requirement=x.txt'"),
        ("--index-url=file:///srv", "--index-url of 'file:///srv'"),
        ("--index-url=https://u:p@h", "credentials in the URL https://***@h"),
    ],
)
def test_options_of_requirements_are_read_strictly(option: str, found: str) -> None:
    text = text_of("v1.lock")
    assert '"--pre"' in text
    assert found in problems(text.replace('"--pre"', f'"{option}"'))[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"torch==2.1.0"', '"torch==2.1.1"'),
        ('"git"', '"vim"'),
        ('A = "${TOKEN}"', 'A = "x"'),
        ('owner = "1000"', 'owner = "0"'),
        (f"@{PLAN.images[0].parent.digest}", f"@{digest('another')}"),
        (f"@{PLAN.images[0].parent.digest}", ""),
        ('use = "build"', 'use = "parent"'),
        ("runtime = false", "runtime = true"),
    ],
)
def test_an_image_that_was_edited_by_hand_is_refused(old: str, new: str) -> None:
    """The hash of an image is over what it says, so that a lock that lies is found out when it is read."""
    assert old in TEXT
    assert problems(TEXT.replace(old, new, 1)) == [
        "stowplan.lock: the hash of image 'training' is not that of its content"
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "training"', 'name = "other"'),
        ('"load",', '"other",'),
        ('stack = "default"', 'stack = "prod"'),
    ],
)
def test_a_plan_that_was_edited_by_hand_is_refused(old: str, new: str) -> None:
    assert old in TEXT
    (problem,) = problems(TEXT.replace(old, new, 1))
    assert problem.endswith("is not that of its content")
    assert problem.startswith("stowplan.lock: the hash of the plan of 'training' on ")


def test_a_plan_that_is_there_twice_is_refused() -> None:
    twice = TEXT + TEXT.partition("\n\n")[2]
    assert problems(twice) == ["stowplan.lock: two plans of 'training' on 'default'"]


def test_a_merge_conflict_is_named_with_its_line() -> None:
    lines = TEXT.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("hash"))
    lines[at : at + 1] = ["<<<<<<< HEAD", lines[at], "=======", "hash = 1", ">>>>>>> theirs"]
    with pytest.raises(PlannerError) as refused:
        loads("\n".join(lines))
    (problem,) = refused.value.problems
    assert (problem.where.file, problem.where.line) == ("stowplan.lock", at + 1)
    assert problem.found == "an unresolved merge conflict"
    assert "stowplan lock" in problem.fix


def test_a_merge_conflict_inside_a_list_is_named_too() -> None:
    conflict = TEXT.replace('    "load",\n', '<<<<<<< HEAD\n    "load",\n=======\n>>>>>>> theirs\n')
    assert problems(conflict) == ["stowplan.lock:13: an unresolved merge conflict"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("version = 1\n\nplan = \n", 3),
        ("version = 1\nversion = 1\n", 2),
        ('version = "1\n', 1),
        ("[[plan]\n", 1),
    ],
)
def test_broken_toml_is_named_with_its_line(text: str, line: int) -> None:
    with pytest.raises(PlannerError) as refused:
        loads(text)
    (problem,) = refused.value.problems
    assert (problem.where.file, problem.where.line) == ("stowplan.lock", line)
    assert problem.found.startswith("not TOML: ")


@pytest.mark.parametrize(
    "text",
    ["version = 1\nplan = 5", 'version = 1\nplan = "abc"', "version = 1\nplan = [1]",
    "version = 1\npushed = [[]]",
     "version = 1\n[plan]\na = 1", "version = 1\n[[plan]]\nimage = 1", '[version]\na = 1', "a" * 100_000],
)  # fmt: skip
def test_anything_else_is_a_problem_and_not_a_crash(text: str) -> None:
    assert problems(text)


def test_an_empty_table_survives() -> None:
    """Left out when it was written, it would be missing from what its hash is over."""
    plan = plan_of({"build_config": {"build_options": {"other": {}, "labels": {}}}}, here=False)
    assert loads(dumps(plan)) == Lock((plan,))
