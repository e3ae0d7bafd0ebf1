"""The part of a photograph that training may see of a person, and annotations in pixels of that part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mion_plugin.constants import IMAGE_SIZE
from mion_plugin.datasets.human_data import HumanData
from mion_plugin.datasets.sample_table import camera_columns, cameras_by_row, cameras_in_meta, meta_cameras

_MARGIN = 2.0  # pixels of the crop, or of a photograph that is enlarged: bilinear sampling reaches one further
_SHORT_OF_A_PIXEL = 1e-6


@dataclass(frozen=True)
class Augmentation:
    """What training does to a person's square before it cuts the crop; the defaults are the configs'.

    Attributes:
        crop_size: Side of the crop in pixels.
        scale_factor, rot_factor: See ``mion.GetRandomScaleRotation``; it turns by up to twice ``rot_factor`` degrees.

    Raises:
        ValueError: A number is out of range.
    """

    crop_size: int = IMAGE_SIZE
    scale_factor: float = 0.25
    rot_factor: float = 30.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.crop_size < 1:
            raise ValueError(f"crop_size {self.crop_size}, expected a positive number of pixels")
        if not 0 <= self.scale_factor < 1:
            raise ValueError(f"scale_factor {self.scale_factor}, expected 0 to below 1")
        if not self.rot_factor >= 0:
            raise ValueError(f"rot_factor {self.rot_factor}, expected 0 or more degrees")

    def reach(self, side: float) -> float:
        """How far from the square's centre, in x or y, a pixel may be seen; in pixels, as ``side``."""
        largest = (1 + self.scale_factor) * side
        angle = np.deg2rad(min(2 * self.rot_factor, 45.0))  # where a turned square is widest
        margin = _MARGIN * max(1.0, largest / self.crop_size)
        return largest / 2 * (np.cos(angle) + np.sin(angle)) + margin

    def reduction(self, side: float) -> float:
        """How many pixels of the photograph one may stand for, so that no crop has fewer than it shows; 1 or more."""
        return max(1.0, (1 - self.scale_factor) * side / self.crop_size)


@dataclass(frozen=True)
class Region:
    """A rectangle of a photograph, and the size in which it is stored.

    Where the photograph ends within the last stored pixel, that pixel is as if the photograph went on as it ends.

    Attributes:
        left, top: First pixel of the photograph.
        width, height: In stored pixels.
        reduction: Pixels of the photograph to a stored one, in x and y; need not be whole.
    """

    left: int
    top: int
    width: int
    height: int
    reduction: float

    def cut(self, image: np.ndarray, image_reduction: int = 1) -> Image.Image:
        """The region as a picture, smoothed where it is reduced.

        Args:
            image: (H, W, 3) uint8, the photograph.
            image_reduction: Pixels of the photograph to one of ``image``; not above ``reduction``.
        """
        corner, size = np.array([self.left, self.top]), np.array([self.width, self.height])
        first, last = corner / image_reduction, (corner + self.reduction * size) / image_reduction
        (x0, y0), (x1, y1) = np.floor(first).astype(int), np.ceil(last).astype(int)
        beyond = (max(0, y1 - image.shape[0]), max(0, x1 - image.shape[1]))
        part = np.pad(image[y0:y1, x0:x1], ((0, beyond[0]), (0, beyond[1]), (0, 0)), mode="edge")
        box = (*(first - [x0, y0]).tolist(), *(last - [x0, y0]).tolist())
        return Image.fromarray(part).resize((self.width, self.height), Image.Resampling.LANCZOS, box=box)


def person_region(
    center: np.ndarray, side: float, shape: tuple[int, int], augmentation: Augmentation, all_pixels: bool = False
) -> Region:
    """The region around a person: all that augmentation may show, unless the photograph ends there.

    Args:
        center: (2,) of the person's square, pixels.
        side: Of it.
        shape: Height and width of the photograph.
        augmentation: What will be done.
        all_pixels: Do not reduce.
    """
    # of a square far larger than the photograph, this is one pixel
    reduction = 1.0 if all_pixels else min(augmentation.reduction(side), float(max(shape)))
    reach, end = augmentation.reach(side), np.array([shape[1], shape[0]])
    first = np.clip(np.floor(np.asarray(center, np.float64) - reach), 0, end - 1)
    last = np.clip(np.ceil(np.asarray(center, np.float64) + reach), first + 1, end)
    size = np.ceil((last - first) / reduction - _SHORT_OF_A_PIXEL)
    return Region(int(first[0]), int(first[1]), int(size[0]), int(size[1]), reduction)


