"""A pickle reader that rebuilds numpy arrays and plain containers, and refuses everything else.

A pickle is a program: ``pickle.load`` imports and calls whatever the file names. Here every name a file asks for
is looked up in a fixed table of harmless constructors; an unknown name ends the reading before anything is called.
"""

from __future__ import annotations

import functools
import pickle
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from mion_plugin.files.array_constructors import ARRAY_CONSTRUCTORS, SealedType, UnsafePickleError, plain
from mion_plugin.files.npz import one_line
from mion_plugin.files.presence import require_file


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Bytes that Python 3 wrote as text under protocol 2, as ``_codecs.encode``."""
    if encoding not in ("latin1", "latin-1"):
        raise UnsafePickleError(f"bytes in encoding {encoding!r}")
    return text.encode("latin1")


def _new_object(cls: Any, base: type, state: object) -> object:
    """An object without state, as ``copyreg._reconstructor``."""
    if base is not object or state is not None or type(cls) is not SealedType:
        raise UnsafePickleError(f"object of type {cls!r}")
    return object.__new__(cls)  # type: ignore[arg-type]  # mypy takes a metaclass's instance for no class


_HARMLESS: dict[tuple[str, str], Callable[..., Any]] = {
    **ARRAY_CONSTRUCTORS,
    ("_codecs", "encode"): _encode,
    **{(module, "_reconstructor"): _new_object for module in ("copy_reg", "copyreg")},
    **{
        (module, container.__name__): container
        for module in ("__builtin__", "builtins")
        for container in (object, set, frozenset, dict, list, tuple)  # none allocates by a number from the file
    },
}


# Python's own unpickler, not the one in C: that one keeps a table as long as the largest number by which a pickle names
# an earlier value, so eleven bytes can ask it for 32 GB.
class RestrictedUnpickler(pickle._Unpickler):
    """Unpickler for numpy arrays, numbers, text and containers.

    Args:
        file: Binary file at the start of the pickle.
        stand_ins: More names to admit, ``(module, name) -> class or function``. Classes must be of ``SealedType``.
        encoding: How text of Python 2 pickles is decoded.
    """

    def __init__(
        self,
        file: IO[bytes],
        stand_ins: Mapping[tuple[str, str], Callable[..., Any]] | None = None,
        encoding: str = "latin1",
    ) -> None:
        super().__init__(file, encoding=encoding)  # type: ignore[arg-type]  # typeshed has a protocol that IO lacks
        self._admitted = {**_HARMLESS, **(stand_ins or {})}

    def find_class(self, module: str, name: str) -> Any:
        """The admitted constructor of that name.

        Raises:
            UnsafePickleError: The name is not in the table; nothing was imported or called.
        """
        try:
            found = self._admitted[module, name]
        except KeyError:
            raise UnsafePickleError(
                f"the pickle asks for {module}.{name}, which is neither an array nor a plain container; "
                "refused, and nothing of it was run"
            ) from None
        # A pickle may set attributes of what it was given: it gets functions in a wrapper of its own.
        return functools.partial(found) if isinstance(found, types.FunctionType) else found

    def load(self) -> Any:
        """What the file holds, its arrays as ordinary ``numpy.ndarray``.

        Raises:
            UnsafePickleError: It asks for something else.
            pickle.UnpicklingError, EOFError, ValueError, TypeError: It is damaged.
        """
        try:
            return plain(super().load())
        except (KeyError, IndexError, AttributeError) as error:  # what Python's unpickler makes of damage
            raise pickle.UnpicklingError(f"damaged pickle, {type(error).__name__}: {error}") from error

    def persistent_load(self, pid: object) -> Any:
        """Refuse references to objects outside the file."""
        raise UnsafePickleError(f"the pickle refers to an object outside the file: {pid!r}")


def read_objects(file: IO[bytes]) -> Any:
    """What the pickle at this place of a file holds; errors as ``RestrictedUnpickler.load``."""
    return RestrictedUnpickler(file).load()


def read_pickle(
    path: Path, stand_ins: Mapping[tuple[str, str], Callable[..., Any]] | None = None, kind: str = "pickle"
) -> Any:
    """What a file holds that is one pickle.

    Args:
        path: Where.
        stand_ins: See ``RestrictedUnpickler``.
        kind: What to call it in errors.

    Raises:
        FileNotFoundError: No such file.
        UnsafePickleError: It asks for something else; nothing of it was run.
        ValueError: It is damaged or empty.
    """
    with require_file(path, kind).open("rb") as file:
        try:
            return RestrictedUnpickler(file, stand_ins).load()
        except UnsafePickleError as error:
            raise UnsafePickleError(f"{path}: {error}") from None
        except Exception as error:  # a damaged pickle fails in the reader in any way it likes
            raise ValueError(f"{path} is not a readable {kind}: {one_line(error)}") from error
