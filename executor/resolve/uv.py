"""uv asked what requirements come to. Each resolution is one question, answered in a directory of its own.

uv writes a `pylock.toml` with the files, and then, at the same versions, a list with comments that say who
wants each package: the first has no such thing. Of what this machine says of uv, it is told how indexes are
reached, and nothing that would choose other packages.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from executor import limits
from executor.logins import login_variables
from executor.process import Command, run
from executor.reading import NotRead
from executor.resolve.closure import closure, locations, wants
from executor.resolve.machine import FOREIGN, Machine, machine
from executor.resolve.overrides import contested, override
from executor.resolve.program import uv_program
from executor.resolve.switch import Switch, switch
from executor.state import scratch_directory
from planner.facts.needs import Resolve
from planner.immutable import frozen
from planner.logins import without_logins
from planner.mask import Mask
from planner.requirements.indexes import for_installer, of_options
from planner.requirements.model import Requirement
from planner.requirements.options import beside, canonical_options, installer_arguments, uv_arguments
from planner.requirements.packages import Package
from planner.requirements.resolution import Inputs, Resolution
from planner.requirements.urls import is_version_control, origin_of
from planner.settings.package_indexes import PackageIndex
from planner.values import EnvTemplate

__all__ = ["addresses", "commands", "files", "resolve"]

_PREFERRED: Final = "pylock.preferred.toml"
_LISTED: Final = "listed.txt"
_CONSTRAINTS: Final = "constraints.txt"
_OVERRIDES: Final = "overrides.txt"
_CONFIG: Final = "uv.toml"
# Variables of pip → those of uv that say the same.
_PIP_VARIABLES: Final = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_NO_INDEX": "UV_NO_INDEX",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
}
# What says that there are indexes beside the default one.
_INDEX_WORDS: Final = ("--index=", "--extra-index-url=")
_UNREACHABLE: Final = re.compile(
    r"Failed to fetch|network was disabled|Request failed|dns error|operation timed out"
    # What git says.
    r"|Could not resolve host|Failed to connect to|Connection timed out"
)
_UNTRUSTED: Final = re.compile(r"invalid peer certificate: \w*(?:Issuer|CaUsedAsEndEntity)")
# What uv says first where requirements come to nothing. What follows says why.
_NO_SOLUTION: Final = "No solution found when resolving dependencies"
# What uv says last where an index wants a login, or another one.
_REFUSED: Final = re.compile(r"An index URL \((\S+)\) could not be queried due to .* \((\d+ [A-Za-z ]+)\)")
# What uv says at the end where its command line is wrong.
_USAGE: Final = "For more information, try '--help'."


@frozen
class Given:
    """What this machine has for a resolution: variables, those with logins of indexes, a configuration."""

    environ: Mapping[str, str]
    logins: Mapping[str, str]
    machine: Machine


def resolve(
    need: Resolve, environ: Mapping[str, str], *, asks: bool = True, root: Path | None = None
) -> Resolution:
    """What uv says. With `asks=False` nobody is asked, so nothing is known.

    What requirements cannot come to, and what cannot be told now, is a reason. ExecutorError if uv cannot be
    run, or does not end, and for a login in this machine's own configuration of indexes. `environ` has the
    values of variables that the image's own refer to, and, with the files of the project at `root`, those of
    the secrets of indexes.
    """
    if not asks:
        return Resolution(reason="the lock has no versions for them", transient=True)
    given = _given(need, environ, root)
    if isinstance(given, Resolution):
        return given
    found = _overriding(need, given)
    return evolve(found, left_out=given.machine.left_out)


def _overriding(need: Resolve, given: Given) -> Resolution:
    """The answer, with as few packages overridden as it takes."""
    found = _attempt(need, given)
    overridden: frozenset[str] = frozenset()
    while found.impossible and (more := contested(need.inputs, found.reason) - overridden):
        overridden |= more
        found = _attempt(need, given, overridden)
    if found.reason or not overridden:
        return found
    # An override takes away all that others say of a package: none is left that is not necessary.
    for name in sorted(overridden) if len(overridden) > 1 else ():
        fewer = _attempt(need, given, overridden - {name})
        if not fewer.reason:
            found, overridden = fewer, overridden - {name}
    return evolve(found, overridden=tuple(sorted(overridden)))


def addresses(
    need: Resolve, environ: Mapping[str, str], root: Path | None = None
) -> Mapping[str, str] | Resolution:
    """Where the files are that requirements come to: URLs by hashes. Or why nobody can tell."""
    given = _given(need, environ, root)
    if isinstance(given, Resolution):
        return given
    with _asking(need, given) as asking:
        if failure := asking.ask(asking.lock):
            return failure
        return locations(asking.written())


def _named(inputs: Inputs) -> tuple[PackageIndex, ...]:
    return of_options(option for _, each in inputs.sources for option in each.options)


def _given(need: Resolve, environ: Mapping[str, str], root: Path | None) -> Given | Resolution:
    """All that is needed to ask uv; or why it cannot be asked."""
    if unset := _unset(need.inputs, environ):
        return unset
    try:
        logins = login_variables(_named(need.inputs), need.secrets, environ, root or Path())
    except NotRead as error:
        return Resolution(reason=f"{error.found}: {error.fix}")
    return Given(environ, logins, machine(each for each in _named(need.inputs) if each.packages))


def _unset(inputs: Inputs, environ: Mapping[str, str]) -> Resolution | None:
    """Why nothing can be resolved, if a variable of this machine that says where packages are is not set."""
    missing = sorted(_referred(inputs) - environ.keys())
    return Resolution(reason=f"the environment variable {missing[0]} is not set") if missing else None


def _referred(inputs: Inputs) -> set[str]:
    return {name for text in inputs.variables.values() for name in EnvTemplate(text).variables}


@frozen
class _Asking:
    """A directory for uv with all that it is given, and the two questions that can be asked there."""

    directory: Path
    lock: Command
    listing: Command
    secrets: tuple[str, ...]
    indexes: Mapping[str, PackageIndex]
    """The indexes of the project, by the addresses that uv was given for them."""
    switch: Switch | None

    def ask(self, command: Command) -> Resolution | None:
        """Why uv has no answer; None if it has written one."""
        done = run(command, timeout=limits.RESOLVE_SECONDS)
        if not done.code:
            return None
        failure = _failure(done.stderr, self.secrets)
        if refused := _REFUSED.search(done.stderr):
            index = self.indexes.get(refused[1])
            name = index.name if index else without_logins(refused[1])
            fix = "name a secret with its login in package_indexes"
            if index and index.secret:
                fix = f"look at the secret {index.secret}"
            return Resolution(reason=f"{failure.reason}; the index {name} says {refused[2]}: {fix}")
        return failure

    def written(self) -> Mapping[str, Any]:
        """What uv has written of the files: the data of a `pylock.toml`."""
        return tomllib.loads((self.directory / _PREFERRED).read_text())


@contextmanager
def _asking(need: Resolve, given: Given, overridden: Collection[str] = ()) -> Iterator[_Asking]:
    env = {**given.logins, **dict(_variables(need.inputs, given.environ))}
    secrets = (*env.values(), *(given.environ[name] for name in sorted(_referred(need.inputs))))
    indexes = _named(need.inputs)
    uv = uv_program(given.environ)
    # Nothing of it has to be on the file system of the project, which may be read-only.
    with scratch_directory(None) as directory, switch(indexes) as running:
        for file, text in files(need, overridden).items():
            (directory / file).write_text(text)
        (directory / _CONFIG).write_text(given.machine.config)
        lock, listing = commands(need, uv, str(directory), overrides=bool(overridden))
        if running:
            lock, listing = (_through(running, command, env) for command in (lock, listing))
        else:
            lock, listing = evolve(lock, env=env), evolve(listing, env=env)
        names = {each.url: each for each in indexes}
        if running:
            names |= {running.address(each): each for each in running.limited}
        yield _Asking(directory, lock, listing, secrets, names, running)


def _through(running: Switch, command: Command, env: Mapping[str, str]) -> Command:
    """A question of uv that goes through the switch first, and to it through no proxy."""
    direct = {
        name: ",".join(filter(None, (os.environ.get(name), "127.0.0.1"))) for name in ("NO_PROXY", "no_proxy")
    }
    if "UV_INDEX" in env and not any(word.startswith(_INDEX_WORDS) for word in command.argv):
        # uv does not look at its variable beside an argument.
        asked = " ".join((*running.addresses, env["UV_INDEX"]))
        return evolve(command, env={**direct, **env, "UV_INDEX": asked})
    at = command.argv.index("compile") + 1
    words = (*command.argv[:at], *(f"--index={each}" for each in running.addresses), *command.argv[at:])
    return evolve(command, argv=words, env={**direct, **env})


def _attempt(need: Resolve, given: Given, overridden: Collection[str] = ()) -> Resolution:
    with _asking(need, given, overridden) as asking:
        if failure := asking.ask(asking.lock):
            return failure
        data = asking.written()
        # Now every version is settled: the same versions are listed.
        pins = [
            f"{each['name']}=={each['version']}" for each in data.get("packages", ()) if "version" in each
        ]
        listed, text = asking.directory / _LISTED, ""
        # What that takes uv has just kept, unless it keeps nothing: then the index is asked once more.
        for more in ({"UV_OFFLINE": "1"}, {}):
            listed.write_text("".join(f"{pin}\n" for pin in pins))
            failure = asking.ask(evolve(asking.listing, env={**asking.listing.env, **more}))
            text = listed.read_text()
            if failure is None and set(pins) <= set(text.splitlines()):
                break
        if failure:
            return failure
    try:
        return closure(data, wants(text), need.inputs, need.preferred, asking.switch)
    except ValueError as error:
        return Resolution(reason=str(error), impossible=True)


def files(need: Resolve, overridden: Collection[str] = ()) -> Mapping[str, str]:
    """The files that uv is given, by name: one for each source, by its number.

    Of packages that are `overridden` the sources that prevail say alone what is installed.
    """
    inputs = need.inputs
    texts = {
        f"{number}.txt": [_line(each, need.preferred) for each in requirements.packages]
        for number, (_, requirements) in enumerate(inputs.sources)
    }
    texts[_CONSTRAINTS] = [
        each.text for _, requirements in inputs.sources for each in requirements.constraints
    ]
    if overridden:
        texts[_OVERRIDES] = [override(inputs, name) for name in sorted(overridden)]
    preferred = ['lock-version = "1.0"', 'created-by = "stowplan"', "packages = ["]
    preferred += [
        f'{{ name = "{package.name}", version = "{package.version}" }},'
        for package in need.preferred
        if package.version
    ]
    texts[_PREFERRED] = [*preferred, "]"]
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in texts.items()}


def _line(requirement: Requirement, preferred: Iterable[Package]) -> str:
    """A requirement for uv. One of a branch is that of the commit that the lock has of it."""
    url = requirement.url
    if url is None or not is_version_control(url):
        return requirement.text
    for package in preferred:
        # Without a name, the repository tells which one is meant.
        if requirement.name in {"", package.name} and origin_of(package.url or "") == origin_of(url):
            return evolve(requirement, url=package.url).text
    return requirement.text


def commands(need: Resolve, uv: str, directory: str, *, overrides: bool = False) -> tuple[Command, Command]:
    """The two questions to a uv: what the files are, and who wants them."""
    inputs = need.inputs
    foreign = (name for name in FOREIGN if name in os.environ and name not in inputs.variables)
    unset = [word for name in foreign for word in ("-u", name)]
    given = canonical_options([option for _, each in inputs.sources for option in each.options])
    options = beside(for_installer(given, "uv"), inputs.arguments)
    common = [
        *(("env", *unset) if unset else ()),
        uv,
        *("pip", "compile", "--no-progress", "--color=never", f"--directory={directory}"),
        f"--config-file={_CONFIG}",
        *(f"{number}.txt" for number in range(len(inputs.sources))),
        f"--constraints={_CONSTRAINTS}",
        *((f"--overrides={_OVERRIDES}",) if overrides else ()),
        f"--python={sys.executable}",
        f"--python-version={inputs.python}",
        f"--python-platform={inputs.platform}",
        *((f"--exclude-newer={inputs.exclude_newer}",) if inputs.exclude_newer else ()),
        *(each for each in installer_arguments(options, "uv") if each != "--require-hashes"),
        *uv_arguments(inputs.arguments),
        "--no-header",
    ]
    lock = [
        "--format=pylock.toml",
        *(f"--upgrade-package={text}" for text in need.upgrades),
        f"--output-file={_PREFERRED}",
    ]
    listing = ["--annotation-style=split", "--emit-index-annotation", f"--output-file={_LISTED}"]
    return Command((*common, *lock)), Command((*common, *listing))


def _variables(inputs: Inputs, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The image's variables that say where packages are, with their values."""
    for name, text in inputs.variables.items():
        value = EnvTemplate(text).filled(environ)
        if name.startswith("UV_"):
            yield name, value
        elif name in _PIP_VARIABLES:
            yield _PIP_VARIABLES[name], value


def _failure(stderr: str, secrets: Iterable[str]) -> Resolution:
    """Why there is no resolution, in uv's words: an error, and its causes."""
    # A cause goes on in lines that are indented. What comes before the error, and hints, are no causes.
    words: list[str] = []
    for line in stderr.splitlines():
        if match := re.match(r"(?:error|\s+cause): (.*)", line):
            words.append(match[1])
        elif words and re.match(r"\s+\S", line):
            words[-1] += f" {line.strip()}"
        elif words:
            break
    said = ": ".join(word.rstrip(":.") for word in dict.fromkeys(words) if word != _NO_SOLUTION)
    reason = Mask(secrets)(said or " ".join(stderr.split()) or "uv says nothing")
    if _USAGE in stderr:
        return Resolution(reason=reason, refused=True)
    if _UNTRUSTED.search(stderr):
        return Resolution(reason=f"{reason}: name a bundle with its authority in SSL_CERT_FILE")
    transient = _UNREACHABLE.search(stderr) is not None
    return Resolution(reason=reason, transient=transient, impossible=not transient)
