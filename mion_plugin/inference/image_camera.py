"""From the crop's camera to a camera of the whole image.

A crop pixel is (image pixel - center) * size / side + size / 2. So the crop's camera, with focal length f and principal
point (size / 2, size / 2), sees what a camera of the image sees with focal length f * side / size and principal point
``center``: ``equivalent_camera``. That is exact; bodies keep their translation, and each person has its own camera.

People share one frame only under one camera, ordinarily with the image's middle as principal point and a shorter focal
length. No translation makes a body look exactly the same under that one, since it is seen from nearer and aslant.
``fit_to_camera`` finds the translation by stage 1's closed form (``fit_translation``) on the body's own vertices, and
tells how far the two projections lie apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mion_plugin.candidates.fit import fit_translation
from mion_plugin.geometry.camera import project
from mion_plugin.inference.cropping import CropPlace


@dataclass(frozen=True)
class PinholeCamera:
    """A pinhole camera; x right, y down, z into the scene.

    Attributes:
        focal_length: Pixels.
        principal_point: x, y in pixels.
    """

    focal_length: float
    principal_point: tuple[float, float]

    def project(self, points: Tensor) -> Tensor:
        """Pixels (..., 2) of points (..., 3) in metres before the camera."""
        return project(points, self.focal_length, self.principal_point)


def equivalent_camera(place: CropPlace, focal_length: float, image_size: float) -> PinholeCamera:
    """The image's camera that sees what the crop's camera sees; see the module.

    Args:
        place: The crop.
        focal_length: Pixels of the crop at ``image_size``.
        image_size: Pixels, side of the crop as the network sees it.
    """
    x, y = place.center.tolist()
    return PinholeCamera(focal_length * place.side / image_size, (x, y))


def image_camera(height: int, width: int, focal_length: float | None = None) -> PinholeCamera:
    """A camera that looks through the middle of the image.

    Args:
        height: Pixels.
        width: Pixels.
        focal_length: Pixels; None for the image's diagonal, CLIFF's guess for an unknown camera (Li et al., 2022).

    Raises:
        ValueError: The focal length is not positive.
    """
    if focal_length is None:
        focal_length = float(np.hypot(height, width))
    if not 0 < focal_length < np.inf:
        raise ValueError(f"image_focal_length is {focal_length}, expected a positive number of pixels")
    return PinholeCamera(float(focal_length), (width / 2, height / 2))


def fit_to_camera(
    vertices: Tensor, transl: Tensor, source: PinholeCamera, target: PinholeCamera
) -> tuple[Tensor, Tensor]:
    """Place bodies before another camera where they look most as before the first.

    Args:
        vertices: (N, V, 3) metres before ``source``, translation included.
        transl: (N, 3) that translation.
        source: A camera of the image.
        target: Another one.

    Returns:
        Translations (N, 3) before ``target``, in metres, and the root mean square distance (N,) of the vertices'
        projections in pixels; infinite where no translation brings the body before the camera.
    """
    vertices, transl = vertices.double(), transl.double()
    pixels = source.project(vertices)
    keypoints2d = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    at_origin = (vertices - transl[:, None])[:, None]
    fitted, loss = fit_translation(at_origin, keypoints2d, target.focal_length, target.principal_point)
    return fitted[:, 0], (loss[:, 0] / vertices.shape[1]).sqrt()
