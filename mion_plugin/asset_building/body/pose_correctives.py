"""Sparse pose correctives that bring linear skinning near dual-quaternion skinning.

SMPL's ``posedirs`` add to each rest vertex a linear function of the entries of R - I of every joint. Real ones are
learnt from scans; here they are fitted, joint by joint, so that the linearly skinned vertex lies where dual-quaternion
skinning with the same weights would put it. That keeps the girth of bent elbows and twisted wrists without any data.
Small entries are dropped: the file stays small and the error is below the threshold times the rotation.
"""

from __future__ import annotations

import numpy as np
import roma
import torch

from mion_plugin.asset_building.body.dual_quaternions import blend_rotations
from mion_plugin.asset_building.body.skeleton import JOINTS, PARENTS, mirror_joints

SAMPLES = 120
LARGEST_ANGLE = 1.9  # radians; beyond it linear skinning degenerates and would dominate the fit
RIDGE = 1e-3
SHRINK = 0.9  # neighbouring joints' corrections add up when both move; stay a little on the side of too little
# Dual quaternions bulge the armpit of a raised arm, linear skinning pinches that of a lowered one: half-way suits both.
SHRINK_OF = {"left_shoulder": 0.5}
THRESHOLD = 2e-4  # metres
# Spread of the sampled rotations, radians, for joints that move more than the trunk's.
ROTATION_SPREAD = {
    "left_hip": 0.8, "left_knee": 1.0, "left_shoulder": 0.8, "left_elbow": 1.0, "left_wrist": 0.6,
    "neck": 0.4, "head": 0.4,
}  # fmt: skip
TRUNK_SPREAD = 0.35


def fit_pose_correctives(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, mirror: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(v, 3, 207) float32 correctives, mirror symmetric.

    Args:
        vertices: (v, 3) rest shape.
        joints: (24, 3) its joints.
        weights: (v, 24) skinning weights.
        mirror: (v,) vertex on the other side.
        rng: Draws the sampled rotations.
    """
    correctives = np.zeros((len(vertices), 3, len(JOINTS) - 1, 9))
    for joint, name in enumerate(JOINTS):
        if joint == 0 or name.startswith("right_"):
            continue
        moved = weights[:, descendants(joint)].sum(axis=1)
        seam = np.flatnonzero((moved > 1e-3) & (moved < 1.0 - 1e-3))
        spread = ROTATION_SPREAD.get(name, TRUNK_SPREAD)
        rotations = sample_rotations(SAMPLES, spread, rng)
        shrink = SHRINK_OF.get(name, SHRINK)
        correctives[seam, :, joint - 1] = shrink * fit_joint(vertices[seam], joints[joint], moved[seam], rotations)
    correctives[np.abs(correctives) < THRESHOLD] = 0.0
    return make_symmetric(correctives, mirror).reshape(len(vertices), 3, -1).astype(np.float32)


def descendants(joint: int) -> list[int]:
    """The joint and all that hang on it."""
    found = [joint]
    for child in range(joint + 1, len(PARENTS)):
        if PARENTS[child] in found:
            found.append(child)
    return found


def sample_rotations(count: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """(count, 3, 3) rotations with normal rotation vectors, capped in angle."""
    vectors = rng.normal(scale=spread, size=(count, 3))
    angle = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors *= np.minimum(1.0, LARGEST_ANGLE / np.maximum(angle, 1e-9))
    return roma.rotvec_to_rotmat(torch.from_numpy(vectors)).numpy()


def fit_joint(vertices: np.ndarray, centre: np.ndarray, moved: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """(v, 3, 9) correctives of one joint by ridge regression in posed space.

    Args:
        vertices: (v, 3) rest positions of the skin at the joint.
        centre: (3,) the joint.
        moved: (v,) share of the weight that moves with the joint.
        rotations: (s, 3, 3) sampled rotations.
    """
    size = len(vertices)
    normal = np.zeros((size, 9, 3, 9, 3))
    right = np.zeros((size, 9, 3))
    weights = np.stack([1.0 - moved, moved], axis=1)
    for rotation in rotations:
        shift = centre - rotation @ centre
        turn, shift_map = blend_rotations(weights, np.stack([np.eye(3), rotation]))
        wanted = np.einsum("vij,vj->vi", turn, vertices) + shift_map[:, 1] @ shift
        linear = weights[:, :1, None] * np.eye(3) + weights[:, 1:, None] * rotation
        missing = wanted - np.einsum("vij,vj->vi", linear, vertices) - weights[:, 1:] * shift
        feature = (rotation - np.eye(3)).ravel()
        gram = np.einsum("vki,vkj->vij", linear, linear)
        normal += feature[:, None, None, None] * feature[None, None, :, None] * gram[:, None, :, None, :]
        right += feature[:, None] * np.einsum("vki,vk->vi", linear, missing)[:, None, :]
    system = normal.reshape(size, 27, 27) + RIDGE * len(rotations) * np.eye(27)
    solution = np.linalg.solve(system, right.reshape(size, 27, 1))
    return solution.reshape(size, 9, 3).transpose(0, 2, 1)


def make_symmetric(correctives: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Give the right joints the left ones' mirror image and make the trunk's symmetric; (v, 3, 23, 9)."""
    flip = np.array([-1.0, 1.0, 1.0])
    entry = np.outer(flip, flip).ravel()
    mirrored = correctives[mirror][:, :, mirror_joints()[1:] - 1] * flip[:, None, None] * entry
    result = correctives.copy()
    for joint, name in enumerate(JOINTS[1:]):
        if name.startswith("right_"):
            result[:, :, joint] = mirrored[:, :, joint]
        elif not name.startswith("left_"):
            result[:, :, joint] = 0.5 * (correctives[:, :, joint] + mirrored[:, :, joint])
    return result
