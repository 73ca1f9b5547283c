"""Runs the examples of a page of documentation, in order, as a reader would.

Owns the conventions below. Refuses an example that it does not know how to check: every fenced block
of a page is one of these. Comments stand on the line before the block and do not show on GitHub.

`<!-- needs: docker podman registry -->`
    At the top of a page: what it takes to run it. Nothing else stands for them.
`<!-- project: name -->`
    From here on, examples run in the directory of that name, which is empty at first.
`<!-- file: path -->` before a block
    The block is written to that file of the project.
```` ```console ````
    Each `$ command` is run by one shell for the whole page, and what follows is its output: standard
    output and standard error together, without the progress lines that a terminal wipes away. `...` stands
    for a hash, an id, a time or a number and nothing else. A command that fails is followed by `$ echo $?`.
```` ```python ````
    Runs in one namespace for the whole page, in the project.
`<!-- output -->` before a block
    What the Python block before it printed.
`<!-- output: command -->` before a ```` ```json ```` or ```` ```toml ```` block
    What the command prints has the same keys and types at every place.
```` ```sh ````, ```` ```yaml ````
    Commands that are typed elsewhere (installing, CI): each `stowplan` in them has to be one that parses.
```` ```text ````
    Not an example: a picture, a pattern.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from executor.records.store import Records
from planner.build import BUILD_ID
from tests.schemas import wrong_output

__all__ = ["Block", "Page", "Reader", "commands", "masked", "matches", "same_keys", "shape"]

_FENCE: Final = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w-]*)$")
_COMMENT: Final = re.compile(r"^ *<!-- *(?P<kind>needs|project|file|output)(?:: *(?P<value>.*?))? *-->$")
_SECONDS: Final = 600
# What `...` may stand for: digits, hexadecimal ones, the signs of dates and references, ids of builds.
_HIDDEN: Final = rf"(?:[0-9a-fTZ.:+-]+|{BUILD_ID.pattern})"
_MASKS: Final = (
    (r"[0-9a-f]{64}|\b[0-9a-f]{12}\b", "..."),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)", "..."),
    (r"\b\d+\.\d+ s\b", "... s"),
    # An id without a digit would be a word.
    (rf"\b(?=\w*\d){BUILD_ID.pattern}\b", "..."),
)
_READERS: Final[Mapping[str, Callable[[str], Any]]] = {"json": json.loads, "toml": tomllib.loads}
LANGUAGES: Final = frozenset({"console", "json", "python", "sh", "text", "toml", "yaml"})


@frozen
class Block:
    """A fenced block: where it starts, its language, its text, and what the comments before it said."""

    line: int
    language: str
    text: str
    comments: Mapping[str, str] = field(factory=dict, hash=False)


@frozen
class Page:
    """A page of documentation and what it takes to run it."""

    path: Path
    text: str
    needs: tuple[str, ...]
    blocks: tuple[Block, ...]

    @classmethod
    def read(cls, path: Path) -> Page:
        """The page in a Markdown file. ValueError for a block or a comment that has no meaning."""
        text = path.read_text("utf-8")
        comments: dict[str, str] = {}
        needs: tuple[str, ...] = ()
        blocks = []
        lines = iter(enumerate(text.splitlines(), start=1))
        for number, line in lines:
            if comment := _COMMENT.match(line):
                if comment["kind"] == "needs":
                    needs = tuple((comment["value"] or "").split())
                else:
                    comments[comment["kind"]] = comment["value"] or ""
            elif opened := _FENCE.match(line):
                body = []
                for _, inner in lines:
                    if inner.strip() == opened["fence"]:
                        break
                    body.append(inner.removeprefix(opened["indent"]))
                block_text = "".join(f"{each}\n" for each in body)
                blocks.append(Block(number, opened["language"], block_text, comments))
                comments = {}
            elif line.strip() and set(comments) - {"project"}:
                raise ValueError(f"{path.name}:{number}: a comment that no block follows")
        for block in blocks:
            if block.language not in LANGUAGES and "file" not in block.comments:
                raise ValueError(f"{path.name}:{block.line}: no example: {block.language!r}")
        return cls(path, text, needs, tuple(blocks))

    def with_blocks(self, right: Mapping[int, str]) -> str:
        """The page with other text in the blocks that start at some lines."""
        lines = self.text.splitlines(keepends=True)
        for block in reversed(self.blocks):
            if block.line in right:
                lines[block.line : block.line + block.text.count("\n")] = [right[block.line]]
        return "".join(lines)


@frozen
class Typed:
    """A command of a console block, and the output that the page says it has."""

    line: int
    command: str
    output: str


def commands(block: Block) -> Iterator[Typed]:
    """The commands of a console block. A command goes on after a backslash."""
    number, lines = block.line, block.text.splitlines()
    position = 0
    while position < len(lines):
        start = position
        if not lines[position].startswith("$ "):
            raise ValueError(f"line {number + 1 + position}: output before a command")
        command = [lines[position].removeprefix("$ ")]
        while command[-1].endswith("\\"):
            position += 1
            command.append(lines[position].removeprefix("> "))
        position += 1
        output = []
        while position < len(lines) and not lines[position].startswith("$ "):
            output.append(lines[position])
            position += 1
        yield Typed(number + 1 + start, "\n".join(command), "\n".join(output))


def environment(scratch: Path) -> dict[str, str]:
    """The environment of a reader: the command `stowplan` on the PATH, and nothing of this person's own."""
    program = Path(sys.executable).with_name("stowplan")
    if not program.exists():
        program = scratch / "bin/stowplan"
        program.parent.mkdir()
        source = "from executor.cli.main import main; main()"
        root = Path(__file__).parents[2]
        program.write_text(f"#!/bin/sh\nPYTHONPATH='{root}' exec '{sys.executable}' -c '{source}' \"$@\"\n")
        program.chmod(0o755)
    known = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STOWPLAN_", "ZENML_", "GIT_", "COV_")) and name not in {"PS1", "FORCE_COLOR"}
    }
    return known | {
        "PATH": os.pathsep.join([str(program.parent), str(Path(sys.executable).parent), known["PATH"]]),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TERM": "dumb",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "Reader", "GIT_AUTHOR_EMAIL": "reader@example.com",
        "GIT_COMMITTER_NAME": "Reader", "GIT_COMMITTER_EMAIL": "reader@example.com",
    }  # fmt: skip


