"""Loads modules before they are needed, while this process waits for another program.

What comes after a build (the docker SDK, the client of registries, the writer of the lock) takes more than a
tenth of a second to import, in which the engine would be waited for anyway.
"""

from __future__ import annotations

import contextlib
import threading
from importlib import import_module

__all__ = ["load_ahead"]


def load_ahead(*modules: str) -> None:
    """Begin to import modules. Whoever imports one meanwhile waits for it, as always."""
    threading.Thread(target=_load, args=modules, name="stowplan-ahead").start()


def _load(*modules: str) -> None:
    for name in modules:
        with contextlib.suppress(Exception):  # it is raised where the module is used
            import_module(name)
