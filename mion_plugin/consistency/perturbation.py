"""Bodies that are hard to tell from the true one: the same keypoints, another depth, or all but right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mion_plugin.body.arrays import NUM_JOINTS, SMPL_PARENTS
from mion_plugin.geometry.rotations import rotmat_to_rotvec, rotvec_to_rotmat

# Limbs as SMPL joints: the joints that turn the upper and the lower bone, and those at the end, which follow.
LIMBS = ((1, 4, 7, 10), (2, 5, 8, 11), (16, 18, 20, 22), (17, 19, 21, 23))
NUM_BONES = 2 * len(LIMBS)
_SHORTEST = 1e-9  # metres; keeps a bone along the line of sight from dividing by zero


@dataclass(frozen=True)
class Perturbation:
    """How perturbed bodies come about; see ``perturb_pose``.

    Attributes:
        reflect: Relative frequency of reflecting bones in depth.
        tilt: Relative frequency of tilting the whole body.
        mix: Relative frequency of mixing the true body with a candidate.
        bone_prob: Probability of each of the eight limb bones to be reflected, given that some are.
        max_tilt: Largest tilt about each of the image's axes, radians: 0.5 moves head and feet by some 40 cm in depth
            and shortens the body in the image by an eighth.
    """

    reflect: float = 1.0
    tilt: float = 1.0
    mix: float = 1.0
    bone_prob: float = 0.35
    max_tilt: float = 0.5

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError naming the setting."""
        ways = (self.reflect, self.tilt, self.mix)
        if min(ways) < 0 or not 0 < sum(ways) < float("inf"):
            raise ValueError(f"reflect, tilt and mix are {ways}, expected numbers not below 0 and one above")
        if not 0 < self.bone_prob <= 1:
            raise ValueError(f"bone_prob is {self.bone_prob}, expected above 0 to 1")
        if not 0 <= self.max_tilt < float("inf"):
            raise ValueError(f"max_tilt is {self.max_tilt}, expected radians not below 0")


def perturb_pose(
    pose: Tensor,
    joints: Tensor,
    candidate_pose: Tensor,
    settings: Perturbation,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Another pose in place of each true one, each in one of three ways drawn at random.

    Args:
        pose: (B, N, 24, 3, 3) true.
        joints: (B, N, 24, 3) metres, its SMPL joints, camera axes.
        candidate_pose: (B, N, 24, 3, 3) of the same people.
        settings: How often and how much.
        generator: A CPU generator, so that every device draws the same; None for torch's global one.

    Returns:
        ``(pose, share)``: (B, N, 24, 3, 3), and (B, N) how much of the true body's shape goes with it, 1 but for a
        mixed body.
    """
    lead, device = pose.shape[:2], pose.device
    ways = torch.tensor([settings.reflect, settings.tilt, settings.mix])
    way = torch.multinomial(ways, lead.numel(), replacement=True, generator=generator).view(lead).to(device)
    flipped = _draw_bones(lead, settings.bone_prob, generator)
    angles = settings.max_tilt * (2.0 * torch.rand(*lead, 2, generator=generator) - 1.0)
    share = torch.rand(lead, generator=generator).to(device)
    poses = torch.stack(
        [
            reflect_bones(pose, joints, flipped.to(device)),
            tilt(pose, angles.to(device)),
            mix_poses(candidate_pose, pose, share),
        ]
    )
    chosen = poses.gather(0, way[None, ..., None, None, None].expand_as(poses[:1]))[0]
    return chosen, torch.where(way == 2, share, 1.0)


def reflect_bones(pose: Tensor, joints: Tensor, flipped: Tensor) -> Tensor:
    """Turn limb bones to their mirror image in depth: from the front, at a distance, they look the same.

    A reflected bone turns by the least rotation from its direction (x, y, z) to (x, y, -z); what it carries keeps its
    own direction, but for hands and feet, which turn with the bone they end.

    Args:
        pose: (..., 24, 3, 3).
        joints: (..., 24, 3) metres, SMPL's joints in that pose, camera axes.
        flipped: (..., 8) bool, the upper and lower bone of each limb of ``LIMBS``.

    Returns:
        (..., 24, 3, 3).
    """
    rotations = list(_global_rotations(pose).unbind(dim=-3))
    for limb, (upper, lower, end, tip) in enumerate(LIMBS):
        for bone, (start, stop, turned) in enumerate(((upper, lower, (upper,)), (lower, end, (lower, end, tip)))):
            turn = _depth_reflection(joints[..., stop, :] - joints[..., start, :])
            turn = torch.where(flipped[..., 2 * limb + bone, None, None], turn, torch.eye(3).to(turn))
            for joint in turned:
                rotations[joint] = turn @ rotations[joint]
    return _local_rotations(torch.stack(rotations, dim=-3))


def tilt(pose: Tensor, angles: Tensor) -> Tensor:
    """Turn whole bodies (..., 24, 3, 3) about their pelvis by ``angles`` (..., 2) about the image's x and y axes."""
    turn = rotvec_to_rotmat(torch.cat([angles, torch.zeros_like(angles[..., :1])], dim=-1))
    return torch.cat([(turn @ pose[..., 0, :, :])[..., None, :, :], pose[..., 1:, :, :]], dim=-3)


def mix_poses(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Each joint's rotation ``share`` (...) of the shortest way from ``start`` to ``end`` (..., 24, 3, 3)."""
    way = rotmat_to_rotvec(start.mT @ end)
    return start @ rotvec_to_rotmat(share[..., None, None] * way)


def _draw_bones(lead: Sequence[int], probability: float, generator: torch.Generator | None) -> Tensor:
    """(*lead, 8) bool, at least one of each eight."""
    drawn = torch.rand(*lead, NUM_BONES, generator=generator) < probability
    spare = torch.randint(NUM_BONES, (*lead, 1), generator=generator) == torch.arange(NUM_BONES)
    return torch.where(drawn.any(dim=-1, keepdim=True), drawn, spare)


def _depth_reflection(bone: Tensor) -> Tensor:
    """The least rotation (..., 3, 3) from bones (..., 3) to their mirror images in the plane z = 0."""
    x, y, z = bone.unbind(dim=-1)
    flat = torch.hypot(x, y)
    scale = 2.0 * torch.atan2(z, flat) / flat.clamp(min=_SHORTEST)
    return rotvec_to_rotmat(torch.stack([-y * scale, x * scale, torch.zeros_like(x)], dim=-1))


def _global_rotations(pose: Tensor) -> Tensor:
    """Of every joint in the camera frame, (..., 24, 3, 3)."""
    rotations = [pose[..., 0, :, :]]
    for joint in range(1, NUM_JOINTS):
        rotations.append(rotations[SMPL_PARENTS[joint]] @ pose[..., joint, :, :])
    return torch.stack(rotations, dim=-3)


def _local_rotations(rotations: Tensor) -> Tensor:
    """Inverse of ``_global_rotations``."""
    parents = rotations[..., list(SMPL_PARENTS[1:]), :, :]
    return torch.cat([rotations[..., :1, :, :], parents.mT @ rotations[..., 1:, :, :]], dim=-3)
