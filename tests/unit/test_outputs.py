"""What a step returns is what the next step gets: the same type, and an equal value."""

from __future__ import annotations

import builtins
import math
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from executor.bootstrap import exact_json, serializers
from executor.bootstrap.errors import Refused
from executor.bootstrap_file import bootstrap
from tests.bootstrap import PYTHONS


class Point(NamedTuple):
    x: int


class Colour(IntEnum):
    RED = 1


class Model:
    def __init__(self, weights: Any) -> None:
        self.weights = weights

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and other.weights == self.weights

    __hash__ = None  # type: ignore[assignment]


def _there_and_back(value: Any, directory: Path, *, same_run: bool = False) -> tuple[str, Any]:
    path = directory / "output"
    name, digest = serializers.write(value, path, "output")
    return name, serializers.read(path, name, digest, same_run)


DATA: Final[dict[str, tuple[Any, str]]] = {
    "nothing": (None, "json"),
    "a boolean": (True, "json"),
    "a large number": (2**1000, "json"),
    "a larger number": (-(10**5000), "json"),
    "a float": (0.1, "json"),
    "minus zero": (-0.0, "json"),
    "infinity": (-math.inf, "json"),
    "text": ("é\r\n\0", "text"),
    "a lone surrogate": ("\ud800", "text"),
    "bytes": (b"\0\xff", "bytes"),
    "a tuple": ((1, ("a", None), []), "json"),
    "keys that are no text": ({1: "a", (2, None): {True: b"x"}, None: {1.5}}, "json"),
    "keys like ours": ({"$tuple": [1], "a": {"$dict": 1}}, "json"),
    "a set": ({1, "a"}, "json"),
    "a frozen set": (frozenset({(1, 2)}), "json"),
    "what is nested deeply": ([[[[[[[[[[1]]]]]]]]]], "json"),
}


@pytest.mark.parametrize("name", DATA)
def test_data_is_written_as_data(tmp_path: Path, name: str) -> None:
    value, expected = DATA[name]
    serializer, read = _there_and_back(value, tmp_path)
    assert (serializer, type(read), read) == (expected, type(value), value)
    assert math.copysign(1, read) == math.copysign(1, value) if type(value) is float else True


def test_no_number_is_no_number(tmp_path: Path) -> None:
    serializer, read = _there_and_back([math.nan], tmp_path)
    assert (serializer, math.isnan(read[0])) == ("json", True)


@pytest.mark.parametrize(
    "value",
    [Point(1), Colour.RED, OrderedDict(a=1), [Colour.RED], {"a": Point(1)}, 1j, bytearray(b"x"), range(3)],
    ids=repr,
)
def test_what_json_would_change_is_pickled(tmp_path: Path, value: Any) -> None:
    serializer, read = _there_and_back(value, tmp_path, same_run=True)
    assert serializer == "cloudpickle"
    assert (type(read), read) == (type(value), value)


def test_what_holds_itself_is_pickled(tmp_path: Path) -> None:
    value: list[Any] = []
    value.append(value)
    serializer, read = _there_and_back(value, tmp_path, same_run=True)
    assert serializer == "cloudpickle"
    assert read[0] is read


def test_where_cloudpickle_is_missing_it_is_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    assert _there_and_back(Model([1]), tmp_path, same_run=True) == ("pickle", Model([1]))
    with pytest.raises(Refused, match=r"the output 'output' of type builtins.function cannot be pickled"):
        serializers.write(lambda: 1, tmp_path / "x", "output")


def test_a_function_that_a_step_defines_is_pickled_by_cloudpickle(tmp_path: Path) -> None:
    serializer, read = _there_and_back(lambda: 42, tmp_path, same_run=True)
    assert (serializer, read()) == ("cloudpickle", 42)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(3),
        np.array([], dtype="<f2"),
        np.array(["é", "b"]),
        np.array([b"x"]),
        np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8")]),
        np.array(["2026-11-29"], dtype="datetime64[D]"),
        np.array([True, False]),
        np.array([1 + 2j]),
    ],
    ids=lambda array: str(array.dtype),
)
def test_an_array_is_an_array(tmp_path: Path, array: Any) -> None:
    serializer, read = _there_and_back(array, tmp_path)
    assert (serializer, read.dtype, read.shape) == ("npy", array.dtype, array.shape)
    assert np.array_equal(read, array)


