"""What an image holds and how it runs: environment, users, owners, modes, names."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from executor.apply.verification import difference
from executor.engines.podman import PodmanEngine
from executor.engines.protocol import HASH_LABEL, Engine
from executor.errors import BuildFailed
from executor.process import Command, run
from planner.values import ImageRef
from tests.contract.conftest import absent, reason_against, variable
from tests.contract.images import TEST_BASE, build, build_text, job, planned, quiet, told

AWKWARD = {
    "SPACES": "a  b c",
    "LEADING": "  a",
    "TRAILING": "a  ",
    "BLANK": " ",
    "EMPTY": "",
    "SINGLE": "it's",
    "DOUBLE": 'say "x"',
    "BOTH": "'\"'\"",
    "DOLLAR": "$",
    "DOLLARS": "$$ $1 $@",
    "VARIABLE": "$HOME",
    "UNCLOSED": "${X",
    "EXPRESSION": "${X:-y} $(id) `id`",
    "BACKSLASH": "a\\b",
    "BACKSLASHES": "\\\\",
    "LAST": "ends in \\",
    "QUOTED_LAST": 'ends in \\"',
    "ESCAPES": "\\n \\t \\$HOME \\x41",
    "HASH": "# no comment",
    "INNER_HASH": "a # b",
    "EQUALS": "a=b c=d",
    "SEMICOLON": "a; b && c | d > e",
    "TAB": "a\tb",
    "UNICODE": "h\u00e9llo \u65e5\u672c \U0001f6a2 e\u0301",
    "JSON": json.dumps({"a": ["b", 'c"d']}),
    "PERCENT": "%s %d %%",
    "GLOB": "* ? [a-z] ~",
    "mixedCase": "Mixed",
    "LONG": "x" * 5000,
}
ENVIRONMENT = "import os, json; print(json.dumps(dict(os.environ)))"


@pytest.mark.parametrize("setting", ["environment", "runtime_environment"])
def test_environment(engine: Engine, tag: str, tmp_path: Path, setting: str) -> None:
    build(engine, tag, tmp_path, {setting: AWKWARD})
    found = told(engine, tag, ENVIRONMENT)
    assert {name: found.get(name) for name in AWKWARD} == AWKWARD


@pytest.mark.parametrize("setting", ["environment", "runtime_environment"])
def test_environment_from_variables(engine: Engine, tag: str, tmp_path: Path, setting: str) -> None:
    values = {**AWKWARD, "CLOSED": "${HOME}"}
    variables = {f"V_{name}": value for name, value in values.items()}
    templates = {name: f"${{V_{name}}}" for name in values}
    templates |= {f"AROUND_{name}": f'"$ ${{V_{name}}}\\${{V_{name}}}' for name in values}
    build(engine, tag, tmp_path, {setting: templates}, variables=variables)
    found = told(engine, tag, ENVIRONMENT)
    assert {name: found.get(name) for name in values} == values
    for name, value in values.items():
        assert found[f"AROUND_{name}"] == f'"$ {value}\\{value}'
    assert not any(name.startswith("STOWPLAN_") for name in found)


PARENT_VALUES = r"""
ENV SPACED="a  b" QUOTES="it's \"q\"" DOLLARS="\$HOME \${X} \$\$" BACKSLASHES="a\\b\\" EMPTY="" JSON="{}"
"""


def test_environment_adds_to_the_parent(
    engine: Engine, new_tag: Callable[[str], str], tmp_path: Path
) -> None:
    """Whatever the parent's value is; and where it has none, no colon is left over."""
    parent, tag = new_tag("localhost"), new_tag("localhost")
    build_text(engine, parent, f"FROM {TEST_BASE}{PARENT_VALUES}")
    before = told(engine, parent, ENVIRONMENT)
    names = ("PATH", "SPACED", "QUOTES", "DOLLARS", "BACKSLASHES", "JSON")
    settings = {
        "environment": {
            **dict.fromkeys(names, "/opt/b in:{parent}"),
            "EMPTY": "/lib:{parent}",
            "NONE": "{parent}:/lib",
            "ALONE": "{parent}",
            "BETWEEN": "/a:{parent}:/b",
            "ESCAPED": '{"a": "{{parent}}"} ${{parent}}',
        },
        "runtime_environment": {
            **dict.fromkeys(names, "{parent}:${V}:$HOME"),
            "EMPTY": "{parent} {parent}",
            "LATE": "-O2 {parent}",
        },
    }
    variables = {"V": "{parent} $x"}
    image = planned(tmp_path, settings, variables, parent)
    made = engine.build(job(image, tmp_path, variables), quiet)
    engine.tag(made.id, tag)
    found = told(engine, tag, ENVIRONMENT)
    expected = {name: f"/opt/b in:{before[name]}:{{parent}} $x:$HOME" for name in names}
    expected |= {"EMPTY": "/lib /lib", "NONE": "/lib", "ALONE": "", "BETWEEN": "/a:/b", "LATE": "-O2 "}
    expected |= {"ESCAPED": '{"a": "{parent}"} ${parent}'}
    assert {name: found.get(name) for name in expected} == expected
    assert difference(image, made, variables, engine.inspect(parent)) is None
    assert difference(image, made, variables) is None


