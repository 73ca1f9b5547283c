"""Bad input of every kind ends in a clear error with its place and its remedy, and nothing is touched."""

from __future__ import annotations

import os
import socket

import pytest

from tests.e2e.command import PINNED, Project

GOOD = f"""
[pipeline.training]
steps = ["load", "train"]
settings.docker = {{ parent_image = "{PINNED}", requirements = "requirements.txt" }}
"""


def docker(settings: str) -> str:
    return f'[pipeline.p]\nsteps = ["a"]\nsettings.docker = {{ parent_image = "{PINNED}", {settings} }}\n'


# What is in stowplan.toml, and what the error has to say: the place, what was found, what to do.
SETTINGS = {
    "unknown setting": (docker('requirement = ["six"]'), ["stowplan.toml:3", "requirement", "did you mean 'requirements'"]),
    "wrong type": (docker('apt_packages = "git"'), ["stowplan.toml:3", "expected a list, found a string"]),
    "not coerced": (docker('skip_build = "false"'), ["stowplan.toml:3", "expected true or false, found a string"]),
    "shell in a package name": (docker('apt_packages = ["curl; rm -rf /"]'), ["apt_packages[0]", "curl; rm -rf /"]),
    "option as a package name": (docker('apt_packages = ["--allow-unauthenticated"]'), ["apt_packages[0]"]),
    "line end in a value": (docker('environment = { A = "x\\nRUN evil" }'), ["environment.A", "line end"]),
    "NUL in a value": (docker('environment = { A = "x\\u0000" }'), ["environment.A", "NUL"]),
    "no name of a variable": (docker('environment = { "A B" = "x" }'), ["environment.A B", "MODEL_DIR"]),
    "shell in a user": (docker('user = "me; rm -rf /"'), ["user", "1000:1000"]),
    "no tag": (docker('image_tag = "a b"'), ["image_tag", "1.0.0"]),
    "no image": (docker('build_config = { build_options = { cache_from = ["A B"] } }'), ["cache_from[0]", "not an image"]),
    "path out of the project": (docker('requirements = "../requirements.txt"'), ["leaves the project"]),
    "no such installer": (docker('python_package_installer = "poetry"'), ["not one of uv, pip"]),
    "a secret in place of where it is found": (docker('secrets = { pypi = "hunter22" }'), ["stowplan.toml:3", "secrets.pypi", "only where it is found", "PYPI_TOKEN"]),
    "a secret as the name of a variable": (docker('secrets = { pypi = { env = "hunter22!" } }'), ["stowplan.toml:3", "secrets.pypi.env", "not the name of an environment variable"]),
    "a secret in two places": (docker('secrets = { pypi = { env = "A", file = "b" } }'), ["stowplan.toml:3", "secrets.pypi", "keep one of the two"]),
    "a secret in no place": ('[secret.pypi]\nversion = 2\n' + docker('user = "1"'), ["stowplan.toml:2", "secret.pypi", "neither env nor file"]),
    "a version in quotes": ('[secret.pypi]\nenv = "A"\nversion = "2"\n' + docker('user = "1"'), ["stowplan.toml:3", "secret.pypi.version", "write version = 2"]),
    "a misspelt key of a secret": (docker('secrets = { pypi = { variable = "A" } }'), ["stowplan.toml:3", "secrets.pypi.variable", "unknown name"]),
    "a secret that is not declared": (docker('local_project_install_command = "cat /run/secrets/pypi"'), ["stowplan.toml:3", "local_project_install_command", "/run/secrets/pypi, which is not declared", "declare it"]),
    "a misspelt secret": (docker('local_project_install_command = "cat /run/secrets/pypy", secrets = { pypi = { env = "A" } }'), ["stowplan.toml:3", "did you mean 'pypi'?"]),
    "secrets of a project": ('[secrets.pypi]\nenv = "A"\n', ["stowplan.toml:2", "secrets", "did you mean 'secret'?"]),
    "a secret as a build option": (docker('build_config = { build_options = { secret = "id=pypi" } }'), ["stowplan.toml:3", "build_options.secret", "use secrets"]),
    "a file with a secret that is copied": (docker('secrets = { pypi = { file = "token.txt" } }'), ["stowplan.toml:3", "secrets.pypi.file", "token.txt is copied into the image", "ignore file"]),
    "no Dockerfile": (docker('dockerfile = "docker/Dockerfile"'), ["dockerfile", "docker/Dockerfile does not exist", "create it"]),
    "bad requirement": (docker('requirements = ["torch=2"]'), ["requirements[0]", "torch=2"]),
    "frozen local project": (docker('requirements = ["mine @ file:///home/me/mine"]'), ["requirements[0]", "mine", "local_project_install_command"]),
    "credentials in a requirement": (docker('requirements = ["mine @ https://me:hunter22@example.org/mine.whl"]'), ["requirements[0]", "***"]),
    "skip_build without parent": ('[pipeline.p]\nsteps = ["a"]\nsettings.docker = { skip_build = true }\n', ["skip_build", "set parent_image"]),
    "project without files": (docker('local_project_install_command = "pip install .", allow_including_files_in_images = false'), ["local_project_install_command", "allow_including_files_in_images = true"]),
    "no steps": ("[pipeline.p]\n", ["pipeline.p", "no steps"]),
    "step twice": ('[pipeline.p]\nsteps = ["a", "a"]\n', ["steps[1]", "listed twice"]),
    "settings of no step": ('[pipeline.p]\nsteps = ["train"]\n[pipeline.p.step.trian.settings.docker]\nuser = "x"\n', ["step.trian", "did you mean 'train'"]),
    "unknown table": ('[pipelin.p]\nsteps = ["a"]\n', ["pipelin", "did you mean 'pipeline'"]),
    "scheme in a registry": ('[pipeline.p]\nsteps = ["a"]\n[stack.s]\ncontainer_registry = { uri = "https://r.io/x" }\n', ["stack.s.container_registry.uri", "write 'r.io/x'"]),
    "credentials in a registry": ('[pipeline.p]\nsteps = ["a"]\n[stack.s]\ncontainer_registry = { uri = "me:hunter22@r.io" }\n', ["uri", "docker login"]),
    "broken TOML": ("[pipeline.p\n", ["stowplan.toml:1", "not TOML"]),
    "variable that is not set": (docker('environment = { K = "${STOWPLAN_NO_SUCH_VARIABLE}" }'), ["stowplan.toml:3", "environment.K", "STOWPLAN_NO_SUCH_VARIABLE is not set", "export"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "words"), SETTINGS.values(), ids=SETTINGS.keys())
def test_a_bad_project_file_is_refused_with_place_and_remedy(
    project: Project, text: str, words: list[str]
) -> None:
    project.write({"stowplan.toml": text, "token.txt": "hunter22"})
    before = project.state()
    ran = project.run("plan")
    assert ran.code == 1
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert "hunter22" not in ran.err
    for word in words:
        assert word in ran.err
    assert project.state() == before


def test_a_builder_that_gives_no_secrets_is_refused_when_it_is_planned(project: Project) -> None:
    settings = 'local_project_install_command = "cat /run/secrets/pypi", secrets = { pypi = { env = "A" } }'
    project.write({"stowplan.toml": docker(settings)})
    for builder, code in (("classic", 1), ("auto", 0)):
        env = {"STOWPLAN_CONTAINER_ENGINE": "docker", "STOWPLAN_DOCKER_BUILDER": builder}
        ran = project.run("plan", env=env)
        assert ran.code == code
        assert ("stowplan.toml:3: pipeline.p.settings.docker.secrets.pypi" in ran.err) == bool(code)
        assert ("Docker's classic builder gives no secrets to commands" in ran.err) == bool(code)


def test_all_problems_come_at_once(project: Project) -> None:
    project.write({"stowplan.toml": docker('user = "a b", apt_packages = ["x y"], skip_build = 1')})
    error = project.run("plan").err
    assert [name in error for name in ("user", "apt_packages[0]", "skip_build")] == [True, True, True]


# What is in requirements.txt, and what the error has to say.
REQUIREMENTS = {
    "bad line": ("six\n\ntorch=2\n", ["requirements.txt:3", "torch=2"]),
    "missing include": ("-r more.txt\n", ["requirements.txt:1", "more.txt"]),
    "include outside": ("-r ../../more.txt\n", ["requirements.txt:1", "more.txt"]),
    "editable": ("-e .\n", ["requirements.txt:1", "local_project_install_command"]),
    "unknown option": ("--index-urll https://example.org\n", ["requirements.txt:1", "--index-url"]),
    "hashes for some": (
        f"six==1.16.0 --hash=sha256:{'0' * 64}\niniconfig\n",
        ["requirements.txt:2", "iniconfig"],
    ),
    "credentials": ("--index-url https://me:hunter22@example.org/simple\n", ["requirements.txt:1", "***"]),
}


@pytest.mark.parametrize(("text", "words"), REQUIREMENTS.values(), ids=REQUIREMENTS.keys())
def test_a_bad_requirements_file_is_refused_with_its_line(
    project: Project, text: str, words: list[str]
) -> None:
    project.write({"stowplan.toml": GOOD, "requirements.txt": text})
    for command in (["plan"], ["lock"], ["lock", "--check"], ["diff"], ["apply"]):
        before = project.state()
        ran = project.run(*command)
        assert (ran.code, ran.out) == (1, ""), command
        assert "Traceback" not in ran.err
        assert "hunter22" not in ran.err
        for word in words:
            assert word in ran.err
        assert project.state() == before


def test_a_missing_requirements_file_is_named(project: Project) -> None:
    project.write({"stowplan.toml": GOOD})
    ran = project.run("plan")
    assert ran.code == 1
    assert (
        "stowplan.toml:3: pipeline.training.settings.docker.requirements: requirements.txt does not exist"
        in ran.err
    )


def test_a_requirements_file_that_is_a_link_out_of_the_project_is_refused(project: Project) -> None:
    (project.root.parent / "secret.txt").write_text("six\n")
    project.write({"stowplan.toml": GOOD})
    (project.root / "requirements.txt").symlink_to("../secret.txt")
    ran = project.run("plan")
    assert ran.code == 1
    assert "requirements.txt" in ran.err


def test_a_bad_ignore_file_is_refused_with_its_line(project: Project) -> None:
    project.write({"stowplan.toml": GOOD, "requirements.txt": "six\n", ".dockerignore": "*.pyc\n[a\n"})
    ran = project.run("plan")
    assert ran.code == 1
    assert ".dockerignore:2" in ran.err


def test_what_cannot_be_copied_is_refused_by_name(project: Project) -> None:
    project.write({"stowplan.toml": GOOD, "requirements.txt": "six\n"})
    os.mkfifo(project.root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(project.root / "sock"))
        ran = project.run("plan")
    assert ran.code == 1
    assert "pipe" in ran.err
    assert "sock" in ran.err
    assert ".dockerignore" in ran.err
    project.write({".dockerignore": "pipe\nsock\n"})
    project.ok("plan")


def test_the_project_may_be_described_in_one_place_only(project: Project) -> None:
    project.write({"stowplan.toml": GOOD, "pyproject.toml": "[tool.stowplan.pipeline.p]\nsteps = ['a']\n"})
    ran = project.run("plan")
    assert ran.code == 1
    assert "keep one of the two" in ran.err


def test_no_project_says_what_to_write(project: Project) -> None:
    ran = project.run("plan")
    assert ran.code == 1
    assert "`stowplan init` writes stowplan.toml" in ran.err


# What is in stowplan.lock, and what the error has to say.
LOCKS = {
    "merge conflict": (
        "version = 2\n<<<<<<< ours\n=======\n>>>>>>> theirs\n",
        ["stowplan.lock:2", "merge conflict"],
    ),
    "broken TOML": ("version = \n", ["stowplan.lock:1", "not TOML"]),
    "unknown key": ("version = 2\nplans = 3\n", ["plans"]),
    "unknown key in version 1": ("version = 1\nplans = 3\n", ["plans"]),
    "wrong type": ('version = "2"\n', ["unknown schema '2'"]),
    "empty": ("", ["unknown schema"]),
}


@pytest.mark.parametrize(("text", "words"), LOCKS.values(), ids=LOCKS.keys())
def test_a_lock_that_cannot_be_read_is_refused_until_lock_repairs_it(
    project: Project, text: str, words: list[str]
) -> None:
    project.write({"stowplan.toml": GOOD, "requirements.txt": "six\n", "stowplan.lock": text})
    for command in (["plan"], ["lock", "--check"], ["diff"], ["apply"]):
        ran = project.run(*command)
        assert ran.code == 1, command
        for word in [*words, "`stowplan lock`"]:
            assert word in ran.err, command
        assert project.state()["stowplan.lock"] == text.encode()
    assert "stowplan.lock could not be read as a whole" in project.ok("lock").err
    project.ok("lock", "--check")


def test_a_byte_order_mark_in_a_lock_is_refused_until_lock_takes_it_away(project: Project) -> None:
    project.write({"stowplan.toml": GOOD, "requirements.txt": "six\n"})
    project.ok("lock")
    whole = (project.root / "stowplan.lock").read_text()
    project.write({"stowplan.lock": "\ufeff" + whole})
    ran = project.run("plan")
    assert ran.code == 1
    assert "not TOML" in ran.err
    assert "`stowplan lock`" in ran.err
    project.ok("lock")
    assert (project.root / "stowplan.lock").read_text() == whole


def test_a_lock_of_a_newer_stowplan_is_refused_and_kept(project: Project) -> None:
    project.write({"stowplan.toml": GOOD, "requirements.txt": "six\n", "stowplan.lock": "version = 99\n"})
    for command in (["plan"], ["lock"], ["lock", "--check"], ["diff"]):
        ran = project.run(*command)
        assert ran.code == 1, command
        assert "schema 99" in ran.err
        assert "upgrade stowplan" in ran.err
        assert project.state()["stowplan.lock"] == b"version = 99\n"


def test_an_edited_lock_is_refused(project: Project) -> None:
    project.write({"stowplan.toml": GOOD, "requirements.txt": "six==1.15.0\n"})
    project.ok("lock")
    lock = project.root / "stowplan.lock"
    whole = lock.read_text()
    lock.write_text(whole.replace("1.15", "1.14"))
    ran = project.run("plan", "--frozen")
    assert ran.code == 1
    assert "its hash is not that of its content" in ran.err
    assert "stowplan lock" in ran.err
    repaired = project.ok("lock")
    assert "dropped image 'training': its hash is not that of its content" in repaired.err
    assert lock.read_text() == whole


def test_without_a_lock_the_options_about_it_say_so(project: Project) -> None:
    project.write({"stowplan.toml": GOOD, "requirements.txt": "six\n"})
    for command in (["plan", "--frozen"], ["plan", "--locked"], ["apply", "--locked"], ["outdated"]):
        ran = project.run(*command)
        assert ran.code == 1, command
        assert "stowplan.lock does not exist" in ran.err.replace(": ", " ")
        assert "`stowplan lock`" in ran.err


# A wrong command line: what was typed, and what the error has to say.
USAGE = {
    "no such command": (["pln"], "did you mean 'plan'"),
    "no such option": (["plan", "--lokced"], "--locked"),
    "no such format": (["plan", "-o", "xml"], "markdown"),
    "no such pipeline": (["plan", "trainin"], "did you mean 'training'"),
    "no such stack": (["plan", "--stack", "defalt"], "did you mean 'default'"),
    "no such engine": (["apply", "--engine", "dokcer"], "did you mean 'docker'"),
    "no such image": (["show", "trian"], "did you mean 'train'"),
    "no such build": (["builds", "show", "7"], "builds list"),
    "no such directory": (["plan", "--project", "nowhere"], "nowhere"),
    "no such lock": (["diff", "other.lock"], "other.lock"),
    "NUL without context": (["show", "train", "-0"], "--context"),
}


@pytest.mark.parametrize(("argv", "word"), USAGE.values(), ids=USAGE.keys())
def test_a_wrong_command_line_ends_with_64(project: Project, argv: list[str], word: str) -> None:
    project.write({"stowplan.toml": GOOD, "requirements.txt": "six\n"})
    before = project.state()
    ran = project.run(*argv)
    assert ran.code == 64
    assert word in ran.err
    assert project.state() == before


def test_several_pipelines_need_a_name(project: Project) -> None:
    project.write({"stowplan.toml": GOOD + f'[pipeline.other]\nsteps = ["a"]\nsettings.docker = {{ parent_image = "{PINNED}" }}\n', "requirements.txt": "six\n"})  # fmt: skip
    ran = project.run("plan")
    assert ran.code == 64
    assert "training, other" in ran.err
    assert project.ok("plan", "other", "-o", "json").data["pipeline"] == "other"


def test_with_json_errors_are_json_too(project: Project) -> None:
    project.write({"stowplan.toml": docker('user = "a b"')})
    ran = project.run("plan", "-o", "json")
    assert ran.code == 1
    assert ran.data["schema"] == "stowplan/error/2"
    (problem,) = ran.data["problems"]
    assert set(problem) == {"code", "key", "file", "line", "where", "found", "fix"}
    assert problem["where"] == "stowplan.toml:3: pipeline.p.settings.docker.user"
    assert problem["key"] == "pipeline.p.settings.docker.user"
    assert ran.err == ""


def test_a_project_is_found_however_its_table_is_spelt(project: Project) -> None:
    project.write({"pyproject.toml": f'[tool]\nstowplan.pipeline.p = {{ steps = ["a"], settings.docker.parent_image = "{PINNED}" }}\n'})  # fmt: skip
    assert project.ok("plan", "-o", "json").data["pipeline"] == "p"
    project.write({"pyproject.toml": "[tool.stowplan.pipeline.p]\nsteps = [\n"})
    ran = project.run("plan")
    assert ran.code == 1
    assert "pyproject.toml:" in ran.err
    project.write({"pyproject.toml": '[project]\nname = "x"\ndescription = "made with stowplan"\n'})
    assert "`stowplan init` writes stowplan.toml" in project.run("plan").err
