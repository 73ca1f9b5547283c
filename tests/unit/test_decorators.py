"""Decorated functions: still functions, and what a pipeline of them is found to be without running a step."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from typing import Annotated, Any

import pytest

from executor.bootstrap.decorators import Pipeline, Step, pipeline, step
from executor.bootstrap.description import described
from executor.bootstrap.recorders import DockerSettings
from executor.bootstrap.references import SaidWrong

HERE = __file__
Function = Callable[..., Any]


@step
def load(rows: int = 3) -> tuple[int, Annotated[str, "label"]]:
    """Load the data."""
    return rows, "x"


@step(settings={"docker": DockerSettings(apt_packages=["git"])}, step_operator="gpu")
def train(n: int, rate: float = 1.0) -> int:
    return n + int(rate)


@step(name="show")
def print_it(n: int, **more: Any) -> None:
    raise RuntimeError(f"a step ran: {n}, {more}")


# Calls that no type checker would pass.
loading: Any = load
training_step: Any = train
printing: Any = print_it


def told(function: Callable[..., Any], **parameters: Any) -> dict[str, Any]:
    """What a pipeline function is found to be."""
    made = function if isinstance(function, Pipeline) else pipeline(function)
    return described(made, "/", parameters, {})


def steps(function: Callable[..., Any], **parameters: Any) -> dict[str, Any]:
    return {each["name"]: each for each in told(function, **parameters)["steps"]}


def refused(function: Callable[..., Any]) -> SaidWrong:
    with pytest.raises(SaidWrong) as raised:
        told(function)
    assert raised.value.where.file == HERE
    return raised.value


def test_a_decorated_function_is_still_the_function() -> None:
    assert load(5) == (5, "x")
    assert load.__doc__ == "Load the data."
    assert load.__name__ == "load"
    assert str(inspect.signature(load)) == str(inspect.signature(load.entrypoint))
    assert pickle.loads(pickle.dumps(load)) is load  # noqa: S301  # it was pickled here
    assert train.with_options(name="other")(1) == 2


def test_a_pipeline_that_is_called_runs_its_steps_here() -> None:
    @pipeline
    def all_of_it() -> int:
        n, _ = load()
        return train(n)

    assert all_of_it() == 4


def test_data_gives_the_order() -> None:
    def training() -> None:
        n, label = load()
        trained = train(n)
        print_it(trained, label=label)

    found = steps(training)
    assert list(found) == ["load", "train", "show"]
    assert found["load"]["outputs"] == ["output_0", "label"]
    assert found["train"]["inputs"] == {"n": {"step": "load", "output": "output_0"}}
    assert found["show"]["inputs"] == {
        "n": {"step": "train", "output": "output"},
        "label": {"step": "load", "output": "label"},
    }
    assert found["show"]["outputs"] == []
    assert found["train"]["step_operator"] == "gpu"


def test_outputs_are_indexed_by_place_and_by_name() -> None:
    def training() -> None:
        out = loading()
        assert len(out) == 2
        print_it(out[-2], label=out["label"])

    assert [item["output"] for item in steps(training)["show"]["inputs"].values()] == ["output_0", "label"]
    assert "output_0, label" in refused(lambda: print_it(loading()["lable"])).fix


def test_a_step_that_is_called_twice_has_two_names() -> None:
    other = train.with_options(name="train_2")

    def training() -> None:
        train(1)
        train(2)
        other(3)
        training_step(4, id="last")

    assert list(steps(training)) == ["train", "train_2", "train_2_2", "last"]


def test_order_without_data() -> None:
    def training() -> None:
        first, _ = load()
        done = print_it(1)
        train(2, after=[done, first, "load"])
        train(3, after="train")

    found = steps(training)
    assert found["train"]["after"] == ["show", "load", "load"]
    assert found["train_2"]["after"] == ["train"]
    assert "did you mean 'load'?" in refused(lambda: (load(), train(1, after="laod"))).fix
    assert "int" in refused(lambda: train(1, after=3)).found


def test_a_parameter_called_after_is_the_function_s() -> None:
    @step
    def wait(after: int) -> None:
        del after

    # It is made inside of a function, which no container could import.
    wait.entrypoint.__qualname__ = "wait"
    assert steps(lambda: wait(after=3))["wait"]["inputs"] == {"after": {"value": 3}}


def test_parameters_of_a_pipeline_have_defaults_and_are_given() -> None:
    def training(rate: float = 0.5, n: int = 1) -> None:
        train(n, rate=rate)

    assert steps(training)["train"]["inputs"] == {"n": {"value": 1}, "rate": {"value": 0.5}}
    assert steps(training, n=7)["train"]["inputs"]["n"] == {"value": 7}
    set_before = pipeline(training).with_options(parameters={"n": 5})
    assert steps(set_before)["train"]["inputs"]["n"] == {"value": 5}
    assert steps(set_before, n=6)["train"]["inputs"]["n"] == {"value": 6}
    with pytest.raises(SaidWrong, match="pipeline training has no parameter 'm': known names: n, rate"):
        told(training, m=1)

    def wants(n: int) -> None:
        train(n)

    assert "missing a required argument: 'n'" in refused(wants).found


def test_parameters_of_steps_go_over_the_code() -> None:
    made = pipeline(lambda: (training_step(rate=0.5), train(2)))
    found = described(made, "/", {}, {"train": {"n": 9, "rate": 0.7}})["steps"]
    assert found[0]["inputs"] == {"rate": {"value": 0.7}, "n": {"value": 9}}
    assert found[1]["inputs"] == {"n": {"value": 2}}
    with pytest.raises(SaidWrong, match="step train has no parameter 'rat': did you mean 'rate'"):
        described(made, "/", {}, {"train": {"n": 1, "rat": 1}})
    with pytest.raises(SaidWrong, match="no step 'trian', which is given parameters: did you mean 'train'"):
        described(made, "/", {}, {"train": {"n": 1}, "trian": {}})


def test_a_parameter_does_not_go_over_the_output_of_a_step() -> None:
    made = pipeline(lambda: train(train(1)))
    with pytest.raises(SaidWrong, match="n of step train_2 is an output of train, and"):
        described(made, "/", {}, {"train_2": {"n": 1}})


def test_a_loop_that_never_ends_ends() -> None:
    def training() -> None:
        while True:
            train(1)

    assert "more than 10000 steps" in refused(training).found


def test_settings_are_layers_with_the_lines_that_they_are_on() -> None:
    lines, first = inspect.getsourcelines(train.entrypoint)
    more = train.with_options(settings={"docker": DockerSettings(user="1")}, enable_cache=True)
    line = first_line(test_settings_are_layers_with_the_lines_that_they_are_on) + 2
    found = steps(lambda: more(1))["train"]["settings"]
    assert lines[0].startswith("@step")
    assert found == [
        {
            "settings": {"docker": {"apt_packages": ["git"]}},
            "place": {"file": HERE.removeprefix("/"), "line": first},
            "how": "@step",
        },
        {
            "settings": {"docker": {"user": "1"}},
            "place": {"file": HERE.removeprefix("/"), "line": line},
            "how": "with_options",
        },
    ]
    # What it was made from is as it was.
    assert [each["how"] for each in steps(lambda: train(1))["train"]["settings"]] == ["@step"]


def first_line(function: Callable[..., Any]) -> int:
    return inspect.getsourcelines(function)[1]


def test_a_pipeline_in_a_pipeline_gives_its_steps_and_the_settings_below_theirs() -> None:
    @pipeline(settings={"docker": DockerSettings(user="2")})
    def inner(n: int) -> int:
        return train(n)

    def outer() -> None:
        print_it(inner(1))
        train(2)

    found = steps(outer)
    assert list(found) == ["train", "show", "train_2"]
    assert [each["settings"]["docker"] for each in found["train"]["settings"]] == [
        {"user": "2"},
        {"apt_packages": ["git"]},
    ]
    assert found["show"]["inputs"] == {"n": {"step": "train", "output": "output"}}
    assert len(found["train_2"]["settings"]) == 1


USES = {
    "a condition": lambda n: 1 if n else 2,
    "a comparison": lambda n: n > 3,
    "equality": lambda n: n == 3,
    "a sum": lambda n: n + 1,
    "a sum from the right": lambda n: 1 + n,
    "a minus": lambda n: -n,
    "a number": lambda n: int(n) + 1,
    "a range": lambda n: range(n, 9),
    "text": lambda n: str(n) + "x",
    "formatted text": lambda n: f"model-{n}",
    "a length": lambda n: len(n) + 1,
    "a loop": lambda n: [*n],
    "an item": lambda n: n[0],
    "membership": lambda n: 3 in n,
    "an attribute": lambda n: n.shape,
    "a call": lambda n: n(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_output_has_no_value_before_the_pipeline_runs(use: Callable[[Any], Any]) -> None:
    def training() -> None:
        use(train(1))

    error = refused(training)
    assert "the output of train" in error.found
    assert error.where.line == first_line(use)
    assert "in a step" in error.fix


def test_an_output_can_be_looked_at_and_kept_in_a_set() -> None:
    seen: list[object] = []

    def training() -> None:
        n = train(1)
        seen.append(repr(n))
        seen.append(len({n, train(2)}))

    told(training)
    assert seen == ["<the output of train>", 2]


class Colour(str):
    __slots__ = ()


NO_JSON = {
    "a tuple": ((1, 2), "JSON has no tuples"),
    "a set": ({1}, "JSON has no set"),
    "not a number": (float("nan"), "JSON has no nan"),
    "bytes": (b"x", "JSON has no bytes"),
    "a class of text": (Colour("red"), "JSON has no Colour"),
    "in a list": ([1, {"a": object()}], "JSON has no object"),
    "keys": ({1: 2}, "JSON has no keys but strings"),
}


@pytest.mark.parametrize(("value", "found"), NO_JSON.values(), ids=NO_JSON)
def test_a_literal_argument_is_what_json_has(value: Any, found: str) -> None:
    def training() -> None:
        train(
            value,
        )

    error = refused(training)
    assert error.found == f"n of step train: {found}"
    assert error.where.line == first_line(training) + 1


def test_every_value_that_json_has_is_an_argument() -> None:
    value: Any = {"a": [None, True, 1, 10**30, 0.5, "é\n", {}]}
    assert steps(lambda: training_step(value))["train"]["inputs"]["n"] == {"value": value}


def test_an_output_inside_of_another_value_is_no_argument() -> None:
    error = refused(lambda: training_step([train(1)]))
    assert error.found == "n of step train_2: the output of train is inside of another value"
    assert "2 values" in refused(lambda: training_step(load())).found
    assert "no values" in refused(lambda: training_step(printing(1))).found


def test_arguments_that_do_not_fit_are_refused_where_the_step_is_called() -> None:
    assert "step train: missing a required argument: 'n'" in refused(lambda: training_step(rate=1)).found
    assert "unexpected keyword argument 'm'" in refused(lambda: training_step(1, m=2)).found

    @step
    def odd(n: int, /, *rest: int) -> None:
        del n, rest

    assert "has a parameter that has no name to be given by: n" in refused(lambda: odd(1)).found


def test_a_step_that_no_container_could_import_is_refused() -> None:
    @step
    def inner() -> None:
        """In a function."""

    assert "step inner is made inside of a function" in refused(lambda: (inner(), 1)).found
    assert "is a lambda" in refused(lambda: (step(lambda: None)(), 1)).found


def test_arguments_of_the_reference_are_taken_and_told() -> None:
    @step(enable_cache=False, experiment_tracker="mlflow", extra=None)
    def other() -> None:
        """Nothing."""

    other.entrypoint.__qualname__ = "other"

    @pipeline(tags=["a"], enable_cache=True)
    def training() -> None:
        other()
        other()

    assert [each["arguments"] for each in told(training)["passed_over"]] == [
        ["tags", "enable_cache"],
        ["enable_cache", "experiment_tracker"],
    ]


@pytest.mark.parametrize("decorator", [step, pipeline, train.with_options])
def test_a_misspelt_argument_is_refused_where_it_is(decorator: Any) -> None:
    with pytest.raises(SaidWrong, match=r"has no argument 'setings': did you mean 'settings'\?") as raised:
        decorator(setings={})(lambda: None)
    assert raised.value.where.file == HERE


def test_only_a_function_is_decorated() -> None:
    with pytest.raises(SaidWrong, match="put it on a function"):
        step(Step)  # type: ignore[arg-type]  # it is no function
    with pytest.raises(SaidWrong, match="@pipeline is on Step"):
        pipeline(train)


def test_an_error_while_a_pipeline_is_described_leaves_steps_functions() -> None:
    refused(lambda: train(train(1) + 1))
    assert train(1) == 2


def annotated(text: str, **names: Any) -> list[str]:
    """The outputs of a function with an annotation that is text."""
    made = step(eval("lambda: None", {"__name__": __name__, **names}))  # noqa: S307  # a function with globals of its own
    made.entrypoint.__annotations__["return"] = text
    made.entrypoint.__qualname__ = "made"
    return list(steps(lambda: made(id="made"))["made"]["outputs"])


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        ("None", []),
        ("int", ["output"]),
        ("Tuple[DataFrame, int]", ["output_0", "output_1"]),
        ("tuple[int, ...]", ["output"]),
        ("tuple", ["output"]),
        ("typing.Tuple[Annotated[int, 'a'], Annotated[X, 1, 'b']]", ["a", "b"]),
        ("Annotated[DataFrame, 'table']", ["table"]),
        ("list[tuple[int, str]]", ["output"]),
        ("Tuple[()]", []),
        ("not (an annotation", ["output"]),
    ],
)
def test_an_annotation_that_is_text_is_read(text: str, outputs: list[str]) -> None:
    assert annotated(text) == outputs
    import typing  # noqa: PLC0415  # names that annotations have

    if "DataFrame" not in text and "X" not in text:
        assert annotated(text, typing=typing, Tuple=tuple, Annotated=Annotated) == outputs