@pytest.mark.parametrize("number", [np.float64(0.1), np.int8(3), np.bool_(True), np.datetime64("2026-11-29")])
def test_a_number_of_numpy_is_one(tmp_path: Path, number: Any) -> None:
    serializer, read = _there_and_back(number, tmp_path)
    assert (serializer, type(read), read) == ("npy-number", type(number), number)


def test_an_array_of_objects_is_pickled(tmp_path: Path) -> None:
    serializer, read = _there_and_back(np.array([{}, 1], dtype=object), tmp_path, same_run=True)
    assert (serializer, read.tolist()) == ("cloudpickle", [{}, 1])


FRAMES: Final = {
    "numbers and text": pd.DataFrame(
        {"a": [1, 2], "b": [0.5, math.nan], "c": ["é", "x"], "d": [True, False]}
    ),
    "times": pd.DataFrame({"t": pd.to_datetime(["2026-11-29T20:00:00.123456", None])}),
    "small types": pd.DataFrame({"a": np.array([1], "int8"), "b": np.array([1], "float32")}),
    "nothing": pd.DataFrame({"a": np.array([], "int64")}),
    "numbers that may be missing": pd.DataFrame({"a": pd.array([1, None], "Int64")}),
    "times of a zone": pd.DataFrame({"a": pd.to_datetime(["2026-11-29"]).tz_localize("Europe/Paris")}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_table_is_a_table(tmp_path: Path, name: str) -> None:
    serializer, read = _there_and_back(FRAMES[name], tmp_path)
    assert serializer == "parquet"
    pd.testing.assert_frame_equal(read, FRAMES[name], check_exact=True, check_freq=True)


OTHER_FRAMES: Final = {
    "an index": pd.DataFrame({"a": [1]}, index=["x"]),
    "names that are numbers": pd.DataFrame({0: [1]}),
    "a name twice": pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "objects": pd.DataFrame({"a": pd.Series([1, "x", None], dtype=object)}),
    "two levels": pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])),
    "categories": pd.DataFrame({"a": pd.Categorical(["x"], ["y", "x"])}),
    "durations": pd.DataFrame({"a": pd.to_timedelta(["1h"])}),
}


@pytest.mark.parametrize("name", OTHER_FRAMES)
def test_a_table_that_parquet_would_change_is_pickled(tmp_path: Path, name: str) -> None:
    serializer, read = _there_and_back(OTHER_FRAMES[name], tmp_path, same_run=True)
    assert serializer == "cloudpickle"
    pd.testing.assert_frame_equal(read, OTHER_FRAMES[name], check_exact=True)


def test_where_pyarrow_is_missing_a_table_is_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert _there_and_back(FRAMES["times"], tmp_path, same_run=True)[0] == "cloudpickle"


def test_a_path_is_what_is_there(tmp_path: Path) -> None:
    source = tmp_path / "model"
    (source / "sub").mkdir(parents=True)
    (source / "sub/weights").write_bytes(b"\0" * 100)
    (source / "run").write_text("x")
    (source / "run").chmod(0o755)
    (source / "latest").symlink_to("sub/weights")
    serializer, read = _there_and_back(source, tmp_path)
    assert (serializer, read.name, read == source) == ("files", "model", False)
    assert (read / "latest").read_bytes() == b"\0" * 100
    assert os.access(read / "run", os.X_OK)
    serializer, read = _there_and_back(source / "run", tmp_path)
    assert (read.name, read.read_text()) == ("run", "x")
    serializer, read = _there_and_back(source / "latest", tmp_path)
    assert (read.name, read.is_symlink(), read.stat().st_size) == ("latest", False, 100)


def test_a_path_to_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"the output 'output': nothing is at .*/missing"):
        serializers.write(tmp_path / "missing", tmp_path / "output", "output")


def test_a_path_with_a_link_out_of_it_is_refused_where_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/out").symlink_to("../output")
    with pytest.raises(Refused, match=r"the output 'output': out in .*/d leads out of it"):
        serializers.write(tmp_path / "d", tmp_path / "output", "output")


