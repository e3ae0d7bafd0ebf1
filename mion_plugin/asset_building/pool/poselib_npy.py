"""Reading IsaacGym's poselib motions (``SkeletonMotion`` saved as ``.npy``)."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.asset_building.pool.motion import Motion, global_rotations
from mion_plugin.asset_building.pool.rotations import quat_to_rotmat
from mion_plugin.files import RestrictedUnpickler


def read_poselib_npy(path: str | os.PathLike[str], name: str | None = None) -> Motion:
    """Read a ``SkeletonMotion``: local rotations as quaternions x, y, z, w.

    The file is a pickle inside a ``.npy``; it is read without running anything of it.

    Args:
        path: The file.
        name: Name of the motion; the path when left out.

    Raises:
        UnsafePickleError: The pickle holds more than arrays and containers.
        ValueError: Not a motion with local rotations, or damaged.
    """
    content = _read_pickled_npy(Path(path))
    if not isinstance(content, dict) or content.get("__name__") != "SkeletonMotion":
        kind = content.get("__name__") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"pickled {kind}, expected a poselib SkeletonMotion")
    if not content.get("is_local", False):
        raise ValueError("poselib motion with global rotations, expected local ones")
    tree = content["skeleton_tree"]
    parents = np.asarray(tree["parent_indices"]["arr"], np.int64)
    offsets = np.asarray(tree["local_translation"]["arr"], np.float64)
    rotations = global_rotations(parents, quat_to_rotmat(np.asarray(content["rotation"]["arr"])))
    return Motion(
        name=name or str(path),
        joint_names=tuple(str(joint) for joint in tree["node_names"]),
        parents=parents,
        offsets=np.where(parents[:, None] < 0, 0.0, offsets),
        rotations=rotations,
        rest_rotations=np.broadcast_to(np.eye(3), (1, *rotations.shape[1:])),
        fps=float(content["fps"]),
    )


def _read_pickled_npy(path: Path) -> Any:
    """The single object in a ``.npy`` file of objects."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read_header:
            raise ValueError(f".npy format version {version} is not supported")
        shape, _, dtype = read_header[version](file)
        if shape != () or not dtype.hasobject:
            raise ValueError(f"array of shape {shape} and type {dtype}, expected one pickled object")
        try:
            # an ordered dictionary is admitted as the plain one that it is equal to
            content = RestrictedUnpickler(file, {("collections", "OrderedDict"): _plain_dict}).load()
        except (pickle.UnpicklingError, EOFError) as error:
            raise ValueError(f"damaged or unsafe pickle: {error}") from error
    return content.item() if isinstance(content, np.ndarray) and content.shape == () else content


def _plain_dict(items: Any = ()) -> dict[Any, Any]:
    return dict(items)
