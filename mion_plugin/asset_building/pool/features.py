"""Vectors whose distance is a distance of poses, of as many frames as are asked for at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import roma
import torch

from mion_plugin.asset_building.pool.smpl_skeleton import INDEX
from mion_plugin.body.arrays import SMPL_PARENTS
from mion_plugin.body.mirroring import mirror_poses

_NUM_FEATURE_JOINTS = 21  # SMPL's joints 1..21; the hands 22, 23 carry nothing in motion capture
# What a joint without children in the skeleton moves: how far head and toes reach beyond it, metres
_TIP_LENGTH = {"head": 0.2, "left_foot": 0.07, "right_foot": 0.07}
BLOCK = 16384  # frames whose features are held at once: 12 MB


def pose_features(body_pose: np.ndarray, smpl_joints: np.ndarray) -> np.ndarray:
    """Vectors whose Euclidean distance is a distance of poses in metres.

    The entries of the joints' rotation matrices, which have none of axis-angle's jumps at pi: their Euclidean
    distance is the chordal one, 2 sqrt(2) sin(angle / 2), smooth and monotone in the angle between two rotations.
    Each joint is weighted by what it moves: the root mean square, over the body's 24 joints, of the distance to it
    in rest pose (zero for joints that it does not move). So to first order the distance of two poses is the root
    mean square displacement of the body's joints.

    Args:
        body_pose: (N, 23, 3) axis-angle.
        smpl_joints: (24, 3) rest joints of the body model, metres.

    Returns:
        (N, 189) float32.
    """
    features = np.empty((len(body_pose), _NUM_FEATURE_JOINTS * 9), np.float32)
    weights = (_joint_reach(smpl_joints)[1 : _NUM_FEATURE_JOINTS + 1, None, None] / np.sqrt(2)).astype(np.float32)
    for start in range(0, len(body_pose), BLOCK):  # bounds the working memory
        rows = slice(start, start + BLOCK)
        poses = np.ascontiguousarray(body_pose[rows, :_NUM_FEATURE_JOINTS], dtype=np.float32)
        rotations = roma.rotvec_to_rotmat(torch.from_numpy(poses)).numpy() * weights
        features[rows] = rotations.reshape(len(rotations), -1)
    return features


def _joint_reach(smpl_joints: np.ndarray) -> np.ndarray:
    """Root mean square (24,) over all joints of their distance to a joint that moves them, metres."""
    squares = np.zeros(len(SMPL_PARENTS))
    for name, length in _TIP_LENGTH.items():
        squares[INDEX[name]] = length**2
    for joint in range(len(SMPL_PARENTS)):
        above = SMPL_PARENTS[joint]
        while above >= 0:
            squares[above] += ((smpl_joints[joint] - smpl_joints[above]) ** 2).sum()
            above = SMPL_PARENTS[above]
    return np.sqrt(squares / len(SMPL_PARENTS))


def leans_to_one_side(features: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Bool (N,) that is opposite for a pose and its mirror image, and alike for poses alike."""
    asymmetry = features - mirrored
    return asymmetry @ _main_direction(asymmetry.T @ asymmetry) < 0


def _main_direction(moments: np.ndarray) -> np.ndarray:
    """The direction (F,) along which vectors of these second moments (F, F) are longest."""
    return np.linalg.eigh(moments)[1][:, -1]


class FrameFeatures:
    """``pose_features`` of many frames, computed when they are asked for: those of all together may fill the memory.

    With mirroring, a pose and its mirror image are one thing: the features of a frame are those of whichever of the two
    leans to a fixed side of the body's main asymmetry.

    Args:
        body_pose: (N, 23, 3) axis-angle, of any floating type.
        smpl_joints: (24, 3) rest joints of the body model, metres.
        mirror: Count a pose and its mirror image as one.
    """

    def __init__(self, body_pose: np.ndarray, smpl_joints: np.ndarray, mirror: bool) -> None:
        self._body_pose = body_pose
        self._smpl_joints = smpl_joints
        self._flip = self._leaning() if mirror else None

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._body_pose)

    def blocks(self) -> Iterator[np.ndarray]:
        """The rows of all frames, in order, as many at a time as may be held."""
        return row_blocks(np.arange(len(self)))

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Features (R, 189) of frames."""
        return pose_features(self._poses(rows, flipped=True), self._smpl_joints)

    def pair(self, rows: np.ndarray) -> np.ndarray:
        """Features (1, R, 189) of frames or, with mirroring, (2, R, 189) of them and of their mirror images."""
        if self._flip is None:
            return self.of(rows)[None]
        poses = self._poses(rows, flipped=True)
        return np.stack([pose_features(poses, self._smpl_joints) for poses in (poses, mirror_poses(poses))])

    def _poses(self, rows: np.ndarray, flipped: bool) -> np.ndarray:
        poses = self._body_pose[rows].astype(np.float32)
        if flipped and self._flip is not None:
            flip = self._flip[rows]
            poses[flip] = mirror_poses(poses[flip])
        return poses

    def _asymmetry(self, rows: np.ndarray) -> np.ndarray:
        """Features of frames less those of their mirror images."""
        poses = self._poses(rows, flipped=False)
        return pose_features(poses, self._smpl_joints) - pose_features(mirror_poses(poses), self._smpl_joints)

    def _leaning(self) -> np.ndarray:
        """Bool (N,), ``leans_to_one_side`` of all frames, in two passes."""
        size = _NUM_FEATURE_JOINTS * 9
        moments = np.zeros((size, size), np.float32)
        for rows in self.blocks():
            asymmetry = self._asymmetry(rows)
            moments += asymmetry.T @ asymmetry
        direction = _main_direction(moments)
        return np.concatenate([self._asymmetry(rows) @ direction < 0 for rows in self.blocks()])


def row_blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    """``rows``, in order, as many at a time as may be held."""
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]
