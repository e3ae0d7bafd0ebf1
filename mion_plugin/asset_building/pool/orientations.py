"""Global orientations of the candidate pool, in the camera frame (x right, y down, z into the scene).

SMPL's rest pose stands along +y and faces +z, so an upright person who faces the camera has the global orientation
"half a turn about x", axis-angle (pi, 0, 0).
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from mion_plugin.asset_building.pool.clustering import kmeans_medoids
from mion_plugin.asset_building.pool.features import leans_to_one_side
from mion_plugin.asset_building.pool.rotations import rotmat_to_rotvec, rotvec_to_rotmat
from mion_plugin.body.mirroring import mirror_orientations
from mion_plugin.files.npz import npz_names, read_npy, read_npz
from mion_plugin.files.presence import require_file

DEFAULT_NUM_ORIENTATIONS = 30
_TILT = np.radians(30)
_KIND = "file of orientations"
_KEYS = ("global_orient", "root_orient", "orientations", "poses", "pose")
_X, _Y, _Z = np.eye(3)


def cover_orientations(num_orientations: int = DEFAULT_NUM_ORIENTATIONS) -> np.ndarray:
    """A fixed set of orientations for photographs of people, for when there is no data set to learn them from.

    Of 30: 12 upright, every 30 degrees of yaw, the first facing the camera; 6 each, every 60 degrees of yaw, tilted
    by 30 degrees towards and away from the camera (seen from above and below, or leaning); 4 lying on back or belly,
    seen from the side, head to the left or right; 2 upside down, from the front and from behind. Other numbers keep
    these shares: a fifth for each tilt, a fifth lying and upside down, the rest upright. The mirror image of every
    orientation is in the set.

    On CMU's motion capture, seen from all sides by cameras at 8 +- 15 degrees of elevation and +- 6 degrees of
    roll, the nearest of the 30 is 19.6 degrees away on average; 30 k-means medoids of these orientations themselves
    reach 17.9, 30 steps of yaw alone 23.9.

    Args:
        num_orientations: How many, at least 1.

    Returns:
        (num_orientations, 3) float32 axis-angle.

    Raises:
        ValueError: Fewer than 1.
    """
    if num_orientations < 1:
        raise ValueError(f"num_orientations is {num_orientations}, expected at least 1")
    num_tilted = num_special = num_orientations // 5
    num_lying = num_special // 3
    lying = _ring(num_lying, first_yaw=np.pi / 2, roll=np.pi / 2)
    rings = [
        _ring(num_orientations - 2 * num_tilted - num_special),
        _ring(num_tilted, tilt=_TILT),
        _ring(num_tilted, tilt=-_TILT),
        lying,
        mirror_orientations(lying),
        _ring(num_special - 2 * num_lying, roll=np.pi),
    ]
    return np.concatenate(rings).astype(np.float32)


def cluster_orientations(
    global_orient: np.ndarray, num_orientations: int, *, seed: int = 0, mirror: bool = True
) -> np.ndarray:
    """Orientations that stand for a data set's, by k-means over rotation matrices.

    The Euclidean distance of matrices is the chordal distance 2 sqrt(2) sin(angle / 2), free of axis-angle's jumps
    at pi. Each cluster gives its medoid, the member nearest to the mean. With mirroring, an orientation and its
    mirror image count as the same, half as many clusters are made, and the mirror images are added.

    Args:
        global_orient: (N, 3) axis-angle, camera frame.
        num_orientations: How many at most, mirror images included.
        seed: Seed of k-means.
        mirror: Add mirror images.

    Returns:
        (O, 3) float32 axis-angle; O is less than asked for when the data hold fewer, or when it is odd with mirroring.

    Raises:
        ValueError: No orientations, or ``num_orientations`` below 1 (2 with mirroring).
    """
    least = 2 if mirror else 1
    if num_orientations < least:
        raise ValueError(f"num_orientations is {num_orientations}, expected at least {least}")
    if len(global_orient) == 0:
        raise ValueError("no orientations to choose from")
    count = num_orientations // 2 if mirror else num_orientations
    if mirror:
        image = mirror_orientations(global_orient)
        flip = leans_to_one_side(_matrices(global_orient), _matrices(image))
        global_orient = np.where(flip[:, None], image, global_orient)
    # rounding away what float32 files cannot tell apart
    _, distinct = np.unique(_matrices(global_orient).round(4), axis=0, return_index=True)
    chosen = global_orient[np.sort(distinct)]
    if len(chosen) > count:
        chosen = chosen[kmeans_medoids(_matrices(chosen), count, seed)]
    if mirror:
        image = mirror_orientations(chosen)
        different = ~np.isclose(_matrices(image), _matrices(chosen), atol=1e-4).all(1)
        chosen = np.concatenate([chosen, image[different]])
    return chosen.astype(np.float32)


def load_orientations(path: str | os.PathLike[str]) -> np.ndarray:
    """Global orientations of a data set, from an array file.

    Args:
        path: ``.npy``, or ``.npz`` with a key ``global_orient``, ``root_orient``, ``orientations``, ``poses`` or
            ``pose``. The array: (N, 3) axis-angle, (N, 3, 3) matrices, or poses (N, J, 3) or (N, J * 3), whose first
            joint is taken.

    Returns:
        (N, 3) float64 axis-angle.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a readable array of orientations; the message names the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"orientations {path} do not exist")
    try:
        array = _read_array(path).astype(np.float64)
    except Exception as error:  # numpy and zipfile fail on damaged files in many ways
        raise ValueError(f"{path} is not a readable array of orientations: {error}") from error
    if array.ndim == 3 and array.shape[1:] == (3, 3):
        if not np.allclose(array @ array.swapaxes(1, 2), np.eye(3), atol=1e-3) or (np.linalg.det(array) < 0).any():
            raise ValueError(f"{path} holds matrices (N, 3, 3) that are no rotations")
        array = rotmat_to_rotvec(array)
    elif array.ndim == 3 and array.shape[2] == 3:
        array = array[:, 0]
    elif array.ndim == 2 and array.shape[1] % 3 == 0:
        array = array[:, :3]
    else:
        raise ValueError(f"{path} holds an array of shape {array.shape}, expected (N, 3), (N, 3, 3) or poses (N, J, 3)")
    if len(array) == 0 or not np.isfinite(array).all():
        raise ValueError(f"{path} holds no orientations, or NaN or infinite values")
    return array


def _ring(count: int, *, first_yaw: float = 0.0, tilt: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """``count`` equal steps of yaw (count, 3), then tilted towards the camera and rolled in the image."""
    yaw = first_yaw + 2 * np.pi * np.arange(count)[:, None] / max(count, 1)
    upright = rotvec_to_rotmat(np.pi * _X) @ rotvec_to_rotmat(yaw * _Y)
    return rotmat_to_rotvec(rotvec_to_rotmat(roll * _Z) @ rotvec_to_rotmat(tilt * _X) @ upright)


def _matrices(global_orient: np.ndarray) -> np.ndarray:
    """Flattened rotation matrices (N, 9)."""
    return rotvec_to_rotmat(global_orient).reshape(-1, 9)


def _read_array(path: Path) -> np.ndarray:
    require_file(path, _KIND)
    if not zipfile.is_zipfile(path):
        return read_npy(path, _KIND)
    names = npz_names(path, _KIND)
    key = next((key for key in _KEYS if key in names), None)
    if key is None:
        raise ValueError(f"none of the keys {', '.join(_KEYS)} among {', '.join(names) or 'none'}")
    return read_npz(path, _KIND, only=(key,))[key]
