"""Tables of pandas as Parquet, where what is read is exactly what was written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["is_exact", "read", "write"]


def is_exact(frame: Any) -> bool:
    """Whether Parquet has all that is in a table.

    It has no objects but text, no names of columns but text, and none twice; of an index that is not a range
    it keeps less than pandas knows.
    """
    import pandas as pd  # noqa: PLC0415  # where there is a table, it is loaded

    names = list(frame.columns)
    if frame.attrs or type(frame.columns) is not pd.Index or len(set(names)) < len(names):
        return False
    if type(frame.index) is not pd.RangeIndex or frame.index.name is not None:
        return False
    if frame.columns.name is not None or not all(type(name) is str for name in names):
        return False
    return all(_is_exact_column(frame[name]) for name in names) and _has_types(frame)


def _is_exact_column(column: Any) -> bool:
    import pandas as pd  # noqa: PLC0415  # as above

    if column.dtype == object:
        return bool(pd.api.types.infer_dtype(column, skipna=False) == "string")
    if isinstance(column.dtype, pd.StringDtype):
        return True
    return str(column.dtype.kind) in "biufM" and not str(column.dtype).startswith("Sparse")


def _has_types(frame: Any) -> bool:
    """Whether the types of all columns are the same after a table of no rows is written and read.

    False where pyarrow is missing.
    """
    file = io.BytesIO()
    try:
        frame.iloc[:0].to_parquet(file, engine="pyarrow")
        return list(read(file).dtypes) == list(frame.dtypes)
    except (ImportError, TypeError, ValueError, NotImplementedError):
        return False


def write(frame: Any, path: Path) -> None:
    """Write a table. Raises what pyarrow raises for what it cannot write."""
    frame.to_parquet(path, engine="pyarrow", index=True)


def read(path: Path | BinaryIO) -> Any:
    """The table that a file holds."""
    import pandas as pd  # noqa: PLC0415  # only where a table is read

    return pd.read_parquet(path, engine="pyarrow")
