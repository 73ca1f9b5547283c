"""The configurations of images in their registries: their variables, and how they were made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import field

from executor.registry.asking import Missing, Question, Unknown, Untold, ask_all
from executor.registry.manifests import checked, digest_of, fetch_manifest
from planner.immutable import frozen

if TYPE_CHECKING:
    from executor.registry.client import Client

__all__ = ["Answer", "Config", "configs"]


@frozen
class Config:
    """The configuration of an image, as JSON data (OCI image spec, "Image Configuration")."""

    data: Mapping[str, Any] = field(hash=False)


Answer: TypeAlias = Config | Missing | Unknown


def configs(
    questions: Iterable[Question], *, timeout: float, environ: Mapping[str, str] | None = None
) -> dict[Question, Answer]:
    """The configurations of images, of an index that of the image for the platform; all asked at once.

    Asked within `timeout` seconds in all. `environ` (by default this process's) says where the user's
    logins are. Raises nothing.
    """
    return ask_all(questions, _look, timeout=timeout, environ=environ)


def _look(client: Client, question: Question) -> Config:
    ref, platform = question.ref, question.platform
    manifest = fetch_manifest(client, ref)
    if manifest.kind == "index":
        digest = manifest.image_for(platform or "")
        if digest is None:
            raise Untold(f"{ref.familiar} is an index without an image for {platform}")
        manifest = fetch_manifest(client, ref.pinned(digest))
    if manifest.config is None:
        raise Untold(f"{ref.familiar} is not a container image")
    content = client.fetch_config(manifest.config.digest)
    checked(digest_of(content), manifest.config.digest, ref)
    data = json.loads(content)
    if not isinstance(data, dict):
        raise Untold(f"{ref.familiar} has a config that is not that of an image")
    return Config(data)
