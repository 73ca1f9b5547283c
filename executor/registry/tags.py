"""Giving what a registry has one more tag. All that is written to a registry without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from executor.errors import RegistryRefused, RegistryUnavailable
from executor.registry.asking import Question, Unknown, ask_all
from executor.registry.manifests import fetch_manifest
from planner.values import Digest, ImageRef

if TYPE_CHECKING:
    from executor.registry.client import Client

__all__ = ["retag"]


def retag(ref: ImageRef, tag: str, *, timeout: float, environ: Mapping[str, str] | None = None) -> Digest:
    """Give what `ref` points at one more tag in its registry, without moving a layer; its digest.

    RegistryUnavailable if trying again later may help, else RegistryRefused.
    """

    def put(client: Client, question: Question) -> Digest:
        manifest = fetch_manifest(client, question.ref)
        client.put_manifest(tag, manifest.content, manifest.media_type)
        return manifest.digest

    question = Question(ref)
    done = ask_all([question], put, timeout=timeout, environ=environ, actions=("pull", "push"))[question]
    if isinstance(done, Digest):
        return done
    kind = RegistryUnavailable if isinstance(done, Unknown) and done.transient else RegistryRefused
    raise kind.of(f"{ref.name}:{tag}", f"cannot be tagged: {done.reason}", "run apply again when it can")
