"""What annotation files in COCO's manner leave open: numbers or text as ids, categories, other tools' lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mion_plugin.datasets.keypoint_layouts import OPENPOSE_18, is_persons
from mion_plugin.datasets.transforms.loading import IMAGE_SUFFIXES

_PERSONS = ("person", "people", "human", "pedestrian")
OPENPOSE_ENDING = "_keypoints"
"""Of the stems of the files that OpenPose writes, one for each image."""


def id_key(value: Any) -> str:
    """What ids are compared by: 785, "785" and 785.0 are one, since tools that pass through tables change the type."""
    return str(int(value) if isinstance(value, float) else value).strip()


def is_id(value: Any) -> bool:
    """Whether a value is the id of something."""
    return isinstance(value, int | str) or (isinstance(value, float) and value.is_integer())


def require_ids(images: Iterable[dict[str, Any]], annotations: Iterable[dict[str, Any]], path: Path) -> None:
    """Raise ValueError if an ``id`` of images, or ``image_id`` of annotations, is not a number or text."""
    for key, entries in (("id", images), ("image_id", annotations)):
        for entry in entries:
            if not is_id(entry.get(key)):
                raise ValueError(f"{path}: {key} is {entry.get(key)!r}, expected the number of an image")


class PersonCategories:
    """Which annotations are of people, and what their keypoints are called.

    A category is a person's by its name, or by the names of its keypoints. Annotations without a category that the file
    describes count as people: many tools write none.

    Args:
        content: The file's content.

    Attributes:
        others: Names of the categories that are not a person's.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        entries = content.get("categories")
        entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        self._by_id = {id_key(entry["id"]): entry for entry in entries if is_id(entry.get("id"))}
        self.others = [str(entry.get("name")) for entry in self._by_id.values() if not _is_person(entry)]

    def include(self, annotation: dict[str, Any]) -> bool:
        """Whether an annotation is of a person."""
        category = self._of(annotation)
        return category is None or _is_person(category)

    def keypoint_names(self, annotation: dict[str, Any]) -> Sequence[str] | None:
        """What the annotation's category calls its keypoints; None if it does not tell."""
        return _names(self._of(annotation) or {})

    def _of(self, annotation: dict[str, Any]) -> dict[str, Any] | None:
        number = annotation.get("category_id")
        return self._by_id.get(id_key(number)) if is_id(number) else None


def _is_person(category: dict[str, Any]) -> bool:
    told = [category[key] for key in ("name", "supercategory") if isinstance(category.get(key), str)]
    names = _names(category)
    return any(text.lower() in _PERSONS for text in told) or (is_persons(names) if names else not told)


def _names(category: dict[str, Any]) -> Sequence[str] | None:
    names = category.get("keypoints")
    sound = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if sound and names else None


def as_coco(content: Any, path: Path) -> Any:
    """A file of AlphaPose's or OpenPose's in COCO's form; any other content as it is.

    AlphaPose writes a list of people whose ``image_id`` is the image's name, OpenPose a file for each image that is
    called after it. 18 keypoints of OpenPose's are those of its model COCO.

    Raises:
        ValueError: A list of detections that tells no names, as COCO's own results: nothing says which image is which.
    """
    if isinstance(content, dict) and "images" not in content and _is_list_of_objects(content.get("people")):
        name = path.stem.removesuffix(OPENPOSE_ENDING)
        images = [name + case(suffix) for suffix in IMAGE_SUFFIXES for case in (str.lower, str.upper)]
        people = [
            {"id": number, "image_id": 0, "category_id": 18, "keypoints": one.get("pose_keypoints_2d")}
            for number, one in enumerate(content["people"])
        ]
        return {
            "images": [{"id": 0, "file_name": name} for name in images],
            "annotations": people,
            "categories": [{"id": 18, "name": "person", "keypoints": list(OPENPOSE_18)}],
        }
    if _is_list_of_objects(content) and content and all("keypoints" in one and "image_id" in one for one in content):
        names = list(dict.fromkeys(one["image_id"] for one in content if isinstance(one["image_id"], str)))
        if not all(isinstance(one["image_id"], str) and not one["image_id"].isdecimal() for one in content):
            raise ValueError(
                f"{path} is a list of detections that does not name its images; expected COCO keypoint annotations, "
                "with 'images' and 'annotations'"
            )
        return {"images": [{"id": name, "file_name": name} for name in names], "annotations": content}
    return content


def _is_list_of_objects(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(one, dict) for one in content)
