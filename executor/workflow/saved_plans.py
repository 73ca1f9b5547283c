"""A plan in a file: written by `plan --out`, and applied as it is, or not at all.

Owns the format, which holds no value of a variable and no secret: of variables it has fingerprints, as the
records have. An edit, another version and a damage are told apart from a plan.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import attrs

from executor.config.project import Project
from executor.config.source import NO_SUCH, Chosen, chosen
from executor.errors import ExecutorError, UsageError
from executor.reading import NotRead, read_whole
from executor.records.documents import specs_data, specs_of
from executor.records.images import image_data, image_of_data
from executor.state import LARGEST_LOCK_BYTES, STATE_DIRECTORY, write_file
from executor.workflow.copied import is_copied
from executor.workflow.plans import Planned
from executor.workflow.sides import Asked
from planner.compare.changes import diff
from planner.errors import Place, PlannerError, Problem
from planner.files.tree import Entry, Kind, Tree
from planner.image.plan import BuildPlan, ImagePlan
from planner.immutable import frozen
from planner.lock.lock import PipelineSource
from planner.stack import Stack
from planner.values import Digest

__all__ = ["SavedPlan", "is_plan_file", "read_saved_plan", "refuse_moved", "saved_plan_of", "write_plan"]

SCHEMA: Final = "stowplan/saved-plan/1"
_FAMILY: Final = "stowplan/saved-plan/"
_AGAIN: Final = "plan again with `stowplan plan --out`"


@frozen
class SavedPlan:
    """A plan that was saved, and how it was asked for. `file` is where, as it was named."""

    file: str
    plan: BuildPlan
    source: PipelineSource
    frozen: bool = False
    prevent_reuse: bool = False

    def asked(self, asked: Asked) -> Asked:
        """What another side of a comparison has to plan, unless more was said."""
        config = self.source.config
        return attrs.evolve(
            asked,
            pipeline=asked.pipeline or self.source.module or self.plan.pipeline,
            stack=asked.stack or self.plan.stack,
            config=asked.config or (Path(os.path.relpath(asked.root() / config)) if config else None),
        )

    def chosen(self, project: Project) -> tuple[Chosen, Stack]:
        """The pipeline and the stack that it was made of. ExecutorError if the project does not have them."""
        source = self.source
        config = Path(os.path.relpath(project.root / source.config)) if source.config else None
        try:
            pipeline = chosen(project, source.module or self.plan.pipeline, config)
            stack = project.stack(self.plan.stack)
        except ExecutorError as error:
            if not isinstance(error, UsageError) and all(each.code != NO_SUCH for each in error.problems):
                raise
            what = f"{self.plan.pipeline!r} on {self.plan.stack!r}"
            found = f"is a plan of {what}, which this project does not have"
            raise _problem(self.file, found, "apply it in its own project: --project", "plan-moved") from None
        return pipeline, stack


def is_plan_file(name: str) -> bool:
    """Whether what a command is about is a saved plan: no pipeline has such a name."""
    return name.endswith(".json")


def write_plan(
    project: Project, planned: Planned, path: Path, *, frozen: bool, prevent_reuse: bool, config: Path | None
) -> None:
    """Save a plan. UsageError where it could not be applied again; ExecutorError if it is not written."""
    if not is_plan_file(path.name):
        raise UsageError.of(
            "--out",
            f"the name of a saved plan ends with .json, not {path.name!r}",
            f"write --out {path}.json",
        )
    if config is not None and planned.source.config is None:
        found = f"the run configuration {config} is outside of the project, where `apply` does not find it"
        raise UsageError.of("--out", found, "copy it into the project")
    if is_copied(planned.facts, project.root, path):
        found = f"{path} is among the files that are copied into an image, and so would change the plan"
        fix = f"write it into {STATE_DIRECTORY}, outside of the project, or add it to .dockerignore"
        raise UsageError.of("--out", found, fix)
    data = _data(planned.plan, planned.source, frozen=frozen, prevent_reuse=prevent_reuse)
    text = json.dumps({**data, "digest": _digest(data)}, indent=1, ensure_ascii=False)
    write_file(project.root, path, text + "\n")


def read_saved_plan(path: Path) -> SavedPlan:
    """The plan in a file. ExecutorError if there is none that can be applied."""
    try:
        data = read_whole(path, LARGEST_LOCK_BYTES)
    except NotRead as error:
        raise ExecutorError.of(str(path), error.found, error.fix) from None
    if data is None:
        raise UsageError.of(str(path), "no such file", "name a file that `stowplan plan --out` wrote")
    return saved_plan_of(data, str(path))


def saved_plan_of(text: bytes, name: str) -> SavedPlan:
    """The plan that a file of this name holds. ExecutorError if it holds none, or one of another version."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise _problem(name, "holds no saved plan: it is not JSON, or was cut off", _AGAIN) from None
    schema = data.get("schema") if isinstance(data, Mapping) else None
    if not isinstance(schema, str) or not schema.startswith(_FAMILY):
        what = "it has no schema" if schema is None else f"its schema is {schema!r}"
        raise _problem(name, f"holds no saved plan: {what}", "write one with `stowplan plan --out`")
    writer = f"stowplan {data.get('stowplan')}"
    if schema != SCHEMA:
        found = f"was written by another version, {writer}: its schema is {schema!r}, not {SCHEMA!r}"
        raise _problem(name, found, _AGAIN)
    if data.get("digest") != _digest({key: each for key, each in data.items() if key != "digest"}):
        raise _problem(name, "was edited or damaged: its digest is not that of what it holds", _AGAIN)
    try:
        saved = _saved(data, name)
    except (PlannerError, LookupError, TypeError, ValueError, AttributeError):
        raise _problem(name, f"cannot be read by this version: {writer} wrote it", _AGAIN) from None
    if str(saved.plan.hash) != data["plan"]:
        raise _problem(name, f"has other hashes than this version makes: {writer} wrote it", _AGAIN)
    return saved


