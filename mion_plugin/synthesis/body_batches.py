"""Drawing many bodies at once: what ``draw_body`` and ``place_in_crop`` do, as tensors, a thousand times faster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import roma
import torch
from torch import Tensor

from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.synthesis.bodies import LIMBS, MAX_BETA, BodySettings, PoseSource

_LYING = (60.0, 120.0)  # degrees
_HANDS = slice(21, 23)  # rows of a body pose that carry no rotation in motion capture


@dataclass(frozen=True)
class PoseTable:
    """A ``PoseSource`` as tensors.

    Attributes:
        rotations: (P, 23, 3, 3).
        order: (P,) the poses, those of one recording side by side.
        first: (P,) where the recording of each pose starts in ``order``.
        count: (P,) how many poses it has.
    """

    rotations: Tensor
    order: Tensor
    first: Tensor
    count: Tensor

    @classmethod
    def of(cls, source: PoseSource) -> PoseTable:
        """The table of a source; a pose of unknown recording is the only one of its own."""
        alone = np.arange(len(source)) + (1 << 40)
        clip = alone if source.clip_index is None else np.where(source.clip_index < 0, alone, source.clip_index)
        _, member, count = np.unique(clip, return_inverse=True, return_counts=True)
        first = np.cumsum(count) - count
        rotations = roma.rotvec_to_rotmat(torch.from_numpy(source.body_pose).double()).float()
        order = np.argsort(member, kind="stable")
        return cls(rotations, *(torch.from_numpy(values) for values in (order, first[member], count[member])))

    def __len__(self) -> int:
        return len(self.rotations)


class BodyBatches:
    """Draws bodies as ``draw_body`` does, many at once.

    Args:
        source: Poses to draw from.
        settings: How bodies vary.
    """

    def __init__(self, source: PoseSource, settings: BodySettings) -> None:
        self.poses, self.settings = PoseTable.of(source), settings

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rotations (count, 24, 3, 3), index 0 the global orientation in the camera frame, and betas (count, 10)."""
        body = self._exchange(self._interpolate(count, generator), generator)
        if self.settings.pose_noise > 0:
            noise = self.settings.pose_noise * torch.randn(count, 23, 3, generator=generator)
            noise[:, _HANDS] = 0.0
            body = roma.rotvec_to_rotmat(roma.rotmat_to_rotvec(body) + noise)
        betas = self.settings.betas_std * torch.randn(count, 10, generator=generator)
        rotations = torch.cat([draw_orientations(count, self.settings, generator)[:, None], body], dim=1)
        return rotations, betas.clamp(-MAX_BETA, MAX_BETA)

    def _interpolate(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, 23, 3, 3) poses, some moved towards another one of their recording."""
        poses = self.poses
        index = torch.randint(len(poses), (count,), generator=generator)
        place = (torch.rand(count, generator=generator) * poses.count[index]).long()
        other = poses.order[poses.first[index] + place.clamp(max=poses.count[index] - 1)]
        moves = torch.rand(count, generator=generator) < self.settings.interpolate_prob
        share = 0.5 * torch.rand(count, generator=generator) * moves
        start = poses.rotations[index]
        between = roma.rotmat_to_rotvec(start.mT @ poses.rotations[other])
        return start @ roma.rotvec_to_rotmat(between * share[:, None, None])

    def _exchange(self, body: Tensor, generator: torch.Generator) -> Tensor:
        """Limbs of some bodies (n, 23, 3, 3) in place of others' poses."""
        if self.settings.exchange_prob == 0:
            return body
        body = body.clone()
        for limb in LIMBS:
            happens = torch.rand(len(body), generator=generator) < self.settings.exchange_prob
            other = torch.randint(len(self.poses), (len(body),), generator=generator)
            rows = happens.nonzero()
            body[rows, torch.as_tensor(limb)] = self.poses.rotations[other[happens]][:, limb]
        return body


def draw_orientations(count: int, settings: BodySettings, generator: torch.Generator) -> Tensor:
    """(count, 3, 3) global orientations in the camera frame; see ``draw_orientation``."""
    yaw = (2.0 * torch.rand(count, generator=generator) - 1.0) * torch.pi
    wide = torch.rand(count, generator=generator) < settings.wide_prob
    pitch_std = torch.where(wide, settings.wide_pitch_std, settings.pitch_std)
    roll_std = torch.where(wide, settings.wide_roll_std, settings.roll_std)
    pitch = torch.deg2rad(pitch_std * torch.randn(count, generator=generator))
    roll = torch.deg2rad(roll_std * torch.randn(count, generator=generator))
    lies = torch.rand(count, generator=generator) < settings.lying_prob
    side = torch.rand(count, generator=generator).sub(0.5).sign()
    turn = torch.deg2rad(_LYING[0] + (_LYING[1] - _LYING[0]) * torch.rand(count, generator=generator))
    roll = roll + lies * side * turn
    none = torch.zeros(count)
    face_camera = torch.stack([none + torch.pi, none, none], dim=-1)  # SMPL's y points up, the camera's down
    turns = (
        torch.stack([none, none, roll], dim=-1),
        torch.stack([pitch, none, none], dim=-1),
        face_camera,
        torch.stack([none, yaw, none], dim=-1),
    )
    roll_turn, pitch_turn, face, yaw_turn = (roma.rotvec_to_rotmat(turn) for turn in turns)
    return roll_turn @ pitch_turn @ face @ yaw_turn


def place_in_crops(
    keypoints3d: Tensor, framed: Tensor, camera: CropCamera, settings: BodySettings, generator: torch.Generator
) -> Tensor:
    """Translations that put bodies in their crops as ``place_in_crop`` does.

    Args:
        keypoints3d: (n, K, 3) metres, oriented as seen by the camera, any origin.
        framed: (n, K) bool, the keypoints that the person's box holds; at least two of each body.
        camera: The crop's camera.
        settings: Sizes of the jitter.
        generator: Source of the jitter.

    Returns:
        (n, 3) metres to add to the bodies.
    """
    jitter = 2.0 * torch.rand(len(keypoints3d), 3, generator=generator) - 1.0
    size, focal_length = camera.image_size, camera.focal_length
    side = size / (settings.box_scale * (1.0 + settings.scale_jitter * jitter[:, 0]))
    target = settings.shift_jitter * size * jitter[:, 1:]
    low, high = _box(keypoints3d, framed)
    depth = focal_length * (high - low)[:, :2].amax(dim=1) / side
    offset = torch.cat([target * depth[:, None] / focal_length, depth[:, None]], dim=1) - (low + high) / 2
    for _ in range(3):  # as in place_in_crop
        placed = keypoints3d + offset[:, None]
        low, high = _box(focal_length * placed[..., :2] / placed[..., 2:], framed)
        mean_depth = placed[..., 2].mean(dim=1)
        offset[:, :2] += (target - (low + high) / 2) * mean_depth[:, None] / focal_length
        offset[:, 2] += mean_depth * ((high - low).amax(dim=1) / side - 1.0)
    return offset


def _box(points: Tensor, framed: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest coordinates (n, D) of the framed ones of points (n, K, D)."""
    low = torch.where(framed[..., None], points, torch.inf).amin(dim=1)
    high = torch.where(framed[..., None], points, -torch.inf).amax(dim=1)
    return low, high
