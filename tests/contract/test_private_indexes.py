"""Packages of an index that wants a login, whatever the installer, the user of the parent and the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from executor.engines.docker import DockerEngine
from executor.engines.protocol import Engine
from executor.errors import BuildFailed
from executor.process import Command, run
from executor.secrets import read_secrets
from planner import ImagePlan
from tests.contract.images import TEST_BASE, build_text, job, planned, quiet
from tests.index import Index, package_index, sdist, wheel

PASSWORD: Final = "s3cr3t-of the index"  # of an index of the tests
LOOK: Final = "import alpha, corp_utils; print(alpha.__version__, corp_utils.__version__, corp_utils.text)"


@pytest.fixture
def mounting(engine: Engine) -> Engine:
    """Each engine that can give secrets to commands."""
    if isinstance(engine, DockerEngine) and not engine.uses_buildkit:
        pytest.skip("the classic builder gives none")
    return engine


@pytest.fixture
def indexes() -> Iterator[tuple[Index, Index]]:
    """An index that everybody may ask, where somebody took a private name, and a private one."""
    with package_index() as public, package_index(login=f"me:{PASSWORD}") as corp:
        public.release("alpha", "1.0", ["corp-utils"])
        public.release("corp-utils", "99.0")
        corp.add("corp-utils", wheel("corp-utils", "1.0", text="private"))
        yield public, corp


def settings(public: Index, corp: Index, installer: str, **more: Any) -> dict[str, Any]:
    """What an image asks for that has packages of both."""
    arguments: dict[str, Any] = {"default-index": public.url}
    if installer == "pip":
        arguments = {"index-url": public.url, "trusted-host": corp.host}
    index = {"name": "corp", "url": corp.url, "packages": ["corp-*"], "secret": "pypi"}
    return {
        "requirements": ["alpha"],
        "python_package_installer": installer,
        "python_package_installer_args": arguments,
        "package_indexes": [index],
        "secrets": {"pypi": {"env": "PYPI"}},
        "build_config": {"build_options": {"no_cache": True}},
        **more,
    }


def given(root: Path, asked: dict[str, Any], login: str, parent: str = TEST_BASE) -> tuple[ImagePlan, Any]:
    """A plan that was resolved with the login of the index, and the job with another one."""
    image = planned(root, asked, {"PYPI": f"me:{PASSWORD}"}, parent)
    return image, job(image, root, secrets=read_secrets([image], root, {"PYPI": login}))


# The parent has a user who is not root, and an environment that is that user's.
PARENT: Final = f"""FROM {TEST_BASE}
RUN python -m venv /opt/env && useradd -m runner && chown -R runner /opt/env
USER runner
ENV VIRTUAL_ENV=/opt/env
"""
# Files with the password or the address of the index, and files of logins and of configurations.
TRACES: Final = """
grep -rlF -e s3cr3t -e {url} /opt /etc /home /root /tmp /run /var /stowplan
find / -xdev -newer /opt/env/pyvenv.cfg '(' -name '.netrc' -o -name netrc -o -name 'pip.conf' ')' -print
"""


@pytest.fixture
def parent(mounting: Engine, new_tag: Callable[[str], str]) -> str:
    """A parent image of an ordinary user."""
    made = new_tag("localhost")
    build_text(mounting, made, PARENT)
    return made


@pytest.mark.parametrize("installed", ["uv wheel", "uv sdist", "pip wheel"])
def test_a_package_of_a_private_index_is_installed_and_no_login_stays(
    mounting: Engine, parent: str, tmp_path: Path, indexes: tuple[Index, Index], installed: str
) -> None:
    installer, source = installed.split()
    public, corp = indexes
    if source == "sdist":
        corp.files.clear()
        corp.add("corp-utils", sdist("corp-utils", "1.0"))
    _, work = given(tmp_path, settings(public, corp, installer), f"me:{PASSWORD}", parent)
    lines: list[str] = []
    built = mounting.build(work, lines.append).id
    try:
        done = mounting.run(built, ("/opt/env/bin/python", "-c", LOOK))
        assert done.code == 0, done.output
        assert done.output.split() == ["1.0", "1.0", "private" if source == "wheel" else "built"]
        left = mounting.run(built, ("/bin/sh", "-c", f"{{ {TRACES.format(url=corp.url)} }} 2>/dev/null"))
        assert left.output == ""
        told = run(Command((mounting.name, "image", "inspect", built)))
        history = run(Command((mounting.name, "history", "--no-trunc", built)))
        assert (told.code, history.code) == (0, 0)
        assert "s3cr3t" not in told.text + history.text + "\n".join(lines)
    finally:
        mounting.remove(built)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_login_that_the_index_does_not_take_fails_the_build_and_is_not_shown(
    mounting: Engine, tmp_path: Path, indexes: tuple[Index, Index], installer: str
) -> None:
    _, work = given(tmp_path, settings(*indexes, installer), "me:wr0ng-password")
    with pytest.raises(BuildFailed) as failed:
        mounting.build(work, quiet)
    assert "requirements cannot be installed" in str(failed.value)
    assert "wr0ng" not in str(failed.value)
