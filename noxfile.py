"""What is checked, as nox sessions; `make test` runs all but bench.

Sessions run in the environment that nox itself is installed in (`make` sets it up, with the extras
`test` and `lint`), except `wheel`, whose point is a clean one.
"""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "none"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "wheel", "unit", "property", "contract", "e2e"]

ROOT = Path(__file__).parent
# Where engines have to be: a missing one is a failure, and not a skip.
REQUIRED = os.environ.get("CI") == "true" or os.environ.get("STOWPLAN_REQUIRE_ENGINES") == "1"
SCRIPTS = (".ci/run", "scripts/demo.sh", "scripts/engines.sh")


def python(session: nox.Session, *arguments: str, env: Mapping[str, str] | None = None) -> None:
    """Run Python as in an activated environment: with the commands of its packages on the PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    session.run(sys.executable, *arguments, env={**(env or {}), "PATH": path})


@nox.session
def lint(session: nox.Session) -> None:
    python(session, "-m", "ruff", "check", ".")
    python(session, "-m", "ruff", "format", "--check", ".")
    if shutil.which("shellcheck"):
        session.run("shellcheck", *SCRIPTS)
    elif REQUIRED:
        session.error("no shellcheck: install it with apt-get install shellcheck")
    else:
        session.log("shell scripts are not checked: there is no shellcheck")


@nox.session
def types(session: nox.Session) -> None:
    python(session, "-m", "mypy", *session.posargs)


@nox.session
def unit(session: nox.Session) -> None:
    python(session, "-m", "pytest", "tests/unit", *session.posargs)


@nox.session(name="property")
def property_tests(session: nox.Session) -> None:
    python(session, "-m", "pytest", "tests/property", *session.posargs)


@nox.session
def contract(session: nox.Session) -> None:
    env = engines(session)
    python(session, "-m", "pytest", "tests/contract", *session.posargs, env=env)


@nox.session
def e2e(session: nox.Session) -> None:
    env = engines(session)
    python(session, "-m", "pytest", "tests/e2e", *session.posargs, env=env)


@nox.session
def bench(session: nox.Session) -> None:
    python(session, "-m", "benchmarks.bench", *session.posargs)


@nox.session
def torture(session: nox.Session) -> None:
    python(session, "-m", "tests.torture", *session.posargs, env=engines(session))


@nox.session(venv_backend="virtualenv")
def wheel(session: nox.Session) -> None:
    work = Path(session.create_tmp()).resolve()
    for old in work.iterdir():
        shutil.rmtree(old)
    session.install("build")
    # The sdist first and the wheel from it, so that both are known to be complete.
    session.run("python", "-m", "build", "--outdir", str(work / "dist"), silent=True)
    (built,) = (work / "dist").glob("*.whl")
    check_content(session, built)

    session.run(sys.executable, "-m", "venv", str(work / "clean"), external=True)
    clean = work / "clean/bin"
    session.run(str(clean / "python"), "-m", "pip", "install", "--quiet", str(built), external=True)
    shutil.copytree(ROOT / "fixtures/projects/demo", work / "project")
    (work / "elsewhere").mkdir()
    session.chdir(work / "elsewhere")
    session.run(str(clean / "stowplan"), "--version", external=True)
    # The page is made from files that are no modules.
    drawn = ("--html", str(work / "plan.html"))
    session.run(str(clean / "stowplan"), "plan", "--project", str(work / "project"), *drawn, external=True)
    # A program of somebody who has stowplan installed: its types are found, and it runs.
    program = shutil.copy(ROOT / "fixtures/programs/what_is_built.py", work / "elsewhere")
    checked = ("--strict", "--python-executable", str(clean / "python"), program)
    session.run(sys.executable, "-m", "mypy", *checked, external=True)
    session.run(str(clean / "python"), program, str(work / "project"), external=True)


def check_content(session: nox.Session, built: Path) -> None:
    """The two packages, the door, and nothing else."""
    names = zipfile.ZipFile(built).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    if tops != {"planner", "executor", "stowplan"}:
        session.error(
            f"the wheel has more or less than planner, executor and stowplan: {', '.join(sorted(tops))}"
        )
    missing = {f"{name}/py.typed" for name in tops} - set(names)
    if missing:
        session.error(f"not in the wheel: {', '.join(sorted(missing))}")


def engines(session: nox.Session) -> Mapping[str, str]:
    """The environment in which tests find the engines, which are brought up where they have to be."""
    found = engine_environment(session)
    there = {"STOWPLAN_TEST_DOCKER", "STOWPLAN_TEST_PODMAN"} & found.keys()
    if REQUIRED or (not there and os.geteuid() == 0):
        session.run("scripts/engines.sh", "up", external=True)
        found = engine_environment(session)
        session.log("the engines stay up: `make engines-down` stops those that were started here")
    return {**found, "STOWPLAN_REQUIRE_ENGINES": "1"} if REQUIRED else found


def engine_environment(session: nox.Session) -> dict[str, str]:
    """The environment of this process with what `scripts/engines.sh env` adds to it."""
    script = 'settings=$(scripts/engines.sh env) && eval "$settings" && env --null'
    listed = session.run("bash", "-c", script, external=True, silent=True, log=False)
    return dict(item.split("=", 1) for item in str(listed).split("\0") if "=" in item)
