"""2D keypoints as a detector would give them, and which keypoints the camera sees."""

from __future__ import annotations

import numpy as np

HIDDEN_FACTOR = 2.0  # a detector guesses at hidden joints about twice as badly
_SKIN_MARGIN = 0.03  # metres; how much deeper than in rest pose a joint may lie below the visible surface


def keypoint_depths(vertices: np.ndarray, keypoints3d: np.ndarray) -> np.ndarray:
    """(K,) metres from each keypoint (K, 3) to the nearest of the vertices (V, 3)."""
    return np.array([np.sqrt(((vertices - point) ** 2).sum(axis=1).min()) for point in keypoints3d])


def visible_keypoints(
    keypoints2d: np.ndarray, keypoint_z: np.ndarray, depth: np.ndarray, below_surface: np.ndarray
) -> np.ndarray:
    """Which keypoints are in the image with no other part of the body before them.

    Args:
        keypoints2d: (K, 2) pixels.
        keypoint_z: (K,) metres.
        depth: (H, W) metres, +inf where no body is: the z-buffer.
        below_surface: (K,) metres that each keypoint lies below the skin.

    Returns:
        (K,) bool.
    """
    height, width = depth.shape
    column, row = np.floor(keypoints2d).astype(np.int64).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    surface = depth[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    # a joint lies about as deep below the visible skin as below the nearest skin; half as much more for slanted views
    return inside & (keypoint_z <= surface + 1.5 * below_surface + _SKIN_MARGIN)


def detect_keypoints(
    keypoints2d: np.ndarray, visible: np.ndarray, noise: float, image_size: int, rng: np.random.Generator
) -> np.ndarray:
    """Keypoints with a detector's errors: Gaussian, larger for hidden ones, which also get less confidence.

    Args:
        keypoints2d: (K, 2) true pixels.
        visible: (K,) bool.
        noise: Standard deviation for visible keypoints, pixels.
        image_size: Side of the image; what falls outside gets confidence 0.
        rng: Source of the noise.

    Returns:
        (K, 3) float32 x, y, confidence; zeros outside the image.
    """
    spread = noise * np.where(visible, 1.0, HIDDEN_FACTOR)[:, None]
    moved = keypoints2d + rng.standard_normal(keypoints2d.shape) * spread
    confidence = np.where(visible, 0.7, 0.3) + 0.3 * rng.random(len(visible))
    inside = ((moved >= 0) & (moved < image_size)).all(axis=1)
    return (np.concatenate([moved, confidence[:, None]], axis=1) * inside[:, None]).astype(np.float32)
