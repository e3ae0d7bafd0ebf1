"""A small pool of stick figures, and keypoints that they explain."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from mion_plugin.candidates import CandidatePool

_UPRIGHT = np.array([  # COCO order, metres, y up
    [0.0, 0.6, 0.1], [0.03, 0.65, 0.08], [-0.03, 0.65, 0.08], [0.07, 0.62, 0.0], [-0.07, 0.62, 0.0],
    [0.17, 0.45, 0.0], [-0.17, 0.45, 0.0], [0.4, 0.4, 0.0], [-0.4, 0.4, 0.0], [0.6, 0.4, 0.0], [-0.6, 0.4, 0.0],
    [0.1, -0.05, 0.0], [-0.1, -0.05, 0.0], [0.1, -0.45, 0.0], [-0.1, -0.45, 0.0], [0.1, -0.85, 0.0], [-0.1, -0.85, 0.0],
])  # fmt: skip
_MOBILITY = np.array([0.03] * 5 + [0.05] * 2 + [0.12] * 2 + [0.25] * 2 + [0.04] * 2 + [0.12] * 2 + [0.25] * 2)


def make_stick_pool(num_poses=60, num_orientations=12, seed=0):
    rng = np.random.default_rng(seed)
    keypoints3d = _UPRIGHT + rng.normal(size=(num_poses, 17, 3)) * _MOBILITY[:, None]
    yaw = np.linspace(0, 2 * np.pi, num_orientations, endpoint=False)
    tilt = rng.normal(size=(num_orientations, 3)) * 0.2
    turned = Rotation.from_rotvec(tilt) * Rotation.from_euler("x", np.pi) * Rotation.from_euler("y", yaw[:, None])
    return CandidatePool(
        body_pose=rng.normal(scale=0.3, size=(num_poses, 23, 3)).astype(np.float32),
        global_orient=turned.as_rotvec().astype(np.float32),
        keypoints3d=keypoints3d.astype(np.float32),
        convention="coco",
        root_offset=np.array([0.0, -0.2, 0.03], np.float32),
    )


def make_keypoints(pool, num_samples, seed=1, noise=8.0, depth=(30.0, 90.0)):
    """(B, 17, 3) keypoints of random candidates of the pool, moved, blurred, with random confidences."""
    rng = np.random.default_rng(seed)
    pose = rng.integers(len(pool.body_pose), size=num_samples)
    rotation = Rotation.from_rotvec(pool.global_orient[rng.integers(len(pool.global_orient), size=num_samples)])
    joints = np.einsum("bij,bkj->bki", rotation.as_matrix(), pool.keypoints3d[pose])
    transl = np.stack([*rng.normal(scale=0.4, size=(2, num_samples)), rng.uniform(*depth, size=num_samples)], axis=1)
    joints = joints + transl[:, None]
    pixels = 5000.0 * joints[..., :2] / joints[..., 2:] + 112.0 + rng.normal(scale=noise, size=(num_samples, 17, 2))
    confidence = rng.uniform(0.3, 1.0, size=(num_samples, 17, 1)) * (rng.random((num_samples, 17, 1)) < 0.85)
    return torch.from_numpy(np.concatenate([pixels, confidence], axis=-1))