@define
class Reader:
    """Somebody who follows a page: a shell, a Python, and the projects in a scratch directory."""

    scratch: Path
    replaced: Mapping[str, str] = field(factory=dict)
    """What stands in the page → what stands for it on this machine."""
    env: dict[str, str] = field(init=False)
    project: Path = field(init=False)
    projects: set[Path] = field(factory=set)
    namespace: dict[str, Any] = field(factory=dict)
    printed: str = ""
    _shell: subprocess.Popen[bytes] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.env = environment(self.scratch)
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.env,
            cwd=self.scratch,
        )
        self.enter("project")

    @classmethod
    @contextlib.contextmanager
    def at(cls, scratch: Path, replaced: Mapping[str, str]) -> Iterator[Reader]:
        """A reader for as long as the context lasts."""
        reader = cls(scratch, replaced)
        try:
            yield reader
        finally:
            reader.close()

    def enter(self, name: str) -> None:
        """Go on in the project of a name."""
        self.project = self.scratch / name
        if self.project not in self.projects:
            self.project.mkdir(parents=True)
            self.projects.add(self.project)
        self.type(f"cd '{self.project}'")

    def close(self) -> None:
        """End the shell, and remove what was built here, and nothing else, from the engines."""
        for project in self.projects:
            for engine, reference in _built(project):
                subprocess.run([engine, "rmi", reference], capture_output=True, check=False)
        assert self._shell.stdin
        self._shell.stdin.close()
        self._shell.wait(timeout=10)
        assert self._shell.stdout
        self._shell.stdout.close()

    def follow(self, block: Block) -> str | None:
        """Do what a block says; the block as it should be, if the page and the world differ."""
        if "project" in block.comments:
            self.enter(block.comments["project"])
        if path := block.comments.get("file"):
            target = self.project / path
            target.parent.mkdir(parents=True, exist_ok=True)
            text = self._here(block.text)
            if target.suffix == ".py":
                # A line that no other reader has: nobody else has these images.
                text += f"# {uuid.uuid4().hex}\n"
            target.write_text(text, encoding="utf-8")
            return None
        if "output" in block.comments:
            return self._output(block)
        match block.language:
            case "console":
                return self._console(block)
            case "python":
                self._python(block)
        return None

    def _here(self, text: str) -> str:
        for old, new in self.replaced.items():
            text = text.replace(old, new)
        return text

    def _console(self, block: Block) -> str | None:
        typed = list(commands(block))
        right = []
        for index, each in enumerate(typed):
            command = self._here(each.command)
            code, output = self.type(command)
            if command.startswith(("stowplan apply", "stowplan build ")):
                lines = output.splitlines(keepends=True)
                output = "".join(line for line in lines if not re.match(r"\[[^] ]+\] ", line))
            said = index + 1 < len(typed) and typed[index + 1].command == "echo $?"
            assert code == 0 or said, f"line {each.line}: $ {command}\nfails with {code}:\n{output}"
            right += [f"$ {each.command}"]
            right += [each.output if matches(self._here(each.output), output) else self._masked(output)]
        text = "".join(f"{part}\n" for part in right if part)
        return None if text == block.text else text

    def _masked(self, output: str) -> str:
        """Output as a page has it: with its own names for those of this machine, hashes and times hidden."""
        for old, new in self.replaced.items():
            output = output.replace(new, old)
        return masked(output)

    def _python(self, block: Block) -> None:
        # The line numbers of errors are those of the page.
        source = "\n" * block.line + self._here(block.text)
        before = dict(os.environ)
        with contextlib.chdir(self.project), contextlib.redirect_stdout(io.StringIO()) as out:
            os.environ.clear()
            os.environ.update(self.env)
            try:
                exec(compile(source, "example", "exec"), self.namespace)  # noqa: S102  # that is what it is for
            finally:
                os.environ.clear()
                os.environ.update(before)
        self.printed = out.getvalue()

    def _output(self, block: Block) -> str | None:
        command = block.comments["output"]
        if not command:
            same = matches(self._here(block.text), self.printed)
            return None if same else f"{self._masked(self.printed)}\n"
        _, output = self.type(self._here(command))
        read = _READERS[block.language]
        if block.language == "json":
            assert not (wrong := wrong_output(read(output))), f"line {block.line}: {wrong}"
        if block.text and not any(same_keys(read(block.text), read(output))):
            return None
        return f"{self._masked(output)}\n"

    def type(self, command: str) -> tuple[int, str]:
        """Run a command in the shell: its exit code and its output. The shell remembers both."""
        end = uuid.uuid4().hex
        stdin, stdout = self._shell.stdin, self._shell.stdout
        assert stdin
        assert stdout
        stdin.write(f"{{ {command}\n}} </dev/null\n_code=$?; echo {end} $_code; (exit $_code)\n".encode())
        stdin.flush()
        last, deadline = re.compile(rf"{end} (\d+)\n\Z".encode()), time.monotonic() + _SECONDS
        output = b""
        while not (found := last.search(output)):
            ready, _, _ = select.select([stdout], [], [], deadline - time.monotonic())
            read = os.read(stdout.fileno(), 65536) if ready else b""
            if not read:
                self._shell.kill()
                raise AssertionError(f"$ {command}\ndid not end:\n{output.decode(errors='replace')}")
            output += read
        return int(found[1]), output[: found.start()].decode(errors="replace")


