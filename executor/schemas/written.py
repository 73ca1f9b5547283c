"""The schemas of what people write: project files and run configurations."""

from __future__ import annotations

from typing import Any, Final

from executor.config.run_yaml import PASSED_OVER, PASSED_OVER_OF_STEP
from executor.schemas.definitions import whole_schema
from planner.integrations import Integration
from planner.names import name_check, source_check
from planner.pipeline import DeploymentSettings, Pipeline, operator_check
from planner.repositories import repositories_check
from planner.settings.build_options import BuildConfig
from planner.settings.checked import Checked
from planner.settings.checks import Schema
from planner.settings.deprecated import DEPRECATED
from planner.settings.docker import DockerSettings
from planner.settings.secrets import secrets_check
from planner.stack import Stack

__all__ = ["project_schema", "run_configuration_schema"]


def _tables(schema: Schema, description: str) -> Schema:
    """Tables by names."""
    return {
        "description": description,
        "type": "object",
        "propertyNames": name_check.schema,
        "additionalProperties": schema,
    }


# A pipeline in Python, which says nothing else here.
_IN_PYTHON: Final[Schema] = {
    "type": "object",
    "properties": {
        "name": name_check.schema,
        "source": {**source_check.schema, "description": "Where the pipeline is in Python: `module:object`."},
    },
    "additionalProperties": False,
}
_PIPELINE: Final[Schema] = {
    "type": "object",
    "if": {"required": ["source"]},
    "then": _IN_PYTHON,
    "else": {"$ref": Pipeline},
}


def project_schema() -> dict[str, Any]:
    """The schema of `stowplan.toml`, and of `[tool.stowplan]`."""
    integration = {"$ref": Integration}
    # A name in the table would be that of another integration.
    tables = {
        "code_repository": {
            **repositories_check.schema,
            "description": "Where containers download code from, by name.",
        },
        "integration": _tables(integration, "Integrations of this project, by name."),
        "pipeline": _tables(_PIPELINE, "The pipelines, by name."),
        "secret": {**secrets_check.schema, "description": "Secrets that all pipelines may use, by name."},
        "stack": _tables({"$ref": Stack}, "Where images go, and what runs pipelines, by name."),
    }
    schema: Schema = {"type": "object", "properties": tables, "additionalProperties": False}
    return whole_schema("project", "A project file of stowplan", schema)


_ANY: Final[Schema] = {"type": ["object", "null"]}
_PARAMETERS: Final[Schema] = {**_ANY, "description": "Values of the parameters of the function, by name."}


def _parts(kind: type[Checked], **others: Schema) -> Schema:
    """A table that may leave each of its names empty, and be empty itself."""
    parts = {name: {"$ref": f"#/$defs/{kind.__name__}/properties/{name}"} for name in kind.settable()}
    return {
        "type": ["object", "null"],
        "properties": {name: {"anyOf": [each, {"type": "null"}]} for name, each in (parts | others).items()},
        "additionalProperties": False,
    }


def _settings(*, deployment: bool) -> Schema:
    configs = {name: _parts(BuildConfig) for name in ("build_config", "parent_image_build_config")}
    docker = _parts(DockerSettings, **configs)
    deprecated = {
        name: {"deprecated": True, "description": f"Deprecated: {fix}."} for name, fix in DEPRECATED.items()
    }
    kinds: dict[str, Schema] = {
        "docker": {
            **docker,
            "description": "What is asked of images.",
            "properties": {**docker["properties"], **deprecated},
        }
    }
    if deployment:
        # What else it has is passed over.
        kinds["deployment"] = {**_parts(DeploymentSettings), "additionalProperties": True}
    # Settings of components are passed over.
    return {"type": ["object", "null"], "properties": kinds}


_PARTS: Final = (DockerSettings, BuildConfig, DeploymentSettings)


def run_configuration_schema() -> dict[str, Any]:
    """The schema of a run configuration: what is not about images may be anything."""
    step: Schema = {
        "type": ["object", "null"],
        "properties": {
            "settings": _settings(deployment=False),
            "parameters": _PARAMETERS,
            "step_operator": {"anyOf": [operator_check.schema, {"type": "null"}]},
            **{name: {"description": "Passed over."} for name in PASSED_OVER_OF_STEP},
        },
    }
    schema: Schema = {
        "type": ["object", "null"],
        "properties": {
            "settings": _settings(deployment=True),
            "steps": {
                **_ANY,
                "description": "What is said of each step, by its name.",
                "additionalProperties": step,
            },
            "parameters": _PARAMETERS,
            "build": {
                "description": "The build to take as it is: its id, or an exported one.",
                "not": {"type": "array"},
            },
            **{name: {"description": "Passed over."} for name in PASSED_OVER},
        },
    }
    return whole_schema("run-configuration", "A run configuration of stowplan", schema, parts_of=_PARTS)
