"""The joints that are scored, and errors of one sample after the other."""

from __future__ import annotations

import numpy as np
import torch

from mion_plugin.evaluation import mpjpe, pa_mpjpe, root_aligned
from mion_plugin.geometry.keypoints import keypoint_names

FIRST = 5  # of COCO's 17: shoulders, elbows, wrists, hips, knees and ankles follow the face
NAMES = keypoint_names("coco")[FIRST:]
HIPS = [index for index, name in enumerate(NAMES) if "hip" in name]  # their middle is the root
MILLIMETRES = 1000.0
ERRORS = ("MPJPE", "PA-MPJPE", "in the plane", "in depth")  # of ``joint_errors``


def scored(points: np.ndarray) -> np.ndarray:
    """The twelve scored joints (..., 12, 3) of COCO keypoints (..., 17, 3), relative to the middle of the hips."""
    joints = points[..., FIRST:, :]
    return root_aligned(torch.from_numpy(joints), torch.from_numpy(joints[..., HIPS, :].mean(axis=-2))).numpy()


def joint_errors(predicted: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Errors (...) in millimetres of root-aligned joints (..., 12, 3), which broadcast against each other.

    ``in the plane`` and ``in depth`` are the two parts of the distance: mean length of the error's x and y, mean size
    of its z.
    """
    difference = MILLIMETRES * (predicted - truth)
    pair = torch.from_numpy(predicted), torch.from_numpy(np.ascontiguousarray(truth))
    return {
        "MPJPE": mpjpe(*pair).numpy(),
        "PA-MPJPE": pa_mpjpe(*pair).numpy(),
        "in the plane": np.linalg.norm(difference[..., :2], axis=-1).mean(axis=-1),
        "in depth": np.abs(difference[..., 2]).mean(axis=-1),
    }
