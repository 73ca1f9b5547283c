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

from planner import (
    Facts,
    Lock,
    Pipeline,
    PlannerError,
    Secret,
    Stack,
    Use,
    context_files,
    diff,
    dockerfile,
    dumps,
    loads,
    make_plan,
    needs,
)
from planner.compare.explain import Action, Report, image_data, image_text, markdown, report_data, text_lines
from planner.facts.needs import Variable
from tests.builders import World, observed, pipeline_of, plan_of
from tests.property import strategies as some

# Long enough to be found by accident nowhere, with the characters that encoders change.
tokens = st.text(st.sampled_from("abcXYZ0189-_'\"$\\ #=\xe9"), min_size=12, max_size=40)
TABLE: Final[dict[str, Any]] = {
    "requirements": ["six"],
    "environment": {"PIP_EXTRA_INDEX_URL": "https://${TOKEN}@pypi.example.com/simple", "PLAIN": "1"},
    "runtime_environment": {"TOKEN": "${TOKEN}"},
    "build_config": {"build_options": {"labels": {"team": "vision"}, "build_args": {"A": "1"}}},
}


def _forms(token: str) -> Iterator[str]:
    """The token, as encoders would write it, and what could be compared with a list of guesses."""
    data = token.encode()
    yield token
    yield repr(token)[1:-1]
    yield token.encode("unicode_escape").decode()
    yield base64.b64encode(data).decode()
    yield data.hex()
    for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256"):
        plain = hashlib.new(name, data)
        yield plain.hexdigest()
        yield base64.b64encode(plain.digest()).decode()


def _said(pipeline: Pipeline, facts: Facts) -> Iterator[str]:
    """All that is shown, written or stored of a plan."""
    plan = make_plan(pipeline, Stack(), facts)
    rotated = make_plan(pipeline, Stack(), facts.also({Variable("TOKEN"): Secret("rotated")}))
    for value in (pipeline, facts, plan, rotated, plan.locked(), Lock((plan,)), needs(pipeline, Stack())):
        yield repr(value)
        yield str(value)
    text = dumps(plan)
    yield text
    yield repr(loads(text))
    changes = (*diff(plan, rotated), *diff(rotated, plan), *diff(None, plan), *diff(loads(text), plan))
    yield repr(changes)
    actions = {image.name: Action.BUILD if image.use is Use.BUILD else Action.PARENT for image in plan.images}
    report = Report(plan, actions, since_lock=changes, notes=plan.notes)
    yield from text_lines(report)
    yield markdown(report)
    yield repr(report_data(report))
    yield repr(report)
    for image in plan.images:
        yield dockerfile(image)
        yield repr(context_files(image))
        yield image_text(report, image)
        yield repr(image_data(report, image))
        yield f"{image.hash} {image.environment_hash} {image.reference}"


@some.examples(15)
@given(tokens)
def test_a_token_is_nowhere(token: str) -> None:
    pipeline = pipeline_of(TABLE, {"load": {}, "train": {"user": "1000"}})
    facts = observed(pipeline, world=World(variables={"TOKEN": token}))
    said = "\n".join(_said(pipeline, facts))
    assert [form for form in _forms(token) if form in said] == []


@some.examples(30)
@given(tokens, st.sampled_from(["\n", "\0", "\r", "\udcff"]))
def test_a_token_is_in_no_error(token: str, bad: str) -> None:
    """Neither in its words nor in what hangs on it: a log prints the whole chain."""
    pipeline = pipeline_of({**TABLE, "environment": {"A": "${TOKEN}", "B": "${UNSET}"}})
    facts = observed(pipeline, world=World(variables={"TOKEN": token + bad}))
    with pytest.raises(PlannerError) as refused:
        make_plan(pipeline, Stack(), facts)
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value.problems)
    assert "TOKEN" in shown
    assert "UNSET" in shown
    assert [form for form in _forms(token) if form in shown] == []


@some.examples(30)
@given(tokens)
def test_a_token_beside_other_mistakes_is_in_no_error(token: str) -> None:
    pipeline = pipeline_of(
        TABLE, {"load": {"requirements": ["-e ."]}, "train": {"environment": {"C": "${UNSET}"}}, "eval": {}}
    )
    facts = observed(pipeline, world=World(variables={"TOKEN": token}))
    with pytest.raises(PlannerError) as refused:
        make_plan(pipeline, Stack(), facts)
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value.problems)
    assert [form for form in _forms(token) if form in shown] == []


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
    secret = Secret("s3cr3t")
    assert secret.reveal() == "s3cr3t"
    assert repr(secret) == str(secret) == f"{secret}" == "Secret()"
