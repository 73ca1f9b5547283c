"""A package index of a test's own, that gains versions while the test goes on.

It speaks PEP 691 (JSON) and PEP 503 (HTML), and its wheels are real ones, made here.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socket
import tarfile
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from attrs import Factory, define

from tests.authority import Authority
from tests.web import Reply, Request, Site, serving

__all__ = ["Index", "package_index", "sdist", "source", "two_indexes", "wheel"]

# Two builds of one wheel have the same bytes.
_TIME = (2026, 1, 1, 0, 0, 0)


def wheel(
    name: str, version: str, requires: Iterable[str] = (), *, tag: str = "py3-none-any", text: str = ""
) -> tuple[str, bytes]:
    """A wheel with one module, that knows its version: its file name and its bytes."""
    module = name.replace("-", "_")
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {each}\n" for each in requires)
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": f'__version__ = "{version}"\ntext = "{text}"\n',
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{path},{_digest(data.encode())},{len(data)}\n" for path, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        for path, data in files.items():
            made.writestr(zipfile.ZipInfo(path, _TIME), data)
    return f"{module}-{version}-{tag}.whl", archive.getvalue()


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def source(name: str, version: str, requires: Iterable[str] = (), *, dynamic: bool = False) -> dict[str, str]:
    """The files of a project that needs nothing to be built but what it `requires`: its backend is in it.

    What is `dynamic` has to be built for its dependencies to be known.
    """
    filename, data = wheel(name, version, text="built")
    backend = (
        "import base64, pathlib\n"
        f"DATA = {base64.b64encode(data).decode()!r}\n"
        "def build_wheel(directory, settings=None, metadata=None):\n"
        f"    pathlib.Path(directory, {filename!r}).write_bytes(base64.b64decode(DATA))\n"
        f"    return {filename!r}\n"
    )
    return {
        "pyproject.toml": f"[build-system]\nrequires = {json.dumps(list(requires))}\n"
        'build-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\n'
        + ('dynamic = ["dependencies"]\n' if dynamic else ""),
        "backend.py": backend,
    }


def sdist(
    name: str, version: str, requires: Iterable[str] = (), *, dynamic: bool = False
) -> tuple[str, bytes]:
    """A source archive of such a project."""
    module = name.replace("-", "_")
    metadata = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n"
    metadata += "Dynamic: Requires-Dist\n" if dynamic else ""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz", format=tarfile.PAX_FORMAT) as made:
        for path, text in {"PKG-INFO": metadata, **source(name, version, requires, dynamic=dynamic)}.items():
            member = tarfile.TarInfo(f"{module}-{version}/{path}")
            member.size = len(text.encode())
            made.addfile(member, io.BytesIO(text.encode()))
    return f"{module}-{version}.tar.gz", archive.getvalue()


@define
class Index:
    """The files of an index by the names of their projects, and the server that has them."""

    files: dict[str, dict[str, bytes]] = Factory(dict)
    times: dict[str, str] = Factory(dict)
    site: Site | None = None
    tampered: dict[str, bytes] = Factory(dict)
    """What is sent in place of a file whose hash the index still says."""
    closed: bool = False
    raw: dict[str, bytes] = Factory(dict)
    """Anything else that the server has, by its path."""
    login: str | None = None
    """`user:password`, without which nobody is answered."""
    authority: Authority | None = None
    """Who vouches for the server, if it speaks TLS."""
    keeping: dict[str, str] = Factory(dict)
    """How long `simple` pages and `files` may be kept: their Cache-Control."""
    path: str = Factory(lambda: f"/{uuid.uuid4().hex}")
    """Where it is on its server. Ports come again, and uv keeps for good what an index says of a wheel."""

    @property
    def url(self) -> str:
        """The address that installers are given, here and in containers."""
        assert self.site is not None
        return f"http{'s' if self.authority else ''}://{self.host}:{self.site.port}{self.path}/simple"

    @property
    def host(self) -> str:
        """This machine's own address in its network, which containers reach as well."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # Nothing is sent: connecting a datagram socket only looks up the route.
            with suppress(OSError):
                probe.connect(("192.0.2.254", 9))
            address: str = probe.getsockname()[0]
        return "127.0.0.1" if address == "0.0.0.0" else address  # noqa: S104  # of a machine without a network

    def add(self, name: str, file: tuple[str, bytes], *, time: str = "2026-01-01T00:00:00Z") -> None:
        """Publish a file."""
        self.files.setdefault(name, {})[file[0]] = file[1]
        self.times[file[0]] = time

    def release(
        self, name: str, version: str, requires: Iterable[str] = (), *, time: str = "2026-01-01T00:00:00Z"
    ) -> None:
        """Publish a wheel."""
        self.add(name, wheel(name, version, requires), time=time)

    def answer(self, request: Request) -> Reply:
        """What the server says; that nothing changed, to who has it already."""
        if self.closed:
            return Reply(503)
        if self.login is not None:
            basic = f"Basic {base64.b64encode(self.login.encode()).decode()}"
            if request.headers.get("Authorization") != basic:
                return Reply(401, headers={"WWW-Authenticate": 'Basic realm="packages"'})
        reply = self._answer(request)
        keeping = self.keeping.get(self._within(request).split("/")[1])
        if keeping is None or reply.status != 200:
            return reply
        tag = f'"{hashlib.sha256(reply.body).hexdigest()}"'
        known = request.headers.get("If-None-Match") == tag
        headers = {**reply.headers, "Cache-Control": keeping, "ETag": tag}
        return Reply(304, b"", headers) if known else Reply(200, reply.body, headers)

    def _within(self, request: Request) -> str:
        return request.path.partition("?")[0].removeprefix(self.path)

    def _answer(self, request: Request) -> Reply:
        path = self._within(request)
        if path in self.raw:
            return Reply(200, self.raw[path])
        parts = path.strip("/").split("/")
        if parts[0] == "files":
            data = self.tampered.get(parts[-1], self.files.get(parts[1], {}).get(parts[-1]))
            return Reply(404) if data is None else Reply(200, data)
        if parts[0] != "simple" or len(parts) != 2 or parts[1] not in self.files:
            return Reply(404)
        if "application/vnd.pypi.simple.v1+json" in request.headers.get("Accept", ""):
            kind = "application/vnd.pypi.simple.v1+json"
            return Reply(200, json.dumps(self._page(parts[1])).encode(), {"Content-Type": kind})
        page = self._page(parts[1])
        links = "".join(
            f'<a href="{each["url"]}#sha256={each["hashes"]["sha256"]}">{each["filename"]}</a>\n'
            for each in page["files"]
        )
        return Reply(
            200, f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), {"Content-Type": "text/html"}
        )

    def _page(self, name: str) -> dict[str, Any]:
        return {
            "meta": {"api-version": "1.1"},
            "name": name,
            "versions": [],
            "files": [
                {
                    "filename": file,
                    "url": f"{self.path}/files/{name}/{file}",
                    "hashes": {"sha256": hashlib.sha256(data).hexdigest()},
                    "size": len(data),
                    "upload-time": self.times[file],
                }
                for file, data in self.files[name].items()
            ],
        }


@contextmanager
def package_index(*, login: str | None = None, authority: Authority | None = None) -> Iterator[Index]:
    """An index that is empty, on all addresses of this machine."""
    made = Index(login=login, authority=authority)
    tls = authority.server(made.host) if authority else None
    with serving(made.answer, host="0.0.0.0", tls=tls) as site:  # noqa: S104  # containers ask it, too
        made.site = site
        yield made


@contextmanager
def two_indexes(login: str, authority: Authority) -> Iterator[tuple[Index, Index]]:
    """An index that everybody may ask, where somebody took a private name, and a private one."""
    with package_index(authority=authority) as public:
        public.release("alpha", "1.0", ["corp-utils"])
        public.release("corp-utils", "99.0")
        with package_index(login=login, authority=authority) as corp:
            corp.add("corp-utils", wheel("corp-utils", "1.0", text="private"))
            yield public, corp
