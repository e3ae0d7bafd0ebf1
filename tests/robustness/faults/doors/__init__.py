"""The public doors, a module each: ``cases(seeds)`` gives what is tried there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from robustness.faults.case import Case
from robustness.faults.doors import (
    archives,
    body,
    commands,
    configs,
    crops,
    human_data,
    images,
    keypoint_files,
    keypoints,
    motion,
    outputs,
    pool,
    predictions,
    scores,
    weights,
)
from robustness.faults.seeds import Seeds

DOORS: dict[str, Callable[[Seeds], Iterator[Case]]] = {
    "images": images.cases,
    "annotations": human_data.cases,
    "keypoint-files": keypoint_files.cases,
    "keypoints": keypoints.cases,
    "pool": pool.cases,
    "body": body.cases,
    "weights": weights.cases,
    "configs": configs.cases,
    "archives": archives.cases,
    "motion": motion.cases,
    "scores": scores.cases,
    "predictions": predictions.cases,
    "crops": crops.cases,
    "commands": commands.cases,
    "outputs": outputs.cases,
}
CHEAP = ("images", "annotations", "keypoint-files", "keypoints", "pool", "weights")
"""Doors whose cases take milliseconds."""
