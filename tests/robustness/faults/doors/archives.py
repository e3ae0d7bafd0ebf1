"""The data sets' archives as ``tools/convert_dataset.py`` reads them: JSON, MATLAB files, pickles."""

from __future__ import annotations

import functools
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from mion_plugin.datasets.human_data import load_human_data
from robustness.faults import documents, pickles
from robustness.faults.case import ANYTHING, REFUSED, Case, require_finite
from robustness.faults.damage import Damage, damages
from robustness.faults.doors.files import file_cases, tool
from robustness.faults.seeds import Seeds

_COCO = "annotations/person_keypoints_train2014.json"
_LSPET = "joints.mat"
_PW3D = "sequenceFiles/test/office_00.pkl"
_COCO_PLACES: tuple[tuple[Any, ...], ...] = (
    ("images",),
    ("annotations",),
    ("annotations", 1),
    ("annotations", 1, "keypoints"),
    ("annotations", 1, "keypoints", 30),
    ("annotations", 1, "bbox"),
    ("annotations", 1, "bbox", 2),
    ("annotations", 1, "image_id"),
    ("images", 1, "file_name"),
    ("images", 1, "id"),
)
_OUTSIDE = ("../secret", "/etc/passwd", "a/../../secret", "a\0b", "..", "")


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    sets = (
        ("coco", "2014_train", _COCO, _coco(json.loads(seeds.read(f"coco/{_COCO}")))),
        ("lspet", "train", _LSPET, _lspet()),
        ("pw3d", "test", _PW3D, _pw3d(pickle.loads(seeds.read(f"pw3d/{_PW3D}")))),
    )
    for name, split, file, special in sets:
        every = [*damages(seeds.read(f"{name}/{file}"), seeds.seed, tolerant=name != "coco"), *special]
        enter = functools.partial(_convert, name, split, file)
        # of a folder that has no such file, the pattern or the folder is named
        mentions = ("office_00.pkl", "*.pkl", "images are missing", name)
        options = {"beside": seeds.path(name), "tool": "convert_dataset: error: ", "mentions": mentions}
        yield from file_cases(f"archive of {name}", file, every, enter, **options)


def _coco(content: Any) -> Iterator[Damage]:
    yield from documents.hostile_texts()
    values = (None, -1, 1e308, "text", [], {}, float("nan"), float("inf"))
    for place in _COCO_PLACES:
        # a visibility, or a width, may be nearly anything, and one person less is left out
        yield from documents.changed_values(content, *place, values=values, expected=ANYTHING)
    for name in _OUTSIDE:
        changed = documents.with_value(content, ("images", 1, "file_name"), name)
        yield Damage("path traversal", ascii(name), _writes(json.dumps(changed).encode()))


def _writes(content: bytes) -> Callable[[Path], int]:
    return lambda path: path.write_bytes(content)


def _lspet() -> Iterator[Damage]:
    sound = np.concatenate([np.full((14, 2, 3), 20.0) + np.arange(14)[:, None, None], np.ones((14, 1, 3))], axis=1)
    for told, joints, expected in (
        ("no people", sound[..., :0], REFUSED),
        ("one person more", np.concatenate([sound, sound[..., :1]], axis=2), REFUSED),
        ("13 joints", sound[:13], REFUSED),
        ("of rank 2", sound[0], REFUSED),
        ("text", "text", REFUSED),
        ("cells", np.array([[1, "a"]], dtype=object), REFUSED),
        ("complex numbers", sound * 1j, REFUSED),
        ("NaN", np.full_like(sound, np.nan), REFUSED),
        ("1e308", np.concatenate([np.full((14, 2, 3), 1e308), sound[:, 2:]], axis=1), REFUSED),
        ("axes exchanged", sound.transpose(2, 1, 0), REFUSED),
        ("all in one point", np.ones_like(sound), REFUSED),
    ):
        kind = "wrong shape" if told[0].isdigit() or "person" in told else "wrong type"
        yield Damage(kind, told, lambda path, joints=joints: savemat(path, {"joints": joints}), expected)
    yield Damage("key missing", "joints", lambda path: savemat(path, {"other": sound}))


def _pw3d(content: dict[str, Any]) -> Iterator[Damage]:
    for kind, name, code in pickles.every():
        yield Damage(kind, name, _writes(code))
    for name in _OUTSIDE:
        yield Damage("path traversal", ascii(name), _writes(pickle.dumps({**content, "sequence": name}, 2)))
    for key, value in content.items():
        left = {name: other for name, other in content.items() if name != key}
        yield Damage("key missing", key, _writes(pickle.dumps(left, 2)))
        for told, other in (("None", None), ("text", "text"), ("empty", []), ("a number", 3)):
            expected = ANYTHING if key in ("sequence", "genders") else REFUSED
            yield Damage("wrong type", f"{key}: {told}", _writes(pickle.dumps({**content, key: other}, 2)), expected)
        if (isinstance(value, list) and isinstance(value[0], np.ndarray)) or isinstance(value, np.ndarray):
            for bad in (np.nan, np.inf):
                hit = (
                    [np.full_like(value[0], bad, dtype=np.float64)]
                    if isinstance(value, list)
                    else np.full(value.shape, bad)
                )
                yield Damage("NaN or infinite", f"{key}: {bad}", _writes(pickle.dumps({**content, key: hit}, 2)))
    flat = {**content, "cam_poses": np.zeros((2, 4, 4))}
    yield Damage("wrong type", "cameras that are no rotations", _writes(pickle.dumps(flat, 2)))


def _convert(name: str, split: str, file: str, path: Path, out: Path) -> int:
    archive = path
    for _ in Path(file).parts:
        archive = archive.parent
    code = tool("convert_dataset").main([name, "--split", split, "--archive", str(archive), "--data-root", str(out)])
    for written in out.rglob("*.npz"):
        data = load_human_data(written)
        require_finite(np.asarray(data.content[key]) for key in ("bbox_xywh", "keypoints2d"))
    return code