def move_annotations(data: HumanData, first: np.ndarray, size: np.ndarray, reduction: np.ndarray) -> dict[str, Any]:
    """The content of a HumanData file in pixels of each row's region; what is not in pixels stays.

    Boxes, 2D keypoints of confidence other than 0, and cameras move. All else (3D keypoints, SMPL) is of the camera's
    frame, which does not.

    Args:
        data: The file, in pixels of the photographs.
        first: (N, 2) first pixel x, y of each region.
        size: (N, 2) width and height of each, stored pixels.
        reduction: (N,) pixels of the photograph to a stored one.

    Raises:
        ValueError: Keypoints, boxes or cameras are no arrays of N rows.
    """
    content = dict(data.content)
    for key in content:
        if key.endswith("bbox_xywh"):
            content[key] = _moved_boxes(data, key, first, reduction)
        elif key.startswith("keypoints2d") and not key.endswith(("_mask", "_convention")):
            content[key] = _moved_keypoints(data, key, first, reduction)
    to_region = _to_regions(first, reduction)
    if "cam_intrinsics" in camera_columns(data) and cameras_by_row(content.get("cam_param")):  # the former checks them
        content["cam_param"] = _moved_cameras(content["cam_param"], to_region, size)
    if cameras_in_meta(content.get("meta")):
        moved = to_region @ meta_cameras(data)
        sizes = {"width": size[:, 0], "height": size[:, 1]}
        content["meta"] = {
            **content["meta"],
            **{name: value for name, value in sizes.items() if name in content["meta"]},
            "focal_length": moved[:, [0, 1], [0, 1]],
            "principal_point": moved[:, :2, 2],
        }
    return content


def _moved_boxes(data: HumanData, key: str, first: np.ndarray, reduction: np.ndarray) -> np.ndarray:
    boxes = data.rows(key, data.content[key], (5,))
    boxes[:, :2] = (boxes[:, :2] - first) / reduction[:, None]
    boxes[:, 2:4] /= reduction[:, None]
    return boxes


def _moved_keypoints(data: HumanData, key: str, first: np.ndarray, reduction: np.ndarray) -> np.ndarray:
    stored = np.asarray(data.content[key])
    if stored.ndim != 3 or stored.shape[2] != 3:
        raise data.error(key, f"has shape {stored.shape}, expected ({len(data)}, K, 3)")
    keypoints = data.rows(key, stored, stored.shape[1:])
    moved = (keypoints[..., :2] - first[:, None]) / reduction[:, None, None]
    keypoints[..., :2] = np.where(keypoints[..., 2:] != 0, moved, keypoints[..., :2])
    return keypoints.astype(np.result_type(stored.dtype, np.float32))


def _to_regions(first: np.ndarray, reduction: np.ndarray) -> np.ndarray:
    """(N, 3, 3) maps of the photographs' pixels to the regions'."""
    to_region = np.zeros((len(first), 3, 3))
    to_region[:, 0, 0] = to_region[:, 1, 1] = 1 / reduction
    to_region[:, :2, 2] = -first / reduction[:, None]
    to_region[:, 2, 2] = 1.0
    return to_region


def _moved_cameras(cameras: Any, to_region: np.ndarray, size: np.ndarray) -> Any:
    """``cam_param`` in either form of ``camera_columns``."""
    if isinstance(cameras, dict):
        return {**cameras, "K": to_region @ np.asarray(cameras["K"], np.float64).reshape(-1, 3, 3)}
    moved = []
    for camera, matrix, (width, height) in zip(cameras, to_region, size.tolist(), strict=True):
        shape = {name: value for name, value in (("H", height), ("W", width)) if name in camera}
        moved.append({**camera, "in_mat": (matrix @ np.reshape(camera["in_mat"], (3, 3))).tolist(), **shape})
    return moved
