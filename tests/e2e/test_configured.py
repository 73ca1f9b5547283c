"""Run configurations and components of stacks, on real engines."""

from __future__ import annotations

from tests.e2e.command import Project
from tests.e2e.images import Tags
from tests.e2e.two_images import actions, hashes, results, write

# Each step asks for more than the pipeline does.
APART = """
[pipeline.p.step.a]
settings.docker = { environment = { B = "2" } }
step_operator = "gpu"
[stack.deploying]
container_registry = { uri = "@", default_repository = "p" }
deployer = { flavor = "docker" }
step_operator = { name = "gpu" }
"""
CONFIGURATION = """
enable_cache: false
settings:
  docker:
    environment: {A: 5}
steps:
  b:
    settings:
      docker: {environment: {C: true}}
"""


def test_the_image_of_a_deployer_is_made_pushed_and_found_again(
    project: Project, parent: str, tags: Tags, registry: str
) -> None:
    """No step runs in it, and nothing is built on it."""
    del tags
    write(project, parent, registry)
    file = project.root / "stowplan.toml"
    file.write_text(file.read_text() + APART.replace("@", registry))
    env = {"STOWPLAN_STACK": "deploying"}
    planned = project.ok("plan", "p", "-o", "json", env=env)
    assert {image["name"]: [use["key"] for use in image["uses"]] for image in planned.data["images"]} == {
        "p/a": ["step_operator"], "p/b": ["orchestrator"], "p": ["deployer"],
    }  # fmt: skip
    applied = project.ok("apply", "p", "-o", "json", env=env)
    assert results(applied) == ["built"] * 3
    assert all(image["pushed"] for image in applied.data["images"])
    (build,) = project.ok("builds", "list", "-o", "json").data["builds"]
    assert [(image["name"], image["steps"]) for image in build["images"]] == [
        ("p/a", ["a"]), ("p/b", ["b"]), ("p", []),
    ]  # fmt: skip
    # Without what this checkout has noted, the lock and the registry know it.
    records = project.root / ".stowplan/records.sqlite3"
    kept = records.rename(project.root.parent / "kept")
    assert actions(project.ok("plan", "p", "--locked", "-o", "json", env=env)) == ["reuse"] * 3
    assert hashes(project.ok("plan", "p", "--frozen", "-o", "json", env=env)) == hashes(applied)
    kept.replace(records)


def test_what_a_run_configuration_says_is_what_a_project_file_could_say(
    project: Project, parent: str, tags: Tags
) -> None:
    del tags
    write(project, parent)
    project.write({"run.yaml": CONFIGURATION})
    made = project.ok("apply", "p", "--stack", "local", "--config", "run.yaml", "-o", "json")
    assert results(made) == ["built", "built"]
    file = project.root / "stowplan.toml"
    file.write_text(
        file.read_text().replace('A = "1"', "A = 5").replace('B = "1"', 'B = "1", C = true'), encoding="utf-8"
    )
    again = project.ok("apply", "p", "--stack", "local", "-o", "json")
    assert results(again) == ["reused", "reused"]
    assert hashes(again) == hashes(made)
