"""Indexes that want a login: where it is found when requirements are resolved, and how an image gets it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from executor.errors import ExecutorError
from executor.logins import Login, login_of, mounted_logins, netrc_of
from executor.observe.programs import output_of
from executor.process import Command, run
from executor.reading import NotRead
from executor.resolve.uv import resolve
from planner.errors import Place
from planner.facts.needs import ProgramOutput, Resolve
from planner.image.plan import ImagePlan
from planner.render.dockerfile import dockerfile
from planner.requirements.indexes import as_options
from planner.requirements.model import Requirement, Requirements
from planner.requirements.resolution import Inputs, Resolution
from planner.settings.package_indexes import PackageIndex
from planner.settings.secrets import Secret, SecretSource
from tests.authority import Authority, authority
from tests.builders import World, plan_of
from tests.index import Index, package_index, wheel

PASSWORD: Final = "s3cr3t-of-the-index"  # of an index of the tests
PLATFORM: Final = "x86_64-manylinux_2_36"


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that this process trusts, and no cache, configuration or login of anybody else's."""
    made = authority(tmp_path / "authority")
    home = tmp_path / "home"
    home.mkdir()
    for name in ("NETRC", "XDG_CONFIG_HOME", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SSL_CERT_FILE", str(made.bundle))
    return made


@pytest.fixture
def corp(trusted: Authority) -> Iterator[Index]:
    """A private index, with a login and with TLS of its own."""
    with package_index(login=f"me:{PASSWORD}", authority=trusted) as made:
        made.release("corp-utils", "1.0", ["beta"])
        yield made


@pytest.fixture
def public(trusted: Authority) -> Iterator[Index]:
    """An index that everybody may ask, and where somebody took a private name."""
    with package_index(authority=trusted) as made:
        made.release("beta", "1.0")
        made.release("corp-utils", "99.0")
        yield made


def resolved(public: Index, index: PackageIndex, secret: Secret | None, **environ: str) -> Resolution:
    """What corp-utils comes to."""
    asked = Requirements.of([Requirement.parse("corp-utils")], options=as_options([index]))
    inputs = Inputs((("requirements", asked),), "3.11.2", PLATFORM, {"default-index": public.url})
    secrets = {"pypi": SecretSource(secret, Place())} if secret else {}
    return resolve(Resolve(inputs, secrets=secrets), {**os.environ, **environ})


def named(index: Index, **more: Any) -> PackageIndex:
    return PackageIndex(name="corp", url=index.url, **more)


@pytest.mark.parametrize("packages", [("corp-*",), ()], ids=["limited", "first"])
def test_the_login_of_an_index_is_that_of_its_secret(
    public: Index, corp: Index, tmp_path: Path, packages: tuple[str, ...]
) -> None:
    index = named(corp, packages=packages, secret="pypi")  # a name
    found = resolved(public, index, Secret(env="PYPI"), PYPI=f"me:{PASSWORD}")
    assert {each.text: each.index for each in found.packages} == {
        "corp-utils==1.0": "corp",
        "beta==1.0": None,
    }
    file = tmp_path / "netrc"
    file.write_text(
        f"machine elsewhere login a password b\nmachine {corp.host} login me password {PASSWORD}\n"
    )
    again = resolved(public, index, Secret(file=str(file)))
    assert again.packages == found.packages


@pytest.mark.parametrize("where", ["netrc", "variables"])
def test_an_index_without_a_secret_has_the_login_that_uv_finds(
    public: Index, corp: Index, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "netrc":
        home = Path(os.environ["HOME"])
        (home / ".netrc").write_text(f"machine {corp.host} login me password {PASSWORD}\n")
    else:
        monkeypatch.setenv("UV_INDEX_CORP_USERNAME", "me")
        monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", PASSWORD)
    found = resolved(public, named(corp, packages=["corp-*"]), None)
    assert [each.text for each in found.packages] == ["beta==1.0", "corp-utils==1.0"]


@pytest.mark.parametrize("packages", [("corp-*",), ()], ids=["limited", "first"])
@pytest.mark.parametrize("given", [None, "me:wr0ng-password"], ids=["none", "wrong"])
def test_an_index_that_wants_a_login_says_so(
    public: Index, corp: Index, given: str | None, packages: tuple[str, ...]
) -> None:
    index = named(corp, packages=packages, secret="pypi" if given else None)
    found = resolved(
        public, index, Secret(env="PYPI") if given else None, **({"PYPI": given} if given else {})
    )
    assert not found.packages
    assert not found.impossible
    assert not found.transient
    fix = "look at the secret pypi" if given else "name a secret with its login in package_indexes"
    assert found.reason.endswith(f"the index corp says 401 Unauthorized: {fix}")
    assert "wr0ng" not in found.reason
    assert public.site is not None
    assert not [each for each in public.site.requests if "corp-utils" in each.path]


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (Secret(env="PYPI"), "the secret pypi is not there: environment variable PYPI is not set"),
        (Secret(file="no-such-file"), "the secret pypi is not there: no-such-file does not exist"),
        (Secret(env="BAD"), "the secret pypi, for the index corp, has no user or no password"),
    ],
)
def test_a_secret_that_is_not_there_is_the_reason(
    public: Index, corp: Index, secret: Secret, reason: str
) -> None:
    found = resolved(public, named(corp, secret="pypi"), secret, BAD=":")  # a name
    assert found.reason.startswith(reason)
    assert not found.transient


