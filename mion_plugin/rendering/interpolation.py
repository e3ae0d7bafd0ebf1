"""Images from rasterised fragments: vertex attributes, face labels, silhouettes.

All of them touch covered pixels only: at 224 x 224 a body covers a tenth of the image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mion_plugin.rendering.rasterizer import Fragments


def interpolate(fragments: Fragments, faces: Tensor, attributes: Tensor, background: float = 0.0) -> Tensor:
    """Interpolate vertex attributes at every covered pixel, perspective-correct.

    Differentiable in `attributes`.

    Args:
        fragments: Of a batch of B images.
        faces: (F, 3) vertex indices, those that were rasterised.
        attributes: (B, V, C) float per vertex, or (1, V, C) for the same ones in every image.
        background: Value of pixels that see no face.

    Returns:
        (B, C, H, W) in the dtype of `attributes`.

    Raises:
        ValueError: `attributes` has another shape.
    """
    batch, height, width = fragments.face_index.shape
    if attributes.dim() != 3 or attributes.shape[0] not in {1, batch}:
        raise ValueError(f"attributes must be ({batch} or 1, V, C), got {tuple(attributes.shape)}")
    channels = attributes.shape[2]
    pixel, face = _covered(fragments)
    image = pixel // (height * width)
    weights = fragments.barycentric.view(-1, 3).index_select(0, pixel).to(attributes.dtype)
    faces = faces.to(face.device, torch.int64)
    if attributes.shape[0] == 1:
        # One table of the corners' attributes for the whole batch: one row to gather per pixel instead of three.
        corners = attributes[0][faces].flatten(1).index_select(0, face)
    else:
        vertex = faces.index_select(0, face) + (image * attributes.shape[1])[:, None]
        corners = attributes.reshape(-1, channels).index_select(0, vertex.flatten())
    a, b, c = corners.view(-1, 3, channels).unbind(1)
    # Written out: as a matrix product, autocast would round the values to half precision.
    values = a * weights[:, :1] + b * weights[:, 1:2] + c * weights[:, 2:]
    # Channel c of a pixel lies c planes further on, and the pixels of image b after b * channels planes.
    first_plane = pixel + image * ((channels - 1) * height * width)
    plane = torch.arange(channels, device=pixel.device) * (height * width)
    canvas = attributes.new_full((batch * channels * height * width,), background)
    canvas = canvas.index_copy_(0, (first_plane[:, None] + plane).flatten(), values.flatten())
    return canvas.view(batch, channels, height, width)


def silhouette(fragments: Fragments) -> Tensor:
    """(B, 1, H, W) float32, 1 where a face is seen and 0 elsewhere."""
    return fragments.mask[:, None].float()


def face_map(fragments: Fragments, face_values: Tensor, background: float = -1) -> Tensor:
    """Give every pixel the value of the face it sees, e.g. a part label per face.

    Args:
        fragments: Of a batch of B images.
        face_values: (F,) of any dtype.
        background: Value of pixels that see no face.

    Returns:
        (B, H, W) in the dtype of `face_values`.

    Raises:
        ValueError: `face_values` is not one-dimensional.
    """
    if face_values.dim() != 1:
        raise ValueError(f"face_values must be (F,), got {tuple(face_values.shape)}")
    pixel, face = _covered(fragments)
    return _paint(fragments, pixel, face_values[face], background)


def vertex_label_map(fragments: Fragments, faces: Tensor, vertex_labels: Tensor, background: float = -1) -> Tensor:
    """Give every pixel the label of its face's vertex with the largest weight (labels cannot be averaged).

    Args:
        fragments: Of a batch of B images.
        faces: (F, 3) vertex indices, those that were rasterised.
        vertex_labels: (V,) of any dtype, e.g. the joint that moves each vertex most.
        background: Value of pixels that see no face.

    Returns:
        (B, H, W) in the dtype of `vertex_labels`.

    Raises:
        ValueError: `vertex_labels` is not one-dimensional.
    """
    if vertex_labels.dim() != 1:
        raise ValueError(f"vertex_labels must be (V,), got {tuple(vertex_labels.shape)}")
    pixel, face = _covered(fragments)
    corner = fragments.barycentric.reshape(-1, 3)[pixel].argmax(dim=1)
    vertex = faces.to(face.device)[face, corner]
    return _paint(fragments, pixel, vertex_labels[vertex], background)


def _covered(fragments: Fragments) -> tuple[Tensor, Tensor]:
    """Flat indices (N,) of the covered pixels, and the face (N,) each one sees."""
    face_index = fragments.face_index.flatten()
    pixel = (face_index >= 0).nonzero().flatten()
    return pixel, face_index[pixel]


def _paint(fragments: Fragments, pixel: Tensor, values: Tensor, background: float) -> Tensor:
    shape = fragments.face_index.shape
    image = torch.full((shape.numel(),), background, dtype=values.dtype, device=values.device)
    return image.index_copy_(0, pixel, values).view(shape)
