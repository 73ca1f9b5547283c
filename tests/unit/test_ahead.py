"""Modules that are loaded ahead are there, and one that cannot be loaded is told of where it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SCRIPT: Final = """
import sys, threading
from executor.ahead import load_ahead

load_ahead("no.such.module", "tomlkit")
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join()
print("tomlkit" in sys.modules)
"""


def test_modules_are_loaded_in_a_thread() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
