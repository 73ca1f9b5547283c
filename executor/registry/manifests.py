"""What a registry has under a tag or a digest: the manifest of one image, or an index of several.

Owns the four media types, which bytes count as a manifest, and which image of an index is the one for a
platform. Refuses bytes that are not those of the digest they were asked by, and documents that could be
read as either kind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from attrs import field

from executor.engines.platforms import normal, platform
from executor.registry.asking import Untold
from planner.immutable import frozen
from planner.values import Digest, ImageRef

if TYPE_CHECKING:
    from executor.registry.asking import Reader

__all__ = [
    "ACCEPTED",
    "Descriptor",
    "Kind",
    "Manifest",
    "address",
    "checked",
    "digest_of",
    "fetch_manifest",
    "kind_of",
    "said_digest",
]

Kind: TypeAlias = Literal["index", "manifest"]

# OCI image spec, "OCI Image Media Types", and Docker's of the same things ("Compatibility Matrix").
_KINDS: Final[Mapping[str, Kind]] = {
    "application/vnd.oci.image.index.v1+json": "index",
    "application/vnd.docker.distribution.manifest.list.v2+json": "index",
    "application/vnd.oci.image.manifest.v1+json": "manifest",
    "application/vnd.docker.distribution.manifest.v2+json": "manifest",
}
# What tells the two apart. A document must not pass for both (GHSA-77vh-xpmg-72qh, of the OCI image spec).
_SHAPES: Final[Mapping[str, Kind]] = {"manifests": "index", "config": "manifest", "layers": "manifest"}
# Answers of an old registry to a client that it takes for an older one: of a rewritten manifest.
_REWRITTEN: Final = "application/vnd.docker.distribution.manifest.v1+"

ACCEPTED: Final = ", ".join((*_KINDS, _REWRITTEN + "json"))
"""What a registry is asked for: the format of before 2016 too, so that one with nothing else says so."""


@frozen
class Descriptor:
    """What a manifest refers to. `platform` is empty where it does not say."""

    media_type: str
    digest: Digest
    platform: str = ""


@frozen
class Manifest:
    """The bytes under a digest, and what they say.

    An index has `images`, without the attestations that builders put beside them; the manifest of one
    image has a `config`.
    """

    digest: Digest
    media_type: str
    kind: Kind
    content: bytes = field(repr=False)
    images: tuple[Descriptor, ...] = ()
    config: Descriptor | None = None

    def image_for(self, wanted: str) -> Digest | None:
        """The manifest of an index for a platform; None if it has none. The first one counts."""
        name = normal(wanted)
        return next((image.digest for image in self.images if image.platform == name), None)


def kind_of(media_type: str, ref: ImageRef) -> Kind | None:
    """What a Content-Type says it is; None for anything else. Untold for a format that nobody reads."""
    media_type = _bare(media_type)
    if media_type.startswith(_REWRITTEN):
        raise Untold(f"{ref.registry} only has {ref.familiar} in a format of before 2016")
    return _KINDS.get(media_type)


def address(ref: ImageRef) -> str:
    """What a manifest is asked by: a digest if there is one."""
    return str(ref.digest or ref.tag or "latest")


def checked(found: Digest, wanted: Digest | None, ref: ImageRef) -> Digest:
    """A digest, which must be the wanted one if there is one."""
    if wanted is not None and found != wanted:
        raise Untold(f"{ref.registry} sends something else in place of {ref.name}@{wanted}")
    return found


def said_digest(headers: Mapping[str, str]) -> Digest | None:
    """The digest that a registry says a manifest has; None if it says none, or one of another algorithm."""
    said = headers.get("Docker-Content-Digest", "")
    return Digest.parse(said) if said.startswith("sha256:") else None


def digest_of(content: bytes) -> Digest:
    """The digest that bytes have."""
    return Digest(hashlib.sha256(content).hexdigest())


def fetch_manifest(client: Reader, ref: ImageRef) -> Manifest:
    """Get what a reference points at. Untold if something else comes.

    What is no manifest at all raises whatever reading it raises, which `ask_all` puts into words.
    """
    content, headers = client.fetch_manifest(address(ref))
    media_type = headers.get("Content-Type", "")
    kind = kind_of(media_type, ref)
    digest = checked(digest_of(content), ref.digest or said_digest(headers), ref)
    document = json.loads(content)
    if kind is None:  # a server that sends it as any file, but it may say itself what it is
        media_type = document["mediaType"]
        kind = kind_of(media_type, ref)
    if kind is None or {_SHAPES[name] for name in _SHAPES if name in document} != {kind}:
        raise ValueError("not a manifest")
    media_type = _bare(media_type)
    if kind == "index":
        images = tuple(each for each in map(_descriptor, document["manifests"]) if _is_image(each))
        return Manifest(digest, media_type, kind, content, images=images)
    return Manifest(digest, media_type, kind, content, config=_descriptor(document["config"]))


def _descriptor(part: Any) -> Descriptor:
    said = part.get("platform") or {}
    names = (said.get(name) or "" for name in ("os", "architecture", "variant"))
    return Descriptor(_bare(part["mediaType"]), Digest.parse(part["digest"]), platform(*names))


def _is_image(part: Descriptor) -> bool:
    """Whether a part of an index is an image: BuildKit's attestations are for `unknown/unknown`."""
    return _KINDS.get(part.media_type) == "manifest" and part.platform != "unknown/unknown"


def _bare(media_type: str) -> str:
    """A media type without parameters."""
    return media_type.partition(";")[0].strip().lower()
