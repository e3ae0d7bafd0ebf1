"""Whose keypoints to detect: people in boxes, from an annotation file or a folder of photographs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.datasets.coco import NUM_KEYPOINTS, holds_scores, read_keypoints
from mion_plugin.datasets.coco_documents import PersonCategories, id_key, require_ids
from mion_plugin.datasets.human_data import load_human_data
from mion_plugin.datasets.transforms.loading import list_images
from mion_plugin.files.json_files import read_json
from mion_plugin.files.presence import require_folder
from mion_plugin.files.relative_paths import leads_out, with_slashes
from mion_plugin.geometry.boxes import scale_boxes


@dataclass(frozen=True, eq=False)
class PersonBoxes:
    """N people, in the order of where they come from.

    Attributes:
        image_paths: N paths of images below some folder; an image may come several times.
        boxes: (N, 4) x, y of the top left corner, width, height in pixels; None for the whole image.
        image_ids: N numbers of the images in a COCO file; None where there is none.
        ids: N numbers of the people in a COCO file; likewise.
        annotated: (N, 17, 3) the COCO file's own keypoints, as those of a ``CocoPerson``;
            None where the source has none, or keeps them itself.
    """

    image_paths: tuple[str, ...]
    boxes: np.ndarray | None = None
    image_ids: tuple[int, ...] | None = None
    ids: tuple[int, ...] | None = None
    annotated: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.image_paths)

    def scaled(self, factor: float) -> PersonBoxes:
        """The same people in boxes enlarged by ``factor`` about their middles.

        Raises:
            ValueError: The factor is not positive and finite.
        """
        if not 0 < factor < float("inf"):
            raise ValueError(f"a box scale of {factor}, expected a positive number")
        if self.boxes is None or factor == 1.0:
            return self
        return replace(self, boxes=scale_boxes(self.boxes, factor))

    def digest(self) -> str:
        """Text that differs for other people."""
        told = hashlib.sha256("\n".join(self.image_paths).encode())
        if self.boxes is not None:
            told.update(np.ascontiguousarray(self.boxes, dtype=np.float64).tobytes())
        return told.hexdigest()[:16]


def boxes_of_human_data(path: str | os.PathLike[str]) -> PersonBoxes:
    """The people of a HumanData file: a row each, in its ``bbox_xywh``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a HumanData file, or one whose boxes cannot be used.
    """
    data = load_human_data(path)
    if not len(data):
        raise data.error("image_path", "holds no rows")
    boxes = data.rows("bbox_xywh", data.require("bbox_xywh"), (5,))[:, :4]
    data.check_finite("bbox_xywh", boxes)
    paths = tuple(with_slashes(str(name)) for name in data.require("image_path"))
    _check_paths(paths, f"{path}: image_path")
    _check_sizes(boxes, f"{path}: bbox_xywh", [f"row {row}" for row in range(len(boxes))])
    return PersonBoxes(paths, boxes)


def boxes_of_coco(path: str | os.PathLike[str]) -> PersonBoxes:
    """The people of a COCO annotation file: its annotations of persons with a ``bbox``, but for those of crowds.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not such a JSON file, or boxes that cannot be used.
    """
    path = Path(path)
    content = read_coco(path)
    images = {id_key(image["id"]): image for image in content["images"]}
    categories = PersonCategories(content)
    entries = [
        entry
        for entry in content["annotations"]
        if "bbox" in entry and not entry.get("iscrowd") and categories.include(entry)
    ]
    if not entries:
        raise ValueError(f"{path}: none of its {len(content['annotations'])} annotations has a bbox of a person")
    labels = [f"annotation {entry.get('id', '?')}" for entry in entries]
    for entry, label in zip(entries, labels, strict=True):
        if id_key(entry["image_id"]) not in images:
            raise ValueError(f"{path}: {label} is of image {entry.get('image_id')!r}, which is not among its images")
    try:
        boxes = np.array([entry["bbox"] for entry in entries], dtype=np.float64).reshape(len(entries), 4)
    except (TypeError, ValueError):
        raise ValueError(f"{path}: a bbox is not four numbers x, y, width, height") from None
    shown = [images[id_key(entry["image_id"])] for entry in entries]
    paths = tuple(with_slashes(str(image.get("file_name"))) for image in shown)
    _check_paths(paths, f"{path}: file_name")
    _check_sizes(boxes, f"{path}: bbox", labels)
    return PersonBoxes(
        paths,
        boxes,
        tuple(image["id"] for image in shown),
        tuple(entry.get("id", number) for number, entry in enumerate(entries, 1)),
        _annotated_keypoints(entries, labels, categories, path),
    )


def boxes_of_images(folder: str | os.PathLike[str]) -> PersonBoxes:
    """A person in each image file of a folder, who fills the image.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: It holds no images.
    """
    folder = require_folder(Path(folder))
    return PersonBoxes(tuple(path.name for path in list_images(folder)))


def read_coco(path: Path) -> dict[str, Any]:
    """The content of a COCO file, with lists of ``images`` and ``annotations``; raises as ``boxes_of_coco``."""
    content = read_json(path, "annotation file")
    try:
        lists = [content[key] for key in ("images", "annotations")]
    except (KeyError, TypeError):
        raise ValueError(f"{path} has no lists 'images' and 'annotations', expected COCO annotations") from None
    if not all(isinstance(entries, list) and all(isinstance(e, dict) for e in entries) for entries in lists):
        raise ValueError(f"{path}: 'images' and 'annotations' must be lists of objects, as in COCO annotations")
    require_ids(content["images"], content["annotations"], path)
    return content


def _annotated_keypoints(
    entries: Sequence[dict[str, Any]], labels: Sequence[str], categories: PersonCategories, path: Path
) -> np.ndarray | None:
    """See ``PersonBoxes.annotated``."""
    keypoints2d = np.zeros((len(entries), NUM_KEYPOINTS, 3))
    scored = any(holds_scores(entry.get("keypoints")) for entry in entries)
    for row, (entry, label) in enumerate(zip(entries, labels, strict=True)):
        if entry.get("keypoints"):
            names = categories.keypoint_names(entry)
            keypoints2d[row] = read_keypoints(entry["keypoints"], names, scored, f"{path}: {label}")
    return keypoints2d if (keypoints2d[..., 2] > 0).any() else None


def _check_paths(paths: Sequence[str], where: str) -> None:
    for path in paths:
        if leads_out(path):
            raise ValueError(f"{where} is {path!r}, expected a path below the image folder")


def _check_sizes(boxes: np.ndarray, where: str, labels: Sequence[str]) -> None:
    bad = ~(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{where} of {labels[first]} is {boxes[first].tolist()}, expected finite numbers and a width and height "
            "above 0; remove such people"
        )
