"""What a diff says, in the words that users read, and which layers it says are rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from attrs import evolve

from planner import (
    BuildPlan,
    Change,
    Checkout,
    Destination,
    Digest,
    ExternalImage,
    ImagePlan,
    ImageSpec,
    Lock,
    NamedSpec,
    Pin,
    PlanSpec,
    PythonPackageInstaller,
    Stack,
    Tree,
    diff,
    dumps,
    loads,
    rebuilt_layers,
)
from planner.compare.changes import diff_images
from planner.compare.report import Report
from planner.identity import counts
from planner.image.instructions import (
    CONTEXT,
    FILES,
    KINDS,
    BuildDockerfile,
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    Instruction,
    MakeDirectory,
    NamedImage,
    SetEnvironment,
    SetUser,
)
from planner.requirements.model import Option, Requirement, Requirements
from planner.requirements.packages import Closure, File, Package
from tests.builders import PARENT, World, digest, file, image_of, link, plan_of, ref

CODE = World(
    entries=(file("train.py", "1"), file("utils/io.py", "1"), file("README.md")),
    variables={"KEY": "s3cr3t", "URL": "http://old"},
)
EDITED = evolve(CODE, entries=(file("train.py", "2"), file("utils/io.py", "2"), file("README.md")))


def words(before: dict[str, Any], after: dict[str, Any], one: World = CODE, two: World = CODE) -> list[str]:
    """What has changed between two images, in words."""
    return [change.text for change in diff(plan_of(before, world=one), plan_of(after, world=two))]


def options(**given: Any) -> dict[str, Any]:
    return {"build_config": {"build_options": given}}


# --- the words ------------------------------------------------------------------------------------------


def test_the_words_that_users_were_promised() -> None:
    moved = evolve(
        EDITED, variables={"KEY": "rotated", "URL": "http://old"}, pins={PARENT: Pin(digest("new"))}
    )
    before = {"requirements": ["torch==2.0.1"], "environment": {"API_KEY": "${KEY}"}}
    after = {
        "requirements": ["torch==2.1.0"],
        "environment": {"API_KEY": "${KEY}"},
        "apt_packages": ["libgomp1"],
    }
    old = digest(f"docker.io/library/{PARENT}").short
    assert words(before, after, CODE, moved) == [
        f"parent image: digest of {PARENT} moved ({old} → {digest('new').short})",
        "environment: API_KEY changed (hidden)",
        "apt: + libgomp1",
        "requirements: torch 2.0.1 → 2.1.0",
        "files: 2 changed (train.py, utils/io.py)",
    ]


def test_equal_plans_have_no_differences() -> None:
    settings = {"requirements": ["six"], "environment": {"A": "${KEY}"}, **options(labels={"a": "b"})}
    assert words(settings, settings) == []
    assert diff(plan_of(settings, world=CODE).spec, plan_of(settings, world=EDITED)) == ()
    assert diff(plan_of(settings, world=CODE), plan_of(settings, world=EDITED).spec) == ()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], ["six"], "requirements: + six"),
        ([], ["six==1.16.0"], "requirements: + six==1.16.0"),
        (["six"], [], "requirements: - six"),
        (["torch==2.0.1"], ["torch==2.1.0"], "requirements: torch 2.0.1 → 2.1.0"),
        (["torch"], ["torch==2.1.0"], "requirements: torch any version → 2.1.0"),
        (["torch<3"], ["torch>=2,<3"], "requirements: torch <3 → <3,>=2"),
        (["torch==2.1.0"], ["torch==2.1.*"], "requirements: torch 2.1.0 → ==2.1.*"),
        # Markers and extras are part of what is asked.
        (
            ['six==1.0; python_version < "3.12"'],
            ['six==1.1; python_version < "3.12"'],
            'requirements: six ==1.0; python_version < "3.12" → ==1.1; python_version < "3.12"',
        ),
        (["six"], ['six; sys_platform == "linux"'],
        'requirements: six any version → ; sys_platform == "linux"'),
        (["requests"], ["requests[socks]"], "requirements: requests any version → [socks]"),
        (
            ["six<1"],
            ["six<1", 'six==1.1; python_version >= "3.12"'],
            'requirements: six <1 → <1, ==1.1; python_version >= "3.12"',
        ),
        # URLs that do not say what is there are one another's neighbours, and not versions of one package.
        (
            ["https://host/a.zip"],
            ["https://host/a.zip", "https://host/b.zip"],
            "requirements: + https://host/b.zip",
        ),
    ],
)  # fmt: skip
def test_requirements(before: list[str], after: list[str], expected: str) -> None:
    found = words({"requirements": before}, {"requirements": after})
    assert [text for text in found if not text.startswith(("installer", "packages"))] == [expected]


def test_several_requirements_come_in_the_order_of_their_names() -> None:
    before, after = ["zlib-ng==1.0", "six", "attrs"], ["attrs", "zlib-ng==2.0", "Babel"]
    assert words({"requirements": before}, {"requirements": after}) == [
        "requirements: + babel",
        "requirements: - six",
        "requirements: zlib-ng 1.0 → 2.0",
        "packages: + babel 1.0, requirements needs babel",
        "packages: - six 1.0",
    ]


def test_constraints_options_and_hashes_of_a_requirements_file() -> None:
    def world(text: str, constraints: str = "") -> World:
        return evolve(CODE, texts={"r.txt": text, "c.txt": constraints, ".dockerignore": "*.txt"})

    table = {"requirements": "r.txt"}
    before = world("six\n-c c.txt\n", "urllib3<2\n")
    assert words(table, table, before, world("six\n-c c.txt\n", "urllib3<3\nidna==3.1\n")) == [
        "constraints: + idna==3.1",
        "constraints: urllib3 <2 → <3",
    ]
    one, two = (f"https://{name}.example/simple" for name in "ab")
    assert words(table, table, world(f"six\n-i {one}\n"), world(f"six\n-i {two}\n--pre\n")) == [
        f"requirement options: --index-url={one} → --index-url={two}",
        "requirement options: + --pre",
    ]
    extra = [f"--extra-index-url {url}\n" for url in (one, two)]
    assert words(
        table, table, world("six\n" + "".join(extra)), world("six\n" + "".join(reversed(extra)))
    ) == ["requirement options: another order"]
    hashes = [f"six==1.0 --hash=sha256:{character * 64}\n" for character in "12"]
    assert words(table, table, world(hashes[0]), world(hashes[1])) == ["packages: other files of six 1.0"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"apt_packages": ["git"]}, {"apt_packages": ["curl"]}, ["apt: + curl", "apt: - git"]),
        ({"apt_packages": ["vim=1"]}, {"apt_packages": ["vim=2"]}, ["apt: vim=1 → vim=2"]),
        ({}, {"environment": {"A": "1"}}, ["environment: + A=1"]),
        ({"environment": {"A": "1"}}, {}, ["environment: - A"]),
        ({"environment": {"A": "1"}}, {"environment": {"A": "2"}}, ["environment: A 1 → 2"]),
        ({"environment": {"A": "1"}}, {"environment": {"A": "${KEY}"}}, ["environment: A 1 → ${KEY}"]),
        ({}, {"runtime_environment": {"A": ""}}, ["runtime environment: + A="]),
        ({"user": "1000"}, {"user": "app"},
        ["owner of the files: 1000 → app", "user: 1000 → app"]),
        ({}, {"user": "app"}, ["owner of the files: none → app", "user: none → app"]),
        ({}, {"local_project_install_command": "make"}, ["project: none → make"]),
        ({}, options(build_args={"A": "1"}), ["build argument: + A=1"]),
        (options(labels={"a": "1"}), options(labels={"a": "2"}), ["label: a 1 → 2"]),
        (options(platform="linux/amd64"), options(platform="linux/arm64"),
        ["build option: platform linux/amd64 → linux/arm64"]),
        ({}, options(network="host"), ['build option: + network="host"']),
        ({"parent_image": "python:3.11"}, {"parent_image": "python:3.12"},
        ["parent image: python:3.11 → python:3.12"]),
        ({"apt_packages": ["git"]}, {"apt_packages": ["git"], "allow_including_files_in_images": False},
        ["files: no longer included"]),
        ({"apt_packages": ["git"], "allow_including_files_in_images": False}, {"apt_packages": ["git"]},
        ["files: included"]),
        ({}, {"skip_build": True},
        ["parent image: built → used as it is", "files: no longer included"]),
    ],
)  # fmt: skip
def test_everything_else(before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    assert words(before, after) == expected


def test_installers() -> None:
    def with_args(**given: Any) -> dict[str, Any]:
        return {"requirements": ["six"], **given}

    uv, pip = with_args(), with_args(python_package_installer="pip")
    assert words(uv, pip) == ["installer: uv 0.13.9 → pip"]
    args = {"timeout": 10, "no_deps": None, "find-links": ["a b", "c"]}
    assert words(uv, with_args(python_package_installer_args=args)) == [
        "installer: uv 0.13.9 → uv 0.13.9 'find-links=a b' find-links=c no-deps timeout=10"
    ]


def test_parents() -> None:
    def pinned(**pins: Pin) -> World:
        return evolve(CODE, pins={name.replace("_", ":"): pin for name, pin in pins.items()})

    same = Pin(digest("same"))
    table = {"parent_image": "python:3"}
    assert words(table, table, pinned(python_3=Pin()), pinned(python_3=same)) == [
        "parent image: digest is now known"
    ]
    assert words(table, table, pinned(python_3=same), pinned(python_3=Pin())) == [
        "parent image: digest is no longer known"
    ]
    # Another name for the same image is said beside what is different, and no difference by itself.
    both = pinned(python_3=same, python_4=same)
    assert words(table, {"parent_image": "python:4"}, both, both) == []
    assert words(table, {"parent_image": "python:4", "apt_packages": ["git"]}, both, both) == [
        "parent image: python:3 → python:4 (the same digest)",
        "apt: + git",
    ]


def test_a_parent_of_this_machine_that_was_rebuilt() -> None:
    def world(text: str) -> World:
        return evolve(CODE, local={"localhost/base:1": digest(text)})

    table = {"parent_image": "localhost/base:1"}
    (change,) = diff(plan_of(table, world=world("a")), plan_of(table, world=world("b")))
    ids = (digest("a").short, digest("b").short)
    assert change == Change(
        "training",
        "parent_image",
        "localhost/base:1",
        "rebuilt",
        *ids,
        f"parent image: localhost/base:1 was rebuilt ({ids[0]} → {ids[1]})",
    )
    # That nothing is built any more is no rebuild of the parent.
    assert words(table, {**table, "skip_build": True}, world("a"), world("a")) == [
        "parent image: built → used as it is",
        "files: no longer included",
    ]


def test_files() -> None:
    def world(*entries: Any) -> World:
        return evolve(CODE, entries=entries)

    one = world(file("a"), link("to", "a"))
    assert words({}, {}, one, world(file("a"), link("to", "b"))) == ["files: 1 changed (to)"]
    many = world(*(file(f"f{index}") for index in range(8)))
    assert words({}, {}, world(), many) == ["files: 8 changed (f0, f1, f2, f3, f4 and 3 more)"]
    # A name that would break the line is shown as Python writes it.
    assert words({}, {}, world(), world(file("a\nb"))) == ["files: 1 changed ('a\\nb')"]


def test_a_platform_of_the_machine_is_shown_when_both_sides_know_it() -> None:
    arm = evolve(CODE, platform="linux/arm64")
    assert words({}, {}, CODE, arm) == ["platform: linux/amd64 → linux/arm64"]
    assert diff(plan_of(world=CODE).spec, plan_of(world=arm)) == ()


# --- the value of a variable ----------------------------------------------------------------------------


def test_no_value_of_a_variable_is_ever_shown() -> None:
    rotated = evolve(CODE, variables={"KEY": "r0tated", "URL": "http://new"})
    table = {"environment": {"A": "x-${KEY}"}, "runtime_environment": {"B": "${URL}/${KEY}", "C": "plain"}}
    changes = diff(plan_of(table, world=CODE), plan_of(table, world=rotated))
    assert [change.text for change in changes] == [
        "environment: A changed (hidden)",
        "runtime environment: B changed (hidden)",
    ]
    assert all(change.before is None and change.after is None for change in changes)
    for value in ("s3cr3t", "r0tated", "http://old", "http://new"):
        assert value not in repr(changes)


def test_a_template_that_changed_is_shown_and_its_value_is_not() -> None:
    (text,) = words({"environment": {"A": "${KEY}"}}, {"environment": {"A": "${URL}"}})
    assert text == "environment: A ${KEY} → ${URL}"


# --- which images ---------------------------------------------------------------------------------------


def test_images_come_and_go() -> None:
    one, two = plan_of(steps=("a", "b")), plan_of(steps={"a": {}, "b": {"user": "1"}})
    short = two.images[1].spec.hash.short
    assert diff(one, two) == (
        Change("training", "steps", "b", "removed", "b", None, "steps: - b"),
        Change("training/b", "image", None, "added", None, short, "new image"),
    )
    assert diff(two, one) == (
        Change("training", "steps", "b", "added", None, "b", "steps: + b"),
        Change("training/b", "image", None, "removed", short, None, "no longer needed"),
    )


def test_without_a_plan_before_all_images_are_new() -> None:
    plan = plan_of(steps={"a": {}, "b": {"user": "1"}})
    others = Lock((plan_of(name="other").spec, plan_of(stack=Stack(name="prod")).spec))
    for before in (None, others.plan("training", "default"), PlanSpec("training", "default")):
        assert [(change.image, change.text) for change in diff(before, plan)] == [
            ("training", "new image"),
            ("training/b", "new image"),
        ]


def test_steps_in_another_order() -> None:
    """The plan's hash covers it, so the lock would change: it has to be said."""
    one, two = plan_of(steps=("a", "b")), plan_of(steps=("b", "a"))
    assert one.spec.hash != two.spec.hash
    for before, after in ((one, two), (one.spec, two.spec)):
        assert [(change.code, change.text) for change in diff(before, after)] == [
            ("order", "steps: another order")
        ]


