"""mmhuman3d's HumanData ``.npz`` files without mmhuman3d and without running code from them.

A HumanData file holds one row per person: ``image_path``, ``bbox_xywh``, ``keypoints2d``, ``keypoints3d``, the dict
``smpl`` and more (mmhuman3d, ``docs/human_data.md``). Nested dicts are stored as pickled object arrays; they are read
by ``read_objects``, which rebuilds arrays and plain containers only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.files import read_objects
from mion_plugin.files.npz import read_npz, write_npz
from mion_plugin.files.relative_paths import leads_out, with_slashes
from mion_plugin.geometry.keypoints import keypoint_mapping, keypoint_names
from mion_plugin.near_names import nearest

_LIST_KEYS = ("image_path", "image_id")  # what mmhuman3d hands out as lists
_ATTRIBUTES = ("__key_strict__", "__data_len__", "__keypoints_compressed__")
DEFAULT_CONVENTION = "human_data"


@dataclass(frozen=True)
class HumanData:
    """The content of a HumanData file.

    Attributes:
        path: The file; named in every error.
        content: What mmhuman3d's ``HumanData.fromfile(path)`` holds as raw values, key by key: keypoints stay
            compressed (only the joints of their mask) when the file has them so.
        keypoints_compressed: Whether they are.
    """

    path: Path
    content: dict[str, Any]
    keypoints_compressed: bool

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def __len__(self) -> int:
        """Number of rows: the length of ``image_path``."""
        return len(self.require("image_path"))

    def require(self, key: str) -> Any:
        """The value of ``key``.

        Raises:
            ValueError: The file has no such key.
        """
        if key not in self.content:
            raise self.error(key, f"missing; the file holds {nearest(key, sorted(self.content))}")
        return self.content[key]

    def rows(self, key: str, value: Any, row_shape: tuple[int, ...]) -> np.ndarray:
        """``value`` as float64 rows of ``row_shape``, one for each image path.

        Args:
            key: What to call the value in errors, e.g. ``smpl.betas``.
            value: Anything that numpy can turn into (N, *row_shape) or (N, product of row_shape).
            row_shape: e.g. (23, 3).

        Raises:
            ValueError: Not numbers, another number of rows, or rows of another size.
        """
        array = self._numbers(key, value)
        if array.ndim == 0 or len(array) != len(self):
            count = len(array) if array.ndim else "no"
            raise self.error(key, f"has {count} rows but image_path has {len(self)}; cut both to the same people")
        if array[0:1].size != np.prod(row_shape) and len(array):
            raise self.error(key, f"has shape {array.shape}, expected {(len(self), *row_shape)}")
        return array.reshape(len(self), *row_shape)

    def keypoints(self, key: str, convention: str) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints converted by joint name; joints outside the file's mask are absent.

        Args:
            key: ``keypoints2d`` (x, y, confidence), ``keypoints3d`` (x, y, z, confidence) or another key of that form,
                e.g. ``keypoints2d_detected``. ``{key}_mask`` says which joints of ``{key}_convention`` (default:
                human_data) the set annotates; a file without a mask annotates all.
            convention: Convention wanted.

        Returns:
            ``(keypoints, mask)``: (N, K, C) with zeros for absent joints; (K,) bool, True where the set has the joint.
            Joints of zero confidence are zeroed, so that what annotators left there does no harm.

        Raises:
            ValueError: Missing key, lengths that do not fit, a NaN among the joints that count, unknown conventions, or
                conventions without a common joint.
        """
        src = str(self.content.get(f"{key}_convention", DEFAULT_CONVENTION))
        stored, mask = np.asarray(self.require(key)), self._mask(key, src)
        num_stored = int(mask.sum()) if self.keypoints_compressed else len(mask)
        channels = 4 if key.startswith("keypoints3d") else 3
        stored = self.rows(key, stored, (num_stored, channels))
        dst_index, src_index = (np.array(index, dtype=np.int64) for index in keypoint_mapping(src, convention))
        annotated = mask[src_index]
        dst_index, src_index = dst_index[annotated], src_index[annotated]
        if not len(dst_index):
            raise self.error(key, f"has no joint of convention {convention!r}; its own is {src!r} under its mask")
        column = np.cumsum(mask) - 1 if self.keypoints_compressed else np.arange(len(mask))
        converted = np.zeros((len(self), len(keypoint_names(convention)), channels))
        converted[:, dst_index] = stored[:, column[src_index]]
        converted[converted[..., -1] == 0] = 0
        self.check_finite(key, converted)
        has_joint = np.zeros(converted.shape[1], dtype=bool)
        has_joint[dst_index] = True
        return converted, has_joint

    def image_path(self, row: int, folder: str) -> str:
        """Where the image of ``row`` lies: always below the image folder, whatever the file says.

        Raises:
            ValueError: The path leads out of it.
        """
        path = with_slashes(str(self.content["image_path"][row]))
        if leads_out(path):
            raise self.error(
                "image_path", f"has {path!r} in row {row}, expected a path below the image folder {folder!r}"
            )
        return os.path.join(folder, path)

    def check_finite(self, key: str, array: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Raise ValueError naming the first row of ``array`` with NaN or infinite values; ``rows`` (N,) bool limits."""
        with np.errstate(over="ignore"):
            single = array.astype(np.float32)  # what samples hold
        bad = ~np.isfinite(single).reshape(len(array), -1).all(axis=1)
        if rows is not None:
            bad &= rows
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise self.error(
                key,
                f"holds NaN or infinite values in {int(bad.sum())} rows, the first being row {first} "
                f"({self.content['image_path'][first]}); remove the rows, or set their confidence to 0",
            )

    def error(self, key: str, message: str) -> ValueError:
        """A ValueError naming the file and the key."""
        return ValueError(f"{self.path}: key {key!r} {message}")

    def _numbers(self, key: str, value: Any) -> np.ndarray:
        try:
            array = np.asarray(value)
            if array.dtype.kind in "biufO":  # not text, complex numbers or dates, which numpy would turn into numbers
                return array.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            pass
        raise self.error(key, "is not an array of numbers")

    def _mask(self, key: str, convention: str) -> np.ndarray:
        try:
            num_joints = len(keypoint_names(convention))
        except ValueError as error:
            raise self.error(f"{key}_convention", f"is unusable: {error}") from None
        mask_key = f"{key}_mask"
        if mask_key not in self.content:
            if self.keypoints_compressed:
                raise self.error(mask_key, f"missing; {key} is compressed by it")
            return np.ones(num_joints, dtype=bool)
        mask = np.asarray(self.content[mask_key])
        if mask.shape != (num_joints,):
            raise self.error(
                mask_key, f"has shape {mask.shape}, expected ({num_joints},) for convention {convention!r}"
            )
        return mask == 1  # as mmhuman3d


def load_human_data(path: str | os.PathLike[str]) -> HumanData:
    """Read a HumanData ``.npz``, compressed keypoints or not, of any mmhuman3d version.

    Raises:
        FileNotFoundError: No such file.
        UnsafePickleError: The file names anything but numpy arrays and plain containers; it was not run.
        ValueError: Not a readable ``.npz``.
    """
    path = Path(path)
    arrays = read_npz(path, "HumanData file", read_objects=read_objects)
    content = {key: _as_mmhuman3d(key, value) for key, value in arrays.items()}
    for key in _LIST_KEYS:
        names = content.get(key, [])
        if not isinstance(names, list) or any(isinstance(name, list | np.ndarray) for name in names):
            raise ValueError(f"{path}: key {key!r} is not a list of names")
    compressed = bool(content.get("__keypoints_compressed__", False))
    kept = {key: value for key, value in content.items() if value is not None and key not in _ATTRIBUTES}
    return HumanData(path, kept, compressed)


def save_human_data(path: str | os.PathLike[str], content: Mapping[str, Any]) -> Path:
    """Write a HumanData ``.npz`` that ``load_human_data`` and mmhuman3d's ``HumanData.fromfile`` read.

    Args:
        path: Ends in ``.npz``; appears whole or not at all.
        content: HumanData keys, keypoints not compressed; ``image_path`` is required.

    Raises:
        ValueError: Another suffix, or no image paths.
        OSError: The file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"{path} has suffix {path.suffix!r}, expected .npz")
    if not len(content.get("image_path", ())):
        raise ValueError(f"nothing to write to {path}: image_path is empty or missing")
    attributes = (False, len(content["image_path"]), False)
    write_npz(path, {**dict(zip(_ATTRIBUTES, attributes, strict=True)), **content})
    return path


def _as_mmhuman3d(key: str, value: Any) -> Any:
    """What ``HumanData.load`` makes of a stored array."""
    if not isinstance(value, np.ndarray):  # what a pickle holds instead of an array
        return value
    if value.ndim == 0:
        return value.item()
    if key in _LIST_KEYS:
        return list(value)
    if key == "bbox_xywh" and value.ndim == 2 and value.shape[1] == 4:
        return np.hstack([value, np.ones((len(value), 1))])
    return value
