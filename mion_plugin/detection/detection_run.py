"""Detecting the keypoints of many people, piece by piece, so that a killed run can go on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.detection.keypoint_estimator import KeypointEstimator, estimate_inside
from mion_plugin.detection.person_boxes import PersonBoxes
from mion_plugin.files import atomic_path, remove_leftovers
from mion_plugin.files.hashing import file_lengths
from mion_plugin.files.json_files import read_note
from mion_plugin.files.npz import read_npz, write_npz
from mion_plugin.files.pieces import check_settings

PIECE = 128  # people that a killed run loses at most
_LENGTHS = "lengths"  # in a piece: of the photographs, bytes


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found of N people.

    Attributes:
        keypoints2d: (N, 17, 3) as of ``estimate_inside``.
        boxes: (N, 4) x, y, width, height in pixels: where it was looked for.
        image_sizes: (N, 2) width and height of the images in pixels.
    """

    keypoints2d: np.ndarray
    boxes: np.ndarray
    image_sizes: np.ndarray


def check_pace(batch_size: int, workers: int) -> None:
    """Raise ValueError for what ``detect_people`` does not take."""
    if not 1 <= batch_size <= PIECE or workers < 1:
        raise ValueError(f"batch size {batch_size} and {workers} workers, expected 1 to {PIECE} and at least 1")


def detect_people(
    people: PersonBoxes,
    image_root: Path,
    estimate: KeypointEstimator,
    pieces: Path,
    settings: str,
    batch_size: int = 32,
    workers: int = 2,
    progress: Callable[[int], None] = lambda done: None,
) -> Detections:
    """Detect, or go on detecting.

    Args:
        people: Whom.
        image_root: Folder that the image paths start from.
        estimate: The network.
        pieces: Folder for what is done so far; the caller removes it when the result is stored. Only one run at a time
            may use it.
        settings: JSON that tells what decides the result; a run goes on only with its own.
        batch_size: People at once, 1 to ``PIECE``.
        workers: Threads that read images.
        progress: Called with the number of people that are done.

    Raises:
        ValueError: ``pieces`` is from other settings, a batch size or a number of workers out of range.
        FileNotFoundError, BrokenImageError: An image is lost.
    """
    check_pace(batch_size, workers)
    _claim(pieces, settings)
    parts = []
    with ThreadPoolExecutor(workers) as readers:
        for start in range(0, len(people), PIECE):
            stop = min(start + PIECE, len(people))
            path = pieces / f"{start:08d}.npz"
            lengths = file_lengths(image_root, people.image_paths[start:stop])
            piece = _read(path) if path.is_file() else {}
            if np.array_equal(piece.get(_LENGTHS, ()), lengths):  # done, and of the same photographs
                progress(stop)
            else:
                found = []
                for row in range(start, stop, batch_size):
                    rows = range(row, min(row + batch_size, stop))
                    found.append(_detect_batch(people, rows, image_root, estimate, readers))
                    progress(rows.stop)
                piece = {key: np.concatenate([one[key] for one in found]) for key in found[0]} | {_LENGTHS: lengths}
                write_npz(path, piece, compress=False)
            parts.append(piece)
    return Detections(**{key: np.concatenate([part[key] for part in parts]) for key in parts[0] if key != _LENGTHS})


def _read(path: Path) -> dict[str, np.ndarray]:
    return read_npz(path, f"piece of an earlier run; remove {path.parent}")


def _claim(pieces: Path, settings: str) -> None:
    """Note the settings beside the pieces, or check that those of an earlier run are the same."""
    note = pieces / "settings.json"
    if note.is_file():
        check_settings(settings, read_note(note), f"{pieces} is of a run")
        remove_leftovers(pieces / "*.npz")
        return
    with atomic_path(note) as temporary:
        temporary.write_text(settings)


def _detect_batch(
    people: PersonBoxes, rows: range, image_root: Path, estimate: KeypointEstimator, readers: Executor
) -> dict[str, np.ndarray]:
    """The fields of ``Detections`` for some rows; each image is read once."""
    paths = [people.image_paths[row] for row in rows]
    unique = list(dict.fromkeys(paths))
    read = dict(zip(unique, readers.map(lambda path: read_image(image_root / path), unique), strict=True))
    images = [read[path] for path in paths]
    sizes = np.array([image.shape[1::-1] for image in images], dtype=np.float64)
    boxes = np.hstack([np.zeros_like(sizes), sizes]) if people.boxes is None else people.boxes[list(rows)]
    return {"keypoints2d": estimate_inside(estimate, images, boxes), "boxes": boxes, "image_sizes": sizes}
