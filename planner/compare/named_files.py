"""Files of the project, as what people ask about: where each is copied to, and what each is read as."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from planner.code import ignore_path
from planner.compare.moved import PARENT
from planner.compare.subjects import Subject, Touch
from planner.facts.needs import FileText, RequirementsFile
from planner.image.instructions import FILES
from planner.pyproject import PYPROJECT
from planner.sources import REQUIREMENTS_FILE

__all__ = ["file_names", "file_touches", "spelled_file"]

# What else than a pyproject.toml says what its source installs.
_LOCKS = ("poetry.lock", "uv.lock")


def file_names(subject: Subject) -> Iterator[str]:
    """The files and directories that are copied into an image, and those that are read to plan it."""
    for name, tree in subject.image.checkout.trees.items():
        root = _root(subject, name)
        yield from (posixpath.join(root, path) for path in (*tree.paths(), *filter(None, tree.nodes)))
    yield from _read(subject)


def spelled_file(subject: Subject, name: str) -> str | None:
    """The path of a file or a directory in its only spelling; None if there is none."""
    path = posixpath.normpath(name)
    found = subject.is_file or path in _read(subject) or any(True for _ in _copies(subject, path))
    return path if found else None


def file_touches(subject: Subject, name: str) -> Iterator[Touch]:
    """The ways in which a file or a directory reaches an image."""
    yield from _copies(subject, name)
    delivery = subject.image.delivery
    if name in (read := _read(subject)):
        yield read[name]
    elif subject.is_file and delivery is not None and delivery.downloads:
        yield Touch("is downloaded when a step runs, if it is part of the code")


def _root(subject: Subject, tree: str) -> str:
    """Where a tree begins in the project."""
    return "" if tree == FILES else subject.image.checkout.context_root


def _copies(subject: Subject, path: str) -> Iterator[Touch]:
    """The trees that have a file, or files in a directory."""
    for name, tree in subject.image.checkout.trees.items():
        root = _root(subject, name)
        inside = path.removeprefix(f"{root}/") if path != root else ""
        is_file = tree.holds(inside)
        if not is_file and ("" if inside == "." else inside) not in tree.nodes:
            continue
        what = "is copied" if is_file else "has files that are copied"
        whither, layer = ("into the image", "files") if name == FILES else ("by the Dockerfile", "dockerfile")
        yield Touch(f"{what} {whither}", None, subject.since_layer(layer))


def _read(subject: Subject) -> Mapping[str, Touch]:
    """The files of the project that are read to plan an image, and what each is read as."""
    settings, image = subject.settings, subject.image
    found: dict[str, Touch] = {}
    if settings.dockerfile is not None and image.parent is None:
        words = "is the Dockerfile that it is built from"
        found[posixpath.normpath(settings.dockerfile)] = Touch(
            words, subject.said("dockerfile"), first=PARENT
        )
    for source, path, words in (*_requirements(subject), *_projects(subject)):
        if layers := subject.since_layer(source):
            found.setdefault(path, Touch(words, subject.asked(source), layers))
    ignore = ignore_path(settings)
    if FILES in image.checkout.trees and _is_there(subject, ignore):
        words = "says which files are copied into the image"
        found.setdefault(ignore, Touch(words, None, subject.since_layer("files")))
    return found


def _is_there(subject: Subject, path: str) -> bool:
    need = FileText(path)
    return need in subject.facts and subject.facts.ask(need) is not None


def _requirements(subject: Subject) -> Iterator[tuple[str, str, str]]:
    """The requirements files, and those that they include: the source, the path, and what it is read as."""
    settings, facts = subject.settings, subject.facts
    named = [file.path for file in settings.requirements.files]
    if settings.detects and not settings.names_requirements:
        named.append(REQUIREMENTS_FILE)
    for each in named:
        need = RequirementsFile(each)
        for path, text in (facts.ask(need) if need in facts else {}).items():
            if text is not None:
                included = f", included by {each}" if path != each else ""
                yield "requirements", path, f"is read as requirements{included}"
        if _is_there(subject, each):
            yield "requirements", each, "is read as requirements"


def _projects(subject: Subject) -> Iterator[tuple[str, str, str]]:
    """The same of a pyproject.toml, a pylock.toml, and of what has their packages."""
    settings = subject.settings
    own = settings.pyproject.path if settings.pyproject else PYPROJECT
    exported = (PYPROJECT, "poetry.lock") if settings.replicated == "poetry_export" else ()
    for need in subject.facts.needs:
        if not isinstance(need, FileText) or not _is_there(subject, need.path):
            continue
        if need.path == own or posixpath.basename(need.path) in (*_LOCKS, PYPROJECT):
            yield "pyproject", need.path, "says what pyproject_path installs"
        if need.path in exported:
            yield "local-environment", need.path, "says what the local Python has"
