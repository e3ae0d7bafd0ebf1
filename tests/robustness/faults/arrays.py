"""Hostile ``.npz`` archives: an array damaged, its header forged, the archive a trap."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robustness.faults import pickles
from robustness.faults.case import ANYTHING, REFUSED, SAME
from robustness.faults.damage import Damage

Content = dict[str, Any]
_MEGABYTE = 1 << 20


def read_npz(path: Path) -> Content:
    """The arrays of a file of our own."""
    with np.load(path, allow_pickle=True) as archive:
        return {key: archive[key] for key in archive.files}


def to_bytes(array: Any) -> bytes:
    """An ``.npy`` file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=True)
    return file.getvalue()


def forged(header: str, data: bytes = b"") -> bytes:
    """An ``.npy`` file of any header."""
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text + data


def pickled(code: bytes) -> bytes:
    """An ``.npy`` file of objects, whose pickle is ``code``."""
    return forged("{'descr': '|O', 'fortran_order': False, 'shape': (), }", code)


def writes_npz(content: Mapping[str, Any], compression: int = zipfile.ZIP_STORED) -> Callable[[Path], None]:
    """Writer of an archive; values are arrays, or members as bytes."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", compression) as archive:
            for key, value in content.items():
                archive.writestr(f"{key}.npy", value if isinstance(value, bytes) else to_bytes(value))

    return write


def damaged_arrays(content: Content, key: str, expected: str = "refused") -> Iterator[Damage]:
    """One numeric array of an archive made hostile."""
    sound = np.asarray(content[key])

    def changed(kind: str, name: str, value: Any, outcome: str = expected) -> Damage:
        return Damage(kind, f"{key} {name}", writes_npz({**content, key: value}), outcome)

    yield Damage("key missing", key, writes_npz({name: value for name, value in content.items() if name != key}))
    yield changed("wrong shape", "with one row more", np.concatenate([sound, sound[:1]]))
    yield changed("wrong shape", "with one row less", sound[:-1])
    yield changed("wrong shape", "without rows", sound[:0])
    yield changed("wrong shape", "with one axis more", sound[..., None, None].repeat(2, axis=-1))
    yield changed("wrong shape", "of rank 0", np.float32(1.0))
    yield changed("wrong type", "as text", np.full(sound.shape, "abc"))
    yield changed("wrong type", "as None", np.full(sound.shape, None))
    yield changed("wrong type", "as complex numbers", sound.astype(np.complex64))
    yield changed("wrong type", "as dates", np.zeros(sound.shape, "M8[s]"))
    yield changed("wrong type", "as records", np.zeros(sound.shape, [("a", "f4"), ("b", "O")]))
    for value in (np.nan, np.inf, -np.inf):
        hit = sound.astype(np.float32)
        hit.flat[hit.size // 2] = value  # may be of a joint that does not count
        yield changed("NaN or infinite", f"with one {value}", hit, ANYTHING)
        yield changed("NaN or infinite", f"full of {value}", np.full(sound.shape, value))
    for value in (3e38, -3e38, 1e300):
        with np.errstate(over="ignore"):
            yield changed("huge", f"full of {value:g}", np.full(sound.shape, value), ANYTHING)


def legal_arrays(content: Content, key: str) -> Iterator[Damage]:
    """One array in a form that is odd but means the same."""
    sound = np.asarray(content[key])
    for name, value in (
        ("in Fortran's order", np.asfortranarray(sound)),
        ("with its bytes swapped", sound.astype(sound.dtype.newbyteorder(">"))),
        ("in double precision", sound.astype(np.float64)),
    ):
        yield Damage("odd but legal", f"{key} {name}", writes_npz({**content, key: value}), SAME)


def forged_headers(content: Content, key: str) -> Iterator[Damage]:
    """One array whose header lies."""
    shapes = {
        "10^12 numbers": "(1000000000000,)",
        "10^10 x 10^10": "(10000000000, 10000000000)",
        "2^63 numbers": "(9223372036854775808,)",
        "a negative number": "(-1,)",
        "6 GB, nearly all missing": "(1500000000,)",
        "a shape of text": "('a',)",
        "33 axes": f"({'1, ' * 33})",
        "100 axes": f"({'2, ' * 100})",
    }
    for name, shape in shapes.items():
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
        yield Damage("huge", f"{key} of {name}", writes_npz({**content, key: forged(header, bytes(64))}))
    traps = {
        "code in its header": "{'descr': __import__('os').system('touch canary'), 'fortran_order': False, 'shape': ()}",
        "a header of 1 MB": "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), " + "'a': 1, " * 130_000 + "}",
        "brackets 10,000 deep in its header": "(" * 10_000 + ")" * 10_000,
        "no header": "",
        "a type of 2^40 bytes": "{'descr': '|S1099511627776', 'fortran_order': False, 'shape': (1,), }",
        "a type of 10^9 bytes, 10^9 times": "{'descr': '|S1000000000', 'fortran_order': False, 'shape': (1000000000,)}",
        "an unknown type": "{'descr': 'what', 'fortran_order': False, 'shape': (1,), }",
    }
    for name, header in traps.items():
        yield Damage("forged header", f"{key} with {name}", writes_npz({**content, key: forged(header, bytes(64))}))


def pickled_members(content: Content, key: str) -> Iterator[Damage]:
    """One array that is a pickle."""
    for kind, name, code in pickles.every():
        expected = ANYTHING if name == "None alone" else REFUSED  # as if it were missing
        yield Damage(kind, f"{key}: {name}", writes_npz({**content, key: pickled(code)}), expected)


def traps(content: Content, key: str) -> Iterator[Damage]:
    """Archives that are made to harm whoever unpacks them."""
    one = {**content}
    one.pop(key)
    yield Damage("zip bomb", f"{key} of 8 GiB of zeros", _bomb(one, key, 8192))
    yield Damage("zip bomb", f"{key} of 1 GiB of zeros", _bomb(one, key, 1024))
    yield Damage("zip bomb", "a thousand members of the same bytes", _overlapping(content, key))
    yield Damage("zip bomb", f"{key} larger than it says", _lying(content, key), ANYTHING)
    yield Damage("path traversal", "a member named ../evil.npy", writes_npz({**content, "../evil": b"x"}), ANYTHING)
    yield Damage("path traversal", "a member named /evil.npy", writes_npz({**content, "/evil": b"x"}), ANYTHING)
    yield Damage("wrong type", "a member that is no array", writes_npz({**content, key: b"no array"}))
    yield Damage("wrong type", f"{key} compressed by LZMA", writes_npz(content, zipfile.ZIP_LZMA), SAME)
    yield Damage("wrong type", "an archive without members", writes_npz({}))
    yield Damage("wrong type", "100,000 members without content", writes_npz({f"{i}": b"" for i in range(100_000)}))
    yield Damage("wrong type", "an encrypted member", _flagged(content, 1))
    yield Damage("wrong type", "an unknown compression", _patched(content, 10, 97))


def _bomb(content: Content, key: str, megabytes: int) -> Callable[[Path], None]:
    """Packed in advance: a megabyte of zeros is the same bytes each time."""

    def write(path: Path) -> None:
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({megabytes * _MEGABYTE // 4},), }}"
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(forged(header)) + packer.flush(zlib.Z_FULL_FLUSH)
        zeros = packer.compress(bytes(_MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
        writes_npz({**content, key: packed + megabytes * zeros + packer.flush()})(path)
        with zipfile.ZipFile(path, "a") as archive:
            member = archive.getinfo(f"{key}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED
            member.file_size = len(forged(header)) + megabytes * _MEGABYTE
            archive._didModify = True  # type: ignore[attr-defined]

    return write


def _overlapping(content: Content, key: str) -> Callable[[Path], None]:
    """Many entries of the directory that point at one member."""

    def write(path: Path) -> None:
        writes_npz({**content, key: np.zeros(4 * _MEGABYTE, np.float32)}, zipfile.ZIP_DEFLATED)(path)
        with zipfile.ZipFile(path, "a") as archive:
            target = archive.getinfo(f"{key}.npy")
            for number in range(1000):
                entry = zipfile.ZipInfo(f"{key}{number}.npy")
                for field in ("header_offset", "compress_type", "compress_size", "file_size", "CRC"):
                    setattr(entry, field, getattr(target, field))
                archive.filelist.append(entry)
            archive._didModify = True  # type: ignore[attr-defined]

    return write


def _lying(content: Content, key: str) -> Callable[[Path], None]:
    """A member whose directory entry tells less than it unpacks to."""

    def write(path: Path) -> None:
        writes_npz({**content, key: np.zeros(16 * _MEGABYTE, np.float32)}, zipfile.ZIP_DEFLATED)(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.getinfo(f"{key}.npy").file_size = 4096
            archive._didModify = True  # type: ignore[attr-defined]

    return write


def _flagged(content: Content, flags: int) -> Callable[[Path], None]:
    return _patched(content, 8, flags)


def _patched(content: Content, place: int, value: int) -> Callable[[Path], None]:
    """Two bytes of every entry of the directory overwritten, and of the entries before the members."""

    def write(path: Path) -> None:
        writes_npz(content)(path)
        data = bytearray(path.read_bytes())
        for signature, offset in ((b"PK\x01\x02", place), (b"PK\x03\x04", place - 2)):
            found = data.find(signature)
            while found >= 0:
                data[found + offset : found + offset + 2] = struct.pack("<H", value)
                found = data.find(signature, found + 4)
        path.write_bytes(data)

    return write
