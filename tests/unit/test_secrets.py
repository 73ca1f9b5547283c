"""Secrets as they are declared and planned: names, versions and places, and never a value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from executor.config.project import load_project
from executor.engines.buildx import buildx_command
from executor.engines.podman_commands import build_command
from executor.engines.protocol import BuildJob
from executor.engines.secrets import secret_options
from executor.errors import ExecutorError
from executor.secrets import hidden_parts, read_secrets
from executor.state import STATE_DIRECTORY
from planner import (
    BuildPlan,
    ImagePlan,
    Lock,
    Pins,
    PlannerError,
    Stack,
    diff,
    dockerfile,
    dumps,
    loads,
    make_plan,
    rebuilt_layers,
)
from planner.credentials import looks_like_credential
from planner.image.capabilities import Capability, required
from planner.settings.secrets import secret_names
from planner.values import EnvTemplate
from tests.builders import World, file, image_of, observed, pipeline_of, plan_of, spec_of

READS: Final = {"local_project_install_command": "make TOKEN=$(cat /run/secrets/pypi)"}
USED: Final[Mapping[str, Any]] = {**READS, "secrets": {"pypi": {"env": "PYPI_TOKEN"}}}
PLACE: Final = "pipeline.training.settings.docker"


def written(root: Path, text: str) -> Path:
    """A project whose one pipeline has these settings; the project says the rest."""
    (root / "stowplan.toml").write_text(text)
    return root


def wrong_with(root: Path, text: str) -> list[tuple[str, int | None, str, str]]:
    """What is wrong with a project file: where, on which line, what was found, and what to do."""
    with pytest.raises(PlannerError) as refused:
        load_project(written(root, text))
    return [(each.where.dotted, each.where.line, each.found, each.fix) for each in refused.value.problems]


# --- how they are declared --------------------------------------------------------------------------------


def test_all_that_is_wrong_with_secrets_is_said_at_once_with_its_line(tmp_path: Path) -> None:
    text = """
