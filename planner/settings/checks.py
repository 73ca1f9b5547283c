"""The small checks that settings are declared with: what a value may be, and what to write instead.

Each says the same as a JSON Schema, as far as one can say it. Refuses to coerce: `"false"` is not False.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, TypeAlias

from planner.errors import Problem, did_you_mean
from planner.immutable import frozen
from planner.logins import holds_login, quoted
from planner.values import ImageRef

__all__ = [
    "ANYTHING", "APT_PACKAGE", "Check", "Schema", "apt_package", "boolean", "image_ref", "kind_of", "list_of",
    "mapping_of", "matching", "member_of", "one_of", "optional", "project_path", "saying", "text",
    "unencodable", "without_login", "written",
]  # fmt: skip

Schema: TypeAlias = Mapping[str, Any]
"""A JSON Schema (2020-12). A class as the value of `$ref` stands for the schema of the class."""
_Problems: TypeAlias = Callable[[Any], Iterator[Problem]]


@frozen
class Check:
    """What a value may be: called with one, it yields what is wrong with it.

    `schema` says the same of a value as it is written, for programs that know nothing of stowplan. It may
    take what the check refuses, and never refuses what the check takes.
    """

    problems: _Problems
    schema: Schema

    def __call__(self, value: Any) -> Iterator[Problem]:
        """The problems of a value."""
        return self.problems(value)


def saying(schema: Schema) -> Callable[[_Problems], Check]:
    """A check of a function that yields problems, with its schema."""
    return lambda problems: Check(problems, schema)


def written(pattern: str) -> Schema:
    """The schema of a string that matches a whole pattern, whose groups lose their names."""
    return {"type": "string", "pattern": f"^(?:{re.sub(r'[(][?]P<[^>]*>', '(', pattern)})$"}


ANYTHING: Final = Check(lambda _: iter(()), {})
"""The check of what may be anything."""
_LINE: Final[Schema] = {"type": "string", "pattern": r"^[^\r\n\u0000]*$"}


def kind_of(value: object) -> str:
    """What a value is, in words, without showing it: it may be a secret."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a number"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "a table"
        case _:
            return type(value).__name__


def _problem(found: str, fix: str) -> Problem:
    return Problem.at((), found, fix)


@saying({"type": "boolean"})
def boolean(value: object) -> Iterator[Problem]:
    """True or False."""
    if not isinstance(value, bool):
        yield _problem(
            f"expected true or false, found {kind_of(value)}", "write true or false, without quotes"
        )


@saying(_LINE)
def text(value: object) -> Iterator[Problem]:
    """A string on one line: no line end and no NUL, which a Dockerfile could not hold; and no login."""
    if not isinstance(value, str):
        yield _problem(f"expected a string, found {kind_of(value)}", "put it in quotes")
    elif re.search(r"[\r\n\0]", value):
        yield _problem("holds a line end or NUL", "write it on one line")
    elif unencodable(value):
        yield _problem("is not valid Unicode text", "write it as UTF-8")
    elif holds_login(value):
        yield _credentials(value, "leave them out: whoever has the lock could read them")


def without_login(check: Check, fix: str) -> Check:
    """What `check` takes; `fix` says what to write in place of a login."""

    @saying(check.schema)
    def check_login(value: object) -> Iterator[Problem]:
        if isinstance(value, str) and holds_login(value):
            yield _credentials(value, fix)
        else:
            yield from check(value)

    return check_login


def _credentials(value: str, fix: str) -> Problem:
    return _problem(f"holds credentials: {quoted(value)}", fix)


def unencodable(value: str) -> bool:
    """Whether a text holds half of a surrogate pair, which no UTF-8 can."""
    return re.search("[\ud800-\udfff]", value) is not None


