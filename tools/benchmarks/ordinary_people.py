"""People as photographs show them most: standing upright, walking, sitting. Their poses are from no pool."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.camera import FOCAL_LENGTH, project
from mion_plugin.geometry.rotations import rotvec_to_rotmat

CENTRE = (112.0, 112.0)
DEPTH = 45.0  # m; a standing body then takes 190 of the 224 pixels
_WOBBLE = 0.08  # rad, standard deviation of what is added to every joint: no two people stand alike
_TILT = 0.1  # rad, standard deviation of the camera's tilt
# SMPL's joints, as rows of a pose; the body looks along z, y is up, its left arm is stretched along x.
_HIPS, _KNEES, _SHOULDERS, _ELBOWS = (1, 2), (4, 5), (16, 17), (18, 19)
# Who is how sure of the keypoints: annotators; a detector; a detector that knows nothing of some.
CONFIDENCES: dict[str, tuple[float, float]] = {"1": (1.0, 1.0), "0.3 to 1": (0.3, 1.0), "0 to 1": (0.0, 1.0)}


def upright(phase: Tensor) -> Tensor:
    """(n, 24, 3) axis-angle of people who stand, arms down."""
    pose = torch.zeros(len(phase), 24, 3)
    pose[:, _SHOULDERS, 2] = torch.tensor([-1.2, 1.2])
    return pose


def walking(phase: Tensor) -> Tensor:
    """(n, 24, 3) axis-angle of people at phases (n,) of a stride, arms against the legs."""
    pose = upright(phase)
    swing = phase.sin()[:, None] * torch.tensor([1.0, -1.0])
    pose[:, _HIPS, 0] = 0.45 * swing
    pose[:, _KNEES, 0] = 0.2 + 0.4 * swing.clamp(min=0.0)  # the leg behind is bent
    pose[:, _SHOULDERS, 1] = 0.5 * phase.sin()[:, None]
    return pose


def sitting(phase: Tensor) -> Tensor:
    """(n, 24, 3) axis-angle of people on a chair, hands before them."""
    pose = upright(phase)
    pose[:, _HIPS, 0] = -1.4
    pose[:, _KNEES, 0] = 1.4
    pose[:, _ELBOWS, 1] = torch.tensor([-0.9, 0.9])
    return pose


PEOPLE: dict[str, Callable[[Tensor], Tensor]] = {"upright": upright, "walking": walking, "sitting": sitting}


@torch.no_grad()
def ordinary_keypoints(
    kind: str, confidence: str, count: int, seed: int = 1, noise: float = 2.0, body: SMPLBody | None = None
) -> Tensor:
    """(n, 17, 3) keypoints of ordinary people seen from any side, on a crop of 224 pixels.

    Args:
        kind: Of ``PEOPLE``.
        confidence: Of ``CONFIDENCES``; the confidences are drawn evenly from that range.
        count: n.
        seed: Of all that is drawn.
        noise: Standard deviation in pixels of what is added to the keypoints.
        body: None for the stand-in; the shape is the mean.
    """
    generator = torch.Generator().manual_seed(seed)
    pose = PEOPLE[kind](2.0 * torch.pi * torch.rand(count, generator=generator))
    pose = pose + _WOBBLE * torch.randn(pose.shape, generator=generator)
    turn = torch.zeros(3, count, 3)  # tilt of the camera, SMPL's y axis pointing down in it, and where they look
    turn[0] = _TILT * torch.randn(count, 3, generator=generator)
    turn[1, :, 0] = torch.pi
    turn[2, :, 1] = 2.0 * torch.pi * torch.rand(count, generator=generator)
    tilt, upside, yaw = rotvec_to_rotmat(turn)
    rotations = rotvec_to_rotmat(pose)
    rotations[:, 0] = tilt @ upside @ yaw
    joints = (body or SMPLBody()).pose_keypoints(rotations, convention="coco")
    pixels = project(joints + torch.tensor([0.0, 0.0, DEPTH]), FOCAL_LENGTH, CENTRE)
    pixels = pixels + noise * torch.randn(pixels.shape, generator=generator)
    low, high = CONFIDENCES[confidence]
    known = low + (high - low) * torch.rand(count, pixels.shape[1], 1, generator=generator)
    return torch.cat([pixels, known], dim=-1)
