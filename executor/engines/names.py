"""The names of the engines, and the one that is asked for. Light, so that every command can check it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from executor.errors import UsageError
from planner.errors import did_you_mean

__all__ = ["ENGINES", "VARIABLES", "asked_engine"]

ENGINES: Final = ("docker", "podman")
# Ours, and the reference's.
VARIABLES: Final = ("STOWPLAN_CONTAINER_ENGINE", "ZENML_CONTAINER_ENGINE")


def asked_engine(name: str | None = None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The engine called `name`, else the one a variable names; None if neither does.

    UsageError for a name that is none.
    """
    asked, where = name, "engine"
    for variable in VARIABLES:
        if not asked:
            asked, where = environ.get(variable), variable
    if asked and asked not in ENGINES:
        raise UsageError.of(where, f"no container engine is called {asked!r}", did_you_mean(asked, ENGINES))
    return asked or None
