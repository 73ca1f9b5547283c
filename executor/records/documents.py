"""Build ↔ plain data: what the records keep of a build, what `builds show` prints, and what is exported.

Specs are records of a lock, whose hashes are checked when they are read. Nothing of a variable is in it but
the text that a setting has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from planner.build import Build, BuiltImage
from planner.errors import PlannerError
from planner.image.plan import PlanSpec
from planner.lock.lock import Lock
from planner.lock.normal import records_of
from planner.lock.records import CLASS_OF, KIND_OF, read, write
from planner.lock.text import of_records
from planner.values import Digest, ImageRef, thaw

__all__ = ["SCHEMA", "UnreadableBuild", "build_data", "build_of", "specs_data", "specs_of"]

SCHEMA: Final = "stowplan/build/2"


class UnreadableBuild(ValueError):
    """The data hold no build that this version can read: they were edited, or another version wrote them."""


def build_data(build: Build) -> dict[str, Any]:
    """What is printed of a build, schema `stowplan/build/2`."""
    return {
        "schema": SCHEMA,
        "id": build.id,
        "created": build.created,
        "used": build.used,
        "seconds": build.seconds,
        "pipeline": build.pipeline,
        "stack": build.stack,
        "plan": str(build.plan),
        "commit": build.commit,
        "engine": build.engine,
        "contains_code": build.contains_code,
        "images": [
            {
                "name": image.name,
                "steps": list(image.steps),
                "hash": str(image.hash),
                "spec_hash": str(image.spec),
                "reference": image.reference,
                "builds": image.builds,
                "digest": str(image.digest) if image.digest else None,
                "platform": image.platform,
                "code": str(image.code) if image.code else None,
                "bootstrap": image.bootstrap,
                "result": image.result,
                "seconds": image.seconds,
            }
            for image in build.images
        ],
    }


def specs_data(specs: PlanSpec) -> list[dict[str, Any]]:
    """The specs of the images of a build, as records of a lock."""
    records = sorted(records_of(Lock((specs,))), key=lambda record: KIND_OF[type(record)])
    return [{"kind": KIND_OF[type(record)], **thaw(write(record))} for record in records]


def build_of(data: object, specs: object = None) -> Build:
    """The build that data describe, with its specs if these are given. UnreadableBuild says what is wrong."""
    try:
        if not isinstance(data, Mapping):
            raise TypeError("it is not a table")
        if data["schema"] != SCHEMA:
            raise ValueError(f"its schema is {data['schema']!r}, not {SCHEMA!r}")
        build = Build(
            _text(data["id"]),
            _text(data["created"]),
            _text(data["used"]),
            float(data["seconds"]),
            _text(data["pipeline"]),
            _text(data["stack"]),
            Digest.parse(data["plan"]),
            _text(data["engine"]),
            tuple(map(_image, data["images"])),
            None if data["commit"] is None else _text(data["commit"]),
        )
        return build if specs is None else evolve(build, specs=_specs(build, specs))
    except PlannerError as error:
        raise UnreadableBuild(error.problems[0].found) from error
    except KeyError as error:
        raise UnreadableBuild(f"it has no {error.args[0]!r}") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableBuild(str(error)) from error


def specs_of(data: Any) -> PlanSpec:
    """What `specs_data` has written. PlannerError, ValueError and the like if it is something else."""
    lock = of_records(_record(index, record) for index, record in enumerate(data))
    (plan,) = lock.plans
    return plan


def _specs(build: Build, data: Any) -> PlanSpec:
    """The specs of a build. PlannerError, ValueError and the like if they are not those of its images."""
    plan = specs_of(data)
    said = {(image.name, image.steps, image.spec) for image in build.images}
    found = {(named.name, named.steps, named.spec.hash): named for named in plan.images}
    more = [named for key, named in found.items() if key not in said]
    # What others are built on is written down too, though nothing may run in it.
    parents = {named.spec.parent for named in plan.images}
    if not said <= found.keys() or any(named.steps or named.spec not in parents for named in more):
        raise ValueError("its specs are not those of its images")
    if (plan.pipeline, plan.stack) != (build.pipeline, build.stack):
        raise ValueError("its specs are those of another pipeline or stack")
    return plan


def _record(index: int, data: Mapping[str, Any]) -> Any:
    rest = {name: value for name, value in data.items() if name != "kind"}
    if data["kind"] not in CLASS_OF:
        raise ValueError(f"unknown kind of record: {data['kind']!r}")
    return read(data["kind"], rest, f"specs[{index}]")


def _image(data: Mapping[str, Any]) -> BuiltImage:
    reference = _text(data["reference"])
    # What is no reference would reach an engine as one.
    ImageRef.parse(reference)
    return BuiltImage(
        _text(data["name"]),
        tuple(map(_text, data["steps"])),
        Digest.parse(data["hash"]),
        Digest.parse(data["spec_hash"]),
        reference,
        bool(data["builds"]),
        None if data["digest"] is None else Digest.parse(data["digest"]),
        None if data["platform"] is None else _text(data["platform"]),
        None if data["code"] is None else Digest.parse(data["code"]),
        bool(data["bootstrap"]),
        _text(data["result"]),
        float(data["seconds"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, found {value!r}")
    return value
