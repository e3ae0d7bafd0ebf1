"""The crop's camera as the transformer sees it: projection, and translations from what the network predicts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE, project, weak_perspective_to_translation

# Nearer points are projected as if at this depth, metres, so that a body that a young network throws before the camera
# gives a large finite loss. Bodies that fill a crop stand at 2 f / size, about 45 m.
NEAREST = 0.5
MEAN_SCALE = 0.9  # weak-perspective scale that absolute predictions start from: SPIN's mean camera


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


def moved_translation(shift: Tensor, transl: Tensor, pelvis: Tensor, camera: CropCamera) -> Tensor:
    """A translation changed in the image and in depth independently of each other.

    The pelvis moves by ``shift[..., :2]`` in normalised coordinates, and its depth is multiplied by
    exp(``shift[..., 2]``). No shift returns ``transl`` bit for bit.

    Args:
        shift: (..., 3).
        transl: (..., 3) metres.
        pelvis: (..., 3) metres, the pelvis joint of the body at ``transl``.
        camera: The crop's camera.

    Returns:
        (..., 3) metres.
    """
    change = torch.expm1(shift[..., 2:])
    depth = pelvis[..., 2:] * (1.0 + change)
    in_image = shift[..., :2] * depth / camera.normalized_focal_length
    return transl + torch.cat([pelvis[..., :2] * change + in_image, pelvis[..., 2:] * change], dim=-1)


def absolute_translation(raw: Tensor, camera: CropCamera) -> Tensor:
    """Translation of a weak-perspective camera (s, tx, ty) = (0.9 exp(raw_0), raw_1, raw_2); tz = 2 f / (size s)."""
    weak_perspective = torch.cat([MEAN_SCALE * raw[..., :1].exp(), raw[..., 1:]], dim=-1)
    return weak_perspective_to_translation(weak_perspective, camera.focal_length, camera.image_size)
