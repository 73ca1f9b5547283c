"""What steps run, after which others, and what is wrong with what is said of it."""

from __future__ import annotations

from typing import Any, Final

import pytest

from planner import Command, DockerSettings, FrozenMapping, Function, Output, Pipeline, PlannerError, Step

NAMES: Final = "use a-z, A-Z, 0-9 and '_', after the first also '.' and '-', at most 100"
AS_FUNCTION = "write it as a function, or name it in after"


def problems(table: dict[str, Any]) -> list[str]:
    with pytest.raises(PlannerError) as refused:
        Pipeline.decode(table)
    return [f"{each.where}: {each.found}: {each.fix}" for each in refused.value.problems]


def of(**steps: dict[str, Any]) -> dict[str, Any]:
    return {"name": "p", "steps": list(steps), "step": steps}


def entrypoint(**table: Any) -> Function | Command | None:
    made = Pipeline.decode(of(load={"function": "steps:load", "outputs": ["output", "rest"]}, train=table))
    return made.steps[1].entrypoint


def refused(**table: Any) -> str:
    (problem,) = problems(of(load={"function": "steps:load"}, train=table))
    return problem.removeprefix("step.train.")


def test_a_step_runs_a_function_or_a_command() -> None:
    assert entrypoint() is None
    assert entrypoint(function="steps:train") == Function("steps:train")
    assert entrypoint(command=["python", "train.py"]) == Command(("python", "train.py"))
    assert entrypoint(command="python train.py | tee log") == Command((
        "/bin/sh", "-c", "python train.py | tee log",
    ))  # fmt: skip


def test_an_input_is_an_output_of_a_step_or_a_value() -> None:
    inputs = {
        "a": "load", "b": "load.rest", "c": 3, "d": 0.5, "e": True, "f": [1, ["x"]], "g": {"value": "load"},
        "h": {"value": {"k": [1]}},
    }  # fmt: skip
    assert entrypoint(function="steps:train", inputs=inputs) == Function(
        "steps:train",
        {
            "a": Output("load"),
            "b": Output("load", "rest"),
            "c": 3,
            "d": 0.5,
            "e": True,
            "f": (1, ("x",)),
            "g": "load",
            "h": FrozenMapping({"k": (1,)}),
        },
    )


