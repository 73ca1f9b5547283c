"""Git, asked about a checkout. Nothing is changed there, and nothing of it is run.

Whoever made a checkout wrote its configuration: it can name programs that `git status` starts (a file system
monitor, filters of files, those of submodules), and remotes that a missing object is fetched from. None of
that is started here, no remote is asked, and no lock is taken. What git itself refuses, such as a checkout of
another user, stays refused: `safe.directory` is for the user to say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from attrs import Factory, define

from executor import limits
from executor.errors import ExecutorError, ProgramMissing
from executor.process import Command, Completed, run
from planner.logins import without_logins
from planner.values import FrozenMapping

__all__ = ["NOT_FETCHED", "Git", "GitUnknown", "refused", "text_of"]

# What says where git finds its configuration and where a repository ends; a user's `safe.directory` may be
# among it. Any other variable, such as GIT_DIR in a hook, is about another repository, or has git write.
_KEPT: Final = re.compile(
    r"GIT_(?:CONFIG_(?:GLOBAL|SYSTEM|NOSYSTEM|COUNT|PARAMETERS|(?:KEY|VALUE)_\d+)"
    r"|CEILING_DIRECTORIES|DISCOVERY_ACROSS_FILESYSTEM|EXEC_PATH|TEST_ASSUME_DIFFERENT_OWNER)"
)
_ENVIRONMENT: Final[Mapping[str, str]] = {
    # No object is fetched that a partial clone does not have: no protocol has this name.
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    # What the commit has is what its download has.
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LANGUAGE": "C",
    "LC_ALL": "C",
}
NOT_FETCHED: Final = (
    "a file of it is not in this clone, which has only some of them",
    "use a clone that has all: `git fetch --refetch --no-filter` makes it one",
)
"""Why nothing is known of an object, and what to do."""
_SAFE: Final = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.pager=cat",
    "protocol.allow=never",
    "submodule.recurse=false",
)


class GitUnknown(Exception):
    """Git cannot tell: why not, and what to do."""

    def __init__(self, found: str, fix: str) -> None:
        self.found, self.fix = found, fix
        super().__init__(found)


@define
class Git:
    """Git in one directory, which starts nothing that a configuration names."""

    directory: str
    settings: list[str] = Factory(lambda: list(_SAFE))
    environ: Mapping[str, str] = FrozenMapping()
    """Variables that git gets as well: where a repository is, or an index."""

    def run(
        self,
        *words: str,
        stdin: Iterable[bytes] | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """What a command of git writes, however it ends. GitUnknown if git cannot be run.

        `on_output` takes standard output as it comes, which may take longer.
        """
        settings = [word for each in self.settings for word in ("-c", each)]
        command = Command(
            ("git", "--no-pager", "--no-optional-locks", *settings, *words),
            {**_ENVIRONMENT, **self.environ},
            self.directory,
            unset=tuple(name for name in os.environ if name.startswith("GIT_") and not _KEPT.fullmatch(name)),
        )
        try:
            seconds = limits.GIT_SECONDS if on_output is None else limits.GIT_CONTENT_SECONDS
            return run(command, stdin=stdin, on_output=on_output, timeout=seconds)
        except ProgramMissing:
            raise GitUnknown("git is not installed", "install it") from None
        except ExecutorError as error:
            (problem, *_) = error.problems
            raise GitUnknown(f"git {problem.found}", problem.fix) from None

    def read(self, *words: str) -> str:
        """What a command prints. GitUnknown if it fails."""
        done = self.run(*words)
        if done.code:
            raise refused(done, self.directory)
        return text_of(done.stdout)


def text_of(data: bytes) -> str:
    """Paths as Python has them: what is not UTF-8 stays apart."""
    return data.decode(errors="surrogateescape")


def refused(done: Completed, directory: str) -> GitUnknown:
    """Why git does nothing here."""
    words = done.stderr.strip()
    lines = words.splitlines() or [f"exit code {done.code}"]
    first = next((line for line in lines if line.startswith("fatal: ")), lines[0])
    said = without_logins(re.sub(r"^fatal: (?:\S*index: )?", "", first))
    if "dubious ownership" in words or "unsafe repository" in words:
        path = re.search(r"'([^'\n]+)'", words)
        where = path[1] if path else directory
        fix = f"if you trust it: git config --global --add safe.directory {where}"
        return GitUnknown("git does not trust the checkout, which belongs to another user", fix)
    if "not a git repository" in words:
        return GitUnknown("the project is in no git checkout", "work in a clone of the repository")
    if "safe.bareRepository" in words:
        return GitUnknown("the project is in a bare repository", "work in a clone of the repository")
    if "promisor remote" in words:
        return GitUnknown(*NOT_FETCHED)
    if "unknown option" in words or "unknown switch" in words:
        return GitUnknown(f"this git is too old: {said}", "use git 2.18 or newer")
    return GitUnknown(f"git cannot read the checkout: {said}", "run `git status` to see why")
