"""The depths of a person's keypoints relative to the middle of the hips."""

from __future__ import annotations

from functools import cache

from torch import Tensor

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.geometry.precision import full_precision

# the hips that people annotate come first; conventions of the body model's joints alone have the others
_HIPS = ("hip_extra", "hip", "hip_openpose")


@cache
def hip_indices(convention: str) -> tuple[int, int]:
    """Where the left and right hip stand in a keypoint convention.

    Raises:
        ValueError: An unknown convention, or one without both hips.
    """
    names = keypoint_names(convention)
    for hip in _HIPS:
        sides = (f"left_{hip}", f"right_{hip}")
        if all(side in names for side in sides):
            return names.index(sides[0]), names.index(sides[1])
    raise ValueError(f"convention is {convention!r}, which has no hips, expected one with both")


def relative_depths(depths: Tensor, convention: str) -> Tensor:
    """Depths (..., K) in metres, relative to the mean of those of both hips.

    Args:
        depths: (..., K) metres, z into the scene, any origin.
        convention: The order of the keypoints.
    """
    return depths - depths[..., list(hip_indices(convention))].mean(dim=-1, keepdim=True)


def body_depths(body: SMPLBody, pose: Tensor, betas: Tensor, convention: str) -> Tensor:
    """Depths (..., K) in metres of a body's own keypoints relative to the middle of its hips; z into the scene.

    Where the body stands makes no difference, so no translation is taken: at 45 m it would cost micrometres.

    Args:
        body: The body model.
        pose: (..., 24, 3) axis-angle or (..., 24, 3, 3) matrices, in the camera frame.
        betas: (..., 10).
        convention: Which keypoints.
    """
    with full_precision(pose):
        return relative_depths(body.pose_keypoints(pose, betas, convention=convention)[..., 2], convention)