def _built(project: Path) -> Iterator[tuple[str, str]]:
    """The engine and the reference of each image that was built for a project.

    Not of those that were reused: they were there before, and may be somebody else's.
    """
    for record in Records(project).all():
        if record.status == "built" and shutil.which(record.engine):
            yield record.engine, record.reference


def masked(output: str) -> str:
    """Output with its hashes, times and ids hidden."""
    for pattern, shown in _MASKS:
        output = re.sub(pattern, shown, output)
    return "\n".join(line.rstrip() for line in output.strip("\n").splitlines())


def matches(expected: str, found: str) -> bool:
    """Whether output is what a page says it is. `...` stands for a hash, a time or a number."""
    said = [line.rstrip() for line in expected.strip("\n").splitlines()]
    real = [line.rstrip() for line in found.strip("\n").splitlines()]
    pattern = "\n".join(_HIDDEN.join(map(re.escape, line.split("..."))) for line in said)
    return re.fullmatch(pattern, "\n".join(real)) is not None


def shape(value: object, path: str = "") -> dict[str, str]:
    """The places of a JSON value and what is there: `images[].name` → `str`. Nothing (null) fits all."""
    match value:
        case dict():
            places = {path: "object"} if path else {}
            for key, item in value.items():
                places |= shape(item, f"{path}.{key}" if path else key)
            return places
        case list():
            places = {path: "list"}
            for item in value:
                places |= {
                    place: kind
                    for place, kind in shape(item, f"{path}[]").items()
                    if kind != "null" or place not in places
                }
            return places
        case None:
            return {path: "null"}
        case bool():
            return {path: "bool"}
        case int() | float():
            return {path: "number"}
        case _:
            return {path: "str"}


def same_keys(example: object, real: object) -> Iterator[str]:
    """In what the places of two JSON values differ."""
    said, found = shape(example), shape(real)
    for place in said.keys() | found.keys():
        if place not in found:
            yield f"{place} is in the page but not in the output"
        elif place not in said:
            yield f"{place} is in the output but not in the page"
        elif said[place] != found[place] and "null" not in {said[place], found[place]}:
            yield f"{place} is {said[place]} in the page and {found[place]} in the output"
