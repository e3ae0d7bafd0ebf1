"""What the consistency network learns to tell: how far each vertex of a body is from where it should be (eq. 10)."""

from __future__ import annotations

import torch
from torch import Tensor

_UP = 1  # SMPL's rest pose stands along y


def vertex_distance(
    vertices_true: Tensor, vertices: Tensor, pelvis_true: Tensor, pelvis: Tensor, body_height: float
) -> Tensor:
    """Distance of corresponding vertices of two bodies "in a normalized point cloud space" (paper, eq. 10).

    The paper does not say how it normalises. Here both bodies are moved so that their pelvis joints lie at the origin,
    and lengths are divided by the height of the mean shape: a distance of 1 is a body's height. Moving either body,
    its pelvis with it, changes nothing.

    Args:
        vertices_true: (..., V, 3) metres.
        vertices: (..., V, 3) metres; leading dimensions broadcast.
        pelvis_true: (..., 3) metres, SMPL joint 0 of the true body.
        pelvis: (..., 3) metres, of the other.
        body_height: Metres; see ``template_height``.

    Returns:
        (..., V).

    Raises:
        ValueError: The bodies differ in their number of vertices, or the height is not positive.
    """
    if vertices.shape[-2:] != vertices_true.shape[-2:] or vertices.shape[-1] != 3:
        raise ValueError(
            f"vertices_true {tuple(vertices_true.shape)} and vertices {tuple(vertices.shape)}: expected (..., V, 3) "
            "with one V"
        )
    if not 0 < body_height < float("inf"):
        raise ValueError(f"body_height is {body_height}, expected a positive number of metres")
    # the pelvis first: at 45 m before the camera single precision is left with a few micrometres
    difference = (vertices - pelvis[..., None, :]) - (vertices_true - pelvis_true[..., None, :])
    return torch.linalg.vector_norm(difference, dim=-1) / body_height


def template_height(v_template: Tensor) -> float:
    """Height in metres of a body at rest, given its vertices (V, 3)."""
    up = v_template[:, _UP]
    return float(up.max() - up.min())
