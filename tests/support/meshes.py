"""Small scenes for the rasteriser's tests."""

from __future__ import annotations

import math

import torch
from torch import Tensor

PIXEL_CAMERA = {"focal_length": 1.0, "principal_point": (0.0, 0.0)}  # a vertex (x, y, 1) falls on pixel (x, y)


def at_depth(pixels: list[tuple[float, float]], depth: list[float]) -> Tensor:
    """(V, 3) vertices that fall on the given pixels under ``PIXEL_CAMERA``."""
    z = torch.tensor(depth, dtype=torch.float32)[:, None]
    return torch.cat([torch.tensor(pixels) * z, z], dim=1)


def ellipsoid(rows: int = 12, columns: int = 18) -> tuple[Tensor, Tensor]:
    """A closed unit sphere: vertices (V, 3) and faces (F, 3), counter-clockwise seen from outside."""
    polar = torch.linspace(0, math.pi, rows + 1)[1:-1]
    around = torch.arange(columns) * (2 * math.pi / columns)
    ring = torch.stack([around.cos(), torch.zeros(columns), around.sin()], dim=-1)
    middle = ring * polar.sin()[:, None, None] + torch.tensor([0.0, 1.0, 0.0]) * polar.cos()[:, None, None]
    vertices = torch.cat([torch.tensor([[0.0, 1, 0]]), middle.reshape(-1, 3), torch.tensor([[0.0, -1, 0]])])
    faces = []
    for column in range(columns):
        following = (column + 1) % columns
        faces.append((0, 1 + following, 1 + column))
        for row in range(rows - 2):
            first, second = 1 + row * columns, 1 + (row + 1) * columns
            faces.append((first + column, first + following, second + column))
            faces.append((first + following, second + following, second + column))
        last = 1 + (rows - 2) * columns
        faces.append((last + column, last + following, len(vertices) - 1))
    return vertices, torch.tensor(faces)


def limbs(generator: torch.Generator, batch: int, count: int = 6, distance: float = 40.0) -> tuple[Tensor, Tensor]:
    """Bodies of randomly turned and placed ellipsoids that hide one another: (B, V, 3) about 1.5 m high, faces."""
    sphere, faces = ellipsoid()
    radii = 0.08 + torch.rand(batch, count, 1, 3, generator=generator) * torch.tensor([0.15, 0.5, 0.15])
    turn, _ = torch.linalg.qr(torch.randn(batch, count, 3, 3, generator=generator))
    turn = turn * torch.linalg.det(turn)[..., None, None]
    place = (torch.rand(batch, count, 1, 3, generator=generator) - 0.5) * torch.tensor([0.8, 1.2, 0.6])
    vertices = (sphere * radii) @ turn + place + torch.tensor([0.0, 0.0, distance])
    all_faces = torch.cat([faces + index * len(sphere) for index in range(count)])
    return vertices.flatten(1, 2), all_faces


def triangle_soup(generator: torch.Generator, batch: int, count: int, size: float) -> tuple[Tensor, Tensor]:
    """Random triangles under ``PIXEL_CAMERA``, some off a (size x size) image, some behind the camera."""
    depth = torch.rand(batch, count * 3, 1, generator=generator) * 4 - 0.4
    pixels = (torch.rand(batch, count * 3, 2, generator=generator) * 1.6 - 0.3) * size
    vertices = torch.cat([pixels * depth, depth], dim=-1)
    return vertices, torch.arange(count * 3).view(count, 3)
