"""`builds delete`: which images go with a record, and which stay."""

from __future__ import annotations

from attrs import evolve

from executor.apply.outcome import Result
from executor.records.store import Records
from tests.e2e.command import Project
from tests.e2e.images import Tags


def write(project: Project, parent: str) -> None:
    """A project of one image."""
    project.write({
        "stowplan.toml": f"""
            [pipeline.p]
            steps = ["a"]
            [pipeline.p.settings.docker]
            parent_image = "{parent}"
            allow_including_files_in_images = false
            environment = {{ A = "1" }}
            """,
    })  # fmt: skip


def test_an_image_goes_with_the_last_build_that_had_it(project: Project, parent: str, tags: Tags) -> None:
    write(project, parent)
    (image,) = project.ok("apply", "-o", "json").data["images"]
    reference, name = image["reference"], tags.engine.name
    records = Records(project.root)
    (first,) = records.all()
    plan = records.last("p", "default", "p")
    assert plan is not None
    # The same image again: a build that failed before, one that was there later, and one of the other engine.
    other = {"docker": "podman", "podman": "docker"}[name]
    failed = records.add(evolve(first, status=Result.FAILED, error="no"), plan)
    later = records.add(evolve(first, status=Result.REUSED), plan)
    elsewhere = records.add(evolve(first, engine=other, reference=f"{reference[:-8]}"), plan)
    project.env["STOWPLAN_CONTAINER_ENGINE"] = other

    def delete(*argv: str) -> str:
        return project.ok("builds", "delete", *argv).out

    assert delete(str(failed), "--image") == f"deleted record {failed} of p: it made no image\n"
    assert delete("1", "--image") == f"deleted record 1 of p: {reference} stays, for record {later}\n"
    assert tags.engine.inspect(reference) is not None
    # From the engine that the record names, whatever the environment says.
    assert delete(str(later), "--image") == f"deleted record {later} of p: removed {reference} from {name}\n"
    assert tags.engine.inspect(reference) is None
    gone = delete(str(elsewhere), "--image", "--engine", name)
    assert gone == f"deleted record {elsewhere} of p: {name} does not have {reference[:-8]}\n"
    assert records.all() == ()


def test_without_image_only_records_go(project: Project, parent: str, tags: Tags) -> None:
    write(project, parent)
    (image,) = project.ok("apply", "-o", "json").data["images"]
    # By number and by hash it is one build.
    digits = image["hash"].removeprefix("sha256:")[:12]
    assert project.ok("builds", "delete", "1", digits).out == "deleted record 1 of p\n"
    assert tags.engine.inspect(tags.made(image["reference"])) is not None
    assert project.run("builds", "delete", "1", "--image").code == 64


def test_an_image_that_is_not_that_of_the_build_stays(project: Project, parent: str, tags: Tags) -> None:
    """Somebody has put it under the reference."""
    write(project, parent)
    (image,) = project.ok("apply", "-o", "json").data["images"]
    reference = image["reference"]
    tags.engine.remove(reference)
    tags.make(reference)
    said = project.ok("builds", "delete", "1", "--image").out
    where = f"what {tags.engine.name} has there was not built from this plan"
    assert said == f"deleted record 1 of p: {reference} stays: {where}\n"
    assert tags.engine.inspect(reference) is not None


def test_an_engine_that_is_not_there_keeps_the_build(project: Project, parent: str, tags: Tags) -> None:
    """Nothing is said to be deleted when nothing was."""
    write(project, parent)
    (image,) = project.ok("apply", "-o", "json").data["images"]
    tags.made(image["reference"])
    empty = project.root.parent / "empty"
    empty.mkdir()
    env = {"PATH": str(empty), "DOCKER_HOST": f"unix://{empty}/no.sock", "DOCKER_CONTEXT": ""}
    ran = project.run("builds", "delete", "1", "--image", env=env)
    assert ran.code == 75
    assert "deleted" not in ran.out + ran.err
    assert [
        build["id"] for build in project.ok("builds", "list", "--images", "-o", "json").data["records"]
    ] == [1]
    assert tags.engine.inspect(image["reference"]) is not None
