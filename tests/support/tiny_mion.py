"""The three stages, small enough to run in milliseconds, and samples for them."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.structures import BaseDataElement
from support.stick_pool import make_stick_pool
from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.candidates.pool import CandidatePool, make_pool
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.registry import MODELS

WIDTH = 24
IMAGE_SIZE, FOCAL_LENGTH, SIDE = 224, 5000.0, 32  # crop camera, and the images' own resolution


@MODELS.register_module(force=True)
class TinyBackbone(nn.Module):
    """Stride 8, for images and, with ``in_channels`` 6, images and PNCC."""

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        self.out_channels = 16
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, 8, 4, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 2, stride=2), nn.ReLU()
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


@MODELS.register_module(force=True)
class TinyCEN(nn.Module):
    """Scores that depend on image, shape and place of every body."""

    def __init__(self, focal_length: float, image_size: int, body: SMPLBody) -> None:
        super().__init__()
        self.focal_length, self.image_size, self.body = focal_length, image_size, body
        self.linear = nn.Linear(6, 8)

    def forward(self, image: Tensor, bodies: Bodies | Tensor) -> Tensor:
        vertices = bodies.placed_vertices(self.body) if isinstance(bodies, Bodies) else bodies
        colours = image.mean(dim=(2, 3))[:, None].expand(-1, vertices.shape[1], -1)
        spread = (vertices - vertices.mean(dim=2, keepdim=True)).std(dim=2)
        return self.linear(torch.cat([colours, spread], dim=-1)).square().sum(dim=-1)


def refiner_config(body: SMPLBody | None = None, **options: Any) -> dict[str, Any]:
    """A network that refines, for 32 x 32 images with 8 x 8 tokens."""
    transformer = {"num_heads": 2, "num_encoder_layers": 1, "num_decoder_layers": 1, "feedforward": 48, "dropout": 0.0}
    return {
        "type": "mion.RefinementNetwork",
        "backbone": {"type": "mion.TinyBackbone"},
        "neck": {"type": "mion.DeconvNeck", "in_channels": 16, "channels": WIDTH, "num_layers": 1},
        "renderer": {"type": "mion.PNCCRenderer", "size": 8},
        "transformer": {"width": WIDTH, **transformer},
        "head": {"rotation": "residual"},
        "queries": {"candidate": True},
        **({} if body is None else {"body": body}),
        **options,
    }


def make_mion(
    body: SMPLBody, weights_seed: int = 0, refiner: dict[str, Any] | None = None, **options: Any
) -> MultiInitializationOptimizationNetwork:
    """The three stages with random weights; the data bring the candidates."""
    torch.manual_seed(weights_seed)
    settings: dict[str, Any] = {"selector": None, "cen": {"type": "mion.TinyCEN"}, **options}
    if settings.get("selection") == "fit":
        settings.setdefault(
            "fit", {"type": "mion.KeypointFit", "prior": {"type": "mion.StartPrior", "pool_share": 0.0}}
        )
    model = MultiInitializationOptimizationNetwork(refiner_config(body, **(refiner or {})), **settings)
    head = model.refiner.head
    for mlp in (head.rotation_mlp, head.camera_mlp, head.betas_mlp):
        nn.init.normal_(mlp[-1].weight, std=0.02)  # they start at zero
    return model.eval()


def make_images(batch: int = 2, seed: int = 0) -> Tensor:
    """Random images (B, 3, 32, 32)."""
    return torch.randn(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def make_samples(body: SMPLBody, batch: int = 2, count: int = 4, seed: int = 0) -> list[BaseDataElement]:
    """Samples with every kind of label, true to one random body each, and candidates near it."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for row in range(batch):
        pose = 0.3 * torch.randn(24, 3, generator=generator)
        pose[0] = torch.tensor([torch.pi - 0.1, 0.1, 0.2])
        betas = torch.randn(10, generator=generator)
        transl = torch.tensor([0.0, 0.2, 45.0])
        points = body.pose_keypoints(pose, betas, transl, "coco")
        pixels = FOCAL_LENGTH * points[:, :2] / points[:, 2:] + IMAGE_SIZE / 2
        confidence = torch.rand(17, 1, generator=generator)
        sample = BaseDataElement(metainfo={"sample_idx": row, "image_path": f"{row}.jpg", "crop_size": IMAGE_SIZE})
        sample.gt_body = BaseDataElement(
            keypoints2d=torch.cat([pixels, confidence], dim=1),
            keypoints3d=torch.cat([body.pose_keypoints(pose, betas, convention="h36m"), torch.ones(17, 1)], dim=1),
            smpl_global_orient=pose[0],
            smpl_body_pose=pose[1:],
            smpl_betas=betas,
            has_keypoints2d=torch.tensor(1),
            has_keypoints3d=torch.tensor(1),
            has_smpl=torch.tensor(1),
        )
        noise = torch.randn(count, 24, 3, generator=generator)
        moved = 0.05 * torch.randn(count, 3, generator=generator)
        sample.candidates = BaseDataElement(
            pose=pose + 0.2 * noise, transl=transl + moved, fit_loss=torch.arange(count, dtype=torch.float32)
        )
        samples.append(sample)
    return samples


def make_body_pool(body: SMPLBody) -> CandidatePool:
    """The poses of the stick figures with the body's keypoints."""
    sticks = make_stick_pool()
    return make_pool(sticks.body_pose, sticks.global_orient, body=body)
