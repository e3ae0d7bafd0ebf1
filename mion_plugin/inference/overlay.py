"""The people of a photograph over it, and the paths of one of them over its crop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mion_plugin.constants import OVERLAY_CAMERAS
from mion_plugin.inference.guessed_joints import guessed_vertices
from mion_plugin.inference.results import PersonBodies
from mion_plugin.visualization.drawing import surface_colors
from mion_plugin.visualization.image_overlay import PlacedBody, body_color, overlay_bodies
from mion_plugin.visualization.views import common_zoom, draw_compared, draw_views


def draw_people(
    image: np.ndarray,
    people: Sequence[PersonBodies],
    faces: Tensor,
    camera: str = "crop",
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Draw everyone's chosen body over the whole image.

    Args:
        image: (H, W, 3) uint8 RGB.
        people: Its people.
        faces: (F, 3).
        camera: ``crop``: each person by ``crop_camera_in_image``, which shows exactly what the network made. ``image``:
            all by ``image_camera``, the camera that they share; each lies ``image_error`` pixels off.
        weights: (V, 24) skinning weights; with them, parts of a body that are guessed are pale.

    Returns:
        A new image.

    Raises:
        ValueError: An unknown camera.
    """
    if camera not in OVERLAY_CAMERAS:
        raise ValueError(f"camera is {camera!r}, expected one of {', '.join(OVERLAY_CAMERAS)}")
    return overlay_bodies(image, [_place(person, camera, weights) for person in people], faces)


def draw_paths(
    image: np.ndarray, person: PersonBodies, faces: Tensor, size: int = 320, weights: np.ndarray | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw each path of a person over the crop, and from the side; the others as they differ from the chosen one.

    Args:
        image: (H, W, 3) uint8 RGB, the whole photograph.
        person: Whose paths.
        faces: (F, 3).
        size: Side of the pictures in pixels.
        weights: As ``draw_people``.

    Returns:
        For each path, in order, two pictures (size, size, 3) uint8.
    """
    crop, focal_length = person.crop.cut(image, size), person.crop_camera.focal_length * size / person.image_size
    bodies = list(torch.from_numpy(person.vertices))
    color = surface_colors(body_color(person.person), guessed_parts(person, weights))
    zoom = common_zoom(bodies, focal_length, size)
    chosen = bodies[person.selected]
    return [
        draw_views(crop, chosen, faces, focal_length, color, size, zoom)
        if path == person.selected
        else draw_compared(crop, vertices, chosen, faces, focal_length, color, size, zoom)
        for path, vertices in enumerate(bodies)
    ]


def guessed_parts(person: PersonBodies, weights: np.ndarray | None) -> Tensor | None:
    """(V,) bool, the vertices of parts of the body that are guessed; None without skinning weights."""
    return None if weights is None else torch.from_numpy(guessed_vertices(person.joints_guessed, weights))


def _place(person: PersonBodies, camera: str, weights: np.ndarray | None) -> PlacedBody:
    vertices, chosen = person.vertices[person.selected], person.selected
    used = person.crop_camera_in_image if camera == "crop" else person.image_camera
    if camera == "image":
        vertices = vertices - person.transl[chosen] + person.image_transl[chosen]
    return PlacedBody(
        vertices=torch.from_numpy(vertices),
        focal_length=used.focal_length,
        principal_point=used.principal_point,
        distance=float(person.image_transl[chosen, 2]),  # of one camera, so that people's compare
        number=person.person,
        guessed=guessed_parts(person, weights),
    )
