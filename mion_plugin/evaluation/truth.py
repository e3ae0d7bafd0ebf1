"""The true bodies of a batch of data samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mion_plugin.evaluation.errors import EVALUATION_JOINTS, evaluation_joints, evaluation_mask
from mion_plugin.evaluation.points import JOINTS_CONVENTION, BodyPoints, PosedBodies
from mion_plugin.geometry.keypoints import convert_keypoints


@dataclass(frozen=True)
class Truth:
    """What B samples are measured against. Rows without it hold zeros and must not be used.

    Attributes:
        has_joints: (B,) bool.
        joints: (B, 14, 3) metres relative to the pelvis.
        joints_mask: (B, 14) bool, which joints count.
        has_smpl: (B,) bool.
        genders: B names.
        points: Joints (B, 17, 3) and vertices (B, V, 3) of the true bodies of the sample's gender.
        betas: (B, 10).
    """

    has_joints: Tensor
    joints: Tensor
    joints_mask: Tensor
    has_smpl: Tensor
    genders: list[str]
    points: BodyPoints
    betas: Tensor


def gather_truth(
    samples: Sequence[Mapping[str, Any]], bodies: PosedBodies, ground_truth: str, vertices: bool, device: torch.device
) -> Truth:
    """Collect the truth of a batch.

    Args:
        samples: Data samples with ``gt_body`` (see ``PackBodyInputs``).
        bodies: The body models.
        ground_truth: Where the joints come from: ``smpl`` or ``keypoints3d``.
        vertices: Whether the true vertices are wanted.
        device: Where to.
    """
    gt_bodies = [sample["gt_body"] for sample in samples]
    has_smpl = torch.tensor([bool(gt["has_smpl"]) for gt in gt_bodies], device=device)
    genders = [sample.get("gender", "neutral") for sample in samples]
    if has_smpl.any():
        pose = torch.stack([_pose(gt) for gt in gt_bodies]).to(device)
        betas = torch.stack([_betas(gt) for gt in gt_bodies]).to(device)
        points = bodies.pose(pose, betas, genders, vertices)
    else:
        points = BodyPoints(torch.zeros(len(samples), 17, 3, device=device), None)
        betas = torch.zeros(len(samples), 10, device=device)
    if ground_truth == "smpl":
        joints = evaluation_joints(points.joints)
        mask = torch.ones(joints.shape[:-1], dtype=torch.bool, device=device)
        return Truth(has_smpl, joints, mask, has_smpl, genders, points, betas)
    annotated = [_annotated_joints(sample) for sample in samples]
    joints, mask, has_joints = (torch.stack(column).to(device) for column in zip(*annotated, strict=True))
    return Truth(has_joints, joints, mask, has_smpl, genders, points, betas)


def _pose(gt_body: Mapping[str, Tensor]) -> Tensor:
    if not bool(gt_body["has_smpl"]):
        return torch.zeros(24, 3)
    return torch.cat([gt_body["smpl_global_orient"][None], gt_body["smpl_body_pose"]]).float().cpu()


def _betas(gt_body: Mapping[str, Tensor]) -> Tensor:
    return gt_body["smpl_betas"].float().cpu() if bool(gt_body["has_smpl"]) else torch.zeros(10)


def _annotated_joints(sample: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Joints (14, 3) relative to the pelvis, their mask (14,), and whether they can be scored, from ``keypoints3d``."""
    gt_body = sample["gt_body"]
    if bool(gt_body["has_keypoints3d"]):
        convention = sample.get("keypoints3d_convention", JOINTS_CONVENTION)
        keypoints = convert_keypoints(gt_body["keypoints3d"].cpu(), convention, JOINTS_CONVENTION)[0]
        mask = evaluation_mask(keypoints[:, 3] > 0)
        if mask is not None:
            return evaluation_joints(keypoints[:, :3]), mask, torch.tensor(True)
    count = len(EVALUATION_JOINTS)
    return torch.zeros(count, 3).double(), torch.zeros(count, dtype=torch.bool), torch.tensor(False)
