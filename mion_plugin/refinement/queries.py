"""What the decoder starts from: one query per joint, which may know the candidate and look at the image there."""

from __future__ import annotations

from dataclasses import dataclass

import roma
import torch
from torch import Tensor, nn
from torch.nn import functional

from mion_plugin.body.arrays import NUM_JOINTS
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.precision import full_precision

# Joints farther out than this, in half crops, see zeros anyway; indices of huge coordinates would overflow.
_FARTHEST = 3.0
_JOINT_STD = 0.1  # of a joint's own embedding, so that it does not drown what is added to it
_LIFTING_WIDTH = 512  # hidden channels; half of those of Martinez et al., 2017, whose MLP lifts keypoints
# Per number of keypoint_evidence: a compatible candidate is off by a few hundredths of the crop, the rest is about 1.
_EVIDENCE_SCALE = (5.0, 5.0, 1.0, 1.0, 1.0)


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


@dataclass(frozen=True)
class Keypoints2D:
    """What stage 1 saw of B people.

    Attributes:
        points: (B, K, 3) x, y in crop pixels and confidence; 0 is absent, and the coordinates may be anything then.
        convention: Their order.
    """

    points: Tensor
    convention: str


@torch.no_grad()
def candidate_geometry(pose: Tensor, transl: Tensor, body: SMPLBody, camera: CropCamera) -> CandidateGeometry:
    """Geometry of candidates ``pose`` (B, N, 24, 3) axis-angle at ``transl`` (B, N, 3)."""
    with full_precision(pose):
        rotations, transl = roma.rotvec_to_rotmat(pose.float()), transl.float()
        joints = body.pose_keypoints(rotations, transl=transl, convention="smpl")
        return CandidateGeometry(rotations, transl, joints[..., 0, :], camera.project_normalized(joints))


@torch.no_grad()
def keypoint_evidence(
    keypoints2d: Keypoints2D, candidate: CandidateGeometry, body: SMPLBody, camera: CropCamera
) -> Tensor:
    """Where the keypoints are, and how far the candidates' own are from there.

    Returns:
        (B, N, K, 5): x, y of the keypoint minus the candidate's, x, y of the keypoint, confidence; normalised crop
        coordinates; zeros where a keypoint is absent.
    """
    with full_precision(keypoints2d.points):
        points = body.pose_keypoints(candidate.rotations, transl=candidate.transl, convention=keypoints2d.convention)
        confidence = keypoints2d.points[:, None, :, 2:].float().expand(*points.shape[:-1], 1)
        place = camera.normalize(keypoints2d.points[:, None, :, :2].float()).expand(*points.shape[:-1], 2)
        evidence = torch.cat([place - camera.project_normalized(points), place, confidence], dim=-1)
        return torch.where(confidence > 0, evidence, 0.0)  # absent ones may be NaN


class JointQueries(nn.Module):
    """A learned embedding per joint, to which embeddings of the candidate are added on request.

    The plain embedding is the paper's: there, the candidate reaches the decoder through PNCC-PE alone, and the 2D
    keypoints choose candidates but are not seen again.

    Args:
        width: Channels.
        camera: The crop's camera.
        candidate: Add the candidate's rotation (6D) of the joint and its camera.
        features: Add the image features at the candidate's projected joint, bilinear; zeros outside the crop.
        num_keypoints: Add what an MLP makes of ``keypoint_evidence`` and of the whole candidate: a lifting of the 2D
            keypoints that starts from the candidate. 0 to leave it out.
    """

    evidence_scale: Tensor

    def __init__(
        self,
        width: int,
        camera: CropCamera,
        candidate: bool = False,
        features: bool = False,
        num_keypoints: int = 0,
    ) -> None:
        super().__init__()
        self.camera = camera
        self.joints = nn.Parameter(_JOINT_STD * torch.randn(NUM_JOINTS, width))
        self.from_candidate = nn.Linear(6 + 3, width) if candidate else None
        self.from_features = nn.Linear(width, width) if features else None
        self.num_keypoints = num_keypoints
        self.register_buffer("evidence_scale", torch.tensor(_EVIDENCE_SCALE), persistent=False)
        self.from_keypoints = _lifting_mlp(num_keypoints, NUM_JOINTS * width) if num_keypoints else None

    def forward(self, candidate: CandidateGeometry, features: Tensor, evidence: Tensor | None = None) -> Tensor:
        """Queries (B, N, 24, C).

        Args:
            candidate: Candidates (B, N).
            features: (B, C, h, w) of the image.
            evidence: (B, N, K, 5) of ``keypoint_evidence``; ignored without ``num_keypoints``.

        Raises:
            ValueError: ``num_keypoints`` is set, and there is no evidence.
        """
        batch, num_candidates = candidate.transl.shape[:2]
        queries = self.joints.expand(batch, num_candidates, -1, -1)
        if self.from_candidate is not None:
            with full_precision(features):
                queries = queries + self.from_candidate(self._describe(candidate))
        if self.from_features is not None:
            queries = queries + self.from_features(sample_features(features, candidate.joints2d))
        if self.from_keypoints is not None:
            queries = queries + self._lift(self.from_keypoints, evidence, candidate)
        return queries

    def _lift(self, mlp: nn.Module, evidence: Tensor | None, candidate: CandidateGeometry) -> Tensor:
        """(B, N, 24, C) of evidence (B, N, K, 5) and candidates."""
        if evidence is None:
            raise ValueError(f"the queries read {self.num_keypoints} 2D keypoints, got none")
        with full_precision(evidence):
            rotations, camera = candidate.rotations[..., :2].flatten(-3), self.camera.embed(candidate.pelvis)
            lifted = mlp(torch.cat([(evidence * self.evidence_scale).flatten(-2), rotations, camera], dim=-1))
        return lifted.unflatten(-1, (NUM_JOINTS, -1))

    def _describe(self, candidate: CandidateGeometry) -> Tensor:
        """(B, N, 24, 9): two columns of each joint's rotation, and the camera."""
        columns = candidate.rotations[..., :2].flatten(-2)
        camera = self.camera.embed(candidate.pelvis)[..., None, :]
        return torch.cat([columns, camera.expand(*columns.shape[:-1], -1)], dim=-1)


def _lifting_mlp(num_keypoints: int, outputs: int) -> nn.Sequential:
    inputs = num_keypoints * len(_EVIDENCE_SCALE) + NUM_JOINTS * 6 + 3
    return nn.Sequential(
        nn.Linear(inputs, _LIFTING_WIDTH),
        nn.ReLU(inplace=True),
        nn.Linear(_LIFTING_WIDTH, _LIFTING_WIDTH),
        nn.ReLU(inplace=True),
        nn.Linear(_LIFTING_WIDTH, outputs),
    )


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
