"""`help` of settings: the type and the text of each, as the source has them."""

from __future__ import annotations

import inspect
import pydoc
import re

import pytest

import stowplan
from executor.library.texts import attribute_texts, documented
from planner.settings.docker import DockerSettings


@pytest.mark.parametrize("name", ["DockerSettings", "BuildConfig", "BuildOptions"])
def test_help_has_type_and_text_of_each_setting(name: str) -> None:
    kind = getattr(stowplan, name)
    shown = pydoc.plain(pydoc.render_doc(kind))
    texts = attribute_texts(kind)
    assert set(kind.settable()) <= set(texts)
    flat = re.sub(r"[\s|]+", " ", shown)
    for setting in kind.settable():
        text = texts[setting]
        said = kind.__annotations__[setting].replace(" | Unset", "")
        assert re.sub(r"[\s|]+", " ", f"{setting}: {said} {text}") in flat
    assert ": Any" not in shown


def test_help_begins_with_what_the_class_says_of_itself() -> None:
    lines = inspect.getdoc(stowplan.DockerSettings)
    assert lines is not None
    assert lines.startswith("What a pipeline or a step asks of its image.\n")
    assert "\n    parent_image: str | None\n        Image to build on. Default: " in lines
    assert documented(DockerSettings) is stowplan.DockerSettings
    assert inspect.getdoc(documented(DockerSettings)) == lines


def test_other_settable_values_have_the_types_of_their_fields() -> None:
    assert "\n    steps: tuple[Step, ...]" in (inspect.getdoc(stowplan.Pipeline) or "")
    assert "\n    uri: str" in (inspect.getdoc(stowplan.ContainerRegistry) or "")


def test_help_of_a_project_has_its_methods() -> None:
    shown = pydoc.plain(pydoc.render_doc(stowplan.Project))
    for name in ("plan", "apply", "lock", "run", "builds"):
        assert re.search(rf"^ \|  {name}\b.*\n \|      \w", shown, flags=re.MULTILINE), name


def test_a_class_without_source_has_no_texts() -> None:
    made = type("Made", (), {"__doc__": "Made.", "settable": staticmethod(lambda: ("a",))})
    assert attribute_texts(made) == {}
    assert inspect.getdoc(documented(made)) == "Made.\n\nSettings:\n\n    a: Any"
