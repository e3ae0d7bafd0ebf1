"""Where the man's joints are in space, frame by frame, and how well that is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from benchmarks.real import joints
from benchmarks.real.calibration import Camera
from benchmarks.real.synchronisation import Alignment, interpolation, resample
from benchmarks.real.triangulation import triangulate_robustly
from scipy.ndimage import median_filter
from scipy.signal import butter, filtfilt

PIXEL_CENTRE = 0.5  # of the package's keypoints; OpenCV's is 0
CUT_OFF = 6.0  # hertz: what is quicker is noise (Winter's choice for gait)
_WINDOW = 11  # frames of the running median
_JUMP = 0.10  # metres from the running median; farther off, two views agreed on something else


@dataclass(frozen=True)
class Truth:
    """Of F frames of the first camera's clock.

    Attributes:
        cameras: V, aligned.
        shifts: (V,) frames, see ``Alignment``.
        points: (F, 17, 3) COCO keypoints, metres, world frame; NaN where unknown.
        errors: (V, F, 17) pixels between detections and reprojections in the views that each point comes from.
    """

    cameras: list[Camera]
    shifts: np.ndarray
    points: np.ndarray
    errors: np.ndarray

    def seen_by(self, view: int, frames: np.ndarray) -> np.ndarray:
        """World points (S, 17, 3) at the moments at which a view exposed its frames (S,)."""
        before, share = interpolation(frames - self.shifts[view], len(self.points))
        share = share[:, None, None]
        return (1 - share) * self.points[before] + share * self.points[before + 1]


def find_truth(alignment: Alignment, keypoints2d: np.ndarray, frame_rate: float) -> Truth:
    """Triangulate, leave out what jumps, and smooth.

    Args:
        alignment: Of V views.
        keypoints2d: (V, F, 17, 3) pixels (first pixel's centre at 0) and confidence, unshifted.
        frame_rate: Frames per second.
    """
    moved = resample(keypoints2d, alignment.shifts)
    num_views, num_frames, num_joints, _ = moved.shape
    found = triangulate_robustly(alignment.cameras, moved.reshape(num_views, -1, 3))
    points = found.points.reshape(num_frames, num_joints, 3)
    jumps = np.linalg.norm(points - _running_median(points), axis=-1) > _JUMP
    points = np.where(jumps[..., None], np.nan, points)
    errors = np.where(jumps, np.nan, found.errors.reshape(num_views, num_frames, num_joints))
    return Truth(list(alignment.cameras), alignment.shifts, smooth(points, frame_rate), errors)


def smooth(points: np.ndarray, frame_rate: float) -> np.ndarray:
    """Low-pass the paths of points (F, K, 3) without delay; gaps are bridged, joints seen in no frame stay NaN."""
    filled = _bridged(points)
    known = np.isfinite(filled).all(axis=(0, 2))
    numerator, denominator = butter(2, CUT_OFF / (frame_rate / 2))
    filled[:, known] = filtfilt(numerator, denominator, filled[:, known], axis=0)
    return filled


def floor(alignment: Alignment, keypoints2d: np.ndarray, frame_rate: float) -> tuple[float, float]:
    """How far the truths of three views each lie from that of all: mean MPJPE and PA-MPJPE in millimetres.

    Faults that all views share, such as where the detector puts a hip, are not in it.
    """

    def truth_of(views: list[int]) -> np.ndarray:
        part = Alignment([alignment.cameras[view] for view in views], alignment.shifts[views])
        return joints.scored(find_truth(part, keypoints2d[views], frame_rate).points)

    views = list(range(len(alignment.cameras)))
    whole = truth_of(views)
    errors = [joints.joint_errors(truth_of([view for view in views if view != left_out]), whole) for left_out in views]
    first, second = (float(np.mean([error[name] for error in errors])) for name in ("MPJPE", "PA-MPJPE"))
    return first, second


def exact_keypoints(truth: Truth, view: int, frames: np.ndarray) -> np.ndarray:
    """The truth projected: (S, 17, 3) pixels (first pixel's centre at 0.5) and confidence 1.

    The eyes are absent, as his face is pixelated in the clip.
    """
    points = truth.seen_by(view, frames)
    known = np.isfinite(points).all(axis=-1)
    known[:, 1:3] = False
    pixels = truth.cameras[view].project(np.where(known[..., None], points, 1.0)) + PIXEL_CENTRE
    return np.concatenate([pixels, np.ones_like(pixels[..., :1])], axis=-1) * known[..., None]


def without_swaps(truth: Truth, keypoints2d: np.ndarray) -> np.ndarray:
    """(V, F) bool, False where left and right of a detection fit the truth better when exchanged.

    Args:
        truth: Of V views and F frames.
        keypoints2d: (V, F, 17, 3) as ``exact_keypoints``.
    """
    frames = np.arange(keypoints2d.shape[1])
    exact = np.stack([exact_keypoints(truth, view, frames) for view in range(len(keypoints2d))])[:, :, joints.FIRST :]
    found = keypoints2d[:, :, joints.FIRST :]
    both = (exact[..., 2] > 0) & (found[..., 2] > 0)
    other_side = np.arange(len(joints.NAMES)) ^ 1  # left and right take turns
    straight, crossed = (
        (np.linalg.norm(found[..., :2] - side[..., :2], axis=-1) * both).sum(axis=-1)
        for side in (exact, exact[:, :, other_side])
    )
    return straight <= crossed


def _running_median(points: np.ndarray) -> np.ndarray:
    return median_filter(_bridged(points), size=(_WINDOW, 1, 1), mode="nearest")


def _bridged(points: np.ndarray) -> np.ndarray:
    """Points (F, K, 3) with gaps filled linearly in time; a joint that is unknown in most frames becomes NaN."""
    frames, filled = np.arange(len(points)), np.full(points.shape, np.nan)
    for joint in range(points.shape[1]):
        known = np.isfinite(points[:, joint]).all(axis=-1)
        if known.mean() > 0.5:
            for axis in range(3):
                filled[:, joint, axis] = np.interp(frames, frames[known], points[known, joint, axis])
    return filled
