"""Whose image a registry has under a tag or a digest: one that was built from a plan, or somebody else's.

Owns the rule by which an image counts as ours. Its label names an image hash, and setting that label was
the last thing that was done to it: an image that is built on ours inherits the label, and only its
history tells it from ours. Refuses to take a failure for a judgement: what could not be read is Unknown.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from executor.engines.mark import mark as built_from
from executor.engines.protocol import HASH_LABEL
from executor.registry.asking import Missing, Question, Unknown, Untold, ask_all
from executor.registry.local import ask_locally, is_local
from executor.registry.manifests import Manifest, checked, digest_of, fetch_manifest
from planner.immutable import frozen
from planner.values import Digest, ImageRef

if TYPE_CHECKING:
    from executor.registry.asking import Reader

__all__ = ["Foreign", "Mark", "Marked", "Missing", "Question", "Unknown", "mark", "marks"]

# What else has a manifest (a chart, a signature, a build cache) is no image.
_CONFIGS: Final = {
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
}
# How much of the time a registry on this machine has for a plain answer.
_LOCAL_SHARE: Final = 0.2


@frozen
class Marked:
    """An image of ours. `digest` is what the reference points at, `image` the hash of the planned image."""

    digest: Digest
    image: Digest


@frozen
class Foreign:
    """Somebody else's image, or no image at all. `digest` is what the reference points at."""

    digest: Digest
    reason: str


Mark: TypeAlias = Marked | Foreign | Missing | Unknown


def mark(
    ref: ImageRef, *, platform: str | None = None, timeout: float, environ: Mapping[str, str] | None = None
) -> Mark:
    """Whose image a reference points at, within `timeout` seconds in all.

    Of an index, the image for `platform` is judged, or the only one it has. `environ` (by default this
    process's) says where the user's logins are. Raises nothing but ValueError for a `platform` that is
    none.
    """
    question = Question(ref, platform)
    return marks([question], timeout=timeout, environ=environ)[question]


def marks(
    questions: Iterable[Question], *, timeout: float, environ: Mapping[str, str] | None = None
) -> dict[Question, Mark]:
    """The same for several images, all asked at once: answers in the order of the questions."""
    questions = list(dict.fromkeys(questions))
    answers = ask_locally(questions, _judge, seconds=timeout * _LOCAL_SHARE)
    rest = [question for question in questions if question not in answers]
    left = timeout * (1 - _LOCAL_SHARE) if any(is_local(each.ref.registry) for each in rest) else timeout
    found = {**answers, **ask_all(rest, _judge, timeout=left, environ=environ)}
    return {question: found[question] for question in questions}


def _judge(client: Reader, question: Question) -> Marked | Foreign:
    ref = question.ref
    manifest = top = fetch_manifest(client, ref)
    if top.kind == "index":
        digest = _only(top) if question.platform is None else top.image_for(question.platform)
        if digest is None:
            found = f"an image for {question.platform}" if question.platform else "a single image"
            return Foreign(top.digest, f"{ref.familiar} is an index without {found}")
        with _part(ref):
            manifest = fetch_manifest(client, ref.pinned(digest))
    if manifest.config is None or manifest.config.media_type not in _CONFIGS:
        return Foreign(top.digest, f"{ref.familiar} is not a container image")
    with _part(ref):
        content = client.fetch_config(manifest.config.digest)
    checked(digest_of(content), manifest.config.digest, ref)
    try:
        image = _image(json.loads(content))
    # These are the bytes that were pushed: whoever did so did not build them from a plan.
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Foreign(top.digest, f"{ref.familiar} has a config that is not that of an image")
    if isinstance(image, str):
        return Foreign(top.digest, f"{ref.familiar} {image}")
    return Marked(top.digest, image)


def _only(index: Manifest) -> Digest | None:
    return index.images[0].digest if len(index.images) == 1 else None


@contextlib.contextmanager
def _part(ref: ImageRef) -> Iterator[None]:
    """Get a part of what is there: without it, the registry has lost some, but not the image."""
    try:
        yield
    except Exception as error:
        if getattr(getattr(error, "response", None), "status_code", None) != 404:
            raise
        raise Untold(f"{ref.registry} has {ref.familiar}, but not all of it") from None


def _image(config: Any) -> Digest | str:
    """The hash of the planned image that a config is of; what is wrong with it if it is of none.

    TypeError or AttributeError for what is no config.
    """
    label = ((config.get("config") or {}).get("Labels") or {}).get(HASH_LABEL)
    if label is None:
        return f"has no label {HASH_LABEL}"
    try:
        image = Digest.parse(label)
    except ValueError:
        return f"has a label {HASH_LABEL} that is not an image hash"
    *_, last = config.get("history") or [{}]
    if built_from({HASH_LABEL: label}, last.get("created_by") or "") != image:
        return f"has a label {HASH_LABEL}, but setting it was not the last thing its build did"
    return image
