"""Packs symmetric body models into small arrays and back.

The stand-in is exactly mirror symmetric, so one vertex of each mirror pair is stored. Shape directions are 16-bit
integers scaled per direction (error below 2 micrometres), pose correctives are sparse tenths of a
millimetre, skinning weights are four 16-bit shares per vertex.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS, NUM_POSE_FEATURES, NUM_VERTICES, BodyArrays
from mion_plugin.body.mirroring import MIRRORED_JOINTS

POSEDIRS_UNIT = 1e-4  # metres
SHORT = 32767
FLIP = np.array([-1, 1, 1])
REGRESSORS = ("J_regressor", "regressor_h36m", "regressor_extra")


def stored_half(mirror: np.ndarray) -> np.ndarray:
    """Vertices that are stored: the lower number of each mirror pair, and those on the mirror plane."""
    return np.flatnonzero(np.arange(len(mirror)) <= mirror)


def encode_common(body: BodyArrays, mirror: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays that all genders share: topology, weights, regressors."""
    weights = body.weights[stored_half(mirror)]
    joint = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    if not np.isclose(np.take_along_axis(weights, joint, axis=1).sum(axis=1), 1.0, atol=1e-5).all():
        raise ValueError(f"{body.name}: a vertex has more than four skinning weights")
    common: dict[str, np.ndarray] = {
        "faces": body.faces.astype(np.uint16),
        "parents": body.parents.astype(np.int8),
        "mirror": mirror.astype(np.uint16),
        "weight_joint": joint.astype(np.uint8),
        "weight": np.round(np.take_along_axis(weights, joint, axis=1) * 65535).astype(np.uint16),
    }
    for name in REGRESSORS:
        matrix = getattr(body, name)
        row, column = np.nonzero(matrix)
        common[f"{name}_row"] = row.astype(np.uint8)
        common[f"{name}_column"] = column.astype(np.uint16)
        common[f"{name}_value"] = matrix[row, column].astype(np.float32)
    return common


def decode_common(stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Inverse of ``encode_common``, as fields of ``BodyArrays``."""
    mirror = stored["mirror"].astype(np.int64)
    half = stored_half(mirror)
    weights = np.zeros((NUM_VERTICES, NUM_JOINTS))
    share = stored["weight"] / stored["weight"].sum(axis=1, keepdims=True, dtype=np.float64)
    joint = stored["weight_joint"].astype(np.int64)
    for column in range(joint.shape[1]):
        weights[half, joint[:, column]] += share[:, column]
        weights[mirror[half], MIRRORED_JOINTS[joint[:, column]]] += np.where(
            mirror[half] == half, 0.0, share[:, column]
        )
    fields: dict[str, np.ndarray] = {
        "faces": stored["faces"].astype(np.int64),
        "parents": stored["parents"].astype(np.int64),
        "weights": weights.astype(np.float32),
    }
    for name, rows in zip(REGRESSORS, (NUM_JOINTS, 17, 9), strict=True):
        matrix = np.zeros((rows, NUM_VERTICES), dtype=np.float32)
        matrix[stored[f"{name}_row"], stored[f"{name}_column"]] = stored[f"{name}_value"]
        fields[name] = matrix
    return fields


def encode_shape(body: BodyArrays, mirror: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of one gender: template, shape directions, pose correctives."""
    half = stored_half(mirror)
    on_plane = mirror[half] == half
    template, directions = body.v_template[half].astype(np.float32), body.shapedirs[half].copy()
    template[on_plane, 0] = 0.0  # rounding of the caller's would break the exact symmetry
    directions[on_plane, 0] = 0.0
    scale = np.abs(directions).max(axis=(0, 1)).astype(np.float32) / SHORT
    steps = np.round(body.posedirs[half] / POSEDIRS_UNIT).astype(np.int16).ravel()
    filled = np.flatnonzero(steps)
    return {
        "template": template,
        "shapedirs": np.round(directions / scale).astype(np.int16),
        "shapedirs_scale": scale,
        "posedirs_gap": np.diff(filled, prepend=0).astype(np.uint32),
        "posedirs": steps[filled],
    }


def decode_shape(stored: Mapping[str, np.ndarray], mirror: np.ndarray) -> dict[str, np.ndarray]:
    """Inverse of ``encode_shape``, as fields of ``BodyArrays``."""
    half = stored_half(mirror)
    other = mirror[half]
    template = np.empty((NUM_VERTICES, 3), dtype=np.float32)
    template[other] = stored["template"] * FLIP
    template[half] = stored["template"]
    shapedirs = np.empty((NUM_VERTICES, 3, NUM_BETAS), dtype=np.float32)
    directions = stored["shapedirs"] * stored["shapedirs_scale"]
    shapedirs[other] = directions * FLIP[:, None]
    shapedirs[half] = directions
    return {"v_template": template, "shapedirs": shapedirs, "posedirs": _decode_posedirs(stored, half, other)}


def _decode_posedirs(stored: Mapping[str, np.ndarray], half: np.ndarray, other: np.ndarray) -> np.ndarray:
    position = np.cumsum(stored["posedirs_gap"].astype(np.int64))
    vertex, axis, feature = np.unravel_index(position, (len(half), 3, NUM_POSE_FEATURES))
    value = (stored["posedirs"] * POSEDIRS_UNIT).astype(np.float32)
    posedirs = np.zeros((NUM_VERTICES, 3, NUM_POSE_FEATURES), dtype=np.float32)
    joint, entry = np.divmod(feature, 9)
    sign = (FLIP[axis] * np.outer(FLIP, FLIP).ravel()[entry]).astype(np.float32)
    mirrored_feature = 9 * (MIRRORED_JOINTS[joint + 1] - 1) + entry
    posedirs[other[vertex], axis, mirrored_feature] = value * sign
    posedirs[half[vertex], axis, feature] = value
    return posedirs


def check_symmetric(body: BodyArrays, mirror: np.ndarray, tolerance: float = 1e-5) -> None:
    """Raise ValueError if the model is not its own mirror image, which the format relies on."""
    pairs = {
        "v_template": (body.v_template, body.v_template[mirror] * FLIP),
        "shapedirs": (body.shapedirs, body.shapedirs[mirror] * FLIP[:, None]),
        "weights": (body.weights, body.weights[mirror][:, MIRRORED_JOINTS]),
    }
    for name, (array, mirrored) in pairs.items():
        error = float(np.abs(array - mirrored).max())
        if error > tolerance:
            raise ValueError(f"{body.name}: {name} is not mirror symmetric (off by {error:.1e})")
