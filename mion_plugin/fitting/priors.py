"""How far a body may be from where its fit starts: the Gaussian prior of ``KeypointFit``."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from mion_plugin.body.arrays import NUM_BETAS
from mion_plugin.body.mirroring import MIRRORED_BODY_POSE, MIRRORED_ROTVEC
from mion_plugin.candidates.pool import CandidatePool
from mion_plugin.candidates.splits import check_pool_split, open_pool
from mion_plugin.fitting.problem import NUM_PARAMETERS, NUM_TURNS
from mion_plugin.fitting.so3 import exponential, nearest_rotation
from mion_plugin.geometry.rotations import rotmat_to_rotvec
from mion_plugin.registry import MODELS

_NUM_BODY_TURNS = NUM_TURNS - 3
# Radians^2 added to each turn's variance, so that joints that no pose of a pool moves keep the covariance regular.
_LEAST_VARIANCE = 1e-6


@MODELS.register_module()
class StartPrior(nn.Module):
    """A Gaussian around the body that a fit starts from: that body is what is known without the keypoints.

    The 85 parameters are those of ``FitProblem``. Turns of the joints are correlated as the poses of a candidate pool
    vary: a joint that moves much may be wrong by much, and joints that move together are wrong together. The pool's
    covariance, and that of its mirror images, is scaled so that the 23 joints' mean variance is ``joints``^2.

    The defaults were chosen on the people of validation (docs/results.md): the error grows slowly about them. The
    betas' is narrower than people differ, since shape, depth and pose can take each other's place.

    Args:
        joints: Radians, standard deviation of the turn about each axis of the joints below the root, on average.
        orientation: Radians, of the root.
        betas: Of each beta.
        shift: Of the pelvis across the crop, as a share of its side.
        depth: Relative, of the pelvis's depth.
        pool_share: Share of the joints' variance that follows the pool, 0 to 1; the rest is the same for all.
        pool: None for the pool of the package, the path of a pool file, or a ``CandidatePool``.
        pool_split: ``train`` leaves out the poses of the default split's test recordings, so that they can be tested
            on; ``all`` keeps all.

    Raises:
        ValueError: A number out of range, or a pool that cannot be split.
        FileNotFoundError: No such pool.
    """

    root: Tensor

    def __init__(
        self,
        joints: float = 0.25,
        orientation: float = 0.15,
        betas: float = 0.3,
        shift: float = 0.1,
        depth: float = 0.1,
        pool_share: float = 0.7,
        pool: CandidatePool | str | os.PathLike[str] | None = None,
        pool_split: str = "all",
    ) -> None:
        super().__init__()
        sigmas = {"joints": joints, "orientation": orientation, "betas": betas, "shift": shift, "depth": depth}
        for name, value in sigmas.items():
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}, expected a positive finite number")
        if not 0 <= pool_share <= 1:
            raise ValueError(f"pool_share is {pool_share}, expected 0 to 1")
        root = torch.zeros(NUM_PARAMETERS, NUM_PARAMETERS, dtype=torch.float64)
        other = [betas] * NUM_BETAS + [2.0 * shift] * 2 + [depth]  # normalised coordinates are half crops
        root.diagonal()[:3], root.diagonal()[NUM_TURNS:] = orientation, torch.tensor(other)
        correlated = _scaled_covariance(pool, pool_split, pool_share)
        root[3:NUM_TURNS, 3:NUM_TURNS] = joints * torch.linalg.cholesky(correlated)
        self.register_buffer("root", root.float(), persistent=False)

    def forward(self) -> Tensor:
        """(85, 85) lower triangular root of the covariance: the parameters are root z, z standard normal."""
        return self.root


def _scaled_covariance(
    pool: CandidatePool | str | os.PathLike[str] | None, pool_split: str, pool_share: float
) -> Tensor:
    """(69, 69) float64, its mean variance 1."""
    check_pool_split(pool_split)
    alike = torch.eye(_NUM_BODY_TURNS, dtype=torch.float64)
    if pool_share == 0:
        return alike
    body_pose = torch.from_numpy(open_pool(pool, pool_split).body_pose)
    covariance = turn_covariance(body_pose.double())
    covariance = covariance + _LEAST_VARIANCE * alike
    return pool_share * covariance / covariance.diagonal().mean() + (1 - pool_share) * alike


def turn_covariance(body_pose: Tensor) -> Tensor:
    """Covariance of the turns that lead from a mean pose to each of P poses and their mirror images.

    Args:
        body_pose: (P, 23, 3) axis-angle of SMPL's joints 1..23, float64.

    Returns:
        (69, 69) radians^2, about each joint's own axes. The mean is that of the rotation matrices, brought back to a
        rotation.
    """
    mirror, signs = MIRRORED_BODY_POSE.tolist(), body_pose.new_tensor(MIRRORED_ROTVEC)
    rotations, _ = exponential(body_pose)
    mean = rotations.mean(0)
    mean = nearest_rotation(mean + signs[:, None] * mean[mirror] * signs)
    turns = rotmat_to_rotvec(mean.mT @ rotations)
    both = torch.cat([turns, turns[:, mirror] * signs]).flatten(1)  # the mean is its own mirror image
    return both.T @ both / len(both)
