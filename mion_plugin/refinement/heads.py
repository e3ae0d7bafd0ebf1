"""From decoded joint queries to a body: rotations, shape and camera (paper, 3.2)."""

from __future__ import annotations

import roma
import torch
from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.precision import full_precision
from mion_plugin.geometry.translation import absolute_translation, moved_translation
from mion_plugin.refinement.encoding import EncodedCandidates

ROTATIONS = ("absolute", "residual")
REPRESENTATIONS = {"6d": 6, "axis_angle": 3}  # name -> numbers per joint
# Keeps a degenerate 6D vector from dividing by zero; ordinary ones have length 1.
_SHORTEST = 1e-6


class BodyHead(nn.Module):
    """One MLP for all joints' rotations, and MLPs for camera and shape, which read the first joint's token.

    Rotations are predicted as a rotation applied after a reference one, R = R_predicted R_reference, so that what the
    root's token predicts is a rotation in the camera frame. ``absolute`` (the paper): the reference is a constant, the
    upright rest pose facing the camera; the camera is weak-perspective. ``residual``: the reference is the candidate's
    rotation; the camera is a change of the candidate's translation.

    The last layers start at zero, so an untrained residual head returns the candidate itself (rotations, translation
    and mean shape bit for bit), an untrained absolute one the upright rest pose.

    Args:
        width: Channels of the tokens.
        camera: The crop's camera.
        rotation: ``absolute`` or ``residual``.
        representation: ``6d`` or ``axis_angle``.

    Raises:
        ValueError: An unknown option.
    """

    upright: Tensor
    identity_6d: Tensor

    def __init__(self, width: int, camera: CropCamera, rotation: str = "absolute", representation: str = "6d") -> None:
        super().__init__()
        if rotation not in ROTATIONS:
            raise ValueError(f"rotation is {rotation!r}, expected one of {', '.join(ROTATIONS)}")
        if representation not in REPRESENTATIONS:
            raise ValueError(f"representation is {representation!r}, expected one of {', '.join(REPRESENTATIONS)}")
        self.camera, self.rotation, self.representation = camera, rotation, representation
        self.rotation_mlp = _zero_start_mlp(width, REPRESENTATIONS[representation])
        self.camera_mlp = _zero_start_mlp(width, 3)
        self.betas_mlp = _zero_start_mlp(width, NUM_BETAS)
        upright = torch.eye(3).repeat(NUM_JOINTS, 1, 1)
        upright[0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # SMPL's y points up, the camera's down
        self.register_buffer("upright", upright, persistent=False)
        self.register_buffer("identity_6d", torch.eye(3)[:, :2].flatten(), persistent=False)

    def forward(self, tokens: Tensor, candidates: EncodedCandidates) -> Bodies:
        """Refined bodies (B, N), float32, poses as matrices, from decoded tokens (B, N, 24, C) of candidates (B, N)."""
        with full_precision(tokens):
            tokens = tokens.float()
            rotations = self._rotations(self.rotation_mlp(tokens))
            first = tokens[..., 0, :]
            raw_camera = self.camera_mlp(first)
            if self.rotation == "residual":
                pose = rotations @ candidates.rotations
                transl = moved_translation(raw_camera, candidates.transl, candidates.pelvis, self.camera)
            else:
                pose = rotations @ self.upright
                transl = absolute_translation(raw_camera, self.camera)
            return Bodies(pose=pose, betas=self.betas_mlp(first), transl=transl)

    def _rotations(self, predicted: Tensor) -> Tensor:
        """Rotation matrices (..., 3, 3) of what the MLP gave; zeros mean the identity.

        6D (Zhou et al., 2019): a (3, 2) matrix in rows, the rotation's first two columns before orthonormalisation.
        """
        if self.representation == "axis_angle":
            return roma.rotvec_to_rotmat(predicted)
        raw = predicted + self.identity_6d
        return roma.special_gramschmidt(raw.unflatten(-1, (3, 2)), epsilon=_SHORTEST)


def _zero_start_mlp(width: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), last)
