"""Choosing distinct poses from many frames of motion capture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin_min
from threadpoolctl import threadpool_limits

from mion_plugin.asset_building.pool.features import FrameFeatures
from mion_plugin.asset_building.pool.mini_batches import mini_batch_medoids
from mion_plugin.body.mirroring import mirror_poses

# Poses nearer than this (metres, root mean square over the joints, see pose_features) count as one: some 2 pixels in a
# 224 x 224 crop that a standing person fills, which is a good keypoint detector's noise.
MIN_DISTANCE = 0.02
# Up to which Lloyd's full iterations take minutes on two cores (frames times clusters), and the features of all frames
# that are clustered 50 MB; beyond, mini-batches
FULL_KMEANS_LIMIT = 500_000_000
FULL_KMEANS_FRAMES = 65_536
_KMEANS_ITERATIONS = 30
_RESERVE = 4096  # frames among which the farthest is looked for


@dataclass(frozen=True)
class PoseSelection:
    """Distinct poses and where they came from.

    Attributes:
        body_pose: (P, 23, 3) float32 axis-angle.
        frame: (P,) int64 row of the input that each pose is, or is the mirror image of.
        mirrored: (P,) bool, True for mirror images.
    """

    body_pose: np.ndarray
    frame: np.ndarray
    mirrored: np.ndarray


def select_poses(
    body_pose: np.ndarray,
    num_poses: int,
    smpl_joints: np.ndarray,
    *,
    seed: int = 0,
    mirror: bool = True,
    min_distance: float = MIN_DISTANCE,
    full_kmeans_limit: int = FULL_KMEANS_LIMIT,
) -> PoseSelection:
    """Distinct poses that stand for all: k-means in the space of ``pose_features``, each cluster by its medoid.

    A mean of rotation matrices is no rotation and a mean of poses may be no pose, so a cluster is represented by
    the member nearest to its mean. Medoids nearer than ``min_distance`` to another one are dropped, and the frames
    farthest from all chosen take their places as long as they are farther than that. So fewer poses than asked for
    come out when the data hold fewer distinct ones.

    With mirroring, a pose and its mirror image are one thing: for the clustering each frame is represented by whichever
    of the two leans to a fixed side of the body's main asymmetry, half as many clusters are made, and the mirror images
    of the chosen frames are added. The result is closed under mirroring.

    Args:
        body_pose: (N, 23, 3) axis-angle.
        num_poses: How many to choose at most, mirror images included.
        smpl_joints: (24, 3) rest joints of the body model.
        seed: Seed of k-means.
        mirror: Add mirror images.
        min_distance: Metres below which two poses count as one.
        full_kmeans_limit: Frames times clusters up to which the full k-means runs; beyond, mini-batches.

    Returns:
        At most ``num_poses`` poses: the chosen ones in the order of the input, then their mirror images.

    Raises:
        ValueError: No frames, or ``num_poses`` below 1 (2 with mirroring).
    """
    least = 2 if mirror else 1
    if num_poses < least:
        raise ValueError(f"num_poses is {num_poses}, expected at least {least}{' with mirroring' if mirror else ''}")
    if len(body_pose) == 0:
        raise ValueError("no poses to choose from")
    body_pose = np.asarray(body_pose)
    features = FrameFeatures(body_pose, smpl_joints, mirror)
    count = num_poses // 2 if mirror else num_poses
    chosen = _choose(features, count, seed, min_distance, full_kmeans_limit)
    poses = body_pose[chosen].astype(np.float32)
    if not mirror:
        return PoseSelection(poses, chosen, np.zeros(len(chosen), bool))
    image = mirror_poses(poses)
    asymmetric = (image != poses).any((1, 2))  # a pose that is its own image comes once
    return PoseSelection(
        body_pose=np.concatenate([poses, image[asymmetric]]),
        frame=np.concatenate([chosen, chosen[asymmetric]]),
        mirrored=np.repeat([False, True], [len(chosen), asymmetric.sum()]),
    )


def _choose(features: FrameFeatures, count: int, seed: int, min_distance: float, full_kmeans_limit: int) -> np.ndarray:
    """Rows, ascending, of at most ``count`` distinct frames.

    Args:
        features: Those of the frames, and of their mirror images when these count as the same.
        count: How many rows to choose.
        seed: Seed of k-means.
        min_distance: Least distance of two chosen frames.
        full_kmeans_limit: See ``select_poses``.
    """
    candidates = _thin_out(features, min_distance)
    if len(candidates) > count:
        full = len(candidates) * count <= full_kmeans_limit and len(candidates) <= FULL_KMEANS_FRAMES
        if full:
            candidates = candidates[kmeans_medoids(features.of(candidates), count, seed)]
        else:
            candidates = mini_batch_medoids(features.of, candidates, count, seed)
    chosen = _drop_near(features.pair(candidates), min_distance)
    return np.sort(_fill_up(features, candidates[chosen], count, min_distance))


def _thin_out(features: FrameFeatures, min_distance: float) -> np.ndarray:
    """Rows that differ by ``min_distance`` from the last such row before: drops standing still, in one pass."""
    kept: list[int] = []
    last: np.ndarray | None = None
    for rows in features.blocks():
        for row, feature in zip(rows.tolist(), features.of(rows), strict=True):
            step = None if last is None else feature - last
            if step is None or step @ step >= min_distance**2:
                kept.append(row)
                last = feature
    return np.array(kept)


def kmeans_medoids(features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows nearest to the means of ``count`` clusters."""
    model = KMeans(count, n_init=1, max_iter=_KMEANS_ITERATIONS, random_state=seed)
    with threadpool_limits(1, user_api="openmp"):  # threads add up the means in the order they finish
        labels = model.fit_predict(features)
    distance = np.square(features - model.cluster_centers_[labels]).sum(1)
    order = np.lexsort((distance, labels))
    _, first = np.unique(labels[order], return_index=True)
    return np.sort(order[first])


