"""Builds with an id on real engines: made by `build` and `apply`, listed, shown, exported, deleted."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from executor.records.store import Records
from executor.workflow.build_files import read_build
from planner.build import BUILD_ID
from tests.e2e.command import Project
from tests.e2e.images import Tags
from tests.e2e.two_images import hashes, results, write
from tests.git_situations import git


def test_a_build_is_made_ahead_and_is_the_same_when_nothing_changed(
    project: Project, parent: str, tags: Tags
) -> None:
    write(project, parent)
    said = project.ok("build", "p", "--stack", "local").out.splitlines()
    assert said[-2] == "Built 2, pushed 0, reused 0, failed 0."
    name = said[-1].removeprefix("build ")
    assert BUILD_ID.fullmatch(name)
    again = project.ok("apply", "p", "--stack", "local", "-o", "json")
    assert results(again) == ["reused", "reused"]
    assert again.data["build"] == name
    (listed,) = project.ok("builds", "list", "-o", "json").data["builds"]
    shown = project.ok("builds", "show", name[:4], "-o", "json").data
    assert {"schema": "stowplan/build/2", **listed} == shown
    assert (shown["id"], shown["pipeline"], shown["stack"]) == (name, "p", "local")
    assert shown["plan"] == again.data["plan"]
    assert shown["engine"] == tags.engine.name
    assert [image["hash"] for image in shown["images"]] == hashes(again)
    assert [image["result"] for image in shown["images"]] == ["built", "built"]
    assert not shown["contains_code"]
    assert project.ok("build", "p", "--stack", "local", "-o", "json").data["id"] == name
    assert yaml.safe_load(project.ok("builds", "show", "-o", "yaml").out)["id"] == name


def test_a_change_makes_another_build(project: Project, parent: str, tags: Tags, registry: str) -> None:
    del tags
    write(project, parent, registry)
    first = project.ok("build", "p", "--stack", "prod", "-o", "json").data
    assert all(image["digest"] for image in first["images"])
    write(project, parent, registry, value="2")
    second = project.ok("build", "p", "--stack", "prod", "-o", "yaml")
    found = project.ok("builds", "list", "--sort", "created", "-o", "json").data
    assert [each["id"] for each in found["builds"]] == [first["id"], yaml.safe_load(second.out)["id"]]
    page = project.ok("builds", "list", "--limit", "1", "--page", "2", "--since", "1d", "-o", "json").data
    assert (page["total"], page["builds"]) == (2, [found["builds"][0]])
    # What was there before is that build again.
    write(project, parent, registry)
    assert project.ok("apply", "p", "--stack", "prod", "-o", "json").data["build"] == first["id"]


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_build_is_exported(project: Project, parent: str, tags: Tags, tmp_path: Path, suffix: str) -> None:
    del tags
    write(project, parent)
    made, later = tmp_path / f"made{suffix}", tmp_path / f"later{suffix}"
    name = project.ok("build", "p", "--stack", "local", "-o", str(made)).out.split()[-1]
    project.ok("builds", "export", name, str(later))
    assert made.read_text() == later.read_text()
    assert read_build(made).id == name
    shown = project.ok("builds", "show", str(made), "-o", "json").data
    assert shown == {key: each for key, each in yaml.safe_load(made.read_text()).items() if key != "specs"}


def test_a_failure_makes_no_build(project: Project, parent: str, tags: Tags) -> None:
    del tags
    write(project, parent, settings='local_project_install_command = "false"\nsecrets = ["NONE"]')
    ran = project.run("build", "p", "--stack", "local", "-o", "json")
    assert ran.code == 1
    assert json.loads(ran.out)["schema"] in ("stowplan/apply/2", "stowplan/error/2")
    assert project.ok("builds", "list", "-o", "json").data["builds"] == []
    assert project.run("builds", "show").code == 64


def test_a_build_that_an_interruption_kept_from_being_noted_is_noted_by_the_next(
    project: Project, parent: str, tags: Tags
) -> None:
    """Killed between the last image and the build: the images are recorded, and nothing is built again."""
    del tags
    write(project, parent)
    project.write({
        "killed.py": """
            import os, signal, sys
            from executor.cli.main import main
            from executor.records.store import Records

            def killed(*_, **__):
                os.kill(os.getpid(), signal.SIGKILL)

            Records.note_build = killed
            main(sys.argv[1:])
            """,
    })  # fmt: skip
    script = project.root / "killed.py"
    command = [sys.executable, str(script), "build", "p", "--stack", "local"]
    ended = subprocess.run(command, env=project.environment(), cwd=project.root, check=False)
    script.unlink()
    assert ended.returncode == -9
    assert [record.status for record in Records(project.root).all()] == ["built", "built"]
    assert project.ok("builds", "list", "-o", "json").data["builds"] == []
    again = project.ok("apply", "p", "--stack", "local", "-o", "json")
    assert results(again) == ["reused", "reused"]
    (build,) = project.ok("builds", "list", "-o", "json").data["builds"]
    assert build["id"] == again.data["build"]


def test_images_go_with_the_last_build_that_has_them(project: Project, parent: str, tags: Tags) -> None:
    write(project, parent)
    first = project.ok("build", "p", "--stack", "local", "-o", "json").data
    # The second step's image changes, and the first one's does not.
    text = (project.root / "stowplan.toml").read_text()
    (project.root / "stowplan.toml").write_text(text.replace('{ B = "1" }', '{ B = "2" }'))
    second = project.ok("build", "p", "--stack", "local", "-o", "json").data
    shared, own = (image["reference"] for image in first["images"])
    assert second["images"][0]["reference"] == shared
    said = project.ok("builds", "delete", first["id"], "--image").out.splitlines()
    assert said == [
        f"deleted build {first['id']} of p on local",
        f"  {shared} stays, for build {second['id']}",
        f"  removed {own} from {tags.engine.name}",
    ]
    assert tags.engine.inspect(shared) is not None
    assert tags.engine.inspect(own) is None
    assert [record.reference for record in Records(project.root).all()].count(own) == 0
    said = project.ok("builds", "delete", second["id"]).out.splitlines()
    assert said == [f"deleted build {second['id']} of p on local"]
    assert tags.engine.inspect(shared) is not None
    assert project.run("builds", "delete", second["id"]).code == 64


def answered(project: Project, *argv: str, answer: str) -> tuple[int, str]:
    """Run a command with a terminal at which somebody answers; its exit code and what it asks."""
    master, slave = pty.openpty()
    os.write(master, f"{answer}\n".encode())
    command = [sys.executable, "-m", "executor.cli", *argv]
    done = subprocess.run(
        command,
        env=project.environment(),
        cwd=project.root,
        stdin=slave,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(master)
    os.close(slave)
    return done.returncode, done.stderr


def test_what_nothing_refers_to_is_pruned(project: Project, parent: str, tags: Tags) -> None:
    """The newest stays, and what somebody else put under a reference."""
    made = []
    for value in ("1", "2", "3", "4"):
        write(project, parent, value=value)
        made.append(project.ok("build", "p", "--stack", "local", "-o", "json").data)
    references = [[image["reference"] for image in build["images"]] for build in made]
    # The lock that is there names what it was made for: nothing of it is older.
    tags.engine.remove(references[0][0])
    tags.engine.remove(references[0][1])
    tags.make(references[0][1])
    records = Records(project.root)
    before = records.all()
    prune = ("builds", "prune", "--keep", "0d")
    assert project.run(*prune).code == 64
    said = answered(project, *prune, answer="n")
    assert said[0] == 0
    assert "Would remove 4 images (up to " in said[1]
    assert said[1].endswith("Nothing was removed.\n")
    assert records.all() == before
    assert project.ok("builds", "prune", "--yes").out.endswith("Kept: 12 recent.\n")
    planned = project.ok(*prune, "--dry-run", "-o", "json").data
    assert records.all() == before
    found = project.ok(*prune, "--yes", "-o", "json").data
    assert {**planned, "dry_run": False} == found
    results_of = {image["reference"]: image["result"] for image in found["images"]}
    assert results_of == {
        references[0][0]: "absent", references[0][1]: "foreign",
        **dict.fromkeys((*references[1], *references[2]), "removed"),
    }  # fmt: skip
    assert found["size"] == sum(image["size"] for image in found["images"]) > 0
    for reference in (*references[1], *references[2]):
        assert tags.engine.inspect(reference) is None
    for reference in (references[0][1], *references[3]):
        assert tags.engine.inspect(reference) is not None
    assert sorted(found["builds"]) == sorted(build["id"] for build in made[:3])
    (left,) = project.ok("builds", "list", "-o", "json").data["builds"]
    assert left["id"] == made[3]["id"]
    assert len(records.all()) == 2
    # What stayed is what is applied.
    assert results(project.ok("apply", "p", "--stack", "local", "-o", "json")) == ["reused", "reused"]
    assert project.ok(*prune, "--yes").out.startswith("Removed 0 images, 0 records and 0 builds.")


def test_what_a_branch_names_is_not_pruned(project: Project, parent: str, tags: Tags) -> None:
    git(project.root, "init", "-q")
    write(project, parent)
    first = project.ok("build", "p", "--stack", "local", "-o", "json").data
    git(project.root, "add", ".")
    git(project.root, "commit", "-qm", "first")
    git(project.root, "checkout", "-qb", "other")
    made = [first]
    for value in ("2", "3"):
        write(project, parent, value=value)
        made.append(project.ok("build", "p", "--stack", "local", "-o", "json").data)
    found = project.ok("builds", "prune", "--keep", "0d", "--yes", "-o", "json").data
    assert found["locks"] == ["stowplan.lock", "refs/heads/main"]
    assert [len(found[kind]) for kind in ("images", "records", "builds")] == [2, 2, 2], found
    for build in (first, made[2]):
        for image in build["images"]:
            assert tags.engine.inspect(image["reference"]) is not None
    git(project.root, "commit", "-qam", "last")
    git(project.root, "branch", "-D", "main")
    found = project.ok("builds", "prune", "--keep", "0d", "--yes", "-o", "json").data
    assert sorted(image["reference"] for image in found["images"]) == sorted(
        image["reference"] for image in first["images"]
    )


def test_an_image_that_cannot_be_removed_keeps_its_records(project: Project, parent: str, tags: Tags) -> None:
    for value in ("1", "2"):
        write(project, parent, value=value)
        for image in project.ok("build", "p", "--stack", "local", "-o", "json").data["images"]:
            tags.made(image["reference"])
    empty = project.root.parent / "empty"
    empty.mkdir()
    env = {
        "PATH": str(empty), "DOCKER_HOST": f"unix://{empty}/no.sock", "DOCKER_CONTEXT": "",
    }  # fmt: skip
    ran = project.run("builds", "prune", "--keep", "0d", "--yes", env=env)
    assert ran.code == 75
    assert ran.out.count("could not be removed") == 2
    assert [record.id for record in Records(project.root).all()] == [4, 3, 2, 1]
