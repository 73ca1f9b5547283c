from __future__ import annotations

from typing import Any

import pytest

from executor.engines.docker import buildx_command
from executor.engines.options import Program, cli_options, sdk_options
from executor.engines.podman import build_command, push_command
from executor.engines.protocol import BuildJob
from executor.errors import ExecutorError
from planner.settings.build_options import BuildOptions
from planner.values import FrozenMapping, ImageRef
from tests.contract.images import EMPTY_CONTEXT

PROGRAMS: tuple[Program, ...] = ("docker", "podman")


def options(**given: Any) -> BuildOptions:
    return BuildOptions.decode(given)


# Options with the SDK's keywords, docker's words and podman's.
CASES: list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...], tuple[str, ...]]] = [
    ({}, {}, (), ()),
    (
        {"build_args": {"B": "2 x", "A": "=$"}},
        {"buildargs": {"A": "=$", "B": "2 x"}},
        ("--build-arg=A==$", "--build-arg=B=2 x"),
        ("--build-arg=A==$", "--build-arg=B=2 x"),
    ),
    (
        {"cache_from": ["localhost:5000/a:1", "localhost:5000/a:2", "b"]},
        {"cache_from": ["localhost:5000/a:1", "localhost:5000/a:2", "b"]},
        ("--cache-from=localhost:5000/a:1", "--cache-from=localhost:5000/a:2", "--cache-from=b"),
        ("--cache-from=localhost:5000/a", "--cache-from=docker.io/library/b"),
    ),
    ({"no_cache": True}, {"nocache": True}, ("--no-cache",), ("--no-cache",)),
    ({"shm_size": "1g"}, {"shmsize": 1 << 30}, ("--shm-size=1g",), ("--shm-size=1g",)),
    ({"shm_size": 65536}, {"shmsize": 65536}, ("--shm-size=65536",), ("--shm-size=65536",)),
    ({"pull": True}, {"pull": True}, ("--pull",), ("--pull=always",)),
    ({"rm": False}, {"rm": False}, (), ("--rm=false",)),
    ({"labels": {"a.b": "c d"}}, {"labels": {"a.b": "c d"}}, ("--label=a.b=c d",), ("--label=a.b=c d",)),
    (
        {"platform": "linux/arm64"},
        {"platform": "linux/arm64"},
        ("--platform=linux/arm64",),
        ("--platform=linux/arm64",),
    ),
    ({"target": "runtime"}, {"target": "runtime"}, ("--target=runtime",), ("--target=runtime",)),
    ({"network": "host"}, {"network_mode": "host"}, ("--network=host",), ("--network=host",)),
    ({"network_mode": "none"}, {"network_mode": "none"}, ("--network=none",), ("--network=none",)),
    (
        {"extra_hosts": {"ship": "10.0.0.1"}},
        {"extra_hosts": {"ship": "10.0.0.1"}},
        ("--add-host=ship:10.0.0.1",),
        ("--add-host=ship:10.0.0.1",),
    ),
    (
        {"add_host": ["a:1", "b:2"]},
        {"extra_hosts": ["a:1", "b:2"]},
        ("--add-host=a:1", "--add-host=b:2"),
        ("--add-host=a:1", "--add-host=b:2"),
    ),
    ({"squash": True}, {"squash": True}, ("--squash",), ("--squash",)),
    ({"forcerm": False}, {"forcerm": False}, (), ("--force-rm=false",)),
    # The reference's spellings.
    ({"buildargs": {"A": "1"}}, {"buildargs": {"A": "1"}}, ("--build-arg=A=1",), ("--build-arg=A=1",)),
    ({"nocache": True}, {"nocache": True}, ("--no-cache",), ("--no-cache",)),
]


@pytest.mark.parametrize(("given", "keywords", "docker", "podman"), CASES)
def test_one_table(
    given: dict[str, Any], keywords: dict[str, Any], docker: tuple[str, ...], podman: tuple[str, ...]
) -> None:
    assert sdk_options(options(**given)) == keywords
    assert cli_options(options(**given), "docker") == docker
    assert cli_options(options(**given), "podman") == podman


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"some_flag": True}, ("--some-flag",)),
        ({"some_flag": None}, ("--some-flag",)),
        ({"some_flag": False}, ("--some-flag=false",)),
        ({"some_text": "a b"}, ("--some-text=a b",)),
        ({"some_text": "--looks-like=one"}, ("--some-text=--looks-like=one",)),
        ({"some-dashes": 5}, ("--some-dashes=5",)),
        ({"some_list": ["a", "b c"]}, ("--some-list=a", "--some-list=b c")),
        ({"some_table": {"b": "2", "a": "1"}}, ("--some-table=a=1", "--some-table=b=2")),
    ],
)
def test_other_options_by_name(program: Program, given: dict[str, Any], words: tuple[str, ...]) -> None:
    assert cli_options(options(**given), program) == words


