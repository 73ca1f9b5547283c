"""The packages of an image as other programs read them."""

from __future__ import annotations

import tomllib

from packaging.pylock import Pylock

from planner.facts.answers import ImagePython
from planner.pyproject import read_pylock
from planner.requirements.exports import pylock_text, requirements_text
from planner.requirements.packages import File, Package

PYTHON = ImagePython("3.11.2", "x86_64-manylinux_2_36")
HASHES = {name: f"sha256:{name[0] * 64}" for name in ("a.whl", "b.whl", "c.tar.gz", "d.zip")}
URLS = {digest: f"https://files.example.com/{name}" for name, digest in HASHES.items()}
PACKAGES = (
    Package(
        "wheels",
        "1.0",
        files=(
            File("wheels-1.0-cp311-cp311-linux_x86_64.whl", HASHES["b.whl"], 10),
            File("wheels-1.0-py3-none-any.whl", HASHES["a.whl"]),
        ),
        requires=("source",),
    ),
    Package("source", "2.0", files=(File("source-2.0.tar.gz", HASHES["c.tar.gz"], 20),)),
    Package(
        "archive",
        url="https://example.com/d.zip#subdirectory=python",
        files=(File("d.zip", HASHES["d.zip"], 30),),
    ),
    Package("commit", url=f"git+https://example.com/commit.git@{'e' * 40}#subdirectory=python"),
    Package("account", url=f"git+ssh://git@example.com/account.git@{'e' * 40}"),
)


def test_an_exported_pylock_says_what_is_locked() -> None:
    text = pylock_text(PACKAGES, URLS, PYTHON)
    assert text == pylock_text(reversed(PACKAGES), URLS, PYTHON)
    lock = Pylock.from_dict(tomllib.loads(text))
    assert list(map(str, lock.environments or ())) == [
        'python_version == "3.11" and sys_platform == "linux" and platform_machine == "x86_64"'
    ]
    found = {str(each.name): each for each in lock.packages}
    assert list(found) == ["account", "archive", "commit", "source", "wheels"]
    wheels = found["wheels"].wheels
    assert wheels is not None
    assert [(wheel.name, wheel.url, wheel.size) for wheel in wheels] == [
        ("wheels-1.0-cp311-cp311-linux_x86_64.whl", "https://files.example.com/b.whl", 10),
        ("wheels-1.0-py3-none-any.whl", "https://files.example.com/a.whl", None),
    ]
    assert found["wheels"].dependencies == [{"name": "source"}]
    assert found["account"].vcs is not None
    assert found["account"].vcs.url == "ssh://git@example.com/account.git"


def test_an_exported_pylock_is_read_as_the_packages_that_it_is_of() -> None:
    """Without commits every package has hashes."""
    hashed = [package for package in PACKAGES if package.kind != "vcs"]
    read = read_pylock("pylock.toml", pylock_text(hashed, URLS, PYTHON))
    assert sorted(read.requirements.packages) == sorted(package.requirement for package in hashed)
    every = read_pylock("pylock.toml", pylock_text(PACKAGES, URLS, PYTHON))
    assert sorted(each.text for each in every.requirements.packages) == sorted(
        package.text for package in PACKAGES
    )


def test_an_image_without_packages_has_an_empty_pylock() -> None:
    assert not Pylock.from_dict(tomllib.loads(pylock_text((), {}, None))).packages
    assert requirements_text(()) == ""
