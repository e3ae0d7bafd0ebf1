"""What the decoder starts from: one query per joint, which may know the candidate and look at the image there."""

from __future__ import annotations

from dataclasses import dataclass

import roma
import torch
from torch import Tensor, nn
from torch.nn import functional

from mion_plugin.body.arrays import NUM_JOINTS
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.refinement.camera import CropCamera
from mion_plugin.refinement.precision import full_precision

# Joints farther out than this, in half crops, see zeros anyway; indices of huge coordinates would overflow.
_FARTHEST = 3.0


@dataclass(frozen=True)
class CandidateGeometry:
    """N candidates for each of B images, mean shape, float32, without gradient.

    Attributes:
        rotations: (B, N, 24, 3, 3).
        transl: (B, N, 3) metres.
        pelvis: (B, N, 3) metres, camera frame.
        joints2d: (B, N, 24, 2) projected SMPL joints in normalised crop coordinates; see ``CropCamera``.
    """

    rotations: Tensor
    transl: Tensor
    pelvis: Tensor
    joints2d: Tensor


@torch.no_grad()
def candidate_geometry(pose: Tensor, transl: Tensor, body: SMPLBody, camera: CropCamera) -> CandidateGeometry:
    """Geometry of candidates ``pose`` (B, N, 24, 3) axis-angle at ``transl`` (B, N, 3)."""
    with full_precision(pose):
        rotations, transl = roma.rotvec_to_rotmat(pose.float()), transl.float()
        joints = body.pose_keypoints(rotations, transl=transl, convention="smpl")
        return CandidateGeometry(rotations, transl, joints[..., 0, :], camera.project_normalized(joints))


class JointQueries(nn.Module):
    """A learned embedding per joint, to which embeddings of the candidate are added on request.

    The plain embedding is the paper's: there, the candidate reaches the decoder through PNCC-PE alone.

    Args:
        width: Channels.
        camera: The crop's camera.
        candidate: Add the candidate's rotation (6D) of the joint and its camera.
        features: Add the image features at the candidate's projected joint, bilinear; zeros outside the crop.
    """

    def __init__(self, width: int, camera: CropCamera, candidate: bool = False, features: bool = False) -> None:
        super().__init__()
        self.camera = camera
        self.joints = nn.Parameter(torch.randn(NUM_JOINTS, width))
        self.from_candidate = nn.Linear(6 + 3, width) if candidate else None
        self.from_features = nn.Linear(width, width) if features else None

    def forward(self, candidate: CandidateGeometry, features: Tensor) -> Tensor:
        """Queries (B, N, 24, C) for candidates (B, N) and image features (B, C, h, w)."""
        batch, num_candidates = candidate.transl.shape[:2]
        queries = self.joints.expand(batch, num_candidates, -1, -1)
        if self.from_candidate is not None:
            with full_precision(features):
                queries = queries + self.from_candidate(self._describe(candidate))
        if self.from_features is not None:
            queries = queries + self.from_features(sample_features(features, candidate.joints2d))
        return queries

    def _describe(self, candidate: CandidateGeometry) -> Tensor:
        """(B, N, 24, 9): two columns of each joint's rotation, and the camera."""
        columns = candidate.rotations[..., :2].flatten(-2)
        camera = self.camera.embed(candidate.pelvis)[..., None, :]
        return torch.cat([columns, camera.expand(*columns.shape[:-1], -1)], dim=-1)


def sample_features(features: Tensor, points: Tensor) -> Tensor:
    """Features at points, bilinear, zero outside.

    Convention: of 4 columns, the centre of the first is at x = -0.75, the border between the second and third at 0.

    Args:
        features: (B, C, h, w).
        points: (B, N, K, 2) x, y in normalised coordinates.

    Returns:
        (B, N, K, C) float32.
    """
    with full_precision(features):
        grid = points.clamp(-_FARTHEST, _FARTHEST)
        sampled = functional.grid_sample(features.float(), grid, padding_mode="zeros", align_corners=False)
    return sampled.permute(0, 2, 3, 1)
