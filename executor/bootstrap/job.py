"""The job of a container: which step to run, where its code comes from, what goes in and what comes out.

It is JSON on the standard input: a job may hold a login, and arguments and variables can be read by anybody
who may list processes or inspect containers.
"""

from __future__ import annotations

import json
import re
from typing import Any, BinaryIO, NamedTuple

from .errors import Refused

__all__ = ["Archive", "Input", "Job", "Repository", "read"]

VERSION = 1
# Literal inputs are part of it.
MOST_BYTES = 64 << 20

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_GIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FUNCTION = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)")
_TYPES = ("github", "gitlab", "git")


class Archive(NamedTuple):
    """Code as an archive: a file of the exchange directory, or behind a URL.

    The digest is that of the tar file, which is the same however it was compressed.
    """

    sha256: str
    file: str | None
    url: str | None


class Repository(NamedTuple):
    """Code as a commit of a repository, whose tree (of the subdirectory) is known."""

    type: str
    url: str
    commit: str
    tree: str
    subdirectory: str
    login: str


class Input(NamedTuple):
    """What a function takes for one parameter: a value, or what an earlier step wrote to a file."""

    value: Any
    file: str | None
    serializer: str
    sha256: str
    run: str | None


class Job(NamedTuple):
    """What a container does. One of `function` and `command` is there."""

    run: str
    step: str
    directory: str
    code: Archive | Repository | None
    function: str | None
    command: list[str] | None
    inputs: dict[str, Input]
    outputs: list[str]


def read(file: BinaryIO) -> Job:
    """The job that is the first line of a file, which need not end. Refused names what is wrong with it."""
    # A connection with TLS cannot end in one direction: who waits for its end, waits for ever.
    data = file.readline(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _wrong(f"it is larger than {MOST_BYTES >> 20} MiB")
    try:
        given = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _wrong("it is not JSON") from None
    job = _Table(given, "")
    if job.get("version", int) != VERSION:
        raise _wrong(f"its version is not {VERSION}")
    entrypoint = job.table("entrypoint")
    function = entrypoint.optional("function", str)
    command = entrypoint.optional("command", list)
    if (function is None) is (command is None):
        raise _wrong("entrypoint has to have one of function and command")
    if function is not None and not _FUNCTION.fullmatch(function):
        raise _wrong("entrypoint.function is not module:name")
    if command is not None and not (command and all(isinstance(word, str) for word in command)):
        raise _wrong("entrypoint.command is not a list of words")
    inputs = job.table("inputs")
    outputs = job.get("outputs", list)
    for name in outputs:
        _checked(name, _NAME, "outputs")
    if command is not None and (inputs.names() or outputs):
        raise _wrong("a command has neither inputs nor outputs")
    return Job(
        run=_checked(job.get("run", str), _NAME, "run"),
        step=job.get("step", str),
        directory=job.get("directory", str),
        code=_code(job.table("code")) if job.optional("code", dict) is not None else None,
        function=function,
        command=command,
        inputs={name: _input(inputs.table(name)) for name in inputs.names()},
        outputs=outputs,
    )


def _code(table: _Table) -> Archive | Repository:
    kind = table.get("kind", str)
    if kind == "archive":
        file, url = table.optional("file", str), table.optional("url", str)
        if (file is None) is (url is None):
            raise _wrong("code has to have one of file and url")
        return Archive(_checked(table.get("sha256", str), _DIGEST, "code.sha256"), _inside(file), url)
    if kind == "repository":
        name = table.get("type", str)
        if name not in _TYPES:
            raise _wrong("code.type is not one of {}".format(", ".join(_TYPES)))
        return Repository(
            type=name,
            url=table.get("url", str),
            commit=_checked(table.get("commit", str), _GIT_ID, "code.commit"),
            tree=_checked(table.get("tree", str), _GIT_ID, "code.tree"),
            subdirectory=table.get("subdirectory", str),
            login=table.get("login", str),
        )
    raise _wrong("code.kind is neither archive nor repository")


def _input(table: _Table) -> Input:
    if "value" in table.names():
        return Input(table.given["value"], None, "", "", None)
    return Input(
        value=None,
        file=_inside(table.get("file", str)),
        serializer=table.get("serializer", str),
        sha256=_checked(table.get("sha256", str), _DIGEST, "sha256"),
        run=table.optional("run", str),
    )


def _inside(path: str | None) -> str | None:
    """A path below the exchange directory."""
    if path is None or all(_NAME.fullmatch(part) for part in path.split("/")):
        return path
    raise _wrong("a file is not a path below the exchange directory")


def _checked(text: Any, pattern: re.Pattern[str], name: str) -> str:
    if isinstance(text, str) and pattern.fullmatch(text):
        return text
    raise _wrong(f"{name} is not of its form")


class _Table:
    """An object of the job, whose values are asked for with their types."""

    def __init__(self, given: Any, path: str) -> None:
        if not isinstance(given, dict):
            raise _wrong("{} is not an object".format(path or "it"))
        self.given = given
        self._path = path

    def names(self) -> list[str]:
        return list(self.given)

    def get(self, name: str, kind: type) -> Any:
        if name not in self.given:
            raise _wrong(f"{self._path}{name} is missing")
        if type(self.given[name]) is not kind:
            raise _wrong(f"{self._path}{name} is not of the type {kind.__name__}")
        return self.given[name]

    def optional(self, name: str, kind: type) -> Any:
        return None if self.given.get(name) is None else self.get(name, kind)

    def table(self, name: str) -> _Table:
        return _Table(self.given.get(name), f"{self._path}{name}.")


def _wrong(found: str) -> Refused:
    return Refused(
        "job-invalid",
        f"the job on the standard input cannot be read: {found}",
        "run the step with the stowplan that made the image",
    )