def test_instructions_in_another_order() -> None:
    plan = plan_of({"apt_packages": ["git"]})
    (image,) = plan.images
    turned = evolve(image, spec=evolve(image.spec, instructions=image.spec.instructions[::-1]))
    assert [(change.code, change.text) for change in diff(plan, evolve(plan, images=(turned,)))] == [
        ("order", "instructions: another order")
    ]


def test_a_change_is_data() -> None:
    """The name of a variable or a package is in a field of its own, and not only in the words."""
    settings = {"environment": {"A": "1"}, "requirements": ["six==1.0"], "apt_packages": ["git"]}
    after = {"environment": {"A": "2"}, "requirements": ["six==1.1"], "apt_packages": ["vim"]}
    assert diff(plan_of(settings), plan_of(after)) == (
        Change("training", "environment", "A", "changed", "1", "2", "environment: A 1 → 2"),
        Change("training", "apt_packages", "vim", "added", None, "vim", "apt: + vim"),
        Change("training", "apt_packages", "git", "removed", "git", None, "apt: - git"),
        Change(
            "training", "requirements", "six", "changed", "six==1.0", "six==1.1",
            "requirements: six 1.0 → 1.1",
        ),
    )  # fmt: skip


def test_a_lock_is_compared_with_the_plan_of_its_pair() -> None:
    own, other = plan_of({"user": "1"}).spec, plan_of({"user": "2"}, stack=Stack(name="prod")).spec
    locked = loads(dumps(Lock((own, other)))).plan("training", "default")
    assert [change.text for change in diff(locked, plan_of({"user": "2"}))] == [
        "owner of the files: 1 → 2",
        "user: 1 → 2",
    ]


