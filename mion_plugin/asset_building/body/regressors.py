"""Joint regressors: rows of non-negative weights over the vertices that sum to 1.

Each row is found by non-negative least squares on sampled bodies, over vertices around the joint, so that a regressed
joint is a weighted mean of skin points: it follows the body under translation, rotation and scale, and stays inside
its convex hull.

Three sets:

- ``J_regressor``: the 24 joints from T-posed shapes;
- ``h36m``: Human3.6M's 17 joints in mmhuman3d's (left-first) order, from posed bodies;
- ``extra``: the nine joints that follow the 45 of ``smplx`` in mmhuman3d's ``smpl_54``, from posed bodies;
  see ``keypoints``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mion_plugin.asset_building.body.skeleton import JOINTS, PARENTS

MAX_CANDIDATES = 400
SMALLEST_WEIGHT = 2e-3  # with a quarter of this the held-out error is the same to a hundredth of a millimetre
# How far from a joint the skin that determines it reaches, in metres; larger where the limb is thick.
JOINT_REACH = {
    "pelvis": 0.26, "left_hip": 0.25, "spine1": 0.26, "left_knee": 0.20, "spine2": 0.28, "left_ankle": 0.14,
    "spine3": 0.30, "left_foot": 0.10, "neck": 0.20, "left_collar": 0.20, "head": 0.18, "left_shoulder": 0.20,
    "left_elbow": 0.15, "left_wrist": 0.08, "left_hand": 0.06,
}  # fmt: skip


@dataclass(frozen=True)
class Body:
    """The mean body that candidates are chosen on.

    Attributes:
        vertices: (v, 3) T-posed mean shape; joints: (24, 3); weights: (v, 24); mirror: (v,).
        nose: Vertex at the tip of the nose.
    """

    vertices: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    mirror: np.ndarray
    nose: int

    @property
    def crown(self) -> int:
        """The highest vertex of the mirror plane."""
        centre = np.flatnonzero(self.mirror == np.arange(len(self.mirror)))
        return int(centre[self.vertices[centre, 1].argmax()])


def fit_row(candidates: np.ndarray, points: np.ndarray, targets: np.ndarray, size: int) -> np.ndarray:
    """Weights over ``size`` vertices, zero outside ``candidates``, that best give the targets.

    Args:
        candidates: (c,) vertices that may take part.
        points: (s, v, 3) bodies.
        targets: (s, 3) the joint in each.
        size: Number of vertices.
    """
    from scipy.optimize import nnls

    equations = points[:, candidates].transpose(0, 2, 1).reshape(-1, len(candidates)).astype(np.float64)
    values = targets.reshape(-1)
    emphasis = np.sqrt(len(values))  # the sum-to-one equation counts as much as one metre of error on all bodies
    system = np.concatenate([equations, np.full((1, len(candidates)), emphasis)])
    solution, _ = nnls(system, np.append(values, emphasis), maxiter=30 * len(candidates))
    solution[solution < SMALLEST_WEIGHT] = 0.0
    row = np.zeros(size)
    row[candidates] = solution / solution.sum()
    return row


def spread_out(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of ``count`` points, each the farthest from those before (all when there are fewer)."""
    chosen = [int(((points - points.mean(0)) ** 2).sum(1).argmax())]
    distance = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(1))
    return np.array(chosen)


def family(joint: int) -> list[int]:
    """A joint, its parent and its children."""
    parent = [PARENTS[joint]] if PARENTS[joint] >= 0 else []
    return [joint, *parent, *(child for child, p in enumerate(PARENTS) if p == joint)]


def nearby_skin(body: Body, centre: np.ndarray, joints: list[int], reach: float, left_only: bool) -> np.ndarray:
    """Vertices that mostly move with ``joints`` within ``reach`` of ``centre``, thinned out."""
    near = np.linalg.norm(body.vertices - centre, axis=1) < reach
    near &= body.weights[:, joints].sum(axis=1) > 0.5
    if left_only:
        near &= body.vertices[:, 0] > 0.0
    found = np.flatnonzero(near)
    return found[spread_out(body.vertices[found], MAX_CANDIDATES)]


def symmetric_rows(rows: dict[str, np.ndarray], mirror: np.ndarray) -> dict[str, np.ndarray]:
    """Left rows mirrored to the right, central rows made symmetric."""
    result = {}
    for name, row in rows.items():
        if name.startswith("left_"):
            result[name], result["right_" + name[5:]] = row, row[mirror]
        else:
            result[name] = 0.5 * (row + row[mirror])
    return result


def fit_joint_regressor(body: Body, vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(24, v) regressor of the joints from T-posed shapes.

    Args:
        body: The mean body.
        vertices: (s, v, 3) shapes.
        joints: (s, 24, 3) their joints.
    """
    rows = {}
    for name, reach in JOINT_REACH.items():
        joint = JOINTS.index(name)
        skin = nearby_skin(body, body.joints[joint], family(joint), reach, name.startswith("left_"))
        rows[name] = fit_row(skin, vertices, joints[:, joint], len(body.vertices))
    rows = symmetric_rows(rows, body.mirror)
    return np.stack([rows[name] for name in JOINTS])


def regressor_error(regressor: np.ndarray, vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(s, j) distance in metres between regressed and true joints."""
    regressed = np.einsum("jv,svd->sjd", regressor, vertices, optimize=True)
    return np.linalg.norm(regressed - joints, axis=-1)