def test_the_sdk_refuses_what_it_does_not_have() -> None:
    with pytest.raises(ExecutorError) as caught:
        sdk_options(options(ulimit="nofile=1024", secret="id=token", network="host"))
    assert [problem.where.dotted for problem in caught.value.problems] == [
        "build_options.secret",
        "build_options.ulimit",
    ]
    assert "classic builder has no such option" in caught.value.problems[0].found
    assert "BuildKit" in caught.value.problems[0].fix
    assert "Podman" in caught.value.problems[0].fix


@pytest.mark.parametrize("program", PROGRAMS)
def test_command_lines_refuse_what_only_the_sdk_has(program: Program) -> None:
    with pytest.raises(ExecutorError, match="container_limits"):
        cli_options(options(container_limits={"memory": "1g"}), program)
    assert sdk_options(options(container_limits={"memory": "1g"})) == {"container_limits": {"memory": "1g"}}


def test_every_keyword_is_one_of_the_sdk() -> None:
    import inspect  # noqa: PLC0415

    from docker import APIClient  # noqa: PLC0415

    known = inspect.signature(APIClient.build).parameters
    every = options(
        build_args={"A": "1"}, cache_from=["a"], no_cache=True, shm_size=1, pull=True, rm=False,
        labels={"a": "b"}, platform="linux/amd64", target="x", network="host", extra_hosts=["a:1"],
        forcerm=True, squash=True, isolation="default", use_config_proxy=True,
        container_limits={"memory": "1g"},
    )  # fmt: skip
    assert set(sdk_options(every)) <= set(known)


def job(**given: Any) -> BuildJob:
    return BuildJob(
        tag="localhost:5000/team/x:1",
        dockerfile="FROM scratch\n",
        context=EMPTY_CONTEXT,
        options=options(**given),
        labels=FrozenMapping({"dev.stowplan.image": "sha256:0"}),
        secrets=FrozenMapping({"STOWPLAN_TOKEN": "hunter22"}),
    )


def test_the_command_of_buildkit() -> None:
    command = buildx_command(job(labels={"a": "b", "dev.stowplan.image": "forged"}, pull=True))
    assert command.argv == (
        "docker",
        "buildx",
        "build",
        "--load",
        "--progress=plain",
        "--tag=localhost:5000/team/x:1",
        "--file=Dockerfile.stowplan",
        "--pull",
        "--label=a=b",
        "--label=dev.stowplan.image=sha256:0",
        "--build-arg=STOWPLAN_TOKEN",
        "-",
    )
    assert command.env["STOWPLAN_TOKEN"] == "hunter22"
    assert "hunter22" not in repr(command)


def test_the_command_of_podman(tmp_path: Any) -> None:
    command = build_command(job(), tmp_path)
    assert command.argv == (
        "podman",
        "build",
        "--format=docker",
        "--tag=localhost:5000/team/x:1",
        f"--file={tmp_path}/Dockerfile.stowplan",
        "--label=dev.stowplan.image=sha256:0",
        "--build-arg=STOWPLAN_TOKEN",
        f"{tmp_path}/context",
    )
    assert command.env == {"STOWPLAN_TOKEN": "hunter22"}


@pytest.mark.parametrize(
    ("reference", "plain"),
    [
        ("localhost:5000/x:1", True),
        ("localhost/x:1", True),
        ("127.0.0.1:5000/x:1", True),
        ("[::1]:5000/x:1", True),
        ("registry.example.com/x:1", False),
        ("localhost.example.com/x:1", False),
        ("127.0.0.1.example.com/x:1", False),
        ("10.0.0.1:5000/x:1", False),
    ],
)
def test_only_this_machine_is_spoken_to_without_tls(tmp_path: Any, reference: str, plain: bool) -> None:
    command = push_command(ImageRef.parse(reference), tmp_path / "digest")
    assert ("--tls-verify=false" in command.argv) is plain
    assert command.argv[-1] == reference
