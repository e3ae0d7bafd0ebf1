"""Files of detected keypoints: HumanData and COCO JSON, each with the settings that the keypoints come from."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.datasets.human_data import save_human_data
from mion_plugin.datasets.keypoint_layouts import COCO_17
from mion_plugin.datasets.sample_table import DETECTED_KEY
from mion_plugin.detection.detection_run import Detections
from mion_plugin.detection.person_boxes import PersonBoxes, read_coco
from mion_plugin.files import atomic_path
from mion_plugin.files.npz import read_npz
from mion_plugin.geometry.keypoints import convert_keypoints, keypoint_names

CONVENTION = "coco"
SUFFIXES = (".npz", ".json")
_SETTINGS_KEY = f"{DETECTED_KEY}_settings"
_KEY_STRICT = "__key_strict__"  # mmhuman3d refuses keys that it does not know where this is True


def add_to_human_data(source: Path, out: Path, found: Detections, settings: str) -> None:
    """Copy a HumanData file, as it is, with the keypoints added under ``keypoints2d_detected``.

    Args:
        source: File to copy; may have detected keypoints, which are replaced.
        out: File to write, whole or not at all.
        found: A row for each of the file's.
        settings: JSON, kept in the file.
    """
    new = {**_detected_arrays(found, settings), _KEY_STRICT: np.array(False)}
    with (
        atomic_path(out) as temporary,
        zipfile.ZipFile(source) as old,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as copy,
    ):
        for member in old.namelist():
            if member.removesuffix(".npy") not in new:
                with old.open(member) as reader, copy.open(member, "w", force_zip64=True) as writer:
                    shutil.copyfileobj(reader, writer)  # unread: what is pickled stays so
        for key, array in new.items():
            with copy.open(f"{key}.npy", "w") as writer:
                np.lib.format.write_array(writer, array, allow_pickle=False)


def write_human_data(people: PersonBoxes, out: Path, found: Detections, settings: str) -> None:
    """Write a HumanData file of its own: images, boxes, detected keypoints, and annotated ones if there are any.

    Args:
        people: Whose keypoints were detected.
        out: File to write, whole or not at all.
        found: A row for each.
        settings: JSON, kept in the file.
    """
    boxes = found.boxes if people.boxes is None else people.boxes
    content: dict[str, Any] = {
        "image_path": np.array(people.image_paths),
        "bbox_xywh": np.column_stack([boxes, np.ones(len(boxes))]),
        **_detected_arrays(found, settings),
    }
    if people.annotated is not None:
        converted, mask = convert_keypoints(people.annotated, CONVENTION, "human_data")
        content |= {"keypoints2d": converted, "keypoints2d_mask": mask.astype(np.uint8)}
    save_human_data(out, content)


def write_coco(people: PersonBoxes, out: Path, found: Detections, settings: str, min_score: float) -> None:
    """Write COCO keypoint annotations, as ``tools/demo.py`` and every COCO reader takes them.

    COCO's files give a pixel by its index, so 0.5 is taken from x and y. Keypoints of lower confidence than
    ``min_score`` are unlabelled (visibility 0), the others visible (2); all confidences stand in ``keypoint_scores``.

    Args:
        people: Whose keypoints were detected.
        out: File to write, whole or not at all.
        found: A row for each.
        settings: JSON, kept in the file's ``info``.
        min_score: Confidence that a keypoint needs to count as seen.
    """
    numbers: dict[str, int] = {}
    image_ids = people.image_ids or [numbers.setdefault(path, len(numbers) + 1) for path in people.image_paths]
    images = {
        image_id: {"id": image_id, "file_name": path, "width": int(size[0]), "height": int(size[1])}
        for image_id, path, size in zip(image_ids, people.image_paths, found.image_sizes, strict=True)
    }
    boxes = found.boxes if people.boxes is None else people.boxes
    ids = people.ids or range(1, len(people) + 1)
    annotations = [
        {
            "id": person,
            "image_id": image_id,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": box.round(3).tolist(),
            "area": round(float(box[2] * box[3]), 3),
            **_coco_keypoints(keypoints2d, min_score),
        }
        for person, image_id, box, keypoints2d in zip(ids, image_ids, boxes, found.keypoints2d, strict=True)
    ]
    content = {
        "info": {"description": "keypoints of a detector", _SETTINGS_KEY: settings},
        "images": list(images.values()),
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17)}],
    }
    with atomic_path(out) as temporary:
        temporary.write_text(json.dumps(content))


def stored_settings(path: Path) -> str:
    """The settings in a file of this module's; empty where there are none.

    Raises:
        ValueError: Not such a file.
    """
    if path.suffix == ".json":
        info = read_coco(path).get("info")
        return str(info.get(_SETTINGS_KEY, "")) if isinstance(info, dict) else ""
    return str(read_npz(path, "HumanData file", only=(_SETTINGS_KEY,)).get(_SETTINGS_KEY, ""))


def _detected_arrays(found: Detections, settings: str) -> dict[str, np.ndarray]:
    return {
        DETECTED_KEY: found.keypoints2d.astype(np.float32),
        f"{DETECTED_KEY}_mask": np.ones(len(keypoint_names(CONVENTION)), dtype=np.uint8),
        f"{DETECTED_KEY}_convention": np.array(CONVENTION),
        _SETTINGS_KEY: np.array(settings),
    }


def _coco_keypoints(keypoints2d: np.ndarray, min_score: float) -> dict[str, Any]:
    seen = (keypoints2d[:, 2] > 0) & (keypoints2d[:, 2] >= min_score)
    pixels = np.where(seen[:, None], keypoints2d[:, :2] - 0.5, 0.0).round(3)
    return {
        "keypoints": np.column_stack([pixels, 2 * seen]).ravel().tolist(),
        "num_keypoints": int(seen.sum()),
        "keypoint_scores": keypoints2d[:, 2].round(4).tolist(),
    }