def test_environment_reaches_the_installation(engine: Engine, tag: str, tmp_path: Path) -> None:
    """And the runtime environment does not."""
    settings = {
        "environment": {"EARLY": "${TOKEN}"},
        "runtime_environment": {"LATE": "1"},
        "local_project_install_command": 'printf "%s" "$EARLY-${LATE-unset}" > seen',
    }
    build(engine, tag, tmp_path, settings, variables={"TOKEN": "a b"})
    assert told(engine, tag, "import json; print(json.dumps(open('/app/seen').read()))") == "a b-unset"


OWNERS = """
import json, os
def owner(path):
    found = os.lstat(path)
    return [found.st_uid, found.st_gid]
print(json.dumps({
    "process": [os.getuid(), os.getgid()],
    "app": owner("/app"),
    "file": owner("/app/train.py"),
    "directory": owner("/app/src/deep"),
    "nested": owner("/app/src/deep/data"),
    "writable": os.access("/app", os.W_OK) and os.access("/app/src/deep", os.W_OK),
    "working": os.getcwd(),
}))
"""


# Each user with the process that runs and the owner of the files.
USERS = {
    "nobody": ([65534, 65534], [65534, 0]),
    "1234": ([1234, 0], [1234, 0]),
    "1234:4321": ([1234, 4321], [1234, 4321]),
    "nobody:users": ([65534, 100], [65534, 100]),
}


@pytest.mark.parametrize("user", USERS)
def test_user(engine: Engine, tag: str, tmp_path: Path, user: str) -> None:
    process, owner = USERS[user]
    (tmp_path / "src/deep").mkdir(parents=True)
    (tmp_path / "train.py").write_text("")
    (tmp_path / "src/deep/data").write_text("")
    build(engine, tag, tmp_path, {"user": user})
    found = told(engine, tag, OWNERS)
    assert found["process"] == process
    assert found["working"] == "/app"
    assert found["writable"]
    assert {tuple(found[name]) for name in ("app", "file", "directory", "nested")} == {tuple(owner)}


# The parents that builders treat differently: one with a user of its own, one that declares the directory
# of the code a volume, and one that has it already, as somebody else's.
PARENTS = {
    "plain": "",
    "user": "USER 1000\n",
    "volume": "VOLUME /app\n",
    "directory": "RUN mkdir -m 0700 /app && chown 5:5 /app\n",
}