[secret.both]
env = "A"
file = "b"
[secret.neither]
version = 2
[secret.misspelt]
envv = "A"
[secret."a name"]
env = "A"
[secret.value]
env = "hunter2-is-no-name"
[secret.versions]
env = "A"
version = "2"
[secret.number]
file = ""
version = 0
[pipeline.training]
steps = ["train"]
[pipeline.training.settings.docker]
secrets = { plain = "hunter2", list = ["hunter2"], other = 1 }
"""
    found = wrong_with(tmp_path, text)
    assert [each[:3] for each in found] == [
        ("secret.a name", 10, "not the name of a secret: 'a name'"),
        ("secret.both", 3, "env and file both say where the value is"),
        ("secret.misspelt.envv", 8, "unknown name"),
        ("secret.misspelt", 8, "neither env nor file says where the value is"),
        ("secret.neither", 6, "neither env nor file says where the value is"),
        ("secret.number.file", 17, "an empty path"),
        ("secret.number.version", 18, "not between 1 and 999999999: 0"),
        ("secret.value.env", 12, "not the name of an environment variable"),
        ("secret.versions.version", 15, "expected an integer, found a string"),
        (f"{PLACE}.secrets.list", 22, "expected a table, found a list"),
        (f"{PLACE}.secrets.other", 22, "expected a table, found an integer"),
        (f"{PLACE}.secrets.plain", 22, "a secret is not written here, only where it is found"),
    ]
    assert "did you mean 'env'?" in found[2][3]
    # What may be the secret itself is in no error.
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("value", ["hunter2", ["hunter2"]])
def test_secrets_that_are_no_table_say_how_they_are_written(value: object) -> None:
    with pytest.raises(PlannerError) as refused:
        image_of({"secrets": value})
    (problem,) = refused.value.problems
    assert problem.where.dotted == "secrets"
    assert 'pypi = { env = "PYPI_TOKEN" }' in problem.fix
    assert "hunter2" not in str(problem)


def test_a_table_of_secrets_is_written_beside_pipelines_and_not_in_one(tmp_path: Path) -> None:
    text = '[secrets.pypi]\nenv = "A"\n[pipeline.training]\nsteps = ["train"]\n'
    assert wrong_with(tmp_path, text) == [("secrets", 2, "unknown name", "did you mean 'secret'?")]
    text = '[pipeline.training]\nsteps = ["train"]\n[pipeline.training.secrets.pypi]\nenv = "A"\n'
    ((place, line, found, fix),) = wrong_with(tmp_path, text)
    assert (place, line, found) == ("pipeline.training.secrets", 4, "is not written here")
    assert fix.startswith("write [secret.NAME]")


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("make", ()),
        ("cat /run/secrets/pypi", ("pypi",)),
        ("a </run/secrets/a-b.c_d; cat '/run/secrets/b'.", ("a-b.c_d", "b")),
        ("cat /run/secrets/pypi.", ("pypi",)),
        ("cat /run/secrets/pypi /run/secrets/pypi", ("pypi",)),
        ("--netrc=/run/secrets/netrc,x", ("netrc",)),
        ("ls /run/secrets /run/secrets/", ()),
        ("cat /run/secrets/$NAME /srv/run/secrets/x", ()),
    ],
)
def test_a_command_names_a_secret_by_its_path(command: str, names: tuple[str, ...]) -> None:
    assert secret_names(command) == names


def test_a_secret_that_is_named_and_not_declared_is_a_problem_of_the_command() -> None:
    for secrets, fix in (({}, "declare it: secrets = {"), ({"pypy": {"env": "A"}}, "did you mean 'pypy'?")):
        with pytest.raises(PlannerError) as refused:
            image_of({**READS, "secrets": secrets})
        (problem,) = refused.value.problems
        assert problem.where.dotted == f"{PLACE}.local_project_install_command"
        assert problem.found == "names the secret /run/secrets/pypi, which is not declared"
        assert problem.fix.startswith(fix)


def test_the_project_declares_secrets_for_all_and_settings_win_by_name(tmp_path: Path) -> None:
    text = """
[secret.pypi]
env = "OF_PROJECT"
[secret.other]
file = "~/.netrc"
version = 3

