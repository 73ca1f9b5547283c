"""The configuration of an image in its registry: what its variables are, and how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import field

from executor.registry.asking import Missing, Question, Unknown, Untold, ask_all
from executor.registry.manifests import checked, digest_of, fetch_manifest
from planner.immutable import frozen
from planner.values import ImageRef

if TYPE_CHECKING:
    from executor.registry.client import Client

__all__ = ["Answer", "Config", "config"]


@frozen
class Config:
    """The configuration of an image, as JSON data (OCI image spec, "Image Configuration")."""

    data: Mapping[str, Any] = field(hash=False)


Answer: TypeAlias = Config | Missing | Unknown


def config(
    ref: ImageRef, *, platform: str, timeout: float, environ: Mapping[str, str] | None = None
) -> Answer:
    """The configuration of an image, of an index that of the image for a platform.

    Asked within `timeout` seconds in all. `environ` (by default this process's) says where the user's
    logins are. Raises nothing but ValueError for a `platform` that is none.
    """
    question = Question(ref, platform)
    return ask_all([question], _look, timeout=timeout, environ=environ)[question]


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
