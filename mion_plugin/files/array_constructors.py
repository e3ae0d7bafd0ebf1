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


# Values that a pickle may unfold to: Human3.6M's cameras, one for each of 312,000 people, are 10 million.
_MAX_VALUES = 100_000_000


class UnsafePickleError(pickle.UnpicklingError):
    """The pickle asks for something other than arrays and plain containers."""


class SealedType(type):
    """Metaclass of classes that a pickle is handed: its BUILD instruction cannot rewrite their attributes."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise UnsafePickleError(f"the pickle tries to change {cls.__name__}.{name}")


class _ArrayType(metaclass=SealedType):
    """What ``numpy.ndarray`` means in a pickle: a name to hand to ``_reconstruct``, never called."""

    def __new__(cls, *_: object) -> _ArrayType:
        raise UnsafePickleError("the pickle makes an array other than numpy does")


class _ElementType:
    """A ``numpy.dtype`` in the making: its code, then its byte order."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(code, str) or not _PLAIN_TYPE.fullmatch(code):
            raise UnsafePickleError(f"array of element type {code!r}, expected a plain one")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order, structure = state[1], state[2:5]
        if order not in ("<", ">", "=", "|") or structure != (None, None, None):
            raise UnsafePickleError(f"element type with state {state!r}, expected a plain one")
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
        raise UnsafePickleError(f"array of type {subtype!r} and shape {shape!r}; numpy writes an empty ndarray")
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
        raise UnsafePickleError(f"element type {element_type!r}, expected numpy.dtype")
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
    """``value`` with the arrays that the constructors above made, at any depth, as ordinary ``numpy.ndarray``.

    Raises:
        UnsafePickleError: A container holds itself, or shared ones unfold to more than 100 million values, so that an
            array of them takes memory and time out of proportion to the file.
    """
    return _Unfolding().plain(value)[0]


class _Unfolding:
    """Visits every container once, however often it is shared, and counts what it unfolds to."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()

    def plain(self, value: Any) -> tuple[Any, int]:
        """The plain value, and how many values it unfolds to."""
        if isinstance(value, np.ndarray):
            return self._array(value.view(np.ndarray))
        if not isinstance(value, (dict, list, tuple)):
            return value, 1
        key = id(value)  # of an object that the root keeps alive
        if key in self._open:
            raise UnsafePickleError(f"the pickle makes a {type(value).__name__} that holds itself")
        if key not in self._done:
            self._open.add(key)
            self._done[key] = self._container(value)
            self._open.remove(key)
        return self._done[key]

    def _container(self, value: Any) -> tuple[Any, int]:
        members = [self.plain(member) for member in (value.values() if isinstance(value, dict) else value)]
        count = 1 + sum(size for _, size in members)
        if count > _MAX_VALUES:
            raise UnsafePickleError(f"the pickle unfolds to more than {_MAX_VALUES:,} values")
        made = [member for member, _ in members]
        return (dict(zip(value, made, strict=True)) if isinstance(value, dict) else type(value)(made)), count

    def _array(self, array: np.ndarray) -> tuple[np.ndarray, int]:
        if not array.dtype.hasobject:
            return array, 1
        members, count = self._container(list(array.ravel()))
        flat = np.empty(array.size, dtype=object)
        for index, member in enumerate(members):
            flat[index] = member
        return flat.reshape(array.shape), count
