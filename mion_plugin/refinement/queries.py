"""What the decoder starts from: one query per joint, which may know the candidate and look at the image there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mion_plugin.body.arrays import NUM_JOINTS
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.geometry.precision import full_precision
from mion_plugin.geometry.sampling import sample_features
from mion_plugin.refinement.encoding import EncodedCandidates
from mion_plugin.refinement.lifting import LiftingNetwork

_JOINT_STD = 0.1  # of a joint's own embedding, so that it does not drown what is added to it
_LIFTING_WIDTH = 512  # hidden channels; half of those of Martinez et al., 2017, whose MLP lifts keypoints
# Per number of keypoint_evidence: a compatible candidate is off by a few hundredths of the crop, depths are a few
# tenths of a metre, the rest is about 1.
_EVIDENCE_SCALE = (5.0, 5.0, 1.0, 1.0, 1.0)
_DEPTH_SCALE = (4.0, 1.0)


class JointQueries(nn.Module):
    """A learned embedding per joint, to which embeddings of the candidate are added on request.

    The plain embedding is the paper's: there, the candidate reaches the decoder through PNCC-PE alone, and the 2D
    keypoints choose candidates but are not seen again.

    Args:
        width: Channels.
        camera: The crop's camera.
        candidate: Add the candidate's rotation (6D) of the joint and its camera.
        features: Add the image features at the candidate's projected joint, bilinear; zeros outside the crop.
        keypoints: Add what an MLP makes of ``keypoint_evidence`` and of the whole candidate: a lifting of the 2D
            keypoints that starts from the candidate. The convention of those keypoints, such as ``coco``; None to
            leave it out.
        depths: The evidence also holds depths of the keypoints; see ``keypoint_evidence``.
        lifting: Arguments of ``LiftingNetwork``, which then is that MLP; None for a plain one of two hidden layers.

    Raises:
        ValueError: An unknown convention, or depths without keypoints.
    """

    evidence_scale: Tensor

    def __init__(
        self,
        width: int,
        camera: CropCamera,
        candidate: bool = False,
        features: bool = False,
        keypoints: str | None = None,
        depths: bool = False,
        lifting: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if keypoints is None and (depths or lifting is not None):
            raise ValueError("depths and lifting belong to keypoints: name their convention, such as 'coco'")
        self.camera = camera
        self.joints = nn.Parameter(_JOINT_STD * torch.randn(NUM_JOINTS, width))
        self.from_candidate = nn.Linear(6 + 3, width) if candidate else None
        self.from_features = nn.Linear(width, width) if features else None
        self.keypoints, self.depths = keypoints, depths
        scale = _EVIDENCE_SCALE + (_DEPTH_SCALE if depths else ())
        self.register_buffer("evidence_scale", torch.tensor(scale), persistent=False)
        inputs, outputs = self.num_keypoints * len(scale) + NUM_JOINTS * 6 + 3, NUM_JOINTS * width
        self.from_keypoints: nn.Module | None = None
        if keypoints is not None:
            self.from_keypoints = (
                _plain_mlp(inputs, outputs) if lifting is None else LiftingNetwork(inputs, outputs, **lifting)
            )

    @property
    def num_keypoints(self) -> int:
        """How many keypoints are read; 0 for none."""
        return 0 if self.keypoints is None else len(keypoint_names(self.keypoints))

    def forward(self, candidates: EncodedCandidates, features: Tensor | None) -> Tensor:
        """Queries (B, N, 24, C).

        Args:
            candidates: (B, N).
            features: (B, C, h, w) of the image; None where the image is not read.

        Raises:
            ValueError: The queries read keypoints, and there is no evidence.
        """
        batch, num_candidates = candidates.transl.shape[:2]
        queries = self.joints.expand(batch, num_candidates, -1, -1)
        if self.from_candidate is not None:
            with full_precision(queries):
                queries = queries + self.from_candidate(self._describe(candidates))
        if self.from_features is not None and features is not None:
            queries = queries + self.from_features(sample_features(features, candidates.joints2d))
        if self.from_keypoints is not None:
            queries = queries + self._lift(self.from_keypoints, candidates)
        return queries

    def _lift(self, mlp: nn.Module, candidates: EncodedCandidates) -> Tensor:
        """(B, N, 24, C) of the evidence and the candidates."""
        evidence = candidates.evidence
        if evidence is None:
            raise ValueError(f"the queries read {self.num_keypoints} 2D keypoints, got none")
        with full_precision(evidence):
            rotations, camera = candidates.rotations[..., :2].flatten(-3), self.camera.embed(candidates.pelvis)
            lifted = mlp(torch.cat([(evidence * self.evidence_scale).flatten(-2), rotations, camera], dim=-1))
        return lifted.unflatten(-1, (NUM_JOINTS, -1))

    def _describe(self, candidates: EncodedCandidates) -> Tensor:
        """(B, N, 24, 9): two columns of each joint's rotation, and the camera."""
        columns = candidates.rotations[..., :2].flatten(-2)
        camera = self.camera.embed(candidates.pelvis)[..., None, :]
        return torch.cat([columns, camera.expand(*columns.shape[:-1], -1)], dim=-1)


def _plain_mlp(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, _LIFTING_WIDTH),
        nn.ReLU(inplace=True),
        nn.Linear(_LIFTING_WIDTH, _LIFTING_WIDTH),
        nn.ReLU(inplace=True),
        nn.Linear(_LIFTING_WIDTH, outputs),
    )
