"""What MediaPipe sees of the man in each frame: keypoints, its own 3D landmarks, and where in the picture he is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.real.clip import CAMERA_NAMES, VIDEOS, read_frames

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.datasets.transforms.geometric import warp
from mion_plugin.detection.mediapipe_detector import DEPTH_ERROR, MediaPipeDetector
from mion_plugin.files.hashing import hash_file
from mion_plugin.files.npz import read_npz, write_npz
from mion_plugin.inference.cropping import place_crop

NUM_KEYPOINTS = 17
MASK_SIZE = 256  # pixels of a crop's silhouette
# MediaPipe's 33 landmarks that are COCO's 17, in COCO's order.
_LANDMARKS = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
_CROP_SCALE = 1.6  # of the box of his keypoints: head, hands and feet reach beyond them
_IS_PERSON = 0.5  # share of MediaPipe's segmentation


@dataclass(frozen=True)
class Detections:
    """Of F frames of one camera.

    Attributes:
        keypoints2d: (F, 17, 3) pixels (first pixel's centre at 0.5) and confidence, zeros where absent, where
            MediaPipe has them; the largest person of the picture, which the man is.
        depths: (F, 17, 2) those that come with the keypoints, see ``CocoPerson``; zeros where absent.
        landmarks3d: (F, 17, 3) MediaPipe's world landmarks, metres, axes of the crop's camera; NaN where it saw nobody.
        masks: (F, 256, 256) bool, True on the man; of the crop below.
        crops: (F, 3) middle x, y and side of the crop in pixels.
    """

    keypoints2d: np.ndarray
    depths: np.ndarray
    landmarks3d: np.ndarray
    masks: np.ndarray
    crops: np.ndarray


def detect_all(clip: Path, work_dir: Path) -> list[Detections]:
    """Of every camera; a camera whose file of an earlier run is in ``work_dir`` is not looked at again."""
    found = []
    for camera, name in enumerate(CAMERA_NAMES):
        path = work_dir / f"detections_{name}.npz"
        settings = _settings(clip / VIDEOS[camera])
        kept = _read(path, settings)
        if kept is None:
            print(f"MediaPipe looks at {name}", flush=True)
            kept = detect(read_frames(clip, camera))
            arrays = {field.name: getattr(kept, field.name) for field in fields(Detections)}
            write_npz(path, {**arrays, "settings": np.array(settings)})
        found.append(kept)
    return found


def detect(frames: Iterator[np.ndarray]) -> Detections:
    """Detections in the frames (H, W, 3) uint8 RGB of one camera."""
    rows = []
    with _landmark_network() as network:
        detector = MediaPipeDetector(own_places=True)  # the truth and MediaPipe's landmarks are its own, too
        for frame in frames:
            people = detector(frame)
            rows.append(_look_at(network, frame, people[0]) if people else _nobody())
    return Detections(*(np.stack(values) for values in zip(*rows, strict=True)))


def _look_at(network: Any, frame: np.ndarray, person: CocoPerson) -> tuple[np.ndarray, ...]:
    """One row of ``Detections``."""
    place = place_crop(person, scale=_CROP_SCALE)
    side = round(place.side)
    seen = network.process(warp(frame, place.matrix(side), side))
    _, depths, landmarks3d, mask, _ = _nobody()
    if seen.pose_world_landmarks is not None:
        points = [seen.pose_world_landmarks.landmark[index] for index in _LANDMARKS]
        landmarks3d = np.array([(point.x, point.y, point.z) for point in points])
        rows = (np.arange(MASK_SIZE) + 0.5) * side / MASK_SIZE  # nearest pixels are good enough for an outline
        mask = (seen.segmentation_mask > _IS_PERSON)[np.ix_(rows.astype(int), rows.astype(int))]
    depths = depths if person.depths is None else person.depths
    return person.keypoints2d, depths, landmarks3d, mask, np.append(place.center, place.side)


def _nobody() -> tuple[np.ndarray, ...]:
    shape = (NUM_KEYPOINTS, 3)
    mask = np.zeros((MASK_SIZE, MASK_SIZE), bool)
    return np.zeros(shape), np.zeros((NUM_KEYPOINTS, 2)), np.full(shape, np.nan), mask, np.zeros(3)


def _landmark_network() -> Any:
    """MediaPipe's public interface for single pictures, as its users call it."""
    from mediapipe.python.solutions.pose import Pose  # at first use: it takes a second

    pose = Pose(static_image_mode=True, model_complexity=1, enable_segmentation=True)
    return contextlib.closing(pose)


def _settings(video: Path) -> str:
    """What decides the result."""
    digest = hash_file(video)[:16]
    version = metadata.version("mediapipe")
    return f"mediapipe {version}, {video.name} {digest}, own places, crop {_CROP_SCALE}, depth error {DEPTH_ERROR}"


def _read(path: Path, settings: str) -> Detections | None:
    """The detections of an earlier run with the same settings, if there are any."""
    if not path.is_file():
        return None
    arrays = read_npz(path, "file of detections")
    if str(arrays.pop("settings", "")) != settings:
        return None
    return Detections(**arrays)
