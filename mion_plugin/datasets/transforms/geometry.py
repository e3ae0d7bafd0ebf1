"""What geometric transforms share: moving the image plane and the body of a sample together.

A geometric transform is an image map A (3 x 3, homogeneous pixels to pixels) and a body map Q (3 x 3, orthogonal, about
the camera's centre) that belong together: where x ~ K X held before, x' ~ K' X' holds after with x' = A x, X' = Q X and
K' = A K Q^T. Pixel centres are at integer + 0.5, so A moves keypoints and image alike.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from mion_plugin.body.mirroring import mirror_orientations, mirror_poses

KEYPOINTS2D_KEYS = ("keypoints2d", "keypoints2d_input")
DEPTHS_KEY = "depths_input"  # of the 2D keypoints: no turn or mirror image of the picture changes a depth
MIRROR = np.diag([-1.0, 1.0, 1.0])  # x to -x


def apply_maps(results: dict, image_map: np.ndarray, body_map: np.ndarray) -> None:
    """Move everything in ``results`` but the pixels; keys that are not there are left out.

    A ``body_map`` with determinant -1 must be a mirror image along x: poses are mirrored (left and right limbs
    exchanged), keypoints are not renamed.

    Args:
        results: A sample of ``HumanDataset``.
        image_map: A, (3, 3).
        body_map: Q, (3, 3).
    """
    for key in KEYPOINTS2D_KEYS:
        if key in results:
            results[key] = _map_present(results[key], image_map[:2, :2], image_map[:2, 2])
    if "keypoints3d" in results:
        results["keypoints3d"] = _map_present(results["keypoints3d"], body_map, np.zeros(3))
    if "img_transform" in results:
        results["img_transform"] = image_map @ results["img_transform"]
    if "cam_intrinsics" in results:
        results["cam_intrinsics"] = (image_map @ results["cam_intrinsics"] @ body_map.T).astype(np.float32)
    if not np.array_equal(body_map, np.eye(3)):
        _map_body(results, body_map)


def _map_present(keypoints: np.ndarray, linear: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Keypoints (K, D + 1) with the confident ones moved; the others stay zero."""
    moved = keypoints.copy()
    present = keypoints[:, -1] > 0
    moved[present, :-1] = keypoints[present, :-1] @ linear.T + offset
    return moved


def _map_body(results: dict, body_map: np.ndarray) -> None:
    if "smpl_transl" in results:
        _map_translation(results, body_map)
    if "smpl_global_orient" not in results:
        return
    if np.linalg.det(body_map) < 0:
        results["smpl_body_pose"] = mirror_poses(results["smpl_body_pose"])
        results["smpl_global_orient"] = mirror_orientations(results["smpl_global_orient"])
        body_map = body_map @ MIRROR
    results["smpl_global_orient"] = _rotate_axis_angle(results["smpl_global_orient"], body_map)


def _map_translation(results: dict, body_map: np.ndarray) -> None:
    """SMPL rotates about the pelvis at rest, j: the pelvis is at j + t, so t' = Q (j + t) - j."""
    if "smpl_pelvis" in results:
        pelvis = results["smpl_pelvis"]
        moved = body_map @ (pelvis + results["smpl_transl"]) - pelvis
        results["smpl_transl"] = (moved * results["has_transl"]).astype(np.float32)
    else:
        results["smpl_transl"] = np.zeros_like(results["smpl_transl"])
        results["has_transl"] = 0


def _rotate_axis_angle(axis_angle: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    # scipy's: for a single rotation, torch takes five times as long
    rotated = Rotation.from_matrix(rotation) * Rotation.from_rotvec(axis_angle.astype(np.float64))
    return rotated.as_rotvec().astype(axis_angle.dtype)
