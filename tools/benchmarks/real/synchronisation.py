"""Where the cameras stand and when they expose, made to agree with what they see.

The calibration that comes with the clip leaves errors of many pixels, and its cameras do not expose at the same time.
Both are estimated together by bundle adjustment: the points are what the cameras and shifts triangulate to (variable
projection), so that only the cameras and shifts are unknown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from benchmarks.real.calibration import Camera
from benchmarks.real.triangulation import triangulate, triangulate_robustly
from scipy.optimize import least_squares

_UNKNOWNS = 7  # of a camera: rotation vector, translation, shift
# How far a camera may be from its calibration before that counts like an error of one pixel; this also fixes the scale
# of the scene, which the views leave open. Radians, metres, frames.
_PRIOR = np.array([0.02] * 3 + [0.05] * 3 + [1.0])
_SOFT = 5.0  # pixels, from where on an error counts by its size instead of its square
_LOOSE = 60.0  # pixels; before the adjustment, what is farther off is another person's or the other side's joint
_EVERY = 2  # frames


@dataclass(frozen=True)
class Alignment:
    """What the views were found to be.

    Attributes:
        cameras: V; the first stands as calibrated.
        shifts: (V,) frames; frame ``f + shifts[v]`` of view v shows what frame ``f`` of the first shows.
    """

    cameras: list[Camera]
    shifts: np.ndarray


def align(cameras: Sequence[Camera], keypoints2d: np.ndarray) -> Alignment:
    """Cameras and shifts that agree best with keypoints (V, F, K, 3), pixels and confidence."""
    num_views = len(cameras)
    columns = keypoints2d[:, ::_EVERY].reshape(num_views, -1, 3)
    trusted = triangulate_robustly(cameras, columns, max_error=_LOOSE).used.reshape(num_views, -1, keypoints2d.shape[2])
    scale = np.tile(_PRIOR, num_views - 1)

    def residuals(unknowns: np.ndarray) -> np.ndarray:
        found = _apply(cameras, unknowns * scale)
        moved = resample(keypoints2d, found.shifts)[:, ::_EVERY]
        weights = np.where(trusted & (moved[..., 2] > 0), moved[..., 2], 0.0).reshape(num_views, -1)
        pixels = moved[..., :2].reshape(num_views, -1, 2)
        weights = np.where((weights > 0).sum(axis=0) >= 3, weights, 0.0)  # two rays meet wherever the cameras stand
        points = np.nan_to_num(triangulate(found.cameras, pixels, weights))
        projected = np.stack([camera.project(points) for camera in found.cameras])
        errors = np.where((weights > 0)[..., None], projected - pixels, 0.0)
        return np.concatenate([errors.ravel(), unknowns])

    start = np.zeros(_UNKNOWNS * (num_views - 1))
    solved = least_squares(residuals, start, loss="soft_l1", f_scale=_SOFT, diff_step=1e-4, max_nfev=40)
    return _apply(cameras, solved.x * scale)


def resample(keypoints2d: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Keypoints (V, F, K, 3) of view v at the times f + shifts[v], linearly between frames.

    Confidence 0 where a frame that counts lacks the keypoint, or the time lies outside the clip by over half a frame.
    """
    num_frames = keypoints2d.shape[1]
    moved = np.empty(keypoints2d.shape)
    for view, shift in enumerate(shifts):
        times = np.arange(num_frames) + shift
        before, share = interpolation(times, num_frames)
        first, second, share = keypoints2d[view, before], keypoints2d[view, before + 1], share[:, None]
        moved[view] = (1 - share)[..., None] * first + share[..., None] * second
        there = ((first[..., 2] > 0) | (share == 1)) & ((second[..., 2] > 0) | (share == 0))
        there &= ((times > -0.5) & (times < num_frames - 0.5))[:, None]
        moved[view, ..., 2] *= there
    return moved


def interpolation(times: np.ndarray, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """The frame before each time and the share (0..1) of the next one; times outside count as the nearest inside."""
    before = np.clip(np.floor(times).astype(int), 0, num_frames - 2)
    return before, np.clip(times - before, 0.0, 1.0)


def _apply(cameras: Sequence[Camera], unknowns: np.ndarray) -> Alignment:
    moved, shifts = [cameras[0]], [0.0]
    for camera, values in zip(cameras[1:], unknowns.reshape(-1, _UNKNOWNS), strict=True):
        turn = cv2.Rodrigues(np.ascontiguousarray(values[:3]))[0]
        moved.append(
            dataclasses.replace(
                camera, rotation=turn @ camera.rotation, translation=turn @ camera.translation + values[3:6]
            )
        )
        shifts.append(values[6])
    return Alignment(moved, np.array(shifts))
