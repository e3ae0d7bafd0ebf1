"""Points in space from their pixels in several calibrated views, some of which are wrong."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from benchmarks.real.calibration import Camera

MAX_ERROR = 25.0  # pixels; a view in which a point is farther from its detection has seen something else
MIN_CONFIDENCE = 0.3


@dataclass(frozen=True)
class Triangulated:
    """Of P points in V views.

    Attributes:
        points: (P, 3) metres, world frame; NaN where no two views agree.
        used: (V, P) bool, the views that each point comes from.
        errors: (V, P) pixels between detection and reprojection in the views used; NaN elsewhere.
    """

    points: np.ndarray
    used: np.ndarray
    errors: np.ndarray


def triangulate(cameras: Sequence[Camera], pixels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Points (P, 3) by the weighted linear method (Hartley & Zisserman, 12.2), in undistorted coordinates.

    Args:
        cameras: V.
        pixels: (V, P, 2); what has no weight may hold anything.
        weights: (V, P) not negative. Points with fewer than two positive ones become NaN.
    """
    present = weights > 0
    system = np.zeros((pixels.shape[1], 4, 4))
    for camera, seen, weight, there in zip(cameras, pixels, weights, present, strict=True):
        slopes = camera.undistort(np.where(there[:, None], seen, 0.0))
        first, second, third = camera.extrinsics
        for slope, row in ((slopes[:, :1], first), (slopes[:, 1:], second)):
            equation = np.where(there, weight, 0.0)[:, None] * (slope * third - row)
            system += equation[:, :, None] * equation[:, None, :]
    homogeneous = np.linalg.eigh(system)[1][:, :, 0]  # of the smallest eigenvalue
    determined = present.sum(axis=0) >= 2
    scale = np.where(determined, homogeneous[:, 3], np.nan)[:, None]
    return homogeneous[:, :3] / scale


def triangulate_robustly(
    cameras: Sequence[Camera],
    keypoints2d: np.ndarray,
    max_error: float = MAX_ERROR,
    min_confidence: float = MIN_CONFIDENCE,
) -> Triangulated:
    """Each point from the largest set of views that agree on it, of equally large ones the set that agrees best.

    Args:
        cameras: V.
        keypoints2d: (V, P, 3) pixels and confidence, which weighs the views.
        max_error: Pixels; views agree where none of them is farther from its reprojection.
        min_confidence: Below, a view has not seen the point.
    """
    pixels, weights = keypoints2d[..., :2], keypoints2d[..., 2]
    seen = np.isfinite(keypoints2d).all(axis=-1) & (weights >= min_confidence)
    num_views, num_points = seen.shape
    best = Triangulated(np.full((num_points, 3), np.nan), np.zeros_like(seen), np.full(seen.shape, np.nan))
    best_mean = np.full(num_points, np.inf)
    for size in range(num_views, 1, -1):
        open_points = ~best.used.any(axis=0)  # a larger set has taken the others
        for views in itertools.combinations(range(num_views), size):
            chosen = np.zeros((num_views, 1), bool)
            chosen[list(views)] = True
            points = triangulate(cameras, pixels, np.where(chosen & seen, weights, 0.0))
            errors = np.where(chosen, reprojection_errors(cameras, points, pixels), np.nan)
            mean = errors[list(views)].mean(axis=0)
            agree = seen[list(views)].all(axis=0) & (errors[list(views)] < max_error).all(axis=0)
            better = open_points & agree & (mean < best_mean)
            best.points[better], best_mean[better] = points[better], mean[better]
            best.used[:, better], best.errors[:, better] = chosen, errors[:, better]
    return best


def reprojection_errors(cameras: Sequence[Camera], points: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Distance (V, P) in pixels of the projections of points (P, 3) from ``pixels`` (V, P, 2)."""
    known = np.isfinite(points).all(axis=-1)
    filled = np.where(known[:, None], points, 1.0)
    projected = np.stack([camera.project(filled) for camera in cameras])
    return np.where(known, np.linalg.norm(projected - pixels, axis=-1), np.nan)