def matching(pattern: str, what: str, example: str, schema: Schema | None = None, *, fix: str = "") -> Check:
    """A string that matches the whole pattern; `schema` where that is none of ECMA-262.

    `fix` says what may be written, by default the example.
    """

    @saying({**(schema or written(pattern)), "examples": [example]})
    def check(value: object) -> Iterator[Problem]:
        problems = tuple(text(value))
        if problems:
            yield from problems
        elif not re.fullmatch(pattern, str(value)):
            yield _problem(f"not {what}: {quoted(str(value))}", fix or f"write it like {example!r}")

    return check


# Debian Policy 5.6.1 names, with apt-get's `:architecture`, `=version` and `/release`. A name may not
# end in `-`, which apt-get reads as "remove".
APT_PACKAGE: Final = (
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](?::[a-z0-9-]*[a-z0-9])?"
    r"(?:=[A-Za-z0-9.+:~-]+|/[A-Za-z0-9][A-Za-z0-9.-]*)?"
)
apt_package: Final[Check] = matching(
    APT_PACKAGE,
    "an apt package",
    "libgomp1",
    fix="write one name, like 'libgomp1'; a list takes several",
)


def one_of(*known: str) -> Check:
    """One of some texts, or members of a StrEnum; `convert=member_of(…)` makes it one of its value."""

    @saying({"enum": [str(name) for name in known]})
    def check(value: object) -> Iterator[Problem]:
        if value not in known:
            found = quoted(value) if isinstance(value, str) else kind_of(value)
            yield _problem(f"not one of {', '.join(known)}: {found}", did_you_mean(str(value), known))

    return check


def member_of(names: type[Enum]) -> Callable[[Any], Any]:
    """A converter from the values of an enum to its members; anything else stays as it is."""
    return lambda value: next((member for member in names if member.value == value), value)


def optional(check: Check) -> Check:
    """Nothing, or what `check` takes."""
    schema: Schema = {"anyOf": [check.schema, {"type": "null"}]}
    if isinstance(check.schema.get("type"), str) and "not" not in check.schema:
        schema = {**check.schema, "type": [check.schema["type"], "null"]}
    return Check(lambda value: iter(()) if value is None else check(value), schema)


def list_of(check: Check) -> Check:
    """A list whose every item `check` takes."""

    @saying({"type": "array", "items": check.schema})
    def check_items(value: object) -> Iterator[Problem]:
        if not isinstance(value, tuple):
            yield _problem(f"expected a list, found {kind_of(value)}", 'write it as a list: ["…"]')
            return
        for index, item in enumerate(value):
            yield from (problem.inside(index) for problem in check(item))

    return check_items


def mapping_of(check_key: Check, check: Check) -> Check:
    """A table whose every name `check_key` takes and whose every value `check` takes."""

    @saying({"type": "object", "propertyNames": check_key.schema, "additionalProperties": check.schema})
    def check_items(value: object) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield _problem(f"expected a table, found {kind_of(value)}", 'write it as { NAME = "value" }')
            return
        for key, item in value.items():
            yield from (problem.inside(str(key)) for problem in (*check_key(key), *check(item)))

    return check_items


@saying({"type": "string", "minLength": 1, "pattern": r"^\S*$", "examples": ["python:3.11-slim"]})
def _image_ref(value: object) -> Iterator[Problem]:
    """The name of an image."""
    if not isinstance(value, str):
        yield from text(value)
        return
    try:
        ImageRef.parse(value)
    except ValueError as error:
        shape = "write it as registry/repository:tag, like 'python:3.11-slim'"
        yield _problem(
            str(error), f"{shape}, without {value.partition('://')[0]}://" if "://" in value else shape
        )


image_ref: Final[Check] = without_login(_image_ref, "leave them to `docker login` or `podman login`")


@saying({**_LINE, "minLength": 1, "not": {"pattern": r"(^|/)\.\.(/|$)"}})
def project_path(value: object) -> Iterator[Problem]:
    """The path of something in the project: it may not climb out of the project's root."""
    yield from text(value)
    if isinstance(value, str):
        if not value:
            yield _problem("an empty path", "name a file of the project")
        elif ".." in value.split("/"):
            yield _problem(
                f"{quoted(value)} leaves the project",
                "move the file into the project and name it from the root",
            )
