"""A real server of repositories: git's own, behind HTTP, and archives as GitHub and GitLab make them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import field, frozen

from tests.web import Reply, Request, Site, serving

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
    """A server of the repositories in a directory."""

    site: Site
    authorization: dict[str, str] = field(factory=dict)
    """The headers that are asked for; none at first."""

    @property
    def port(self) -> int:
        """Its port."""
        return self.site.port

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def asked(self) -> list[str]:
        """What it was asked for, with parameters."""
        return [request.path for request in self.site.requests]


@contextmanager
def git_server(directory: Path, host: str = "127.0.0.1") -> Iterator[GitServer]:
    """A server of the repositories in a directory, as `/OWNER/NAME`, at an address of this machine."""

    def answer(request: Request) -> Reply:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if any(headers.get(name) != value for name, value in server.authorization.items()):
            return Reply(401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        if "/archive" in request.path or "/tarball" in request.path:
            return _archive(directory / "o/r", request.path)
        return _backend(directory, request, headers)

    with serving(answer, host=host) as site:
        server = GitServer(site)
        yield server


def _archive(directory: Path, path: str) -> Reply:
    commit = path.rpartition("/")[2].partition(".")[0]
    if "sha=" in path:
        commit = path.rpartition("=")[2]
    made = subprocess.run(
        ["git", "archive", "--format=tar.gz", "--prefix=o-r-x/", commit],
        cwd=directory,
        check=False,
        capture_output=True,
        env=_ENVIRONMENT,
    )
    return Reply(404 if made.returncode else 200, made.stdout)


def _backend(directory: Path, request: Request, headers: Mapping[str, str]) -> Reply:
    """Git's own server, as a CGI program (RFC 3875)."""
    path, _, query = request.path.partition("?")
    done = subprocess.run(
        ["git", "http-backend"],
        check=True,
        capture_output=True,
        input=request.body,
        env={
            **_ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
            "REQUEST_METHOD": request.method,
            "PATH_INFO": path.removesuffix(".git"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": headers.get("content-type", ""),
            "REMOTE_ADDR": "127.0.0.1",
        },
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    said = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    return Reply(int(said.pop("Status", "200").split()[0]), body, said)
