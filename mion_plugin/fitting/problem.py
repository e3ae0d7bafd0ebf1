"""The bodies that are fitted as a function of whitened parameters, and how well they meet the keypoints.

The 85 parameters x of a body tell how it departs from where it starts: a turn of each of the 24 joints about its own
axes (radians), ten changes of betas, and the pelvis's shift across the crop (normalised coordinates) and log of depth.
Their prior is Gaussian around the start: x = root z, z standard normal.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS
from mion_plugin.body.pose_keypoints import PlacedPairs
from mion_plugin.fitting.chain import KeypointChain, KeypointDerivatives
from mion_plugin.fitting.so3 import exponential
from mion_plugin.fitting.solver import Linearized
from mion_plugin.geometry.crop_camera import NEAREST, CropCamera
from mion_plugin.geometry.translation import moved_translation

NUM_TURNS = 3 * NUM_JOINTS
NUM_PARAMETERS = NUM_TURNS + NUM_BETAS + 3


@dataclass(frozen=True)
class Start:
    """M bodies as they come.

    Attributes:
        rotations: (M, 24, 3, 3).
        betas: (M, 10).
        transl: (M, 3) metres.
        pelvis: (M, 3) metres, the pelvis joint there, before the camera.
    """

    rotations: Tensor
    betas: Tensor
    transl: Tensor
    pelvis: Tensor

    def moved(self, parameters: Tensor, camera: CropCamera) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rotations, betas and transl at parameters (M, 85), and the rotations' right Jacobians (M, 24, 3, 3)."""
        turns, change, shift = parameters.split((NUM_TURNS, NUM_BETAS, 3), dim=-1)
        rotations, tangents = exponential(turns.unflatten(-1, (NUM_JOINTS, 3)))
        transl = moved_translation(shift, self.transl, self.pelvis, camera)
        return self.rotations @ rotations, self.betas + change, transl, tangents


@dataclass(frozen=True)
class ObservedDepths:
    """What is known of the depths of M bodies' keypoints.

    Attributes:
        depths: (M, K) metres behind the middle of the hips, camera frame; any finite numbers where unknown.
        precision: (M, K) 1 / metres; 0 where unknown.
        hips: The hips' indices among the K.
    """

    depths: Tensor
    precision: Tensor
    hips: tuple[int, int]

    def relative(self, depths: Tensor) -> Tensor:
        """Depths (M, K, ...), or derivatives of them, less those of the middle of the hips."""
        return depths - depths[:, list(self.hips)].mean(dim=1, keepdim=True)


@dataclass(frozen=True)
class Observed:
    """Keypoints of M bodies.

    Attributes:
        points: (M, K, 2) normalised coordinates; any finite numbers where absent.
        precision: (M, K) inverse standard deviation in normalised coordinates; 0 where absent.
        depths: What is known of their depths; None for nothing.
    """

    points: Tensor
    precision: Tensor
    depths: ObservedDepths | None = None


@dataclass(frozen=True)
class _Met:
    """How M bodies meet their keypoints.

    Attributes:
        cost: (M,) what is minimised.
        depth: (M, K, 1) metres of the bodies' own keypoints, at least ``NEAREST``.
        slopes: (M, K, 2) x and y over that.
        error: (M, K, 2) standard deviations off the keypoint.
        weight: (M, K) the root of rho's derivative.
    """

    cost: Tensor
    depth: Tensor
    slopes: Tensor
    error: Tensor
    weight: Tensor


