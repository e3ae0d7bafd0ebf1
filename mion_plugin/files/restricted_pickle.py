"""A pickle reader that rebuilds numpy arrays and plain containers, and refuses everything else.

A pickle is a program: ``pickle.load`` imports and calls whatever the file names. Here every name a file asks for
is looked up in a fixed table of harmless constructors; an unknown name ends the reading before anything is called.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np


class UnsafePickleError(pickle.UnpicklingError):
    """The pickle names something other than arrays and plain containers."""


class SealedType(type):
    """Metaclass of stand-in classes: a pickle's BUILD instruction cannot rewrite their attributes."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise UnsafePickleError(f"the pickle tries to change {cls.__name__}.{name}")


def _reconstruct_array(subtype: type, shape: tuple[int, ...], typecode: object) -> np.ndarray:
    """Empty array that the pickle's state fills, as ``numpy.core.multiarray._reconstruct``."""
    if subtype is not np.ndarray or tuple(shape) != (0,):
        raise UnsafePickleError(f"array of type {subtype!r} and shape {shape!r}; numpy writes an empty ndarray")
    return np.ndarray((0,), dtype=np.int8)


def _array_from_buffer(buffer: bytes, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Array from its bytes (pickle protocol 5), as ``numpy.core.numeric._frombuffer``."""
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: np.dtype, value: bytes = b"") -> np.generic:
    """A numpy scalar from its bytes, as ``numpy.core.multiarray.scalar``."""
    if dtype.hasobject:
        raise UnsafePickleError("numpy scalar of objects")
    return np.frombuffer(value, dtype=dtype, count=1)[0]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Bytes that Python 3 wrote as text under protocol 2, as ``_codecs.encode``."""
    if encoding not in ("latin1", "latin-1"):
        raise UnsafePickleError(f"bytes in encoding {encoding!r}")
    return text.encode("latin1")


def _new_object(cls: type, base: type, state: object) -> object:
    """An object without state, as ``copyreg._reconstructor``."""
    if base is not object or state is not None or not isinstance(cls, SealedType):
        raise UnsafePickleError(f"object of type {cls!r}")
    return object.__new__(cls)


_NUMPY_CONSTRUCTORS: dict[str, dict[str, Callable[..., Any]]] = {
    "multiarray": {"_reconstruct": _reconstruct_array, "scalar": _scalar},
    "numeric": {"_frombuffer": _array_from_buffer},
}
_HARMLESS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
    **{(module, "_reconstructor"): _new_object for module in ("copy_reg", "copyreg")},
    **{
        (module, plain.__name__): plain
        for module in ("__builtin__", "builtins")
        for plain in (object, set, frozenset, dict, list, tuple, str, bytes, int, float, bool)
    },
    **{
        (f"numpy.{core}.{module}", name): constructor  # numpy 1 and 2 name their core differently
        for core in ("core", "_core")
        for module, constructors in _NUMPY_CONSTRUCTORS.items()
        for name, constructor in constructors.items()
    },
}


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickler for numpy arrays, numbers, text and containers.

    Args:
        file: Binary file at the start of the pickle.
        stand_ins: More names to admit, ``(module, name) -> class or function``. Classes must be of ``SealedType``.
        encoding: How text of Python 2 pickles is decoded.
    """

    def __init__(
        self,
        file: BinaryIO,
        stand_ins: Mapping[tuple[str, str], Callable[..., Any]] | None = None,
        encoding: str = "latin1",
    ) -> None:
        super().__init__(file, encoding=encoding)
        self._admitted = {**_HARMLESS, **(stand_ins or {})}

    def find_class(self, module: str, name: str) -> Any:
        """The admitted constructor of that name.

        Raises:
            UnsafePickleError: The name is not in the table; nothing was imported or called.
        """
        try:
            return self._admitted[module, name]
        except KeyError:
            raise UnsafePickleError(
                f"the pickle asks for {module}.{name}, which is neither an array nor a plain container; "
                "refused, and nothing of it was run"
            ) from None

    def persistent_load(self, pid: object) -> Any:
        """Refuse references to objects outside the file."""
        raise UnsafePickleError(f"the pickle refers to an object outside the file: {pid!r}")
