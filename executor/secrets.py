"""The values of secrets: read where the project says, when something is built with them, and never before.

Refuses to show one: an error names the variable or the file, and what is wrong with it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import evolve

from executor.errors import ExecutorError
from executor.home import in_home
from executor.reading import NotRead, read_whole
from planner.credentials import credential_parts
from planner.errors import Problem
from planner.files.paths import inside
from planner.image.instructions import CONTEXT, FILES
from planner.image.plan import ImagePlan
from planner.settings.secrets import Secret, SecretSource, copied_secret

__all__ = ["hidden_parts", "read_secrets", "secret_value"]

# As much as stores of secrets take, and less than BuildKit does. What is longer takes long to hide.
_LARGEST_BYTES: Final = 64 * 1024


def read_secrets(
    images: Iterable[ImagePlan], root: Path, environ: Mapping[str, str] = os.environ
) -> Mapping[str, bytes]:
    """The values of all secrets that these images name.

    ExecutorError with each that is not there, at the setting that says where it should be.
    """
    values: dict[str, bytes] = {}
    problems: list[Problem] = []
    for image in images:
        for name, source in image.secrets.items():
            try:
                values[name] = secret_value(source.secret, root, environ)
            except NotRead as error:
                problems.append(Problem(source.place, error.found, error.fix, "secret-missing"))
            problems += _copied(source, image, root, environ)
    if problems:
        raise ExecutorError(dict.fromkeys(problems))
    return values


def hidden_parts(values: Iterable[bytes]) -> Iterator[str]:
    """What a mask has to hide of these values."""
    for value in values:
        yield from credential_parts(value.decode(errors="surrogateescape"))


def secret_value(secret: Secret, root: Path, environ: Mapping[str, str]) -> bytes:
    """The value of a secret. NotRead if there is none."""
    if secret.env is not None:
        given = environ.get(secret.env)
        if not given:
            state = "not set" if given is None else "empty"
            raise NotRead(f"environment variable {secret.env} is {state}", f"set it: export {secret.env}=…")
        value, what = os.fsencode(given), f"the value of {secret.env}"
    else:
        path = _path(str(secret.file), root, environ)
        try:
            read = read_whole(path)
        except NotRead as error:
            raise NotRead(f"{secret.file} {error.found}", error.fix) from None
        if not read:
            state = "does not exist" if read is None else "is empty"
            raise NotRead(f"{secret.file} {state}", f"put the secret into {path}")
        value, what = read, str(secret.file)
    if len(value) > _LARGEST_BYTES:
        raise NotRead(f"{what} is longer than {_LARGEST_BYTES >> 10} KiB", "make it shorter")
    return value


def _copied(
    source: SecretSource, image: ImagePlan, root: Path, environ: Mapping[str, str]
) -> Iterator[Problem]:
    """The problem of a file of the project that is not written as one: a plan does not know where that is."""
    if source.secret.file is None:
        return
    checkout = image.checkout
    roots = {FILES: "", CONTEXT: checkout.context_root}
    with contextlib.suppress(NotRead):
        path = os.path.realpath(_path(source.secret.file, root, environ))
        from_root = os.path.relpath(path, os.path.realpath(root))
        for name, tree in checkout.trees.items():
            if (found := inside(from_root, roots.get(name, ""))) and tree.holds(found):
                yield evolve(copied_secret((), source.secret.file), where=source.place)


def _path(file: str, root: Path, environ: Mapping[str, str]) -> Path:
    """The file of a secret: from the home of this user, from the root of the project, or absolute."""
    if file == "~" or file.startswith("~/"):
        home = in_home(environ, file[2:])
        if home is None:
            raise NotRead(f"{file}: this user has no home", "set HOME, or write the whole path")
        return home
    return root / file
