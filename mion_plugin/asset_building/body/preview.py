"""Pictures of a body for the builder's eye: the T-pose from three sides, and its first shape directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import roma
import torch
from PIL import Image

from mion_plugin.body.arrays import BodyArrays
from mion_plugin.files.atomic import atomic_path
from mion_plugin.rendering.shading import composite, shade

TILE = (320, 320)  # pixels, height and width
FOCAL_LENGTH = 800.0
DISTANCE = 6.0  # metres; with the focal length above, 2.4 m fill a tile
VIEWS = (0.0, -90.0, 180.0)  # degrees about the vertical axis: front, side, back
PREVIEW_BETAS = 3


def preview_sheet(body: BodyArrays) -> np.ndarray:
    """RGB uint8 picture: a row of views of the mean body, then one row per direction with betas -2, 0 and 2."""
    rows = [np.concatenate([_tile(body.v_template, body.faces, view) for view in VIEWS], axis=1)]
    for index in range(PREVIEW_BETAS):
        shapes = [body.v_template + beta * body.shapedirs[..., index] for beta in (-2.0, 0.0, 2.0)]
        rows.append(np.concatenate([_tile(shape, body.faces, 30.0) for shape in shapes], axis=1))
    return np.concatenate(rows, axis=0)


def _tile(vertices: np.ndarray, faces: np.ndarray, view: float) -> np.ndarray:
    turn = roma.rotvec_to_rotmat(torch.tensor([0.0, np.radians(view), 0.0], dtype=torch.float32))
    points = torch.from_numpy(vertices.astype(np.float32)) @ turn.T
    middle = 0.5 * (points.amin(0) + points.amax(0))
    camera = (points - middle) * torch.tensor([1.0, -1.0, -1.0]) + torch.tensor([0.0, 0.0, DISTANCE])
    height, width = TILE
    rgba = shade(camera[None], torch.from_numpy(faces), FOCAL_LENGTH, (width / 2, height / 2), TILE)
    picture = composite(rgba, torch.ones(1, 3, height, width))[0]
    return (picture.permute(1, 2, 0).clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).numpy()


def save_preview(body: BodyArrays, path: Path) -> None:
    """Write ``preview_sheet`` as a PNG."""
    with atomic_path(path) as temporary:
        Image.fromarray(preview_sheet(body)).save(temporary)