def test_an_index_whose_certificate_nobody_trusts_is_not_asked(
    public: Index, corp: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = named(corp, packages=["corp-*"], secret="pypi")  # a name
    monkeypatch.delenv("SSL_CERT_FILE")
    found = resolved(public, index, Secret(env="PYPI"), PYPI=PASSWORD)
    assert found.reason.endswith("UnknownIssuer: name a bundle with its authority in SSL_CERT_FILE")
    assert not found.transient
    assert PASSWORD not in found.reason


@pytest.mark.parametrize("given", [PASSWORD, None])
def test_a_program_that_lists_packages_has_the_logins_of_indexes(tmp_path: Path, given: str | None) -> None:
    """uv asks the indexes of a pyproject.toml that has no lock; one that asks none needs no login."""
    script = "import os, sys; sys.exit(os.environ.get('UV_INDEX_CORP_PASSWORD', 'no login'))"
    index = PackageIndex(name="corp", url="https://pypi.corp", secret="pypi")  # a name
    secrets = {"pypi": SecretSource(Secret(env="PYPI"), Place())}
    environ = {**os.environ, **({"PYPI": given} if given else {})}
    commands = ((sys.executable, "-c", script),)
    found = output_of(ProgramOutput(commands, ".", (index,), secrets), tmp_path, environ)
    assert not found.worked
    missing = "the secret pypi is not there: environment variable PYPI is not set: set it: export PYPI=…"
    if given is None:
        assert found.failures[-1] == missing
        assert "no login" in found.failures[0]
    else:
        assert [each.rpartition(": ")[2] for each in found.failures] == ["***"]
    commands = ((sys.executable, "-c", "print('six')"),)
    assert output_of(ProgramOutput(commands, ".", (index,), secrets), tmp_path, environ).text == "six\n"


# --- what a secret says


NETRC: Final = """
# of the company
machine pypi.corp
    login me
    password "a b"
default login other password else
"""


@pytest.mark.parametrize(
    ("value", "login"),
    [
        ("me:secret", Login("me", "secret")),
        ("me:a:b@c\n", Login("me", "a:b@c")),
        ("pypi-AgEIcHlwaS5vcmc", Login("__token__", "pypi-AgEIcHlwaS5vcmc")),
        ("machine", Login("__token__", "machine")),
        (NETRC, Login("me", "a b")),
        ("machine pypi.corp login me password x", Login("me", "x")),
        ("default login me password x", Login("me", "x")),
    ],
)
def test_a_secret_is_a_netrc_or_a_login_or_a_token(value: str, login: Login) -> None:
    assert login_of(value.encode(), "https://PyPI.corp:8443/simple") == login


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"\xff", "is not UTF-8"),
        (b"  \n", "has no user or no password"),
        (b"me:", "has no user or no password"),
        (b":secret", "has no user or no password"),
        (b"me:se\ncret", "has a character that is not printable ASCII, or several lines"),
        ("me:sécret".encode(), "has a character that is not printable ASCII, or several lines"),
        (b"machine other login me password secret", "has no entry for pypi.corp"),
        (b"machine pypi.corp login me secret", "is not a netrc that can be read"),
    ],
)
def test_a_secret_without_a_login_is_an_error_that_does_not_show_it(value: bytes, found: str) -> None:
    with pytest.raises(NotRead) as refused:
        login_of(value, "https://pypi.corp/simple")
    assert refused.value.found == found
    assert "secret" not in found
    assert refused.value.__context__ is None


AWKWARD: Final = [
    *("a b", 'a"b', '"ab', "a\\b", "a\\", "#ab", "a'b", "a$b`%", "a:b@c/d?", "{a}", "machine", "tab\tb"),
    *("=a,b;c", "<a>&|*", "-x", "x" * 4000),
]


