"""The schemas by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from executor.schemas.objects import object_schema, schema_name
from executor.schemas.printed import PRINTED
from executor.schemas.written import project_schema, run_configuration_schema

__all__ = ["SCHEMAS"]

SCHEMAS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "project": project_schema,
    "run-configuration": run_configuration_schema,
    **{schema_name(kind).split("/")[1]: partial(object_schema, kind) for kind in PRINTED},
}
"""What makes each schema: of what is written, and of what is printed by its name without version."""