def _drop_near(pair: np.ndarray, min_distance: float) -> np.ndarray:
    """Rows of (1 or 2, N, F), each at least ``min_distance`` from the kept ones before it and their images."""
    kept: list[int] = []
    free = np.ones(pair.shape[1], bool)
    for row in range(pair.shape[1]):
        if free[row]:
            kept.append(row)
            free &= _squared_distance(pair[0], pair[:, row]) >= min_distance**2
    return np.array(kept)


def _fill_up(features: FrameFeatures, chosen: np.ndarray, count: int, min_distance: float) -> np.ndarray:
    """Add the frame farthest from all chosen ones until there are ``count``, or all are near to one.

    Distances only shrink while frames are added, so the farthest is among the few that were farthest before, for as
    long as it is farther than all others were. Only those few are held.
    """
    if len(chosen) >= count:
        return chosen
    filled = list(chosen)
    nearest = np.full(len(features), np.inf, np.float32)
    measured = 0  # of the filled ones, those whose distances ``nearest`` knows
    while len(filled) < count:
        _shrink(nearest, features, np.array(filled[measured:]))
        measured = len(filled)
        reserve = np.argpartition(-nearest, min(_RESERVE, len(nearest) - 1))[:_RESERVE]
        reserve.sort()  # of equal distances the first frame wins
        others = np.delete(nearest, reserve).max(initial=0.0)
        distance, of_reserve = nearest[reserve], features.of(reserve)
        if distance.max() < min_distance**2:
            break
        while len(filled) < count and distance.max() >= max(others, min_distance**2):
            filled.append(int(reserve[distance.argmax()]))
            np.minimum(
                distance, _squared_distance(of_reserve, features.pair(np.array(filled[-1:]))[:, 0]), out=distance
            )
    return np.array(filled)


def _shrink(nearest: np.ndarray, features: FrameFeatures, added: np.ndarray) -> None:
    """Lower the squared distance (N,) of all frames to the nearest chosen one, or its image, for more chosen ones."""
    points = np.concatenate(features.pair(added))
    for rows in features.blocks():
        # float32 matrix products leave squared distances of equal poses off by about 1e-7, far below min_distance^2
        distance = pairwise_distances_argmin_min(features.of(rows), points)[1]
        nearest[rows] = np.minimum(nearest[rows], distance**2)


def _squared_distance(features: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Squared distance (N,) of frames (N, F) to a pose or its mirror image (1 or 2, F), whichever is nearer."""
    return np.min([np.square(features - one).sum(1) for one in pose], axis=0)
