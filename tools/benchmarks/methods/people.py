"""The test people: their pictures, their keypoints, how ambiguous they are, and the errors of bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from benchmarks.measuring import load_test_images
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.evaluation import MeshMetric
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.samples import add_results, collect_targets, input_keypoints, pack_bodies

MESH_ERRORS = ("MPJPE", "PA-MPJPE", "PVE", "SHAPE-L2")
PIXELS = "2D"  # mean distance to the true keypoints that are in the picture, pixels of the crop
ERRORS = (*MESH_ERRORS, PIXELS)
_CPU = torch.device("cpu")
_CONVENTION = "coco"
# SMPL's joints at the ends of upper and lower arms and legs.
_LIMBS = ((1, 4), (2, 5), (4, 7), (5, 8), (16, 18), (17, 19), (18, 20), (19, 21))
_HIDDEN = 0.65  # the synthetic detector gives 0.3 to 0.6 to hidden joints, 0.7 to 1 to others
FORESHORTENED, HIDDEN, LEANING = "limbs towards the camera", "hidden joints", "trunk out of the image plane"
AMBIGUITIES = {FORESHORTENED: "share of a limb's length in depth", HIDDEN: "of 17", LEANING: "degrees"}


@dataclass(frozen=True)
class Batch:
    """B people.

    Attributes:
        image: (B, 3, H, W) normalised.
        samples: B data samples with labels.
        keypoints2d: (B, 17, 3) of the detector.
    """

    image: Tensor
    samples: Sequence[BaseDataElement]
    keypoints2d: Tensor


@dataclass(frozen=True)
class Trial:
    """The people of a test.

    Attributes:
        people: All of them.
        errors: What is wrong with bodies (B, 1) of the batch of that number: error -> (B,).
        extra: Further numbers (S,) of the people, kept beside the errors.
    """

    people: Sequence[Batch]
    errors: Callable[[int, Bodies], dict[str, np.ndarray]]
    extra: dict[str, np.ndarray] = field(default_factory=dict)


def synthetic_data(cfg: Config, seed: int, count: int) -> dict[str, Any]:
    """What tells the test people of a seed from others."""
    data = cfg.test_dataloader.dataset.to_dict() | {"seed": seed, "num_samples": count}
    return {key: value for key, value in data.items() if key != "pipeline"}


def synthetic_trial(model: MultiInitializationOptimizationNetwork, cfg: Config, seed: int, count: int) -> Trial:
    """The test people of a seed, with the errors of ``ERRORS``."""
    people, metric = list(load_people(cfg, seed, count)), MeshMetric(MESH_ERRORS, ("mean",))

    def errors(number: int, bodies: Bodies) -> dict[str, np.ndarray]:
        found = measure_errors(metric, model.body, model.camera, people[number], bodies)
        return {name: values[:, 0] for name, values in found.items()}

    return Trial(people, errors)


def load_people(cfg: Config, seed: int, count: int) -> Iterator[Batch]:
    """The test people of a seed, in batches of the config's size."""
    for batch in load_test_images(cfg, seed, count):
        samples = batch["data_samples"]
        yield Batch(torch.stack(batch["inputs"]), samples, input_keypoints(samples, _CONVENTION, _CPU))


@torch.no_grad()
def measure_errors(
    metric: MeshMetric, body: SMPLBody, camera: CropCamera, batch: Batch, bodies: Bodies
) -> dict[str, np.ndarray]:
    """Error -> (B, N); millimetres, ``2D`` pixels, ``SHAPE-L2`` without a unit. ``metric`` has ``MESH_ERRORS``."""
    metric.results.clear()
    results = add_results(batch.samples, pred_bodies=pack_bodies(bodies, body))
    metric.process(None, [result.to_dict() for result in results])
    errors = {name: np.stack([result["pred_bodies"][name] for result in metric.results]) for name in MESH_ERRORS}
    return errors | {PIXELS: _pixels(body, camera, batch, bodies)}


def _pixels(body: SMPLBody, camera: CropCamera, batch: Batch, bodies: Bodies) -> np.ndarray:
    targets = collect_targets(batch.samples, _CPU)
    truth = convert_keypoints(targets.keypoints2d, targets.keypoints2d_convention, _CONVENTION)[0][:, None]
    points = body.pose_keypoints(bodies.pose, bodies.betas, bodies.transl, _CONVENTION)
    apart = camera.project_normalized(points) - camera.normalize(truth[..., :2])
    present = (truth[..., 2] > 0).float()
    distance = (apart * (camera.image_size / 2.0)).norm(dim=-1)
    return ((distance * present).sum(-1) / present.sum(-1).clamp(min=1)).numpy()


@torch.no_grad()
def ambiguity(body: SMPLBody, batch: Batch) -> np.ndarray:
    """(B, 3) how ambiguous the pictures are, by the true bodies and the detector's confidences; see ``AMBIGUITIES``.

    - the mean share of eight limbs' length that lies in depth: 0 in the image plane, 1 straight at the camera;
    - keypoints that are hidden or outside the picture;
    - the angle between the trunk's axis and the image plane, which a pitched camera brings.
    """
    targets = collect_targets(batch.samples, _CPU)
    joints = body(targets.rotations, targets.betas).joints
    limbs = torch.stack([joints[:, end] - joints[:, start] for start, end in _LIMBS], dim=1)
    depth = (limbs[..., 2].abs() / limbs.norm(dim=-1)).mean(1)
    hidden = (batch.keypoints2d[..., 2] < _HIDDEN).sum(1).float()
    lean = targets.rotations[:, 0, 2, 1].abs().clamp(max=1.0).asin().rad2deg()
    return torch.stack([depth, hidden, lean], dim=1).numpy()
