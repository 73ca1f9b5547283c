"""The digest that an image has in its registry, asked over HTTP.

Owns the answer that an image is there, and how little is fetched to know it. Refuses to take anything
for an image that is not said to be one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from attrs import evolve

from executor.registry.asking import Missing, Question, Unknown, ask_all
from executor.registry.manifests import Kind, address, checked, fetch_manifest, kind_of, said_digest
from planner.immutable import frozen
from planner.values import Digest, ImageRef

if TYPE_CHECKING:
    from executor.registry.client import Client

__all__ = ["Answer", "Found", "Missing", "Question", "Unknown", "head", "heads"]


@frozen
class Found:
    """The registry has the image. `digest` is what the reference points at, of that `kind`.

    `manifest` is the image of an index for the platform that was asked for; None if the index has none,
    if no platform was asked for, and if there is no index.
    """

    digest: Digest
    kind: Kind = "manifest"
    manifest: Digest | None = None


Answer: TypeAlias = Found | Missing | Unknown


def head(
    ref: ImageRef, *, platform: str | None = None, timeout: float, environ: Mapping[str, str] | None = None
) -> Answer:
    """What the registry of an image says of it, within `timeout` seconds in all.

    A reference with a digest is looked up by it. `environ` (by default this process's) says where the
    user's logins are. Raises nothing but ValueError for a `platform` that is none.
    """
    question = Question(ref, platform)
    return heads([question], timeout=timeout, environ=environ)[question]


def heads(
    questions: Iterable[Question], *, timeout: float, environ: Mapping[str, str] | None = None
) -> dict[Question, Answer]:
    """The same for several images, all asked at once."""
    return ask_all(questions, _look, timeout=timeout, environ=environ)


def _look(client: Client, question: Question) -> Found:
    """Ask without fetching first: Docker Hub counts each manifest that is fetched, and no HEAD."""
    ref, platform = question.ref, question.platform
    headers = client.head_manifest(address(ref))
    kind = kind_of(headers.get("Content-Type", ""), ref)
    if kind is not None and (said := said_digest(headers)):
        digest = checked(said, ref.digest, ref)
        if kind == "manifest" or platform is None:
            return Found(digest, kind)
        # By the digest and not by the tag, which may move between the two requests.
        ref = evolve(ref, digest=digest)
    manifest = fetch_manifest(client, ref)
    wanted = manifest.image_for(platform) if platform else None
    return Found(manifest.digest, manifest.kind, wanted)