@pytest.mark.parametrize("user", ["", "1234:4321"])
@pytest.mark.parametrize("kind", PARENTS)
def test_owners(engine: Engine, new_tag: Callable[[str], str], tmp_path: Path, kind: str, user: str) -> None:
    """The files are the user's, or root's, whatever the parent is. So is a directory made for them."""
    parent, tag = new_tag("localhost"), new_tag("localhost")
    build_text(engine, parent, f"FROM {TEST_BASE}\nENV A=1\n{PARENTS[kind]}")
    (tmp_path / "src/deep").mkdir(parents=True)
    (tmp_path / "train.py").write_text("")
    (tmp_path / "src/deep/data").write_text("")
    build(engine, tag, tmp_path, {"user": user} if user else {}, parent=parent)
    found = told(engine, tag, OWNERS)
    owner = (1234, 4321) if user else (0, 0)
    assert {tuple(found[name]) for name in ("file", "directory", "nested")} == {owner}
    assert tuple(found["app"]) == ((5, 5) if kind == "directory" and not user else owner)
    assert found["process"] == ([1234, 4321] if user else [1000, 0] if kind == "user" else [0, 0])
    assert found["working"] == "/app"
    engine.remove(tag)


def test_without_files_the_parent_says_where_the_code_is(
    engine: Engine, new_tag: Callable[[str], str], tmp_path: Path
) -> None:
    parent, tag = new_tag("localhost"), new_tag("localhost")
    build_text(engine, parent, f"FROM {TEST_BASE}\nWORKDIR /srv/code\n")
    settings = {"allow_including_files_in_images": False, "user": "1234", "writable_by_any_user": True}
    image = planned(tmp_path, settings, parent=parent)
    made = engine.build(job(image, tmp_path), quiet)
    engine.tag(made.id, tag)
    assert made.working_directory == "/srv/code"
    look = "import json, os; print(json.dumps([os.getcwd(), os.path.exists('/app')]))"
    assert told(engine, tag, look) == ["/srv/code", False]


def test_who_runs_the_commands(engine: Engine, new_tag: Callable[[str], str], tmp_path: Path) -> None:
    """Root where the image gets a user of its own, else the parent's user."""
    parent, tag = new_tag("localhost"), new_tag("localhost")
    build_text(engine, parent, f"FROM {TEST_BASE}\nRUN mkdir -m 0777 /open\nUSER 1000\n")
    command = {"local_project_install_command": "id -u > /open/maker"}
    for user, maker in (("1234", "0"), (None, "1000")):
        build(engine, tag, tmp_path, {**command, "user": user}, parent=parent)
        assert engine.run(tag, ("cat", "/open/maker")).output.strip() == maker


WALK = """
import json, os, stat
found = {}
for directory, below, files in os.walk("/app"):
    for name in below + files:
        path = os.path.join(directory, name)
        mode = os.lstat(path).st_mode
        what = "link " + os.readlink(path) if stat.S_ISLNK(mode) else oct(mode)
        found[path[5:]] = what if not stat.S_ISREG(mode) else [what, open(path).read()]
print(json.dumps(found))
"""
DIRECTORY, FILE, EXECUTABLE = "0o40755", "0o100644", "0o100755"


def test_files(engine: Engine, tag: str, tmp_path: Path) -> None:
    names = ["a b", "a\nb", "caf\u00e9", "cafe\u0301", "\U0001f6a2" * 55, "x" * 240, "-f", "*", "a\\b", "'\""]
    (tmp_path / "empty/inner").mkdir(parents=True)
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o775)
    (tmp_path / "private").write_text("p")
    (tmp_path / "private").chmod(0o600)
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "outside").symlink_to("/etc/hostname")
    (tmp_path / "up").symlink_to("../../etc")
    (tmp_path / "inside").symlink_to("./empty/../run.sh")
    expected: dict[str, object] = {
        "run.sh": [EXECUTABLE, "#!/bin/sh\n"],
        "private": [FILE, "p"],
        "broken": "link nowhere",
        "outside": "link /etc/hostname",
        "up": "link ../../etc",
        "inside": "link ./empty/../run.sh",
    }
    for number, name in enumerate(names):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(str(number))
        expected |= {name: DIRECTORY, f"{name}/{name}": [FILE, str(number)]}
    build(engine, tag, tmp_path)
    found = told(engine, tag, WALK)
    assert found == expected


