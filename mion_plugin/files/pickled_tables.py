"""Reading a pickled pandas DataFrame, and pickled torch tensors, without running anything from the file.

pandas is neither needed nor imported: the names that such a pickle asks for lead to stand-ins here, which keep the
arrays of the table's blocks, in the form of pandas 1.0 to 1.2 (a state of the name ``0.14.1``) and in that since 1.3.
A DataFrame whose columns are not plain numpy arrays (categories, Arrow's text) is refused.
"""

from __future__ import annotations

import collections
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.files.array_constructors import SealedType, UnsafePickleError, plain
from mion_plugin.files.npz import one_line
from mion_plugin.files.restricted_pickle import read_pickle


class _IndexType(metaclass=SealedType):
    """What the classes of pandas' indices mean in a pickle: names to hand to ``_index``, never called."""

    def __new__(cls, *_: object) -> _IndexType:
        raise UnsafePickleError("the pickle makes an index other than pandas does")


class _Blocks(metaclass=SealedType):
    """``pandas.core.internals.managers.BlockManager``: (values, columns) of each block, and the axes."""

    def __init__(self, blocks: Sequence[tuple[Any, Any]] = (), axes: Sequence[Any] = ()) -> None:
        self.__dict__["saved"] = (list(blocks), list(axes))

    def __setstate__(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(state) > 3 and "0.14.1" in state[3]):
            raise UnsafePickleError("a table of an unknown form")
        named = state[3]["0.14.1"]
        blocks = [(block["values"], block["mgr_locs"]) for block in named["blocks"]]
        self.__dict__["saved"] = (blocks, list(named["axes"]))


class _Table(metaclass=SealedType):
    """``pandas.DataFrame``: keeps its blocks."""

    def __setstate__(self, state: Any) -> None:
        blocks = state.get("_mgr", state.get("_data")) if isinstance(state, dict) else None
        if not isinstance(blocks, _Blocks):
            raise UnsafePickleError("a DataFrame of an unknown form")
        self.__dict__["blocks"] = blocks


def _index(kind: object, fields: Any) -> Any:
    """The fields of an index, as ``pandas.core.indexes.base._new_Index``."""
    return fields


def _block(values: Any, columns: Any, dimensions: int) -> tuple[Any, Any]:
    """As ``pandas._libs.internals._unpickle_block``."""
    return values, columns


_TABLES: dict[tuple[str, str], Callable[..., Any]] = {
    ("pandas", "DataFrame"): _Table,
    ("pandas.core.frame", "DataFrame"): _Table,
    ("pandas.core.internals.managers", "BlockManager"): _Blocks,
    ("pandas._libs.internals", "_unpickle_block"): _block,
    ("pandas.core.indexes.base", "_new_Index"): _index,
    **dict.fromkeys(
        (
            ("pandas.core.indexes.base", "Index"),
            ("pandas.core.indexes.range", "RangeIndex"),
            ("pandas.core.indexes.numeric", "Int64Index"),
            ("pandas", "Index"),  # since pandas 3
            ("pandas", "RangeIndex"),
        ),
        _IndexType,
    ),
    **{(module, "slice"): slice for module in ("builtins", "__builtin__")},
}


def load_table(path: Path) -> dict[str, np.ndarray]:
    """The columns of a pickled DataFrame by name, each (N,) of numbers or of objects.

    Raises:
        FileNotFoundError: No such file.
        UnsafePickleError: The pickle names anything but tables of plain arrays and containers; it was not run.
        ValueError: Not a readable pickle of a DataFrame.
    """
    table = read_pickle(path, _TABLES)
    if not isinstance(table, _Table):
        raise ValueError(f"{path} holds a {type(table).__name__.strip('_')}, expected a DataFrame")
    try:
        blocks, axes = table.blocks.saved  # type: ignore[attr-defined]
        names = [str(name) for name in np.ravel(plain(axes[0])["data"])]
        columns: dict[str, np.ndarray] = {}
        for values, where in blocks:
            rows = plain(np.asarray(plain(values)))
            for name, row in zip(np.asarray(names)[plain(where)], rows, strict=True):
                columns[str(name)] = row
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{path} is not a readable DataFrame: {one_line(error)}") from None
    return columns


def _storage(data: bytes) -> Any:
    """As ``torch.storage._load_from_bytes``, by torch's reader that runs nothing."""
    import torch  # takes a moment

    storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(storage, torch.storage.TypedStorage):
        raise UnsafePickleError(f"a {type(storage).__name__} where a tensor's numbers should be")
    return storage


def _tensor(storage: Any, offset: int, size: Sequence[int], stride: Sequence[int], *_: object) -> np.ndarray:
    """A tensor's numbers as an array, as ``torch._utils._rebuild_tensor_v2``."""
    import torch

    if not isinstance(storage, torch.storage.TypedStorage):
        raise UnsafePickleError("a tensor of something other than torch's storage")
    values = torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage).numpy()
    count = int(np.prod(size, dtype=object))
    step = [int(np.prod(size[axis + 1 :], dtype=object)) for axis in range(len(size))]
    if any(length > 1 and one != other for length, one, other in zip(size, stride, step, strict=True)):
        raise UnsafePickleError(f"a tensor of size {tuple(size)} and stride {tuple(stride)}, expected one without gaps")
    if not 0 <= offset <= offset + count <= len(values):
        raise UnsafePickleError(f"a tensor of size {tuple(size)} from a storage of {len(values)} numbers")
    return values[offset : offset + count].reshape(tuple(size)).copy()


def _parameter(data: np.ndarray, *_: object) -> np.ndarray:
    """As ``torch._utils._rebuild_parameter``."""
    return data


_TENSORS: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("collections", "OrderedDict"): collections.OrderedDict,
}


def load_tensors(path: Path) -> dict[str, Any]:
    """The dict of arrays and torch tensors that a pickle holds, tensors as arrays, on whatever device they were.

    Raises:
        FileNotFoundError: No such file.
        UnsafePickleError: The pickle names anything else; it was not run.
        ValueError: Not a readable pickle of a dict.
    """
    content = read_pickle(path, _TENSORS)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected a dict")
    return content
