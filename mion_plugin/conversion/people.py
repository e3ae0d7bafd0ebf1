"""Rows of people in HumanData's layout: collecting, checking, writing."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.files.npz import write_npz
from mion_plugin.geometry.boxes import keypoint_box, scale_boxes
from mion_plugin.geometry.keypoints import keypoint_mapping, keypoint_names

BOX_SCALE = 1.2  # of the box around the keypoints; SPIN's and mmhuman3d's
_MAX_LOST = 0.01  # share of images that may be missing: some archives lack a few
_ROWS = ("image_path", "bbox_xywh", "keypoints2d", "keypoints3d", "smpl", "meta")  # what has a row for each person
_PARAMETERS = {"global_orient": (3,), "body_pose": (23, 3), "betas": (10,), "transl": (3,)}


def person_box(keypoints2d: np.ndarray) -> np.ndarray | None:
    """Box (4,) that a data set gives a person: ``BOX_SCALE`` times the one around the keypoints (K, 3), or None."""
    box = keypoint_box(keypoints2d)
    return None if box is None else scale_boxes(box, BOX_SCALE)


class People:
    """The people of one data set, added one by one.

    Args:
        config: Name of the set, HumanData's ``config``.
        keypoints2d: Convention of the 2D keypoints.
        keypoints3d: Convention of the 3D keypoints; None for a set without.

    Attributes:
        skipped: Why people were left out, and how many for each reason.
    """

    def __init__(self, config: str, keypoints2d: str, keypoints3d: str | None = None) -> None:
        self.skipped: Counter[str] = Counter()
        self._config = config
        self._conventions = {"keypoints2d": keypoints2d, "keypoints3d": keypoints3d}
        self._columns: dict[str, list] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._columns["image_path"])

    def add(
        self,
        image_path: str,
        box: np.ndarray,
        keypoints2d: np.ndarray,
        keypoints3d: np.ndarray | None = None,
        smpl: Mapping[str, np.ndarray] | None = None,
        gender: str | None = None,
        intrinsics: np.ndarray | None = None,
    ) -> None:
        """Add a person; all people of a set have the same of the optional parts.

        Args:
            image_path: Relative to the set's folder; see ``archives.safe_relative``.
            box: (4,) x, y, width, height in pixels; the longer side becomes the side of the crop.
            keypoints2d: (K, 3) pixels, confidence.
            keypoints3d: (K3, 4) metres in camera axes, confidence.
            smpl: ``global_orient`` (3,) in camera axes, ``body_pose`` (69,) or (23, 3), ``betas`` (10,), and, if
                known, ``transl`` (3,).
            gender: m, f or n.
            intrinsics: (3, 3).
        """
        row = {
            "image_path": image_path,
            "bbox_xywh": np.append(box, 1.0),
            "keypoints2d": keypoints2d,
            "keypoints3d": keypoints3d,
            **(smpl or {}),
            "gender": gender,
            "K": intrinsics,
        }
        for key, value in row.items():
            if value is not None:
                self._columns[key].append(value)

    def skip(self, reason: str) -> None:
        """Count a person that is left out."""
        self.skipped[reason] += 1

    def content(self) -> dict[str, Any]:
        """The keys of a HumanData file, keypoints compressed: only the joints that the set has.

        Raises:
            ValueError: Nobody was added.
        """
        if not len(self):
            reasons = "; ".join(f"{count} {reason}" for reason, count in self.skipped.items())
            raise ValueError(f"{self._config}: no usable person" + (f" ({reasons})" if reasons else ""))
        content: dict[str, Any] = {
            "image_path": self._columns["image_path"],
            "bbox_xywh": np.array(self._columns["bbox_xywh"]),
            "config": self._config,
        }
        for key, convention in self._conventions.items():
            if convention is not None:
                content |= _compressed(key, np.array(self._columns[key], dtype=np.float32), convention)
        smpl = {
            name: np.array(self._columns[name], dtype=np.float32).reshape(len(self), *shape)
            for name, shape in _PARAMETERS.items()
            if name in self._columns
        }
        if smpl:
            content["smpl"] = smpl
        if "gender" in self._columns:
            content["meta"] = {"gender": np.array(self._columns["gender"])}
        if "K" in self._columns:
            content["cam_param"] = {"K": np.array(self._columns["K"])}
        return content


def _compressed(key: str, values: np.ndarray, convention: str) -> dict[str, np.ndarray]:
    """Keypoints (N, K, C) as HumanData's: those of its 190 joints that the mask names, in their order."""
    dst, src = keypoint_mapping(convention, "human_data")
    mask = np.zeros(len(keypoint_names("human_data")), dtype=np.uint8)
    mask[list(dst)] = 1
    return {key: values[:, list(src)], f"{key}_mask": mask}


def drop_lost_images(content: dict[str, Any], images: Path) -> tuple[dict[str, Any], int]:
    """Leave out the people whose image is not there.

    Args:
        content: A HumanData file's keys.
        images: The folder that ``image_path`` starts from.

    Returns:
        The content, and how many people were left out.

    Raises:
        FileNotFoundError: More than 1 % of the images are lost: the archive is incomplete, or elsewhere.
    """
    paths = content["image_path"]
    there = {path: (images / path).is_file() for path in dict.fromkeys(paths)}
    lost = [path for path, exists in there.items() if not exists]
    if not lost:
        return content, 0
    if len(lost) > _MAX_LOST * len(there):
        raise FileNotFoundError(f"{len(lost)} of {len(there)} images are missing in {images}, e.g. {lost[0]}")
    keep = np.array([there[path] for path in paths])
    kept = {key: _kept_rows(value, keep) if key in _ROWS else value for key, value in content.items()}
    camera = content.get("cam_param", {})
    if "K" in camera:  # Human3.6M's cameras are by subject, not by row
        kept["cam_param"] = {**camera, "K": camera["K"][keep]}
    return kept, int((~keep).sum())


def _kept_rows(value: Any, keep: np.ndarray) -> Any:
    if isinstance(value, dict):
        return {key: _kept_rows(item, keep) for key, item in value.items()}
    if isinstance(value, list):
        return [item for item, kept in zip(value, keep, strict=True) if kept]
    return value[keep]


def write_people(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write a HumanData ``.npz`` with compressed keypoints, whole or not at all.

    mmhuman3d's ``HumanData.fromfile`` and ``mion_plugin.datasets.human_data.load_human_data`` read it.

    Raises:
        OSError: The file cannot be written.
    """
    attributes = {
        "__key_strict__": False,
        "__data_len__": len(content["image_path"]),
        "__keypoints_compressed__": True,
    }
    write_npz(path, {**attributes, **content})
