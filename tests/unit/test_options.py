from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest

from executor.engines.archive import whole_dockerfile
from executor.engines.buildx import buildx_command
from executor.engines.leftovers import build_secret
from executor.engines.options import TABLE, cli_options, sdk_options
from executor.engines.podman_commands import build_command, push_command
from executor.engines.protocol import HASH_LABEL, BuildJob
from executor.errors import ExecutorError
from executor.orphans import SCRATCH_VARIABLE
from executor.scratch import name_of
from planner.errors import PlannerError
from planner.settings.build_options import BuildOptions
from planner.settings.builders import builders_for, refusals
from planner.settings.option_table import BUILDERS, FIELD_SPELLINGS, OPTIONS, REFUSED, BuildOption
from planner.values import FrozenMapping, ImageRef
from tests.builders import image_of

REFERENCE: Final = Path(__file__).parents[2] / "docs/reference.md"


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
        {"extra_hosts": ["ship:10.0.0.1"]},
        ("--add-host=ship:10.0.0.1",),
        ("--add-host=ship:10.0.0.1",),
    ),
    (
        {"add_host": ["b:::2", "a:10.0.0.1"]},
        {"extra_hosts": ["a:10.0.0.1", "b:::2"]},
        ("--add-host=a:10.0.0.1", "--add-host=b:::2"),
        ("--add-host=a:10.0.0.1", "--add-host=b:::2"),
    ),
    ({"forcerm": False}, {"forcerm": False}, (), ("--force-rm=false",)),
    # What asks for nothing is no flag: Podman would look for a network called so.
    ({"network": "default", "force_rm": True, "add_host": []}, {}, (), ()),
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


def words(options: BuildOptions, builder: str) -> object:
    """What a builder is told of these options."""
    match builder:
        case "classic":
            return sdk_options(options)
        case "buildkit":
            return cli_options(options, "docker")
        case _:
            return cli_options(options, "podman")


@pytest.mark.parametrize("builder", BUILDERS)
def test_the_two_tables_name_the_same_options(builder: str) -> None:
    spelt = {name for name, spelling in TABLE.items() if getattr(spelling, builder) is not None}
    named = {option.name for option in OPTIONS.values() if builder in option.builders}
    assert spelt == named | (set(BuildOptions.settable()) - {"other", "tuning"})
    assert set(TABLE) == set(OPTIONS) | (set(BuildOptions.settable()) - {"other", "tuning"})


@pytest.mark.parametrize("option", OPTIONS.values(), ids=list(OPTIONS))
def test_every_row_of_the_table(option: BuildOption) -> None:
    beside = {"memory": "1g"} if option.name == "memory_swap" else {}
    made = options(**{option.name: option.example}, **beside)
    assert made.by_name[option.name] == option.example, "the example is in its one form"
    assert option.example != option.plain
    if option.plain is not None:
        plain = options(**{option.name: option.plain})
        assert plain.by_name == plain.counted == {}
        for builder in BUILDERS:
            assert words(plain, builder) == words(BuildOptions(), builder)
    for spelling in (*option.also, option.name.replace("_", "-")):
        assert options(**{spelling: option.example}).by_name == {option.name: option.example}
    assert made.counted == ({option.name: option.example} if option.counts else {})
    assert (option.name in made.value("other")) is option.counts
    assert (option.name in made.value("tuning")) is not option.counts
    assert option.builders
    assert option.builders <= set(BUILDERS)
    assert option.takers(option.example) == option.builders
    assert builders_for(made) == option.builders
    for builder in BUILDERS:
        problems = refusals(made, builder)
        if builder in option.builders:
            assert problems == ()
            assert words(made, builder) or (option.name, builder) == ("force_rm", "buildkit")
        else:
            assert problems[0].where.dotted == f"build_options.{problems[0].where.path[-1]}"
            with pytest.raises(ExecutorError) as caught:
                words(made, builder)
            assert caught.value.problems == problems


