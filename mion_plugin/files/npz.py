"""Reading ``.npy`` and ``.npz`` files of others, and writing them: an array is made only where its bytes are there.

numpy allocates what a header claims before it reads, and an archive of a few megabytes may unpack to many gigabytes.
Here the header is held against the number of bytes that follow it, and an archive that unpacks to far more than it is
long is refused.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from mion_plugin.files.array_constructors import UnsafePickleError
from mion_plugin.files.atomic import atomic_path
from mion_plugin.files.presence import require_file

MAX_UNPACKED = 1 << 28  # bytes; below, an archive may be packed as tightly as can be
MAX_RATIO = 100  # of unpacked to packed bytes above that; poses, keypoints and their masks reach 10
ObjectReader = Callable[[IO[bytes]], Any]


def read_npz(
    path: str | os.PathLike[str],
    kind: str,
    only: Container[str] | None = None,
    read_objects: ObjectReader | None = None,
) -> dict[str, Any]:
    """The arrays of an ``.npz`` file by their names.

    Args:
        path: The file.
        kind: What to call it in errors, e.g. ``candidate pool``.
        only: Names to read; None for all.
        read_objects: Reads the pickle of an array of objects; None refuses such arrays.

    Raises:
        FileNotFoundError: No such file.
        UnsafePickleError: From ``read_objects``, with the file's name.
        ValueError: Not a readable archive, or one that would take memory out of proportion.
    """
    with _opened(Path(path), kind) as archive:
        return {
            name: _read_member(archive, member, read_objects)
            for name, member in _members(archive).items()
            if only is None or name in only
        }


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, Any], compress: bool = True) -> None:
    """Write an ``.npz`` file, whole or not at all; values are arrays, or what numpy pickles.

    It is made in memory: where a disk is full, numpy's archive prints a traceback of its own when it is forgotten.

    Raises:
        OSError: The file cannot be written.
    """
    file = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(file, **arrays)
    with atomic_path(path) as temporary:
        temporary.write_bytes(file.getbuffer())


def npz_names(path: str | os.PathLike[str], kind: str) -> list[str]:
    """The names of an ``.npz`` file's arrays; arguments and errors as ``read_npz``."""
    with _opened(Path(path), kind) as archive:
        return list(_members(archive))


def read_npy(path: str | os.PathLike[str], kind: str) -> np.ndarray:
    """The array of an ``.npy`` file, of numbers or text; arguments and errors as ``read_npz``."""
    with _told(Path(path), kind), Path(path).open("rb") as file:
        return _read_array(file, Path(path).stat().st_size, None)


def one_line(error: Exception) -> str:
    """The message of an error on one line; its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _told(path: Path, kind: str) -> Iterator[None]:
    """What goes wrong with a file within, as ``read_npz`` raises it."""
    require_file(path, kind)
    try:
        yield
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error}") from None
    except Exception as error:  # damaged archives fail in zipfile, zlib, numpy and pickle in many ways
        raise ValueError(f"{path} is not a readable {kind}: {one_line(error)}") from error


@contextmanager
def _opened(path: Path, kind: str) -> Iterator[zipfile.ZipFile]:
    with _told(path, kind), zipfile.ZipFile(path) as archive:
        yield archive


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The archive's members by the names of their arrays."""
    members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
    if len(members) < len(archive.infolist()):
        raise ValueError("it holds several arrays of one name")
    packed = os.fstat(archive.fp.fileno()).st_size  # type: ignore[union-attr]  # it is open
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(MAX_UNPACKED, MAX_RATIO * packed):
        raise ValueError(f"its {packed} bytes unpack to {unpacked}, more than {MAX_RATIO} times as many")
    return members


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, read_objects: ObjectReader | None) -> Any:
    with archive.open(member) as file:
        return _read_array(file, member.file_size, read_objects)


def _read_array(file: IO[bytes], size: int, read_objects: ObjectReader | None) -> Any:
    """The array of an open ``.npy`` file of ``size`` bytes."""
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:  # 3.0 is for field names outside latin-1, which no plain array has
        raise ValueError(f".npy format {version}, expected 1.0 or 2.0")
    shape, fortran_order, dtype = read_header[version](file)
    if dtype.hasobject:
        if read_objects is None:
            raise ValueError("it holds pickled objects, expected numbers or text")
        return read_objects(file)
    count = 1
    for length in shape:
        count *= int(length)  # numpy's product would overflow
    if min(shape, default=0) < 0 or count * dtype.itemsize != size - file.tell():
        raise ValueError(f"its header promises {dtype} {shape}, but {size - file.tell()} bytes follow")
    array = np.frombuffer(file.read(), dtype).copy()  # a copy may be written to
    return array.reshape(shape, order="F" if fortran_order else "C")
