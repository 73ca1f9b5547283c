"""Locks written by hand, with hashes that are right, and texts that no project can ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve

from executor.state import read_lock_file
from planner import Digest, ImageRef, Lock, NamedSpec, Pin, PlannerError, PlanSpec, Pushed, dumps, loads
from planner.image.instructions import (
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    SetEnvironment,
    SetUser,
)
from planner.image.spec import ExternalImage, ImageSpec, Observed
from planner.lock.repair import repair
from planner.requirements.model import Requirement, Requirements
from tests.builders import digest

HOSTILE: Final = "x\x1b]0;<script>alert(1)</script>\u202e"
PIN: Final = Pin(digest("a"), "index", "linux/amd64")
PARENT: Final = ExternalImage(ImageRef.parse("python:3.11"), digest("a"), PIN)
SIX: Final = Requirements.of([Requirement.parse("six==1.16.0")])


def lock_of(spec: ImageSpec, name: str = "p", steps: tuple[str, ...] = ("a",), stack: str = "default") -> str:
    return dumps(Lock((PlanSpec(name.partition("/")[0], stack, (NamedSpec(name, steps, spec),)),)))


def good(**given: Any) -> ImageSpec:
    return ImageSpec(PARENT, **given)


def requirements(source: str = "requirements", version: str = "0.13.9", **arguments: Any) -> dict[str, Any]:
    return {"instructions": (InstallRequirements(source, SIX, Installer("uv", version, arguments)),)}


TEXTS: Final[dict[str, ImageSpec]] = {
    "platform": good(platform=HOSTILE),
    "target": good(target=HOSTILE),
    "name of a build argument": good(build_args={HOSTILE: "x"}),
    "build argument": good(build_args={"A": "x\nRUN evil"}),
    "name of a label": good(labels={"a b": "x"}),
    "label": good(labels={"a": "x\nRUN evil"}),
    "option": good(options={HOSTILE: "x"}),
    "value of an option": good(options={"network": "a\nb"}),
    "value in an option": good(options={"extra_hosts": ["a\nb"]}),
    "name of a variable": good(instructions=(SetEnvironment({HOSTILE: "x"}),)),
    "variable": good(instructions=(SetEnvironment({"A": "x\nRUN evil"}, runtime=True),)),
    "apt package": good(instructions=(InstallApt(["curl; rm -rf /"]),)),
    "apt package that is removed": good(instructions=(InstallApt(["curl-"]),)),
    "source": good(**requirements(source="../../etc/cron.d/x")),
    "source without packages": good(observed=(Observed("../x", digest("inputs")),)),
    "version of the installer": good(**requirements(version="0.1; evil")),
    "argument of the installer": good(**requirements(**{"x y": "z"})),
    "tree": good(instructions=(CopyFiles(tree="../.."),)),
    "directory": good(instructions=(CopyFiles(destination="/app/../etc"),)),
    "directory with a line end": good(instructions=(CopyFiles(destination="/app\nRUN evil"),)),
    "owner": good(instructions=(CopyFiles(owner="0; evil"),)),
    "command": good(instructions=(InstallProject("true\nRUN evil"),)),
    "uv of a command": good(instructions=(InstallProject("true", uv="0.1; evil"),)),
    "owner of what a command makes": good(instructions=(InstallProject("true", owner="0; evil"),)),
    "user": good(instructions=(SetUser("root\nRUN evil"),)),
    "platform of the parent": ImageSpec(evolve(PARENT, pin=evolve(PARENT.pin, platform=HOSTILE))),
}


@pytest.mark.parametrize("what", TEXTS)
def test_a_text_that_no_project_can_ask_for_is_refused(what: str) -> None:
    text = lock_of(TEXTS[what])
    with pytest.raises(PlannerError) as refused:
        loads(text)
    assert all(problem.where.file == "stowplan.lock" for problem in refused.value.problems)
    assert "hash" not in str(refused.value)
    repaired = repair(text)
    assert repaired.lock.plans == ()
    assert any("image 'p'" in word for word in repaired.dropped)


def escaped(text: str) -> str:
    """A text as TOML, whatever is in it."""
    return '"' + "".join(f"\\U{ord(each):08x}" for each in text) + '"'


GOOD: Final = dumps(
    Lock(
        (PlanSpec("pipeline", "stack", (NamedSpec("pipeline/image", ("step", "other"), good()),)),),
        (Pushed(digest("2"), ImageRef.parse(f"r.io/x@{digest('1')}"), "pushed", "stack"),),
    )
)


@pytest.mark.parametrize("name", [HOSTILE, "", "a b", "@admin", "#12", "a/b/c", "-x", "x" * 101, "a\n"])
@pytest.mark.parametrize("place", ["pipeline", "pipeline/image", "step", "stack", "pushed"])
def test_a_name_that_no_project_can_have_is_refused(place: str, name: str) -> None:
    assert loads(GOOD)
    assert f'"{place}"' in GOOD
    text = GOOD.replace(f'"{place}"', escaped(name))
    with pytest.raises(PlannerError, match="not a name"):
        loads(text)
    repaired = repair(text)
    assert any("it cannot be read" in word for word in repaired.dropped)
    assert name not in {
        *(each for plan in repaired.lock.plans for each in (plan.pipeline, plan.stack)),
        *(
            each
            for plan in repaired.lock.plans
            for image in plan.images
            for each in (image.name, *image.steps)
        ),
        *(each for entry in repaired.lock.pushed for each in (entry.name, entry.stack)),
    }


@pytest.mark.parametrize("reference", ["me:hunter22@r.io/x", "R.io/X", "x\x1b", "https://r.io/x", "x @y", ""])
def test_a_reference_that_is_none_is_refused_and_its_login_not_repeated(reference: str) -> None:
    good_text = lock_of(good())
    assert 'reference = "docker.io/library/python:3.11"' in good_text
    text = good_text.replace('"docker.io/library/python:3.11"', escaped(reference))
    with pytest.raises(PlannerError, match="not an image reference") as refused:
        loads(text)
    assert "hunter22" not in str(refused.value)
    assert repair(text).lock.plans == ()


def test_what_a_project_can_ask_for_is_taken() -> None:
    spec = good(
        platform="linux/arm64/v8", target="runtime", build_args={"A": "é \x1b"}, labels={"org.x": "a=b"},
        options={"network": "host", "extra_hosts": ["a:10.0.0.1"]},
        instructions=(
            SetEnvironment({"A": "${B} 'x' \t"}),
            InstallApt(["vim=2:9.0~rc1-1", "libc6:amd64"]),
            *requirements(timeout=10, no_deps=None)["instructions"],
            CopyFiles(owner="1000:1000"),
            InstallProject("pip install . && echo 'x'"),
            SetUser("1000"),
        ),
    )  # fmt: skip
    text = lock_of(spec, name="p/a")
    assert loads(text).plans[0].images[0].spec == spec


def test_a_login_in_a_lock_of_an_earlier_version_does_not_lose_its_pins() -> None:
    """New settings are refused; what was locked before is still read, and masked where it is shown."""
    spec = good(instructions=(SetEnvironment({"A": "https://me:hunter22@h"}),))
    assert loads(lock_of(spec)).plans[0].images[0].spec == spec


def test_version_1_is_checked_too() -> None:
    text = f"""
        version = 1
        [[plan]]
        pipeline = "p"
        stack = "default"
        [[plan.image]]
        name = "p"
        steps = ["a"]
        parent = "python:3.11@{digest("a")}"
        [[plan.image.instruction]]
        kind = "apt"
        packages = ["curl; evil"]
        """
    assert loads(text.replace("; evil", "")).plans[0].images
    with pytest.raises(PlannerError, match=r"apt package: 'curl; evil'"):
        loads(text)


def test_an_error_names_the_file_that_was_read(tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.lock"
    bad_name = GOOD.replace('"stack"', escaped(HOSTILE))
    for text in (lock_of(TEXTS["user"]), bad_name, "version = 4", "version = ", "\n[x", ""):
        hostile.write_text(text)
        with pytest.raises(PlannerError) as refused:
            read_lock_file(hostile)
        for problem in refused.value.problems:
            assert problem.where.file == str(hostile)
            assert "stowplan.lock" not in str(problem)
            assert "repair it with" not in problem.fix
    own = tmp_path / "stowplan.lock"
    own.write_text("")
    with pytest.raises(PlannerError, match="repair it with `stowplan lock`"):
        read_lock_file(own)


def test_digests_are_whole() -> None:
    with pytest.raises(ValueError, match="regex"):
        Digest("1" * 64 + "\n")
