"""Images of one small file, for tests that need some image and not a Python in it."""

from __future__ import annotations

import io
import tarfile
import tempfile
import uuid
from pathlib import Path

from executor.engines.protocol import Engine
from executor.process import Command, run


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
