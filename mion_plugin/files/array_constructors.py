"""Rebuilding numpy arrays from a pickle without letting the pickle describe memory.

``numpy.dtype`` takes its state on trust: a forged state drops the object flag, and the bytes of the array are then used
as addresses of Python objects. So the names that a pickled array asks for lead here instead: the element type is one
of numpy's plain ones or nothing.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np

# bool, integers, floats, complex, bytes, text and object; no records, no sub-arrays, no dates
_PLAIN_TYPE = re.compile(r"[biufcSUO]\d*|\?")


class SealedType(type):
    """Metaclass of classes that a pickle is handed: its BUILD instruction cannot rewrite their attributes."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise pickle.UnpicklingError(f"the pickle tries to change {cls.__name__}.{name}")


class _ArrayType(metaclass=SealedType):
    """What ``numpy.ndarray`` means in a pickle: a name to hand to ``_reconstruct``, never called."""

    def __new__(cls, *_: object) -> _ArrayType:
        raise pickle.UnpicklingError("the pickle makes an array other than numpy does")


class _ElementType:
    """A ``numpy.dtype`` in the making: its code, then its byte order."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(code, str) or not _PLAIN_TYPE.fullmatch(code):
            raise pickle.UnpicklingError(f"array of element type {code!r}, expected a plain one")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order, structure = state[1], state[2:5]
        if order not in ("<", ">", "=", "|") or structure != (None, None, None):
            raise pickle.UnpicklingError(f"element type with state {state!r}, expected a plain one")
        self.dtype = self.dtype.newbyteorder(order)


class _PickledArray(np.ndarray):
    """An array that takes its state only with a plain element type."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:  # type: ignore[override]
        version, shape, element_type, fortran_order, data = state
        super().__setstate__((version, shape, _plain_dtype(element_type), fortran_order, data))


def _element_type(code: str, align: bool = False, copy: bool = False) -> _ElementType:
    """As ``numpy.dtype``."""
    return _ElementType(code, align, copy)


def _reconstruct(subtype: type, shape: tuple[int, ...], typecode: object) -> np.ndarray:
    """Empty array that the pickle's state fills, as ``numpy.core.multiarray._reconstruct``."""
    if subtype is not _ArrayType or tuple(shape) != (0,):
        raise pickle.UnpicklingError(f"array of type {subtype!r} and shape {shape!r}; numpy writes an empty ndarray")
    return np.ndarray.__new__(_PickledArray, (0,), dtype=np.int8)


def _frombuffer(buffer: bytes, element_type: _ElementType, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Array from its bytes (pickle protocol 5), as ``numpy.core.numeric._frombuffer``."""
    array = np.frombuffer(buffer, dtype=_plain_dtype(element_type))  # refuses objects
    return array.reshape(shape, order="F" if order == "F" else "C")


def _scalar(element_type: _ElementType, value: bytes = b"") -> np.generic:
    """A numpy scalar from its bytes, as ``numpy.core.multiarray.scalar``."""
    return np.frombuffer(value, dtype=_plain_dtype(element_type), count=1)[0]


def _plain_dtype(element_type: object) -> np.dtype:
    if not isinstance(element_type, _ElementType):
        raise pickle.UnpicklingError(f"element type {element_type!r}, expected numpy.dtype")
    return element_type.dtype


ARRAY_CONSTRUCTORS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _element_type,
    **{
        (f"numpy.{core}.{module}", constructor.__name__.replace("_scalar", "scalar")): constructor
        for core in ("core", "_core")  # numpy 1 and 2 name their core differently
        for module, constructor in (
            ("multiarray", _reconstruct),
            ("multiarray", _scalar),
            ("numeric", _frombuffer),
        )
    },
}
"""``(module, name) -> constructor`` for every name that a pickled array or numpy scalar asks for."""


def torch_safe_globals() -> list[Any]:
    """What ``torch.load(weights_only=True)`` has to be told to rebuild plain arrays and numpy scalars by these.

    For ``torch.serialization.safe_globals`` or ``add_safe_globals``.
    """
    named = [(constructor, f"{module}.{name}") for (module, name), constructor in ARRAY_CONSTRUCTORS.items()]
    return [*named, _ElementType, _PickledArray]


def plain(value: Any) -> Any:
    """``value`` with the arrays that the constructors above made, at any depth, as ordinary ``numpy.ndarray``."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    if isinstance(value, np.ndarray):
        array = value.view(np.ndarray)
        if array.dtype.hasobject:
            flat = np.empty(array.size, dtype=object)
            for index, item in enumerate(array.ravel()):
                flat[index] = plain(item)
            array = flat.reshape(array.shape)
        return array
    return value
