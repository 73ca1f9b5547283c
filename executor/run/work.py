"""What one step is to do, as data: the job that the bootstrap reads, and what tells one job from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, assert_never

from executor.run.outcome import StoredOutput
from planner.entrypoint import Command, Entrypoint, Function, Json, Output

__all__ = ["INPUTS", "data_inputs", "given_digest", "input_file", "job_bytes"]

_VERSION: Final = 1
INPUTS: Final = "inputs"


def data_inputs(entrypoint: Entrypoint | None) -> Mapping[str, Output]:
    """The inputs that are outputs of other steps, by parameter."""
    if not isinstance(entrypoint, Function):
        return {}
    return {name: item for name, item in entrypoint.inputs.items() if isinstance(item, Output)}


def given_digest(entrypoint: Entrypoint) -> str:
    """A digest of what a step is to do, and of where its inputs come from: of no code and no image."""
    match entrypoint:
        case Command():
            data: Any = {"command": entrypoint.argv}
        case Function():
            inputs = {
                name: {"step": item.step, "output": item.name}
                if isinstance(item, Output)
                else {"value": item}
                for name, item in entrypoint.inputs.items()
            }
            data = {"function": entrypoint.source, "inputs": inputs, "outputs": entrypoint.outputs}
        case _:
            assert_never(entrypoint)
    text = json.dumps(data, sort_keys=True, default=dict, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def input_file(index: int) -> str:
    """The file of an input, from the exchange directory."""
    return f"{INPUTS}/{index}"


def job_bytes(
    run: str,
    step: str,
    entrypoint: Entrypoint,
    *,
    directory: str,
    code: Mapping[str, Any] | None,
    stored: Mapping[str, StoredOutput],
) -> bytes:
    """The job of a step, as the bootstrap reads it on its standard input.

    `directory` is the source root where it runs, `code` how the code gets there, and `stored` are the inputs
    that are files, by parameter, in the order of `input_file`.
    """
    job: dict[str, Any] = {
        "version": _VERSION,
        "run": run,
        "step": step,
        "directory": directory,
        "code": code,
        "entrypoint": {"command": entrypoint.argv}
        if isinstance(entrypoint, Command)
        else {"function": entrypoint.source},
        "inputs": {},
        "outputs": [],
    }
    if isinstance(entrypoint, Function):
        files = {name: input_file(index) for index, name in enumerate(stored)}
        job["inputs"] = {
            name: _input(run, item, stored.get(name), files.get(name, ""))
            for name, item in entrypoint.inputs.items()
        }
        job["outputs"] = entrypoint.outputs
    return json.dumps(job, default=dict).encode() + b"\n"


def _input(run: str, item: Output | Json, stored: StoredOutput | None, file: str) -> Mapping[str, Any]:
    if stored is None:
        return {"value": item}
    return {"file": file, "serializer": stored.serializer, "sha256": stored.sha256, "run": run}
