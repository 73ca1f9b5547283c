"""A certificate authority of a test's own, and servers that it vouches for."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from attrs import frozen

__all__ = ["Authority", "authority"]


@frozen
class Authority:
    """An authority in a directory: `bundle` is the file by which clients know it."""

    directory: Path

    @property
    def bundle(self) -> Path:
        """Its certificate."""
        return self.directory / "ca.pem"

    def beside_others(self) -> Path:
        """A file with it and with all that this machine trusts anyway."""
        known = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
        bundle = self.directory / "bundle.pem"
        bundle.write_bytes((Path(known).read_bytes() if known else b"") + self.bundle.read_bytes())
        return bundle

    def server(self, host: str) -> ssl.SSLContext:
        """What a server at an address needs, to be believed by those who know the authority."""
        certificate, key, asked = (self.directory / f"{host}.{end}" for end in ("pem", "key", "csr"))
        names = self.directory / f"{host}.ext"
        names.write_text(f"subjectAltName=IP:{host},IP:127.0.0.1,DNS:localhost\n")
        _openssl("req", "-new", *_KEY, "-subj", f"/CN={host}", "-out", asked, "-keyout", key)
        _openssl(
            *("x509", "-req", "-in", asked, "-CA", self.bundle, "-CAkey", self.directory / "ca.key"),
            *("-CAcreateserial", "-days", "2", "-extfile", names, "-out", certificate),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def authority(directory: Path) -> Authority:
    """A new authority. Skips the test where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    directory.mkdir()
    made = Authority(directory)
    _openssl(
        *("req", "-x509", *_KEY, "-days", "2", "-subj", "/CN=Authority of a test"),
        *("-addext", "keyUsage=critical,keyCertSign", "-out", made.bundle, "-keyout", directory / "ca.key"),
    )
    return made


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)  # no shell
