"""The bodies that the package's model gets most wrong among synthetic test people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from benchmarks.measuring import load_test_images
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.datasets.transforms.formatting import unnormalized
from mion_plugin.evaluation.errors import evaluation_joints, mpjpe
from mion_plugin.evaluation.points import JOINTS_CONVENTION
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.registry import MODELS
from mion_plugin.visualization import draw_keypoints
from mion_plugin.visualization.drawing import CANDIDATE_COLORS
from mion_plugin.visualization.views import common_zoom, draw_compared, resized

_ROOM = 1.15  # the outline is moved to the body, so that it may reach farther out
CONFIG = Path(__file__).resolve().parents[2] / "configs" / "mion" / "mion_tiny_synthetic_harsh.py"


@dataclass(frozen=True)
class WorstPerson:
    """One person and what the model makes of it.

    Attributes:
        image: (S, S, 3) uint8, what the networks see.
        keypoints2d: (K, 3) pixels of the image and confidence, the detector's.
        error: MPJPE in millimetres of the chosen body.
        body, truth: (V, 3) metres in the crop's camera frame: the chosen body, and the true one.
    """

    image: np.ndarray
    keypoints2d: np.ndarray
    error: float
    body: Tensor
    truth: Tensor


@dataclass(frozen=True)
class WorstPeople:
    """The worst of those that were looked at.

    Attributes:
        people: The worst one first.
        errors: (M,) MPJPE of all.
        model: The model.
    """

    people: list[WorstPerson]
    errors: np.ndarray
    model: MultiInitializationOptimizationNetwork


@torch.no_grad()
def find_worst(looked_at: int, shown: int) -> WorstPeople:
    """Run the model on the first test people of the harsh config, and keep the worst of them."""
    cfg = Config.fromfile(CONFIG)
    model = MODELS.build(cfg.model).eval()
    batches = load_test_images(cfg, cfg.test_dataloader.dataset.seed, looked_at)
    found = [person for batch in batches for person in _measured(model, batch)]
    errors = np.array([person.error for person in found])
    return WorstPeople([found[index] for index in np.argsort(-errors)[:shown]], errors, model)


def draw_worst(worst: WorstPeople, size: int) -> list[list[np.ndarray]]:
    """Three pictures (size, size, 3) of each person, a list for each row: the crop with the given keypoints, the chosen
    body over it in the colours of its distance from the true one in depth, and from the side with the true one's
    outline.
    """
    faces = worst.model.body.faces
    focal_length = worst.model.camera.focal_length * size / worst.model.camera.image_size
    columns = []
    for person in worst.people:
        crop = resized(person.image, size)
        known = person.keypoints2d * [size / len(person.image), size / len(person.image), 1]
        zoom = _ROOM * common_zoom([person.body, person.truth], focal_length, size)
        color = CANDIDATE_COLORS[0]
        compared = draw_compared(crop, person.body, person.truth, faces, focal_length, color, size, zoom)
        columns.append([draw_keypoints(crop, known), *compared])
    return [list(row) for row in zip(*columns, strict=True)]


def _measured(model: MultiInitializationOptimizationNetwork, batch: dict) -> Iterator[WorstPerson]:
    samples: Sequence[BaseDataElement] = model(torch.stack(batch["inputs"]), batch["data_samples"], mode="predict")
    for image, sample in zip(batch["inputs"], samples, strict=True):
        chosen, truth = sample.pred_bodies, sample.gt_body
        path = int(chosen.selected)
        pose = torch.cat([truth.smpl_global_orient.view(1, 3), truth.smpl_body_pose.view(23, 3)])[None]
        bodies = [
            (chosen.pose[path][None], chosen.betas[path][None], chosen.transl[path][None]),
            (pose, truth.smpl_betas[None], truth.smpl_transl[None]),
        ]
        joints = [
            evaluation_joints(model.body.pose_keypoints(*body[:2], convention=JOINTS_CONVENTION)) for body in bodies
        ]
        vertices = [model.body(*body).vertices[0] for body in bodies]
        keypoints2d = truth.keypoints2d_input.numpy()
        yield WorstPerson(unnormalized(image), keypoints2d, float(mpjpe(*joints)), *vertices)
