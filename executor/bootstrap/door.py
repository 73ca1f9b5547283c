"""The module `stowplan` in a Python that is to describe or to run a pipeline: decorators and stand-ins.

It goes before an installed stowplan, so that what a project says means the same in any Python. What else is
asked of it the installed one has, if there is one. Nothing is loaded before somebody imports `stowplan`.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

__all__ = ["offer"]

_NAME = "stowplan"


class _Door(ModuleType):
    """`stowplan`, with what pipelines are written with."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        installed = self._installed()
        if installed is None:
            found = f"module {_NAME!r} has no attribute {name!r} in a Python that it is not installed in"
            raise AttributeError(found)
        return getattr(installed, name)

    def _installed(self) -> Any:
        """The installed stowplan, loaded once; None if there is none."""
        if "_loaded" not in vars(self):
            self._loaded = None
            spec = PathFinder.find_spec(_NAME)
            if spec is not None and spec.loader is not None:
                self._loaded = ModuleType(_NAME)
                self._loaded.__spec__, self._loaded.__file__ = spec, spec.origin
                spec.loader.exec_module(self._loaded)
        return self._loaded


class _Finder:
    """Finds the door, and loads it."""

    def find_spec(self, name: str, _: Any = None, __: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name == _NAME else None  # type: ignore[arg-type]  # it is one

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Door(spec.name, "What pipelines are written with.")

    def exec_module(self, module: ModuleType) -> None:
        from .decorators import pipeline, step  # noqa: PLC0415  # few commands of containers need it
        from .recorders import STAND_INS  # noqa: PLC0415  # as above

        names = {"pipeline": pipeline, "step": step, **STAND_INS}
        vars(module).update({**names, "__all__": list(names)})


def offer() -> None:
    """Be what `import stowplan` gives."""
    sys.meta_path.insert(0, _Finder())