def test_nothing_of_the_context_but_the_tree(engine: Engine, tag: str, tmp_path: Path) -> None:
    """Names that builders look for are files like any other, and rule nothing."""
    for name in (
        "Dockerfile",
        "Dockerfile.stowplan",
        "keep.txt",
        ".containerignore",
        "trees",
        "requirements",
    ):
        (tmp_path / name).write_text("*\n")
    (tmp_path / ".dockerignore").write_text("trees\n")
    build(engine, tag, tmp_path)
    assert sorted(told(engine, tag, "import json, os; print(json.dumps(os.listdir('/app')))")) == [
        ".containerignore",
        "Dockerfile",
        "Dockerfile.stowplan",
        "keep.txt",
        "requirements",
    ]


def test_options(engine: Engine, tag: str, tmp_path: Path) -> None:
    settings = {
        "build_config": {
            "build_options": {
                "buildargs": {"COLOUR": 'deep "blue" $HOME'},
                "labels": {"org.example.team": "a b=c", "empty": ""},
                "nocache": True,
                "shmsize": "32m",
                "network": "host",
                "extra_hosts": {"ship.example": "10.1.2.3"},
            }
        },
        "local_project_install_command": 'printf "%s" "$COLOUR" > colour; cp /etc/hosts hosts; '
        "df -k /dev/shm | tail -n 1 > shm",
    }
    build(engine, tag, tmp_path, settings)
    read = "import json; print(json.dumps({n: open('/app/' + n).read() for n in ('colour', 'hosts', 'shm')}))"
    found = told(engine, tag, read)
    assert found["colour"] == 'deep "blue" $HOME'
    assert "10.1.2.3" in found["hosts"]
    info = engine.inspect(tag)
    assert info is not None
    assert info.labels["org.example.team"] == "a b=c"
    assert info.labels["empty"] == ""
    assert " 32768 " in found["shm"]


def test_inspection(engine: Engine, tag: str, tmp_path: Path) -> None:
    image = planned(tmp_path)
    assert engine.inspect(tag) is None
    made = engine.build(job(image, tmp_path), quiet).id
    untagged = engine.inspect(made)
    engine.tag(made, tag)
    info = engine.inspect(tag)
    assert untagged is not None
    assert info is not None
    assert (untagged.id, untagged.tags) == (made, ())
    assert info.id == made
    assert info.labels[HASH_LABEL] == str(image.hash)
    assert info.tags == (tag,)
    assert info.digests == ()
    assert info.platform == "linux/amd64"
    assert info.mark == image.hash


def test_only_what_a_plan_made_is_marked(
    engine: Engine, new_tag: Callable[[str], str], tmp_path: Path
) -> None:
    """What is built on it inherits the label, and a plan that is built on it has a mark of its own."""
    ours, derived, planned_on = new_tag("localhost"), new_tag("localhost"), new_tag("localhost")
    build(engine, ours, tmp_path)
    build_text(engine, derived, f"FROM {ours}\nENV A=1\n")
    child = planned(tmp_path, {"environment": {"B": "1"}}, parent=ours)
    engine.tag(engine.build(job(child, tmp_path), quiet).id, planned_on)
    found = {tag: engine.inspect(tag) for tag in (ours, derived, planned_on)}
    assert [info and info.mark for info in found.values()] == [planned(tmp_path).hash, None, child.hash]
    assert [info and HASH_LABEL in info.labels for info in found.values()] == [True, True, True]
    for tag in (planned_on, derived, ours):
        engine.remove(tag)


def test_a_parent_without_a_plan_has_no_mark(engine: Engine) -> None:
    info = engine.inspect(TEST_BASE)
    assert info is None or info.mark is None


