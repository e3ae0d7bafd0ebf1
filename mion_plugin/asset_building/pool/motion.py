"""What readers return: a motion of some skeleton, or a sequence of SMPL poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

NUM_SMPL_JOINTS = 24


@dataclass(frozen=True)
class Motion:
    """A recording of one person on a skeleton of rigid bones, as its file has it.

    Where the person stands is left out: positions are relative to the skeleton's root.

    Attributes:
        name: Where it came from; used in messages and as the clip's name.
        joint_names: J names. A parent comes before its children.
        parents: (J,) int64, -1 for the root.
        offsets: (J, 3) position of each joint in its parent's frame, in the file's unit of length; root zero.
        rotations: (T, J, 3, 3) rotation of each joint's frame into the file's world frame.
        rest_rotations: (C, J, 3, 3) the same for C poses in which the person may stand straight, likeliest first
            (the pose of all-zero angles, a T-pose stored beside the motion).
        fps: Frames per second, None when the file does not tell.
    """

    name: str
    joint_names: tuple[str, ...]
    parents: np.ndarray
    offsets: np.ndarray
    rotations: np.ndarray
    rest_rotations: np.ndarray
    fps: float | None = None

    def __post_init__(self) -> None:
        """Check shapes and values; raises ValueError naming the motion and the array."""
        num_joints = len(self.joint_names)
        if self.rotations.ndim != 4 or len(self.rotations) == 0:
            raise ValueError(f"{self.name}: no frames (rotations of shape {self.rotations.shape})")
        expected = {
            "parents": (num_joints,),
            "offsets": (num_joints, 3),
            "rotations": (len(self.rotations), num_joints, 3, 3),
            "rest_rotations": (len(self.rest_rotations), num_joints, 3, 3),
        }
        for field, shape in expected.items():
            array = getattr(self, field)
            if array.shape != shape:
                raise ValueError(f"{self.name}: {field} has shape {array.shape}, expected {shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{self.name}: {field} holds NaN or infinite values")
        if any(parent >= joint for joint, parent in enumerate(self.parents)):
            raise ValueError(f"{self.name}: a joint stands before its parent")

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.rotations)

    def positions(self) -> np.ndarray:
        """Joint positions (T, J, 3) in the file's world frame and unit, relative to the root."""
        return joint_positions(self.parents, self.offsets, self.rotations)

    def at_fps(self, fps: float) -> Motion:
        """Every n-th frame, so that about ``fps`` frames a second remain; all when the rate is unknown or lower."""
        rotations = self.rotations[:: frame_step(self.fps, fps)].copy()  # a view would keep all of them in memory
        return replace(self, rotations=rotations, fps=reduced_fps(self.fps, fps))


@dataclass(frozen=True)
class PoseSequence:
    """SMPL poses of one recording.

    Attributes:
        name: Where they came from.
        poses: (T, 24, 3) float32 axis-angle, index 0 the global orientation (whatever world frame the source has),
            hands (22, 23) zero unless the source has them.
        fps: Frames per second, None for single poses.
    """

    name: str
    poses: np.ndarray
    fps: float | None = None

    def __post_init__(self) -> None:
        """Check shape and values; raises ValueError naming the sequence."""
        if self.poses.ndim != 3 or self.poses.shape[1:] != (NUM_SMPL_JOINTS, 3) or len(self.poses) == 0:
            raise ValueError(f"{self.name}: poses have shape {self.poses.shape}, expected (T, 24, 3) with T > 0")
        if not np.isfinite(self.poses).all():
            raise ValueError(f"{self.name}: poses hold NaN or infinite values")

    def __len__(self) -> int:
        """Number of poses."""
        return len(self.poses)

    def at_fps(self, fps: float) -> PoseSequence:
        """Every n-th pose, so that about ``fps`` a second remain; all when the rate is unknown or lower."""
        poses = self.poses[:: frame_step(self.fps, fps)].copy()  # a view would keep all of them in memory
        return replace(self, poses=poses, fps=reduced_fps(self.fps, fps))


def frame_step(source_fps: float | None, fps: float) -> int:
    """How many frames to move on at a time to get from ``source_fps`` to about ``fps``; at least 1."""
    return 1 if source_fps is None else max(1, round(source_fps / fps))


def reduced_fps(source_fps: float | None, fps: float) -> float | None:
    """The rate that ``frame_step`` leads to."""
    return None if source_fps is None else source_fps / frame_step(source_fps, fps)


def global_rotations(parents: Sequence[int] | np.ndarray, local: np.ndarray) -> np.ndarray:
    """Chain rotations relative to the parent (..., J, 3, 3) to rotations into the world."""
    chained = np.empty_like(local)
    for joint, parent in enumerate(parents):
        chained[..., joint, :, :] = (
            local[..., joint, :, :] if parent < 0 else chained[..., parent, :, :] @ local[..., joint, :, :]
        )
    return chained


def local_rotations(parents: Sequence[int] | np.ndarray, world: np.ndarray) -> np.ndarray:
    """The inverse of ``global_rotations``."""
    local = world.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            local[..., joint, :, :] = np.swapaxes(world[..., parent, :, :], -1, -2) @ world[..., joint, :, :]
    return local


def joint_positions(parents: Sequence[int] | np.ndarray, offsets: np.ndarray, world: np.ndarray) -> np.ndarray:
    """Forward kinematics.

    Args:
        parents: (J,) parent of each joint, -1 for the root.
        offsets: (J, 3) position of each joint in its parent's frame.
        world: (..., J, 3, 3) rotation of each joint's frame into the world.

    Returns:
        (..., J, 3) positions relative to the root.
    """
    positions = np.zeros(world.shape[:-1])
    for joint, parent in enumerate(parents):
        if parent >= 0:
            positions[..., joint, :] = positions[..., parent, :] + world[..., parent, :, :] @ offsets[joint]
    return positions
