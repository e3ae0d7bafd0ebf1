"""Bodies of the neutral model, as the networks give them, put on the male or the female one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.body.arrays import NUM_BETAS, BodyArrays
from mion_plugin.body.rest_joints import RestJoints
from mion_plugin.evaluation.choice.rules import fit_loss_of
from mion_plugin.fitting import KeypointFit
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.precision import full_precision
from mion_plugin.parts import Part

_JOINT_NOISE = 0.01  # metres by which the joints of the two bodies may differ, against betas of standard deviation 1


class GenderedBodies(nn.Module):
    """The same poses on another body, fitted onto the same 2D keypoints.

    What is known of the person's size stays: betas mean other shapes on other bodies, so those are taken whose joints
    at rest are nearest to the neutral body's, most probable ones where many are as near. The pelvis stays where it is.
    From there ``KeypointFit`` goes on, on the other body.

    Args:
        neutral: The body of the networks.
        gender: ``male`` or ``female``.
        camera: Of the crop.
        convention: Order of the keypoints.
        prior: Of the fit, see ``KeypointFit``.

    Attributes:
        body: The other body.

    Raises:
        FileNotFoundError: The neutral body is a file, and the other one is not beside it.
        ValueError: An unknown gender, or a body file that cannot be read.
    """

    shape_start: Tensor
    shape_map: Tensor

    def __init__(
        self, neutral: SMPLBody, gender: str, camera: CropCamera, convention: str = "coco", prior: Part | None = None
    ) -> None:
        super().__init__()
        self.body = SMPLBody(_beside(neutral.arrays), gender)
        self._joints = RestJoints.of(neutral.arrays), RestJoints.of(self.body.arrays)
        self.camera, self.convention = camera, convention
        self.fit = KeypointFit(self.body, prior, camera.focal_length, int(camera.image_size), convention)
        start, step = _shape_map(*self._joints)
        self.register_buffer("shape_start", torch.from_numpy(start).float(), persistent=False)
        self.register_buffer("shape_map", torch.from_numpy(step).float(), persistent=False)

    @torch.no_grad()
    def forward(self, bodies: Bodies, keypoints2d: Tensor) -> Bodies:
        """The bodies (B, N) on the other body, with their ``fit_loss``.

        Args:
            bodies: Of the neutral body.
            keypoints2d: (B, K, 3) crop pixels and confidence, as the stages have read them.
        """
        fitted = self.fit(self.start(bodies), keypoints2d)
        return fitted.measured(fit_loss_of(fitted, keypoints2d, self.convention, self.body, self.camera))

    @torch.no_grad()
    def start(self, bodies: Bodies) -> Bodies:
        """The same poses on the other body, before the fit."""
        with full_precision(bodies.transl):
            betas = self.shape_start + bodies.betas @ self.shape_map.mT
            before, after = (
                torch.from_numpy(joints.pelvis(value.cpu().numpy())).to(bodies.transl)
                for joints, value in zip(self._joints, (bodies.betas, betas), strict=True)
            )
        transl = bodies.transl + before - after
        return Bodies(pose=bodies.rotations, betas=betas, transl=transl, valid=bodies.valid)


def _from_pelvis(joints: RestJoints) -> tuple[np.ndarray, np.ndarray]:
    """(72,) and (72, 10): the mean and its change by the betas, relative to the pelvis."""
    mean, by_betas = joints.mean - joints.mean[:1], joints.by_betas - joints.by_betas[:1]
    return mean.ravel(), by_betas.reshape(-1, NUM_BETAS)


def _shape_map(neutral: RestJoints, other: RestJoints) -> tuple[np.ndarray, np.ndarray]:
    """c (10,) and M (10, 10): c + M betas minimises |joints' difference|^2 / noise^2 + |c + M betas|^2."""
    (mean, by_betas), (other_mean, other_by_betas) = _from_pelvis(neutral), _from_pelvis(other)
    normal = other_by_betas.T @ other_by_betas + _JOINT_NOISE**2 * np.eye(NUM_BETAS)
    pull = np.linalg.solve(normal, other_by_betas.T)
    return pull @ (mean - other_mean), pull @ by_betas


def _beside(body: BodyArrays) -> Path | None:
    """The folder of a body's file, in which its siblings are; None for the stand-in, whose are all in one."""
    path = Path(body.name)
    return path.parent if path.is_file() else None
