"""The project: its file, its lock, its checkout, and the code repositories that the checkout is of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from executor.config.project import Project, has_project, load_project
from executor.doctor.check import Check, State
from executor.observe.checkout import code_state
from executor.workflow.locks import check_lock
from planner.lock.lock import LOCK_NAME

__all__ = ["checkout", "lock", "project_file"]


def project_file(root: Path) -> tuple[Project | None, Check]:
    """The project, if there is one that can be read, and what was found of its file.

    ExecutorError or PlannerError if it cannot be read.
    """
    if not has_project(root):
        found = f"there is no project in {root}"
        return None, Check("project", "project", State.WARNING, found, "stowplan init")
    project = load_project(root)
    pipelines = (*project.pipelines, *project.sources)
    parts = [f"{len(pipelines)} pipeline{'' if len(pipelines) == 1 else 's'}"]
    parts.append(f"{len(project.stacks)} stack{'' if len(project.stacks) == 1 else 's'}")
    return project, Check("project", "project", State.OK, f"{root / project.file}: {', '.join(parts)}")


def lock(project: Project) -> Iterator[Check]:
    """Whether the lock is up to date. No registry and no index is asked."""
    if not os.path.lexists(project.root / LOCK_NAME):
        yield Check("lock", LOCK_NAME, State.WARNING, "does not exist", "stowplan lock")
        return
    checked = check_lock(project, None, None, asks=False)
    if checked.fresh:
        yield Check("lock", LOCK_NAME, State.OK, "up to date")
    else:
        yield Check("lock", LOCK_NAME, State.WARNING, "stale", "stowplan lock")


def checkout(project: Project, environ: Mapping[str, str]) -> Iterator[Check]:
    """The checkout that the project is in, and which code repository it is of."""
    state = code_state(project.root, environ)
    repositories = project.code_repositories
    if state.unknown:
        kind = State.WARNING if repositories else State.SKIPPED
        yield Check("checkout", "checkout", kind, state.unknown, state.fix if repositories else "")
        return
    commit = "no commit yet" if state.commit is None else f"commit {state.commit[:12]}"
    where = f" on {state.branch}" if state.branch else ""
    counts = {"changed": len(state.changed), "untracked": len(state.untracked)}
    dirty = "".join(f", {count} {name}" for name, count in counts.items() if count)
    yield Check("checkout", "checkout", State.OK, f"{commit}{where}{dirty or ', clean'}")
    for name, repository in repositories.items():
        subject = f"code repository {name}"
        remotes = [remote.name for remote in state.remotes if repository.is_at(remote.url)]
        if remotes:
            found = f"the checkout is of it, by the remote {remotes[0]}"
            yield Check("code-repository", subject, State.OK, found)
        else:
            found = f"no remote of the checkout is {repository.address.shown}"
            fix = f"git remote add NAME {repository.url}, or correct its url"
            yield Check("code-repository", subject, State.WARNING, found, fix)
