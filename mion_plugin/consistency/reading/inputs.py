"""What the depth reader sees in training: keypoints that are a little wrong, or absent; pictures that may be grey."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class ReadingInputs:
    """How often the inputs of a training sample are which, each drawn by itself.

    Attributes:
        detected: Share of images with the keypoints that stage 1 sees; the others get true ones moved by noise, since
            the keypoints that are read at in the end are those of bodies, which miss the person by some pixels.
        noise: Largest standard deviation of that noise, as a share of the crop's side; each image's is uniform from 0.
            Refined bodies miss detected keypoints by about 0.05.
        drop: Probability of a keypoint to be absent.
        drop_all: Probability that all are, so that the picture must be read.
        grey: Probability of a grey picture, so that the stated errors tell how much the picture is worth.
    """

    detected: float = 1 / 3
    noise: float = 0.05
    drop: float = 0.05
    drop_all: float = 0.2
    grey: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError naming the setting."""
        for setting in fields(self):
            value = getattr(self, setting.name)
            if not 0 <= value <= 1:
                raise ValueError(f"{setting.name} is {value}, expected 0 to 1")


def draw_keypoints(
    detected: Tensor,
    annotated: Tensor,
    image_size: float,
    settings: ReadingInputs,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Keypoints (B, K, 3) to read at; those that the noise moves out of the crop are absent, as those of bodies are.

    Args:
        detected: (B, K, 3) crop pixels and confidence, what stage 1 sees.
        annotated: (B, K, 3) true ones, in the same order.
        image_size: Side of the crop in pixels.
        settings: How often and how much.
        generator: A CPU generator, so that every device draws the same; None for torch's global one.
    """
    device, (batch, count) = detected.device, detected.shape[:2]

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator).to(device)

    spread = settings.noise * image_size * uniform(batch, 1, 1)
    moved = annotated[..., :2] + spread * torch.randn(batch, count, 2, generator=generator).to(device)
    inside = ((moved >= 0) & (moved <= image_size)).all(dim=-1, keepdim=True) & (annotated[..., 2:] > 0)
    noisy = torch.cat([moved, inside.to(moved)], dim=-1)
    drawn = torch.where(uniform(batch, 1, 1) < settings.detected, detected, noisy)
    dropped = (uniform(batch, count, 1) < settings.drop) | (uniform(batch, 1, 1) < settings.drop_all)
    return torch.where(dropped, 0.0, drawn)


def draw_grey(image: Tensor, settings: ReadingInputs, generator: torch.Generator | None = None) -> Tensor:
    """Images (B, 3, H, W), some of them all zeros: after ``mion.Normalize``, ImageNet's mean grey."""
    grey = torch.rand(len(image), 1, 1, 1, generator=generator).to(image.device) < settings.grey
    return torch.where(grey, 0.0, image)
