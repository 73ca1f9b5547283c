"""Build options in the words of each builder: one table for the SDK's keywords and the command lines.

Owns the spelling alone: which builder has which option is said by the planner's table, and what it refuses
is refused here with the same words. Leaves out nothing silently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, assert_never

from attrs import field

from executor.errors import ExecutorError
from planner.immutable import frozen
from planner.settings.build_options import BuildOptions
from planner.settings.builders import refusals
from planner.values import ImageRef

__all__ = ["TABLE", "Spelling", "cli_options", "sdk_options"]

Program = Literal["docker", "podman"]


@frozen
class Spelling:
    """One option: its keyword in `docker.APIClient.build`, and its flags on the two command lines.

    An empty flag says that the program needs none for it. None says that the builder does not have the
    option. A keyword with a dot is a name in the table of that keyword.
    """

    classic: str | None = field(default=None, kw_only=True)
    buildkit: str | None = field(default=None, kw_only=True)
    podman: str | None = field(default=None, kw_only=True)


def _both(flag: str, keyword: str | None = None) -> Spelling:
    return Spelling(classic=keyword, buildkit=flag, podman=flag)


def _podman(flag: str, keyword: str | None = None) -> Spelling:
    return Spelling(classic=keyword, podman=flag)


# First the fields of BuildOptions, in their order; then the rows of the planner's table, in theirs.
TABLE: Final[Mapping[str, Spelling]] = {
    "build_args": _both("--build-arg", "buildargs"),
    "cache_from": _both("--cache-from", "cache_from"),
    "no_cache": _both("--no-cache", "nocache"),
    "shm_size": _both("--shm-size", "shmsize"),
    "pull": Spelling(classic="pull", buildkit="--pull", podman="--pull=always"),
    "rm": Spelling(classic="rm", buildkit="", podman="--rm"),  # BuildKit leaves no containers
    "labels": _both("--label", "labels"),
    "platform": _both("--platform", "platform"),
    "target": _both("--target", "target"),
    "network": _both("--network", "network_mode"),
    "add_host": _both("--add-host", "extra_hosts"),
    "dns": _podman("--dns"),
    "dns_option": _podman("--dns-option"),
    "dns_search": _podman("--dns-search"),
    "cap_add": _podman("--cap-add"),
    "cap_drop": _podman("--cap-drop"),
    "isolation": _podman("--isolation"),
    "security_opt": _podman("--security-opt"),
    "userns": _podman("--userns"),
    "cgroup_parent": _both("--cgroup-parent"),
    "cpu_period": _podman("--cpu-period"),
    "cpu_quota": _podman("--cpu-quota"),
    "cpu_shares": _podman("--cpu-shares", "container_limits.cpushares"),
    "cpuset_cpus": _podman("--cpuset-cpus", "container_limits.cpusetcpus"),
    "cpuset_mems": _podman("--cpuset-mems"),
    "memory": _podman("--memory", "container_limits.memory"),
    "memory_swap": _podman("--memory-swap", "container_limits.memswap"),
    "ulimit": _both("--ulimit"),
    "force_rm": Spelling(classic="forcerm", buildkit="", podman="--force-rm"),
    "http_proxy": _podman("--http-proxy"),
    "use_config_proxy": Spelling(classic="use_config_proxy"),
    "no_cache_filter": Spelling(buildkit="--no-cache-filter"),
    "cache_ttl": _podman("--cache-ttl"),
    "jobs": _podman("--jobs"),
    "retry": _podman("--retry"),
    "retry_delay": _podman("--retry-delay"),
}


def sdk_options(options: BuildOptions) -> dict[str, Any]:
    """The keywords of `docker.APIClient.build`, for the classic builder.

    ExecutorError names every option that this builder does not have.
    """
    from docker.utils import parse_bytes  # noqa: PLC0415  # the SDK takes 90 ms to import

    _refuse(options, "classic")
    keywords: dict[str, Any] = {}
    for name, value in _given(options):
        keyword = TABLE[name].classic
        assert keyword is not None, name  # noqa: S101  # a test holds this table against the planner's
        table, _, key = keyword.rpartition(".")
        place = keywords.setdefault(table, {}) if table else keywords
        place[key] = parse_bytes(value) if name == "shm_size" else _thawed(value)
    return keywords


def cli_options(options: BuildOptions, program: Program) -> tuple[str, ...]:
    """The flags of `docker buildx build` or `podman build`, each one word with its value.

    ExecutorError names every option that the builder does not have.
    """
    _refuse(options, "buildkit" if program == "docker" else "podman")
    given = dict(_given(options))
    words: list[str] = []
    for name in (name for name in TABLE if name in given):
        flag = _flag(TABLE[name], program)
        assert flag is not None, name  # noqa: S101  # a test holds this table against the planner's
        if flag:
            words += _words(flag, _value(name, given[name], program))
    return tuple(words)


def _refuse(options: BuildOptions, builder: str) -> None:
    if problems := refusals(options, builder):
        raise ExecutorError(problems)


def _flag(spelling: Spelling, program: Program) -> str | None:
    match program:
        case "docker":
            return spelling.buildkit
        case "podman":
            return spelling.podman
        case _:
            assert_never(program)


def _value(name: str, value: Any, program: Program) -> Any:
    if name == "cache_from" and program == "podman":
        # Podman takes repositories: it names what it caches there by itself.
        return tuple(dict.fromkeys(ImageRef.parse(image).name for image in value))
    return value


def _given(options: BuildOptions) -> Iterator[tuple[str, Any]]:
    """The options that say something else than an engine's default, by name."""
    for name in options.given:
        value = getattr(options, name)
        if name not in ("other", "tuning") and value != options.default(name):
            yield name, value
    yield from options.by_name.items()


def _words(flag: str, value: Any) -> Iterator[str]:
    match value:
        case True:
            yield flag
        case False:
            yield f"{flag}=false"
        case Mapping():
            yield from (f"{flag}={key}={item}" for key, item in value.items())
        case tuple():
            yield from (f"{flag}={item}" for item in value)
        case _:
            yield f"{flag}={value}"


def _thawed(value: Any) -> Any:
    """What the SDK can turn into JSON."""
    match value:
        case Mapping():
            return dict(value)
        case tuple():
            return list(value)
        case _:
            return value
