"""Variables of a Dockerfile: what ARG and ENV set, and who sees it.

ARGs before the first FROM are seen in FROM, and in a stage that declares them again. A stage has what its
base has, and an image as a base may set anything: what the Dockerfile does not set itself is unknown there.
So is what builders do not agree on: which of them wins where ENV sets what ARG sets after it (BuildKit takes
the ARG, the classic builder and Podman the ENV), and what ARG sets in a stage that another is built on (of
which BuildKit alone knows there).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from planner.dockerfiles.model import Statement
from planner.dockerfiles.words import Lookup, Unknown, expand

__all__ = ["PREDEFINED", "Globals", "Scope", "platform_arguments"]

_PLATFORM: Final = ("PLATFORM", "OS", "ARCH", "VARIANT")
PREDEFINED: Final = frozenset(
    f"{side}{part}" for side in ("TARGET", "BUILD") for part in _PLATFORM
) | {"TARGETSTAGE"}  # fmt: skip
"""What BuildKit sets by itself."""


def platform_arguments(platform: str, build_platform: str, target: str | None) -> Mapping[str, str | Unknown]:
    """What BuildKit sets by itself: for the platform of the image, and that of the machine that builds it."""
    stage = Unknown("the variable TARGETSTAGE without a target", "set `target`")
    values: dict[str, str | Unknown] = {"TARGETSTAGE": target or stage}
    for side, each in (("TARGET", platform), ("BUILD", build_platform)):
        parts = [each, *each.split("/"), "", ""]
        values |= {f"{side}{part}": value for part, value in zip(_PLATFORM, parts, strict=False)}
    return values


class Globals:
    """What ARGs before the first FROM come to."""

    def __init__(
        self,
        arguments: Iterable[Statement],
        given: Mapping[str, str],
        predefined: Mapping[str, str | Unknown],
        escape: str,
    ) -> None:
        self.given = given
        self.escape = escape
        self._values: dict[str, str | Unknown] = {
            **predefined,
            **{k: given[k] for k in predefined if k in given},
        }
        self.declared: dict[str, list[Statement]] = {}
        self._needed: dict[str, set[str]] = {}
        for statement in arguments:
            for name, default in declarations(statement):
                self.declared.setdefault(name, []).append(statement)
                if name in given:
                    self._values[name] = given[name]
                elif default is not None:
                    asked: set[str] = set()
                    self._values[name] = expand(default, self._recording(asked), escape)
                    self._needed.setdefault(name, set()).update(asked)
        self.used: set[str] = set()
        """The names that were looked up, with those that their values were made of."""

    def lookup(self, name: str) -> str | Unknown | None:
        """The value of a variable in FROM, or where a stage declares it again."""
        waiting = [name]
        while waiting:
            each = waiting.pop()
            if each not in self.used:
                self.used.add(each)
                waiting += self._needed.get(each, ())
        return self._values.get(name)

    def _recording(self, asked: set[str]) -> Lookup:
        def look(name: str) -> str | Unknown | None:
            asked.add(name)
            return self._values.get(name)

        return look


class Scope:
    """The variables of a stage, one statement after the other."""

    def __init__(self, shared: Globals, base: Scope | None, image: str | None) -> None:
        self._shared = shared
        self._image: str | None = image
        self._values: dict[str, str | Unknown] = {}
        self._environment: set[str] = set()
        self.declared: set[str] = set()
        if base is not None:
            self._image, self._values, self._environment = base.state()

    def state(self) -> tuple[str | None, dict[str, str | Unknown], set[str]]:
        """What a stage that is built on this one begins with."""
        values = {
            name: value if name in self._environment else _of_base(name)
            for name, value in self._values.items()
        }
        return self._image, values, set(self._environment)

    def lookup(self, name: str) -> str | Unknown | None:
        """The value of a variable at this point."""
        if name in self._values or self._image is None:
            return self._values.get(name)
        return Unknown(
            f"the variable {name}, which only the image {self._image} could set",
            f"write its value, or set it before with ARG {name}=… or ENV {name}=…",
        )

    def expand(self, word: str) -> str | Unknown:
        """What a word comes to at this point."""
        return expand(word, self.lookup, self._shared.escape)

    def carry_out(self, statement: Statement) -> None:
        """Set what ARG and ENV set."""
        if statement.keyword == "ENV":
            words = [self.expand(word) for word in statement.words]
            for name, value in zip(words[::2], words[1::2], strict=True):
                if isinstance(name, str):
                    self._values[name] = value
                    self._environment.add(name)
        elif statement.keyword == "ARG":
            for name, default in declarations(statement):
                self._declare(name, default)

    def _declare(self, name: str, default: str | None) -> None:
        self.declared.add(name)
        value: str | Unknown | None
        if name in self._shared.given:
            value = self._shared.given[name]
        elif default is not None:
            value = self.expand(default)
        else:
            value = self._shared.lookup(name)
        if value is not None and name in self._environment and value != self._values[name]:
            value = Unknown(f"the variable {name}, which both ENV and ARG set", "give them different names")
        if value is not None:
            self._values[name] = value


def _of_base(name: str) -> Unknown:
    return Unknown(
        f"the variable {name}, which ARG sets in the stage that this one is built on",
        f"declare it again: ARG {name}=…; not every builder hands it down",
    )


def declarations(statement: Statement) -> Iterable[tuple[str, str | None]]:
    """The names that an ARG declares, each with its default."""
    for word in statement.words:
        name, equals, default = word.partition("=")
        yield name, default if equals else None
