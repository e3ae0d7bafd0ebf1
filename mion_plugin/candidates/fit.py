"""The closed-form translation of a candidate and its reprojection loss (paper, eq. 1 and 2).

For keypoints (u, v) relative to the principal point, a candidate with camera-frame joints J fits best where the linear
equations  f (Jx + Tx) - u (Jz + Tz) = 0,  f (Jy + Ty) - v (Jz + Tz) = 0  hold best in the weighted least-squares sense
(SPIN's and mmhuman3d's ``estimate_translation``). Turning the camera so that the keypoints' weighted mean lies on the
optical axis (a shear of J) and centring J makes the normal matrix diagonal: no system is left to solve.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mion_plugin.geometry.camera import project

MIN_KEYPOINTS = 3  # six equations for three unknowns; with two keypoints every candidate fits
MIN_SPREAD = 1.0  # px; nearer together than annotation noise, keypoints say nothing of the distance


@dataclass(frozen=True)
class FitTarget:
    """Keypoints made ready for fitting; finite whatever the input was.

    Attributes:
        offsets: (..., K, 2) pixels from the principal point.
        weight: (..., K) confidences.
        mean: (..., 2) weighted mean of the slopes offsets / focal_length.
        slopes: (..., K, 2) slopes less their mean.
        usable: (...) bool, whether the keypoints determine a fit. Where they do not, the other fields hold arbitrary
            sound numbers, so that such a sample disturbs nothing.
        focal_length: Pixels.
    """

    offsets: Tensor
    weight: Tensor
    mean: Tensor
    slopes: Tensor
    usable: Tensor
    focal_length: float

    @property
    def spread(self) -> Tensor:
        """(...) weighted sum of the squared distances from the mean, in squared pixels."""
        return (self.weight[..., None] * self.slopes.square()).sum((-2, -1)) * self.focal_length**2

    def __getitem__(self, sample: Tensor) -> FitTarget:
        """The targets of the given samples."""
        return replace(
            self,
            offsets=self.offsets[sample],
            weight=self.weight[sample],
            mean=self.mean[sample],
            slopes=self.slopes[sample],
            usable=self.usable[sample],
        )


def fit_translation(
    joints3d: Tensor,
    keypoints2d: Tensor,
    focal_length: float,
    principal_point: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """Fit the translation of candidates in closed form.

    Args:
        joints3d: (..., M, K, 3) metres, camera axes, of M candidates before translation.
        keypoints2d: (..., K, 3) x, y in pixels and confidence; confidence 0 is absent, and its x, y are not read.
        focal_length: Pixels.
        principal_point: Pixels.

    Returns:
        transl (..., M, 3) metres, and fit_loss (..., M): the squared reprojection error in pixels, summed over the
        keypoints with their confidences as weights. A candidate with any joint behind the camera, also an absent one,
        has fit_loss inf (a mirrored body can reproject perfectly). Where ``usable_keypoints`` is False, transl is
        zero and fit_loss inf.

    Raises:
        ValueError: The shapes do not fit each other.
    """
    if joints3d.ndim < 3 or joints3d.shape[-1] != 3 or keypoints2d.shape[-2:] != (joints3d.shape[-2], 3):
        raise ValueError(
            f"joints3d {tuple(joints3d.shape)} and keypoints2d {tuple(keypoints2d.shape)}: expected (..., M, K, 3) "
            "and (..., K, 3)"
        )
    return fit_to_target(joints3d, make_target(keypoints2d, focal_length, principal_point))


def make_target(keypoints2d: Tensor, focal_length: float, principal_point: tuple[float, float]) -> FitTarget:
    """Centre keypoints (..., K, 3) for ``fit_to_target``."""
    usable = usable_keypoints(keypoints2d)
    weight = torch.where(usable[..., None], keypoints2d[..., 2], 1.0)
    offsets = keypoints2d[..., :2] - keypoints2d.new_tensor(principal_point)
    offsets = torch.where((weight > 0)[..., None], offsets, 0.0)  # absent keypoints may hold anything, NaN too
    count = keypoints2d.shape[-2]
    diagonal = torch.arange(count, dtype=offsets.dtype, device=offsets.device)[:, None].expand(count, 2)
    offsets = torch.where(usable[..., None, None], offsets, diagonal)
    mean = _weighted_mean(offsets, weight) / focal_length
    return FitTarget(offsets, weight, mean, offsets / focal_length - mean[..., None, :], usable, focal_length)


def fit_to_target(joints3d: Tensor, target: FitTarget) -> tuple[Tensor, Tensor]:
    """``fit_translation`` for keypoints that were made ready once and are fitted often."""
    weight, slopes = target.weight[..., None, :, None], target.slopes[..., None, :, :]
    mean = target.mean[..., None, :]
    depth = joints3d[..., 2:]
    lateral = joints3d[..., :2] - mean[..., None, :] * depth  # the camera turned to look along the mean slope
    weighted_slopes = weight * slopes
    spread = (weighted_slopes * slopes).sum((-2, -1))[..., None]
    transl_z = (weighted_slopes * (lateral - slopes * depth)).sum((-2, -1))[..., None] / spread
    transl_xy = (weighted_slopes * depth - weight * lateral).sum(-2) / weight.sum(-2)
    transl = torch.cat([transl_xy + mean * transl_z, transl_z], dim=-1)
    usable = target.usable[..., None]
    transl = torch.where(usable[..., None], transl, 0.0)
    placed = joints3d + transl[..., None, :]
    in_front = (placed[..., 2] > 0).all(-1) & usable
    placed = torch.where(in_front[..., None, None], placed, 1.0)
    error = project(placed, target.focal_length, (0.0, 0.0)) - target.offsets[..., None, :, :]
    loss = (weight * error.square()).sum((-2, -1))
    return transl, loss.masked_fill(~in_front, torch.inf)


def usable_keypoints(keypoints2d: Tensor) -> Tensor:
    """Which samples determine a fit: (..., K, 3) -> (...) bool.

    True where at least ``MIN_KEYPOINTS`` keypoints are present, they are spread by at least ``MIN_SPREAD`` pixels
    (weighted root mean square), and every confidence and every present coordinate is finite, no confidence negative.
    """
    confidence = keypoints2d[..., 2]
    present = confidence != 0
    sound = (keypoints2d[..., :2].isfinite().all(-1) | ~present) & confidence.isfinite() & (confidence >= 0)
    enough = (present & sound).sum(-1) >= MIN_KEYPOINTS
    ok = sound.all(-1) & enough
    weight = torch.where(present & sound, confidence, 0.0)
    points = torch.where((weight > 0)[..., None], keypoints2d[..., :2], 0.0)
    total = weight.sum(-1).clamp(min=torch.finfo(weight.dtype).tiny)
    centred = points - _weighted_mean(points, weight)[..., None, :]
    mean_square = (weight[..., None] * centred.square()).sum((-2, -1)) / total
    return ok & (mean_square >= MIN_SPREAD**2) & mean_square.isfinite()


def _weighted_mean(points: Tensor, weight: Tensor) -> Tensor:
    """(..., K, 2), (..., K) -> (..., 2)."""
    total = weight.sum(-1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)
    return (weight[..., None] * points).sum(-2) / total
