"""The pinhole camera of a square crop, which all three stages share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE, project

# Nearer points are projected as if at this depth, metres, so that a body that a young network throws before the camera
# gives a large finite loss. Bodies that fill a crop stand at 2 f / size, about 45 m.
NEAREST = 0.5


@dataclass(frozen=True)
class CropCamera:
    """A pinhole camera whose principal point is the middle of a square crop.

    Normalised coordinates: -1 at the left or top border of the crop, 1 at the right or bottom one. A point at
    x = 168 px of a 224 px crop is at 0.5.

    Attributes:
        focal_length: Pixels of the crop.
        image_size: Pixels, side of the crop. The network's image may be another resolution of the same crop.
    """

    focal_length: float = FOCAL_LENGTH
    image_size: int = IMAGE_SIZE

    def __post_init__(self) -> None:
        for name, value in (("focal_length", self.focal_length), ("image_size", self.image_size)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}, expected a positive finite number of pixels")

    @property
    def normalized_focal_length(self) -> float:
        """Focal length in half crops."""
        return 2.0 * self.focal_length / self.image_size

    @property
    def principal_point(self) -> tuple[float, float]:
        """Pixels."""
        return self.image_size / 2.0, self.image_size / 2.0

    def project_normalized(self, points: Tensor) -> Tensor:
        """Normalised coordinates (..., 2) of camera-frame points (..., 3) in metres; see ``NEAREST``."""
        in_front = torch.cat([points[..., :2], points[..., 2:].clamp(min=NEAREST)], dim=-1)
        return project(in_front, self.normalized_focal_length, (0.0, 0.0))

    def normalize(self, pixels: Tensor) -> Tensor:
        """Normalised coordinates of crop pixels (..., 2)."""
        return pixels / (self.image_size / 2.0) - 1.0

    def embed(self, pelvis: Tensor) -> Tensor:
        """Numbers near 0 that tell where a pelvis (..., 3) is: normalised x and y, and the log of its depth.

        The depth is relative to where a body of 2 m fills the crop.
        """
        log_depth = (pelvis[..., 2:].clamp(min=NEAREST) / self.normalized_focal_length).log()
        return torch.cat([self.project_normalized(pelvis), log_depth], dim=-1)
