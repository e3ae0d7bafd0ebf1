"""HumanData files as ``mion.HumanDataset`` reads them, and as ``tools/detect_keypoints.py`` does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.datasets import HumanDataset
from robustness.faults import arrays, pickles
from robustness.faults.arrays import Content, read_npz, writes_npz
from robustness.faults.case import ANYTHING, REFUSED, Case, WrongResultError, require_equal, require_finite
from robustness.faults.damage import Damage, damages, hostile
from robustness.faults.doors.files import file_cases, tool
from robustness.faults.seeds import NUM_PEOPLE, Seeds

_NAME = "train.npz"
_NUMERIC = ("bbox_xywh", "keypoints2d", "keypoints3d")
_PATHS: tuple[Any, ...] = (
    "../secret.jpg",
    "images/../../secret.jpg",
    "images/..",
    "/etc/passwd",
    "//etc/passwd",
    "",
    "images/train\0.jpg",
)
_OTHER_PATHS: tuple[Any, ...] = (
    "..\\..\\secret.jpg",
    "n" * 5000,
    "file:///etc/passwd",
    "http://host/a.jpg",
    "-rf",
    "~",
)


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    path = seeds.path("people") / _NAME
    content = read_npz(path)
    read_same = functools.partial(_read_same, sound=path)
    every = [
        *damages(path.read_bytes(), seeds.seed),
        *_by_key(content),
        *arrays.forged_headers(content, "keypoints2d"),
        *arrays.pickled_members(content, "smpl"),
        *arrays.traps(content, "keypoints2d"),
        *_smpl(content),
        *_rows(content),
        *_paths(content),
    ]
    yield from file_cases("annotations", _NAME, every, _read, same=read_same)
    detect = _detector(seeds)
    few = [*hostile(path.read_bytes(), seeds.seed)[::3], *_paths(content), *_rows(content)]
    few += list(arrays.pickled_members(content, "smpl"))[::4]
    options = {"tool": "detect_keypoints: error: "}
    yield from file_cases("detect_keypoints: annotations", _NAME, few, detect, **options, mentions=("nothing.pth",))


def _read(path: Path, out: Path) -> None:
    """Every sample of the set."""
    samples = _samples(path)
    if not samples:
        raise WrongResultError("a data set of nobody")
    for sample in samples:
        require_finite(value for value in sample.values() if isinstance(value, np.ndarray))


def _read_same(path: Path, out: Path, sound: Path) -> None:
    """Every sample is that of the sound set."""
    for found, expected in zip(_samples(path), _samples(sound), strict=True):
        for key in ("bbox_xywh", "keypoints2d", "keypoints3d", "smpl_body_pose", "smpl_betas", "smpl_transl"):
            require_equal(found[key], expected[key])


def _samples(path: Path) -> list[dict[str, Any]]:
    dataset = _dataset(path)
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def _dataset(path: Path) -> HumanDataset:
    return HumanDataset(ann_file=path.name, data_root=str(path.parent))


def _by_key(content: Content) -> Iterator[Damage]:
    for key in _NUMERIC:
        for damage in arrays.damaged_arrays(content, key):
            if not (damage.kind == "key missing" and key != "bbox_xywh"):  # a set may do without keypoints
                yield damage
        yield from arrays.legal_arrays(content, key)
    yield Damage("key missing", "image_path", writes_npz({k: v for k, v in content.items() if k != "image_path"}))
    for value in (np.zeros(190), np.ones(3), np.array("text"), np.full(190, np.nan)):
        told = f"keypoints2d_mask is {value.dtype} {value.shape}"
        yield Damage("wrong shape", told, writes_npz({**content, "keypoints2d_mask": value}))
    for value in ("cooc", "", "human_data\n", 3.0):
        told = f"keypoints2d_convention is {value!r}"
        yield Damage("wrong type", told, writes_npz({**content, "keypoints2d_convention": np.array(value)}))
    empty = np.tile([5.0, 5.0, 0.0, 0.0, 1.0], (NUM_PEOPLE, 1))
    yield Damage("wrong type", "boxes without a size", writes_npz({**content, "bbox_xywh": empty}))
    yield Damage("wrong type", "boxes of negative size", writes_npz({**content, "bbox_xywh": -np.ones((3, 5))}))


def _smpl(content: Content) -> Iterator[Damage]:
    """The dict of SMPL parameters, which is pickled."""
    smpl = content["smpl"].item()
    for name in ("body_pose", "global_orient", "betas", "transl"):
        for told, value in (
            ("NaN", np.full_like(smpl[name], np.nan)),
            ("text", "text"),
            ("None", None),
            ("one row less", smpl[name][:-1]),
            ("one number more", np.concatenate([smpl[name].reshape(NUM_PEOPLE, -1)] * 2, axis=1)),
            ("a list of lists of other lengths", [[1.0], [1.0, 2.0], []]),
        ):
            changed = {**content, "smpl": np.array({**smpl, name: value})}
            kind = "NaN or infinite" if told == "NaN" else "wrong type"
            yield Damage(kind, f"smpl.{name}: {told}", writes_npz(changed))
        if name != "transl":
            left = {key: value for key, value in smpl.items() if key != name}
            yield Damage("key missing", f"smpl.{name}", writes_npz({**content, "smpl": np.array(left)}))
    for told, value in (
        ("of text", {"gender": ["x"] * 3}),
        ("of numbers", {"gender": np.arange(3)}),
        ("short", {"gender": ["m"]}),
    ):
        yield Damage("wrong type", f"meta.gender {told}", writes_npz({**content, "meta": np.array(value)}))
    for told, value in (("short", np.eye(3)[None]), ("of text", "K"), ("NaN", np.full((3, 3, 3), np.nan))):
        yield Damage("wrong type", f"cam_param.K {told}", writes_npz({**content, "cam_param": np.array({"K": value})}))
    for kind, group in (("code in a pickle", pickles.with_code()), ("exhausting pickle", pickles.exhausting())):
        for name, code in list(group)[::4]:
            changed = {**content, "cam_param": arrays.pickled(code)}
            expected = ANYTHING if kind.startswith("exhausting") else REFUSED  # what is no camera is not read
            yield Damage(kind, f"cam_param: {name}", writes_npz(changed), expected)


def _rows(content: Content) -> Iterator[Damage]:
    """Files of nobody."""
    rows = {key: value for key, value in content.items() if value.ndim and len(value) == NUM_PEOPLE}
    smpl = {key: value[:0] for key, value in content["smpl"].item().items()}
    nobody = {**content, **{key: value[:0] for key, value in rows.items()}, "smpl": np.array(smpl)}
    nobody |= {"meta": np.array({"gender": []}), "cam_param": np.array({"K": np.zeros((0, 3, 3))})}
    yield Damage("empty", "no rows", writes_npz(nobody))
    alone = {"image_path": np.array([], dtype="<U1"), "bbox_xywh": np.zeros((0, 5))}
    yield Damage("empty", "no rows and nothing else", writes_npz(alone))
    for told, value in (
        ("a number", np.array(3)),
        ("a text", np.array("a.jpg")),
        ("of rank 2", np.array([["a"] * 2] * 3)),
    ):
        yield Damage("wrong type", f"image_path: {told}", writes_npz({**content, "image_path": value}))


def _paths(content: Content) -> Iterator[Damage]:
    """Paths that lead out of the folder."""
    for expected, paths in ((REFUSED, _PATHS), (ANYTHING, _OTHER_PATHS)):
        for path in paths:
            changed = content["image_path"].astype(object)
            changed[1] = path
            yield Damage("path traversal", ascii(path)[:40], writes_npz({**content, "image_path": changed}), expected)
    for path in (None, 3, 1.5, b"bytes"):
        changed = content["image_path"].astype(object)
        changed[1] = path
        yield Damage("wrong type", f"image_path: {path!r}", writes_npz({**content, "image_path": changed}), ANYTHING)


def _detector(seeds: Seeds) -> Callable[[Path, Path], int]:
    """As far as the weights of the pose network, which are not there."""

    def enter(path: Path, out: Path) -> int:
        arguments = ["--human-data", str(path), "--image-root", str(seeds.path("people"))]
        arguments += ["--checkpoint", "nothing.pth", "--out", str(out / "out.npz")]
        return tool("detect_keypoints").main(arguments)

    return enter
