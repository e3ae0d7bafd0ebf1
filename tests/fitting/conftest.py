"""Bodies before a camera of 112 px crops, where they project to, and starts that are wrong by a little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.fitting import KeypointFit
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.rotations import rotvec_to_rotmat

CAMERA = CropCamera(2500.0, 112)


@dataclass(frozen=True)
class People:
    """B images with N starts each; the truth is (B, ...), the starts are (B, N, ...)."""

    true_pose: Tensor
    true_betas: Tensor
    true_transl: Tensor
    keypoints2d: Tensor
    pose: Tensor
    betas: Tensor
    transl: Tensor

    @property
    def bodies(self) -> Bodies:
        """The starts."""
        return Bodies(self.pose, self.betas, self.transl)

    @property
    def inputs(self) -> tuple[Bodies, Tensor]:
        """What ``KeypointFit`` is called with."""
        return self.bodies, self.keypoints2d


@pytest.fixture(scope="session")
def body() -> SMPLBody:
    return SMPLBody()


@pytest.fixture(scope="session")
def make_fit(body: SMPLBody) -> Callable[..., KeypointFit]:
    def make(**options: Any) -> KeypointFit:
        return KeypointFit(body, focal_length=CAMERA.focal_length, image_size=CAMERA.image_size, **options)

    return make


@pytest.fixture(scope="session")
def make_people(body: SMPLBody) -> Callable[..., People]:
    def make(images: int = 3, paths: int = 2, wrong_by: float = 0.2, seed: int = 0, noise: float = 0.0) -> People:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        facing = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
        pose = rotvec_to_rotmat(0.25 * normal(images, 24, 3))
        pose[:, 0] = pose[:, 0] @ facing
        betas, transl = normal(images, 10), 0.1 * normal(images, 3) + torch.tensor([0.0, 0.0, 45.0])
        points = CAMERA.project_normalized(body.pose_keypoints(pose, betas, transl))
        pixels = (points + 1.0) * CAMERA.image_size / 2.0
        pixels = pixels + noise * normal(*pixels.shape)
        keypoints2d = torch.cat([pixels, torch.rand(images, 17, 1, generator=generator) * 0.5 + 0.5], dim=-1)
        lead = (images, paths)
        wrong = rotvec_to_rotmat(wrong_by * normal(*lead, 24, 3))
        return People(
            *(pose, betas, transl, keypoints2d),
            pose=pose[:, None] @ wrong,
            betas=betas[:, None] + wrong_by * normal(*lead, 10),
            transl=transl[:, None] + wrong_by * normal(*lead, 3) * torch.tensor([0.2, 0.2, 10.0]),
        )

    return make


@pytest.fixture(scope="session")
def pixel_error(body: SMPLBody) -> Callable[..., Tensor]:
    """Root mean square distance (B, N) in pixels between bodies' keypoints and the given ones."""

    def measure(bodies: Bodies, keypoints2d: Tensor) -> Tensor:
        points = CAMERA.project_normalized(body.pose_keypoints(bodies.pose, bodies.betas, bodies.transl))
        distance = (points - CAMERA.normalize(keypoints2d[:, None, :, :2])) * CAMERA.image_size / 2.0
        return distance.square().sum(-1).mean(-1).sqrt()

    return measure
