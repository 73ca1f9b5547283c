"""Build options in the words of each engine: one table for the SDK's keywords and the command lines.

Refuses an option that an engine would silently leave out: it is named, with the engine that knows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, assert_never

from attrs import frozen

from executor.errors import ExecutorError
from planner.errors import Problem
from planner.settings.build_options import BuildOptions
from planner.values import ImageRef

__all__ = ["cli_options", "sdk_options"]

Program = Literal["docker", "podman"]


@frozen
class _Option:
    """One option: its keyword in `docker.APIClient.build`, its flags, and its other spellings.

    An empty flag says that the program needs none for it; without one, it does not know the option.
    """

    name: str
    keyword: str
    docker: str | None = None
    podman: str | None = None
    also: tuple[str, ...] = ()


def _option(name: str, keyword: str, flag: str, *also: str) -> _Option:
    return _Option(name, keyword, flag, flag, also)


# First the fields of BuildOptions, in their order; then what the SDK takes beside them.
_TABLE: Final = (
    _option("build_args", "buildargs", "--build-arg"),
    _option("cache_from", "cache_from", "--cache-from"),
    _option("no_cache", "nocache", "--no-cache"),
    _option("shm_size", "shmsize", "--shm-size"),
    _Option("pull", "pull", docker="--pull", podman="--pull=always"),
    _Option("rm", "rm", docker="", podman="--rm"),  # BuildKit leaves no containers
    _option("labels", "labels", "--label"),
    _option("platform", "platform", "--platform"),
    _option("target", "target", "--target"),
    _option("network", "network_mode", "--network", "network_mode"),
    _option("add_host", "extra_hosts", "--add-host", "extra_hosts"),
    _Option("force_rm", "forcerm", docker="", podman="--force-rm", also=("forcerm",)),
    _option("squash", "squash", "--squash"),
    _option("isolation", "isolation", "--isolation"),
    _Option("container_limits", "container_limits"),
    _Option("use_config_proxy", "use_config_proxy"),
)
_BY_NAME: Final = {name: option for option in _TABLE for name in (option.name, *option.also)}


def sdk_options(options: BuildOptions) -> dict[str, Any]:
    """The keywords of `docker.APIClient.build`, for the classic builder.

    ExecutorError names every option that this builder does not have.
    """
    from docker.utils import parse_bytes  # noqa: PLC0415  # the SDK takes 90 ms to import

    keywords: dict[str, Any] = {}
    problems = []
    for name, value in _given(options):
        option = _BY_NAME.get(name)
        if option is None:
            fix = "leave it out, or build with BuildKit (install docker buildx) or Podman"
            problems.append(_unknown(name, "Docker's classic builder", fix))
        elif name == "shm_size":
            keywords[option.keyword] = parse_bytes(value)
        else:
            keywords[option.keyword] = _thawed(value)
    if problems:
        raise ExecutorError(problems)
    return keywords


def cli_options(options: BuildOptions, program: Program) -> tuple[str, ...]:
    """The flags of `docker buildx build` or `podman build`, each one word with its value.

    ExecutorError names every option that only the SDK has. One that is not known here is passed on.
    """
    words: list[str] = []
    problems = []
    for name, given in _given(options):
        option = _BY_NAME.get(name)
        flag = f"--{name.replace('_', '-')}" if option is None else _flag(option, program)
        if flag is None:
            problems.append(_unknown(name, program, "leave it out, or build with Docker's classic builder"))
        elif flag:
            words += _words(flag, _value(name, given, program), ":" if flag == "--add-host" else "=")
    if problems:
        raise ExecutorError(problems)
    return tuple(words)


def _flag(option: _Option, program: Program) -> str | None:
    match program:
        case "docker":
            return option.docker
        case "podman":
            return option.podman
        case _:
            assert_never(program)


def _value(name: str, value: Any, program: Program) -> Any:
    if name == "cache_from" and program == "podman":
        # Podman takes repositories: it names what it caches there by itself.
        return tuple(dict.fromkeys(ImageRef.parse(image).name for image in value))
    return value


def _given(options: BuildOptions) -> Iterator[tuple[str, Any]]:
    """The options that say something else than an engine's default, by name."""
    default = BuildOptions()
    for name in BuildOptions.settable():
        value = getattr(options, name)
        if name != "other" and value != getattr(default, name):
            yield name, value
    yield from options.other.items()


def _words(flag: str, value: Any, joint: str) -> Iterator[str]:
    match value:
        case None | True:
            yield flag
        case False:
            yield f"{flag}=false"
        case Mapping():
            yield from (f"{flag}={key}{joint}{item}" for key, item in value.items())
        case tuple():
            yield from (f"{flag}={item}" for item in value)
        case _:
            yield f"{flag}={value}"


def _thawed(value: Any) -> Any:
    """What the SDK can turn into JSON; a bare flag is true."""
    match value:
        case None:
            return True
        case Mapping():
            return dict(value)
        case tuple():
            return list(value)
        case _:
            return value


def _unknown(name: str, builder: str, fix: str) -> Problem:
    return Problem.at(("build_options", name), f"{builder} has no such option", fix)