def test_names_are_said_once() -> None:
    """No spelling of an option is one of another, or refused."""
    spellings = [*BuildOptions.settable(), *FIELD_SPELLINGS, *OPTIONS]
    spellings += [spelling for option in OPTIONS.values() for spelling in option.also]
    assert len(spellings) == len(set(spellings))
    assert not set(spellings) & set(REFUSED)


def test_a_builder_refuses_what_it_does_not_have() -> None:
    made = options(use_config_proxy=False, ulimit="nofile=1024", jobs=2, network="host")
    assert [str(problem) for problem in refusals(made, "classic")] == [
        "build_options.jobs: Docker's classic builder has no jobs: leave it out, or build with Podman",
        (
            "build_options.ulimit: Docker's classic builder has no ulimit: "
            "leave it out, or build with Docker's BuildKit or Podman"
        ),
    ]
    assert [problem.where.dotted for problem in refusals(made, "buildkit")] == [
        "build_options.jobs",
        "build_options.use_config_proxy",
    ]
    assert builders_for(made) == frozenset()
    assert builders_for(BuildOptions()) == {"buildkit", "classic", "podman"}
    with pytest.raises(KeyError):
        refusals(made, "kaniko")


def test_a_value_that_only_one_builder_takes() -> None:
    made = options(network="bridge")
    assert builders_for(made) == {"classic"}
    (problem,) = refusals(made, "podman")
    assert str(problem) == (
        "build_options.network: Podman has no network = 'bridge': "
        "leave it out, or build with Docker's classic builder"
    )


def test_a_value_that_asks_for_nothing_is_taken_by_every_builder() -> None:
    made = options(use_config_proxy=True, http_proxy=True, jobs=1, ulimit=[], network="default")
    assert builders_for(made) == set(BUILDERS)
    assert [words(made, builder) for builder in BUILDERS] == [(), {}, ()]


def test_what_options_need_beside_them() -> None:
    (problem,) = refusals(options(memory_swap="2g"), "podman")
    assert problem.where.dotted == "build_options.memory_swap"
    (problem,) = refusals(options(no_cache=True, no_cache_filter="x"), "buildkit")
    assert problem.where.dotted == "build_options.no_cache_filter"
    (problem,) = refusals(options(dns="10.0.0.1", network="none"), "podman")
    assert problem.where.dotted == "build_options.dns"


def test_limits_go_to_the_sdk_in_their_table() -> None:
    given = {"memory": "1g", "memory_swap": -1, "cpu_shares": 512, "cpuset_cpus": "0"}
    assert sdk_options(options(**given)) == {
        "container_limits": {"memory": 1 << 30, "memswap": -1, "cpushares": 512, "cpusetcpus": "0"}
    }


def test_every_keyword_is_one_of_the_sdk() -> None:
    import inspect  # noqa: PLC0415

    from docker import APIClient  # noqa: PLC0415
    from docker.constants import CONTAINER_LIMITS_KEYS  # noqa: PLC0415

    known = {*inspect.signature(APIClient.build).parameters}
    known |= {f"container_limits.{name}" for name in CONTAINER_LIMITS_KEYS}
    assert {spelling.classic for spelling in TABLE.values() if spelling.classic} <= known


def test_every_option_of_the_sdk_is_taken_or_refused_by_name() -> None:
    import inspect  # noqa: PLC0415

    from docker import APIClient  # noqa: PLC0415

    for name in set(inspect.signature(APIClient.build).parameters) - {"self"}:
        try:
            options(**{name: "x"})
        except PlannerError as error:
            assert "unknown" not in str(error), name  # noqa: PT017  # that it is refused is fine


def test_the_reference_says_what_the_table_says() -> None:
    section = REFERENCE.read_text("utf-8").partition("\n## Build options by name\n")[2].partition("\n## ")[0]
    said = [line for line in section.splitlines() if line.startswith("| `")]
    assert said == [row(option) for option in OPTIONS.values()]
    assert set(REFUSED) <= set(re.findall(r"`(\w+)`", section))


