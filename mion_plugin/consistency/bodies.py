"""Several bodies for each image, whatever they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mion_plugin.body.arrays import NUM_BETAS
from mion_plugin.body.smpl import BodyOutput, SMPLBody
from mion_plugin.geometry.rotations import rotvec_to_rotmat
from mion_plugin.refinement.candidates import Candidates


@dataclass(frozen=True)
class Bodies:
    """N bodies for each of B images.

    Attributes:
        pose: (B, N, 24, 3, 3) rotation matrices, index 0 the global orientation in the camera frame.
        betas: (B, N, 10).
        transl: (B, N, 3) metres, camera frame.
    """

    pose: Tensor
    betas: Tensor
    transl: Tensor

    @classmethod
    def of_candidates(cls, candidates: Candidates) -> Bodies:
        """Candidates with the mean shape."""
        transl = candidates.transl.float()
        return cls(rotvec_to_rotmat(candidates.pose.float()), transl.new_zeros(*transl.shape[:2], NUM_BETAS), transl)

    @classmethod
    def join(cls, parts: Sequence[Bodies]) -> Bodies:
        """All bodies of each image, in order."""
        return cls(*(torch.cat([getattr(part, name) for part in parts], dim=1) for name in ("pose", "betas", "transl")))

    def posed(self, body: SMPLBody) -> BodyOutput:
        """Vertices and joints before translation, in which single precision keeps all that matters."""
        return body(self.pose, self.betas)
