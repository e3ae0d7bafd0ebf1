"""The errors of 2D keypoint detectors, drawn for many bodies at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mion_plugin.geometry.keypoints import flip_permutation, keypoint_names
from mion_plugin.synthesis.detections import HIDDEN_FACTOR

_TAIL_FACTOR = 5.0  # of the noise of a keypoint that is badly off
_MISSED = 0.25  # share of the keypoints that a detector which misses some does not give
_UPPER = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip_extra", "right_hip_extra"),
)
_LEGS = ("hip", "knee", "ankle")
# Limbs of the coco convention that hide keypoints behind them: two ends and a radius in metres.
_CAPSULES = (
    (("left_shoulder", "right_hip_extra"), 0.13),
    (("right_shoulder", "left_hip_extra"), 0.13),
    (("left_shoulder", "left_hip_extra"), 0.12),
    (("right_shoulder", "right_hip_extra"), 0.12),
    (("left_ear", "right_ear"), 0.11),
    (("left_shoulder", "left_elbow"), 0.065),
    (("right_shoulder", "right_elbow"), 0.065),
    (("left_elbow", "left_wrist"), 0.05),
    (("right_elbow", "right_wrist"), 0.05),
    (("left_hip_extra", "left_knee"), 0.09),
    (("right_hip_extra", "right_knee"), 0.09),
    (("left_knee", "left_ankle"), 0.065),
    (("right_knee", "right_ankle"), 0.065),
)
_LEAST_BEHIND = 0.06  # metres; a keypoint that lies in a limb is not behind it


@dataclass(frozen=True)
class DetectorErrors:
    """How wrong detected keypoints are; pixels of the crop.

    Attributes:
        noise: Median standard deviation of a visible keypoint; hidden ones have twice that.
        noise_spread: Standard deviation of its logarithm among people.
        tail_prob: Probability that a keypoint is off five times as much.
        missing_prob: Probability that of a person a quarter of the keypoints is missing.
        swap_prob: Probability that left and right are exchanged, of all keypoints or of the legs alone.
        half_prob: Probability that the crop shows the upper body alone.
        blind_prob: Probability that confidences tell nothing of what is hidden.
    """

    noise: float = 1.4
    noise_spread: float = 0.4
    tail_prob: float = 0.02
    missing_prob: float = 0.15
    swap_prob: float = 0.02
    half_prob: float = 0.1
    blind_prob: float = 0.3

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError naming the setting."""
        for name, value in vars(self).items():
            if name.endswith("_prob") and not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}, expected 0 to 1")
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} is {value}, expected a number not below 0")

    def frame(self, count: int, convention: str, generator: torch.Generator) -> Tensor:
        """(count, K) bool, the keypoints that a person's box is drawn around: all, or those of the upper body."""
        upper = torch.tensor([name in _UPPER for name in keypoint_names(convention)])
        half = torch.rand(count, generator=generator) < self.half_prob
        return upper | ~half[:, None]

    def detect(
        self, points: Tensor, hidden: Tensor, image_size: int, convention: str, generator: torch.Generator | None
    ) -> Tensor:
        """(n, K, 3) x, y in pixels and confidence of true pixels (n, K, 2); zeros where none is found.

        Args:
            points: True pixels.
            hidden: (n, K) bool.
            image_size: Side of the crop; what falls outside is not found.
            convention: Order of the keypoints.
            generator: Source of the errors; None for torch's global one.
        """
        count, num_keypoints = hidden.shape

        def chance(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator)

        unknown = chance(count, num_keypoints) < 0.3
        hidden = torch.where(chance(count, 1) < self.blind_prob, unknown, hidden)
        spread = self.noise * (self.noise_spread * torch.randn(count, 1, generator=generator)).exp()
        spread = spread * torch.where(hidden, HIDDEN_FACTOR, 1.0)
        spread = spread * torch.where(chance(count, num_keypoints) < self.tail_prob, _TAIL_FACTOR, 1.0)
        moved = points + spread[..., None] * torch.randn(points.shape, generator=generator)
        confidence = torch.where(hidden, 0.3, 0.7) + 0.3 * chance(count, num_keypoints)
        found = ((moved >= 0) & (moved < image_size)).all(dim=-1)
        found &= (chance(count, 1) >= self.missing_prob) | (chance(count, num_keypoints) >= _MISSED)
        keypoints = torch.cat([moved, confidence[..., None]], dim=-1) * found[..., None]
        return self._swap(keypoints, convention, generator)

    def _swap(self, keypoints: Tensor, convention: str, generator: torch.Generator | None) -> Tensor:
        mirrored = torch.tensor(flip_permutation(convention))
        own = torch.arange(len(mirrored))
        below = torch.tensor([any(joint in name for joint in _LEGS) for name in keypoint_names(convention)])
        kind = torch.rand(len(keypoints), generator=generator) / max(self.swap_prob, 1e-12)
        index = torch.where((kind < 0.5)[:, None], mirrored, own)
        index = torch.where(((kind >= 0.5) & (kind < 1.0))[:, None] & below, mirrored, index)
        return keypoints.gather(1, index[..., None].expand_as(keypoints))


def hidden_by_limbs(keypoints3d: Tensor, slopes: Tensor) -> Tensor:
    """Which keypoints lie behind a limb, limbs being capsules between keypoints of the coco convention.

    What the z-buffer of a picture tells, without a picture: ``visible_keypoints``.

    Args:
        keypoints3d: (n, 17, 3) metres, camera frame.
        slopes: (n, 17, 2) their x / z and y / z.

    Returns:
        (n, 17) bool.
    """
    names = keypoint_names("coco")
    hidden = torch.zeros(keypoints3d.shape[:2], dtype=torch.bool, device=keypoints3d.device)
    depth = keypoints3d[..., 2]
    for ends, radius in _CAPSULES:
        start, end = (names.index(name) for name in ends)
        along = slopes[:, end] - slopes[:, start]
        offset = slopes - slopes[:, start, None]
        share = (offset * along[:, None]).sum(-1) / along.square().sum(-1).clamp(min=1e-12)[:, None]
        share = share.clamp(0.0, 1.0)
        beside = (offset - share[..., None] * along[:, None]).norm(dim=-1)
        limb_depth = depth[:, start, None] + share * (depth[:, end] - depth[:, start])[:, None]
        behind = (beside * limb_depth < radius) & (depth > limb_depth + _LEAST_BEHIND)
        behind[:, [start, end]] = False
        hidden |= behind
    ears = depth[:, [names.index("left_ear"), names.index("right_ear")]]
    far = ears > ears.flip(1) + _LEAST_BEHIND  # the head is between them
    hidden[:, [names.index("left_ear"), names.index("right_ear")]] |= far
    return hidden
