"""Bodies of any camera, posed, and placed before the camera of the crop in which they are scored.

A method that sees the whole photograph tells how a body is turned to the camera's axis. The networks here see a crop,
and mean by depth what lies along the line of sight to its middle. So bodies are turned by the rotation that takes that
line onto the axis; where a method's camera already looks at the crop, as HMR's, this is none. Then the translation is
found by which a body's vertices come to lie in the crop where the method's own camera shows them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.fit import fit_translation
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.rotations import rotvec_to_rotmat
from mion_plugin.geometry.translation import translation_from_keypoints
from mion_plugin.inference.cropping import CropPlace
from mion_plugin.inference.image_camera import PinholeCamera, equivalent_camera
from mion_plugin.scoring.hypotheses import Hypotheses

_SAME = 1e-6  # share of the focal length, or of the crop's side: cameras that differ by less are one
_LONGEST_EDGE = 3.0  # times the template's; between vertices of another mesh edges are ten times as long


@dataclass(frozen=True)
class PosedBodies:
    """N bodies of one person before they are placed; float64, metres.

    Attributes:
        vertices: (N, V, 3).
        keypoints: Keypoint convention -> (N, K, 3).
        transl: (N, 3) before ``camera``; None without one.
        camera: Of the photograph; None where the file tells of none.
    """

    vertices: Tensor
    keypoints: dict[str, Tensor]
    transl: Tensor | None
    camera: PinholeCamera | None


@dataclass(frozen=True)
class PlacedBodies:
    """N bodies before the crop's camera.

    Attributes:
        vertices: (N, V, 3) metres, without translation.
        keypoints: Keypoint convention -> (N, K, 3), likewise.
        transl: (N, 3) metres.
        error: (N,) root mean square distance between the vertices' projections by the method's camera and by the
            crop's, pixels of the crop; 0 where the place was found from the keypoints.
    """

    vertices: Tensor
    keypoints: dict[str, Tensor]
    transl: Tensor
    error: Tensor

    def placed_vertices(self) -> Tensor:
        """(N, V, 3), translation included."""
        return self.vertices + self.transl[:, None]


@torch.no_grad()
def pose_bodies(
    bodies: Hypotheses, row: int, body: SMPLBody, conventions: tuple[str, ...], image_shape: tuple[int, int]
) -> PosedBodies:
    """The bodies of one person, skinned where they come as parameters.

    Args:
        bodies: Of a file.
        row: Which person.
        body: What they are bodies of.
        conventions: Of the keypoints that are wanted.
        image_shape: Height and width of the photograph, whose middle is the principal point where none is told.

    Raises:
        ValueError: The vertices are those of another mesh, or the body model lacks the keypoints.
    """
    if bodies.vertices is not None:
        vertices = torch.from_numpy(bodies.vertices[row])
        _check_mesh(vertices, body, bodies, row)
        keypoints = {name: body.vertex_keypoints(vertices, name) for name in conventions}
    else:
        pose = torch.from_numpy(bodies.pose[row]).float()  # type: ignore[index]  # there are vertices or a pose
        betas = None if bodies.betas is None else torch.from_numpy(bodies.betas[row]).float()
        vertices = body(pose, betas).vertices.double()
        keypoints = {name: body.pose_keypoints(pose, betas, convention=name).double() for name in conventions}
    if bodies.transl is None or bodies.focal_length is None:
        return PosedBodies(vertices, keypoints, None, None)
    height, width = image_shape
    middle = (width / 2, height / 2) if bodies.principal_point is None else bodies.principal_point[row].tolist()
    camera = PinholeCamera(float(bodies.focal_length[row]), (middle[0], middle[1]))
    return PosedBodies(vertices, keypoints, torch.from_numpy(bodies.transl[row]), camera)


def place_before_crop(bodies: PosedBodies, place: CropPlace, camera: CropCamera) -> PlacedBodies:
    """Place bodies that have a camera before the crop's; see the module.

    Args:
        bodies: N of them, with ``camera`` and ``transl``.
        place: The crop.
        camera: Its camera.

    Raises:
        ValueError: A body is not before its camera.
    """
    own, transl = bodies.camera, bodies.transl
    if own is None or transl is None:
        raise ValueError("bodies without a camera have no place; find it from keypoints")
    standing = bodies.vertices + transl[:, None]
    behind = (standing[..., 2] <= 0).any(dim=-1)
    if behind.any():
        raise ValueError(f"body {int(behind.nonzero()[0])} is not before its camera")
    crop = equivalent_camera(place, camera.focal_length, camera.image_size)
    if _is_same(own, crop, place.side):
        return PlacedBodies(bodies.vertices, bodies.keypoints, transl, transl.new_zeros(len(transl)))
    turn = _turn_to(place, own)
    vertices = bodies.vertices @ turn.T
    pixels = own.project(standing)
    seen = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    fitted, loss = fit_translation(vertices[:, None], seen, crop.focal_length, crop.principal_point)
    error = (loss[:, 0] / vertices.shape[1]).sqrt() * (camera.image_size / place.side)
    if not error.isfinite().all():
        raise ValueError(f"body {int((~error.isfinite()).nonzero()[0])} cannot be placed before the crop's camera")
    turned = {name: points @ turn.T for name, points in bodies.keypoints.items()}
    return PlacedBodies(vertices, turned, fitted[:, 0], error)


def place_by_keypoints(
    bodies: PosedBodies, keypoints2d: np.ndarray, convention: str, camera: CropCamera
) -> PlacedBodies:
    """Place bodies where their keypoints lie nearest to 2D keypoints, by least squares.

    Args:
        bodies: N of them.
        keypoints2d: (K, 3) pixels of the crop, and confidence.
        convention: Their order, one of ``bodies.keypoints``.
        camera: The crop's.

    Raises:
        ValueError: The keypoints do not tell where a body stands.
    """
    x, y = camera.principal_point
    intrinsics = np.array([[camera.focal_length, 0.0, x], [0.0, camera.focal_length, y], [0.0, 0.0, 1.0]])
    places = []
    for number, points in enumerate(bodies.keypoints[convention].numpy()):
        transl = translation_from_keypoints(points, keypoints2d, intrinsics)
        if transl is None:
            raise ValueError(
                f"its 2D keypoints do not tell where body {number} stands; at least 3 apart must be visible"
            )
        places.append(transl)
    found = torch.from_numpy(np.stack(places))
    return PlacedBodies(bodies.vertices, bodies.keypoints, found, found.new_zeros(len(found)))


def join_placed(parts: list[PlacedBodies]) -> PlacedBodies:
    """The bodies of several files, in order."""
    return PlacedBodies(
        torch.cat([part.vertices for part in parts]),
        {name: torch.cat([part.keypoints[name] for part in parts]) for name in parts[0].keypoints},
        torch.cat([part.transl for part in parts]),
        torch.cat([part.error for part in parts]),
    )


def _turn_to(place: CropPlace, camera: PinholeCamera) -> Tensor:
    """The least rotation (3, 3) float64 that takes the line of sight to the crop's middle onto the camera's axis."""
    middle = torch.as_tensor(place.center, dtype=torch.float64)
    sight = torch.cat([(middle - torch.tensor(camera.principal_point).double()) / camera.focal_length, torch.ones(1)])
    sight = sight / sight.norm()
    axis = torch.linalg.cross(sight, torch.tensor([0.0, 0.0, 1.0]).double())
    sine = axis.norm()
    if sine == 0:
        return torch.eye(3).double()
    return rotvec_to_rotmat(axis / sine * torch.atan2(sine, sight[2]))


def _is_same(one: PinholeCamera, other: PinholeCamera, side: float) -> bool:
    apart = np.abs(np.subtract(one.principal_point, other.principal_point)).max()
    return bool(abs(one.focal_length / other.focal_length - 1) < _SAME and apart < _SAME * side)


def _check_mesh(vertices: Tensor, body: SMPLBody, bodies: Hypotheses, row: int) -> None:
    """Raise ValueError for as many vertices of another mesh: what are neighbours in the template lie apart in it."""
    template = _edge_length(body.v_template.double().cpu(), body.faces.cpu())
    ratio = (_edge_length(vertices, body.faces.cpu()) / template).max()
    if ratio > _LONGEST_EDGE:
        raise ValueError(
            f"{bodies.source}: the vertices of row {row} are not those of {body.arrays.name}, whose edges are "
            f"{ratio:.0f} times shorter; name the SMPL model that they are of (--body-model)"
        )


def _edge_length(vertices: Tensor, faces: Tensor) -> Tensor:
    """The median length (...) of the meshes' edges; vertices (..., V, 3)."""
    return (vertices[..., faces[:, 0], :] - vertices[..., faces[:, 1], :]).norm(dim=-1).median(dim=-1).values