def refuse_moved(saved: SavedPlan, planned: Planned) -> None:
    """ExecutorError with all that is not as it was planned: nothing else than that plan is applied."""
    was, now = saved.plan, planned.plan
    moved = [f"{change.image}: {change.text}" for change in diff(was, now)]
    there = {image.name: image for image in now.images}
    moved += [
        f"{image.name}: {words}"
        for image in was.images
        if image.name in there
        for words in _elsewhere(image, there[image.name])
    ]
    if moved:
        raise ExecutorError(
            Problem(
                Place(file=saved.file),
                f"moved since it was planned: {each}",
                f"undo that, or {_AGAIN}",
                "plan-moved",
            )
            for each in moved
        )


def _elsewhere(was: ImagePlan, now: ImagePlan) -> Iterator[str]:
    """In what an image is built or kept otherwise, which says nothing of what it is."""
    for field in attrs.fields(type(was.destination)):
        before, after = (getattr(each.destination, field.name) for each in (was, now))
        if before != after:
            yield f"{field.name}: {before} → {after}"
    options = [image_data(each)["build_options"] for each in (was, now)]
    before, after = (json.loads(json.dumps(each, default=dict)) for each in options)
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    if names:
        yield f"build options: {', '.join(names)} changed"


def _data(plan: BuildPlan, source: PipelineSource, *, frozen: bool, prevent_reuse: bool) -> dict[str, Any]:
    trees = {tree.digest: tree for image in plan.images for tree in image.checkout.trees.values()}
    data = {
        "schema": SCHEMA,
        "stowplan": _version(),
        "plan": str(plan.hash),
        "pipeline": plan.pipeline,
        "stack": plan.stack,
        "commit": plan.commit,
        "module": source.module,
        "config": source.config,
        "frozen": frozen,
        "prevent_build_reuse": prevent_reuse,
        "images": [
            {
                **image_data(image),
                "hash": str(image.hash),
                "parent": image.parent.name if image.parent is not None else None,
            }
            for image in plan.images
        ],
        "specs": specs_data(plan.spec),
        "trees": {
            digest.hex: [[entry.path, entry.kind.value, _content(entry)] for entry in tree.entries()]
            for digest, tree in trees.items()
        },
    }
    # What is written is what is read: tuples and frozen mappings are lists and objects there.
    plain: dict[str, Any] = json.loads(json.dumps(data, default=dict))
    return plain


def _saved(data: Mapping[str, Any], name: str) -> SavedPlan:
    trees = {
        Digest(digest): Tree.of(
            Entry(path, Kind(kind), content.encode() if kind == Kind.LINK else bytes.fromhex(content))
            for path, kind, content in entries
        )
        for digest, entries in data["trees"].items()
    }
    specs = {each.name: each for each in specs_of(data["specs"]).images}
    images: dict[str, ImagePlan] = {}
    for each in data["images"]:
        parent = images[each["parent"]] if each["parent"] is not None else None
        images[each["name"]] = image_of_data(each, specs[each["name"]], trees, parent)
    plan = BuildPlan(data["pipeline"], data["stack"], tuple(images.values()), commit=data["commit"])
    source = PipelineSource(data["module"], data["config"])
    return SavedPlan(name, plan, source, data["frozen"], data["prevent_build_reuse"])


def _content(entry: Entry) -> str:
    return entry.target if entry.kind is Kind.LINK else entry.content.hex()


def _digest(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _version() -> str:
    try:
        return version("stowplan")
    except PackageNotFoundError:
        return "unknown"


def _problem(name: str, found: str, fix: str, code: str = "plan-unreadable") -> ExecutorError:
    return ExecutorError([Problem(Place(file=name), found, fix, code)])