@pytest.mark.parametrize("serializer", ["pickle", "cloudpickle"])
def test_a_pickle_of_another_run_is_refused(tmp_path: Path, serializer: str) -> None:
    (tmp_path / "x").write_bytes(pickle.dumps(1))
    digest = serializers.digest_of(tmp_path / "x")
    with pytest.raises(Refused, match="pickle that this run did not write"):
        serializers.read(tmp_path / "x", serializer, digest, same_run=False)
    assert serializers.read(tmp_path / "x", serializer, digest, same_run=True) == 1


@pytest.mark.parametrize("serializer", ["json", "npy", "npy-number", "parquet", "files", "pickle"])
def test_what_is_damaged_is_refused_with_words(tmp_path: Path, serializer: str) -> None:
    (tmp_path / "x").write_bytes(b"damaged")
    with pytest.raises(Refused) as caught:
        serializers.read(tmp_path / "x", serializer, serializers.digest_of(tmp_path / "x"), same_run=True)
    assert caught.value.code in ("input-not-read", "archive-refused")


def test_an_array_that_says_that_it_has_objects_runs_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([print], dtype=object), allow_pickle=True)
    digest = serializers.digest_of(tmp_path / "x.npy")
    with pytest.raises(Refused, match="npy cannot read it"):
        serializers.read(tmp_path / "x.npy", "npy", digest, same_run=True)


def test_what_another_image_does_not_have_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, digest = serializers.write(np.arange(3), tmp_path / "x", "output")
    find = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name == "numpy":
            raise ModuleNotFoundError("No module named 'numpy'")
        return find(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Refused, match="written by npy, and what that needs is not in this image: No module"):
        serializers.read(tmp_path / "x", name, digest, same_run=True)


def test_nothing_is_loaded_for_a_value_that_needs_nothing(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom executor.bootstrap import serializers\n"
        "serializers.write({'a': 1}, Path(sys.argv[1]), 'output')\n"
        "print(sorted({'numpy', 'pandas', 'pyarrow', 'cloudpickle', 'tarfile'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "x")],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout == "[]\n"


_SCALARS: Final = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary()
)
_KEYS: Final = st.recursive(_SCALARS, lambda inner: st.tuples(inner, inner), max_leaves=3)
_VALUES: Final = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(_KEYS, inner, max_size=3),
        st.dictionaries(st.sampled_from(["$tuple", "$dict", "$int", "$x", "a"]), inner, max_size=2),
        st.sets(_KEYS, max_size=3),
        st.frozensets(_KEYS, max_size=3),
    ),
    max_leaves=12,
)


def _typed(value: Any) -> Any:
    """A value with the types of all that is in it."""
    if isinstance(value, (list, tuple)):
        return type(value), [_typed(item) for item in value]
    if isinstance(value, dict):
        return dict, [(_typed(key), _typed(item)) for key, item in value.items()]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(repr(_typed(item)) for item in value)
    return type(value), repr(value)


@settings(max_examples=400)
@given(_VALUES)
@example({"$int": "0x1"})
@example({"$tuple": {"$tuple": []}})
def test_all_that_json_takes_is_the_same_afterwards(value: Any) -> None:
    assert _typed(exact_json.loads(exact_json.dumps(value))) == _typed(value)


class Suit(Enum):
    HEARTS = 1


def test_an_enumeration_is_pickled(tmp_path: Path) -> None:
    assert _there_and_back(Suit.HEARTS, tmp_path, same_run=True) == ("cloudpickle", Suit.HEARTS)


_WRITES: Final = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from _stowplan import serializers
value = {(1, None): [b"x", float("inf"), {2.5}], "\u00e9": -(10 ** 5000), "$tuple": frozenset(["a"])}
name, digest = serializers.write(value, Path(sys.argv[2]), "output")
assert serializers.read(Path(sys.argv[2]), name, digest, False) == value
print(name, digest)
"""


@pytest.mark.parametrize(("version", "python"), PYTHONS, ids=[version for version, _ in PYTHONS])
def test_every_python_reads_what_every_python_writes(tmp_path: Path, version: str, python: str) -> None:
    (tmp_path / "bootstrap.pyz").write_bytes(bootstrap())
    said = {
        subprocess.run(
            [each, "-c", _WRITES, str(tmp_path / "bootstrap.pyz"), str(tmp_path / "output")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for each in (python, sys.executable)
    }
    assert len(said) == 1, version
    assert next(iter(said)).startswith("json ")
