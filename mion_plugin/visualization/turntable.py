"""A body that turns: pictures from all around, and a GIF of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mion_plugin.files.images import write_image
from mion_plugin.rendering.shading import composite, shade

_BACKGROUND = 248  # grey value
_FILL = 0.9  # share of the picture that the body's circle takes
_DISTANCE = 10.0  # of the camera, in radii of the body: nearly without perspective


def draw_turntable(
    vertices: Tensor, faces: Tensor, color: Sequence[float] | Tensor, num_pictures: int = 24, size: int = 320
) -> list[np.ndarray]:
    """Pictures of a body that makes one turn about its vertical axis, beginning as the camera sees it.

    Its left hand side, as seen in the image, first comes nearer.

    Args:
        vertices: (V, 3) metres, camera frame (y down).
        faces: (F, 3).
        color: RGB in 0..1, of the body (3,) or of each vertex (V, 3).
        num_pictures: At least 1.
        size: Side of the pictures in pixels.

    Returns:
        ``num_pictures`` times (size, size, 3) uint8.

    Raises:
        ValueError: ``num_pictures`` or ``size`` is below 1.
    """
    if num_pictures < 1 or size < 1:
        raise ValueError(f"num_pictures is {num_pictures} and size {size}, expected at least 1")
    vertices = vertices.float().cpu()
    centred = vertices - (vertices.amin(0) + vertices.amax(0)) / 2.0
    radius = float(centred.norm(dim=-1).max())
    ground = torch.full((1, 3, size, size), _BACKGROUND / 255.0)
    focal_length = _FILL * size / 2.0 * (_DISTANCE - 1.0)  # the nearest part of the circle just fits
    pictures = []
    for angle in (2.0 * torch.pi * torch.arange(num_pictures) / num_pictures).tolist():
        cosine, sine = np.cos(angle), np.sin(angle)
        x, y, z = centred.unbind(-1)
        turned = torch.stack([cosine * x - sine * z, y, sine * x + cosine * z], dim=-1)
        turned[:, 2] += _DISTANCE * radius
        rgba = shade(turned[None], faces.cpu(), focal_length, (size / 2, size / 2), size, color=color)
        pictures.append((composite(rgba, ground)[0].permute(1, 2, 0) * 255.0).round().byte().numpy())
    return pictures


def save_gif(path: str | os.PathLike[str], pictures: Sequence[np.ndarray], seconds: float = 3.0) -> None:
    """Write pictures (H, W, 3) uint8 as a GIF that runs forever, ``seconds`` a round; the file is whole or absent.

    Raises:
        ValueError: No pictures, or no time for them.
    """
    if not pictures or not seconds > 0:
        raise ValueError(f"{len(pictures)} pictures in {seconds} seconds, expected one at least and a positive time")
    images = [Image.fromarray(picture) for picture in pictures]
    duration = max(20, round(1000.0 * seconds / len(images)))  # browsers slow down what is faster than 20 ms
    write_image(images[0], path, save_all=True, append_images=images[1:], duration=duration, loop=0)
