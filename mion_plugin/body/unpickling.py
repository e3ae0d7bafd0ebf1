"""Reading the official SMPL ``.pkl`` files without chumpy and without running code from the file."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.files import RestrictedUnpickler, UnsafePickleError
from mion_plugin.files.array_constructors import SealedType, plain
from mion_plugin.files.npz import one_line

_MAX_VALUES = 10_000_000  # of a regressor: SMPL-X's has 55 x 10,475


class _SavedObject(metaclass=SealedType):
    """An object of a library that is not needed to read its numbers: keeps the saved attributes."""

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise ValueError(f"{type(self).__name__} saved as {type(state).__name__}, expected a dict")
        self.__dict__["saved"] = state

    def to_array(self) -> np.ndarray:
        """The object's numbers as a dense array."""
        raise NotImplementedError


class _ChumpyArray(_SavedObject):
    """``chumpy.ch.Ch``: an array in the attribute ``x``."""

    def to_array(self) -> np.ndarray:
        return np.asarray(plain(_field(self, "x")))


class _ChumpySelection(_SavedObject):
    """``chumpy.reordering.Select``: entries ``idxs`` of the flattened array ``a``, in a preferred shape."""

    def to_array(self) -> np.ndarray:
        values = _plain(_field(self, "a")).ravel()[np.asarray(_plain(_field(self, "idxs")), dtype=np.int64)]
        shape = self.saved.get("preferred_shape")  # type: ignore[attr-defined]
        return values if shape is None else values.reshape(shape)


class _Compressed(_SavedObject):
    """A sparse matrix of scipy's, by rows or columns."""

    kind: str

    def to_array(self) -> np.ndarray:
        from scipy import sparse

        parts = [np.asarray(_field(self, name)) for name in ("data", "indices", "indptr")]
        matrix = getattr(sparse, f"{self.kind}_matrix")(tuple(parts), shape=_shape(self))
        matrix.check_format(full_check=True)  # indices from the file are used as memory offsets
        return matrix.toarray()


class _Columns(_Compressed):
    """``scipy.sparse.csc_matrix`` and ``csc_array``."""

    kind = "csc"


class _Rows(_Compressed):
    """``scipy.sparse.csr_matrix`` and ``csr_array``."""

    kind = "csr"


class _Coordinates(_SavedObject):
    """``scipy.sparse.coo_matrix`` and ``coo_array``."""

    def to_array(self) -> np.ndarray:
        from scipy.sparse import coo_matrix

        # scipy 1.13 made one field of two
        places = _field(self, "coords") if "coords" in self.saved else [_field(self, name) for name in ("row", "col")]  # type: ignore[attr-defined]
        row, column = (np.asarray(place) for place in places)
        # which checks that they lie inside
        matrix = coo_matrix((np.asarray(_field(self, "data")), (row, column)), shape=_shape(self))
        return matrix.toarray()


_SPARSE = {"csc": _Columns, "csr": _Rows, "coo": _Coordinates}
_STAND_INS: dict[tuple[str, str], Any] = {
    ("chumpy.ch", "Ch"): _ChumpyArray,
    ("chumpy", "Ch"): _ChumpyArray,
    ("chumpy.reordering", "Select"): _ChumpySelection,
    **{
        (f"scipy.sparse.{module}", f"{kind}_{form}"): stand_in
        for kind, stand_in in _SPARSE.items()
        for module in (kind, f"_{kind}", "_arrays")  # the last: arrays of scipy before 1.11
        for form in ("matrix", "array")
    },
}


def _field(obj: _SavedObject, name: str) -> Any:
    saved = obj.__dict__.get("saved", {})
    if name not in saved:
        raise ValueError(f"{type(obj).__name__} without its field {name!r}")
    return saved[name]


def _shape(matrix: _SavedObject) -> tuple[int, ...]:
    """The shape of a sparse matrix, whose few bytes may tell of any number of zeros."""
    shape = tuple(int(length) for length in _field(matrix, "_shape"))
    if math.prod(shape) > _MAX_VALUES:
        raise ValueError(f"a sparse matrix of shape {shape}, more than {_MAX_VALUES:,} values")
    return shape


def _plain(value: Any) -> Any:
    return value.to_array() if isinstance(value, _SavedObject) else value


def load_smpl_pickle(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a SMPL ``.pkl`` of any vintage (Python 2 or 3, with chumpy and scipy objects) as a dict of arrays.

    Args:
        path: e.g. ``SMPL_NEUTRAL.pkl`` or ``basicModel_neutral_lbs_10_207_0_v1.0.0.pkl``.

    Returns:
        The file's top-level dict; chumpy and sparse objects turned into dense arrays.

    Raises:
        UnsafePickleError: The file names anything but numpy, chumpy and scipy arrays and plain containers. It was not
            imported or called.
        ValueError: The file is not a pickle of a dict, or is damaged.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            content = RestrictedUnpickler(file, _STAND_INS).load()
            if not isinstance(content, dict):
                raise ValueError(f"it holds a {type(content).__name__}, expected a dict of arrays")
            return {str(key): _plain(value) for key, value in content.items()}
        except UnsafePickleError as error:
            raise UnsafePickleError(f"{path}: {error}") from None
        except Exception as error:  # a damaged pickle fails in the reader in any way it likes
            raise ValueError(f"{path} is not a readable SMPL pickle: {one_line(error)}") from error
