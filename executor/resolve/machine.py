"""What this machine says of uv and pip for itself, as far as a resolution uses it.

Owns the rule: how something is reached is the machine's to say (a mirror in place of PyPI, certificates,
proxies, a cache, logins), and which packages there are to choose from is the project's. So uv is given a
configuration with the former alone, and what is left out of the latter is named. Refuses logins in URLs.
"""

from __future__ import annotations

import configparser
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from executor.errors import ExecutorError
from executor.home import in_home
from executor.reading import NotRead, read_whole
from planner.errors import Problem
from planner.immutable import frozen
from planner.logins import holds_login
from planner.settings.package_indexes import PackageIndex

__all__ = ["FOREIGN", "Machine", "machine"]

# Of a `uv.toml`, how something is reached (docs.astral.sh/uv/reference/settings).
_REACHING: Final = frozenset(
    {"allow-insecure-host", "cache-dir", "concurrent-builds", "concurrent-downloads", "http-proxy"}
    | {"https-proxy", "index-url", "keyring-provider", "link-mode", "native-tls", "no-cache", "no-proxy"}
    | {"offline", "python-downloads", "python-install-mirror", "python-preference", "system-certs"}
    | {"trusted-host"}
)
# Of a `uv.toml`, and of a `pip.conf`, what names indexes beside the default one.
_NAMING: Final = ("extra-index-url", "find-links", "no-index")
_NAMING_OF_PIP: Final = ("index-url", *_NAMING)
_DEFAULT_VARIABLES: Final = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
_NAMING_VARIABLES: Final = ("UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX", "UV_NO_INDEX")
# What of this machine's variables uv is not given: they would choose other packages.
FOREIGN: Final = (
    *_NAMING_VARIABLES,
    *(
        f"UV_{name}"
        for name in (
            *("BUILD_CONSTRAINT", "CONFIG_FILE", "CONSTRAINT", "CUSTOM_COMPILE_COMMAND", "EXCLUDE"),
            *("EXCLUDE_NEWER", "FORK_STRATEGY", "INDEX_STRATEGY", "NO_BINARY", "NO_BINARY_PACKAGE"),
            *("NO_BUILD", "NO_BUILD_PACKAGE", "NO_CONFIG", "NO_SOURCES", "NO_SOURCES_PACKAGE", "OVERRIDE"),
            *("PRERELEASE", "RESOLUTION", "TORCH_BACKEND"),
        )
    ),
)
_LOGIN_FIX: Final = (
    "leave them out of the URL: uv finds them in ~/.netrc, or give the index a name, as in "
    "UV_DEFAULT_INDEX=mirror=https://…, and set UV_INDEX_MIRROR_USERNAME and UV_INDEX_MIRROR_PASSWORD"
)


@frozen
class Machine:
    """What uv is given: the text of a `uv.toml`. `left_out` names what was not taken into it."""

    config: str
    left_out: tuple[str, ...]


def machine(indexes: Iterable[PackageIndex], environ: Mapping[str, str] = os.environ) -> Machine:
    """The configuration of this machine, with the indexes of a project, so that uv knows their names.

    ExecutorError for what cannot be read, and for a login in the URL of an index that would be used.
    """
    import tomlkit  # noqa: PLC0415  # only what is resolved anew needs it

    problems: list[Problem] = []
    found: dict[str, Any] = {}
    left_out: list[str] = []
    for name in _DEFAULT_VARIABLES:
        problems += _logins(name, environ.get(name, ""))
    left_out += [name for name in _NAMING_VARIABLES if environ.get(name)]
    for path in () if environ.get("UV_NO_CONFIG") else _uv_files(environ):
        data = _read(path)
        for place, table in ((str(path), data), (f"{path}: pip", data.get("pip", {}))):
            if not isinstance(table, Mapping):
                continue
            named = [name for name in _NAMING if name in table]
            others, default = _indexes(table)
            left_out += [f"{place}: {name}" for name in (*named, *(["index"] if others else ()))]
            for url in (*default, table.get("index-url")):
                problems += _logins(place, url["url"] if isinstance(url, Mapping) else str(url or ""))
            taken = {name: value for name, value in table.items() if name in _REACHING}
            if default:
                taken["index"] = default
            if table is data:
                # What this user says goes before what the system does.
                found = {**taken, **found}
            elif taken:
                found["pip"] = {**taken, **found.get("pip", {})}
    if problems:
        raise ExecutorError(problems)
    left_out += [name for name in map(_variable_of_pip, _NAMING_OF_PIP) if environ.get(name)]
    for path in _pip_files(environ):
        left_out += [f"{path}: {name}" for name in _named_by_pip(path)]
    mine = [{"name": each.name, "url": each.url, "explicit": True} for each in indexes]
    found["index"] = [*mine, *found.get("index", ())]
    return Machine(tomlkit.dumps(found), tuple(dict.fromkeys(left_out)))


def _logins(place: str, text: str) -> Iterator[Problem]:
    if holds_login(text):
        yield Problem.at(place, "holds credentials", _LOGIN_FIX)


def _indexes(table: Mapping[str, Any]) -> tuple[list[Any], list[Mapping[str, Any]]]:
    """The indexes of a configuration beside the default one, and that one."""
    every = table.get("index")
    tables = [each for each in every if isinstance(each, Mapping)] if isinstance(every, list) else []
    default = [each for each in tables if each.get("default") is True and isinstance(each.get("url"), str)]
    return [each for each in tables if each not in default], default


def _uv_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """The configuration files of uv that count, the one that goes before the other first."""
    if named := environ.get("UV_CONFIG_FILE"):
        yield Path(named)
        return
    if own := _in_config(environ, "uv/uv.toml"):
        yield own
    system = [each / "uv/uv.toml" for each in _of_system(environ)]
    yield from [path for path in (*system, Path("/etc/uv/uv.toml")) if path.is_file()][:1]


def _of_system(environ: Mapping[str, str]) -> Iterator[Path]:
    yield from map(Path, (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"))


def _in_config(environ: Mapping[str, str], name: str) -> Path | None:
    own = environ.get("XDG_CONFIG_HOME")
    return Path(own) / name if own else in_home(environ, f".config/{name}")


def _read(path: Path) -> Mapping[str, Any]:
    """What is in a TOML file; nothing if there is none. ExecutorError for one that cannot be read."""
    try:
        return tomllib.loads((read_whole(path) or b"").decode())
    except NotRead as error:
        raise ExecutorError.of(str(path), error.found, error.fix) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        # The error of the library quotes what it read.
        pass
    raise ExecutorError.of(str(path), "is not TOML", "correct it: uv does not read it either")


def _variable_of_pip(option: str) -> str:
    return f"PIP_{option.upper().replace('-', '_')}"


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """The configuration files of pip (pip.pypa.io/en/stable/topics/configuration)."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    yield from (each / "pip/pip.conf" for each in _of_system(environ))
    yield Path("/etc/pip.conf")
    if legacy := in_home(environ, ".pip/pip.conf"):
        yield legacy
    if own := _in_config(environ, "pip/pip.conf"):
        yield own
    if active := environ.get("VIRTUAL_ENV"):
        yield Path(active) / "pip.conf"
    if named:
        yield Path(named)


def _named_by_pip(path: Path) -> tuple[str, ...]:
    """What a configuration file of pip says of indexes; nothing if it cannot be read: pip is not asked."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string((read_whole(path) or b"").decode(errors="replace"))
    except (NotRead, configparser.Error):
        return ()
    given = {name.replace("_", "-") for section in parser.sections() for name in parser.options(section)}
    return tuple(name for name in _NAMING_OF_PIP if name in given)
