"""Plans ↔ the text of `stowplan.lock`.

Owns the schema of the lock (TOML, versioned, sorted) and its strict reading. The lock pins what the
repository does not: parent digests, requirements, tool versions, instructions, and the ledger of what
was pushed. Refuses to hold the digests of the project's own files, values of variables, or paths.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, Self

from attrs import asdict, evolve, field, frozen

from planner.errors import Place, PlannerError, Problem
from planner.image.instructions import KINDS, Installer, Instruction
from planner.image.plan import BuildPlan, ImagePlan, Parent, Use
from planner.requirements.model import Requirement, Requirements
from planner.requirements.options import parse_option
from planner.settings.build_options import ARGUMENTS, BuildOptions, bare_flags
from planner.settings.checks import kind_of
from planner.values import Digest, EnvTemplate, FrozenMapping, ImageRef

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = ["LOCK_NAME", "Lock", "Pushed", "dumps", "loads"]

LOCK_NAME: Final = "stowplan.lock"
VERSION: Final = 1
_HEADER: Final = "Written by `stowplan lock`. Commit it; do not edit it."
_RESTORE: Final = "restore it from version control, or write it anew with `stowplan lock`"


@frozen(order=True)
class Pushed:
    """One image of the ledger: the hash of an image, and the reference it was pushed as."""

    pipeline: str
    stack: str
    name: str
    image: Digest
    reference: ImageRef = field(order=str)


def _by_pair(plans: Iterable[BuildPlan]) -> tuple[BuildPlan, ...]:
    return tuple(sorted((plan.locked() for plan in plans), key=lambda plan: (plan.pipeline, plan.stack)))


def _sorted(pushed: Iterable[Pushed]) -> tuple[Pushed, ...]:
    return tuple(sorted(pushed))


@frozen
class Lock:
    """All plans of a project, as far as a lock holds them, and the ledger of pushed images."""

    plans: tuple[BuildPlan, ...] = field(default=(), converter=_by_pair)
    pushed: tuple[Pushed, ...] = field(default=(), converter=_sorted)

    def plan(self, pipeline: str, stack: str) -> BuildPlan | None:
        """The locked plan of a pipeline on a stack."""
        found = [plan for plan in self.plans if (plan.pipeline, plan.stack) == (pipeline, stack)]
        return found[0] if found else None

    def with_plan(self, plan: BuildPlan) -> Self:
        """The lock with this plan in place of that of the same pipeline and stack."""
        others = [
            other for other in self.plans if (other.pipeline, other.stack) != (plan.pipeline, plan.stack)
        ]
        return evolve(self, plans=(*others, plan.locked()))

    def without(self, pairs: Collection[tuple[str, str]]) -> Self:
        """The lock without the plans and the ledger of some pipelines on some stacks."""
        return evolve(
            self,
            plans=tuple(plan for plan in self.plans if (plan.pipeline, plan.stack) not in pairs),
            pushed=tuple(entry for entry in self.pushed if (entry.pipeline, entry.stack) not in pairs),
        )

    def with_pushed(self, plan: BuildPlan, pushed: Iterable[Pushed]) -> Self:
        """The ledger with what was pushed of a plan; its older images of the same plan are dropped."""
        current = {image.hash for image in plan.images}
        kept = {
            (entry.pipeline, entry.stack, entry.name): entry
            for entry in self.pushed
            if (entry.pipeline, entry.stack) != (plan.pipeline, plan.stack) or entry.image in current
        }
        kept |= {(entry.pipeline, entry.stack, entry.name): entry for entry in pushed}
        return evolve(self, pushed=tuple(kept.values()))

    def pushed_as(self, image: Digest, repository: str) -> ImageRef | None:
        """The reference under which an image was pushed to a repository, by digest."""
        found = [entry.reference for entry in self.pushed if entry.image == image]
        return next(
            (reference for reference in found if reference.name == ImageRef.parse(repository).name), None
        )

    def pin(self, reference: ImageRef) -> Digest | None:
        """The digest that some plan of the lock has for a parent image."""
        parents = (image.parent for plan in self.plans for image in plan.images)
        return next((parent.digest for parent in parents if parent.reference == reference), None)


# The schema of version 1, as the file has it. Singular names make singular tables: [[plan.image]].
@frozen
class _Requirements:
    packages: list[str] = field(factory=list)
    constraints: list[str] = field(factory=list)
    options: list[str] = field(factory=list)


@frozen
class _Image:
    name: str
    hash: Digest
    steps: tuple[str, ...]
    use: Use
    parent: ImageRef
    options: BuildOptions = BuildOptions()
    instruction: tuple[Instruction, ...] = ()


@frozen
class _Plan:
    pipeline: str
    stack: str
    hash: Digest
    image: tuple[_Image, ...] = ()


@frozen
class _Lock:
    version: int
    plan: tuple[_Plan, ...] = ()
    pushed: tuple[Pushed, ...] = ()


def dumps(lock: Lock | BuildPlan) -> str:
    """The text of a lock: the same value gives the same bytes.

    A single plan is written as a lock that holds it alone.
    """
    import tomlkit  # noqa: PLC0415  # writing is rarer than reading, which the standard library does faster

    if isinstance(lock, BuildPlan):
        lock = Lock(plans=(lock,))
    plans = tuple(
        _Plan(
            plan.pipeline,
            plan.stack,
            plan.environment_hash,
            tuple(
                _Image(
                    image.name,
                    image.environment_hash,
                    image.steps,
                    image.use,
                    evolve(image.parent.reference, digest=image.parent.digest),
                    image.options,
                    image.instructions,
                )
                for image in plan.images
            ),
        )
        for plan in lock.plans
    )
    document = tomlkit.document()
    document.add(tomlkit.comment(_HEADER))
    for key, value in _converter().unstructure(_Lock(VERSION, plans, lock.pushed)).items():
        document.add(key, _item(value))
    return tomlkit.dumps(document)


def _item(value: Any) -> Any:
    """A tomlkit item: lists of tables as `[[…]]`, longer lists one entry a line, small tables inline."""
    import tomlkit  # noqa: PLC0415  # see dumps

    match value:
        case dict():
            table = tomlkit.table()
            for key, item in value.items():
                table.add(key, _item(item))
            return table
        case [dict(), *_]:
            tables = tomlkit.aot()
            for item in value:
                tables.append(_item(item))
            return tables
        case list():
            array = tomlkit.array()
            array.extend(value)
            return array.multiline(len(value) > 1)
        case _:
            return tomlkit.item(value)


def loads(text: str) -> Lock:
    """Read the text of a lock. PlannerError says what is wrong with it, and where.

    A lock of a newer schema is refused by its version.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(text, str(error)) from None
    version = data.get("version")
    if isinstance(version, int) and version > VERSION:
        raise PlannerError([
            Problem.in_file(
                LOCK_NAME, None, f"of a newer stowplan (schema {version}; this one reads up to {VERSION})",
                "upgrade stowplan",
            )
        ])  # fmt: skip
    from cattrs.errors import BaseValidationError  # noqa: PLC0415  # heavy, and only a lock needs it

    try:
        read = _converter().structure(data, _Lock)
    except BaseValidationError as error:
        raise PlannerError(_problems(error)) from None
    if read.version != VERSION:
        raise PlannerError([Problem.in_file(LOCK_NAME, None, f"unknown schema {read.version}", _RESTORE)])
    pairs = [(plan.pipeline, plan.stack) for plan in read.plan]
    for pipeline, stack in pairs:
        if pairs.count((pipeline, stack)) > 1:
            # What a merge leaves that kept both sides.
            found = f"two plans of {pipeline!r} on {stack!r}"
            raise PlannerError([Problem.in_file(LOCK_NAME, None, found, _RESTORE)])
    return Lock(tuple(_plan(plan) for plan in read.plan), read.pushed)


