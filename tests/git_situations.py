"""States that a checkout can be in, each made by real git, with what a plan is to say of it.

The table of docs/reference.md is made of them. A situation is a function that makes it below a directory, and
gives the root of the project. `way` is how the code is delivered if everything is allowed and the stack has
no artifact store, `says` the reason, and `fix` what an error tells to do if nothing else is allowed. Of a
commit `…` stands for its digits.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from attrs import field, frozen

from planner.image.delivery import Way

__all__ = ["BASE_ENVIRONMENT", "REGISTERED", "SITUATIONS", "Situation", "git"]

REGISTERED: Final = "https://git.example.com/team/code"
_PARENT: Final = "python:3.11-slim@sha256:" + "0" * 64
_PROJECT: Final = f"""\
[pipeline.training]
steps = ["train"]
settings.docker = {{ parent_image = "{_PARENT}" }}

[code_repository.team]
type = "git"
url = "{REGISTERED}"
"""
# Nothing of the machine that the tests run on.
BASE_ENVIRONMENT: Final[Mapping[str, str]] = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
_IDENTITY: Final[Mapping[str, str]] = {
    "GIT_ALLOW_PROTOCOL": "file",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_AUTHOR_EMAIL": "me@example.com",
    "GIT_AUTHOR_NAME": "me",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_EMAIL": "me@example.com",
    "GIT_COMMITTER_NAME": "me",
    "GIT_EDITOR": "true",
}

Make = Callable[[Path], Path]


@frozen
class Situation:
    """One state of a checkout."""

    name: str
    make: Make
    way: Way
    says: str = ""
    fix: str = ""
    environ: Mapping[str, str] = field(factory=dict)

    @property
    def row(self) -> str:
        """Its row of the table in the docs."""
        return f"| {self.name} | {'yes' if self.way is Way.REPOSITORY else 'no'} | {self.says} | {self.fix} |"


SITUATIONS: Final[dict[str, Situation]] = {}
_DOWNLOADED: Final = "it is committed and pushed"


def _downloaded(name: str, says: str = _DOWNLOADED, **environ: str) -> Callable[[Make], Make]:
    """A situation in which the code is downloaded."""
    return _listed(name, Way.REPOSITORY, says, "", environ)


def _copied(name: str, says: str, fix: str, **environ: str) -> Callable[[Make], Make]:
    """A situation in which it is not."""
    return _listed(name, Way.IMAGE, says, fix, environ)


def _listed(name: str, way: Way, says: str, fix: str, environ: Mapping[str, str]) -> Callable[[Make], Make]:
    def listed(make: Make) -> Make:
        assert name not in SITUATIONS
        SITUATIONS[name] = Situation(name, make, way, says, fix, environ)
        return make

    return listed


def git(directory: Path, *words: str, code: int = 0) -> str:
    """What a command of git prints that ends with this code."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ("git", "-c", "init.defaultBranch=main", "-c", "advice.detachedHead=false", *words),
        cwd=directory,
        env={**kept, **BASE_ENVIRONMENT, **_IDENTITY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return done.stdout.strip()


def _project(root: Path) -> Path:
    """The files of a project."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "stowplan.toml").write_text(_PROJECT)
    (root / "train.py").write_text("print(1)\n")
    (root / ".gitignore").write_text("*.log\nbuild/\n")
    return root


def _commit(root: Path, message: str = "Train") -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", message)


def _pushed(root: Path, url: str = f"{REGISTERED}.git", remote: str = "origin") -> Path:
    """The checkout with its branch pushed to a remote, which has this URL from then on."""
    bare = root.parent / f"{remote}.git".lstrip("-")
    if not bare.exists():
        bare.mkdir()
        git(bare, "init", "--quiet", "--bare")
    # Git's own commands refuse such a name for a remote; a configuration may have it all the same.
    git(root, "config", f"remote.{remote}.url", str(bare))
    git(root, "config", f"remote.{remote}.fetch", f"+refs/heads/*:refs/remotes/{remote}/*")
    git(root, "push", "--quiet", str(bare), "HEAD:refs/heads/main")
    git(root, "update-ref", f"refs/remotes/{remote}/main", "HEAD")
    git(root, "config", "branch.main.remote", remote)
    git(root, "config", "branch.main.merge", "refs/heads/main")
    git(root, "config", f"remote.{remote}.url", url)
    return root


def _checkout(place: Path, **files: str) -> Path:
    """A checkout of the registered repository, clean and pushed, with some files more."""
    root = _project(place / "code")
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(root, "init", "--quiet")
    _commit(root)
    return _pushed(root)


# --- what is committed ----------------------------------------------------------------------------------


@_downloaded("clean, and pushed")
def _clean(place: Path) -> Path:
    return _checkout(place)


@_copied("a file is edited", "not committed: train.py", "commit and push, or stash")
def _edited(place: Path) -> Path:
    root = _checkout(place)
    (root / "train.py").write_text("print(2)\n")
    return root


@_copied("a file is staged", "not committed: more.py", "commit and push, or stash")
def _staged(place: Path) -> Path:
    root = _checkout(place)
    (root / "more.py").write_text("print(2)\n")
    git(root, "add", "more.py")
    return root


@_copied("a file is deleted", "not committed: train.py", "commit and push, or stash")
def _deleted(place: Path) -> Path:
    root = _checkout(place)
    (root / "train.py").unlink()
    return root


@_copied("a file became executable", "not committed: train.py", "commit and push, or stash")
def _executable(place: Path) -> Path:
    root = _checkout(place)
    (root / "train.py").chmod(0o755)
    return root


@_copied("a file is renamed to upper case", "not committed: Train.py, train.py", "commit and push, or stash")
def _renamed(place: Path) -> Path:
    root = _checkout(place)
    git(root, "mv", "train.py", "Train.py")
    return root


@_downloaded("a file was touched, and has the same content")
def _touched(place: Path) -> Path:
    root = _checkout(place)
    os.utime(root / "train.py", (1, 1))
    return root


@_copied(
    "many files are edited", "not committed: f0.py, f1.py, f2.py and 9 more", "commit and push, or stash"
)
def _many(place: Path) -> Path:
    root = _checkout(place, **{f"f{number:x}.py": "" for number in range(12)})
    for path in root.glob("f?.py"):
        path.write_text("1\n")
    return root


@_copied("a file is not tracked", "not tracked: new.py", "add and commit them, or add them to .gitignore")
def _untracked(place: Path) -> Path:
    root = _checkout(place)
    (root / "new.py").write_text("print(2)\n")
    return root


@_copied(
    "another repository is inside, not tracked",
    "not tracked: vendor/",
    "add and commit them, or add them to .gitignore",
)
def _nested(place: Path) -> Path:
    root = _checkout(place)
    (root / "vendor").mkdir()
    git(root / "vendor", "init", "--quiet")
    (root / "vendor/a.py").write_text("")
    _commit(root / "vendor")
    return root


@_downloaded(
    "a file is not tracked, and such files are ignored",
    f"{_DOWNLOADED}, and files that are not tracked are ignored",
    STOWPLAN_CODE_REPOSITORY_IGNORE_UNTRACKED_FILES="true",
)
def _untracked_ignored(place: Path) -> Path:
    return _untracked(place)


@_downloaded("only ignored files are new")
def _ignored(place: Path) -> Path:
    root = _checkout(place)
    (root / "train.log").write_text("1\n")
    (root / "build").mkdir()
    (root / "build/x.py").write_text("")
    return root


@_downloaded("only stowplan.lock and .stowplan are new")
def _own(place: Path) -> Path:
    root = _checkout(place)
    (root / "stowplan.lock").write_text("version = 2\n")
    (root / ".stowplan").mkdir()
    (root / ".stowplan/x").write_text("")
    return root


@_copied("a merge is in conflict", "not committed: train.py", "commit and push, or stash")
def _merging(place: Path) -> Path:
    root = _diverged(place)
    git(root, "merge", "--quiet", "other", code=1)
    return root


@_copied("a merge is resolved, and not committed", "not committed: train.py", "commit and push, or stash")
def _merged(place: Path) -> Path:
    root = _merging(place)
    (root / "train.py").write_text("print(3)\n")
    git(root, "add", "train.py")
    return root


@_copied("a rebase stopped", "not committed: train.py", "commit and push, or stash")
def _rebasing(place: Path) -> Path:
    root = _diverged(place)
    git(root, "checkout", "--quiet", "other")
    git(root, "rebase", "--quiet", "main", code=1)
    return root


def _diverged(place: Path) -> Path:
    """Two branches that edit one line; the one that is checked out is pushed."""
    root = _checkout(place)
    git(root, "checkout", "--quiet", "-b", "other")
    (root / "train.py").write_text("print('other')\n")
    _commit(root, "Other")
    git(root, "checkout", "--quiet", "main")
    (root / "train.py").write_text("print('main')\n")
    _commit(root, "Main")
    return _pushed(root)


@_copied(
    "git was told to skip an edited file (`skip-worktree`)",
    "git was told not to look at: train.py",
    "have git look at them: `git update-index --no-assume-unchanged --no-skip-worktree`",
)
def _skipped(place: Path) -> Path:
    root = _checkout(place)
    git(root, "update-index", "--skip-worktree", "train.py")
    (root / "train.py").write_text("print(2)\n")
    return root


@_copied(
    "git was told to assume that a file is unchanged",
    "git was told not to look at: train.py",
    "have git look at them: `git update-index --no-assume-unchanged --no-skip-worktree`",
)
def _assumed(place: Path) -> Path:
    root = _checkout(place)
    git(root, "update-index", "--assume-unchanged", "train.py")
    (root / "train.py").write_text("print(2)\n")
    return root


@_copied("nothing is committed yet", "nothing is committed yet", "commit and push")
def _unborn(place: Path) -> Path:
    root = _project(place / "code")
    git(root, "init", "--quiet")
    git(root, "remote", "add", "origin", REGISTERED)
    return root


# --- what is pushed -------------------------------------------------------------------------------------


@_copied("the commit is not pushed", "the commit … of main is not pushed to origin", "push it")
def _unpushed(place: Path) -> Path:
    root = _checkout(place)
    (root / "train.py").write_text("print(2)\n")
    _commit(root)
    return root


@_downloaded("the remote is ahead")
def _behind(place: Path) -> Path:
    root = _unpushed(place)
    _pushed(root)
    git(root, "reset", "--quiet", "--hard", "HEAD~1")
    return root


@_downloaded("a new branch without an upstream, whose commit is pushed")
def _new_branch(place: Path) -> Path:
    root = _checkout(place)
    git(root, "checkout", "--quiet", "-b", "topic", "--no-track")
    return root


@_copied(
    "a new branch without an upstream, not pushed",
    "the commit … of topic is not pushed to origin",
    "push it",
)
def _new_unpushed_branch(place: Path) -> Path:
    root = _new_branch(place)
    (root / "train.py").write_text("print(2)\n")
    _commit(root)
    return root


@_downloaded("a detached HEAD at a commit that is pushed")
def _detached(place: Path) -> Path:
    root = _checkout(place)
    git(root, "checkout", "--quiet", "--detach")
    return root


@_copied("a detached HEAD, not pushed", "the commit … is not pushed to origin", "push it")
def _detached_unpushed(place: Path) -> Path:
    root = _detached(place)
    (root / "train.py").write_text("print(2)\n")
    _commit(root)
    return root


@_downloaded("a pull request, as GitHub Actions checks it out")
def _pull_request(place: Path) -> Path:
    root = _detached_unpushed(place)
    git(root, "update-ref", "refs/remotes/pull/12/merge", "HEAD")
    return root


@_copied("only a tag is pushed", "the commit … of main is not pushed to origin", "push it")
def _tagged(place: Path) -> Path:
    root = _unpushed(place)
    git(root, "tag", "v1")
    git(root, "push", "--quiet", str(place / "origin.git"), "v1")
    return root


@_downloaded("a branch that is named like an option")
def _option_branch(place: Path) -> Path:
    root = _checkout(place)
    for name in ("refs/heads/--output=x", "refs/heads/-h"):
        git(root, "update-ref", name, "HEAD")
    git(root, "symbolic-ref", "HEAD", "refs/heads/--output=x")
    return root


@_downloaded("a branch that is named like the commit")
def _commit_branch(place: Path) -> Path:
    root = _checkout(place)
    commit = git(root, "rev-parse", "HEAD")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "Other")
    git(root, "update-ref", f"refs/heads/{commit}", "HEAD")
    git(root, "reset", "--quiet", "--hard", "HEAD~1")
    return root


# --- which repository it is -----------------------------------------------------------------------------


@_downloaded("the remote is written as SSH")
def _ssh(place: Path) -> Path:
    return _pushed(_checkout(place), "ssh://git@git.example.com:2222/team/code.git")


@_downloaded("the remote is written as `host:path`")
def _scp(place: Path) -> Path:
    return _pushed(_checkout(place), "git@Git.Example.com:team/code.git")


@_downloaded("the remote has a login")
def _login(place: Path) -> Path:
    return _pushed(_checkout(place), "https://me:s3cret-t0ken@git.example.com/team/code")


@_downloaded("the remote is written in short (`insteadOf`)")
def _instead(place: Path) -> Path:
    root = _pushed(_checkout(place), "team:code")
    git(root, "config", "url.https://git.example.com/team/.insteadOf", "team:")
    return root


@_downloaded("a fork is `origin`, and the commit is pushed to the registered one")
def _fork(place: Path) -> Path:
    root = _pushed(_checkout(place), "https://git.example.com/me/code")
    return _pushed(root, REGISTERED, "upstream")


@_copied(
    "the commit is pushed to a fork only",
    "the commit … of main is not pushed to upstream",
    "push it",
)
def _fork_only(place: Path) -> Path:
    root = _fork(place)
    (root / "train.py").write_text("print(2)\n")
    _commit(root)
    return _pushed(root, "https://git.example.com/me/code")


@_downloaded("a remote that is named like an option")
def _option_remote(place: Path) -> Path:
    return _pushed(_checkout(place), REGISTERED, "--upload-pack=x")


@_copied(
    "the remote is another repository",
    "no remote of the checkout is the code repository team (origin is git.example.com/team/other)",
    "add it as a remote, or register another",
)
def _other(place: Path) -> Path:
    return _pushed(_checkout(place), "https://git.example.com/team/other")


@_copied(
    "there is no remote",
    "no remote of the checkout is the code repository team (there are none)",
    "add it as a remote, or register another",
)
def _no_remote(place: Path) -> Path:
    root = _project(place / "code")
    git(root, "init", "--quiet")
    _commit(root)
    return root


# --- kinds of checkouts ---------------------------------------------------------------------------------


@_downloaded("a shallow clone")
def _shallow(place: Path) -> Path:
    root = _unpushed(place)
    _pushed(root)
    shallow = place / "shallow"
    git(place, "clone", "--quiet", "--depth=1", f"file://{place}/origin.git", str(shallow))
    git(shallow, "remote", "set-url", "origin", REGISTERED)
    return shallow


@_downloaded("a linked worktree")
def _worktree(place: Path) -> Path:
    root = _checkout(place)
    git(root, "worktree", "add", "--quiet", "-b", "topic", str(place / "linked"))
    return place / "linked"


@_copied("a linked worktree, edited", "not committed: train.py", "commit and push, or stash")
def _edited_worktree(place: Path) -> Path:
    root = _worktree(place)
    (root / "train.py").write_text("print(2)\n")
    return root


@_downloaded("a sparse checkout")
def _sparse(place: Path) -> Path:
    root = _checkout(place, data__large="1\n")
    git(root, "sparse-checkout", "set", "--cone")
    assert not (root / "data").exists()
    return root


@_downloaded("a repository whose commits have SHA-256 names")
def _sha256(place: Path) -> Path:
    root = _project(place / "code")
    git(root, "init", "--quiet", "--object-format=sha256")
    _commit(root)
    git(root, "remote", "add", "origin", REGISTERED)
    git(root, "update-ref", "refs/remotes/origin/main", "HEAD")
    return root


@_downloaded("reached through a link")
def _linked(place: Path) -> Path:
    root = _checkout(place)
    (place / "alias").symlink_to(root)
    return place / "alias"


@_downloaded("the project is in a directory of the checkout, and what is edited is elsewhere")
def _subdirectory(place: Path) -> Path:
    top = _checkout(place, other="1\n")
    _project(top / "services/train")
    _commit(top)
    _pushed(top)
    (top / "other").write_text("2\n")
    (top / "new").write_text("")
    return top / "services/train"


@_copied(
    "the project is in a directory of the checkout, and is edited",
    "not committed: train.py",
    "commit and push, or stash",
)
def _edited_subdirectory(place: Path) -> Path:
    root = _subdirectory(place)
    (root / "train.py").write_text("print(2)\n")
    return root


@_copied(
    "the project is in a directory that git ignores",
    "the commit … does not have the project",
    "commit and push it",
)
def _ignored_directory(place: Path) -> Path:
    return _project(_checkout(place) / "build/train")


def _with_submodule(top: Path, path: str) -> Path:
    """The checkout with a submodule, committed and pushed."""
    library = top.parent / "library"
    library.mkdir()
    (library / "lib.py").write_text("")
    git(library, "init", "--quiet")
    _commit(library)
    git(top, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), path)
    _commit(top)
    return _pushed(top)


_OF_SUBMODULES: Final = ("a download leaves out submodules: lib", "use an artifact store")


@_copied("a submodule", *_OF_SUBMODULES)
def _submodule(place: Path) -> Path:
    return _with_submodule(_checkout(place), "lib")


@_copied("a submodule, edited", *_OF_SUBMODULES)
def _edited_submodule(place: Path) -> Path:
    root = _submodule(place)
    (root / "lib/lib.py").write_text("1\n")
    return root


@_copied("a submodule that is not initialised", *_OF_SUBMODULES)
def _empty_submodule(place: Path) -> Path:
    root = _submodule(place)
    git(root, "submodule", "--quiet", "deinit", "--force", "lib")
    return root


@_downloaded("a submodule beside the project's directory")
def _submodule_beside(place: Path) -> Path:
    top = _checkout(place)
    _project(top / "train")
    return _with_submodule(top, "lib") / "train"


@_downloaded("the project is the submodule of another repository")
def _is_submodule(place: Path) -> Path:
    root = _checkout(place)
    outer = place / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(root), "code")
    git(outer / "code", "remote", "set-url", "origin", REGISTERED)
    return outer / "code"


# --- what a download would have otherwise ---------------------------------------------------------------


def _attributes(place: Path, text: str) -> Path:
    root = _checkout(place)
    (root / ".gitattributes").write_text(text)
    (root / "model.bin").write_text("1\n")
    _commit(root)
    return _pushed(root)


_OF_ATTRIBUTES: Final = (
    "changed by .gitattributes in a download: model.bin",
    "take that out of .gitattributes",
)


@_copied("a file of Git LFS, or with another filter", *_OF_ATTRIBUTES)
def _lfs(place: Path) -> Path:
    return _attributes(place, "*.bin filter=lfs diff=lfs merge=lfs -text\n")


@_copied("a file that archives leave out (`export-ignore`)", *_OF_ATTRIBUTES)
def _export_ignore(place: Path) -> Path:
    return _attributes(place, "model.bin export-ignore\n")


@_copied("a file with another encoding in the checkout", *_OF_ATTRIBUTES)
def _encoded(place: Path) -> Path:
    root = _checkout(place)
    (root / ".gitattributes").write_text("model.bin working-tree-encoding=UTF-16LE\n")
    (root / "model.bin").write_bytes("1\n".encode("utf-16-le"))
    _commit(root)
    return _pushed(root)


@_copied("a file with line ends of Windows (`eol=crlf`)", *_OF_ATTRIBUTES)
def _crlf(place: Path) -> Path:
    return _attributes(place, "model.bin text eol=crlf\n")


@_downloaded("other attributes")
def _plain_attributes(place: Path) -> Path:
    return _attributes(place, "*.bin -filter binary\n*.py text diff=python\n")


@_downloaded("line ends are converted by the user's configuration (`core.autocrlf`)")
def _autocrlf(place: Path) -> Path:
    root = _checkout(place)
    git(root, "config", "core.autocrlf", "true")
    (root / "train.py").unlink()
    git(root, "checkout", "--quiet", "--", "train.py")
    assert (root / "train.py").read_bytes() == b"print(1)\r\n"
    return root


# --- no checkout at all ---------------------------------------------------------------------------------


@_copied("no checkout", "the project is in no git checkout", "work in a clone of the repository")
def _none(place: Path) -> Path:
    return _project(place / "code")


@_copied("`.git` leads nowhere", "the project is in no git checkout", "work in a clone of the repository")
def _astray(place: Path) -> Path:
    root = _project(place / "code")
    (root / ".git").write_text(f"gitdir: {place}/gone\n")
    return root


@_copied(
    "the index is damaged",
    "git cannot read the checkout: index file smaller than expected",
    "run `git status` to see why",
)
def _damaged(place: Path) -> Path:
    root = _checkout(place)
    (root / ".git/index").write_bytes(b"DIRC")
    return root


@_copied(
    "the configuration is damaged",
    "git cannot read the checkout: bad config line 1 in file .git/config",
    "run `git status` to see why",
)
def _damaged_configuration(place: Path) -> Path:
    root = _checkout(place)
    (root / ".git/config").write_text("[core\n")
    return root


@_copied(
    "the files of the checkout are elsewhere (`core.worktree`)",
    "the files of the checkout are elsewhere, as core.worktree of its configuration says",
    "unset core.worktree, or work in a clone of the repository",
)
def _elsewhere_worktree(place: Path) -> Path:
    root = _checkout(place)
    (place / "elsewhere").mkdir()
    git(root, "config", "core.worktree", str(place / "elsewhere"))
    return root


@_copied("a bare repository", "the project is in a bare repository", "work in a clone of the repository")
def _bare(place: Path) -> Path:
    _checkout(place)
    return _project(place / "origin.git")


@_copied(
    "a bare repository, which git is told not to use (`safe.bareRepository`)",
    "the project is in a bare repository",
    "work in a clone of the repository",
    GIT_CONFIG_COUNT="1",
    GIT_CONFIG_KEY_0="safe.bareRepository",
    GIT_CONFIG_VALUE_0="explicit",
)
def _refused_bare(place: Path) -> Path:
    return _bare(place)


@_copied(
    "inside `.git`",
    "the project is in the .git directory of a checkout",
    "work in a clone of the repository",
)
def _inside(place: Path) -> Path:
    return _project(_checkout(place) / ".git/project")


@_copied(
    "a checkout of another user",
    "git does not trust the checkout, which belongs to another user",
    "if you trust it: git config --global --add safe.directory PATH",
    GIT_TEST_ASSUME_DIFFERENT_OWNER="1",
)
def _of_another(place: Path) -> Path:
    return _checkout(place)


@_copied("git is not there", "git is not installed", "install it", PATH="/nonexistent")
def _no_git(place: Path) -> Path:
    return _checkout(place)


@_downloaded("`GIT_DIR` names another repository, as in a hook", GIT_DIR="/nonexistent", GIT_INDEX_FILE="x")
def _elsewhere(place: Path) -> Path:
    return _checkout(place)


@_downloaded("a copy of a checkout, whose index does not know the files' times")
def _copy(place: Path) -> Path:
    root = _checkout(place)
    shutil.copytree(root, place / "copy")
    return place / "copy"