# --- whatever differs is said ---------------------------------------------------------------------------

SIX = Requirements.of([Requirement.parse("six==1.0", ["sha256:" + "1" * 64])])
UV = Installer(PythonPackageInstaller.UV, "0.13.9", {"timeout": 10})
SIX_1 = Package("six", "1.0", files=(File("six-1.0-py3-none-any.whl", f"sha256:{'1' * 64}"),))
RULES: Mapping[str, Any] = {
    "environment": SetEnvironment({"A": "${KEY}"}),
    "apt": InstallApt(("git",)),
    "requirements": InstallRequirements("requirements", SIX, UV, secrets={"pypi": 1}),
    "files": CopyFiles(),
    "project": InstallProject("make", "0.13.9", "1000", {"pypi": 1}),
    "user": SetUser("1000"),
    "dockerfile": BuildDockerfile(
        ("FROM a", "RUN b"), (NamedImage(ExternalImage(ref("golang:1.22"), digest("golang"))),), {"pypi": 1}
    ),
}
# For each field of each instruction that counts: other values, each with the field of its change.
FIELDS: Mapping[str, Mapping[str, list[tuple[Any, str]]]] = {
    "environment": {
        "variables": [
            ({"A": "1"}, "environment"),
            ({"A": "${KEY}", "B": ""}, "environment"),
            ({"B": "1"}, "environment"),
        ],
        "runtime": [(True, "environment")],
    },
    "apt": {"packages": [(("git", "vim"), "apt_packages"), (("git=1",), "apt_packages")]},
    "requirements": {
        "source": [("stack", "stack")],
        "requirements": [
            (Requirements.of([Requirement.parse("six==1.1")]), "requirements"),
            (Requirements.of([Requirement.parse("six==1.0")]), "requirements"),
            (evolve(SIX, constraints=(Requirement.parse("idna<4"),)), "requirements"),
            (evolve(SIX, options=(Option("pre"),)), "requirements"),
        ],
        "closure": [(Closure([SIX_1]), "packages")],
        "secrets": [({"pypi": 2}, "secrets"), ({"other": 1}, "secrets"), (None, "secrets")],
        "installer": [
            (evolve(UV, name=PythonPackageInstaller.PIP), "installer"),
            (evolve(UV, version="0.13.10"), "installer"),
            (evolve(UV, arguments={}), "installer"),
            (evolve(UV, arguments={"timeout": 11}), "installer"),
            (evolve(UV, arguments={"timeout": 10, "no-deps": None}), "installer"),
        ],
    },
    "files": {
        "tree": [("other", "files")],
        "destination": [("/srv", "files")],
        # What the owner alone moves was once no difference.
        "owner": [("1000", "files"), ("app:staff", "files")],
        "group_writes": [(True, "writable_by_any_user")],
    },
    "project": {
        "command": [("make x", "local_project_install_command")],
        "uv": [("0.13.10", "local_project_install_command"), (None, "local_project_install_command")],
        "owner": [("1001", "local_project_install_command"), (None, "local_project_install_command")],
        "secrets": [({"pypi": 2}, "secrets"), ({"other": 1}, "secrets"), (None, "secrets")],
        "group_writes": [(True, "writable_by_any_user")],
    },
    "user": {"user": [("0", "user")]},
    "dockerfile": {
        "lines": [
            (("FROM a",), "dockerfile"),
            (("FROM a", "RUN c"), "dockerfile"),
            (("FROM a", "RUN <<X\nb\nX"), "dockerfile"),
        ],
        "secrets": [({"pypi": 2}, "secrets"), ({}, "secrets"), ({"pypi": 1, "npm": 1}, "secrets")],
        "images": [
            ((), "dockerfile"),
            ((NamedImage(ExternalImage(ref("golang:1.22"), digest("moved"))),), "dockerfile"),
            ((NamedImage(ExternalImage(ref("golang:1.22"))),), "dockerfile"),
            ((NamedImage(ExternalImage(ref("golang:1.22"), digest("golang")), "linux/arm64"),), "dockerfile"),
        ],
    },
}
EDITS = [
    (kind, evolve(RULES[kind], **{name: value}), field)
    for kind, fields in FIELDS.items()
    for name, values in fields.items()
    for value, field in values
]
CHECKOUT = Checkout("linux/amd64", {FILES: Tree.of(CODE.entries)}, {"KEY": digest("KEY")})
BASE = ExternalImage(ref(PARENT), digest("base"))
SPEC = ImageSpec(BASE, tuple(rule for kind, rule in RULES.items() if kind != "dockerfile"))
# The image of a custom Dockerfile has no other instruction.
SPECS = {kind: ImageSpec(BASE, (RULES[kind],)) if kind == "dockerfile" else SPEC for kind in RULES}