def _plan(read: _Plan) -> BuildPlan:
    """The plan of a table, after checking that its hashes are those of what it says."""
    images = []
    for table in read.image:
        parent = Parent(evolve(table.parent, digest=None), table.parent.digest)
        image = ImagePlan(table.name, table.steps, table.use, parent, table.instruction, table.options)
        if image.environment_hash != table.hash:
            raise _edited(f"image {table.name!r}")
        images.append(image)
    plan = BuildPlan(read.pipeline, read.stack, tuple(images))
    if plan.environment_hash != read.hash:
        raise _edited(f"the plan of {read.pipeline!r} on {read.stack!r}")
    return plan


def _edited(what: str) -> PlannerError:
    return PlannerError(
        [Problem.in_file(LOCK_NAME, None, f"the hash of {what} is not that of its content", _RESTORE)]
    )


def _unreadable(text: str, message: str) -> PlannerError:
    conflict = re.search(r"^(<{7}|={7}|>{7})", text, re.MULTILINE)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        return PlannerError([Problem.in_file(LOCK_NAME, line, "an unresolved merge conflict", _RESTORE)])
    at = re.search(r" \(at line (\d+), column \d+\)$", message)
    line_or_none = int(at[1]) if at else None
    found = f"not TOML: {message[: at.start()] if at else message}"
    return PlannerError([Problem.in_file(LOCK_NAME, line_or_none, found, _RESTORE)])


def _problems(error: Exception) -> Iterable[Problem]:
    from cattrs import transform_error  # noqa: PLC0415  # see loads

    for text in transform_error(error, path="", format_exception=_said):
        found, _, where = text.rpartition(" @ ")
        yield Problem(
            Place(path=(where.lstrip("."),) if where else (), file=LOCK_NAME), found or text, _RESTORE
        )