class FitProblem:
    """Residuals of M bodies in standard deviations, for ``minimize``.

    Args:
        chain: The keypoints on the body.
        camera: The crop's camera.
        start: The bodies.
        observed: The keypoints.
        root: (85, 85) of the prior's covariance.
        cutoff: Standard deviations c of the Geman-McClure loss rho = c^2 s / (c^2 + s) of a keypoint's squared
            distance s.
    """

    def __init__(
        self,
        chain: KeypointChain,
        camera: CropCamera,
        start: Start,
        observed: Observed,
        root: Tensor,
        cutoff: float,
    ) -> None:
        self.chain, self.camera, self.start, self.observed = chain, camera, start, observed
        self.root, self.squared_cutoff = root, cutoff**2

    def body(self, whitened: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotations, betas and transl at z (M, 85)."""
        return self.start.moved(whitened @ self.root.T, self.camera)[:3]

    def cost(self, whitened: Tensor) -> Tensor:
        """(M,) at z (M, 85)."""
        rotations, betas, transl = self.body(whitened)
        points, placed = self.chain(rotations, betas)
        return self._meet(points, placed, transl, whitened).cost

    def __call__(self, whitened: Tensor) -> Linearized:
        """Cost, residuals and their derivatives at z (M, 85)."""
        return self._linearize(whitened)[0]

    def with_depths(self, whitened: Tensor) -> tuple[Linearized, Tensor]:
        """The problems at z (M, 85), and derivatives (M, K, 85) of the keypoints' depths behind the pelvis, metres."""
        linearized, by_parameters = self._linearize(whitened)
        return linearized, by_parameters[:, :, 2, :-3] @ self.root[:-3]  # a shift moves both

    def _linearize(self, whitened: Tensor) -> tuple[Linearized, Tensor]:
        """The problems at z (M, 85), and derivatives (M, K, 3, 85) of the keypoints by the parameters x."""
        parameters = whitened @ self.root.T
        rotations, betas, transl, tangents = self.start.moved(parameters, self.camera)
        points, placed = self.chain(rotations, betas)
        met = self._meet(points, placed, transl, whitened)
        by_parameters = self._by_parameters(self.chain.derivatives(placed, rotations, tangents), parameters)
        by_points = self.camera.normalized_focal_length / met.depth * (met.weight * self.observed.precision)[..., None]
        jacobian = (_projected(by_parameters, met.slopes) * by_points[..., None]).flatten(1, 2)
        residual = (met.error * met.weight[..., None]).flatten(1)
        if self.observed.depths is not None:
            own_residual, own_jacobian = self._in_depth(self.observed.depths, points[..., 2], by_parameters)
            residual, jacobian = torch.cat([residual, own_residual], 1), torch.cat([jacobian, own_jacobian], 1)
        return Linearized(met.cost, residual, jacobian @ self.root), by_parameters

    def _meet(self, points: Tensor, placed: PlacedPairs, transl: Tensor, whitened: Tensor) -> _Met:
        """Points (M, K, 3) of placed bodies, which transl (M, 3) brings before the camera, against the keypoints."""
        points = points + transl[:, None]
        depth = points[..., 2:].clamp(min=NEAREST)
        slopes = points[..., :2] / depth
        focal_length = self.camera.normalized_focal_length
        error = (focal_length * slopes - self.observed.points) * self.observed.precision[..., None]
        squared = error.square().sum(-1)
        weight = self._robust_weight(squared)
        cost = (weight * squared).sum(-1) + whitened.square().sum(-1)
        if self.observed.depths is not None:
            squared = self._depth_error(self.observed.depths, points[..., 2]).square()
            cost = cost + (self._robust_weight(squared) * squared).sum(-1)
        nearest = torch.minimum(points[..., 2].amin(-1), placed.joints[..., 2].amin(-1) + transl[:, 2])
        return _Met(torch.where(nearest > NEAREST, cost / 2, torch.inf), depth, slopes, error, weight)

    def _robust_weight(self, squared: Tensor) -> Tensor:
        """The root of rho's derivative at squared distances; rho is this times those."""
        return self.squared_cutoff / (self.squared_cutoff + squared)

    def _depth_error(self, known: ObservedDepths, depths: Tensor) -> Tensor:
        """(M, K) standard deviations by which depths (M, K) miss the known ones."""
        return (known.relative(depths) - known.depths) * known.precision

    def _in_depth(self, known: ObservedDepths, depths: Tensor, by_parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Residuals (M, K) of the known depths and their derivatives (M, K, 85) by the parameters."""
        error = self._depth_error(known, depths)
        weight = self._robust_weight(error.square())
        return error * weight, known.relative(by_parameters[:, :, 2]) * (weight * known.precision)[..., None]

    def _by_parameters(self, derivatives: KeypointDerivatives, parameters: Tensor) -> Tensor:
        """(M, K, 3, 85) derivatives of the keypoints in the camera's frame."""
        by_shift = self._transl_by_shift(parameters)[:, None].expand(-1, self.chain.num_keypoints, -1, -1)
        return torch.cat([derivatives.by_rotations.flatten(3), derivatives.by_betas, by_shift], dim=-1)

    def _transl_by_shift(self, parameters: Tensor) -> Tensor:
        """(M, 3, 3) derivatives of ``moved_translation``."""
        shift = parameters[:, -3:]
        pelvis = self.start.pelvis * shift[:, 2:].exp()
        scale = pelvis[:, 2:] / self.camera.normalized_focal_length
        by_depth = torch.cat([pelvis[:, :2] + shift[:, :2] * scale, pelvis[:, 2:]], dim=-1)
        in_image = torch.eye(3, 2, dtype=scale.dtype, device=scale.device) * scale[..., None]
        return torch.cat([in_image, by_depth[..., None]], dim=-1)


def _projected(derivatives: Tensor, slopes: Tensor) -> Tensor:
    """(M, K, 2, D) derivatives of x and y less the slopes (M, K, 2) times those of z, of (M, K, 3, D)."""
    return derivatives[:, :, :2] - slopes[..., None] * derivatives[:, :, 2:]
