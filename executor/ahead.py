"""Does what will be needed before it is, while this process waits for another program, or one for it.

What comes after a build (the docker SDK, the client of registries, the writer of the lock) takes more than a
tenth of a second to import, in which the engine would be waited for anyway.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from importlib import import_module

__all__ = ["ask_ahead", "load_ahead"]


def load_ahead(*modules: str) -> None:
    """Begin to import modules. Whoever imports one meanwhile waits for it, as always."""
    threading.Thread(target=_load, args=modules, name="stowplan-ahead").start()


def ask_ahead(question: Callable[[], object]) -> None:
    """Begin to ask what is asked again later, and has kept the answer by then; an error as well."""

    def ask() -> None:
        with contextlib.suppress(Exception):  # it is raised where it is asked again
            question()

    threading.Thread(target=ask, name="stowplan-ahead", daemon=True).start()


def _load(*modules: str) -> None:
    for name in modules:
        with contextlib.suppress(Exception):  # it is raised where the module is used
            import_module(name)
