"""What a Dockerfile says, as values: stages of statements, without comments and line ends.

A statement is what the Dockerfile reference calls an instruction: in this project those are what the planner
makes (`planner.image.instructions`). Refuses to know what a statement means: `reach` does.
"""

from __future__ import annotations

from attrs import field

from planner.immutable import frozen

__all__ = ["Dockerfile", "Heredoc", "Stage", "Statement"]


@frozen
class Heredoc:
    """A document inside of a statement: the word that ends it, and the lines before that."""

    name: str
    content: str


@frozen
class Statement:
    """One instruction of a Dockerfile. Two are equal if they say the same, wherever they stand.

    `words` are as the parser of BuildKit cuts them, with quotes and variables: of RUN, CMD and ENTRYPOINT in
    shell form there is one, of ENV and LABEL a name and a value by turns.
    """

    keyword: str
    """In upper case."""
    words: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    """As written, without quotes: `--from=builder`."""
    json: bool = False
    heredocs: tuple[Heredoc, ...] = ()
    trigger: Statement | None = None
    """What ONBUILD leaves to those who build on the image."""
    line: int = field(default=0, eq=False)
    """Where it begins, counted from 1."""
    last_line: int = field(default=0, eq=False)
    column: int = field(default=0, eq=False)
    """Where it begins in its line, continuations joined: not 0 for what follows ONBUILD."""

    def flag(self, name: str) -> str | None:
        """The value of a flag; empty for one without a value, None for one that is not there."""
        return next(iter(self.flag_values(name)), None)

    def flag_values(self, name: str) -> tuple[str, ...]:
        """The values of a flag that may stand several times."""
        cut = (flag.partition("=") for flag in self.flags)
        return tuple(value for given, _, value in cut if given == f"--{name}")

    def switched_on(self, name: str) -> bool:
        """Whether a flag that is on or off is on."""
        value = self.flag(name)
        return value is not None and value.lower() in ("", "true")


@frozen
class Stage:
    """A stage: its FROM, and the statements that follow."""

    index: int
    """Its number, counted from 0, by which COPY may name it."""
    base: str
    """What FROM names, as written."""
    name: str | None = None
    """In lower case."""
    platform: str | None = None
    """What `--platform` of FROM says, as written."""
    start: Statement = field(kw_only=True)
    """FROM itself."""
    statements: tuple[Statement, ...] = field(default=(), kw_only=True)

    @property
    def line(self) -> int:
        """Where its FROM stands."""
        return self.start.line

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"stage {self.name or self.index}"


@frozen
class Dockerfile:
    """A Dockerfile: its stages, and the ARGs before the first of them. It has at least one stage."""

    path: str = field(eq=False)
    """As it stands in errors."""
    text: str = field(eq=False, repr=False)
    """As it was written."""
    stages: tuple[Stage, ...]
    arguments: tuple[Statement, ...] = ()
    syntax: str | None = None
    """The image of the frontend that the first lines ask for (`# syntax=`)."""
    syntax_line: int | None = field(default=None, eq=False)
    escape: str = field(default="\\", eq=False)
    """The character that continues lines and escapes others."""
