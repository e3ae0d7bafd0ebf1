"""What the mesh refinement transformer is told about candidates: everything before its first weight."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.keypoints import is_present
from mion_plugin.geometry.precision import full_precision

_HALF_CERTAIN = 0.1  # metres, an error of depth that halves how certain it is


@dataclass(frozen=True)
class EncodedCandidates:
    """N candidates for each of B images, mean shape, float32, without gradient.

    Attributes:
        rotations: (B, N, 24, 3, 3).
        transl: (B, N, 3) metres.
        pelvis: (B, N, 3) metres, camera frame.
        joints2d: (B, N, 24, 2) projected SMPL joints in normalised crop coordinates; see ``CropCamera``.
        pncc: (B, N, 3, h, w) PNCC images at the resolution of the neck's output.
        evidence: (B, N, K, 5 or 7) of ``keypoint_evidence``; None for queries that read no keypoints.
    """

    rotations: Tensor
    transl: Tensor
    pelvis: Tensor
    joints2d: Tensor
    pncc: Tensor
    evidence: Tensor | None = None


@torch.no_grad()
def candidate_points(candidates: Bodies, body: SMPLBody, convention: str | None = None) -> tuple[Tensor, Tensor]:
    """SMPL's joints (B, N, 24, 3) and keypoints (B, N, K, 3) of candidates with the mean shape, camera frame, metres.

    Without a ``convention`` the keypoints are the joints.
    """
    rotations, transl = candidates.rotations.float(), candidates.transl.float()
    return body.pose_joints_and_keypoints(rotations, transl=transl, convention=convention or "smpl")


@torch.no_grad()
def keypoint_evidence(keypoints2d: Tensor, points: Tensor, camera: CropCamera, depths: Tensor | None = None) -> Tensor:
    """Where the keypoints are, and how far the candidates' own are from there.

    Args:
        keypoints2d: (B, K, 3) x, y in crop pixels and confidence; see ``is_present``.
        points: (B, N, K, 3) the candidates' own; see ``candidate_points``.
        camera: The crop's camera.
        depths: (B, K, 2) what is known of the keypoints' depths: metres behind the middle of the hips, and the
            precision of that, one over its mean error, 1 / metres; 0 is unknown, as what is not finite.

    Returns:
        (B, N, K, 5): x, y of the keypoint minus the candidate's, x, y of the keypoint, confidence, at most 1;
        normalised crop coordinates; zeros where a keypoint is absent. With depths (B, N, K, 7): also the depth, and how
        certain it is, 1 for an error of 0, 0.5 for one of 0.1 m, 0 for none that is known.
    """
    with full_precision(keypoints2d):
        # some detectors give more than 1, of which training has seen nothing
        confidence = keypoints2d[:, None, :, 2:].float().clamp(max=1.0).expand(*points.shape[:-1], 1)
        place = camera.normalize(keypoints2d[:, None, :, :2].float()).expand(*points.shape[:-1], 2)
        evidence = torch.cat([place - camera.project_normalized(points), place, confidence], dim=-1)
        evidence = torch.where(is_present(keypoints2d)[:, None, :, None], evidence, 0.0)
        if depths is None:
            return evidence
        depth, precision = depths.float().unsqueeze(1).expand(*points.shape[:-1], 2).split(1, dim=-1)
        known = (precision > 0) & precision.isfinite() & depth.isfinite()
        certain = torch.where(known, precision / (precision + 1.0 / _HALF_CERTAIN), 0.0)
        return torch.cat([evidence, torch.where(known, depth, 0.0), certain], dim=-1)
