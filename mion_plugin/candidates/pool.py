"""The candidate pool: body poses times global orientations, and the 3D keypoints that are fitted to an image."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mion_plugin.body.fingerprint import BodyFingerprint
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.body.stand_in import stand_in_fingerprints
from mion_plugin.files.npz import one_line, read_npz, write_npz
from mion_plugin.geometry.keypoints import keypoint_names

DEFAULT_POOL = Path(__file__).parent / "data" / "default_pool.npz"
_BODY_JOINTS = 23
_FORMAT_VERSION = 1
_FINGERPRINT = "body_fingerprint"  # key of the metadata
# array -> kinds of numbers that a file may hold, and what they become
_KINDS = {
    **dict.fromkeys(("body_pose", "global_orient", "keypoints3d", "root_offset"), ("fiu", np.float32)),
    "clip_index": ("iu", np.int32),
}


@dataclass(frozen=True)
class CandidatePool:
    """P poses x O orientations (paper 3.1: 10,000 x 30).

    Attributes:
        body_pose: (P, 23, 3) float32 axis-angle of SMPL's joints 1..23.
        global_orient: (O, 3) float32 axis-angle, camera frame (x right, y down, z into the scene).
        keypoints3d: (P, K, 3) float32 metres relative to the pelvis joint, mean shape, identity global orientation.
        convention: Order of the K keypoints.
        root_offset: (3,) float32 pelvis joint of the unposed body: where ``global_orient`` turns the body about.
        clip_index: (P,) int32 index into ``metadata['clips']`` of the recording that a pose was seen in, or -1.
        metadata: Where the poses came from: sources, clips, command; the body model by name (``body``) and as
            ``BodyFingerprint`` (``body_fingerprint``).
    """

    body_pose: np.ndarray
    global_orient: np.ndarray
    keypoints3d: np.ndarray
    convention: str
    root_offset: np.ndarray
    clip_index: np.ndarray | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the shapes against each other; raises ValueError naming the array and what was expected."""
        num_poses, num_keypoints = len(self.body_pose), len(keypoint_names(self.convention))
        expected = {
            "body_pose": (num_poses, _BODY_JOINTS, 3),
            "global_orient": (len(self.global_orient), 3),
            "keypoints3d": (num_poses, num_keypoints, 3),
            "root_offset": (3,),
            "clip_index": (num_poses,),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if name == "clip_index" and array is None:
                continue
            if array.shape != shape:
                raise ValueError(f"candidate pool: {name} has shape {array.shape}, expected {shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"candidate pool: {name} holds NaN or infinite values")
        if num_poses == 0 or len(self.global_orient) == 0:
            raise ValueError("candidate pool: holds no pose or no orientation")

    def __len__(self) -> int:
        """Number of candidates, P x O."""
        return len(self.body_pose) * len(self.global_orient)

    @property
    def body_fingerprint(self) -> BodyFingerprint | None:
        """The body that the keypoints were computed with; None for a pool of an older version that does not tell.

        Older pools tell the body's name alone; that of the free stand-in will do.

        Raises:
            ValueError: The metadata hold something else there.
        """
        record, name = self.metadata.get(_FINGERPRINT), self.metadata.get("body")
        if record is not None:
            return BodyFingerprint.from_record(record, "the candidate pool")
        return stand_in_fingerprints().get(name) if isinstance(name, str) else None


def make_pool(
    body_pose: np.ndarray,
    global_orient: np.ndarray,
    *,
    body: SMPLBody | None = None,
    convention: str = "coco",
    clip_index: np.ndarray | None = None,
    metadata: dict[str, Any] | None = None,
) -> CandidatePool:
    """A pool from poses and orientations: computes the keypoints.

    The poses are rounded to half precision first (a thousandth of a radian), so that a pool that was saved and loaded
    has exactly the keypoints of its poses.

    Args:
        body_pose: (P, 23, 3) axis-angle.
        global_orient: (O, 3) axis-angle, camera frame.
        body: Body model; None for the free stand-in.
        convention: Order of the keypoints.
        clip_index: See ``CandidatePool``.
        metadata: See ``CandidatePool``.
    """
    body = body or SMPLBody()
    body_pose = np.asarray(body_pose, np.float16).astype(np.float32)
    keypoints3d, root_offset = pool_keypoints(body, body_pose, convention)
    return CandidatePool(
        body_pose=body_pose,
        global_orient=np.asarray(global_orient, np.float32),
        keypoints3d=keypoints3d,
        convention=convention,
        root_offset=root_offset,
        clip_index=None if clip_index is None else np.asarray(clip_index, np.int32),
        metadata={**(metadata or {}), "body": body.arrays.name, _FINGERPRINT: body.fingerprint.record()},
    )


@torch.no_grad()
def pool_keypoints(body: SMPLBody, body_pose: np.ndarray, convention: str) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints of poses on the mean shape.

    Args:
        body: Body model.
        body_pose: (P, 23, 3) axis-angle.
        convention: Order of the keypoints.

    Returns:
        ``(keypoints3d, root_offset)``: (P, K, 3) metres relative to the pelvis joint, and that joint (3,).
    """
    device = body.v_template.device
    pelvis = body.pose_keypoints(torch.zeros(1, 24, 3, device=device), convention="smpl")[0, 0]
    chunks = []
    for chunk in torch.from_numpy(np.ascontiguousarray(body_pose, np.float32)).split(1024):  # bounds the memory
        pose = torch.cat([chunk.new_zeros(len(chunk), 1, 3), chunk], dim=1).to(device)
        chunks.append((body.pose_keypoints(pose, convention=convention) - pelvis).cpu().numpy())
    return np.concatenate(chunks), pelvis.cpu().numpy()


def save_pool(pool: CandidatePool, path: str | os.PathLike[str]) -> None:
    """Write a pool as ``.npz`` (no pickled objects), whole or not at all; poses in half precision."""
    arrays: dict[str, Any] = {
        "format_version": np.array(_FORMAT_VERSION),
        "body_pose": pool.body_pose.astype(np.float16),
        "global_orient": pool.global_orient,
        "keypoints3d": pool.keypoints3d,
        "convention": np.array(pool.convention),
        "root_offset": pool.root_offset,
        "metadata": np.array(json.dumps(pool.metadata)),
    }
    if pool.clip_index is not None:
        arrays["clip_index"] = pool.clip_index
    write_npz(path, arrays)


def load_pool(path: str | os.PathLike[str]) -> CandidatePool:
    """Read a pool.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a readable pool; the message names the file and what is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"candidate pool {path} does not exist; build one with tools/build_candidate_pool.py, or leave the path "
            "out for the one that comes with the package"
        )
    arrays = read_npz(path, "candidate pool")
    try:
        version = int(arrays.pop("format_version"))
        if version != _FORMAT_VERSION:
            raise ValueError(f"format version {version}, this release reads {_FORMAT_VERSION}")
        arrays["convention"] = str(arrays["convention"])
        arrays["metadata"] = json.loads(str(arrays["metadata"]))
        if not isinstance(arrays["metadata"], dict):
            raise ValueError("metadata is no JSON object")
        return CandidatePool(**{name: _in_native_type(name, value) for name, value in arrays.items()})
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} is not a readable candidate pool: {one_line(error)}") from error


def _in_native_type(name: str, value: Any) -> Any:
    """Arrays as ``CandidatePool`` has them, whatever size and order of bytes the file has."""
    if name not in _KINDS:
        return value
    kinds, dtype = _KINDS[name]
    if value.dtype.kind not in kinds:
        raise ValueError(f"{name} holds {value.dtype}, expected numbers")
    with np.errstate(over="ignore"):  # infinite numbers are reported next
        return value.astype(dtype)


@cache
def load_default_pool() -> CandidatePool:
    """The pool that comes with the package, made from CMU motion capture for the free stand-in body."""
    return load_pool(DEFAULT_POOL)