def planned(spec: ImageSpec = SPEC, checkout: Checkout = CHECKOUT) -> ImagePlan:
    """An image of this spec."""
    return ImagePlan("training", ("a",), spec, checkout, Destination("localhost/stowplan"))


def differences(old: ImagePlan, new: ImagePlan) -> list[Change]:
    """What differs between two images, which is something; and each change says what it is about."""
    assert old.hash != new.hash
    found = list(diff_images(old, new))
    assert found
    for change in found:
        assert change.image == "training"
        assert change.field
        assert change.code
        assert change.text.isprintable()
        assert change.before is None or change.after is None or change.before != change.after
    if old.spec.hash != new.spec.hash:
        named = [NamedSpec(image.name, image.steps, image.spec) for image in (old, new)]
        assert {change.code for change in diff_images(*named)} <= {change.code for change in found}
        assert list(diff_images(*named))
    return found


def test_every_field_of_every_instruction_that_counts_is_tried() -> None:
    assert FIELDS.keys() == KINDS.keys() == RULES.keys()
    for kind, rule in RULES.items():
        fields = {attribute.name for attribute in attrs.fields(type(rule)) if counts(attribute)}
        # Without a closure, it is the requirements that count.
        tried = {"unresolved" if name == "requirements" else name for name in FIELDS[kind]}
        assert tried == fields - {"kind"}


