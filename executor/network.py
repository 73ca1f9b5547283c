"""How the machine that builds reaches others: its proxies and its certificates, while a build runs.

Owns which variables of the environment say so. Refuses to choose: a setting says whether a build has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from attrs import field

from executor.errors import ExecutorError
from executor.reading import NotRead, read_whole
from planner.immutable import frozen
from planner.values import PROXIES, FrozenMapping, freeze

__all__ = ["CERTIFICATES", "Network", "network_of"]

# As OpenSSL, uv and Python's ssl call it.
CERTIFICATES: Final = "SSL_CERT_FILE"
# What BuildKit takes (moby/buildkit, session/secrets: MaxSecretSize).
_LARGEST_BYTES: Final = 500 * 1024


@frozen
class Network:
    """What a build is given of this machine: variables with proxies, and a bundle of certificates."""

    proxies: Mapping[str, str] = field(default=FrozenMapping(), converter=freeze, repr=False)
    certificates: bytes | None = field(default=None, repr=False)

    @property
    def hidden(self) -> tuple[str, ...]:
        """The passwords of proxies."""
        return tuple({word for url in self.proxies.values() if (word := _password(url))})


def _password(url: str) -> str | None:
    try:
        return urlsplit(url if "//" in url else f"//{url}").password
    except ValueError:
        return None


def network_of(environ: Mapping[str, str]) -> Network:
    """The proxies and certificates of a machine. ExecutorError if the certificates cannot be read."""
    proxies: dict[str, str] = {}
    for name in sorted(PROXIES):
        # Some programs read one spelling, and some the other.
        if value := environ.get(name) or environ.get(name.swapcase()):
            proxies[name] = value
    path = environ.get(CERTIFICATES)
    if not path:
        return Network(proxies)
    try:
        found = read_whole(Path(path), _LARGEST_BYTES)
    except NotRead as error:
        raise ExecutorError.of(f"${CERTIFICATES}", f"{path} {error.found}", error.fix) from None
    if not found:
        state = "does not exist" if found is None else "is empty"
        raise ExecutorError.of(
            f"${CERTIFICATES}", f"{path} {state}", "name a bundle of certificates, or unset it"
        )
    return Network(proxies, found)
