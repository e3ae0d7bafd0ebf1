"""Joints and vertices of predicted and true bodies, from what a batch of data samples tells about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mion_plugin.body import BodyOutput, SMPLBody
from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS
from mion_plugin.registry import MODELS
from mion_plugin.samples import sample_name

JOINTS_CONVENTION = "h36m"
GEOMETRY = ("pose", "betas", "vertices", "keypoints3d")  # fields of paths that errors are measured on


@dataclass(frozen=True)
class BodyPoints:
    """Points of bodies posed without translation, metres.

    Attributes:
        joints: (..., 17, 3) in mmhuman3d's ``h36m`` order.
        vertices: (..., V, 3), or None where nobody asked.
    """

    joints: Tensor
    vertices: Tensor | None


class PosedBodies:
    """The body models of the three genders, built when first needed.

    Args:
        body: Config of a ``SMPLBody``; its gender is replaced.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._config = dict(body)
        self._bodies: dict[str, SMPLBody] = {}

    @torch.no_grad()
    def pose(self, pose: Tensor, betas: Tensor, genders: Sequence[str], vertices: bool) -> BodyPoints:
        """Points of bodies posed at the origin.

        Args:
            pose: (B, ..., 24, 3) or (B, ..., 24, 3, 3).
            betas: (B, ..., 10).
            genders: B names.
            vertices: Whether vertices are wanted; joints alone are much cheaper.
        """
        parts, order = [], []
        for gender in sorted(set(genders)):
            rows = [row for row, name in enumerate(genders) if name == gender]
            parts.append(self._pose_one_gender(pose[rows].float(), betas[rows].float(), gender, vertices))
            order += rows
        back = torch.tensor(order).argsort().to(pose.device)
        joints = torch.cat([part.joints for part in parts])[back]
        if not vertices:
            return BodyPoints(joints, None)
        return BodyPoints(joints, torch.cat([part.vertices for part in parts if part.vertices is not None])[back])

    @torch.no_grad()
    def joints_of(self, vertices: Tensor) -> Tensor:
        """The 17 joints (..., 17, 3) that the H36M regressor finds on posed vertices (..., 6890, 3), float64.

        Vertices may be given with their translation: at 45 m before the camera a sum of float32 would lose micrometres,
        one of TF32 millimetres.
        """
        vertices = vertices.double()
        nothing = vertices.new_zeros(*vertices.shape[:-2], NUM_JOINTS, 3)  # the h36m joints all come from vertices
        return self._body("neutral", vertices.device).keypoints(BodyOutput(vertices, nothing), JOINTS_CONVENTION)

    def _pose_one_gender(self, pose: Tensor, betas: Tensor, gender: str, vertices: bool) -> BodyPoints:
        body = self._body(gender, pose.device)
        if not vertices:
            return BodyPoints(body.pose_keypoints(pose, betas, convention=JOINTS_CONVENTION), None)
        output = body(pose, betas)
        return BodyPoints(body.keypoints(output, JOINTS_CONVENTION), output.vertices)

    def _body(self, gender: str, device: torch.device) -> SMPLBody:
        if gender not in self._bodies:
            self._bodies[gender] = MODELS.build({**self._config, "gender": gender})
        self._bodies[gender] = self._bodies[gender].to(device)
        return self._bodies[gender]


def stack_paths(samples: Sequence[Mapping[str, Any]], field: str) -> dict[str, Tensor]:
    """The geometry (``GEOMETRY``) of the N paths of B samples as tensors (B, N, ...).

    Raises:
        ValueError: A sample without the field or without geometry, unequal numbers of paths, NaN or infinite values.
    """
    elements = []
    for sample in samples:
        if field not in sample:
            raise ValueError(f"{sample_name(sample)}: the data sample holds no {field}")
        element = {key: sample[field][key] for key in GEOMETRY if key in sample[field]}
        if not element:
            held = ", ".join(sorted(sample[field])) or "nothing"
            raise ValueError(f"{sample_name(sample)}: {field} hold {held}, expected some of {', '.join(GEOMETRY)}")
        for key, value in element.items():
            if not torch.isfinite(value).all():
                raise ValueError(f"{sample_name(sample)}: {field}.{key} holds NaN or infinite values")
        elements.append(element)
    counts = {(key, len(value)) for element in elements for key, value in element.items()}
    if len({count for _, count in counts}) != 1 or len({frozenset(element) for element in elements}) != 1:
        told = ", ".join(f"{key}: {count}" for key, count in sorted(counts))
        raise ValueError(f"{field} of one batch have fields and numbers of paths {told}; expected the same for all")
    return {key: torch.stack([element[key] for element in elements]).detach() for key in elements[0]}


def predicted_points(paths: Mapping[str, Tensor], bodies: PosedBodies, vertices: bool) -> BodyPoints:
    """Points of stacked paths.

    What the paths hold themselves is taken (``vertices``, ``keypoints3d`` in h36m order); the rest comes from ``pose``
    and ``betas`` (absent: zeros) through the neutral body.

    Raises:
        ValueError: They hold none of these.
    """
    own_vertices, own_joints = paths.get("vertices"), paths.get("keypoints3d")
    if own_vertices is not None:
        own_vertices = own_vertices.float()
        return BodyPoints(bodies.joints_of(own_vertices) if own_joints is None else own_joints, own_vertices)
    if own_joints is not None and not vertices:
        return BodyPoints(own_joints, None)
    pose = path_pose(paths)
    posed = bodies.pose(pose, path_betas(paths), ["neutral"] * len(pose), vertices)
    return posed if own_joints is None else BodyPoints(own_joints, posed.vertices)


def path_pose(paths: Mapping[str, Tensor]) -> Tensor:
    """Pose of stacked paths; raises ValueError if there is none."""
    if "pose" not in paths:
        raise ValueError(f"paths hold {', '.join(sorted(paths))}, expected pose (N, 24, 3, 3) or (N, 24, 3)")
    return paths["pose"]


def path_betas(paths: Mapping[str, Tensor]) -> Tensor:
    """Betas (B, N, 10) of stacked paths; the mean shape where they have none."""
    if "betas" in paths:
        return paths["betas"]
    like = next(iter(paths.values()))
    return torch.zeros(*like.shape[:2], NUM_BETAS, device=like.device)
