"""How benchmarks measure: whole programs, by turns, the best of several runs, next to references."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["STOWPLAN", "best", "run", "shell", "table"]

STOWPLAN: Final = (str(Path(sys.executable).parent / "stowplan"),)


def run(*argv: str, cwd: Path | None = None) -> str:
    """Run a program to its end; what it wrote."""
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def shell(script: str, root: Path) -> None:
    """Run a pipe of programs to its end."""
    run("/bin/sh", "-c", f"{{ {script}; }} >/dev/null", cwd=root)


def best(
    runs: int,
    works: Mapping[str, Callable[[], object]],
    before: Mapping[str, Callable[[], None]] | None = None,
) -> dict[str, float]:
    """The seconds of the fastest run of each, in rounds, so that a busy moment hits all of them alike."""
    seconds = dict.fromkeys(works, math.inf)
    for _ in range(runs):
        for name, work in works.items():
            if before and name in before:
                before[name]()
            start = time.perf_counter()
            work()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


def table(title: str, figures: Mapping[str, float], references: Sequence[str]) -> None:
    """Each figure, and how many times each reference it is."""
    print(f"\n{title}\n")
    width = max(20, *(len(name) + 2 for name in figures))
    print(f"{'':<{width}}{'seconds':>10}" + "".join(f"{'/ ' + name:>22}" for name in references))
    for name, seconds in figures.items():
        ratios = "".join(f"{seconds / figures[reference]:>22.2f}" for reference in references)
        print(f"{name:<{width}}{seconds:>10.3f}{ratios}")
