"""A lock holds: what it pins stays, whatever moves around it, and a broken one is repaired."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable

from attrs import evolve

from executor.engines.select import choose
from executor.registry.lookup import Found, head
from executor.state import update_lock
from planner import Digest, ImageRef, loads
from planner.planning import UV_VERSION
from tests.e2e.command import PINNED, Project
from tests.e2e.gate import Gate
from tests.e2e.images import Tags
from tests.e2e.two_images import hashes, results, write

# Neither a network nor an engine: whoever asks one of them gets no answer.
NOWHERE = {"STOWPLAN_CONTAINER_ENGINE": "", "DOCKER_HOST": "unix:///nowhere", "PATH": "/nowhere"}


def test_a_base_that_moved_is_taken_when_it_is_asked_for(
    project: Project, engine: str, parent: str, registry: str, tags: Tags
) -> None:
    del engine
    write(project, parent, registry)
    old = head(ImageRef.parse(parent), timeout=10)
    assert isinstance(old, Found)
    project.ok("lock")
    lock = (project.root / "stowplan.lock").read_text()
    built = project.ok("apply", "--stack", "local", "-o", "json")
    everything = project.ok("outdated", "--exit-code")
    assert everything.out == "everything that stowplan.lock pins is the newest there is\n"
    new = tags.publish(parent)
    assert new != old.digest

    # Nothing changes: no plan, no image, no lock.
    project.ok("lock", "--check")
    assert hashes(project.ok("plan", "--stack", "local", "-o", "json")) == hashes(built)
    again = project.ok("apply", "--stack", "local", "-o", "json")
    assert (results(again), hashes(again)) == (["reused", "reused"], hashes(built))
    project.ok("lock")
    assert (project.root / "stowplan.lock").read_text() == lock
    # An edit of something else moves what was edited, and builds on what is pinned.
    write(project, parent, registry, value="2")
    applied = project.ok("apply", "--stack", "local", "-o", "json")
    assert results(applied) == ["built", "built"]
    assert {change["field"] for change in applied.data["lock_changes"]} == {"environment"}
    pinned = {image.spec.external.digest for image in loads(lock).plans[0].images}
    assert pinned == {old.digest}
    lock = (project.root / "stowplan.lock").read_text()
    assert {image.spec.external.digest for plan in loads(lock).plans for image in plan.images} == {old.digest}

    # It is not lost either.
    said = project.run("outdated", "--exit-code")
    assert said.code == 2
    assert said.out == f"{parent}  {old.digest.short} → {new.short}  (2 images)\n"
    assert project.ok("outdated", "-o", "json").data["outdated"] == [
        {
            "name": parent,
            "kind": "image",
            "before": str(old.digest),
            "after": str(new),
            "images": 2,
            "platform": "linux/amd64",
            "same_manifest": False,
        }
    ]
    assert (project.root / "stowplan.lock").read_text() == lock
    wrong = project.run("lock", "--upgrade-image", parent + "0")
    assert (wrong.code, f"did you mean '{parent}'" in wrong.err) == (64, True)

    project.ok("lock", "--upgrade-image", parent)
    lock = (project.root / "stowplan.lock").read_text()
    assert {image.spec.external.digest for plan in loads(lock).plans for image in plan.images} == {new}
    assert results(project.ok("apply", "--stack", "local", "-o", "json")) == ["built", "built"]
    assert project.ok("outdated", "--exit-code").code == 0


def test_a_fresh_lock_stays_fresh_while_nothing_answers(project: Project, tags: Tags, gate: Gate) -> None:
    name = f"{gate.address}/down-{uuid.uuid4().hex[:12]}/parent:1"
    tags.publish(name)
    tags.tag(name, f"{name}-one")
    second = tags.publish(name)
    write(project, name, "registry.invalid/team")
    project.ok("lock")
    lock = (project.root / "stowplan.lock").read_bytes()
    planned = project.ok("plan", "--stack", "local", "-o", "json")
    assert planned.data["images"][0]["parent"] == f"{name}@{second}"
    # The engine has the older image again, and is the only one that answers.
    tags.engine.tag(f"{name}-one", name)
    gate.close()
    project.ok("lock", "--check")
    assert hashes(project.ok("plan", "--stack", "local", "-o", "json")) == hashes(planned)
    project.ok("lock")
    assert (project.root / "stowplan.lock").read_bytes() == lock

    # Nor does it when there is no engine, and the stack's registry has no address.
    for argv in (
        ["plan", "--stack", "local"],
        ["plan", "--stack", "prod", "--offline"],
        ["plan", "--stack", "prod", "--offline", "--locked"],
        ["lock", "--check"],
        ["diff"],
        ["diff", "--offline"],
        ["show", "b", "--stack", "local"],
        ["lock"],
    ):
        assert project.ok(*argv, env=NOWHERE).err == "", argv
    assert (project.root / "stowplan.lock").read_bytes() == lock
    # Only whoever asks what is new is told that nobody answers.
    said = project.run("outdated", "--exit-code", env=NOWHERE)
    assert said.code == 75
    assert f"{name}: not known" in said.out


def test_a_frozen_plan_takes_its_own_pin(project: Project, tags: Tags, registry: str) -> None:
    # Two pipelines on one reference, which the lock pins to two digests.
    name = f"{registry}/parent:1"
    first = tags.publish(name)
    write(project, name, registry)
    text = (project.root / "stowplan.toml").read_text()
    project.ok("lock")
    second = tags.publish(name)
    other = text.split("[stack.local]")[0].replace("pipeline.p", "pipeline.q")
    project.write({"stowplan.toml": text + other})
    project.ok("lock", "q", "--upgrade-image", name)
    for pipeline, digest in (("p", first), ("q", second)):
        for options in ((), ("--frozen",), ("--locked",)):
            planned = project.ok("plan", pipeline, "--stack", "prod", "--offline", "-o", "json", *options)
            assert {image["parent"] for image in planned.data["images"]} == {f"{name}@{digest}"}, options
    assert project.ok("outdated").out == f"{name}  {first.short} → {second.short}  (2 images)\n"


def test_the_version_of_the_installer_is_a_pin(project: Project) -> None:
    # What an earlier stowplan has locked, which had another uv.
    text = f"""
        [pipeline.p]
        steps = ["a"]
        settings.docker = {{ parent_image = "{PINNED}", requirements = ["six==1.16.0"] }}
        """
    project.write({"stowplan.toml": text})
    earlier = (
        "import sys; import planner.specs; planner.specs.UV_VERSION = '0.1.2';"
        "from executor.cli.main import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", earlier, "lock"]
    subprocess.run(command, cwd=project.root, env=project.environment(), check=True, capture_output=True)
    lock = (project.root / "stowplan.lock").read_text()
    assert 'version = "0.1.2"' in lock
    project.ok("lock", "--check")
    dockerfiles = []
    for options in ((), ("--frozen",), ("--locked",)):
        (image,) = project.ok("plan", "-o", "json", *options).data["images"]
        dockerfiles.append((image["hash"], "uv==0.1.2" in image["dockerfile"]))
    assert set(dockerfiles) == {(dockerfiles[0][0], True)}
    project.ok("lock")
    assert (project.root / "stowplan.lock").read_text() == lock
    assert project.ok("outdated").out == f"uv  0.1.2 → {UV_VERSION}  (1 image)\n"
    project.ok("lock", "--upgrade")
    assert f'version = "{UV_VERSION}"' in (project.root / "stowplan.lock").read_text()


def test_a_stale_lock_is_renewed_refused_or_taken_as_it_is(
    project: Project, engine: str, parent: str, registry: str
) -> None:
    write(project, parent, registry)
    project.ok("lock")
    path = project.root / "stowplan.lock"
    locked = path.read_bytes()
    hashed = hashes(project.ok("plan", "--stack", "local", "-o", "json"))
    write(project, parent, registry, value="2")

    refused = project.run("apply", "--stack", "local", "--locked")
    assert refused.code == 1
    assert "stale: p: environment: A 1 → 2" in refused.err
    assert path.read_bytes() == locked

    frozen = project.ok("apply", "--stack", "local", "--frozen", "-o", "json")
    assert (results(frozen), hashes(frozen)) == (["built", "built"], hashed)
    assert frozen.data["lock_changes"] == []
    assert path.read_bytes() == locked
    shown = choose(engine).inspect(frozen.data["images"][0]["reference"])
    assert shown is not None

    said = project.ok("apply", "--stack", "local")
    assert "note: updated stowplan.lock:" in said.err
    assert "note:   p: environment: A 1 → 2" in said.err
    assert said.out.endswith("\nBuilt 2, pushed 0, reused 0, failed 0.\n")
    # No more than this plan: the other stack is as it was.
    before, after = loads(locked.decode()), loads(path.read_text())
    assert after.plan("p", "prod") == before.plan("p", "prod")
    assert after.plan("p", "local") != before.plan("p", "local")
    assert project.run("lock", "--check").code == 1


BREAKS: dict[str, Callable[[str], str]] = {
    "conflicted": lambda text: text.replace(
        "version = 2\n", "<<<<<<< HEAD\nversion = 2\n=======\nversion = 2\n>>>>>>> other\n"
    ),
    "empty at the end": lambda text: text + "[[image]]\n",
    "with an edited image": lambda text: text.replace('B = "1"', 'B = "2"'),
    "with other line ends and no version": lambda text: text.replace("version = 2\n", "").replace(
        "\n", "\r\n"
    ),
}


def test_a_broken_lock_is_repaired_and_its_ledger_kept(
    project: Project, engine: str, parent: str, registry: str
) -> None:
    del engine
    write(project, parent, registry)
    project.ok("lock")
    project.ok("apply", "--stack", "prod")
    path = project.root / "stowplan.lock"
    whole = path.read_text()
    assert len(loads(whole).pushed) == 2
    for name, broken in BREAKS.items():
        assert broken(whole) != whole, name
        path.write_text(broken(whole), newline="")
        for argv in (["plan", "--stack", "prod"], ["apply", "--stack", "prod"], ["lock", "--check"]):
            ran = project.run(*argv)
            assert ran.code == 1, (name, argv)
            assert "`stowplan lock`" in ran.err, (name, argv)
        said = project.ok("lock").err
        assert "stowplan.lock could not be read as a whole: kept" in said, name
        assert "2 entries of the ledger" in said, name
        assert path.read_text() == whole, name


def test_an_edited_ledger_is_never_relied_on(project: Project, parent: str, gate: Gate, tags: Tags) -> None:
    team = f"{gate.address}/ledger-{uuid.uuid4().hex[:12]}"
    write(project, parent, team)
    project.ok("lock")
    pushed = project.ok("apply", "--stack", "prod", "-o", "json").data["images"]
    path = project.root / "stowplan.lock"
    whole = path.read_text()
    true = Digest.parse(pushed[0]["digest"])
    # By hand, so that its hash is not that of its content.
    path.write_text(whole.replace(true.hex, "7" * 64))
    for argv in (["lock", "--check"], ["plan", "--stack", "prod"], ["apply", "--stack", "prod"]):
        ran = project.run(*argv)
        assert ran.code == 1, argv
        assert "was edited: its hash is not that of its content" in ran.err, argv

    # By a program, or in a merge that took the wrong side: it says what it is, and that is not so.
    wrong = Digest("7" * 64)
    path.write_text(whole)
    entry = next(item for item in loads(whole).pushed if item.name == "p")
    edited = evolve(entry, reference=evolve(entry.reference, digest=wrong))
    update_lock(project.root, lambda lock: lock.with_pushed([edited]))
    before = path.read_bytes()
    ran = project.run("apply", "--stack", "prod", "-o", "json")
    assert ran.code == 1
    assert [image["result"] for image in ran.data["images"]] == ["failed", "reused"]
    (problem,) = ran.data["images"][0]["error"]
    assert problem["code"] == "ledger-differs"
    assert true.short in problem["found"]
    assert wrong.short in problem["found"]
    assert path.read_bytes() == before

    # Where nobody can look, it is said that nobody has.
    gate.close()
    ran = project.ok("apply", "--stack", "prod", "-o", "json")
    assert [(image["result"], image["verified"]) for image in ran.data["images"]] == [("reused", False)] * 2
    text = project.ok("apply", "--stack", "prod").out
    assert text.count("  not verified\n") == 2
    assert path.read_bytes() == before
    for image in pushed:
        tags.made(image["reference"])
