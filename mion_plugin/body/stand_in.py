"""The free stand-in body: SMPL's layout, CC0 assets, shipped with the package.

Its betas are its own: betas of the licensed SMPL mean nothing on it, nor the other way round. Poses carry over.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mion_plugin.body import stand_in_codec as codec
from mion_plugin.body.arrays import NUM_FACES, NUM_VERTICES, BodyArrays
from mion_plugin.body.fingerprint import BodyFingerprint
from mion_plugin.constants import STAND_IN_GENDERS, STAND_IN_PATH
from mion_plugin.files.atomic import atomic_path
from mion_plugin.files.npz import read_npz
from mion_plugin.files.presence import require_file

FORMAT_VERSION = 1


@dataclass(frozen=True)
class StandInSurface:
    """What rendering needs beyond the body model.

    Attributes:
        uv: (u, 2) float32 texture coordinates in the MakeHuman base mesh's layout, so that its CC0 skins fit. u points
            right and v **up**, both 0..1: the pixel centre of row r, column c of an H x W texture is
            ((c + 0.5) / W, 1 - (r + 0.5) / H).
        faces_uv: (13776, 3) int64 rows of ``uv`` for the corners of each face. Corners, not vertices, because a
            vertex on a cut of the layout has several.
        mirror: (6890,) int64 vertex on the other side of the body; itself on the mid-line.
    """

    uv: np.ndarray
    faces_uv: np.ndarray
    mirror: np.ndarray


def load_stand_in(gender: str = "neutral") -> BodyArrays:
    """The free stand-in body.

    Cached: every call with the same gender returns the same object, whose arrays must not be written to.

    Args:
        gender: ``neutral``, ``male`` or ``female``.

    Raises:
        ValueError: Unknown gender, or the shipped file is damaged or of another version.
        FileNotFoundError: The shipped file is missing.
    """
    if gender not in STAND_IN_GENDERS:
        raise ValueError(f"gender {gender!r}, expected one of {', '.join(STAND_IN_GENDERS)}")
    return read_stand_in(STAND_IN_PATH, gender)


@functools.cache
def stand_in_fingerprints() -> dict[str, BodyFingerprint]:
    """Name of each stand-in, as in its ``BodyArrays`` -> its fingerprint."""
    bodies = [load_stand_in(gender) for gender in STAND_IN_GENDERS]
    return {body.name: BodyFingerprint.of(body) for body in bodies}


def load_stand_in_surface() -> StandInSurface:
    """Texture coordinates and mirror pairs of the stand-in; raises like ``load_stand_in``."""
    return read_stand_in_surface(STAND_IN_PATH)


@functools.lru_cache(maxsize=8)
def read_stand_in(path: Path, gender: str) -> BodyArrays:
    """``load_stand_in`` from another file of the same format."""
    stored = _read_checked(path)
    prefix = f"{gender}_"
    shape = {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}
    fields = codec.decode_common(stored) | codec.decode_shape(shape, stored["mirror"].astype(np.int64))
    return BodyArrays(name=f"free stand-in ({gender})", **fields)


@functools.lru_cache(maxsize=2)
def read_stand_in_surface(path: Path) -> StandInSurface:
    """``load_stand_in_surface`` from another file of the same format."""
    stored = _read_checked(path)
    return StandInSurface(
        uv=(stored["uv"] / np.float32(65535)).astype(np.float32),
        faces_uv=stored["faces_uv"].astype(np.int64),
        mirror=stored["mirror"].astype(np.int64),
    )


def save_stand_in(path: str | os.PathLike[str], bodies: Mapping[str, BodyArrays], surface: StandInSurface) -> None:
    """Write the stand-in's file, replacing ``path`` only when complete.

    Args:
        path: The ``.npz`` file to write.
        bodies: One model per gender of ``STAND_IN_GENDERS``, equal in topology, weights and regressors.
        surface: Texture coordinates and mirror pairs.

    Raises:
        ValueError: A gender is missing, a model is not mirror symmetric, or an array has the wrong shape.
    """
    missing = [gender for gender in STAND_IN_GENDERS if gender not in bodies]
    if missing:
        raise ValueError(f"no body for {', '.join(missing)}")
    if surface.faces_uv.shape != (NUM_FACES, 3) or surface.mirror.shape != (NUM_VERTICES,):
        raise ValueError(f"surface has faces_uv {surface.faces_uv.shape} and mirror {surface.mirror.shape}")
    stored = codec.encode_common(bodies[STAND_IN_GENDERS[0]], surface.mirror)
    for gender in STAND_IN_GENDERS:
        codec.check_symmetric(bodies[gender], surface.mirror)
        for key, value in codec.encode_shape(bodies[gender], surface.mirror).items():
            stored[f"{gender}_{key}"] = value
    stored["uv"] = np.round(surface.uv * 65535).astype(np.uint16)
    stored["faces_uv"] = surface.faces_uv.astype(np.uint16)
    stored["format_version"] = np.array(FORMAT_VERSION)
    stored["sha256"] = np.array(_digest(stored))
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **stored)


def _digest(stored: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and contents of all arrays but the digest itself."""
    digest = hashlib.sha256()
    for key in sorted(stored):
        if key != "sha256":
            array = np.ascontiguousarray(stored[key])
            digest.update(f"{key} {array.dtype.str} {array.shape};".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def _read_checked(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a stand-in file whose version and digest are right."""
    require_file(path, "stand-in body", "; build it with tools/build_body_model.py")
    remedy = "reinstall the package or rebuild it with tools/build_body_model.py"
    try:
        stored = read_npz(path, "stand-in body")
    except ValueError as error:
        raise ValueError(f"{error}; {remedy}") from error
    version = stored.get("format_version")
    if version is None or version.ndim != 0 or int(version) != FORMAT_VERSION:
        raise ValueError(f"stand-in body {path} has format version {version}, expected {FORMAT_VERSION}; {remedy}")
    if str(stored.get("sha256")) != _digest(stored):
        raise ValueError(f"stand-in body {path} is damaged (its SHA-256 does not match); {remedy}")
    return stored