@pytest.mark.parametrize(("kind", "edited", "field"), EDITS)
def test_any_single_difference_of_an_instruction_is_said(kind: str, edited: Instruction, field: str) -> None:
    spec = SPECS[kind]
    rules = [edited if item is RULES[kind] else item for item in spec.instructions]
    other = planned(evolve(spec, instructions=tuple(rules)))
    for old, new in ((planned(spec), other), (other, planned(spec))):
        found = differences(old, new)
        assert field in {change.field for change in found}
        assert all(change.code != "unexplained" for change in found)


def test_what_only_a_checkout_knows_of_a_dockerfile_is_said() -> None:
    spec = SPECS["dockerfile"]
    before = planned(spec, evolve(CHECKOUT, trees={CONTEXT: Tree.of(CODE.entries)}))
    rebuilt = evolve(before.checkout, image_ids={"localhost/x:1": digest("x")})
    (found,) = differences(before, planned(spec, rebuilt))
    assert (found.field, found.key, found.code) == ("dockerfile", "localhost/x:1", "rebuilt")
    edited = evolve(before.checkout, trees={CONTEXT: Tree.of([])})
    (found,) = differences(before, planned(spec, edited))
    assert (found.field, found.code) == ("build_context_root", "changed")
    # Where it is in the project is no difference.
    assert planned(spec, evolve(before.checkout, context_root="docker")).hash == before.hash


