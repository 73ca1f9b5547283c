"""The names of the sources of requirements, in the order of their layers, and the setting that asks for each.

A problem of a source is placed at its setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["SETTING_OF"]

SETTING_OF: Final[Mapping[str, str]] = {
    "local-environment": "replicate_local_python_environment",
    "stack": "install_stack_requirements",
    "deployment": "install_deployment_requirements",
    "integrations": "required_integrations",
    "pyproject": "pyproject_path",
    "requirements": "requirements",
}
