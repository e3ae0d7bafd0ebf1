"""A clip for those who have no video at hand: a camera that pans over the demo's photograph."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.inference.videos import VideoWriter

CLIP = "pan.mp4"
_WIDTH, _FIRST, _STEP = 400, 120, 6  # pixels: of the window, its left edge at first, from one picture to the next
_COUNT, _RATE = 16, 8  # pictures, and pictures a second


def write_example_clip(folder: Path) -> tuple[Path, Path]:
    """Write the clip, and its people's keypoints as COCO annotations; both files."""
    photograph, video = read_image(PHOTO), folder / CLIP
    height = len(photograph) // 2 * 2
    edges = [_FIRST + _STEP * index for index in range(_COUNT)]
    with VideoWriter(video, _RATE, (_WIDTH, height)) as writer:
        for edge in edges:
            writer.write(np.ascontiguousarray(photograph[:height, edge : edge + _WIDTH]))
    keypoints = video.with_suffix(".json")
    keypoints.write_text(json.dumps(_moved_keypoints(video.stem, edges)))
    return video, keypoints


def _moved_keypoints(stem: str, edges: list[int]) -> dict[str, list[dict]]:
    """COCO annotations of windows with these left edges."""
    people = json.loads(KEYPOINTS.read_text())["annotations"]
    images = [{"id": index, "file_name": f"{stem}_{index:06d}.jpg"} for index in range(len(edges))]
    annotations = []
    for index, edge in enumerate(edges):
        for person in people:
            keypoints = np.array(person["keypoints"], float).reshape(-1, 3) - [edge, 0, 0]
            annotations.append({"image_id": index, "keypoints": keypoints.ravel().tolist()})
    return {"images": images, "annotations": annotations}