def test_an_image_that_came_to_be_built_from_a_dockerfile_is_said() -> None:
    for old, new, code in ((SPEC, SPECS["dockerfile"], "added"), (SPECS["dockerfile"], SPEC, "removed")):
        found = differences(planned(old), planned(new))
        assert (code, "dockerfile") in {(change.code, change.field) for change in found}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "dockerfile"])
def test_that_an_instruction_came_or_went_is_said(kind: str) -> None:
    rules = tuple(item for item in SPEC.instructions if item is not RULES[kind])
    fewer = planned(evolve(SPEC, instructions=rules))
    assert {change.code for change in differences(fewer, planned())} == {"added"}
    assert {change.code for change in differences(planned(), fewer)} == {"removed"}
    # Of one source, requirements stand in one instruction.
    again = evolve(RULES[kind], source="stack") if kind == "requirements" else RULES[kind]
    twice = planned(evolve(SPEC, instructions=(*SPEC.instructions, again)))
    assert {change.code for change in differences(planned(), twice)} == {"added"}


@pytest.mark.parametrize(
    ("edit", "field", "key", "code"),
    [
        ({"platform": "linux/arm64"}, "options", "platform", "added"),
        ({"build_args": {"A": "1"}}, "build_args", "A", "added"),
        ({"labels": {"a": "1"}}, "labels", "a", "added"),
        ({"target": "x"}, "options", "target", "added"),
        ({"options": {"network": "host"}}, "options", "network", "added"),
        ({"options": {"network": None}}, "options", "network", "added"),
        ({"parent": ExternalImage(ref(PARENT), digest("moved"))}, "parent_image",
        f"docker.io/library/{PARENT}", "moved"),
        ({"parent": ExternalImage(ref(PARENT))}, "parent_image", f"docker.io/library/{PARENT}", "unpinned"),
        ({"parent": ExternalImage(ref("x"), digest("moved"))}, "parent_image", None, "changed"),
        ({"parent": ExternalImage(ref("x"))}, "parent_image", None, "changed"),
        ({"instructions": ()}, "use", None, "changed"),
    ],
)  # fmt: skip
def test_any_single_difference_of_a_spec_is_said(
    edit: dict[str, Any], field: str, key: str | None, code: str
) -> None:
    (found, *_) = differences(planned(), planned(evolve(SPEC, **edit)))
    assert (found.field, found.key, found.code) == (field, key, code)


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (True, 1, "build option: x true → 1"),
        (("a", "b"), ("a,b",), 'build option: x ["a", "b"] → ["a,b"]'),
        ({"a": "1"}, {}, 'build option: x {"a": "1"} → {}'),
        ("1", 1, 'build option: x "1" → 1'),
    ],
)
def test_values_of_options_are_told_apart(before: Any, after: Any, text: str) -> None:
    old, new = (planned(evolve(SPEC, options={"x": value})) for value in (before, after))
    assert [change.text for change in differences(old, new)] == [text]


