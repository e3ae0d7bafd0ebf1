"""What the mesh refinement transformer is told about candidates: everything before its first weight."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.precision import full_precision


@dataclass(frozen=True)
class EncodedCandidates:
    """N candidates for each of B images, mean shape, float32, without gradient.

    Attributes:
        rotations: (B, N, 24, 3, 3).
        transl: (B, N, 3) metres.
        pelvis: (B, N, 3) metres, camera frame.
        joints2d: (B, N, 24, 2) projected SMPL joints in normalised crop coordinates; see ``CropCamera``.
        pncc: (B, N, 3, h, w) PNCC images at the resolution of the neck's output.
        evidence: (B, N, K, 5) of ``keypoint_evidence``; None for queries that read no keypoints.
    """

    rotations: Tensor
    transl: Tensor
    pelvis: Tensor
    joints2d: Tensor
    pncc: Tensor
    evidence: Tensor | None = None


@torch.no_grad()
def candidate_joints(candidates: Bodies, body: SMPLBody) -> Tensor:
    """SMPL's joints (B, N, 24, 3) of candidates with the mean shape, camera frame, metres."""
    with full_precision(candidates.transl):
        return body.pose_keypoints(candidates.rotations.float(), transl=candidates.transl.float(), convention="smpl")


@torch.no_grad()
def keypoint_evidence(
    keypoints2d: Tensor, convention: str, candidates: Bodies, body: SMPLBody, camera: CropCamera
) -> Tensor:
    """Where the keypoints are, and how far the candidates' own are from there.

    Args:
        keypoints2d: (B, K, 3) x, y in crop pixels and confidence; 0 is absent, whatever the coordinates.
        convention: Their order.
        candidates: (B, N), taken with the mean shape.
        body: The body model.
        camera: The crop's camera.

    Returns:
        (B, N, K, 5): x, y of the keypoint minus the candidate's, x, y of the keypoint, confidence; normalised crop
        coordinates; zeros where a keypoint is absent.
    """
    with full_precision(keypoints2d):
        rotations, transl = candidates.rotations.float(), candidates.transl.float()
        points = body.pose_keypoints(rotations, transl=transl, convention=convention)
        confidence = keypoints2d[:, None, :, 2:].float().expand(*points.shape[:-1], 1)
        place = camera.normalize(keypoints2d[:, None, :, :2].float()).expand(*points.shape[:-1], 2)
        evidence = torch.cat([place - camera.project_normalized(points), place, confidence], dim=-1)
        return torch.where(confidence > 0, evidence, 0.0)  # absent ones may be NaN
