"""Packages of an index with a login and certificates of its own, or behind a proxy.

Whatever the installer, the user of the parent and the engine: they are installed, and nothing stays of how.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from attrs import evolve

from executor.engines.docker import DockerEngine
from executor.engines.protocol import BuildJob, Engine
from executor.errors import BuildFailed
from executor.network import Network, network_of
from executor.process import Command, run
from executor.secrets import read_secrets
from tests.authority import Authority, authority
from tests.contract.images import TEST_BASE, build_text, job, planned, quiet
from tests.index import Index, package_index, sdist, two_indexes
from tests.web import Reply, Request, serving

PASSWORD: Final = "s3cr3t-of the index"  # of an index of the tests
LOOK: Final = "import alpha, corp_utils; print(alpha.__version__, corp_utils.__version__, corp_utils.text)"


@pytest.fixture
def mounting(engine: Engine) -> Engine:
    """Each engine that can give secrets to commands."""
    if isinstance(engine, DockerEngine) and not engine.uses_buildkit:
        pytest.skip("the classic builder gives none")
    return engine


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that this machine trusts, beside all that it trusts anyway."""
    made = authority(tmp_path / "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.beside_others()))
    return made


@pytest.fixture
def indexes(trusted: Authority) -> Iterator[tuple[Index, Index]]:
    """An index that everybody may ask, where somebody took a private name, and a private one."""
    with two_indexes(f"me:{PASSWORD}", trusted) as made:
        yield made


def settings(public: Index, corp: Index, installer: str, **more: Any) -> dict[str, Any]:
    """What an image asks for that has packages of both."""
    option = {"uv": "default-index", "pip": "index-url"}[installer]
    index = {"name": "corp", "url": corp.url, "packages": ["corp-*"], "secret": "pypi"}
    return {
        "requirements": ["alpha"],
        "python_package_installer": installer,
        "python_package_installer_args": {option: public.url},
        "package_indexes": [index],
        "secrets": {"pypi": {"env": "PYPI"}},
        "machine_network": True,
        "build_config": {"build_options": {"no_cache": True}},
        **more,
    }


def given(root: Path, asked: dict[str, Any], login: str, parent: str = TEST_BASE) -> BuildJob:
    """The job of an image that was resolved with the login of the index, and is built with one."""
    image = planned(root, asked, {"PYPI": f"me:{PASSWORD}"}, parent)
    secrets = read_secrets([image], root, {"PYPI": login})
    # Of the proxies of this machine, these tests say themselves which there are.
    certificates = network_of({"SSL_CERT_FILE": os.environ["SSL_CERT_FILE"]})
    return job(image, root, secrets=secrets, network=certificates)


# The parent has a user who is not root, and an environment that is that user's.
PARENT: Final = f"""FROM {TEST_BASE}
RUN python -m venv /opt/env && useradd -m runner && chown -R runner /opt/env
USER runner
ENV VIRTUAL_ENV=/opt/env
"""
# Files with the password, the address or the authority of the index, and files of logins and configurations.
TRACES: Final = """
grep -rlF -e s3cr3t -e {url} -e '{authority}' /opt /etc /home /root /tmp /run /var /stowplan
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
    work = given(tmp_path, settings(public, corp, installer), f"me:{PASSWORD}", parent)
    lines: list[str] = []
    built = mounting.build(work, lines.append).id
    try:
        done = mounting.run(built, ("/opt/env/bin/python", "-c", LOOK))
        assert done.code == 0, done.output
        assert done.output.split() == ["1.0", "1.0", "private" if source == "wheel" else "built"]
        assert corp.authority is not None
        known = corp.authority.bundle.read_text().splitlines()[1]
        look = TRACES.format(url=corp.url, authority=known)
        left = mounting.run(built, ("/bin/sh", "-c", f"{{ {look} }} 2>/dev/null"))
        assert left.output == ""
        told = run(Command((mounting.name, "image", "inspect", built)))
        history = run(Command((mounting.name, "history", "--no-trunc", built)))
        assert (told.code, history.code) == (0, 0)
        assert "s3cr3t" not in told.text + history.text + "\n".join(lines)
        (image,) = json.loads(told.text)
        names = {each.partition("=")[0] for each in image["Config"]["Env"]}
        assert "NETRC" not in names
        assert "stowplan-certificates" not in str(image["Config"])
    finally:
        mounting.remove(built)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_login_that_the_index_does_not_take_fails_the_build_and_is_not_shown(
    mounting: Engine, tmp_path: Path, indexes: tuple[Index, Index], installer: str
) -> None:
    work = given(tmp_path, settings(*indexes, installer), "me:wr0ng-password")
    with pytest.raises(BuildFailed) as failed:
        mounting.build(work, quiet)
    assert "cannot be installed" in str(failed.value)
    assert "wr0ng" not in str(failed.value)


def test_certificates_that_nobody_gives_are_none(
    mounting: Engine, tmp_path: Path, indexes: tuple[Index, Index]
) -> None:
    """A machine without the variable builds as before, and here that means: not."""
    work = given(tmp_path, settings(*indexes, "uv"), f"me:{PASSWORD}")
    with pytest.raises(BuildFailed) as failed:
        mounting.build(evolve(work, network=Network()), quiet)
    assert "certificate" in str(failed.value)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_proxies_are_used_and_do_not_stay(
    mounting: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installer: str
) -> None:
    """The index has a name that only the proxy knows."""
    with package_index() as index:
        index.release("alpha", "1.0")
        index.release("corp-utils", "1.0")

        def forward(request: Request) -> Reply:
            return index.answer(evolve(request, path=urlsplit(request.path).path))

        with serving(forward, host="0.0.0.0") as proxy:  # noqa: S104  # containers ask it, too
            url = f"http://me:s3cr3t-of-proxy@{index.host}:{proxy.port}"
            for name in ("HTTP_PROXY", "http_proxy"):
                monkeypatch.setenv(name, url)
            for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"):
                monkeypatch.delenv(name, raising=False)
            option = {"uv": "default-index", "pip": "index-url"}[installer]
            arguments = {option: "http://pypi.invalid/simple"}
            if installer == "pip":
                arguments["trusted-host"] = "pypi.invalid"
            (tmp_path / "train.py").write_text("1")
            asked = {
                "requirements": ["alpha"],
                "python_package_installer": installer,
                "python_package_installer_args": arguments,
                "local_project_install_command": 'test -n "$http_proxy" && test -n "$HTTP_PROXY"',
                "machine_network": True,
                "build_config": {"build_options": {"no_cache": True}},
            }
            work = job(planned(tmp_path, asked), tmp_path, network=network_of({"HTTP_PROXY": url}))
            lines: list[str] = []
            built = mounting.build(work, lines.append).id
    try:
        done = mounting.run(built, ("python", "-c", "import alpha, os; print(os.environ.get('HTTP_PROXY'))"))
        # Podman gives containers the proxies of the machine as well, whatever image they run.
        if mounting.name == "docker":
            assert done.output.strip() == "None"
        told = run(Command((mounting.name, "image", "inspect", built)))
        history = run(Command((mounting.name, "history", "--no-trunc", built)))
        assert (done.code, told.code, history.code) == (0, 0, 0)
        for text in (told.text, history.text, "\n".join(lines)):
            assert "s3cr3t" not in text
            assert str(proxy.port) not in text
    finally:
        mounting.remove(built)