def test_every_field_of_a_spec_was_tried() -> None:
    assert {attribute.name for attribute in attrs.fields(ImageSpec)} == {
        "parent", "instructions", "platform", "build_args", "labels", "target", "options", "resolved",
        "observed",
    }  # fmt: skip
    assert {attribute.name for attribute in attrs.fields(Checkout)} == {
        "platform", "trees", "variables", "parent_id", "image_ids", "context_root", "directory", "bootstrap",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "field", "key", "code"),
    [
        ({"platform": "linux/arm64"}, "platform", None, "changed"),
        ({"trees": {FILES: Tree.of([])}}, "files", None, "changed"),
        ({"bootstrap": digest("bootstrap")}, "bootstrap", None, "added"),
        ({"variables": {"KEY": digest("other")}}, "environment", "A", "hidden"),
    ],
)
def test_any_single_difference_of_a_checkout_is_said(
    edit: dict[str, Any], field: str, key: str | None, code: str
) -> None:
    (found,) = differences(planned(), planned(checkout=evolve(CHECKOUT, **edit)))
    assert (found.field, found.key, found.code) == (field, key, code)


def test_that_code_is_delivered_otherwise_is_said() -> None:
    """Copied one day and downloaded the next, as the checkout has it; what is written down is the same."""
    directory = MakeDirectory(owner="1000")
    downloaded = evolve(CHECKOUT, trees={}, directory=directory, bootstrap=digest("bootstrap"))
    there = [(each.field, each.code) for each in differences(planned(), planned(checkout=downloaded))]
    assert there == [("code", "added"), ("bootstrap", "added"), ("files", "removed")]
    back = [(each.field, each.code) for each in differences(planned(checkout=downloaded), planned())]
    assert back == [("files", "added"), ("code", "removed"), ("bootstrap", "removed")]
    for edited, code in (
        (evolve(directory, owner=None), "removed"),
        (evolve(directory, group_writes=True), "changed"),
    ):
        other = evolve(downloaded, directory=edited)
        (found,) = differences(planned(checkout=downloaded), planned(checkout=other))
        assert found.code == code


@pytest.mark.parametrize(
    "new",
    [
        # What no words know: a tree and a variable that no instruction uses.
        planned(checkout=evolve(CHECKOUT, trees={**CHECKOUT.trees, "other": Tree.of([])})),
        planned(checkout=evolve(CHECKOUT, variables={**CHECKOUT.variables, "OTHER": Digest("0" * 64)})),
    ],
)
def test_a_difference_without_words_is_still_a_difference(new: ImagePlan) -> None:
    """Words explain, and never decide whether something changed."""
    (found,) = differences(planned(), new)
    assert (found.field, found.code) == ("image", "unexplained")


def test_a_parent_of_the_plan_that_moved_is_said() -> None:
    base = planned(evolve(SPEC, instructions=(InstallApt(("git",)),)))
    moved = planned(evolve(base.spec, parent=ExternalImage(ref(PARENT), digest("moved"))))
    spec = ImageSpec(base.spec, (SetUser("1"),))
    one = ImagePlan("training", ("a",), spec, Checkout("linux/amd64"), Destination("localhost/x"), base)
    two = evolve(one, spec=evolve(spec, parent=moved.spec), parent=moved)
    (found,) = differences(one, two)
    assert (found.field, found.code) == ("parent_image", "changed")
    # Only this checkout's part of the parent moved: no words, and still said.
    three = evolve(one, parent=evolve(base, checkout=evolve(CHECKOUT, platform="linux/arm64")))
    assert differences(one, three)
    outside = evolve(one, spec=evolve(spec, parent=base.spec.external), parent=None)
    assert [change.field for change in differences(one, outside)] == ["parent_image"]


