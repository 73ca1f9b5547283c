"""What git says of the checkout that holds the project: its commit, its remotes, and what is not committed.

Paths are those from the root of the project: what is elsewhere in the checkout is no code of the project.
Refuses to hold a login.
"""

from __future__ import annotations

from attrs import field

from planner.immutable import frozen

__all__ = ["CodeState", "Remote"]


@frozen
class Remote:
    """A remote of a checkout: its name, its URL as git uses it, and whether it has the commit.

    That is known from the remote's branches as they were fetched or pushed last: nothing is asked of it.
    """

    name: str
    url: str
    has_commit: bool = False


@frozen
class CodeState:
    """The checkout that holds the project, as far as there is one.

    Where git cannot tell, `unknown` says why, `fix` what to do about it, and the rest is empty. `commit` is
    None before the first one. `tree` is git's ID of the project's root, which is at `subdirectory` of the
    checkout; None where the commit does not have it.
    """

    unknown: str = ""
    fix: str = ""
    commit: str | None = None
    tree: str | None = None
    subdirectory: str = ""
    branch: str = ""
    """The branch of the checkout; empty for none."""
    remotes: tuple[Remote, ...] = ()
    changed: tuple[str, ...] = ()
    """Files that are not as the commit has them."""
    untracked: tuple[str, ...] = ()
    ignores_untracked: bool = False
    """Whether files that git does not track were not looked for, as the user asked."""
    submodules: tuple[str, ...] = ()
    """Directories whose files are in repositories of their own."""
    unseen: tuple[str, ...] = ()
    """Files that git was told not to look at, and that are there."""
    converted: tuple[str, ...] = field(default=())
    """Files whose attributes have git store, or archive, something else than what the checkout has."""
