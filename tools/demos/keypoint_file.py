"""Everyone's keypoints in one photograph as a file that tools/demo.py takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mion_plugin.datasets.keypoint_layouts import COCO_17
from mion_plugin.files import atomic_path
from mion_plugin.inference import FramePeople


def write_keypoints(path: Path, image: str, people: dict[int, np.ndarray]) -> Path:
    """Write COCO keypoint annotations of one photograph, as ``tools/demo.py --keypoints`` takes them.

    Args:
        path: File to write.
        image: Name of the photograph.
        people: Number -> keypoints (17, 3); the numbers are 0, 1, ...
    """
    annotations = []
    for number in sorted(people):
        keypoints2d = people[number] - [0.5, 0.5, 0.0]  # COCO gives a pixel's index
        annotations.append(
            {
                "id": number + 1,
                "image_id": 1,
                "category_id": 1,
                "keypoints": np.where(people[number][:, 2:] > 0, keypoints2d, 0.0).ravel().tolist(),
            }
        )
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO_17)}]
    content = {"images": [{"id": 1, "file_name": image}], "annotations": annotations, "categories": categories}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content))
    return path


def known_keypoints(result: FramePeople) -> dict[int, np.ndarray]:
    """Number -> keypoints (17, 3) of everyone in a photograph, with or without a body."""
    return result.others | {person.person: person.keypoints2d for person in result.people}
