"""COCO keypoint files: read in Python, given to the demo and to ``tools/detect_keypoints.py``."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.datasets.coco import load_coco_people
from robustness.faults import documents
from robustness.faults.case import ANYTHING, REFUSED, SAME, Case, WrongResultError, require_equal, require_finite
from robustness.faults.damage import Damage, damages
from robustness.faults.doors.files import file_cases, tool
from robustness.faults.seeds import Seeds

_NAME = "keypoints.json"
_PLACES: tuple[tuple[Any, ...], ...] = (
    ("images",),
    ("annotations",),
    ("images", 0),
    ("annotations", 0),
    ("annotations", 0, "keypoints"),
    ("annotations", 0, "bbox"),
    ("annotations", 0, "keypoints", 0),
    ("annotations", 0, "keypoints", 2),
    ("annotations", 0, "bbox", 3),
    ("annotations", 0, "image_id"),
    ("images", 0, "id"),
    ("images", 0, "file_name"),
)
# some values at some places are legal, or make another file of it
_HARMLESS_PLACES = (
    ("annotations", 0, "keypoints"),
    ("annotations", 0, "keypoints", 0),
    ("annotations", 0, "keypoints", 2),
    ("annotations", 0, "bbox", 3),
    ("annotations", 0, "bbox"),  # that of the keypoints where it is missing
)


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    content = json.loads(seeds.read(_NAME))
    every = [*damages(seeds.read(_NAME), seeds.seed), *documents.hostile_texts(), *_changed(content)]
    yield from file_cases("keypoint file", _NAME, every, _read)
    yield from file_cases(
        "keypoint file", _NAME, _other_tools(content), _read, same=functools.partial(_read_same, seeds)
    )
    few = [damage for damage in every[::4] if "3,000 times" not in damage.name]  # as many bodies take minutes
    yield from file_cases(
        "demo: keypoint file", _NAME, few, _demo(seeds), tool="demo.py: error: ", mentions=("photo.jpg",)
    )
    options = {"tool": "detect_keypoints: error: ", "mentions": ("nothing.pth",)}
    few = [*every[1::5], *_names_that_lead_out(content)]
    yield from file_cases("detect_keypoints: COCO file", _NAME, few, _detect(seeds), **options)


def _changed(content: Any) -> Iterator[Damage]:
    for place in _PLACES:
        expected = ANYTHING if place in _HARMLESS_PLACES else REFUSED
        yield from documents.changed_values(content, *place, expected=expected)
    for place in _HARMLESS_PLACES[1:]:
        yield documents.huge_number(content, *place)
    person = content["annotations"][0]
    for told, keypoints in (
        ("one point", [100.0, 100.0, 2.0] * 17),
        ("two keypoints", [0.0] * 45 + [1.0, 2.0, 2.0, 30.0, 40.0, 2.0]),
        ("all unlabelled", [0.0] * 51),
        ("all far outside the image", [1e6, 1e6, 2.0] * 8 + [-1e6, 2e6, 2.0] * 9),
        ("1e300", [1e300, 1.0, 2.0] * 8 + [-1e300, 2.0, 2.0] * 9),
        ("a confidence of -1", [*person["keypoints"][:2], -1.0, *person["keypoints"][3:]]),
        ("x and y exchanged", [person["keypoints"][i - i % 3 + (1, 0, 2)[i % 3]] for i in range(51)]),
        ("51 texts", ["1"] * 51),
        ("nested", [person["keypoints"]]),
    ):
        changed = documents.with_value(content, ("annotations", 0, "keypoints"), keypoints)
        yield Damage("wrong keypoints", told, _writes(changed), ANYTHING)
    many = {**content, "annotations": [{**person, "id": number} for number in range(3000)]}
    yield Damage("huge", "the same person 3,000 times", _writes(many), ANYTHING)


def _other_tools(content: Any) -> Iterator[Damage]:
    """The same people as other tools write them, and what cannot be told."""
    text = json.dumps(content)
    for encoding in ("utf-8-sig", "utf-16", "utf-16-be", "utf-32"):
        yield Damage("another tool's", encoding, lambda path, e=encoding: path.write_bytes(text.encode(e)), SAME)

    def changed(*places: tuple[tuple[Any, ...], Any]) -> Callable[[Path], int]:
        document = content
        for place, value in places:
            document = documents.with_value(document, place, value)
        return _writes(document)

    keypoints = content["annotations"][0]["keypoints"]
    halpe = [*keypoints, *[7.0, 7.0, 1.0] * 9]
    number = str(content["images"][0]["id"])
    first, image = ("annotations", 0), content["images"][0]
    two = [{**image, "file_name": "walk/photo.jpg"}, {**image, "file_name": "jump/photo.jpg", "id": -5}]
    for told, places, expected in (
        ("ids as text", [(("images", 0, "id"), number)], SAME),
        ("a path of Windows", [(("images", 0, "file_name"), "C:\\photos\\photo.jpg")], SAME),
        ("Halpe's 26 keypoints", [((*first, "keypoints"), halpe)], SAME),
        ("no box", [((*first, "bbox"), None)], ANYTHING),
        ("scores", [((*first, "keypoints", 2), 0.5)], ANYTHING),
        ("percents", [((*first, "keypoints", 2), 87.5)], ANYTHING),
        ("another category", [(("categories", 0, "name"), "horse"), (("categories", 0, "supercategory"), "animal"),
                              (("categories", 0, "keypoints"), ["tail"])], REFUSED),
        ("18 keypoints", [((*first, "keypoints"), [5.0] * 54)], REFUSED),
        ("names of other joints", [(("categories", 0, "keypoints"), ["left_hip"] * 17)], REFUSED),
        ("two images of one name", [(("images",), two)], REFUSED),
    ):  # fmt: skip
        yield Damage("another tool's", told, changed(*places), expected)


def _names_that_lead_out(content: Any) -> Iterator[Damage]:
    for name in ("../photo.jpg", "/etc/passwd", "a/../../photo.jpg", "\0", ""):
        changed = documents.with_value(content, ("images", 0, "file_name"), name)
        yield Damage("path traversal", ascii(name), _writes(changed))


def _writes(content: Any) -> Callable[[Path], int]:
    return lambda path: path.write_text(json.dumps(content))


def _read(path: Path, out: Path) -> None:
    people = load_coco_people(path, "photo.jpg")
    if any(person.keypoints2d.shape != (17, 3) for person in people):
        raise WrongResultError("keypoints of another shape")
    require_finite(values for person in people for values in (person.keypoints2d, person.bbox))


def _read_same(seeds: Seeds, path: Path, out: Path) -> None:
    found, expected = (load_coco_people(one, "photo.jpg") for one in (path, seeds.path(_NAME)))
    require_equal(np.array([one.keypoints2d for one in found]), np.array([one.keypoints2d for one in expected]))


def _demo(seeds: Seeds) -> Callable[[Path, Path], int]:
    photo = str(seeds.path("photo.jpg"))
    return lambda path, out: _run_demo(["--keypoints", str(path), "--out", str(out), "--stage", "2"], photo, out)


def _run_demo(arguments: list[str], photo: str, out: Path) -> int:
    """The demo; what it wrote must be finite."""
    code = tool("demo").main([photo, *arguments])
    for path in out.glob("*.json"):
        json.loads(path.read_text(), parse_constant=functools.partial(_refuse, path))
    return code


def _refuse(path: Path, constant: str) -> None:
    raise WrongResultError(f"{path.name} holds {constant}")


def _detect(seeds: Seeds) -> Callable[[Path, Path], int]:
    """As far as the weights of the pose network, which are not there."""
    folder = str(seeds.folder)

    def enter(path: Path, out: Path) -> int:
        arguments = [
            "--coco",
            str(path),
            "--image-root",
            folder,
            "--checkpoint",
            "nothing.pth",
            "--out",
            str(out / "out.json"),
        ]
        return tool("detect_keypoints").main(arguments)

    return enter
