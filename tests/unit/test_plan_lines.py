"""What `plan` and `apply` print, line by line: symbols, words and what each colour means."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.apply.outcome import Outcome, Result
from executor.cli.look import Loudness, look
from executor.cli.main import run
from executor.cli.render.line import Line, Style, parts_of, text_of
from executor.cli.render.text import outcome_lines, report_lines
from planner import Place, Problem
from planner.compare.actions import Action, Decision
from planner.compare.report import Report
from planner.image.plan import BuildPlan
from tests.builders import plan_of

STEPS = {name: {"environment": {"STEP": name}} for name in ("a", "bb", "ccc", "d")}


@pytest.fixture
def plan() -> BuildPlan:
    """Four images."""
    return plan_of({}, STEPS)


def styled(lines: list[Line]) -> dict[str, Style]:
    """What stands in a style, by its text."""
    return {part.text: part.style for line in lines for part in parts_of(line) if part.style}


def test_a_plan_has_a_block_for_each_image_and_the_counts_come_last(plan: BuildPlan) -> None:
    first, second, third, fourth = (image.name for image in plan.images)
    problem = Problem(Place(file="x"), "is another image", "remove it")
    decisions = {
        first: Decision(Action.BUILD, "never-built", "never built here", ("the engine does not have it",)),
        second: Decision(Action.PUSH, "in-engine", "the engine has it"),
        third: Decision(Action.REUSE, "in-registry", "in the registry"),
        fourth: Decision(Action.BUILD, "foreign-image", "is another image", blocked=problem),
    }
    lines = list(report_lines(Report(plan, decisions), notes=False))
    hashes = [image.hash.short for image in plan.images]
    assert list(map(text_of, lines)) == [
        "training on default: 4 images",
        "",
        f"  + build  training/a    {hashes[0]}  step a",
        "           never built here (if the engine does not have it)",
        "",
        f"  ↑ push   training/bb   {hashes[1]}  step bb",
        "           the engine has it",
        "",
        f"  = reuse  training/ccc  {hashes[2]}  step ccc",
        "           in the registry",
        "",
        f"  ! build  training/d    {hashes[3]}  step d",
        "           is another image",
        "           apply will fail: remove it",
        "",
        f"plan {plan.hash.short}; stowplan.lock is up to date",
        "Plan: 2 to build, 1 to push, 1 to reuse.",
    ]
    colours = styled(lines)
    assert (colours["+ build"], colours["↑ push"]) == (Style.TODO, Style.TODO)
    assert (colours["= reuse"], colours["! build"]) == (Style.GOOD, Style.BAD)


def test_notes_are_left_out_and_whole_references_are_there_where_that_is_asked(plan: BuildPlan) -> None:
    decisions = {image.name: Decision(Action.REUSE, "in-engine", "there") for image in plan.images}
    report = Report(plan, decisions)
    said = {
        (notes, verbose): list(map(text_of, report_lines(report, notes=notes, verbose=verbose)))
        for notes in (True, False)
        for verbose in (True, False)
    }
    assert plan.notes
    notes = [f"note: {each}" for each in plan.notes]
    references = [f"           reference: {image.reference}" for image in plan.images]
    for (with_notes, verbose), lines in said.items():
        assert ([line for line in lines if line in notes] == notes) == with_notes
        assert ([line for line in lines if line in references] == references) == verbose


def test_what_came_of_images_is_a_line_each(plan: BuildPlan) -> None:
    results = (Result.BUILT, Result.PUSHED, Result.REUSED, Result.FAILED)
    outcomes = [
        Outcome(
            image.name,
            image.hash,
            Action.BUILD,
            result,
            image.reference,
            pushed=result is not Result.REUSED,
            seconds=12.34,
        )
        for image, result in zip(plan.images, results, strict=True)
    ]
    lines = list(outcome_lines(outcomes))
    hashes = [image.hash.short for image in plan.images]
    assert list(map(text_of, lines)) == [
        f"built, pushed  training/a    {hashes[0]}  12.3 s  localhost/stowplan",
        f"pushed         training/bb   {hashes[1]}  12.3 s  localhost/stowplan",
        f"reused         training/ccc  {hashes[2]}  localhost/stowplan",
        f"failed         training/d    {hashes[3]}  12.3 s  localhost/stowplan",
        "Built 1, pushed 3, reused 1, failed 1.",
    ]
    assert styled(lines) == {
        "built, pushed": Style.GOOD,
        "pushed": Style.GOOD,
        "reused": Style.GOOD,
        "failed": Style.BAD,
    }
    verbose = list(map(text_of, outcome_lines(outcomes, verbose=True)))
    assert all(image.reference in line for image, line in zip(plan.images, verbose, strict=False))


def test_quiet_and_verbose_contradict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(look, "loudness", Loudness.USUAL)
    assert run(["apply", "-q", "-v"]) == 64
    assert "error: --quiet and --verbose contradict" in capsys.readouterr().err


def test_quiet_prints_results_and_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(look, "loudness", Loudness.USUAL)
    text = '[pipeline.p]\nsteps = ["a"]\n[pipeline.p.settings.docker]\nparent_image = "x@sha256:{}"\n'
    (tmp_path / "stowplan.toml").write_text(text.format("0" * 64))
    (tmp_path / "a.py").write_text("")
    assert run(["plan", "--offline"]) == 0
    usual = capsys.readouterr()
    assert "note: .dockerignore does not exist" in usual.out
    assert run(["plan", "--offline", "--quiet"]) == 0
    quiet = capsys.readouterr()
    assert quiet.out.splitlines()[-1] == usual.out.splitlines()[-1]
    assert "note:" not in quiet.out + quiet.err
    (tmp_path / "stowplan.toml").write_text("[pipeline.p]\n")
    assert run(["plan", "--quiet"]) == 1
    assert "error: stowplan.toml" in capsys.readouterr().err
