"""Shaded pictures of meshes, to be laid over a photograph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from mion_plugin.rendering.interpolation import interpolate, silhouette
from mion_plugin.rendering.rasterizer import Fragments, parse_image_size, per_sample_intrinsics, rasterize

# Camera frame: x right, y down, z forward. The key light stands above the camera's left shoulder.
_TO_KEY_LIGHT = (-0.45, -0.6, -0.66)
_TO_CAMERA = (0.0, 0.0, -1.0)
_UP = (0.0, -1.0, 0.0)
# Shares of the lights; a surface that faces all of them comes out at just about 1.
_AMBIENT, _SKY, _KEY, _HEADLIGHT = 0.28, 0.16, 0.46, 0.28

DEFAULT_COLOR = (0.65, 0.74, 0.86)  # a light steel blue, unlike skin, clothes and grass


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals at the vertices, averaged over the adjacent faces weighted by area.

    Args:
        vertices: (B, V, 3).
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.

    Returns:
        (B, V, 3), pointing outwards; 0 at vertices without a face of positive area.
    """
    faces = faces.to(vertices.device, torch.int64)
    a, b, c = (vertices.index_select(1, corner) for corner in faces.unbind(1))
    face_normals = torch.linalg.cross(b - a, c - a, dim=-1)
    normals = torch.zeros_like(vertices)
    for corner in faces.unbind(1):
        normals = normals.index_add(1, corner, face_normals)
    # The normals' length is twice an area in square metres: far below normalize's default floor for small faces.
    return normalize(normals, dim=-1, eps=1e-20)


def light(normals: Tensor) -> Tensor:
    """Brightness (..., 1) of a matt surface with unit normals (..., 3) in the camera frame.

    Ambient light that is stronger from above, one directional light and a weak one at the camera.
    """
    key, camera, up = normals.new_tensor([_TO_KEY_LIGHT, _TO_CAMERA, _UP])
    key = normalize(key, dim=0)
    sky = 0.5 + 0.5 * (normals @ up)
    brightness = (
        _AMBIENT + _SKY * sky + _KEY * (normals @ key).clamp(min=0) + _HEADLIGHT * (normals @ camera).clamp(min=0)
    )
    return brightness[..., None]


@torch.no_grad()
def shade(
    vertices: Tensor,
    faces: Tensor,
    focal_length: float | Tensor,
    principal_point: Sequence[float] | Tensor,
    image_size: int | tuple[int, int],
    *,
    color: Sequence[float] | Tensor = DEFAULT_COLOR,
    supersample: int = 2,
    backend: str = "auto",
) -> Tensor:
    """Render meshes with smooth shading.

    Args:
        vertices: (B, V, 3) in the camera frame, metres.
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
        focal_length: As in ``rasterize``.
        principal_point: Likewise.
        image_size: Likewise.
        color: RGB in 0..1: one colour (3,), one per vertex (V, 3), or one per vertex and sample (B, V, 3).
        supersample: Samples per pixel and axis; 2 or more give smooth edges.
        backend: As in ``rasterize``.

    Returns:
        (B, 4, H, W) float32 in 0..1: red, green, blue, and alpha, the covered share of the pixel. Colour is not
        multiplied by alpha, and 0 where alpha is 0. Lay it over a photograph with ``composite``.

    Raises:
        ValueError: As ``rasterize``; or `color` has another shape; or `supersample` is below 1.
    """
    if supersample < 1:
        raise ValueError(f"supersample must be at least 1, got {supersample}")
    height, width = parse_image_size(image_size)
    focal, point = per_sample_intrinsics(focal_length, principal_point, vertices)
    batch = len(vertices)
    fragments = rasterize(
        vertices,
        faces,
        (focal * supersample).expand(batch, 2),
        (point * supersample).expand(batch, 2),
        (height * supersample, width * supersample),
        backend=backend,
    )
    # Normals, not brightness, are interpolated: lights stay round across large faces.
    normals = interpolate(fragments, faces, vertex_normals(vertices.float(), faces))
    brightness = light(normalize(normals.permute(0, 2, 3, 1), dim=-1)).permute(0, 3, 1, 2)
    alpha = silhouette(fragments)
    rgb = (_albedo(fragments, faces, vertices, color) * brightness).clamp(max=1) * alpha
    premultiplied = avg_pool2d(torch.cat([rgb, alpha], dim=1), supersample)
    rgb, alpha = premultiplied[:, :3], premultiplied[:, 3:]
    return torch.cat([rgb / alpha.clamp(min=0.5 / supersample**2), alpha], dim=1)


def _albedo(fragments: Fragments, faces: Tensor, vertices: Tensor, color: Sequence[float] | Tensor) -> Tensor:
    """Colour of the surface, (B or 1, 3, H or 1, W or 1)."""
    color = torch.as_tensor(color, dtype=torch.float32, device=vertices.device)
    batch, count = vertices.shape[:2]
    if tuple(color.shape) == (3,):
        return color.view(1, 3, 1, 1)
    if tuple(color.shape) not in {(count, 3), (batch, count, 3), (1, count, 3)}:
        raise ValueError(f"color must be (3,), ({count}, 3) or ({batch}, {count}, 3), got {tuple(color.shape)}")
    return interpolate(fragments, faces, color.view(-1, count, 3))


def composite(rgba: Tensor, image: Tensor, opacity: float = 1.0) -> Tensor:
    """Lay a picture over another.

    Args:
        rgba: (B, 4, H, W) from ``shade``.
        image: (B or 1, 3, H, W) RGB in 0..1.
        opacity: Of the covered parts, in 0..1.

    Returns:
        (B, 3, H, W) RGB in 0..1.
    """
    alpha = rgba[:, 3:] * opacity
    return rgba[:, :3] * alpha + image * (1 - alpha)