def _said(error: BaseException, kind: type | None) -> str:
    """What is wrong with one value: our own words where they are."""
    from cattrs.v import format_exception  # noqa: PLC0415  # see loads

    # A validator of attrs gives more than its message.
    if isinstance(error, ValueError) and error.args:
        return str(error.args[0]).replace("\n", "; ")
    return format_exception(error, kind)


@cache
def _converter() -> Converter:
    """Reads strictly and writes tersely: no key is ignored, nothing is coerced, defaults are left out."""
    from cattrs import Converter  # noqa: PLC0415  # see loads

    converter = Converter(forbid_extra_keys=True, omit_if_default=True)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    for leaf, read in ((Digest, Digest.parse), (ImageRef, ImageRef.parse), (Use, Use)):
        converter.register_structure_hook(leaf, lambda value, _, read=read: read(_string(value)))
    converter.register_structure_hook(Requirements, lambda value, _: _read_requirements(value))
    converter.register_structure_hook(BuildOptions, lambda value, _: BuildOptions.decode(value))
    converter.register_structure_hook_func(
        _is(Mapping[str, EnvTemplate]), lambda value, _: _read_variables(value)
    )
    converter.register_structure_hook_func(_is(Mapping[str, Any]), lambda value, _: _read_arguments(value))
    converter.register_structure_hook_func(
        _is(Instruction), lambda value, _: converter.structure(value, _kind_of_instruction(value))
    )
    for text in (Digest, ImageRef, EnvTemplate):
        converter.register_unstructure_hook(text, str)
    converter.register_unstructure_hook(FrozenMapping, lambda value: converter.unstructure(dict(value)))
    converter.register_unstructure_hook(Requirements, _write_requirements)
    converter.register_unstructure_hook(BuildOptions, _write_options)
    converter.register_unstructure_hook(Installer, _write_installer)
    for instruction in KINDS.values():
        converter.register_unstructure_hook(instruction, _write_instruction)
    return converter


def _is(shape: object) -> Callable[[object], bool]:
    return lambda kind: kind == shape


def _exactly(kind: type) -> Any:
    def read(value: Any, _: object) -> Any:
        if type(value) is not kind:
            raise ValueError(f"expected {kind.__name__}, found {kind_of(value)}")
        return value

    return read


def _string(value: object) -> str:
    read: str = _exactly(str)(value, None)
    return read


def _read_arguments(value: object) -> Any:
    """Arguments of an installer, checked as those of settings are."""
    read = bare_flags(value)
    if problems := tuple(ARGUMENTS(read)):
        raise PlannerError(problems)
    return read


def _kind_of_instruction(value: Any) -> type[Instruction]:
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"unknown kind of instruction: {kind!r}")
    return KINDS[kind]


def _read_variables(value: Any) -> FrozenMapping[EnvTemplate]:
    read = _converter().structure(value, dict[str, str])
    return FrozenMapping({name: EnvTemplate(text) for name, text in read.items()})


def _read_requirements(value: Any) -> Requirements:
    read = _converter().structure(value, _Requirements)
    return Requirements(
        tuple(map(_read_requirement, read.packages)),
        tuple(map(_read_requirement, read.constraints)),
        tuple(map(parse_option, read.options)),
    )


# Images of one pipeline mostly share their requirements.
@lru_cache(maxsize=4096)
def _read_requirement(line: str) -> Requirement:
    text, *hashes = line.split(" --hash=")
    return Requirement.parse(text, hashes)


def _write_requirements(value: Requirements) -> Any:
    lines = _Requirements(
        [package.line for package in value.packages],
        [constraint.line for constraint in value.constraints],
        [str(option) for option in value.options],
    )
    return _converter().unstructure(lines)


def _write_options(value: BuildOptions) -> dict[str, Any]:
    """Only the options that are part of the image: the others stay where they were set."""
    return {
        name: _converter().unstructure(getattr(value, name))
        for name in ("build_args", "labels", "platform", "target", "other")
        if getattr(value, name) not in (None, {})
    }


def _write_instruction(value: Instruction) -> dict[str, Any]:
    """Every field, the kind first: a default that changes later must not change what an old lock says."""
    fields = {"kind": value.kind, **asdict(value, recurse=False)}
    return {name: _converter().unstructure(item) for name, item in fields.items() if item is not None}


def _write_installer(value: Installer) -> dict[str, Any]:
    # TOML has no null: a bare flag is written as true, as in the settings.
    arguments = {name: True if item is None else item for name, item in value.arguments.items()}
    written = {"name": value.name.value, "version": value.version, "arguments": arguments}
    return {name: item for name, item in written.items() if item}
