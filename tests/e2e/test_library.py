"""stowplan as a library, on a real engine that is named: images, runs and failures are values.

The examples of README.md and docs/how-to.md do the same with Docker.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

import stowplan
from tests.e2e.command import Project


@pytest.mark.parametrize("tags", ["podman"], indirect=True)
def test_a_program_plans_applies_and_runs_on_the_engine_that_it_names(
    project: Project, engine: str, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = f"""{{
        parent_image = "python:3.11-slim", environment = {{ WHO = "{uuid.uuid4().hex}" }},
        allow_including_files_in_images = false
    }}""".replace("\n", " ")
    project.write({
        "stowplan.toml": f"""
            [pipeline.broken]
            steps = ["write", "install"]
            step.write.command = "echo $WHO"
            step.install.command = "true"
            step.install.settings.docker.local_project_install_command = "exit 4"
            step.install.settings.docker.allow_including_files_in_images = true
            settings.docker = {settings}

            [pipeline.report]
            steps = ["write", "fail"]
            step.write.command = "echo $WHO"
            step.fail.command = "exit 3"
            settings.docker = {settings}
        """,
    })  # fmt: skip
    loaded = stowplan.load(str(project.root))
    plan = loaded.plan("broken", engine=engine)
    assert [(image.action, image.code) for image in plan.images] == [("build", "never-built")] * 2
    events: list[str] = []
    # A program need not be in its main thread.
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(lambda: plan.apply(on_event=lambda event: events.append(event.kind))).result()
    assert [str(outcome.result) for outcome in applied.outcomes] == ["built", "failed"]
    assert {"building", "line", "ended"} <= set(events)
    assert (applied.succeeded, applied.build) == (False, None)
    with pytest.raises(stowplan.ExecutorError) as raised:
        applied.check()
    assert (raised.value.failure, len(raised.value.problems)) == ("build-failed", 1)

    pipeline, stack = loaded.pipeline("report"), loaded.stack()
    facts = stowplan.observe(pipeline, stack, root=project.root, engine=engine)
    made = stowplan.make_plan(pipeline, stack, facts)
    outcomes = stowplan.apply(made, facts, root=str(project.root), engine=engine)
    assert [str(outcome.result) for outcome in outcomes] == ["reused"]
    ran = loaded.run("report", engine=engine)
    assert ran.applied is not None
    assert ran.applied.build == loaded.builds[0]
    statuses = [(item.step, str(item.status)) for item in ran.outcomes]
    assert statuses == [("write", "succeeded"), ("fail", "failed")]
    with pytest.raises(stowplan.ExecutorError) as raised:
        ran.check()
    assert raised.value.failure == "step-failed"
    assert capfd.readouterr() == ("", "")
