"""The files of a commit, from the repository that has it.

GitHub and GitLab make archives of commits, for which an image needs nothing; from any other repository a
commit is fetched by the `git` of the image. Either way the files are those of the tree that was planned, or
they are refused: an archive is compared with the id of the tree, and git checks what it fetches itself.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess  # git of the image, with arguments of our own
from pathlib import Path
from typing import Mapping
from urllib.parse import quote, urlsplit

from . import download, unpack
from .errors import TRY_AGAIN, Refused
from .job import Repository
from .limits import DOWNLOAD_SECONDS
from .tree_id import tree_id

__all__ = ["fetch"]

# Whatever comes this way is checked. None of them runs a program that a URL names, as `ext::` does.
_PROTOCOLS = "https:http:ssh:git:file"
_PATH = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)+")
# What git says is for people, and may be long.
_MOST_WORDS = 600


def fetch(code: Repository, target: Path, scratch: Path) -> None:
    """Write the files of the commit's subdirectory to an empty directory; `scratch` is for temporary files.

    Refused says which download failed and why, or that the files are not those of the commit.
    """
    if code.type == "git":
        _by_git(code, target, scratch)
    else:
        url, headers = _github(code) if code.type == "github" else _gitlab(code)
        archive = scratch / "archive"
        download.download(url, archive, headers)
        with archive.open("rb") as file:
            # Archives of commits have one directory at the top.
            unpack.unpack(file, target, strip=1, below=code.subdirectory)
        if tree_id(target, "sha1" if len(code.tree) == 40 else "sha256") != code.tree:
            raise Refused(
                "code-refused",
                f"the archive that {download.shown(code.url)} makes of the commit {code.commit} does not "
                "hold its files: it has submodules, or .gitattributes has export-ignore or export-subst",
                'register the code repository with type = "git", and add git to apt_packages',
            )


def _github(code: Repository) -> tuple[str, Mapping[str, str]]:
    host, path = _place(code)
    if not code.login:
        return f"{host}/{path}/archive/{code.commit}.tar.gz", {}
    api = "https://api.github.com" if urlsplit(host).hostname == "github.com" else f"{host}/api/v3"
    headers = {"Authorization": f"Bearer {_token(code)}", "Accept": "application/vnd.github+json"}
    return f"{api}/repos/{path}/tarball/{code.commit}", headers


def _gitlab(code: Repository) -> tuple[str, Mapping[str, str]]:
    host, path = _place(code)
    url = f"{host}/api/v4/projects/{quote(path, safe='')}/repository/archive.tar.gz?sha={code.commit}"
    return url, {"PRIVATE-TOKEN": _token(code)} if code.login else {}


def _place(code: Repository) -> tuple[str, str]:
    """The address of a host, and the path of a repository there."""
    parts = urlsplit(code.url)
    path = parts.path.strip("/")
    path = path[: -len(".git")] if path.endswith(".git") else path
    if parts.scheme not in ("http", "https") or not parts.hostname or not _PATH.fullmatch(path):
        raise Refused(
            "repository-refused",
            f"{download.shown(code.url)} is not the address of a repository of {code.type}",
            "register it as https://HOST/OWNER/NAME",
        )
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", path


def _token(code: Repository) -> str:
    """The token of a login, which may have a user before it."""
    return code.login.rpartition(":")[2]


def _by_git(code: Repository, target: Path, scratch: Path) -> None:
    if code.url.startswith("-"):
        raise Refused("repository-refused", "a URL of a repository begins with -", "register another URL")
    git = _Git(code, target, scratch / "repository.git", scratch / "git.config")
    # An old git has no other format, and no option for it.
    format_ = [] if len(code.commit) == 40 else ["--object-format=sha256"]
    git.run("init", "--quiet", "--template=", *format_)
    try:
        git.run("fetch", "--quiet", "--depth=1", "--no-tags", "--", code.url, code.commit)
    except Refused:
        # A server need not give a commit that no branch ends in.
        git.run("fetch", "--quiet", "--no-tags", "--", code.url, "+refs/heads/*:refs/heads/*")
    if git.run("rev-parse", "--verify", f"{code.commit}:{code.subdirectory}").strip() != code.tree:
        raise Refused(
            "code-refused", f"the commit {code.commit} has other files than were planned", "plan again"
        )
    git.run("read-tree", code.tree)
    git.run("checkout-index", "--all", "--force")


class _Git:
    """The git of the image, that asks nobody and runs nothing of the repository."""

    def __init__(self, code: Repository, target: Path, directory: Path, config: Path) -> None:
        self.directory = directory
        self._code = code
        program = shutil.which("git")
        if program is None:
            raise Refused(
                "git-missing",
                f"the code is downloaded from {download.shown(code.url)} by git, which is not in the image",
                "add git to apt_packages",
            )
        self._program = program
        config.touch(0o600)
        config.write_text(_configured(code), encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if not _is_setting(name)}
        self._environment = {
            **kept,
            "GIT_DIR": str(directory),
            "GIT_WORK_TREE": str(target),
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "SSH_ASKPASS": "true",
            "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
            "LC_ALL": "C",
        }

    def run(self, *arguments: str) -> str:
        """What a command prints. Refused, with what git says, if it fails or does not end."""
        try:
            done = subprocess.run(  # noqa: S603  # as above
                [self._program, *arguments],
                check=False,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=DOWNLOAD_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise self._refused(f"git {arguments[0]} takes longer than {DOWNLOAD_SECONDS:g} s") from None
        if done.returncode:
            words = done.stderr.decode("utf-8", "replace").strip()[-_MOST_WORDS:]
            if self._code.login:
                words = words.replace(_token(self._code), "***")
            raise self._refused(f"git {arguments[0]}: {words}")
        return done.stdout.decode("utf-8", "replace")

    def _refused(self, found: str) -> Refused:
        where = download.shown(self._code.url)
        fix = "try again later, or check the URL and the login that the run has for it"
        return Refused(
            "download-failed", f"downloading {self._code.commit} from {where} failed: {found}", fix, TRY_AGAIN
        )


def _is_setting(name: str) -> bool:
    """Whether a variable says which repository is meant. What says whom to trust is kept."""
    return name.startswith("GIT_") and not name.startswith(("GIT_SSL_", "GIT_PROXY_"))


def _configured(code: Repository) -> str:
    """The configuration of git: what else is the image's. The login is for the host of the URL alone."""
    lines = ["[advice]", "detachedHead = false", "[core]", "hooksPath = /dev/null", "fsmonitor = false"]
    parts = urlsplit(code.url)
    if code.login and parts.scheme in ("http", "https"):
        user = code.login if ":" in code.login else f"x-access-token:{code.login}"
        encoded = base64.b64encode(user.encode("utf-8")).decode("ascii")
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
        lines += [f'[http "{address}"]', f'extraHeader = "Authorization: Basic {encoded}"']
    return "\n".join(lines) + "\n"
