"""What is kept of each person: parameters, about 2 KB, from which everything else can be made again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import roma
import torch
from mmengine.structures import BaseDataElement

from mion_plugin.inference import MIONInferencer
from mion_plugin.samples import bodies_to_give

PER_PATH = ("fit_loss", "fit_cost", "scores", "selection_scores")  # of a data sample, where the model gives them
Records = dict[str, np.ndarray]


def collect_records(inferencer: MIONInferencer, samples: Sequence[BaseDataElement]) -> tuple[Records, np.ndarray]:
    """The arrays of a batch of P people, and which of them have bodies that mean something.

    Args:
        inferencer: Whose ``estimate`` gave the samples.
        samples: P of them.

    Returns:
        The arrays that ``Predictions`` tells of, P rows each; and (P,) bool, False where the keypoints fit no body.
    """
    found = [bodies_to_give(sample) for sample in samples]
    rotations = torch.stack([one.pose for one in found]).float()  # one transfer from the device for all people
    records = {
        "image_name": np.array([sample.image_name for sample in samples], dtype=np.str_),
        "person": np.array([sample.person for sample in samples], dtype=np.int32),
        "keypoints2d": np.array([sample.known.keypoints2d for sample in samples], dtype=np.float32),
        "crop": np.array([[*sample.place.center, sample.place.side] for sample in samples], dtype=np.float64),
        "image_camera": np.array([_camera_of_image(inferencer, sample) for sample in samples], dtype=np.float64),
        "pose": _array(roma.rotmat_to_rotvec(rotations)),
        **{name: _stack(found, name) for name in ("betas", "transl")},
        **{name: _stack(found, name) for name in PER_PATH if name in found[0]},
        "selected": _flags(found, "selected", 0).astype(np.int32),
    }
    if inferencer.score_unit is not None and "scores" in records:
        records["expected_error"] = records["scores"] * np.float32(inferencer.score_unit)
    return records, _flags(found, "valid", 1).astype(bool)


def _camera_of_image(inferencer: MIONInferencer, sample: BaseDataElement) -> list[float]:
    camera = inferencer.camera_of_image(*sample.ori_shape)
    return [camera.focal_length, *camera.principal_point]


def _stack(found: Sequence[BaseDataElement], name: str) -> np.ndarray:
    return _array(torch.stack([one.get(name) for one in found]))


def _flags(found: Sequence[BaseDataElement], name: str, otherwise: int) -> np.ndarray:
    return _stack(found, name) if name in found[0] else np.full(len(found), otherwise)


def _array(value: torch.Tensor) -> np.ndarray:
    return value.detach().cpu().float().numpy()
