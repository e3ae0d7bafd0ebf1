"""The part of a crop that a body covers, enlarged: the same picture through a camera with a longer focal length."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from mion_plugin.geometry.crop_camera import CropCamera

_MARGIN = 1.15  # of the box: the true body sticks out of a wrong one
_SMALLEST, _LARGEST = 0.05, 2.0  # half crops; a body may lie in a single point, or far outside


@dataclass(frozen=True)
class BodyBoxes:
    """Square boxes around S projected bodies.

    Attributes:
        centre: (S, 2) normalised crop coordinates; see ``CropCamera``.
        half_side: (S,) likewise; 1 for the whole crop.
    """

    centre: Tensor
    half_side: Tensor

    def intrinsics(self, camera: CropCamera) -> tuple[Tensor, Tensor]:
        """Focal lengths (S,) and principal points (S, 2) in pixels of pictures that show the boxes.

        The pictures have the crop's number of pixels.
        """
        focal_length = camera.focal_length / self.half_side
        principal_point = (1.0 - self.centre / self.half_side[:, None]) * (camera.image_size / 2.0)
        return focal_length, principal_point

    def crop(self, image: Tensor) -> Tensor:
        """What S images (S, C, H, W) show in the boxes, bilinear, at their own size; zero outside the image."""
        samples, channels, height, width = image.shape
        if not samples:  # which torch's affine_grid does not take
            return image
        affine = image.new_zeros(samples, 2, 3)
        affine[:, 0, 0] = affine[:, 1, 1] = self.half_side.to(image)
        affine[:, :, 2] = self.centre.to(image)
        grid = functional.affine_grid(affine, [samples, channels, height, width], align_corners=False)
        return functional.grid_sample(image, grid, padding_mode="zeros", align_corners=False)


def body_boxes(vertices: Tensor, camera: CropCamera) -> BodyBoxes:
    """Boxes around S bodies (S, V, 3) in the camera frame, metres, with a margin."""
    points = camera.project_normalized(vertices).clamp(-_LARGEST, _LARGEST)
    low, high = points.amin(dim=1), points.amax(dim=1)
    half_side = _MARGIN * (high - low).amax(dim=1) / 2.0
    return BodyBoxes((low + high) / 2.0, half_side.clamp(_SMALLEST, _LARGEST))
