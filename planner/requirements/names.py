"""The names of the sources of requirements, in the order of their layers, and the setting that asks for each.

A problem of a source is placed at its setting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["OWN", "SETTING_OF", "prevailing"]

SETTING_OF: Final[Mapping[str, str]] = {
    "local-environment": "replicate_local_python_environment",
    "stack": "install_stack_requirements",
    "deployment": "install_deployment_requirements",
    "integrations": "required_integrations",
    "pyproject": "pyproject_path",
    "requirements": "requirements",
}
# Those whose requirements the project has chosen itself; the others come with what it runs on.
OWN: Final = ("local-environment", "pyproject", "requirements")


def prevailing(sources: Iterable[str]) -> tuple[str, ...]:
    """The project's own sources, where there are others that they can prevail over."""
    names = tuple(sources)
    own = tuple(name for name in names if name in OWN)
    return own if own != names else ()
