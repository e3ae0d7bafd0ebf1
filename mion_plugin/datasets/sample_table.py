"""The rows of a HumanData file as checked float32 columns, from which samples are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mion_plugin.body import BodyArrays
from mion_plugin.body.rest_joints import RestJoints
from mion_plugin.datasets.human_data import HumanData
from mion_plugin.geometry.keypoints import keypoint_names

DETECTED_KEY = "keypoints2d_detected"
KEYPOINTS2D_SOURCES = ("annotated", "detected")
# mmhuman3d's later files say of keypoints where they come from: the annotation first, then the projected or posed body
_KEYPOINT_SUFFIXES = ("", "_original", "_smpl", "_smplx")
_GENDERS = {"m": "male", "male": "male", "f": "female", "female": "female", "n": "neutral", "neutral": "neutral"}


@dataclass(frozen=True, eq=False)
class SampleTable:
    """Columns of equal length; see ``HumanDataset`` for their names and meaning.

    Columns instead of a dict per person: forked data-loader workers share them, and Human3.6M's 312,000 rows take
    0.3 GB instead of several.
    """

    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["has_smpl"])

    def __deepcopy__(self, memo: dict) -> SampleTable:
        """The table itself: it is never written to, and subsets of a dataset share it."""
        return self

    def row(self, index: int) -> dict[str, Any]:
        """The sample at ``index`` as a dict of its own arrays, ints and strings."""
        sample: dict[str, Any] = {}
        for name, column in self.columns.items():
            value = column[index]
            sample[name] = value.copy() if isinstance(value, np.ndarray) else value.item()
        return sample


def build_table(
    data: HumanData,
    *,
    keypoints2d_convention: str,
    keypoints3d_convention: str,
    keypoints2d_source: str,
    gender_codes: Sequence[str] | None = None,
    body: BodyArrays | None = None,
) -> SampleTable:
    """Check a HumanData file and turn it into columns.

    Args:
        data: The file.
        keypoints2d_convention: Convention of the 2D columns.
        keypoints3d_convention: Convention of the 3D column.
        keypoints2d_source: ``annotated`` or ``detected``: where ``keypoints2d_input`` comes from.
        gender_codes: What the integers of ``meta.gender`` mean, by position.
        body: Body whose pelvis position the column ``smpl_pelvis`` tells; None to leave the column out.

    Raises:
        ValueError: A key is missing, has a wrong length, or holds NaN; the message names file, key and remedy.
    """
    if not len(data):
        raise data.error("image_path", "holds no rows: nothing to learn or test from")
    columns = {
        **box_columns(data),
        **_keypoints(data, keypoints2d_convention, keypoints3d_convention, keypoints2d_source),
        **smpl_columns(data),
        **camera_columns(data),
        "gender": _genders(data, gender_codes),
    }
    if not any(columns[flag].any() for flag in ("has_keypoints2d", "has_keypoints3d", "has_smpl")):
        raise data.error("keypoints2d", "missing, and so are keypoints3d and smpl: nothing to learn or test from")
    if body is not None:
        columns["smpl_pelvis"] = RestJoints.of(body).pelvis(columns["smpl_betas"])
    if columns["keypoints2d_input"] is columns["keypoints2d"]:  # stays one array
        columns["keypoints2d"] = columns["keypoints2d_input"] = _compact(columns["keypoints2d"])
    for name, column in columns.items():
        if column.dtype.kind == "f":
            data.check_finite(name, column)
    return SampleTable({name: _compact(column) for name, column in columns.items()})


def _compact(column: np.ndarray) -> np.ndarray:
    return column.astype(np.float32) if column.dtype == np.float64 else column


def box_columns(data: HumanData) -> dict[str, np.ndarray]:
    """Square crops as mmhuman3d cuts them: centre of the box, and its longer side twice."""
    boxes = data.rows("bbox_xywh", data.require("bbox_xywh"), (5,))
    data.check_finite("bbox_xywh", boxes)
    size = boxes[:, 2:4].max(axis=1)
    if not (size > 0).all():
        row = int(np.flatnonzero(size <= 0)[0])
        raise data.error("bbox_xywh", f"has an empty box in row {row}: {boxes[row].tolist()}; remove such rows")
    return {
        "bbox_xywh": boxes,
        "center": boxes[:, :2] + boxes[:, 2:4] / 2,
        "scale": np.stack([size, size], axis=1),
    }


def stored_keypoints(data: HumanData, key: str) -> str | None:
    """What a file calls its ``keypoints2d`` or ``keypoints3d``; None where it has none."""
    return next((key + suffix for suffix in _KEYPOINT_SUFFIXES if key + suffix in data), None)


def _keypoints(data: HumanData, convention2d: str, convention3d: str, source: str) -> dict[str, np.ndarray]:
    columns = {}
    for key, convention in (("keypoints2d", convention2d), ("keypoints3d", convention3d)):
        stored = stored_keypoints(data, key)
        if stored is not None:
            columns[key] = data.keypoints(stored, convention)[0]
        else:
            columns[key] = np.zeros((len(data), len(keypoint_names(convention)), 3 if key == "keypoints2d" else 4))
        columns[f"has_{key}"] = (columns[key][..., -1] > 0).any(axis=1).astype(np.int64)
    if source == "detected":
        if DETECTED_KEY not in data:
            raise data.error(
                DETECTED_KEY, "missing; write a detector's keypoints to it, or use keypoints2d_source='annotated'"
            )
        columns["keypoints2d_input"] = data.keypoints(DETECTED_KEY, convention2d)[0]
    else:
        columns["keypoints2d_input"] = columns["keypoints2d"]
    return columns


def smpl_columns(data: HumanData) -> dict[str, np.ndarray]:
    """SMPL parameters; rows without them are zero and have ``has_smpl`` 0, as in mmhuman3d."""
    shapes = {"body_pose": (23, 3), "global_orient": (3,), "betas": (10,), "transl": (3,)}
    num_rows = len(data)
    if "smpl" not in data:
        absent = {f"smpl_{name}": np.zeros((num_rows, *shape)) for name, shape in shapes.items()}
        return {**absent, "has_smpl": np.zeros(num_rows, np.int64), "has_transl": np.zeros(num_rows, np.int64)}
    smpl = data.require("smpl")
    if not isinstance(smpl, dict):
        raise data.error("smpl", f"is a {type(smpl).__name__}, expected a dict with body_pose, global_orient and betas")
    has_smpl = np.ones(num_rows, dtype=bool)
    if "has_smpl" in data:
        has_smpl = data.rows("has_smpl", data.require("has_smpl"), ()).astype(bool)
    columns: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        if name not in smpl and name != "transl":
            raise data.error(f"smpl.{name}", f"missing; smpl holds {', '.join(sorted(map(str, smpl))) or 'nothing'}")
        value = smpl.get(name, np.zeros((num_rows, *shape)))
        values = data.rows(f"smpl.{name}", value, shape)
        data.check_finite(f"smpl.{name}", values, rows=has_smpl)
        values[~has_smpl] = 0
        columns[f"smpl_{name}"] = values
    columns["has_smpl"] = has_smpl.astype(np.int64)
    columns["has_transl"] = columns["has_smpl"] * int("transl" in smpl)
    return columns


def camera_columns(data: HumanData) -> dict[str, np.ndarray]:
    """Intrinsic matrices where the file tells them.

    As ``cam_param['K']``, as a list of mmhuman3d's camera dicts, or as mmhuman3d's later converters do: as
    ``meta['focal_length']``, one number or two a row, and ``meta['principal_point']``.
    """
    camera: Any = data.content.get("cam_param")
    if cameras_by_row(camera):
        matrices = isinstance(camera, dict)
        key = "cam_param.K" if matrices else "cam_param.in_mat"
        value = camera["K"] if matrices else [one.get("in_mat") for one in camera]
    elif cameras_in_meta(data.content.get("meta")):
        key, value = "meta.focal_length", meta_cameras(data)
    else:
        return {}
    intrinsics = data.rows(key, value, (3, 3))
    data.check_finite(key, intrinsics)
    return {"cam_intrinsics": intrinsics}


def cameras_by_row(cameras: Any) -> bool:
    """Whether ``cam_param`` of a HumanData file is in one of the forms of ``camera_columns``."""
    if isinstance(cameras, dict):
        return "K" in cameras
    return isinstance(cameras, (list, np.ndarray)) and len(cameras) > 0 and isinstance(cameras[0], dict)


def cameras_in_meta(meta: Any) -> bool:
    """Whether ``meta`` of a HumanData file holds cameras."""
    return isinstance(meta, dict) and {"focal_length", "principal_point"} <= meta.keys()


def meta_cameras(data: HumanData) -> np.ndarray:
    """(N, 3, 3) intrinsic matrices of what ``meta`` tells."""
    meta = data.content["meta"]
    single = np.asarray(meta["focal_length"], dtype=object).size == len(data)
    matrices = np.tile(np.eye(3), (len(data), 1, 1))
    focal = data.rows("meta.focal_length", meta["focal_length"], (1 if single else 2,))
    matrices[:, [0, 1], [0, 1]] = focal
    matrices[:, :2, 2] = data.rows("meta.principal_point", meta["principal_point"], (2,))
    return matrices


def _genders(data: HumanData, codes: Sequence[str] | None) -> np.ndarray:
    meta = data.content.get("meta")
    if not isinstance(meta, dict) or "gender" not in meta:
        return np.full(len(data), "neutral")
    genders = np.asarray(meta["gender"]).ravel()
    if len(genders) != len(data):
        raise data.error("meta.gender", f"has {len(genders)} rows but image_path has {len(data)}")
    if genders.dtype.kind in "iuf":
        if codes is None:
            raise data.error(
                "meta.gender",
                f"holds numbers such as {genders[0]}, whose meaning differs between sets; pass gender_codes, e.g. "
                "('female', 'male') for SURREAL",
            )
        known: dict[str, str] = {str(number): _GENDERS[codes[number].lower()] for number in range(len(codes))}
        names = [str(int(gender)) for gender in genders]
    else:
        known, names = _GENDERS, [str(gender).lower() for gender in genders]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise data.error("meta.gender", f"holds {', '.join(unknown[:5])}, expected one of {', '.join(known)}")
    return np.array([known[name] for name in names])
