"""What `stowplan run` costs, next to the commands that a person would type for the same steps.

Needs Docker or Podman, as `scripts/engines.sh env` names them; without, it says so.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from benchmarks.measure import STOWPLAN, best, run, table

__all__ = ["running"]

STEPS: Final = ("load", "train", "evaluate", "report")
# What steps take is on both sides: nothing at all, and as much as a step takes that does something.
PROGRAMS: Final = {"nothing": "pass", "half a second each": "import time; time.sleep(0.5)"}
PROJECT: Final = """\
[pipeline.bench]
steps = ["load", "train", "evaluate", "report"]
[pipeline.bench.settings.docker]
parent_image = "{parent}"
environment = {{ MODEL_DIR = "/models" }}
allow_including_files_in_images = false
"""


def running(root: Path, runs: int) -> None:
    """Four steps, one after the other, whose image is there, with each engine."""
    parent = os.environ.get("STOWPLAN_TEST_BASE")
    for engine in ("docker", "podman"):
        if not (parent and os.environ.get(f"STOWPLAN_TEST_{engine.upper()}")):
            print(f"\nno {engine}: run is not measured with it (scripts/engines.sh up)")
            continue
        for name, program in PROGRAMS.items():
            _measure(root / f"{engine}-{len(program)}", engine, (name, program), parent, runs)


def _measure(root: Path, engine: str, steps: tuple[str, str], parent: str, runs: int) -> None:
    name, program = steps
    root.mkdir(parents=True)
    command = ["python", "-c", program]
    tables = (f"[pipeline.bench.step.{step}]\ncommand = {json.dumps(command)}\n" for step in STEPS)
    (root / "stowplan.toml").write_text(PROJECT.format(parent=parent) + "".join(tables))
    ours = (*STOWPLAN, "run", "bench", "--engine", engine)
    run(*ours, cwd=root)
    image = json.loads(run(*ours, "-o", "json", cwd=root))["steps"][0]["image"]

    def by_hand() -> None:
        for _ in STEPS:
            run(engine, "run", "--rm", image, *command)

    by_name = f"{engine} run, 4 times"
    figures = best(runs, {by_name: by_hand, "stowplan run": lambda: run(*ours, cwd=root)})
    table(f"four steps that take {name}, image there", figures, (by_name,))
    print(f"{'':<20}{figures['stowplan run'] - figures[by_name]:>+10.3f}")
