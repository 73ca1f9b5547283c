"""How the code of a project reaches containers: the one decision, in the reference's order.

Download from a code repository, else from the artifact store, else include it in the image: each where it is
allowed and possible. Refuses to look at anything but its arguments, and to decide what an image is: what is
written down of one is the same, whatever the state of the checkout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from planner.errors import PlannerError, Problem, first_few
from planner.facts.code_state import CodeState, Remote
from planner.facts.facts import Facts
from planner.facts.needs import CheckoutState
from planner.image.delivery import Delivery, RepositoryCode, Way
from planner.immutable import frozen
from planner.repositories import Address, CodeRepository
from planner.settings.effective import Settings
from planner.stack import Stack

__all__ = ["commit_of", "delivery_of", "ways_of"]

FROM_REPOSITORY: Final = "allow_download_from_code_repository"
FROM_STORE: Final = "allow_download_from_artifact_store"
_IN_REASON: Final = 3
_IN_ERROR: Final = 10


def ways_of(settings: Settings, stack: Stack, repositories: Mapping[str, CodeRepository]) -> frozenset[Way]:
    """The ways to download code that are allowed, and that there is something for.

    Steps of which one may and another may not download are in images of their own.
    """
    found = set()
    if settings.from_repository and repositories:
        found.add(Way.REPOSITORY)
    if settings.from_store and stack.artifact_store is not None:
        found.add(Way.ARTIFACT_STORE)
    return frozenset(found)


def delivery_of(
    settings: Settings,
    stack: Stack,
    repositories: Mapping[str, CodeRepository],
    facts: Facts,
    *,
    included: bool,
) -> Delivery:
    """The way of the code into the containers of an image, `included` if it may be in the image.

    The state of the checkout is asked for where a repository is registered and allowed. PlannerError if no
    way is left where one was asked for.
    """
    ways = ways_of(settings, stack, repositories)
    if included and settings.project_command:
        return Delivery(Way.IMAGE, "local_project_install_command installs it", usual=not ways)
    passed: list[str] = []
    problems: list[Problem] = []
    if Way.REPOSITORY in ways:
        state = facts.ask(CheckoutState())
        found = _matching(state, repositories)
        obstacles = tuple(_obstacles(state, repositories, found))
        if found is not None and not obstacles:
            return Delivery(Way.REPOSITORY, _clean(state), _code(state, found[0]))
        passed.append(" and ".join(each.reason for each in obstacles))
        problems += (each.problem for each in obstacles)
    else:
        allowed = settings.from_repository
        passed.append("no code repository is registered" if allowed else f"{FROM_REPOSITORY} is false")
        if settings.demands(FROM_REPOSITORY):
            fix = "register one: [code_repository.NAME], or leave this out"
            problems.append(Problem.at(FROM_REPOSITORY, "no code repository is registered", fix))
    if Way.ARTIFACT_STORE in ways:
        return Delivery(Way.ARTIFACT_STORE, passed[0])
    none = f"the stack {stack.name} has no artifact store"
    passed.append(none if settings.from_store else f"{FROM_STORE} is false")
    if settings.demands(FROM_STORE):
        fix = 'give the stack one: artifact_store = { uri = "…" }, or leave this out'
        problems.append(Problem.at(FROM_STORE, none, fix))
    if included:
        return Delivery(Way.IMAGE, "; ".join(passed), usual=not ways)
    if problems and not settings.skip_build:
        raise PlannerError(problems)
    passed.append(
        "skip_build uses the image as it is"
        if settings.skip_build
        else "allow_including_files_in_images is false"
    )
    return Delivery(Way.NONE, "; ".join(passed))


def commit_of(repositories: Mapping[str, CodeRepository], facts: Facts) -> str | None:
    """The commit that the code is exactly, pushed or not; None where it is not known to be one.

    What submodules have is not looked at.
    """
    need = CheckoutState()
    if need not in facts:
        return None
    state = facts.ask(need)
    unsure = state.changed or state.untracked or state.unseen or state.submodules or state.tree is None
    return None if unsure or _matching(state, repositories) is None else state.commit


@frozen
class _Obstacle:
    """One thing that keeps code from being downloaded from a repository, and the files that it is about."""

    found: str
    fix: str
    files: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """It, with the first of its files."""
        return self._listed(_IN_REASON)

    @property
    def problem(self) -> Problem:
        """It, as an error about the setting that wants code from a repository."""
        found = f"the code cannot be downloaded: {self._listed(_IN_ERROR)}"
        other = "allow another way, as allow_including_files_in_images does"
        return Problem.at(FROM_REPOSITORY, found, f"{self.fix}, or {other}")

    def _listed(self, count: int) -> str:
        return f"{self.found}: {first_few(self.files, count)}" if self.files else self.found


def _matching(
    state: CodeState, repositories: Mapping[str, CodeRepository]
) -> tuple[CodeRepository, tuple[Remote, ...]] | None:
    """The repository that the checkout is of, with its remotes; None if it is of none.

    Of several, the first one that has the commit.
    """
    found = []
    for _, repository in sorted(repositories.items()):
        remotes = tuple(remote for remote in state.remotes if repository.is_at(remote.url))
        if remotes:
            found.append((repository, remotes))
    having = (each for each in found if any(remote.has_commit for remote in each[1]))
    return next(having, found[0] if found else None)


def _obstacles(
    state: CodeState,
    repositories: Mapping[str, CodeRepository],
    found: tuple[CodeRepository, tuple[Remote, ...]] | None,
) -> Iterator[_Obstacle]:
    """All that keeps the code of a checkout from being downloaded."""
    if state.unknown:
        yield _Obstacle(state.unknown, state.fix)
        return
    if found is None:
        names = ", ".join(sorted(repositories))
        remotes = ", ".join(f"{each.name} is {_shown(each.url)}" for each in state.remotes[:_IN_REASON])
        words = f"no remote of the checkout is the code repository {names}"
        yield _Obstacle(f"{words} ({remotes or 'there are none'})", "add it as a remote, or register another")
    if state.commit is None:
        yield _Obstacle("nothing is committed yet", "commit and push")
        return
    if state.tree is None:
        yield _Obstacle(f"the commit {state.commit[:12]} does not have the project", "commit and push it")
    if state.changed:
        yield _Obstacle("not committed", "commit and push, or stash", state.changed)
    if state.untracked:
        fix = "add and commit them, or add them to .gitignore"
        yield _Obstacle("not tracked", fix, state.untracked)
    if state.unseen:
        fix = "have git look at them: `git update-index --no-assume-unchanged --no-skip-worktree`"
        yield _Obstacle("git was told not to look at", fix, state.unseen)
    if state.submodules:
        yield _Obstacle("a download leaves out submodules", "use an artifact store", state.submodules)
    if state.converted:
        fix = "take that out of .gitattributes"
        yield _Obstacle("changed by .gitattributes in a download", fix, state.converted)
    if found is not None and not any(remote.has_commit for remote in found[1]):
        names = " or ".join(remote.name for remote in found[1])
        at = f"the commit {state.commit[:12]}" + (f" of {state.branch}" if state.branch else "")
        yield _Obstacle(f"{at} is not pushed to {names}", "push it")


def _shown(url: str) -> str:
    address = Address.parse(url)
    return address.shown if address else url


def _clean(state: CodeState) -> str:
    """Why nothing keeps the code from being downloaded."""
    untracked = ", and files that are not tracked are ignored" if state.ignores_untracked else ""
    return f"it is committed and pushed{untracked}"


def _code(state: CodeState, repository: CodeRepository) -> RepositoryCode:
    assert state.commit is not None  # noqa: S101  # that is an obstacle
    assert state.tree is not None  # noqa: S101  # so is that
    return RepositoryCode(
        repository.name,
        repository.type,
        repository.download_url,
        state.commit,
        state.tree,
        state.subdirectory,
        repository.secret,
        state.branch,
    )
