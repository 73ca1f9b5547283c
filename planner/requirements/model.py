"""Requirements, constraints and options as values: equal ones mean the same, however they were spelled.

Owns what a requirement is made of (PEP 508), the one reading of its text and the one writing. Refuses what
cannot be installed in an image (paths of this machine), what must not be in one (credentials), and to
resolve anything: that is the installer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property, total_ordering
from typing import Final, Self

from attrs import evolve, field
from packaging import requirements as pep508
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import InvalidName, InvalidWheelFilename, canonicalize_name, canonicalize_version
from packaging.version import Version

from planner.errors import Place, PlannerError, Problem
from planner.identity import COUNTED, NOT_COUNTED, content_hash
from planner.immutable import frozen
from planner.logins import typed
from planner.requirements.credentials import fault, refuse_unreadable
from planner.requirements.markers import InvalidMarker, Marker, refuse_nested
from planner.requirements.urls import check_url, is_local, is_nameless, name_of, nameless
from planner.values import Digest

__all__ = ["Clause", "Option", "Requirement", "Requirements", "constraint_lines", "to_lines"]

_STRONG: Final = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_NOWHERE: Final = Place()


@frozen(order=True)
class Option:
    """An option of a requirements file under its long name without the dashes; a flag has no value."""

    name: str = field(metadata=COUNTED)
    value: str | None = field(default=None, metadata=COUNTED)

    def __str__(self) -> str:
        return f"--{self.name}" + ("" if self.value is None else f"={self.value}")


@frozen(order=True)
class Clause:
    """One clause of a version specifier: `>=2.0` (PEP 440)."""

    operator: str = field(metadata=COUNTED)
    version: str = field(metadata=COUNTED)

    @classmethod
    def of(cls, specifier: Specifier) -> Self:
        """The clause with its version normalised. Zeros at the end stay: people look for `2.1.0`."""
        operator, version = specifier.operator, specifier.version
        if operator == "===":
            return cls(operator, version.lower())
        release = version.removesuffix(".*")
        plain = canonicalize_version(release, strip_trailing_zero=False)
        return cls(operator, plain + version[len(release) :])

    def __str__(self) -> str:
        return self.operator + self.version


def _clauses(given: Iterable[Clause]) -> tuple[Clause, ...]:
    return tuple(sorted(set(given)))


def _words(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(given)))


@total_ordering
@frozen
class Requirement:
    """One requirement (PEP 508): `requests[socks]<3,>=2; python_version < "3.12"`.

    The name is that of PEP 503, extras those of PEP 685. It has either clauses or a URL, or neither, which
    is any version. Of a URL that does not say what it holds the name is "": only the installer learns it.
    Hashes are `algorithm:hex`.
    """

    name: str = field(metadata=COUNTED)
    extras: tuple[str, ...] = field(default=(), converter=_words, metadata=COUNTED)
    clauses: tuple[Clause, ...] = field(default=(), converter=_clauses, metadata=COUNTED)
    url: str | None = field(default=None, metadata=COUNTED)
    marker: Marker | None = field(default=None, metadata=COUNTED)
    hashes: tuple[str, ...] = field(default=(), converter=_words, metadata=COUNTED)
    where: Place = field(default=_NOWHERE, eq=False, repr=False, metadata=NOT_COUNTED)
    """Where it is asked for, as far as anybody has said so."""

    @classmethod
    def parse(cls, text: str, hashes: Iterable[str] = (), *, where: Place = _NOWHERE) -> Self:
        """Read a requirement as PEP 508 has it, or a URL alone, and the values of its `--hash` options.

        PlannerError holds every problem, at `where`, with credentials masked.
        """
        requirement = None
        problems: list[Problem] = []
        try:
            requirement = cls._read(text.strip(), where)
        except PlannerError as error:
            problems += error.problems
        strong = {digest: digest.lower() for digest in hashes}
        for digest, lower in strong.items():
            if not _STRONG.fullmatch(lower):
                found = f"{typed(f'--hash={digest}')} is not a strong hash"
                fix = "write sha256:, sha384: or sha512: and all its hexadecimal digits"
                problems.append(Problem(where, found, fix))
        if requirement is None or problems:
            raise PlannerError(problems)
        return evolve(requirement, hashes=strong.values(), where=where)

    @classmethod
    def _read(cls, text: str, where: Place) -> Self:
        refuse_unreadable(text, where)
        if is_local(text):
            raise nameless(text, where)
        requirement, expected = None, ""
        try:
            requirement = cls._of(text)
        except (pep508.InvalidRequirement, InvalidName, InvalidMarker) as error:
            expected = str(error).partition("\n")[0]
        except InvalidWheelFilename:
            expected = "Expected the name of a wheel at the end of the URL"
        except (RecursionError, ValueError):
            expected = "Something shorter"  # thousands of parentheses, or of digits in one number
        # Raised here, because an exception behind this one would hold the text as it was written.
        if requirement is None:
            shape = (
                "https://host/name-1.0-py3-none-any.whl" if is_nameless(text) else "name[extra]>=1.0; marker"
            )
            fix = f"{typed(expected[0].lower() + expected[1:])}; write it like `{shape}`"
            raise fault(where, f"{text!r} is not a requirement", fix)
        if requirement.url:
            check_url(requirement.name, requirement.url, where)
        return requirement

    @classmethod
    def _of(cls, text: str) -> Self:
        """The values of `text`. InvalidRequirement, InvalidName or InvalidMarker says what is wrong."""
        if "\\" in text:
            raise pep508.InvalidRequirement("No backslash")
        refuse_nested(text)
        if is_nameless(text):
            return cls._of_url(text)
        parsed = pep508.Requirement(text)
        # Not `str(parsed.marker)`: that depends on the version of `packaging`. A URL ends at a space.
        rest = text.partition("@")[2].lstrip().removeprefix(parsed.url) if parsed.url else text
        return cls(
            canonicalize_name(parsed.name, validate=True),
            [canonicalize_name(extra, validate=True) for extra in parsed.extras],
            map(Clause.of, parsed.specifier),
            parsed.url,
            Marker(rest.partition(";")[2]) if parsed.marker else None,
        )

    @classmethod
    def _of_url(cls, text: str) -> Self:
        """The values of a URL without a name before it. Exceptions as of `_of`, and InvalidWheelFilename."""
        # What both pip and uv take for the beginning of a marker.
        match = re.fullmatch(r"(\S+?)(?:\s+;\s*|;\s+)(.*)|(\S+)", text)
        if match is None:
            raise pep508.InvalidRequirement("Expected semicolon or end after a URL")
        named = name_of(match[1] or match[3])
        return cls(
            canonicalize_name(named.name, validate=True) if named.name else "",
            [canonicalize_name(extra, validate=True) for extra in named.extras],
            (),
            named.url,
            Marker(match[2]) if match[1] else None,
        )

    @property
    def label(self) -> str:
        """What to call it: its name, else its URL."""
        return self.name or self.url or ""

    @property
    def text(self) -> str:
        """The requirement as PEP 508 writes it, or a URL without a name, without hashes."""
        text = self.name + (f"[{','.join(self.extras)}]" if self.extras else "")
        if self.url:
            text += f" @ {self.url}" if self.name else self.url
        else:
            text += ",".join(map(str, self.clauses))
        # PEP 508 ends a URL at a space.
        return text + (f"{' ' if self.url else ''}; {self.marker}" if self.marker else "")

    @property
    def line(self) -> str:
        """The requirement as a line of a requirements file, with its hashes."""
        return self.text + "".join(f" --hash={digest}" for digest in self.hashes)

    @property
    def exact(self) -> bool:
        """Whether it names one version, however it is to be compared: `==2.1` or `===odd`, not `==2.*`."""
        return (
            len(self.clauses) == 1
            and self.clauses[0].operator in {"==", "==="}
            and "*" not in self.clauses[0].version
        )

    @property
    def pin(self) -> Version | None:
        """The version of PEP 440 that it names with `==`, markers aside; None if it leaves a choice."""
        if not self.exact or self.clauses[0].operator != "==":
            return None
        return Version(self.clauses[0].version)

    def allows(self, version: Version) -> bool:
        """Whether its clauses match a version, also one before a release. A URL says nothing of versions."""
        return SpecifierSet(",".join(map(str, self.clauses))).contains(version, prereleases=True)

    def without_extras(self) -> Self:
        """The requirement as a constraint: that installs nothing, so extras mean nothing to it."""
        return evolve(self, extras=())

    def __lt__(self, other: Requirement) -> bool:
        if self.name != other.name:
            return self.name < other.name  # the usual case, without writing both
        return (self.text, self.hashes) < (other.text, other.hashes)


@frozen
class Requirements:
    """What one source asks to install. Equal values mean the same, in whatever order they were written."""

    packages: tuple[Requirement, ...] = field(default=(), metadata=COUNTED)
    constraints: tuple[Requirement, ...] = field(default=(), metadata=COUNTED)
    options: tuple[Option, ...] = field(default=(), metadata=COUNTED)

    @classmethod
    def of(
        cls,
        packages: Iterable[Requirement],
        constraints: Iterable[Requirement] = (),
        options: tuple[Option, ...] = (),
    ) -> Self:
        """Requirements in any order, each once or more; the options in the order that counts."""
        return cls(tuple(sorted(set(packages))), tuple(sorted(set(constraints))), options)

    @cached_property
    def digest(self) -> Digest:
        """What tells other requirements from these: lists of hundreds are shared by many steps."""
        return content_hash("requirements", self)

    @cached_property
    def without_hashes(self) -> Requirements:
        """The requirements as people read them."""
        packages, constraints = (
            [evolve(item, hashes=()) for item in each] for each in (self.packages, self.constraints)
        )
        return type(self).of(packages, constraints, self.options)


def to_lines(requirements: Requirements) -> tuple[str, ...]:
    """The packages as lines of a requirements file, with hashes and without options."""
    return tuple(package.line for package in requirements.packages)


def constraint_lines(requirements: Requirements) -> tuple[str, ...]:
    """The constraints as lines of a constraints file."""
    return tuple(constraint.line for constraint in requirements.constraints)