@pytest.mark.parametrize(("installer", "every"), [("uv", 1), ("pip", 4)])
def test_uv_and_pip_read_the_netrc_that_is_made(tmp_path: Path, installer: str, every: int) -> None:
    """Passwords of every shape reach an index as they are; pip is slow, and reads some of them."""
    from uv import find_uv_bin  # noqa: PLC0415  # only these tests run it

    with package_index() as index:
        index.add("alpha", wheel("alpha", "1.0"))
        for number, password in enumerate(AWKWARD[::every]):
            index.login = f"m e:{password}"
            file = tmp_path / "netrc"
            file.write_bytes(netrc_of({index.host: Login("m e", password)}))
            words = {
                "uv": (find_uv_bin(), "pip", "install", "--no-cache", f"--default-index={index.url}"),
                "pip": (
                    *(sys.executable, "-m", "pip", "install", "--no-cache-dir", "--no-input"),
                    *(f"--index-url={index.url}", f"--trusted-host={index.host}"),
                ),
            }[installer]
            target = tmp_path / str(number)
            env = {"NETRC": str(file), "PIP_CONFIG_FILE": os.devnull}
            done = run(Command((*words, "--no-deps", f"--target={target}", "alpha"), env), merged=True)
            assert done.code == 0, f"{password!r}: {done.text}"


# --- in an image


def image_of(packages: list[str], *indexes: Mapping[str, Any], **more: Any) -> ImagePlan:
    secrets = {"pypi": {"env": "PYPI"}, "other": {"env": "OTHER"}}
    table = {"requirements": packages, "package_indexes": indexes, "secrets": secrets, **more}
    (image,) = plan_of(table, world=World()).images
    return image


CORP: Final = {"name": "corp", "url": "https://pypi.corp/simple", "packages": ["corp-*"], "secret": "pypi"}
OTHER: Final = {"name": "other", "url": "https://other.corp/simple", "secret": "other"}


def mounted(image: ImagePlan) -> list[str]:
    return re.findall(r"--mount=type=secret,id=(\S+?),target=/run/secrets/netrc,", dockerfile(image.spec))


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_an_image_mounts_the_logins_of_the_indexes_that_a_layer_asks(installer: str) -> None:
    more = {"python_package_installer": installer}
    assert mounted(image_of(["corp-utils", "six"], CORP, **more)) == ["netrc+pypi"]
    # Whoever installs nothing from there is not given the login.
    assert mounted(image_of(["six"], CORP, **more)) == []
    assert mounted(image_of(["six"], CORP, OTHER, **more)) == ["netrc+other"]
    image = image_of(["corp-utils"], CORP, OTHER, **more)
    assert mounted(image) == ["netrc+other+pypi"]
    text = dockerfile(image.spec)
    assert "export NETRC=/run/secrets/netrc" in text
    logins = mounted_logins(image, {"pypi": b"me:x", "other": b"a-token"})
    assert logins == {
        "netrc+other+pypi": {"other.corp": Login("__token__", "a-token"), "pypi.corp": Login("me", "x")}
    }


def test_another_version_of_a_secret_is_another_image() -> None:
    first = image_of(["corp-utils"], CORP)
    assert image_of(["corp-utils"], CORP, secrets={"pypi": {"file": "~/.netrc"}}).hash == first.hash
    secrets: Any = {"pypi": {"env": "PYPI", "version": 2}}
    second = image_of(["corp-utils"], CORP, secrets=secrets)
    assert second.hash != first.hash
    assert mounted(second) == ["netrc+pypi@2"]


def test_a_secret_without_a_login_is_said_before_anything_is_built() -> None:
    image = image_of(["corp-utils"], CORP)
    with pytest.raises(ExecutorError) as refused:
        mounted_logins(image, {"pypi": b"machine elsewhere login me password s3cr3t"})
    (problem,) = refused.value.problems
    assert problem.code == "secret-unusable"
    assert problem.where.dotted == "pipeline.training.settings.docker.secrets.pypi"
    assert problem.found == "no login for the index corp: it has no entry for pypi.corp"


@pytest.mark.parametrize(
    ("url", "noted"),
    [
        ("http://pypi.corp/simple", True),
        ("HTTP://PyPI.corp:8080", True),
        ("https://pypi.corp/simple", False),
        ("http://localhost:3141/simple", False),
        ("http://[::1]:3141/simple", False),
    ],
)
def test_a_login_that_is_sent_without_tls_is_a_note(url: str, noted: bool) -> None:
    table = {"requirements": ["six"], "secrets": {"pypi": {"env": "PYPI"}}}
    plan = plan_of({**table, "package_indexes": [{**CORP, "url": url}]}, world=World())
    texts = [note.text for note in plan.notes if note.code == "plain-index"]
    assert texts == (["the login of the index corp is sent to pypi.corp without TLS"] if noted else [])
    plain = plan_of({**table, "package_indexes": [{"name": "corp", "url": url}]}, world=World())
    assert "plain-index" not in {note.code for note in plain.notes}
