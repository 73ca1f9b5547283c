"""A build: the images of one pipeline on one stack, as they were when all of them were there.

A build is what it holds: the same images are the same build, with the same id, in every clone. Where an
image is counts, because the build says what to run.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import field

from planner.identity import content_hash
from planner.image.instructions import CopyFiles
from planner.image.plan import ImagePlan, PlanSpec
from planner.immutable import frozen
from planner.values import Digest, FrozenMapping, ImageRef

__all__ = ["ALPHABET", "BUILD_ID", "Build", "BuiltImage", "build_id", "included_code"]

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, in lower case: no letter of it looks like another, or like a digit."""
# The first letter is no hexadecimal digit, so that no id is taken for the start of a hash, or for a number.
_FIRST: Final = "ghjkmnpqrstvwxyz"
_LENGTH: Final = 10
BUILD_ID: Final = re.compile(f"[{_FIRST}][{ALPHABET}]{{{_LENGTH - 1}}}")
"""What an id looks like."""


@frozen
class BuiltImage:
    """One image of a build.

    `hash` is the image hash and `spec` the spec hash. `builds` says whether it was built: else it is a parent
    that is used as it is. `digest` is the registry's, None for an image that is in an engine alone. `code` is
    the digest of the project's files in it, None without any; `bootstrap` says whether the file is in it that
    runs steps. `result` is what came of it when the build was
    made, in `seconds`.
    """

    name: str
    steps: tuple[str, ...]
    hash: Digest
    spec: Digest
    reference: str
    builds: bool = True
    digest: Digest | None = None
    platform: str | None = None
    code: Digest | None = None
    bootstrap: bool = False
    result: str = ""
    seconds: float = 0.0

    @property
    def is_local(self) -> bool:
        """Whether an engine alone has it."""
        return self.builds and self.digest is None

    @property
    def pinned(self) -> str:
        """The reference by which it is found whoever moves the tag: by digest where a registry has it."""
        if self.digest is None or not self.builds:
            return self.reference
        return str(ImageRef.parse(self.reference).pinned(self.digest))


@frozen
class Build:
    """What was there of one pipeline on one stack.

    `created` is when it was made and `used` when it was last taken, in UTC as ISO 8601. `seconds` is the
    wall time of making it. `plan` is the plan hash, `commit` that of the checkout where it is known.
    `engine` is empty where none was needed. `specs` is what is written down of the images, None where that
    was not read: a list of builds does without.
    """

    id: str
    created: str
    used: str
    seconds: float
    pipeline: str
    stack: str
    plan: Digest
    engine: str
    images: tuple[BuiltImage, ...]
    commit: str | None = None
    specs: PlanSpec | None = field(default=None, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.id != build_id(self.pipeline, self.stack, self.plan, self.engine, self.images):
            raise ValueError(f"the id {self.id!r} is not that of these images")

    @property
    def contains_code(self) -> bool:
        """Whether an image of it has files of the project."""
        return any(image.code is not None for image in self.images)

    @property
    def is_local(self) -> bool:
        """Whether an image of it is in an engine alone."""
        return any(image.is_local for image in self.images)

    def image_of(self, step: str) -> BuiltImage | None:
        """The image that a step runs in."""
        return next((image for image in self.images if step in image.steps), None)


def build_id(pipeline: str, stack: str, plan: Digest, engine: str, images: tuple[BuiltImage, ...]) -> str:
    """The id of a build: ten characters that are a hash of its plan, and of where each of its images is.

    The engine counts where an image is in no registry.
    """
    places = FrozenMapping({image.name: (image.reference, image.digest) for image in images})
    where = engine if any(image.is_local for image in images) else ""
    number = int(content_hash("build", (pipeline, stack, plan, where, places)).hex, 16)
    number, first = divmod(number, len(_FIRST))
    rest = ""
    for _ in range(_LENGTH - 1):
        number, index = divmod(number, len(ALPHABET))
        rest += ALPHABET[index]
    return _FIRST[first] + rest


def included_code(image: ImagePlan) -> Digest | None:
    """The digest of the files of the project that an image includes; None if it includes none."""
    trees = {
        item.tree: image.checkout.trees[item.tree].digest
        for item in image.spec.instructions
        if isinstance(item, CopyFiles) and item.tree in image.checkout.trees
    }
    if not trees:
        return None
    return next(iter(trees.values())) if len(trees) == 1 else content_hash("code", FrozenMapping(trees))
