"""Options and fixtures that all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.s3 import Server, s3_server

# What a machine says of pip for itself. How PyPI is reached by uv stays, since some reach it in no other way.
_OF_PIP = ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_NO_INDEX")


def pytest_configure() -> None:
    """Takes away what would make tests differ: pip's configuration of this machine, and an ignored Ctrl-C.

    What runs in the background of a shell ignores Ctrl-C, and so would all that the tests start.
    """
    for name in _OF_PIP:
        os.environ.pop(name, None)
    os.environ["PIP_CONFIG_FILE"] = os.devnull
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes the golden files anew instead of comparing with them."""
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew; review what changes"
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written anew."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="module")
def s3() -> Iterator[Server]:
    """A real server that speaks S3."""
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(s3: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, and an environment that leads to its bucket."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return s3
