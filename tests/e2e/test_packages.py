"""What requirements come to: locked, installed by hash, moved when somebody asks, on real engines.

The index is the test's own, and gains versions between two days.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.pylock import Pylock

from executor.engines.protocol import Engine
from executor.observe.parents import by_container
from executor.process import Command, run
from planner import ImageRef
from tests.contract.images import build_text
from tests.e2e.command import PINNED, Project, Ran
from tests.e2e.images import Tags
from tests.index import Index, package_index, sdist, wheel


@pytest.fixture
def index() -> Iterator[Index]:
    """An index with a package that requires another one."""
    with package_index() as made:
        made.release("alpha", "1.0", ["beta>=1"])
        made.release("beta", "1.0")
        yield made


def written(project: Project, index: Index, *requirements: str, parent: str = PINNED, more: str = "") -> None:
    """A project with one image that has these requirements, from this index."""
    project.write({
        "stowplan.toml": f"""
            [pipeline.training]
            steps = ["train"]

            [pipeline.training.settings.docker]
            parent_image = "{parent}"
            requirements = {json.dumps(requirements)}
            python_package_installer_args = {{ default-index = "{index.url}" }}
            {more}
        """,
        ".dockerignore": "stowplan.*\n",
    })  # fmt: skip


def packages(project: Project) -> dict[str, str]:
    """The packages that the lock has, with their versions."""
    import tomllib  # noqa: PLC0415  # only these tests read one

    lock = tomllib.loads((project.root / "stowplan.lock").read_text())
    return {each["name"]: each.get("version", each.get("url")) for each in lock.get("package", ())}


def told(ran: Ran) -> list[str]:
    """What changed, in words."""
    return [change["text"] for image in ran.data["plans"] for change in image["changes"]]


KNOWN = 'python_version = "3.11"'


# --- the lock: no engine is needed ---------------------------------------------------------------------


def test_what_is_locked_stays_until_somebody_asks(project: Project, index: Index) -> None:
    written(project, index, "alpha", more=KNOWN)
    project.ok("lock")
    assert packages(project) == {"alpha": "1.0", "beta": "1.0"}
    index.release("beta", "1.1")
    index.release("alpha", "2.0", ["beta"])
    index.release("gamma", "1.0")
    # Nothing moves by itself, and an edit moves what it is about.
    project.ok("lock", "--check")
    project.ok("lock")
    assert packages(project) == {"alpha": "1.0", "beta": "1.0"}
    written(project, index, "alpha", "gamma", more=KNOWN)
    assert project.run("lock", "--check").code == 1
    project.ok("lock")
    assert packages(project) == {"alpha": "1.0", "beta": "1.0", "gamma": "1.0"}
    newer = [line for line in project.ok("outdated").out.splitlines() if line.endswith("(1 image)")]
    assert newer == ["alpha  1.0 → 2.0  (1 image)", "beta   1.0 → 1.1  (1 image)"]
    # One package, and only that.
    moved = project.ok("lock", "--upgrade-package", "beta").out
    assert "packages: beta 1.0 → 1.1, wanted by alpha" in moved
    assert packages(project) == {"alpha": "1.0", "beta": "1.1", "gamma": "1.0"}
    project.ok("lock", "--upgrade-package", "beta==1.0")
    assert packages(project)["beta"] == "1.0"
    # All of them.
    moved = project.ok("lock", "--upgrade").out
    assert "packages: alpha 1.0 → 2.0, requirements needs alpha" in moved
    assert packages(project) == {"alpha": "2.0", "beta": "1.1", "gamma": "1.0"}


def test_an_upgrade_of_a_package_that_is_not_locked_is_a_mistake(project: Project, index: Index) -> None:
    written(project, index, "alpha", more=KNOWN)
    project.ok("lock")
    mistakes = {
        "b eta": "is not a requirement",
        "betta": "did you mean 'beta'?",
        "beta[x]": "more than a package",
    }
    for text, words in mistakes.items():
        ran = project.run("lock", "--upgrade-package", text)
        assert ran.code == 64
        assert words in ran.err


def test_a_locked_plan_asks_no_index(project: Project, index: Index) -> None:
    written(project, index, "alpha", more=KNOWN)
    project.ok("lock")
    assert index.site is not None
    asked = len(index.site.requests)
    index.closed = True
    for command in (["plan"], ["lock", "--check"], ["plan", "--locked"], ["show", "training"], ["lock"]):
        project.ok(*command)
    assert len(index.site.requests) == asked


def test_without_an_index_it_is_said_what_could_not_be_resolved(project: Project, index: Index) -> None:
    written(project, index, "alpha", more=KNOWN)
    project.ok("lock")
    written(project, index, "alpha", "beta<2", "gamma", more=KNOWN)
    for command in (["plan", "--offline"], ["show", "training", "--dockerfile", "--offline"]):
        ran = project.run(*command)
        assert ran.code == 75
        assert "training: requirements cannot be resolved: the lock has no versions for them" in ran.err
    index.closed = True
    ran = project.run("lock", env={"UV_HTTP_RETRIES": "0"})
    assert ran.code == 75
    assert "training: requirements cannot be resolved: " in ran.err
    assert packages(project) == {"alpha": "1.0", "beta": "1.0"}


def test_no_package_newer_than_a_date(project: Project, index: Index) -> None:
    index.release("beta", "1.1", time="2026-03-02T00:00:00Z")
    written(project, index, "alpha", more=KNOWN)
    project.ok("lock", "--exclude-newer", "2026-03-01")
    assert packages(project)["beta"] == "1.0"
    # The lock keeps the date, until another one is given, or none.
    project.ok("lock", "--upgrade")
    assert packages(project)["beta"] == "1.0"
    assert 'exclude_newer = "2026-03-01T23:59:59Z"' in (project.root / "stowplan.lock").read_text()
    project.ok("lock", "--exclude-newer", "2026-03-02T12:00:00+02:00", "--upgrade")
    assert 'exclude_newer = "2026-03-02T10:00:00Z"' in (project.root / "stowplan.lock").read_text()
    assert packages(project)["beta"] == "1.1"
    project.ok("lock", "--exclude-newer", "none")
    assert "exclude_newer" not in (project.root / "stowplan.lock").read_text()
    assert project.run("lock", "--exclude-newer", "yesterday").code == 64


def test_requirements_that_contradict_each_other_name_the_lines(project: Project, index: Index) -> None:
    written(project, index, "alpha", "beta<1", more=KNOWN)
    ran = project.run("lock")
    assert ran.code == 1
    assert "stowplan.toml:6: " in ran.err
    assert "requirements needs alpha; requirements needs beta<1." in ran.err


def test_prefer_own_requirements(project: Project, index: Index) -> None:
    index.release("beta", "0.9")
    index.release("gamma", "1.0")
    stack = """
            [stack.default]
            orchestrator = { flavor = "local", requirements = ["alpha", "gamma<2"] }
    """
    written(project, index, "beta<1", more=KNOWN + stack)
    ran = project.run("lock")
    assert ran.code == 1
    # alpha of the stack wants another beta.
    assert "stack needs alpha at stack.default.orchestrator; requirements needs beta<1." in ran.err
    fix = "set prefer_own_requirements = true to have those of requirements win"
    assert fix in ran.err
    written(project, index, "beta<1", more=f"{KNOWN}\n            prefer_own_requirements = true{stack}")
    project.ok("lock")
    assert packages(project) == {"alpha": "1.0", "beta": "0.9", "gamma": "1.0"}
    note = "training: beta<1 of requirements wins over what other packages require of beta"
    # Nobody is asked for what the lock says.
    index.closed = True
    notes = project.ok("plan", "-o", "json").data["notes"]
    assert ("overridden", "training", note) in [(each["code"], each["key"], each["text"]) for each in notes]
    project.ok("lock", "--check")


def test_package_indexes(project: Project, index: Index) -> None:
    with package_index() as cuda:
        cuda.release("beta", "1.0+cu126")
        assert cuda.site is not None
        own = f'package_indexes = [{{ name = "cu126", url = "{cuda.url}", packages = ["beta"] }}]'
        written(project, index, "alpha", more=f"{KNOWN}\n            {own}")
        project.ok("lock")
        assert packages(project) == {"alpha": "1.0", "beta": "1.0+cu126"}
        assert 'index = "cu126"' in (project.root / "stowplan.lock").read_text()
        # The lock knows where the image has it from.
        index.closed = cuda.closed = True
        for more in ([], ["--frozen"]):
            text = project.ok("show", "training", "--dockerfile", *more).out
            (call,) = [line for line in text.splitlines() if "requirements-index1.txt" in line]
            assert f"--index=cu126={cuda.url} " in call
            assert "--no-deps --require-hashes" in call
        project.ok("lock", "--check")
        index.closed = cuda.closed = False
        exported = project.ok("export", "training", "--format", "pylock").out
        assert f"{cuda.url.removesuffix('/simple')}/files/beta/" in exported
        # A newer one is there, and moves when somebody asks.
        cuda.release("beta", "1.1+cu126")
        assert "beta  1.0+cu126 → 1.1+cu126" in project.ok("outdated").out
        written(project, index, "alpha", more=KNOWN)
        assert project.run("lock", "--check").code == 1
        project.ok("lock")
        assert packages(project) == {"alpha": "1.0", "beta": "1.0"}


def test_indexes_of_a_project_of_uv(project: Project, index: Index) -> None:
    from uv import find_uv_bin  # noqa: PLC0415  # only these tests run it

    with package_index() as cuda:
        cuda.release("beta", "1.0+cu126")
        written(project, index, more=f'{KNOWN}\n            pyproject_path = "pyproject.toml"')
        project.write(
            {
                "pyproject.toml": f"""
                [project]
                name = "models"
                version = "1"
                requires-python = ">=3.11"
                dependencies = ["alpha", "beta"]

                [tool.uv]
                sources.beta = [{{ index = "cuda", marker = "sys_platform == 'linux'" }}]
                index = [
                    {{ name = "cuda", url = "{cuda.url}", explicit = true }},
                    {{ url = "{index.url}", default = true }},
                ]
            """
            }
        )
        project.ok("lock")
        assert packages(project) == {"alpha": "1.0", "beta": "1.0+cu126"}
        # With a lock of uv it is the same.
        uv = ("env", "-C", str(project.root), find_uv_bin(), "lock", "--quiet")
        done = run(Command(uv), merged=True)
        assert done.code == 0, done.text
        project.ok("lock")
        assert packages(project) == {"alpha": "1.0", "beta": "1.0+cu126"}
        assert "/stowplan/pyproject-index1.txt" in project.ok("show", "training", "--dockerfile").out
        # So it is with what uv exports of that lock, though the other index has an alpha, too.
        cuda.release("alpha", "0.1")
        words = (
            "export",
            "--quiet",
            "--no-emit-project",
            "--format=pylock.toml",
            "--output-file=pylock.toml",
        )
        done = run(Command(("env", "-C", str(project.root), find_uv_bin(), *words)), merged=True)
        assert done.code == 0, done.text
        written(project, index, "pylock.toml", more=KNOWN)
        (project.root / "stowplan.lock").unlink()
        project.ok("lock")
        assert packages(project) == {"alpha": "1.0", "beta": "1.0+cu126"}


def test_a_backend_of_torch_reaches_the_resolution_and_the_image(project: Project, index: Index) -> None:
    """Which index of PyTorch that is, uv says: what is seen here is that it is asked."""
    index.release("torch", "1.0")
    written(project, index, "torch", more=KNOWN)
    text = (project.root / "stowplan.toml").read_text()
    project.write({"stowplan.toml": text.replace("args = {", 'args = { torch-backend = "cu126",')})
    ran = project.run(
        "lock", env={"UV_HTTP_RETRIES": "0", "ALL_PROXY": "http://127.0.0.1:9", "NO_PROXY": index.host}
    )
    assert "download.pytorch.org/whl/cu126" in ran.err


@pytest.mark.parametrize("form", ["delta @ {}", "{}"])
def test_a_branch_stays_at_its_commit(project: Project, index: Index, tmp_path: Path, form: str) -> None:
    """A repository has no hash: the lock has a commit, and keeps it."""
    repository = tmp_path / "delta"
    repository.mkdir()
    (repository / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "delta"\nversion = "1.0"\n'
    )
    git = ("git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@example.com")
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-qm", "one")):
        assert run(Command((*git, *words))).code == 0
    first = run(Command((*git, "rev-parse", "HEAD"))).text.strip()
    # Served as any static host does it.
    with package_index() as served:

        def publish() -> None:
            assert run(Command((*git, "update-server-info"))).code == 0
            for path in (repository / ".git").rglob("*"):
                if path.is_file():
                    served.raw[f"/delta.git/{path.relative_to(repository / '.git')}"] = path.read_bytes()

        publish()
        assert served.site is not None
        line = form.format(f"git+http://127.0.0.1:{served.site.port}/delta.git@main")
        written(project, index, line, more=KNOWN)
        project.ok("lock")
        assert packages(project)["delta"].endswith(f"/delta.git@{first}")
        assert run(Command((*git, "commit", "-q", "--allow-empty", "-m", "two"))).code == 0
        publish()
        written(project, index, line, "beta", more=KNOWN)
        project.ok("lock")
        assert packages(project)["delta"].endswith(f"/delta.git@{first}")
        assert project.ok("why", "training", "delta").out.splitlines()[1:] == [f"  requirements: {line}"]
        project.ok("lock", "--upgrade-package", "delta")
        assert not packages(project)["delta"].endswith(f"/delta.git@{first}")
        assert "built in the image, since they have no wheel that fits: delta" in project.ok("plan").out


def test_who_wants_a_package_and_what_others_read(project: Project, index: Index) -> None:
    index.release("gamma", "1.0", ["alpha"])
    written(project, index, "gamma", "beta<2", more=KNOWN)
    project.ok("lock")
    assert project.ok("why", "training", "Beta").out == (
        "beta 1.0\n  requirements: beta<2\n  requirements: gamma → alpha → beta\n"
    )
    chains = project.ok("why", "train", "alpha", "-o", "json").data["chains"]
    assert chains == [{"source": "requirements", "requirement": "gamma", "packages": ["gamma", "alpha"]}]
    shown = project.ok("why", "train", "alpha", "-o", "markdown").out
    assert "| requirements | gamma | gamma → alpha |" in shown
    ran = project.run("why", "training", "betta")
    assert ran.code == 64
    assert "did you mean 'beta'?" in ran.err
    # What is printed is what is locked, and pip takes it.
    exported = project.ok("export", "training").out
    lines = [line for line in exported.splitlines() if "==" in line]
    assert lines == ["alpha==1.0 \\", "beta==1.0 \\", "gamma==1.0 \\"]
    (project.root / "exported.txt").write_text(exported)
    target = project.root / "target"
    pip = ("-m", "pip", "install", "--no-deps", "--require-hashes", f"--target={target}", "-rexported.txt")
    index_options = (f"--index-url={index.url}", f"--trusted-host={index.host}")
    command = ("env", "-C", str(project.root), sys.executable, *pip, *index_options)
    done = run(Command(command), merged=True)
    assert done.code == 0, done.text
    assert (target / "alpha.py").exists()
    # How much a layer downloads is the sum of the files.
    size = sum(len(data) for name in ("alpha", "beta", "gamma") for data in index.files[name].values())
    assert f"builds layers: requirements ({size / 1000:.1f} kB to download), files" in project.ok("plan").out
    assert f"requirements 3 packages, {size / 1000:.1f} kB to download" in project.ok("show", "training").out


def test_a_pylock_is_what_is_locked(project: Project, index: Index) -> None:
    import tomllib  # noqa: PLC0415  # as above

    from uv import find_uv_bin  # noqa: PLC0415  # only this test runs it

    index.add("source", sdist("source", "1.0"))
    native = ("cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_17_aarch64", "py3-none-any")
    for tag in native:
        index.add("native", wheel("native", "1.0", tag=tag))
    served = f"{index.url.removesuffix('/simple')}/files/direct/{wheel('direct', '1.0')[0]}"
    index.release("direct", "1.0")
    written(project, index, "alpha", "native", "source", f"direct @ {served}", more=KNOWN)
    project.ok("lock")
    # What is published later, for the version that is locked as well, is not in it.
    index.release("beta", "1.1")
    index.add("native", wheel("native", "1.0", tag="py3-none-manylinux_2_5_x86_64"))
    text = project.ok("export", "training", "--format", "pylock").out
    lock = Pylock.from_dict(tomllib.loads(text))
    assert lock.created_by == "stowplan"
    locked = tomllib.loads((project.root / "stowplan.lock").read_text())
    found = {str(each.name): each for each in lock.packages}
    assert {name: str(each.version or "") for name, each in found.items()} == {
        "alpha": "1.0", "beta": "1.0", "direct": "", "native": "1.0", "source": "1.0"
    }  # fmt: skip
    hashes = {
        name: sorted(
            f"sha256:{file.hashes['sha256']}"
            for file in (each.archive, each.sdist, *(each.wheels or ()))
            if file is not None
        )
        for name, each in found.items()
    }
    assert hashes == {
        each["name"]: sorted(file["hash"] for file in each["files"]) for each in locked["package"]
    }
    assert found["alpha"].dependencies == [{"name": "beta"}]
    # uv installs it for the Python and the platform of the image, and not for others.
    (project.root / "pylock.toml").write_text(text)
    platform = locked["resolution"][0]["platform"]
    target = project.root / "target"
    words = ("pip", "install", "--quiet", "--no-build-isolation", f"--target={target}", "-rpylock.toml")
    uv = ("env", "-C", str(project.root), find_uv_bin(), *words, f"--python={sys.executable}")
    done = run(Command((*uv, "--python-version=3.11", f"--python-platform={platform}")), merged=True)
    assert done.code == 0, done.text
    assert {path.stem for path in target.glob("*.py")} >= found.keys()
    done = run(Command((*uv, "--python-version=3.12", f"--python-platform={platform}")), merged=True)
    assert done.code == 2
    assert "not supported by the lockfile" in done.text
    # The lock has no addresses.
    ran = project.run("export", "training", "--format", "pylock", "--offline")
    assert ran.code == 75
    assert "training: the addresses of its files are not known: no index is asked" in ran.err
    assert project.ok("export", "training", "--offline").out.startswith("alpha==1.0 \\\n")
    # A file that was replaced is not the one of the lock.
    index.add("beta", wheel("beta", "1.0", text="another"))
    ran = project.run("export", "training", "--format", "pylock", env={"UV_NO_CACHE": "1"})
    assert ran.code == 1
    assert "beta==1.0: its index has no beta-1.0-py3-none-any.whl with the hash of the lock" in ran.err


def test_two_clean_environments_write_the_same_bytes(project: Project, index: Index, tmp_path: Path) -> None:
    index.add("native", wheel("native", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64"))
    index.add("native", wheel("native", "1.0", tag="py3-none-any"))
    index.add("native", sdist("native", "1.0"))
    written(project, index, "alpha", "native", more=KNOWN)
    locks = []
    for number, more in enumerate((
        {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
        {"TZ": "Pacific/Auckland", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "UV_PRERELEASE": "allow"},
    )):  # fmt: skip
        temporary = tmp_path / f"tmp {number}"
        temporary.mkdir()
        env = {**more, "TMPDIR": str(temporary), "UV_CACHE_DIR": str(tmp_path / f"cache{number}")}
        (project.root / "stowplan.lock").unlink(missing_ok=True)
        command = project.command("lock")
        umask = ("/bin/sh", "-c", f'umask {"077" if number else "002"}; exec "$@"', "sh")
        done = run(Command(("env", "-C", str(project.root), *umask, *command), env=project.environment(env)))
        assert done.code == 0, done.stderr
        locks.append((project.root / "stowplan.lock").read_bytes())
        assert list(temporary.iterdir()) == []
    assert locks[0] == locks[1]
    assert b'name = "native-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"' in locks[0]


def test_a_cache_of_the_installer_is_refused_where_no_builder_keeps_one(
    project: Project, index: Index
) -> None:
    cache = 'python_package_installer_cache_mount = "type=cache,target=/c,id=uv"'
    written(project, index, "alpha", more=KNOWN)
    project.ok("lock")
    lock = (project.root / "stowplan.lock").read_text()
    written(project, index, "alpha", more=f"{KNOWN}\n{cache}")
    docker = {"STOWPLAN_CONTAINER_ENGINE": "docker"}
    ran = project.run("plan", env={**docker, "STOWPLAN_DOCKER_BUILDER": "classic"})
    assert ran.code == 1
    assert (
        "python_package_installer_cache_mount: Docker's classic builder keeps no cache between builds"
        in ran.err
    )
    assert "leave it out, or build with Docker's BuildKit or Podman" in ran.err
    project.ok("plan", env=docker)
    # What is kept between builds says nothing of the image: the lock holds with it.
    assert project.ok("lock", "--check").code == 0
    project.ok("lock")
    assert (project.root / "stowplan.lock").read_text() == lock
    shown = project.ok("show", "training", "--dockerfile").out
    assert "RUN --mount=type=cache,target=/dev/shm/stowplan-cache,id=uv export" in shown


def test_setuptools_is_asked_for_dynamic_dependencies_and_leaves_nothing(
    project: Project, index: Index
) -> None:
    written(project, index, more=f'{KNOWN}\npyproject_path = "models/pyproject.toml"')
    project.write({
        "models/pyproject.toml": f"""
            [build-system]
            requires = ["setuptools"]
            build-backend = "setuptools.build_meta"
            [project]
            name = "models"
            version = "1"
            dynamic = ["dependencies"]
            [tool.setuptools]
            py-modules = []
            [tool.setuptools.dynamic]
            dependencies = {{ file = ["needs.txt"] }}
            [[tool.uv.index]]
            url = "{index.url}"
        """,
        "models/needs.txt": "alpha\n",
    })  # fmt: skip
    project.ok("lock")
    assert packages(project) == {"alpha": "1.0", "beta": "1.0"}
    assert {path.name for path in (project.root / "models").iterdir()} == {"pyproject.toml", "needs.txt"}


# --- the Python of an image that no registry tells of -------------------------------------------------


def test_an_image_is_run_once_for_its_python(project: Project, index: Index, tags: Tags, base: str) -> None:
    """What its Python says is in the lock: from then on neither the image nor its engine has to be there."""
    parent = f"localhost/stowplan-test/{uuid.uuid4().hex}:1"
    build_text(tags.engine, tags.made(parent), f'FROM {base}\nENTRYPOINT ["python3", "-c"]\n')
    found = by_container(ImageRef.parse(parent), False, tags.engine)
    assert found is not None
    written(project, index, "alpha", parent=parent)
    project.ok("lock", "--allow-unpinned")
    lock = (project.root / "stowplan.lock").read_text()
    assert f'python = "{found.version}"\nplatform = "x86_64-manylinux_2_{found.glibc}"\n' in lock
    tags.engine.remove(parent)
    assert "stowplan.lock is up to date" in project.ok("lock", "--allow-unpinned").out
    written(project, index, "beta", parent=parent)
    nowhere = {"DOCKER_HOST": "tcp://127.0.0.1:1", "PATH": "/nowhere"}
    project.ok("lock", "--allow-unpinned", env=nowhere)
    assert packages(project) == {"beta": "1.0"}
    again = (project.root / "stowplan.lock").read_text()
    assert f'python = "{found.version}"\nplatform = "x86_64-manylinux_2_{found.glibc}"\n' in again


def test_what_nobody_tells_is_assumed_until_an_engine_does(
    project: Project, index: Index, tags: Tags, base: str
) -> None:
    parent = f"localhost/stowplan-test/{uuid.uuid4().hex}:1"
    written(project, index, "alpha", parent=parent)
    said = project.ok("lock", "--allow-unpinned").err
    assert f"note: the Python of {parent} is not known: " in said
    assert "assumed = true" in (project.root / "stowplan.lock").read_text()
    build_text(tags.engine, tags.made(parent), f"FROM {base}\nENV A=1\n")
    # What is locked stays; the note says what moves it.
    project.ok("lock", "--allow-unpinned")
    assert "assumed = true" in (project.root / "stowplan.lock").read_text()
    assert f"`stowplan lock --upgrade-image {parent}`" in said
    said = project.ok("lock", "--allow-unpinned", "--upgrade-image", parent).err
    assert "is not known: requirements" not in said
    assert "assumed" not in (project.root / "stowplan.lock").read_text()


# --- the image ------------------------------------------------------------------------------------------


def installed(engine: Engine, applied: Ran) -> list[str]:
    """The versions of alpha and beta in the image that was built."""
    (image,) = applied.data["images"]
    look = "import alpha, beta; print(alpha.__version__, beta.__version__)"
    done = engine.run(image["reference"], ("python", "-c", look))
    assert done.code == 0, done.output
    return done.output.split()


def test_a_locked_image_has_the_same_packages_on_a_later_day(
    project: Project, index: Index, tags: Tags, base: str, registry: str
) -> None:
    parent = f"{registry}/python:1"
    # An image of its own: Podman knows a base by each digest that it was ever pushed and pulled under.
    build_text(tags.engine, tags.made(parent), f"FROM {base}\nENV A=1\n")
    tags.made(str(ImageRef.parse(parent).pinned(tags.engine.push(parent, lambda _: None))))
    written(project, index, "alpha", parent=parent)
    project.ok("lock")
    # A day later.
    index.release("beta", "1.1")
    index.release("alpha", "2.0", ["beta"])
    assert installed(tags.engine, project.ok("apply", "--locked", "-o", "json")) == ["1.0", "1.0"]
    newer = [line for line in project.ok("outdated").out.splitlines() if line.endswith("(1 image)")]
    assert newer == ["alpha  1.0 → 2.0  (1 image)", "beta   1.0 → 1.1  (1 image)"]
    moved = project.ok("lock", "--upgrade").out
    assert "alpha 1.0 → 2.0" in moved
    assert "beta 1.0 → 1.1" in moved
    # The index says the hash that it said before; the bytes are others.
    index.tampered["beta-1.1-py3-none-any.whl"] = wheel("beta", "1.1", text="tampered")[1]
    failed = project.run("apply", "--locked")
    assert failed.code == 1
    assert "cannot be installed" in failed.err
    assert "Hash mismatch for `beta==1.1`" in failed.err
    index.tampered.clear()
    assert installed(tags.engine, project.ok("apply", "--locked", "-o", "json")) == ["2.0", "1.1"]