def test_what_a_parent_says_of_its_containers_is_kept(
    engine: Engine, new_tag: Callable[[str], str], tmp_path: Path
) -> None:
    """Also by Podman, whose own format has no place for a health check, and by one that has to be pulled."""
    parent, tag = new_tag(variable("STOWPLAN_TEST_REGISTRY")), new_tag("localhost")
    text = f'FROM {TEST_BASE}\nHEALTHCHECK CMD echo healthy\nENTRYPOINT ["env"]\nCMD ["true"]\n'
    build_text(engine, parent, text)
    pinned = str(ImageRef.parse(parent).pinned(engine.push(parent, quiet)))
    for removed in (False, True):
        if removed:
            engine.remove(tag)
            engine.remove(parent)
            engine.remove(pinned)
        build(engine, tag, tmp_path, {"environment": {"A": "1"}}, parent=pinned)
        command = (engine.name, "image", "inspect", tag)
        (found,) = json.loads(run(Command(command)).stdout)
        assert "healthy" in str(found.get("Healthcheck") or found["Config"].get("Healthcheck"))
        assert (found["Config"]["Entrypoint"], found["Config"]["Cmd"]) == (["env"], ["true"])
    engine.remove(tag)
    engine.remove(pinned)


def test_tags(engine: Engine, tag: str, tmp_path: Path) -> None:
    build(engine, tag, tmp_path)
    other = tag.replace(":1", ":2")
    engine.tag(tag, other)
    first, second = engine.inspect(tag), engine.inspect(other)
    assert first is not None
    assert second is not None
    assert first.id == second.id
    assert not engine.remove(first.id)
    assert engine.remove(tag)
    assert engine.inspect(tag) is None
    assert engine.inspect(other) is not None
    assert engine.remove(other)
    assert engine.inspect(other) is None
    assert not engine.remove(other)
    assert not engine.remove(first.id)


def test_run(engine: Engine, tag: str, tmp_path: Path) -> None:
    build(engine, tag, tmp_path)
    done = engine.run(tag, ("sh", "-c", "echo out; echo err >&2; exit 3"))
    assert (done.code, sorted(done.output.split())) == (3, ["err", "out"])
    assert engine.run(tag, ("no-such-program",)).code == 127


def test_equal_plans_share_their_layers(engine: Engine, tag: str, tmp_path: Path) -> None:
    """A rebuild makes nothing anew: the context is the same, byte for byte."""
    (tmp_path / "train.py").write_text("")
    command = {"local_project_install_command": "head -c 16 /dev/urandom | od -x > chance"}
    build(engine, tag, tmp_path, command)
    chance = engine.run(tag, ("cat", "/app/chance"))
    (tmp_path / "train.py").touch()
    build(engine, tag, tmp_path, command)
    assert engine.run(tag, ("cat", "/app/chance")) == chance


def test_a_rebuild_leaves_no_image_without_a_name(engine: Engine, tag: str, tmp_path: Path) -> None:
    again = {"build_config": {"build_options": {"nocache": True}}}
    (tmp_path / "old").write_text("")
    build(engine, tag, tmp_path, again)
    before = engine.inspect(tag)
    (tmp_path / "new").write_text("")
    build(engine, tag, tmp_path, again)
    after = engine.inspect(tag)
    assert before is not None
    assert after is not None
    assert before.id != after.id
    assert engine.inspect(before.id) is None


# What Podman says while another process commits the same image: that it is done.
FORGETFUL = """#!/bin/sh
case $1 in tag) echo >>{said}; [ $(wc -l <{said}) -gt {times} ] || exit 0 ;; esac
exec {podman} "$@"
"""


@pytest.mark.parametrize("times", [1, 9])
def test_a_tag_that_podman_forgets(
    new_tag: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Once, and each time: it is tagged again, and then the tag is said to be lost."""
    if reason := reason_against("podman"):
        absent(f"podman: {reason}")
    engine, kept, lost = PodmanEngine(), new_tag("localhost"), new_tag("localhost")
    build(engine, kept, tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir()
    script = FORGETFUL.format(said=tmp_path / "said", times=times, podman=shutil.which("podman"))
    (programs / "podman").write_text(script)
    (programs / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    if times == 1:
        engine.tag(kept, lost)
        assert engine.inspect(lost) == engine.inspect(kept)
        engine.remove(lost)
    else:
        with pytest.raises(BuildFailed) as caught:
            engine.tag(kept, lost)
        assert caught.value.problems[0].code == "tag-lost"
        assert engine.inspect(lost) is None
    engine.remove(kept)