[pipeline.training]
steps = ["load", "train"]
[pipeline.training.settings.docker]
parent_image = "base:1@sha256:1111111111111111111111111111111111111111111111111111111111111111"
local_project_install_command = "cat /run/secrets/pypi /run/secrets/other"
[pipeline.training.step.train.settings.docker]
secrets = { pypi = { env = "OF_STEP", version = 2 } }
"""
    pipeline = load_project(written(tmp_path, text)).pipeline(None)
    load, train = make_plan(pipeline, Stack(), observed(pipeline)).images
    assert load.spec.secrets == {"other": 3, "pypi": 1}
    assert train.spec.secrets == {"other": 3, "pypi": 2}
    sources = [each.secrets["pypi"] for each in (load, train)]
    assert [each.secret.env for each in sources] == ["OF_PROJECT", "OF_STEP"]
    assert [each.place.dotted for each in sources] == [
        "secret.pypi",
        "pipeline.training.step.train.settings.docker.secrets.pypi",
    ]


# --- what they come to ------------------------------------------------------------------------------------


def test_an_image_has_the_secrets_that_its_instructions_name() -> None:
    image = image_of({**USED, "secrets": {"pypi": {"env": "A", "version": 2}, "idle": {"env": "B"}}})
    assert image.spec.secrets == {"pypi": 2}
    assert list(image.secrets) == ["pypi"]
    assert Capability.SECRETS in required(image)
    assert Capability.SECRETS not in required(image_of({"secrets": {"idle": {"env": "B"}}}))


def test_a_secret_is_mounted_for_the_command_that_names_it_alone() -> None:
    image = image_of({**USED, "requirements": ["six"], "apt_packages": ["git"]})
    lines = [line for line in dockerfile(image.spec).splitlines() if "type=secret" in line]
    (line,) = lines
    flag = "--mount=type=secret,id=pypi,target=/run/secrets/pypi,mode=0444,required=true "
    assert line.startswith(f'RUN {flag}["/bin/sh", ')
    # The builder has changed this directory to mount something in it.
    assert "touch -d @315532800 /run 2>/dev/null" in line


def test_another_version_is_another_secret_to_a_builder_whose_cache_knows_no_values() -> None:
    image = image_of({**READS, "secrets": {"pypi": {"env": "A", "version": 2}}})
    assert "id=pypi@2,target=/run/secrets/pypi," in dockerfile(image.spec)


def test_where_a_value_is_found_is_in_no_lock_and_moves_no_hash() -> None:
    places = ({"env": "PYPI_TOKEN"}, {"env": "OTHER"}, {"file": "~/.netrc"}, {"file": "~/x", "version": 1})
    specs = [spec_of({**READS, "secrets": {"pypi": each}}) for each in places]
    assert len({spec.hash for spec in specs}) == 1
    text = dumps(Lock((specs[0],)))
    assert "[image.instruction.secrets]\npypi = 1\n" in text
    assert "PYPI_TOKEN" not in text
    assert loads(text).plans == (specs[0],)


def test_a_version_rebuilds_what_names_the_secret_and_nothing_else() -> None:
    steps: dict[str, dict[str, Any]] = {"plain": {"apt_packages": ["git"]}, "train": READS}

    def planned(version: int) -> BuildPlan:
        return plan_of({"secrets": {"pypi": {"env": "A", "version": version}}}, steps)

    before, after = planned(1), planned(2)
    (change,) = diff(before, after)
    assert (change.image, change.field, change.key, change.code) == (
        "training/train",
        "secrets",
        "pypi",
        "changed",
    )
    assert change.text == "secret: pypi version 1 → version 2"
    images = [image_named(plan, "training/train") for plan in (before, after)]
    assert rebuilt_layers(*images) == ("project",)


def image_named(plan: BuildPlan, name: str) -> ImagePlan:
    image = plan.image(name)
    assert image is not None
    return image


def test_an_edited_lock_cannot_name_a_secret_that_no_project_can() -> None:
    text = dumps(Lock((spec_of(USED),)))
    with pytest.raises(PlannerError):
        loads(text.replace("pypi = 1", '"a,target=/etc/x" = 1'))


def test_the_classic_builder_is_refused_when_it_is_planned() -> None:
    pipeline = pipeline_of(USED)
    facts = observed(pipeline)
    with pytest.raises(PlannerError) as refused:
        make_plan(pipeline, Stack(), facts, builders=frozenset({"classic"}))
    (problem,) = refused.value.problems
    assert problem.where.dotted == f"{PLACE}.secrets.pypi"
    assert problem.found == "Docker's classic builder gives no secrets to commands"
    assert problem.fix == "build with Docker's BuildKit or Podman"
    for builders in ({"classic", "buildkit"}, {"podman"}):
        assert make_plan(pipeline, Stack(), facts, builders=frozenset(builders)).images
    idle = pipeline_of({"secrets": {"pypi": {"env": "A"}}})
    assert make_plan(idle, Stack(), observed(idle), builders=frozenset({"classic"})).images


def test_a_lock_that_is_taken_as_it_is_names_only_what_is_declared() -> None:
    pins = Pins(Lock((spec_of(USED),)))
    pipeline = pipeline_of({})
    facts = observed(pipeline_of(USED), pins=pins)
    with pytest.raises(PlannerError) as refused:
        make_plan(pipeline, Stack(), facts, pins=pins, frozen=True)
    (problem,) = refused.value.problems
    assert problem.found == "stowplan.lock names the secret 'pypi', which is not declared"


def test_a_secret_of_the_settings_that_nothing_names_is_a_note() -> None:
    def notes(settings: Mapping[str, Any]) -> list[str]:
        return [note.text for note in plan_of(settings).notes if note.code == "unnamed-secret"]

    assert notes(USED) == []
    assert notes({**USED, "secrets": {"pypi": {"env": "A"}, "idle": {"env": "B"}}}) == [
        "nothing names the secret idle: a command reads it at /run/secrets/idle"
    ]


def test_a_file_with_a_secret_is_not_copied_into_the_image() -> None:
    world = World(entries=(file("train.py"), file("keys/token", "x")))
    settings = {"secrets": {"pypi": {"file": "./keys/token"}, "other": {"file": "keys"}}}
    with pytest.raises(PlannerError) as refused:
        image_of(settings, world=world)
    (problem,) = refused.value.problems
    assert problem.where.dotted == f"{PLACE}.secrets.pypi.file"
    assert problem.found == "./keys/token is copied into the image, where everybody can read it"
    for without in (
        World(entries=(file("train.py"),)),
        World(texts={".dockerignore": "keys\n"}, entries=world.entries),
    ):
        assert image_of(settings, world=without).builds
    assert image_of({**settings, "allow_including_files_in_images": False}, world=world)
    # What is elsewhere on a machine is the same for a planner, wherever it works.
    absolute = {"secrets": {"pypi": {"file": str(Path.cwd() / "keys/token")}}}
    assert image_of(absolute, world=world).builds


def test_a_file_with_a_secret_is_not_copied_by_a_dockerfile_either() -> None:
    world = World(texts={"docker/Dockerfile": "FROM base:1\nCOPY . /x\n"}, entries=(file("docker/key", "x"),))
    settings: dict[str, Any] = {
        "dockerfile": "docker/Dockerfile",
        "build_context_root": "docker",
        "parent_image": None,
    }
    settings |= {"allow_including_files_in_images": False}
    with pytest.raises(PlannerError) as refused:
        image_of({**settings, "secrets": {"pypi": {"file": "docker/key"}}}, world=world)
    assert [each.where.dotted for each in refused.value.problems] == [f"{PLACE}.secrets.pypi.file"]
    assert image_of({**settings, "secrets": {"pypi": {"file": "key"}}}, world=world).builds


def test_a_file_of_the_project_is_found_however_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2")
    (tmp_path / "link").symlink_to("token")
    world = World(entries=(file("token", "hunter2"),))
    for path in (str(tmp_path / "token"), "~/token", "~/link"):
        image = image_of({**READS, "secrets": {"pypi": {"file": path}}}, world=world)
        with pytest.raises(ExecutorError) as refused:
            read_secrets([image], tmp_path, {"HOME": str(tmp_path)})
        assert str(refused.value).startswith(f"{PLACE}.secrets.pypi: {path} is copied into the image")


@pytest.mark.parametrize("key", ["env", "file"])
def test_a_secret_in_the_place_of_where_it_is_found_is_not_repeated(key: str) -> None:
    token = f"ghp_{'a1B2' * 10}"
    with pytest.raises(PlannerError) as refused:
        image_of({"secrets": {"pypi": {key: token}}})
    (problem,) = refused.value.problems
    assert "looks like a secret" in problem.found
    assert token not in str(problem)


# --- credentials in variables -----------------------------------------------------------------------------

RANDOM: Final = "x7Kq9vT2mZ4pL8sR"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A", f"AKIA{'0123456789ABCDEF'}"),
        ("A", f"ghp_{'a1B2' * 9}"),
        ("A", f"token=github_pat_{'a1B2' * 9}"),
        ("A", f"glpat-{'a1B2' * 5}"),
        ("A", "xoxb-123456789012-abcdef"),
        ("A", "https://hooks.slack.com/services/T0000/B0000/abcdefghijklmnop"),
        ("A", f"pypi-{'AgEI' * 8}"),
        ("A", f"sk-proj-{'a1B2' * 9}"),
        ("A", f"sk-ant-api03-{'a1B2' * 9}"),
        ("A", f"hf_{'a1B2' * 9}"),
        ("A", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"),
        ("A", "-----BEGIN OPENSSH PRIVATE KEY-----\\nb3Blbn"),
        ("API_KEY", RANDOM),
        ("DB_PASSWORD", RANDOM),
        ("GITHUB_TOKEN", RANDOM),
        ("client_secret", RANDOM),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("HF_TOKEN", "${HF_TOKEN}"),
        ("API_KEY", "${ANYTHING}"),
        ("UV_INDEX", "https://reader:${INDEX_TOKEN}@pypi.corp/simple"),
    ],
)
def test_what_looks_like_a_credential(name: str, value: str) -> None:
    assert looks_like_credential(name, EnvTemplate(value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/opt/bin:/usr/local/bin:/usr/bin"),
        ("MODEL_DIR", "${MODEL_DIR}"),
        ("A", RANDOM),
        ("SHA", "4f5a2c9d8b7e6f1a0c3d2e1f4b5a6978"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("MAX_TOKEN", "4096"),
        ("PAD_TOKEN", "<pad>"),
        ("USE_TOKEN", "true"),
        ("UNK_TOKEN", "[UNKNOWN_TOKEN]"),
        ("PASSWORD", "the-one-of-the-vault"),
        ("TOKEN_FILE", "/run/secrets/token-x7Kq9vT2"),
        ("PYPI_TOKEN", "/run/secrets/pypi-x7Kq9vT2"),
        ("AUTH_TOKEN", "https://auth.example.com/token/v2"),
        ("SECRET_NAME", "production-database-1a2b"),
        ("PASSWORD", ""),
        ("KEYBOARD", RANDOM),
        ("PRIMARY_KEY", "customer_identifier"),
        ("GREETING", "sk-learn is a package"),
        ("PACKAGES", "pypi-server, gl-utils"),
    ],
)
def test_what_looks_like_none(name: str, value: str) -> None:
    assert not looks_like_credential(name, EnvTemplate(value))


def test_credentials_in_variables_are_one_note_that_does_not_show_them() -> None:
    world = World(variables={"HF_TOKEN": RANDOM})
    settings = {
        "environment": {"API_KEY": RANDOM, "HF_TOKEN": "${HF_TOKEN}", "PATH": "/bin"},
        "runtime_environment": {"SLACK": "xoxb-123456789012-abcdef"},
        "build_config": {"build_options": {"build_args": {"DB_PASSWORD": RANDOM}}},
    }
    plan = plan_of(settings, {"load": {}, "train": {"apt_packages": ["git"]}}, world=world)
    (note,) = (note for note in plan.notes if note.code == "credential")
    assert note.key == "environment.API_KEY"
    assert note.text.startswith("environment.API_KEY and 3 more look like credentials: whoever can pull")
    assert RANDOM not in note.text
    assert "xoxb" not in note.text
    (note,) = plan_of({"environment": {"API_KEY": RANDOM}}).notes[-1:]
    assert note.text.startswith("environment.API_KEY looks like a credential: ")
    assert "credential" not in {note.code for note in plan_of({"environment": {"A": "b"}}).notes}
    unbuilt = plan_of({"skip_build": True, "environment": {"API_KEY": RANDOM}})
    assert "credential" not in {note.code for note in unbuilt.notes}


# --- their values -----------------------------------------------------------------------------------------


def test_a_value_is_read_from_a_variable_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "in the project").write_bytes(b"\0binary\xff")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("of the home")
    (tmp_path / "absolute").write_text("absolute")
    declared = {
        "env": {"env": "TOKEN"},
        "project": {"file": "in the project"},
        "home": {"file": "~/.netrc"},
        "absolute": {"file": str(tmp_path / "absolute")},
    }
    command = " ".join(f"/run/secrets/{name}" for name in declared)
    image = image_of({"local_project_install_command": command, "secrets": declared})
    environ = {"TOKEN": "line\nand \udcff", "HOME": str(home)}
    assert read_secrets([image], tmp_path, environ) == {
        "env": b"line\nand \xff",
        "project": b"\0binary\xff",
        "home": b"of the home",
        "absolute": b"absolute",
    }


def test_every_value_that_is_not_there_is_said_at_its_setting(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(bytes(64 * 1024 + 1))
    declared = {
        "unset": ({"env": "A"}, "environment variable A is not set"),
        "empty": ({"env": "B"}, "environment variable B is empty"),
        "missing": ({"file": "~/none"}, "~/none does not exist"),
        "nothing": ({"file": "empty"}, "empty is empty"),
        "directory": ({"file": "."}, ". is a directory, not a file"),
        "long": ({"file": "large"}, "large is longer than 64 KiB"),
    }
    command = " ".join(f"/run/secrets/{name}" for name in declared)
    secrets = {name: table for name, (table, _) in declared.items()}
    image = image_of({"local_project_install_command": command, "secrets": secrets})
    with pytest.raises(ExecutorError) as refused:
        read_secrets([image], tmp_path, {"B": "", "HOME": str(tmp_path)})
    assert {
        each.where.dotted.rpartition(".")[2]: (each.found, each.code) for each in refused.value.problems
    } == {name: (found, "secret-missing") for name, (_, found) in declared.items()}


def test_values_reach_a_builder_as_files_that_are_this_user_s_and_gone_afterwards(tmp_path: Path) -> None:
    root = tmp_path / "a project"
    root.mkdir()
    image = image_of({**READS, "secrets": {"pypi": {"env": "A", "version": 2}}})
    job = BuildJob(image, lambda: iter(()), root=root, secrets={"pypi": b"hunter2"})
    with secret_options(job) as options:
        (option,) = options
        name, path = option.split(",src=")
        assert name == "--secret=id=pypi@2,type=file"
        file = Path(path)
        assert file.is_relative_to(root / STATE_DIRECTORY / "tmp")
        assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"hunter2", 0o600)
        assert file.parent.stat().st_mode & 0o777 == 0o700
        for command in (
            buildx_command(job, tmp_path / "id", options),
            build_command(job, tmp_path, options),
        ):
            assert option in command.argv
            assert "hunter2" not in f"{command.argv}{dict(command.env)}{job}"
    assert not file.parent.exists()


@pytest.mark.parametrize("name", ["a,b", 'a"b'])
def test_a_project_whose_path_no_option_can_hold_has_its_secrets_elsewhere(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    root.mkdir()
    job = BuildJob(image_of(USED), lambda: iter(()), root=root, secrets={"pypi": b"hunter2"})
    with secret_options(job) as (option,):
        file = Path(option.partition(",src=")[2])
        assert file.read_bytes() == b"hunter2"
        assert name not in option
    assert not file.parent.exists()


@pytest.mark.parametrize(
    ("value", "hidden", "shown"),
    [
        ("s3cr3t", {"s3cr3t"}, set()),
        ("machine pypi.corp login me password s3cr3t\n", {"s3cr3t"}, {"machine", "login", "pypi.corp"}),
        ("[pypi]\nusername = __token__\npassword = pypi-AgEIcHl\n", {"pypi-AgEIcHl"}, {"username"}),
        ("//registry.corp/:_authToken=npm_0123456789\n", {"npm_0123456789"}, {"registry.corp"}),
        ('{"token": "abcd", "host": "pypi.corp"}', {"abcd"}, {"host", "pypi.corp"}),
    ],
)
def test_what_is_hidden_of_a_secret_is_what_a_program_may_show_of_it(
    value: str, hidden: set[str], shown: set[str]
) -> None:
    parts = set(hidden_parts([value.encode()]))
    assert parts >= hidden | {value}
    assert not parts & shown
