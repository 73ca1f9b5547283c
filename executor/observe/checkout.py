"""The state of the checkout that a project is in, as git tells it.

Owns how git's answers are read: porcelain formats that end each entry with NUL, and configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import evolve

from executor.observe.commit import Commit
from executor.observe.git import Git, GitUnknown, refused, text_of
from executor.state import STATE_DIRECTORY
from planner.errors import PlannerError, Problem
from planner.facts.code_state import CodeState, Remote
from planner.immutable import frozen
from planner.lock.lock import LOCK_NAME
from planner.logins import without_logins
from planner.repositories import without_account

__all__ = ["IGNORE_UNTRACKED", "code_state", "commit_state"]

IGNORE_UNTRACKED: Final = (
    "STOWPLAN_CODE_REPOSITORY_IGNORE_UNTRACKED_FILES",
    "ZENML_CODE_REPOSITORY_IGNORE_UNTRACKED_FILES",
)
_TRUE: Final = frozenset({"1", "on", "t", "true", "y", "yes"})
_FALSE: Final = frozenset({"", "0", "f", "false", "n", "no", "off"})


_CONFIGURATION: Final = (
    r"^(remote\..*\.(url|fetch)|url\..*\.insteadof|filter\..*\.(clean|smudge|process|required))$"
)
# What stowplan writes itself is no code, and a run that writes it would make the next one find a change.
_OWN: Final = (f":(exclude){LOCK_NAME}", f":(exclude){STATE_DIRECTORY}")
# Files that an archive has otherwise than the commit (gitattributes(5)): left out, filled in, or converted.
_CONVERTED: Final = (":(attr:export-ignore)", ":(attr:export-subst)", ":(attr:ident)", ":(attr:eol=crlf)")
_NAMED_CONVERSIONS: Final = ("filter", "working-tree-encoding")
_LINK_TO_COMMIT: Final = "160000"
_PULL_REQUEST: Final = re.compile(r"refs/remotes/pull/[0-9]+/(?:merge|head)")


def code_state(root: Path, environ: Mapping[str, str] | None = None) -> CodeState:
    """The state of the checkout that a directory is in; why there is none is an answer as well.

    PlannerError if a variable that says what to ignore is neither true nor false.
    """
    ignores_untracked = _ignores_untracked(os.environ if environ is None else environ)
    try:
        return _state(Git(os.path.realpath(root)), ignores_untracked=ignores_untracked)
    except GitUnknown as error:
        return CodeState(error.found, error.fix)


def commit_state(commit: Commit, environ: Mapping[str, str] | None = None) -> CodeState:
    """The state of a clean checkout of a commit."""
    git = commit.store.objects.git
    configuration = _Configuration.of(git)
    prefix = commit.prefix
    top = git.directory[: len(git.directory) - len(prefix)] if prefix else git.directory
    having = git.read("for-each-ref", "--format=%(refname)", f"--contains={commit.id}", "refs/remotes/")
    return CodeState(
        commit=commit.id,
        tree=commit.tree,
        subdirectory=prefix.removesuffix("/"),
        remotes=configuration.remotes(top, tuple(having.split())),
        ignores_untracked=_ignores_untracked(os.environ if environ is None else environ),
        submodules=tuple(commit.submodules),
        converted=commit.attributes.archive,
    )


def _ignores_untracked(environ: Mapping[str, str]) -> bool:
    for name in IGNORE_UNTRACKED:
        value = environ.get(name)
        if value is None:
            continue
        if value.strip().lower() in _TRUE:
            return True
        if value.strip().lower() not in _FALSE:
            found = f"not true or false: {without_logins(value)!r}"
            raise PlannerError([Problem.in_file(f"${name}", None, found, "set it to true, or unset it")])
        return False
    return False


def _state(git: Git, *, ignores_untracked: bool) -> CodeState:
    bare, inside_git, inside, prefix = git.read(
        "rev-parse", "--is-bare-repository", "--is-inside-git-dir", "--is-inside-work-tree", "--show-prefix"
    ).split("\n", 3)
    if inside != "true":
        if bare != "true" and inside_git != "true":
            found = "the files of the checkout are elsewhere, as core.worktree of its configuration says"
            raise GitUnknown(found, "unset core.worktree, or work in a clone of the repository")
        what = "a bare repository" if bare == "true" else "the .git directory of a checkout"
        raise GitUnknown(f"the project is in {what}", "work in a clone of the repository")
    prefix = prefix.removesuffix("\n")
    configuration = _Configuration.of(git)
    git.settings += configuration.without_filters()
    untracked = "no" if ignores_untracked else "normal"
    status = _Status.of(
        git.read(
            "status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--no-ahead-behind",
            f"--untracked-files={untracked}", "--ignore-submodules=all", "--", ".", *_OWN,
        ),
        prefix,
    )  # fmt: skip
    top = git.directory[: len(git.directory) - len(prefix)] if prefix else git.directory
    known = CodeState(
        commit=status.commit,
        subdirectory=prefix.removesuffix("/"),
        branch=status.branch,
        changed=status.changed,
        untracked=status.untracked,
        ignores_untracked=ignores_untracked,
    )
    if status.commit is None:
        return evolve(known, remotes=configuration.remotes(top, ()))
    having = git.read("for-each-ref", "--format=%(refname)", f"--contains={status.commit}", "refs/remotes/")
    tree = git.run("rev-parse", "--verify", "--quiet", f"{status.commit}:./")
    tracked = _Tracked.of(git)
    return evolve(
        known,
        tree=text_of(tree.stdout).strip() or None,
        remotes=configuration.remotes(top, tuple(having.split())),
        submodules=tracked.submodules,
        unseen=tracked.unseen,
        converted=_converted(git, tracked, prefix),
    )


@frozen
class _Configuration:
    """What a configuration says of remotes, of URLs that stand for others, and of filters, by its names."""

    entries: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, git: Git) -> _Configuration:
        """The configuration of a checkout."""
        done = git.run("config", "-z", "--get-regexp", _CONFIGURATION)
        # 1: nothing is like that.
        if done.code not in {0, 1}:
            raise refused(done, git.directory)
        entries = (entry.partition("\n") for entry in text_of(done.stdout).split("\0") if entry)
        return cls(tuple((name, value) for name, _, value in entries))

    def _values(self, section: str, variable: str) -> Iterator[tuple[str, str]]:
        """Values of a variable, each with the name of its subsection."""
        for name, value in self.entries:
            if name.startswith(f"{section}.") and name.endswith(f".{variable}"):
                yield name[len(section) + 1 : -len(variable) - 1], value

    def without_filters(self) -> tuple[str, ...]:
        """Settings with which no filter is run. GitUnknown for a filter that they cannot name."""
        names = dict.fromkeys(
            name
            for variable in ("clean", "smudge", "process", "required")
            for name, _ in self._values("filter", variable)
        )
        if strange := [name for name in names if "=" in name or "\n" in name]:
            found = f"its configuration has a filter that git cannot be told not to run: {strange[0]!r}"
            raise GitUnknown(found, "rename the filter")
        values = {"clean": "", "smudge": "", "process": "", "required": "false"}
        return tuple(
            f"filter.{name}.{variable}={value}" for name in names for variable, value in values.items()
        )

    def remotes(self, top: str, having: tuple[str, ...]) -> tuple[Remote, ...]:
        """The remotes by name, of which `having` are the remote-tracking branches that have the commit."""
        # Of several URLs, git fetches from the first.
        urls: dict[str, str] = {}
        for name, url in self._values("remote", "url"):
            urls.setdefault(name, url)
        specs: dict[str, list[str]] = {}
        for name, spec in self._values("remote", "fetch"):
            specs.setdefault(name, []).append(spec)
        bases = {short: base for base, short in self._values("url", "insteadof")}
        # GitHub Actions fetches a pull request without saying so in the configuration.
        pulled = len(urls) == 1 and any(map(_PULL_REQUEST.fullmatch, having))
        return tuple(
            Remote(
                name,
                without_account(_used(urls[name], bases, top)),
                pulled or any(_writes(spec, ref) for spec in specs.get(name, ()) for ref in having),
            )
            for name in sorted(urls)
        )


def _used(url: str, bases: Mapping[str, str], top: str) -> str:
    """A URL as git uses it; a path is from the top of the checkout.

    Of the texts that others stand for, the longest counts (git-config(1), `url.<base>.insteadOf`).
    """
    end = next((end for end in range(len(url), 0, -1) if url[:end] in bases), 0)
    used = bases[url[:end]] + url[end:] if end else url
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/]*:", used):
        used = os.path.normpath(os.path.join(top, used))  # noqa: PTH118  # it need not be there
    return used


def _writes(spec: str, branch: str) -> bool:
    """Whether a refspec writes to a remote-tracking branch."""
    _, _, target = spec.lstrip("+").partition(":")
    begin, star, end = target.partition("*")
    if not star:
        return branch == target
    return len(branch) >= len(begin + end) and branch.startswith(begin) and branch.endswith(end)


@frozen
class _Status:
    """What `git status --porcelain=v2 --branch -z` says (git-status(1), "Porcelain Format Version 2")."""

    commit: str | None
    branch: str
    changed: tuple[str, ...]
    untracked: tuple[str, ...]

    @classmethod
    def of(cls, text: str, prefix: str) -> _Status:
        """Read it; paths are those below `prefix`, as seen from there."""
        commit, branch = None, ""
        changed: list[str] = []
        untracked: list[str] = []
        # How many words stand before the path. Renames are not looked for.
        before = {"1": 8, "u": 10, "?": 1}
        for entry in text.split("\0"):
            if entry.startswith("# branch.oid "):
                commit = entry.removeprefix("# branch.oid ")
            elif entry.startswith("# branch.head "):
                branch = entry.removeprefix("# branch.head ")
            elif entry[:1] in before:
                path = entry.split(" ", before[entry[0]])[-1].removeprefix(prefix)
                (untracked if entry[0] == "?" else changed).append(path)
        return cls(
            None if commit == "(initial)" else commit,
            "" if branch == "(detached)" else branch,
            tuple(changed),
            tuple(untracked),
        )


@frozen
class _Tracked:
    """What `git ls-files -s -v -z` says of the files that git knows below a directory."""

    submodules: tuple[str, ...]
    unseen: tuple[str, ...]
    attributes: bool
    """Whether there are files with attributes among them."""

    @classmethod
    def of(cls, git: Git) -> _Tracked:
        """Ask for them."""
        submodules, unseen, attributes = [], [], False
        for entry in git.read("ls-files", "-z", "-s", "-v", "--", ".").split("\0"):
            head, _, path = entry.partition("\t")
            if not path:
                continue
            tag, mode, *_ = head.split(" ")
            attributes |= path.rpartition("/")[2] == ".gitattributes"
            if mode == _LINK_TO_COMMIT:
                submodules.append(path)
            # What a sparse checkout leaves out is not there.
            elif (tag.islower() or tag == "S") and os.path.lexists(os.path.join(git.directory, path)):  # noqa: PTH118
                unseen.append(path)
        return cls(tuple(submodules), tuple(unseen), attributes)


def _converted(git: Git, tracked: _Tracked, prefix: str) -> tuple[str, ...]:
    """The files whose attributes have an archive give something else than the commit has."""
    above = git.directory
    levels = prefix.count("/")
    found = tracked.attributes
    for _ in range(levels):
        above = os.path.dirname(above)  # noqa: PTH120  # a text, as the others
        found = found or os.path.lexists(os.path.join(above, ".gitattributes"))  # noqa: PTH118
    if not found:
        return ()
    paths = dict.fromkeys(git.read("ls-files", "-z", "--", *_CONVERTED).split("\0"))
    for name in _NAMED_CONVERSIONS:
        unset = (f":(exclude,attr:!{name})", f":(exclude,attr:-{name})")
        paths |= dict.fromkeys(git.read("ls-files", "-z", "--", ".", *unset).split("\0"))
    return tuple(sorted(path for path in paths if path))
