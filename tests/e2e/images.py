"""Images of one small file, for tests that need some image and not a Python in it."""

from __future__ import annotations

import contextlib
import io
import tarfile
import tempfile
import uuid
from pathlib import Path

from attrs import define, field

from executor.engines.protocol import Engine
from executor.errors import ExecutorError
from executor.process import Command, run
from planner import Digest, ImageRef


def import_image(engine: Engine, reference: str, text: str | None = None) -> None:
    """Make an image with one file that holds a text, by default one that no other image has."""
    data = (text or uuid.uuid4().hex).encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("text")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        Path(file.name).write_bytes(archive.getvalue())
        done = run(Command((engine.name, "import", file.name, reference)), timeout=120)
    assert done.code == 0, done.stderr


@define
class Tags:
    """Tags in an engine that a test has given, to be removed after it."""

    engine: Engine
    _made: list[str] = field(factory=list)

    def made(self, reference: str) -> str:
        """Remember a tag that something else gives."""
        self._made.append(reference)
        return reference

    def make(self, reference: str) -> None:
        """A small image that no other is like, under a tag; an older one loses the tag."""
        import_image(self.engine, self.made(reference))

    def publish(self, reference: str) -> Digest:
        """The same, pushed: the digest in the registry."""
        self.make(reference)
        digest = self.engine.push(reference, lambda _: None)
        # Podman pulls what is built on it by its digest, though it has it.
        self.made(str(ImageRef.parse(reference).pinned(digest)))
        return digest

    def tag(self, reference: str, new: str) -> None:
        """One more tag for an image."""
        self.engine.tag(reference, self.made(new))

    def remove(self) -> None:
        """Remove all tags; images go with their last ones."""
        for reference in reversed(dict.fromkeys(self._made)):
            # Podman keeps an image that another one is built on.
            with contextlib.suppress(ExecutorError):
                self.engine.remove(reference)
