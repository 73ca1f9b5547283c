"""Secrets: values that a command of a build may read while it runs, by their names.

Owns how one is declared, where its value comes from, and which of them the text of a command names. Refuses
to hold a value: nothing that is planned has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import field

from planner.credentials import has_credential_shape
from planner.errors import Place, Problem, did_you_mean
from planner.identity import COUNTED, NOT_COUNTED
from planner.immutable import frozen
from planner.settings.build_options import ENV_NAME
from planner.settings.checked import Checked, declared, each_decoded, of_kind
from planner.settings.checks import Schema, kind_of, mapping_of, matching, optional, saying, text, written
from planner.values import FrozenMapping

__all__ = [
    "CERTIFICATES_ID",
    "SECRET_DIRECTORY",
    "SECRET_NAME",
    "Secret",
    "SecretSource",
    "copied_secret",
    "logins_id",
    "mount_id",
    "secret_names",
    "secrets_check",
    "secrets_of_tables",
    "undeclared_secret",
    "used_secrets",
    "versions_of",
]  # fmt: skip

# Where builders mount a secret unless they are told otherwise (Dockerfile reference, "RUN
# --mount=type=secret"; containers-build(1), "--secret").
SECRET_DIRECTORY: Final = "/run/secrets"  # noqa: S105  # where it is, not what it is
# A name ends in no dot or dash, so that a sentence or an option can follow it in a command.
SECRET_NAME: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?"  # noqa: S105  # a pattern
_NAMED: Final = re.compile(rf"(?<![A-Za-z0-9_.-]){SECRET_DIRECTORY}/({SECRET_NAME})")

_EXAMPLE: Final = '{ env = "PYPI_TOKEN" }, or { file = "~/.netrc" }'
_name: Final = matching(SECRET_NAME, "the name of a secret", "pypi")


@saying(written(ENV_NAME))
def _variable(value: object) -> Iterator[Problem]:
    """The name of an environment variable. What else stands there may be the secret: it is not shown."""
    problems = tuple(text(value))
    yield from problems
    if not problems and not re.fullmatch(ENV_NAME, str(value)):
        yield Problem.at((), "not the name of an environment variable", f"write {_EXAMPLE}")
    elif not problems and has_credential_shape(str(value)):
        yield Problem.at((), "looks like a secret, and not like the name of a variable", f"write {_EXAMPLE}")


@saying({**text.schema, "minLength": 1})
def _path(value: object) -> Iterator[Problem]:
    """The path of a file of this machine: absolute, from `~`, or from the root of the project."""
    problems = tuple(text(value))
    yield from problems
    if not problems and not value:
        yield Problem.at((), "an empty path", 'name a file, like "~/.netrc"')
    elif not problems and has_credential_shape(str(value)):
        yield Problem.at((), "looks like a secret, and not like a path", f"write {_EXAMPLE}")


@saying({"type": "integer", "minimum": 1, "maximum": 10**9 - 1})
def _version(value: object) -> Iterator[Problem]:
    if type(value) is not int:
        yield Problem.at((), f"expected an integer, found {kind_of(value)}", "write version = 2")
    elif not 1 <= value < 10**9:
        yield Problem.at(
            (), f"not between 1 and 999999999: {value}", "count from 1, or write a date: 20260131"
        )


@frozen(kw_only=True)
class Secret(Checked):
    """A secret, as it is declared: an environment variable or a file that has its value, never the value.

    An image that was built with a secret is built again with another `version`, and for nothing else: not
    for another value, and not where the value is found elsewhere.

    >>> Secret(env="PYPI_TOKEN")
    Secret(env='PYPI_TOKEN', file=None, version=1)
    """

    env: str | None = field(default=None, metadata=declared(optional(_variable), NOT_COUNTED))
    file: str | None = field(default=None, metadata=declared(optional(_path), NOT_COUNTED))
    version: int = field(default=1, metadata=declared(_version, COUNTED))

    @classmethod
    def schema(cls) -> Schema:
        """As that of any class, with the value in one place."""
        return {**super().schema(), "oneOf": [{"required": [name]} for name in ("env", "file")]}

    def check_together(self) -> Iterator[Problem]:
        """The value is in one place."""
        if self.env is None and self.file is None:
            yield Problem.at((), "neither env nor file says where the value is", f"write {_EXAMPLE}")
        elif self.env is not None and self.file is not None:
            yield Problem.at((), "env and file both say where the value is", "keep one of the two")


@frozen
class SecretSource:
    """Where the value of a secret is found, and the place of the setting that says so."""

    secret: Secret
    place: Place


def secrets_of_tables(value: Any) -> Any:
    """A converter: tables by name become secrets. What is wrong stays as it is, for the check."""
    return each_decoded(Secret, value)


@saying({"type": "object", "propertyNames": _name.schema, "additionalProperties": {"$ref": Secret}})
def secrets_check(value: object) -> Iterator[Problem]:
    """A check: secrets by their names."""
    if isinstance(value, str | list | tuple):
        # Whoever writes the value here must not find it in the error.
        found = f"expected a table, found {kind_of(value)}"
        yield Problem.at((), found, f"name each secret, and where its value is: pypi = {_EXAMPLE}")
        return
    yield from mapping_of(_name, _secret)(value)


@saying({"$ref": Secret})
def _secret(value: object) -> Iterator[Problem]:
    if isinstance(value, str):
        yield Problem.at((), "a secret is not written here, only where it is found", f"write {_EXAMPLE}")
    else:
        yield from of_kind(Secret)(value)


def copied_secret(path: Sequence[str | int], file: str) -> Problem:
    """The problem of a secret whose file is among those of the project that are copied into the image."""
    fix = "add it to the ignore file, or put it elsewhere"
    return Problem.at(path, f"{file} is copied into the image, where everybody can read it", fix)


def undeclared_secret(name: str, declared: Iterable[str]) -> str:
    """What to do about a secret that something names and nobody declares."""
    return did_you_mean(name, declared, f'declare it: secrets = {{ {name} = {{ env = "VARIABLE" }} }}')


def used_secrets(value: Mapping[str, int] | None) -> FrozenMapping[int] | None:
    """A converter: the versions of secrets by name. None at all is None, so that it counts for nothing."""
    return FrozenMapping(value) if value else None


def secret_names(command: str) -> tuple[str, ...]:
    """The secrets that a shell command names, each once: by the path at which it can read one.

    >>> secret_names("pip install --extra-index-url=$(cat /run/secrets/pypi) .; ls /run/secrets")
    ('pypi',)
    """
    return tuple(dict.fromkeys(_NAMED.findall(command)))


# What a builder calls the certificates of the machine that builds. No secret has such a name.
CERTIFICATES_ID: Final = "certificates+machine"


def mount_id(name: str, version: int) -> str:
    """What a builder calls a secret. A builder's cache knows no values: another version is another secret.

    >>> mount_id("pypi", 1), mount_id("pypi", 2)
    ('pypi', 'pypi@2')
    """
    return name if version == 1 else f"{name}@{version}"


def logins_id(secrets: Mapping[str, int]) -> str:
    """What a builder calls the logins that are made of these secrets, for the installer of packages.

    No secret has such a name.

    >>> logins_id({"pypi": 2, "corp": 1})
    'netrc+corp+pypi@2'
    """
    return "+".join(("netrc", *(mount_id(name, version) for name, version in sorted(secrets.items()))))


def versions_of(secrets: Mapping[str, Secret], names: Iterable[str]) -> FrozenMapping[int]:
    """What an instruction that names these secrets holds of them. KeyError for one that is not declared."""
    return FrozenMapping({name: secrets[name].version for name in names})
