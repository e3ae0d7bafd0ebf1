"""A model small enough to run in milliseconds, and batches for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.refinement import MeshRefinementTransformer, RefinementNetwork

WIDTH = 24
TRANSFORMER = {
    "width": WIDTH,
    "num_heads": 2,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "feedforward": 48,
    "dropout": 0.0,
}


class CountingBackbone(nn.Module):
    """Stride 8; remembers how many images it saw in each call."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 2, stride=2), nn.ReLU())
        self.calls: list[int] = []

    def forward(self, image: Tensor) -> Tensor:
        self.calls.append(len(image))
        return self.layers(image)


@pytest.fixture(scope="session")
def body() -> SMPLBody:
    return SMPLBody()


MODEL_OPTIONS = ("selector", "train_candidates", "loss", "keypoints2d_target", "predict_vertices", "data_preprocessor")


@pytest.fixture
def make_model(body: SMPLBody) -> Callable[..., MeshRefinementTransformer]:
    """A model for 32 x 32 images with 8 x 8 tokens; its last layers are not zero unless asked for.

    Options are those of the model and of its network, each by its own name.
    """

    def make(start: str = "random", seed: int = 0, **options: Any) -> MeshRefinementTransformer:
        torch.manual_seed(seed)
        own = {"selector": None} | {name: options.pop(name) for name in MODEL_OPTIONS if name in options}
        transformer = TRANSFORMER | options.pop("transformer", {})
        network: dict[str, Any] = {
            "backbone": CountingBackbone(),
            "neck": {"type": "mion.DeconvNeck", "in_channels": 16, "channels": WIDTH, "num_layers": 1},
            "renderer": {"type": "mion.PNCCRenderer", "size": 8},
            "body": body,
            "transformer": transformer,
            **options,
        }
        model = MeshRefinementTransformer(network, **own)
        if start == "random":
            for mlp in (model.network.head.rotation_mlp, model.network.head.camera_mlp, model.network.head.betas_mlp):
                nn.init.normal_(mlp[-1].weight, std=0.02)
        return model.eval()

    return make


@pytest.fixture
def make_network(make_model: Callable[..., MeshRefinementTransformer]) -> Callable[..., RefinementNetwork]:
    """The network of such a model."""
    return lambda **options: make_model(**options).network


def make_candidates(batch: int = 2, count: int = 3, seed: int = 0) -> tuple[Tensor, Bodies]:
    """Random images (B, 3, 32, 32), and upright candidates (B, N) within the crop."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(batch, 3, 32, 32, generator=generator)
    pose = 0.3 * torch.randn(batch, count, 24, 3, generator=generator)
    pose[..., 0, :] = torch.tensor([torch.pi - 0.1, 0.1, 0.2])
    transl = torch.tensor([0.0, 0.2, 45.0]) + torch.randn(batch, count, 3, generator=generator) * torch.tensor(
        [0.1, 0.1, 3.0]
    )
    return image, Bodies.with_mean_shape(pose, transl)


@pytest.fixture
def inputs() -> tuple[Tensor, Bodies]:
    return make_candidates()


@pytest.fixture(scope="session")
def make_samples(body: SMPLBody) -> Callable[..., list[BaseDataElement]]:
    """Samples with every kind of label, true to one random body each, and candidates near it."""

    def make(batch: int = 2, count: int = 3, seed: int = 0, spread: float = 0.2) -> list[BaseDataElement]:
        _, near = make_candidates(batch, 1, seed)
        pose, transl = near.pose, near.transl
        generator = torch.Generator().manual_seed(seed + 1)
        betas = torch.randn(batch, 10, generator=generator)
        samples = []
        for row in range(batch):
            posed = {"pose": pose[row, 0], "betas": betas[row]}
            points = body.pose_keypoints(**posed, transl=transl[row, 0], convention="coco")
            pixels = 5000.0 * points[:, :2] / points[:, 2:] + 112.0
            joints = body.pose_keypoints(**posed, convention="h36m")
            sample = BaseDataElement(metainfo={"sample_idx": row, "image_path": f"{row}.jpg", "crop_size": 224})
            sample.gt_body = BaseDataElement(
                keypoints2d=torch.cat([pixels, torch.ones(17, 1)], dim=1),
                keypoints3d=torch.cat([joints, torch.ones(17, 1)], dim=1),
                smpl_global_orient=pose[row, 0, 0],
                smpl_body_pose=pose[row, 0, 1:],
                smpl_betas=betas[row],
                has_keypoints2d=torch.tensor(1),
                has_keypoints3d=torch.tensor(1),
                has_smpl=torch.tensor(1),
            )
            noise = torch.randn(count, 24, 3, generator=generator)
            sample.candidates = BaseDataElement(
                pose=pose[row] + spread * noise,
                transl=transl[row].expand(count, 3).clone(),
                fit_loss=torch.arange(count, dtype=torch.float32),
            )
            samples.append(sample)
        return samples

    return make
