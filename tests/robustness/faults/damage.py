"""What can be wrong with any file, whatever its format: pieces missing, bits flipped, not a file at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robustness.faults.case import ANYTHING, ORDINARY, REFUSED, SAME, Limits

Writer = Callable[[Path], object]
SOUND = "nothing"
_SHARES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_FLIPPED = (1, 2, 8, 64)  # bits
_OTHER_CONTENT = {
    "an HTML page": b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body></body></html>\n",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "text that is not UTF-8": "größe = Höhe\n".encode("utf-16"),
    "zeros": bytes(4096),
    "a shell script": b"#!/bin/sh\ntouch canary\n",
}


@dataclass(frozen=True)
class Damage:
    """A hostile file.

    Attributes:
        kind: What is wrong, in general.
        name: What is wrong, exactly.
        write: Makes the file.
        expected: See ``Case``.
        limits: Those of the case.
    """

    kind: str
    name: str
    write: Writer
    expected: str = REFUSED
    limits: Limits = ORDINARY


def damages(sound: bytes, seed: int, tolerant: bool = False) -> Iterator[Damage]:
    """A sound file, to see that the door opens at all, and hostile variants of it.

    Args:
        sound: Its content.
        seed: Chooses the places.
        tolerant: The format may read in part, or has no checksum: what is left may be of use.
    """
    rng = np.random.default_rng(seed)
    yield Damage(SOUND, "nothing is wrong", _writes(sound), SAME)
    yield from _truncated(sound, tolerant)
    yield from _flipped(sound, rng)
    yield from _replaced(sound, rng)
    yield from no_files(sound)


def _truncated(sound: bytes, tolerant: bool) -> Iterator[Damage]:
    yield Damage("empty", "no bytes", _writes(b""))
    yield Damage("truncated", "one byte left", _writes(sound[:1]))
    for share in _SHARES:
        cut = sound[: int(share * len(sound))]
        yield Damage("truncated", f"{share:.0%} left", _writes(cut), ANYTHING if tolerant else REFUSED)
    yield Damage("truncated", "4 bytes missing", _writes(sound[:-4]), ANYTHING if tolerant else REFUSED)
    yield Damage("truncated", "the first 16 bytes missing", _writes(sound[16:]), ANYTHING if tolerant else REFUSED)


def _flipped(sound: bytes, rng: np.random.Generator) -> Iterator[Damage]:
    for count in _FLIPPED:
        yield Damage("bits flipped", f"{count} anywhere", _writes(_flip(sound, count, 0, rng)), ANYTHING)
    yield Damage(
        "bits flipped", "8 in the first 64 bytes", _writes(_flip(sound[:64], 8, 0, rng) + sound[64:]), ANYTHING
    )
    tail = max(0, len(sound) - 64)
    yield Damage("bits flipped", "8 in the last 64 bytes", _writes(_flip(sound, 8, tail, rng)), ANYTHING)


def _flip(sound: bytes, count: int, first: int, rng: np.random.Generator) -> bytes:
    changed = np.frombuffer(sound, np.uint8).copy()
    for place in rng.integers(first, len(sound), count):
        changed[place] ^= 1 << int(rng.integers(8))
    return changed.tobytes()


def _replaced(sound: bytes, rng: np.random.Generator) -> Iterator[Damage]:
    middle = len(sound) // 2
    zeroed = sound[: middle - 64] + bytes(128) + sound[middle + 64 :]
    yield Damage("overwritten", "128 zeros in the middle", _writes(zeroed[: len(sound)]), ANYTHING)
    swapped = sound[middle:] + sound[:middle]
    yield Damage("wrong order", "the second half first", _writes(swapped), ANYTHING)
    yield Damage("wrong type", "random bytes", _writes(rng.bytes(max(64, len(sound) % 65536))))
    for name, content in _OTHER_CONTENT.items():
        yield Damage("wrong type", name, _writes(content))


def hostile(sound: bytes, seed: int, tolerant: bool = False) -> list[Damage]:
    """``damages`` without the sound file, for a door that does not take it: it is of another model, or takes long."""
    return [damage for damage in damages(sound, seed, tolerant) if damage.kind != SOUND]


def no_files(sound: bytes) -> Iterator[Damage]:
    """Things of the right name that are not a file that can be read."""
    yield Damage("no file", "nothing", lambda path: None)
    yield Damage("no file", "a folder", lambda path: path.mkdir())
    yield Damage("no file", "a pipe", lambda path: os.mkfifo(path))
    yield Damage("no file", "/dev/zero", lambda path: path.symlink_to("/dev/zero"))
    yield Damage("no file", "a link to nothing", lambda path: path.symlink_to("nothing"))
    yield Damage("no file", "a link to itself", lambda path: path.symlink_to(path.name))
    limits = Limits(unprivileged=True)
    yield Damage("no permission", "to read", lambda path: (path.write_bytes(sound), path.chmod(0)), REFUSED, limits)


def _writes(content: bytes) -> Writer:
    return lambda path: path.write_bytes(content)
