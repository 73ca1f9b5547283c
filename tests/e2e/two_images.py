"""A project of two images, and what commands say of each."""

from __future__ import annotations

from tests.e2e.command import Project, Ran


def write(
    project: Project, parent: str, registry: str = "localhost:1", *, value: str = "1", settings: str = ""
) -> None:
    """Two images of one line each, without files and without commands, here and in a registry."""
    project.write({
        "stowplan.toml": f"""
            [pipeline.p]
            steps = ["a", "b"]
            [pipeline.p.settings.docker]
            parent_image = "{parent}"
            allow_including_files_in_images = false
            environment = {{ A = "{value}" }}
            {settings}
            [pipeline.p.step.b.settings.docker]
            environment = {{ B = "1" }}
            [stack.local]
            [stack.prod]
            container_registry = {{ uri = "{registry}", default_repository = "p" }}
            """,
    })  # fmt: skip


def results(ran: Ran) -> list[str]:
    """What came of the images, in their order."""
    return [image["result"] for image in ran.data["images"]]


def actions(ran: Ran) -> list[str]:
    """What is done, or is to be done, about the images, in their order."""
    return [image["action"] for image in ran.data["images"]]


def hashes(ran: Ran) -> list[str]:
    """The hashes of the images, in their order."""
    return [image["hash"] for image in ran.data["images"]]
