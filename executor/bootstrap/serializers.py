"""How the outputs of steps are written to files and read again, by the type of a value.

What is written is data wherever that is exact: what is read has the same type and is equal. Only what no
other serializer takes is pickled, and a pickle is read only in the run that wrote it: reading one runs code.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any, Sequence

from . import exact_json
from .errors import Refused, reason
from .limits import CHUNK_BYTES
from .links import leaves

__all__ = ["digest_of", "read", "write"]


class _NotTaken(Exception):
    """A value is not of the kind that a serializer writes exactly, after all."""


class _Serializer:
    """One way to write values. `runs_code`: whether reading what is written runs code that stands in it."""

    name = ""
    runs_code = False

    def takes(self, value: Any) -> bool:
        raise NotImplementedError

    def write(self, value: Any, path: Path) -> None:
        raise NotImplementedError

    def read(self, path: Path) -> Any:
        raise NotImplementedError


class _Json(_Serializer):
    """None, booleans, numbers, and lists, tuples, dictionaries and sets of these, of text and of bytes."""

    name = "json"

    def takes(self, value: Any) -> bool:
        return type(value) in exact_json.TYPES

    def write(self, value: Any, path: Path) -> None:
        try:
            path.write_bytes(exact_json.dumps(value))
        except exact_json.NotExact:
            raise _NotTaken from None

    def read(self, path: Path) -> Any:
        return exact_json.loads(path.read_bytes())


class _Text(_Serializer):
    """Text as UTF-8. Lone surrogates are kept."""

    name = "text"

    def takes(self, value: Any) -> bool:
        return type(value) is str

    def write(self, value: Any, path: Path) -> None:
        path.write_bytes(value.encode("utf-8", "surrogatepass"))

    def read(self, path: Path) -> Any:
        return path.read_bytes().decode("utf-8", "surrogatepass")


class _Bytes(_Serializer):
    """Bytes as they are."""

    name = "bytes"

    def takes(self, value: Any) -> bool:
        return type(value) is bytes

    def write(self, value: Any, path: Path) -> None:
        path.write_bytes(value)

    def read(self, path: Path) -> Any:
        return path.read_bytes()


def _below(name: str) -> str:
    """A path in an archive, from the directory that is all of it."""
    return name.partition("/")[2]


class _Files(_Serializer):
    """A path: the file or the directory that is there, as a tar archive. A path to a copy of it is read."""

    name = "files"

    def takes(self, value: Any) -> bool:
        return isinstance(value, Path)

    def write(self, value: Any, path: Path) -> None:
        from . import pack  # noqa: PLC0415  # few steps return paths

        if not value.exists():
            raise Refused("output-not-written", f"nothing is at {value}", "write it before the step returns")
        entries = list(pack.below(value))
        links = {_below(each.name): os.readlink(each.path) for each in entries if each.path.is_symlink()}
        out = [link for link in links if leaves(link, links)]
        if out:
            found = f"{', '.join(out)} in {value} leads out of it"
            raise Refused("output-not-written", found, "copy what the link leads to")
        with path.open("wb") as file:
            pack.write(file, entries)

    def read(self, path: Path) -> Any:
        from . import unpack  # noqa: PLC0415  # as above

        directory = unpack.scratch(path.parent)
        with path.open("rb") as file:
            unpack.unpack(file, directory)
        (copy,) = directory.iterdir()
        return copy


class _Array(_Serializer):
    """An array of numpy that holds no objects."""

    name = "npy"

    def takes(self, value: Any) -> bool:
        numpy = sys.modules.get("numpy")
        return numpy is not None and type(value) is numpy.ndarray

    def write(self, value: Any, path: Path) -> None:
        import numpy as np  # noqa: PLC0415  # where there is an array, it is loaded

        if value.dtype.hasobject:
            raise _NotTaken
        with path.open("wb") as file:
            np.save(file, value, allow_pickle=False)

    def read(self, path: Path) -> Any:
        import numpy as np  # noqa: PLC0415  # only where an array is read

        return np.load(path, allow_pickle=False)


class _Number(_Array):
    """A number of numpy, as an array that holds nothing else."""

    name = "npy-number"

    def takes(self, value: Any) -> bool:
        numpy = sys.modules.get("numpy")
        return numpy is not None and isinstance(value, numpy.generic)

    def write(self, value: Any, path: Path) -> None:
        import numpy as np  # noqa: PLC0415  # where there is one of its numbers, it is loaded

        super().write(np.asarray(value), path)

    def read(self, path: Path) -> Any:
        return super().read(path)[()]


class _Parquet(_Serializer):
    """A table of pandas whose columns are text, numbers, times or categories, where pyarrow is installed."""

    name = "parquet"

    def takes(self, value: Any) -> bool:
        pandas = sys.modules.get("pandas")
        if pandas is None or type(value) is not pandas.DataFrame:
            return False
        from . import frames  # noqa: PLC0415  # only where there is a table

        return frames.is_exact(value)

    def write(self, value: Any, path: Path) -> None:
        from . import frames  # noqa: PLC0415  # as above

        try:
            frames.write(value, path)
        except (TypeError, ValueError):
            raise _NotTaken from None

    def read(self, path: Path) -> Any:
        from . import frames  # noqa: PLC0415  # as above

        return frames.read(path)


class _CloudPickle(_Serializer):
    """Anything else, where cloudpickle is installed: classes and functions that a step defines too."""

    name = "cloudpickle"
    runs_code = True

    def takes(self, value: Any) -> bool:  # noqa: ARG002  # it takes all, where it is
        from importlib.util import find_spec  # noqa: PLC0415  # most outputs are data

        return find_spec("cloudpickle") is not None

    def write(self, value: Any, path: Path) -> None:
        import cloudpickle  # noqa: PLC0415  # as above

        with path.open("wb") as file:
            cloudpickle.dump(value, file)

    def read(self, path: Path) -> Any:
        import pickle  # noqa: PLC0415  # as above, and only what the same run wrote is read

        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301  # see above


class _Pickle(_CloudPickle):
    """Anything else."""

    name = "pickle"

    def takes(self, value: Any) -> bool:  # noqa: ARG002  # it takes all
        return True

    def write(self, value: Any, path: Path) -> None:
        import pickle  # noqa: PLC0415  # as above

        with path.open("wb") as file:
            pickle.dump(value, file)


# The first that takes a value writes it.
_SERIALIZERS: Sequence[_Serializer] = (
    _Json(),
    _Text(),
    _Bytes(),
    _Files(),
    _Number(),
    _Array(),
    _Parquet(),
    _CloudPickle(),
    _Pickle(),
)


def write(value: Any, path: Path, name: str) -> tuple[str, str]:
    """Write a value to a file: the serializer that did, and the digest of the file.

    Refused, which names the output, for a value that none can write. OSError if the file cannot be written.
    """
    for serializer in _SERIALIZERS:
        if serializer.takes(value):
            try:
                serializer.write(value, path)
            except _NotTaken:
                continue
            except OSError:
                raise
            except Refused as error:
                raise Refused(error.code, f"the output {name!r}: {error.found}", error.fix) from None
            except Exception as error:
                kind = f"{type(value).__module__}.{type(value).__qualname__}"
                raise Refused(
                    "output-not-written",
                    f"the output {name!r} of type {kind} cannot be pickled: {reason(error)}",
                    "return data, such as a dictionary or an array, or the path of a file",
                ) from None
            return serializer.name, digest_of(path)
    raise AssertionError("the last serializer takes everything")


def read(path: Path, serializer: str, sha256: str, same_run: bool) -> Any:
    """The value that a file holds. It is not looked at before its digest is right.

    Refused for another digest, for a serializer that is not known, and for a pickle of another run.
    """
    found = {each.name: each for each in _SERIALIZERS}.get(serializer)
    if found is None:
        raise Refused("input-refused", f"it was written by {serializer!r}, which is not known", _AGAIN)
    if found.runs_code and not same_run:
        raise Refused(
            "input-refused", "it is a pickle that this run did not write, and reading one runs code", _AGAIN
        )
    try:
        digest = digest_of(path)
    except OSError as error:
        raise Refused("input-missing", f"it cannot be read: {reason(error)}", _AGAIN) from None
    if digest != sha256:
        raise Refused("input-refused", "it is not what the step wrote: its digest is another", _AGAIN)
    try:
        return found.read(path)
    except Refused:
        raise
    except ImportError as error:
        raise Refused(
            "input-not-read",
            f"it was written by {serializer}, and what that needs is not in this image: {reason(error)}",
            "install the same packages for both steps",
        ) from None
    except Exception as error:
        found_text = f"{serializer} cannot read it: {type(error).__name__}: {reason(error)}"
        raise Refused("input-not-read", found_text, "install the same packages for both steps") from None


_AGAIN = "run the step that made it again"


def digest_of(path: Path) -> str:
    """The SHA-256 digest of a file, in hexadecimal. OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while True:
            data = file.read(CHUNK_BYTES)
            if not data:
                return digest.hexdigest()
            digest.update(data)