def test_the_name_of_a_step_may_have_dots() -> None:
    made = Pipeline.decode(
        {
            "name": "p",
            "steps": ["a.b", "a", "c"],
            "step": {
                "a.b": {"function": "m:f"},
                "a": {"function": "m:f", "outputs": ["b.c"]},
                "c": {"function": "m:g", "inputs": {"x": "a.b", "y": "a.b.c"}},
            },
        }
    )
    function = made.steps[2].entrypoint
    assert isinstance(function, Function)
    # As much of it as is the name of a step: what is the name of a step as a whole is that step.
    assert function.inputs == {"x": Output("a.b"), "y": Output("a", "b.c")}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"function": "m:f", "command": ["x"]},
         "command: the step has a function already: keep one of function and command"),
        ({"function": "train"}, "function: not the source of a function: 'train'"),
        ({"function": "../x:f"}, "function: not the source of a function: '../x:f'"),
        ({"function": "m:f:g"}, "function: not the source of a function: 'm:f:g'"),
        ({"function": "m:f()"}, "function: not the source of a function: 'm:f()'"),
        ({"function": 5}, "function: not the source of a function: an integer"),
        ({"command": []}, "command: an empty command"),
        ({"command": ""}, "command: an empty command"),
        ({"command": "  "}, "command: an empty command"),
        ({"command": ["x", 1]}, "command[1]: expected a string, found an integer: put it in quotes"),
        ({"command": ["", "x"]}, "command[0]: an empty name of a program: name a program"),
        ({"command": ["x"], "inputs": {"a": 1}}, "inputs: only a function has it"),
        ({"outputs": ["a"]}, "outputs: only a function has it"),
        ({"function": "m:f", "inputs": {"a b": 1}},
         "inputs.a b: not the name of a parameter: 'a b': name a parameter of the function"),
        ({"function": "m:f", "inputs": {"a": float("nan")}}, "inputs.a: JSON has no nan"),
        ({"function": "m:f", "inputs": {"a": "../x"}},
         "inputs.a: not the name of a step: '../x': write a value that is text as { value = \"…\" }"),
        ({"function": "m:f", "inputs": {"a": {"b": 1}}},
         "inputs.a: a table that is not an input: write { value = { … } } for a value that is a table"),
        ({"function": "m:f", "outputs": ["../x"]}, "outputs[0]: not a name: '../x'"),
        ({"function": "m:f", "outputs": ["a", "a"]},
         "outputs: an output is listed twice: give each output a name of its own"),
        ({"comand": ["x"]}, "comand: unknown name: did you mean 'command'?"),
        ({"after": ["../x"]}, "after[0]: not a name: '../x'"),
        ({"after": ["lood"]}, "after[0]: no step 'lood' in this pipeline: did you mean 'load'?"),
        ({"after": "load"}, "after: expected a list, found a string: write it as a list: [\"…\"]"),
        ({"function": "m:f", "inputs": {"a": "lood"}},
         "inputs.a: no step 'lood' in this pipeline: did you mean 'load'?"),
        ({"function": "m:f", "inputs": {"a": "load.outpt"}},
         "inputs.a: the step load has no output 'outpt': did you mean 'output'?"),
        ({"step_operator": "a b"}, "step_operator: not a name: 'a b'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_step(table: dict[str, Any], expected: str) -> None:
    assert refused(**table).startswith(expected)


def test_all_that_is_wrong_with_the_order_comes_at_once() -> None:
    assert problems(
        of(
            load={"command": ["load"]},
            check={},
            train={
                "function": "m:f",
                "after": ["lod", "chekc"],
                "inputs": {"a": "load", "b": "check", "c": "nothing"},
                "outputs": ["a", "../b"],
            },
            # Of what a step runs that is wrong or not said, no more is found wrong.
            ship={"function": "m:f", "after": ["lod", "chekc"], "inputs": {"a": "load", "b": "train"}},
        )
    ) == [
        "step.train.outputs[1]: not a name: '../b': " + NAMES,
        "step.ship.after[0]: no step 'lod' in this pipeline: did you mean 'load'?",
        "step.ship.after[1]: no step 'chekc' in this pipeline: did you mean 'check'?",
        f"step.ship.inputs.a: the step load is a command, which has no outputs: {AS_FUNCTION}",
    ]


def order(*steps: Step) -> tuple[str, ...]:
    return Pipeline(name="p", steps=steps).order


def test_steps_run_as_they_are_listed_unless_they_say_more() -> None:
    made = Pipeline(name="p", steps=["c", "a", "b"])
    assert made.after == {"c": (), "a": ("c",), "b": ("a",)}
    assert made.order == ("c", "a", "b")


def test_the_order_is_worked_out_once() -> None:
    """Who runs the steps asks for it at each of them, as often as one ends."""
    made = Pipeline(name="p", steps=["c", "a", "b"])
    assert made.after is made.after
    assert made.order is made.order


def test_an_input_and_a_name_make_a_step_wait() -> None:
    made = Pipeline(
        name="p",
        steps=[
            Step(name="report", after=("train",)),
            Step(name="train", after=(), entrypoint=Function("m:train", {"n": Output("load"), "rate": 0.1})),
            Step(name="load", after=(), entrypoint=Function("m:load")),
            Step(name="other", after=()),
        ],
    )
    assert made.after == {"report": ("train",), "train": ("load",), "load": (), "other": ()}
    # Those that may run side by side are in the order in which they are listed.
    assert made.order == ("load", "train", "report", "other")


def test_a_step_waits_once_for_another_whose_outputs_it_takes_twice() -> None:
    function = Function("m:f", {"a": Output("load"), "b": Output("load")})
    steps = [Step(name="load", entrypoint=Function("m:load")), Step(name="train", entrypoint=function)]
    assert Pipeline(name="p", steps=steps).after["train"] == ("load",)


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ((Step(name="a", after=("a",)),), "step.a.after: these steps wait for each other: a → a"),
        (
            (Step(name="a", after=("c",)), Step(name="b", after=("a",)), Step(name="c", after=("b",))),
            "step.a.after: these steps wait for each other: a → b → c → a",
        ),
        # The first is listed before the second, and takes what that makes.
        (
            (
                Step(name="train", entrypoint=Function("m:f", {"n": Output("load")})),
                Step(name="load", entrypoint=Function("m:f")),
            ),
            "step.train.after: these steps wait for each other: train → load → train",
        ),
    ],
)
def test_steps_that_wait_for_each_other_are_named(steps: tuple[Step, ...], found: str) -> None:
    with pytest.raises(PlannerError) as error:
        Pipeline(name="p", steps=steps)
    (problem,) = error.value.problems
    assert f"{problem.where}: {problem.found}" == found


def test_a_thousand_steps_in_a_row_and_a_thousand_side_by_side() -> None:
    row = [Step(name=f"s{number}", after=(f"s{number - 1}",) if number else ()) for number in range(1000)]
    assert order(*reversed(row)) == tuple(step.name for step in row)
    beside = [Step(name=f"s{number}", after=()) for number in range(1000)]
    assert order(*beside) == tuple(step.name for step in beside)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", float("inf"), "\ud800", {1: 2}])
def test_what_json_does_not_have_is_no_input(value: object) -> None:
    with pytest.raises(PlannerError, match="a: "):
        Function("m:f", {"a": value})


def test_what_steps_run_has_one_hash_for_one_meaning() -> None:
    one, other = (Function("m:f", {"a": {"k": [1, None]}, "b": Output("x")}) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)


def test_an_entrypoint_is_no_text() -> None:
    with pytest.raises(PlannerError, match="entrypoint: expected a function or a command, found a string"):
        Step(name="a", entrypoint="m:f")  # type: ignore[arg-type]


def test_what_a_step_runs_is_no_part_of_its_settings() -> None:
    bare, whole = Step(name="a"), Step(name="a", entrypoint=Command(("true",)), after=(), step_operator="gpu")
    assert bare.own == whole.own == ()
    assert Step(name="a", settings=DockerSettings(user="1")).own == (DockerSettings(user="1"),)
