"""A real server of repositories: git's own, behind HTTP, and archives as GitHub and GitLab make them."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from attrs import field, frozen

__all__ = ["GitServer", "Repo", "git_server", "repo"]

_ENVIRONMENT: Final = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "HOME": os.devnull,
    **{f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    **{f"GIT_{who}_DATE": "1700000000 +0000" for who in ("AUTHOR", "COMMITTER")},
}


@frozen
class Repo:
    """A repository with a working tree."""

    directory: Path

    def git(self, *arguments: str) -> str:
        """What git prints."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.directory,
            check=True,
            capture_output=True,
            text=True,
            env=_ENVIRONMENT,
        )
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str]) -> str:
        """Commit files: the id of the commit."""
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")
        return self.git("rev-parse", "HEAD")

    def tree(self, subdirectory: str = "") -> str:
        """The id of the tree of the last commit."""
        return self.git("rev-parse", f"HEAD:{subdirectory}")


def repo(directory: Path, *options: str) -> Repo:
    """A new repository."""
    directory.mkdir(parents=True)
    made = Repo(directory)
    made.git("init", "--quiet", "--initial-branch=main", *options)
    return made


@frozen
class GitServer:
    """A server of the repositories in a directory, and what it was asked."""

    port: int
    directory: Path
    authorization: dict[str, str] = field(factory=dict)
    """The headers that are asked for; none at first."""
    asked: list[tuple[str, dict[str, str]]] = field(factory=list)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        """What was asked for, without parameters."""
        return [path.partition("?")[0] for path, _ in self.asked]


@contextmanager
def git_server(directory: Path, host: str = "127.0.0.1") -> Iterator[GitServer]:
    """A server of the repositories in a directory, as `/OWNER/NAME`, at an address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that the library calls
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.asked.append((self.path, headers))
            if any(headers.get(name) != value for name, value in server.authorization.items()):
                self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
            elif "/archive" in self.path or "/tarball" in self.path:
                self._archive()
            else:
                self._backend(headers)

        do_POST = do_GET  # noqa: N815  # as above

        def _archive(self) -> None:
            commit = self.path.rpartition("/")[2].partition(".")[0]
            if "sha=" in self.path:
                commit = self.path.rpartition("=")[2]
            made = subprocess.run(
                ["git", "archive", "--format=tar.gz", "--prefix=o-r-x/", commit],
                cwd=directory / "o/r",
                check=False,
                capture_output=True,
                env=_ENVIRONMENT,
            )
            self._answer(404 if made.returncode else 200, {}, made.stdout)

        def _backend(self, headers: Mapping[str, str]) -> None:
            """Git's own server, as a CGI program (RFC 3875)."""
            path, _, query = self.path.partition("?")
            done = subprocess.run(
                ["git", "http-backend"],
                check=True,
                capture_output=True,
                input=self.rfile.read(int(headers.get("content-length", 0))),
                env={
                    **_ENVIRONMENT,
                    "GIT_PROJECT_ROOT": str(directory),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_PROTOCOL": headers.get("git-protocol", ""),
                    "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
                    "REQUEST_METHOD": self.command,
                    "PATH_INFO": path.removesuffix(".git"),
                    "QUERY_STRING": query,
                    "CONTENT_TYPE": headers.get("content-type", ""),
                    "REMOTE_ADDR": "127.0.0.1",
                },
            )
            head, _, body = done.stdout.partition(b"\r\n\r\n")
            said = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self._answer(int(said.pop("Status", "200").split()[0]), said, body)

        def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((host, 0), Handler) as listening:
        server = GitServer(listening.server_address[1], directory)
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
