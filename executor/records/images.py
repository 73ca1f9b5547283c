"""ImagePlan ↔ text: what a record keeps of an image, so that a later plan can be compared with it.

Owns that text: the specs as the lock writes them, and JSON around them. Trees are named in it by their
digests and kept apart, so that images share them. Variables have fingerprints here, never values. Refuses a
text whose specs are not what their hashes say.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from planner.files.tree import Tree
from planner.image.instructions import MakeDirectory
from planner.image.plan import Checkout, Destination, ImagePlan, NamedSpec, PlanSpec
from planner.lock.lock import Lock
from planner.lock.normal import records_of
from planner.lock.records import KIND_OF, read, write
from planner.lock.text import of_records
from planner.settings.build_options import BuildOptions
from planner.values import Digest

__all__ = [
    "UnreadableImage", "image_data", "image_of_data", "image_of_text", "image_text", "pack", "trees_of",
    "unpack",
]  # fmt: skip

# A lock's specs belong to a stack; those of a record do not need one, and this is only a name.
_STACK: Final = "record"


class UnreadableImage(ValueError):
    """A record holds no image that this version can read: it is damaged, or another version wrote it."""


def image_text(image: ImagePlan) -> str:
    """An image and the images of the plan that it is built on, without the nodes of their trees."""
    line = tuple(_line(image))
    specs = tuple(NamedSpec(each.name, each.steps, each.spec) for each in line)
    lock = Lock((PlanSpec(_pipeline(image.name), _STACK, specs),))
    data = {
        "specs": [[KIND_OF[type(record)], write(record)] for record in records_of(lock)],
        "images": [image_data(each) for each in line],
    }
    return json.dumps(data, default=_plain, separators=(",", ":"))


def image_of_text(text: str, trees: Mapping[Digest, Tree]) -> ImagePlan:
    """The image of a text. UnreadableImage if the text is none, or one of its trees is missing."""
    try:
        data = json.loads(text)
        lock = of_records(read(kind, record, kind) for kind, record in data["specs"])
        (plan,) = lock.plans
        specs = {named.name: named for named in plan.images}
        image: ImagePlan | None = None
        for each in data["images"]:
            image = image_of_data(each, specs[each["name"]], trees, image)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableImage(str(error)) from error
    if image is None:
        raise UnreadableImage("it has no image")
    return image


def trees_of(image: ImagePlan) -> dict[Digest, Tree]:
    """The trees of an image and of the images of the plan that it is built on, by digest."""
    return {tree.digest: tree for each in _line(image) for tree in each.checkout.trees.values()}


def _line(image: ImagePlan) -> Iterator[ImagePlan]:
    """The image after those that it is built on."""
    if image.parent is not None:
        yield from _line(image.parent)
    yield image


def _pipeline(name: str) -> str:
    """The pipeline of an image: its name is that of the pipeline, or starts with it."""
    return name.partition("/")[0]


def image_data(image: ImagePlan) -> dict[str, Any]:
    """What is kept of one image, but for its spec, the nodes of its trees, and what it is built on."""
    checkout = image.checkout
    return {
        "name": image.name,
        "platform": checkout.platform,
        "variables": {name: digest.hex for name, digest in checkout.variables.items()},
        "parent_id": checkout.parent_id.hex if checkout.parent_id else None,
        "image_ids": {name: digest.hex for name, digest in (checkout.image_ids or {}).items()},
        "trees": {name: tree.digest.hex for name, tree in checkout.trees.items()},
        "directory": attrs.asdict(checkout.directory) if checkout.directory else None,
        "bootstrap": checkout.bootstrap.hex if checkout.bootstrap else None,
        "destination": attrs.asdict(image.destination),
        "build_options": {name: getattr(image.build_options, name) for name in image.build_options.given},
    }


def image_of_data(
    data: Mapping[str, Any], named: NamedSpec, trees: Mapping[Digest, Tree], parent: ImagePlan | None
) -> ImagePlan:
    """The image of such data. LookupError, TypeError or ValueError if they are none."""
    checkout = Checkout(
        data["platform"],
        {name: trees[Digest(digest)] for name, digest in data["trees"].items()},
        {name: Digest(digest) for name, digest in data["variables"].items()},
        Digest(data["parent_id"]) if data["parent_id"] else None,
        # Records of earlier versions have none.
        {name: Digest(digest) for name, digest in data.get("image_ids", {}).items()},
        directory=MakeDirectory(**directory) if (directory := data.get("directory")) else None,
        bootstrap=Digest(digest) if (digest := data.get("bootstrap")) else None,
    )
    return ImagePlan(
        named.name,
        named.steps,
        named.spec,
        checkout,
        Destination(**data["destination"]),
        parent,
        BuildOptions(**data["build_options"]),
    )


def _plain(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"not for a record: {type(value).__name__}")


def pack(tree: Tree, level: int = 1) -> bytes:
    """The nodes of a tree: paths and nodes, each with its length in front.

    Digests, which are most of it, cannot be compressed: level 0 takes a third more space, and a tenth of the
    time to unpack.
    """
    parts = []
    for path, node in tree.nodes.items():
        name = path.encode()
        parts.append(b"%d:%d:%s%s" % (len(name), len(node), name, node))
    return zlib.compress(b"".join(parts), level=level)


def unpack(data: bytes) -> Tree:
    """The tree of packed nodes. UnreadableImage if they are not whole."""
    try:
        rest = zlib.decompress(data)
        nodes, position = {}, 0
        while position < len(rest):
            first = rest.index(b":", position)
            second = rest.index(b":", first + 1)
            name_end = second + 1 + int(rest[position:first])
            node_end = name_end + int(rest[first + 1 : second])
            nodes[rest[second + 1 : name_end].decode()] = rest[name_end:node_end]
            position = node_end
        return Tree(nodes)
    except (zlib.error, LookupError, ValueError) as error:
        raise UnreadableImage(str(error)) from error
