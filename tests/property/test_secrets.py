"""A token is planted as the value of a variable, and then looked for in all that a planner can say."""

from __future__ import annotations

import base64
import hashlib
import traceback
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.cli.render.data import image_data, report_data
from executor.cli.render.encode import json_text
from executor.cli.render.line import text_of
from executor.cli.render.markdown import image_markdown, report_markdown
from executor.cli.render.text import image_lines, report_lines
from executor.records.images import image_text
from planner import (
    Facts,
    HiddenValue,
    Lock,
    Need,
    Pins,
    Pipeline,
    PlannerError,
    Presence,
    Report,
    Stack,
    Variable,
    context_files,
    decide,
    diff,
    dockerfile,
    dumps,
    loads,
    make_plan,
    make_spec,
    needs,
)
from tests.builders import World, observed, pipeline_of, plan_of
from tests.encodings import found
from tests.property import strategies as some

# Long enough to be found by accident nowhere, with the characters that encoders change.
tokens = st.text(st.sampled_from("abcXYZ0189-_'\"$\\ #=\xe9"), min_size=12, max_size=40)
TABLE: Final[dict[str, Any]] = {
    "requirements": ["six"],
    "environment": {"PIP_EXTRA_INDEX_URL": "https://${TOKEN}@pypi.example.com/simple", "PLAIN": "1"},
    "runtime_environment": {"TOKEN": "${TOKEN}"},
    "build_config": {"build_options": {"labels": {"team": "vision"}, "build_args": {"A": "1"}}},
}


def _hashes(token: str) -> Iterator[str]:
    """What could be compared with a list of guesses."""
    for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256"):
        plain = hashlib.new(name, token.encode())
        yield plain.hexdigest()
        yield base64.b64encode(plain.digest()).decode()


def _found(token: str, said: str) -> list[str]:
    """What of a token is in a text, however it is encoded."""
    return [*found(token, said), *(made for made in _hashes(token) if made in said)]


def _said(pipeline: Pipeline, facts: Facts) -> Iterator[str]:
    """All that is shown, written or stored of a plan."""
    plan = make_plan(pipeline, Stack(), facts)
    rotated = make_plan(pipeline, Stack(), facts.also({Variable("TOKEN"): HiddenValue("rotated")}))
    spec = make_spec(pipeline, Stack(), facts)
    lock = Lock((spec,))
    pins = Pins(lock)
    asked = (needs(pipeline, Stack()), needs(pipeline, Stack(), facts, pins=pins))
    for value in (pipeline, facts, plan, rotated, spec, lock, pins, asked, plan.notes):
        yield repr(value)
        yield str(value)
    text = dumps(lock)
    yield text
    yield repr(loads(text))
    locked = loads(text).plan(pipeline.name, "default")
    changes = (*diff(plan, rotated), *diff(rotated, plan), *diff(None, plan), *diff(locked, plan))
    yield repr(changes)
    for decisions in (decide(plan, {}), decide(plan, {image.name: Presence() for image in plan.images})):
        report = Report(plan, decisions, since_lock=changes)
        yield repr(report)
        yield from map(text_of, report_lines(report))
        yield report_markdown(report)
        yield repr(report_data(report))
        for image in plan.images:
            yield from image_lines(report, image)
            yield image_markdown(report, image)
            yield repr(image_data(report, image))
            yield json_text(image_data(report, image))
    for image in plan.images:
        yield dockerfile(image.spec)
        yield repr(context_files(image.spec))
        yield image_text(image)  # what a record keeps
        yield f"{image.hash} {image.spec.hash} {image.reference} {image.base}"


@some.examples(15)
@given(tokens)
def test_a_token_is_nowhere(token: str) -> None:
    pipeline = pipeline_of(TABLE, {"load": {}, "train": {"user": "1000"}})
    facts = observed(pipeline, world=World(variables={"TOKEN": token}))
    said = "\n".join(_said(pipeline, facts))
    assert _found(token, said) == []


def _observe_all(pipeline: Pipeline, world: World, facts: dict[Need[Any], Any]) -> None:
    """Answer all that is needed, into `facts`."""
    while missing := needs(pipeline, Stack(), Facts().also(facts)):
        facts |= {need: world.answer(need) for need in missing}


def _refused(pipeline: Pipeline, world: World) -> str:
    """All that a log prints of why this cannot be planned, while it is observed and while it is planned."""
    facts: dict[Need[Any], Any] = {}
    with pytest.raises(PlannerError) as observing:
        _observe_all(pipeline, world, facts)
    with pytest.raises(PlannerError) as planning:
        make_plan(pipeline, Stack(), Facts().also(facts))
    return "".join(
        text
        for refused in (observing.value, planning.value)
        for text in (*traceback.format_exception(refused), repr(refused.problems))
    )


@some.examples(30)
@given(tokens, st.sampled_from(["\n", "\0", "\r", "\udcff"]))
def test_a_token_is_in_no_error(token: str, bad: str) -> None:
    """Neither in its words nor in what hangs on it: a log prints the whole chain."""
    pipeline = pipeline_of({**TABLE, "environment": {"A": "${TOKEN}", "B": "${UNSET}"}})
    shown = _refused(pipeline, World(variables={"TOKEN": token + bad}))
    assert "TOKEN" in shown
    assert "UNSET" in shown
    assert _found(token, shown) == []


@some.examples(30)
@given(tokens)
def test_a_token_beside_other_mistakes_is_in_no_error(token: str) -> None:
    pipeline = pipeline_of(
        TABLE, {"load": {"requirements": ["-e ."]}, "train": {"environment": {"C": "${UNSET}"}}, "eval": {}}
    )
    shown = _refused(pipeline, World(variables={"TOKEN": token}))
    assert "UNSET" in shown
    assert _found(token, shown) == []


@some.examples(30)
@given(tokens)
def test_a_token_in_the_url_of_an_index_is_in_no_error(token: str) -> None:
    """Written where it does not belong, it is refused, and not repeated in saying so."""
    word = "".join(character for character in token if character.isalnum()) + "Xyz0189abc"
    url = f"https://user:{word}@pypi.example.com/simple"
    for table in (
        {"python_package_installer_args": {"extra-index-url": url}},
        {"requirements": [f"six @ {url}"]},
        {"requirements": "r.txt"},
    ):
        with pytest.raises(PlannerError) as refused:
            plan_of(table, world=World(texts={"r.txt": f"six\n--index-url {url}\n"}))
        assert word not in "".join(traceback.format_exception(refused.value))


def test_what_holds_the_value_shows_it_when_asked_and_not_before() -> None:
    secret = HiddenValue("s3cr3t")
    assert secret.reveal() == "s3cr3t"
    assert repr(secret) == str(secret) == f"{secret}" == "HiddenValue()"
