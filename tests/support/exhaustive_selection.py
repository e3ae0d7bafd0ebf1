"""The slow, obvious form of stage 1: what the selector must equal."""

import numpy as np
from scipy.spatial.transform import Rotation

FOCAL_LENGTH, CENTRE = 5000.0, 112.0


def fit_by_lstsq(joints, keypoints2d, focal_length=FOCAL_LENGTH, centre=CENTRE):
    """Translation (3,) and loss of one candidate: (K, 3) joints, (K, 3) keypoints; by numpy's lstsq."""
    present = keypoints2d[:, 2] > 0
    x, y, z = joints[present].T
    u, v = (keypoints2d[present, :2] - centre).T
    weight = keypoints2d[present, 2]
    zero, focal = np.zeros_like(u), np.full_like(u, focal_length)
    rows = np.concatenate([np.stack([focal, zero, -u], 1), np.stack([zero, focal, -v], 1)])
    values = np.concatenate([u * z - focal * x, v * z - focal * y])
    root = np.sqrt(np.concatenate([weight, weight]))
    transl = np.linalg.lstsq(rows * root[:, None], values * root, rcond=None)[0]
    if (joints[:, 2] + transl[2] <= 0).any():
        return transl, np.inf
    placed = joints[present] + transl
    error = focal_length * placed[:, :2] / placed[:, 2:] - np.stack([u, v], 1)
    return transl, (weight * (error**2).sum(1)).sum()


def pose_distance(pose_a, pose_b, kind="geodesic"):
    """(24, 3) axis-angle each."""
    if kind == "axis_angle":
        return np.linalg.norm(pose_a - pose_b)
    relative = Rotation.from_rotvec(pose_a).inv() * Rotation.from_rotvec(pose_b)
    return np.sqrt((relative.magnitude() ** 2).sum())


def select_exhaustively(pool, keypoints2d, num_candidates=5, max_fit_loss=2000.0, distance="geodesic"):
    """Index (N,), loss (N,), number compatible, for one sample, by trying every candidate in a loop.

    Where no candidate stands in front of the camera, index -1 and the loss ``max_fit_loss``; where fewer than N do, the
    first choice again.
    """
    orientations = Rotation.from_rotvec(pool.global_orient.astype(np.float64)).as_matrix()
    losses = np.array(
        [
            fit_by_lstsq(points.astype(np.float64) @ rotation.T, keypoints2d)[1]
            for points in pool.keypoints3d
            for rotation in orientations
        ]
    )

    if not np.isfinite(losses).any():
        return np.full(num_candidates, -1), np.full(num_candidates, max_fit_loss), 0

    def pose(index):
        p, o = divmod(index, len(orientations))
        return np.concatenate([pool.global_orient[o][None], pool.body_pose[p]]).astype(np.float64)

    available = [int(i) for i in np.flatnonzero(losses < max_fit_loss)]
    chosen = [int(losses.argmin())]
    while len(chosen) < num_candidates:
        rest = [i for i in available if i not in chosen]
        if rest:
            nearest = [min(pose_distance(pose(i), pose(c), distance) for c in chosen) for i in rest]
            # Ties, which a product of poses and orientations has, go to the first: rounding must not decide them.
            chosen.append(rest[int(np.argmax(np.round(nearest, 9)))])
        else:
            fillers = [int(i) for i in np.argsort(losses, kind="stable") if np.isfinite(losses[i]) and i not in chosen]
            chosen.append(fillers[0] if fillers else chosen[0])
    return np.array(chosen), losses[chosen], len(available)