def test_a_report_has_each_change_once_in_the_order_of_the_images() -> None:
    steps = {"a": {}, "b": {"user": "1"}}
    plan = plan_of(steps=steps, world=CODE)
    lock = diff(plan_of({"apt_packages": ["git"]}, steps, world=CODE), plan)
    build = (lock[1], evolve(lock[0], text="files: 1 changed"))
    report = Report(plan, {}, since_lock=lock, since_build=build)
    assert [(since, change.image, change.text) for since, change in report.changes] == [
        ("build", "training", "files: 1 changed"),
        ("lock", "training", "apt: - git"),
        ("lock", "training/b", "apt: - git"),
    ]


# --- which layers ---------------------------------------------------------------------------------------

FULL = {
    "environment": {"A": "${KEY}"},
    "apt_packages": ["git"],
    "requirements": ["six"],
    "local_project_install_command": "make",
    "user": "1000",
    "runtime_environment": {"B": "1"},
}
LAYERS = ("environment", "apt packages", "requirements", "files", "project", "user", "runtime environment")


@pytest.mark.parametrize(
    ("change", "world", "first"),
    [
        ({}, CODE, None),
        ({"runtime_environment": {"B": "2"}}, CODE, "runtime environment"),
        ({"local_project_install_command": "make x"}, CODE, "project"),
        # The owner of the files is part of the layer that copies them.
        ({"user": "1001"}, CODE, "files"),
        ({}, EDITED, "files"),
        ({"requirements": ["six", "attrs"]}, CODE, "requirements"),
        ({"python_package_installer": "pip"}, CODE, "requirements"),
        ({"apt_packages": ["git", "curl"]}, CODE, "apt packages"),
        ({}, evolve(CODE, variables={"KEY": "rotated"}), "environment"),
        ({"environment": {"A": "1"}}, CODE, "environment"),
        ({}, evolve(CODE, platform="linux/arm64"), "environment"),
        ({}, evolve(CODE, pins={PARENT: Pin(digest("moved"))}), "environment"),
        ({"parent_image": "python:3.12"}, CODE, "environment"),
        (options(build_args={"A": "1"}), CODE, "environment"),
        (options(labels={"a": "b"}), CODE, None),
    ],
)
def test_from_the_first_layer_that_differs_all_are_rebuilt(
    change: dict[str, Any], world: World, first: str | None
) -> None:
    before, after = image_of(FULL, world=CODE), image_of({**FULL, **change}, world=world)
    assert rebuilt_layers(before, after) == (LAYERS[LAYERS.index(first) :] if first else ())


def test_without_an_image_before_all_layers_are_built() -> None:
    assert rebuilt_layers(None, image_of(FULL, world=CODE)) == LAYERS


def test_layers_that_came_and_went_at_the_end() -> None:
    short = image_of({"apt_packages": ["git"]}, world=CODE)
    longer = image_of({"apt_packages": ["git"], "user": "1", "runtime_environment": {"A": "1"}}, world=CODE)
    assert rebuilt_layers(longer, short) == ("files",)
    last = longer.spec.instructions[-1]
    more = evolve(short, spec=evolve(short.spec, instructions=(*short.spec.instructions, last)))
    assert rebuilt_layers(short, more) == ("runtime environment",)
    assert rebuilt_layers(more, short) == ()


def test_what_only_one_side_knows_rebuilds_nothing() -> None:
    """A lock knows no files, no variables and no machine: that it does not says nothing of the layers."""
    plan = plan_of(FULL, world=CODE)
    (locked,) = loads(dumps(Lock((plan.spec,)))).plans[0].images
    assert rebuilt_layers(locked, plan.images[0]) == ()
    (edited,) = plan_of({**FULL, "requirements": ["attrs"]}, world=EDITED).images
    assert rebuilt_layers(locked, edited) == LAYERS[2:]


def test_another_name_for_the_same_parent_rebuilds_nothing() -> None:
    world = evolve(CODE, pins={"python:3": Pin(digest("same")), "python:4": Pin(digest("same"))})
    one, two = (image_of({"parent_image": name}, world=world) for name in ("python:3", "python:4"))
    assert rebuilt_layers(one, two) == ()


def test_how_it_is_built_is_no_difference() -> None:
    one = plan_of(options(pull=True, no_cache=True, cache_from=["python"], shm_size="1g", rm=False))
    assert one.images[0].build_options.given
    assert diff(one, plan_of()) == ()
    assert isinstance(one, BuildPlan)
