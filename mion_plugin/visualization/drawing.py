"""Keypoints and bodies drawn on images; images are (H, W, 3) uint8 RGB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from mion_plugin.geometry.camera import FOCAL_LENGTH
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.rendering.shading import composite, shade

# Bones by joint names, so that one table serves every convention.
_BONES = [
    *((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("hip_extra", "knee"), ("knee", "ankle"),
        ("shoulder", "hip_extra"), ("eye", "ear"),
    )),
    ("left_shoulder", "right_shoulder"), ("left_hip_extra", "right_hip_extra"),
    ("nose", "left_eye"), ("nose", "right_eye"),
]  # fmt: skip
_LEFT, _RIGHT, _MIDDLE = (255, 138, 30), (40, 140, 255), (250, 250, 250)
# Okabe and Ito's colours, told apart also by colour-blind eyes.
CANDIDATE_COLORS = (
    (0.34, 0.71, 0.91),
    (0.90, 0.62, 0.00),
    (0.00, 0.62, 0.45),
    (0.80, 0.47, 0.65),
    (0.94, 0.89, 0.26),
    (0.00, 0.45, 0.70),
    (0.84, 0.37, 0.00),
)
_PALE, _PALE_SHARE = 0.9, 0.75  # the grey of guessed parts, and how much of it their colour holds
_FILL = 0.94  # share of a side view that a body takes at most
_SUPERSAMPLE = 4  # Pillow draws without smoothing, so lines are drawn larger and shrunk


def draw_keypoints(image: np.ndarray, keypoints2d: np.ndarray, convention: str = "coco") -> np.ndarray:
    """Draw a skeleton: the person's left side orange, the right side blue.

    Args:
        image: (H, W, 3) uint8.
        keypoints2d: (K, 3) x, y in pixels and confidence; those of confidence 0 are left out.
        convention: Order of the keypoints.

    Returns:
        A new image.
    """
    height, width = image.shape[:2]
    layer = Image.new("RGBA", (width * _SUPERSAMPLE, height * _SUPERSAMPLE))
    draw = ImageDraw.Draw(layer)
    points = {
        name: tuple(point[:2] * _SUPERSAMPLE)
        for name, point in zip(keypoint_names(convention), keypoints2d, strict=True)
        if point[2] > 0
    }
    unit = _SUPERSAMPLE * max(height, width) / 224.0
    names = keypoint_names(convention)
    for a, b in bones(convention):
        if names[a] in points and names[b] in points:
            draw.line([points[names[a]], points[names[b]]], fill=side_color(names[a], names[b]), width=round(2 * unit))
    for name, (x, y) in points.items():
        radius = 2.6 * unit
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=side_color(name), outline=(20, 20, 20))
    layer = layer.resize((width, height), Image.Resampling.BOX)
    return np.asarray(Image.alpha_composite(Image.fromarray(image).convert("RGBA"), layer).convert("RGB"))


def bones(convention: str) -> list[tuple[int, int]]:
    """The keypoints, as places in a convention, that a skeleton's lines connect."""
    places = {name: index for index, name in enumerate(keypoint_names(convention))}
    return [(places[a], places[b]) for a, b in _BONES if a in places and b in places]


def side_color(*names: str) -> tuple[int, int, int]:
    """RGB of a keypoint or of a line between two: of the left side, of the right one, or of neither."""
    if all(name.startswith("left_") for name in names):
        return _LEFT
    if all(name.startswith("right_") for name in names):
        return _RIGHT
    return _MIDDLE


def overlay_body(
    image: np.ndarray,
    vertices: Tensor,
    faces: Tensor,
    color: Sequence[float] | Tensor,
    focal_length: float = FOCAL_LENGTH,
    opacity: float = 1.0,
) -> np.ndarray:
    """Lay a body over the image it was fitted to.

    Args:
        image: (H, W, 3) uint8; the principal point is its middle.
        vertices: (V, 3) metres, camera frame.
        faces: (F, 3).
        color: RGB in 0..1, of the body (3,) or of each vertex (V, 3).
        focal_length: Pixels of ``image``.
        opacity: Of the body, in 0..1.

    Returns:
        A new image.
    """
    height, width = image.shape[:2]
    rgba = shade(vertices[None].cpu(), faces.cpu(), focal_length, (width / 2, height / 2), (height, width), color=color)
    background = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255.0
    picture = composite(rgba, background, opacity)
    return (picture[0].permute(1, 2, 0) * 255.0).round().byte().numpy()


def surface_colors(color: Sequence[float], guessed: Tensor | None) -> Sequence[float] | Tensor:
    """Colours (V, 3) of a body of one colour whose ``guessed`` (V,) parts are pale; the colour alone if none are."""
    if guessed is None or not guessed.any():
        return color
    plain = torch.tensor(list(color)).expand(len(guessed), 3)
    pale = (1.0 - _PALE_SHARE) * plain + _PALE_SHARE * _PALE
    return torch.where(guessed[:, None], pale, plain)


def turned_aside(vertices: Tensor, zoom: float = 1.0, middle: Tensor | None = None) -> Tensor:
    """A body (V, 3) before the camera, turned about a vertical axis as ``side_view`` shows it.

    Args:
        vertices: (V, 3) metres, camera frame.
        zoom: How many times as far from the camera.
        middle: (3,) of the axis, which comes to the picture's middle; None for that of the body's box.
    """
    middle = (vertices.amin(0) + vertices.amax(0)) / 2.0 if middle is None else middle
    x, y, z = (vertices - middle).unbind(-1)
    return torch.stack([z, y, zoom * middle[2] - x], dim=-1)


def side_zoom(vertices: Tensor, focal_length: float, size: int) -> float:
    """How many times as far away a body must be for a side view of ``size`` pixels to show all of it; at least 1."""
    half = (vertices.amax(0) - vertices.amin(0)) / 2.0
    reach = max(float(half[1]), float(half[2]))
    middle = float(vertices[:, 2].amin() + half[2])
    # the nearest part of the turned body is as near as it is wide
    return max(1.0, (2.0 * focal_length * reach / (_FILL * size) + float(half[0])) / middle)


def side_view(
    vertices: Tensor,
    faces: Tensor,
    color: Sequence[float] | Tensor,
    size: int,
    focal_length: float = FOCAL_LENGTH,
    background: int = 248,
    zoom: float | None = None,
) -> np.ndarray:
    """The body seen from its right of the image, whole, on a plain ground.

    The body is turned by 90 degrees about the vertical axis through its middle: what was near the camera is now on the
    left. It has the scale that it has in the image, or a smaller one if it would be cut.

    Args:
        vertices: (V, 3) metres, camera frame.
        faces: (F, 3).
        color: RGB in 0..1, of the body (3,) or of each vertex (V, 3).
        size: Side of the picture in pixels.
        focal_length: Pixels of a picture of that size.
        background: Grey value.
        zoom: Of ``turned_aside``; None for ``side_zoom`` of this body.
    """
    zoom = side_zoom(vertices, focal_length, size) if zoom is None else zoom
    plain = np.full((size, size, 3), background, np.uint8)
    return overlay_body(plain, turned_aside(vertices, zoom), faces, color, focal_length)