def row(option: BuildOption) -> str:
    """The line of an option in the reference."""
    names = ", ".join(f"`{name}`" for name in option.also)
    builders = "all" if option.builders == set(BUILDERS) else ", ".join(sorted(option.builders))
    counts = "both" if option.counts else "neither"
    return f"| `{option.name}` | {names} | {option.shape.name} | {builders} | {counts} | {option.doc} |"


def job(**given: Any) -> BuildJob:
    image = image_of({"build_config": {"build_options": given}})
    return BuildJob(image, lambda: iter(()), FrozenMapping({"STOWPLAN_TOKEN": "hunter22"}))


def test_the_command_of_buildkit(tmp_path: Path) -> None:
    command = buildx_command(job(pull=True), tmp_path / "id")
    assert command.argv == (
        "docker",
        "buildx",
        "build",
        "--load",
        "--progress=plain",
        f"--iidfile={tmp_path}/id",
        "--file=Dockerfile.stowplan",
        "--pull",
        "--platform=linux/amd64",
        "--build-arg=STOWPLAN_TOKEN",
        "--build-arg=SOURCE_DATE_EPOCH=315532800",
        "-",
    )
    alone = buildx_command(job(pull=True), tmp_path / "id", program=("/plugins/docker-buildx",))
    assert alone.argv == ("/plugins/docker-buildx", *command.argv[2:])
    assert command.env["STOWPLAN_TOKEN"] == "hunter22"
    assert "hunter22" not in repr(command)


def test_the_command_of_podman(tmp_path: Path) -> None:
    command = build_command(job(), tmp_path)
    assert command.argv == (
        "podman",
        "build",
        "--format=oci",
        "--layers=true",
        "--timestamp=315532800",
        "--identity-label=false",
        f"--iidfile={tmp_path}/image",
        f"--file={tmp_path}/Dockerfile.stowplan",
        f"--ignorefile={tmp_path}/Dockerfile.stowplan.dockerignore",
        f"--secret={build_secret(tmp_path)}",
        "--platform=linux/amd64",
        "--build-arg=STOWPLAN_TOKEN",
        f"{tmp_path}/context",
    )
    assert command.env == {
        "STOWPLAN_TOKEN": "hunter22",
        "SOURCE_DATE_EPOCH": "",
        "DOCKER_DEFAULT_PLATFORM": "",
        "TMPDIR": str(tmp_path),
        SCRATCH_VARIABLE: name_of(tmp_path),
    }
    assert "hunter22" not in repr(command)


def test_labels_stand_in_the_dockerfile_and_in_no_command(tmp_path: Path) -> None:
    """Not every builder writes an option into the history, where the mark has to be last."""
    labelled = job(labels={"a": "b"})
    commands = (buildx_command(labelled, tmp_path / "id"), build_command(labelled, tmp_path))
    assert not [word for command in commands for word in command.argv if word.startswith("--label")]
    lines = whole_dockerfile(labelled.image).splitlines()
    assert lines[-2:] == ['LABEL "a"="b"', f"LABEL {HASH_LABEL}={labelled.image.hash}"]


def test_the_platform_is_the_one_asked_for_else_the_machine_s(tmp_path: Path) -> None:
    for made, platform in ((job(platform="linux/arm64"), "linux/arm64"), (job(), "linux/amd64")):
        for command in (buildx_command(made, tmp_path / "id"), build_command(made, tmp_path)):
            found = [word for word in command.argv if word.startswith("--platform")]
            assert found == [f"--platform={platform}"]


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
def test_only_this_machine_is_spoken_to_without_tls(tmp_path: Path, reference: str, plain: bool) -> None:
    command = push_command(ImageRef.parse(reference), tmp_path / "digest")
    assert ("--tls-verify=false" in command.argv) is plain
    assert command.argv[-1] == reference
