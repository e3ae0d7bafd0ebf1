"""Choosing distinct poses from many frames of motion capture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import pairwise_distances_argmin_min
from threadpoolctl import threadpool_limits

from mion_plugin.asset_building.pool.rotations import rotvec_to_rotmat
from mion_plugin.asset_building.pool.smpl_skeleton import INDEX, SMPL_PARENTS, mirror_poses

# Poses nearer than this (metres, root mean square over the joints, see pose_features) count as one: some 2 pixels in a
# 224 x 224 crop that a standing person fills, which is a good keypoint detector's noise.
MIN_DISTANCE = 0.02
_NUM_FEATURE_JOINTS = 21  # SMPL's joints 1..21; the hands 22, 23 carry nothing in motion capture
# What a joint without children in the skeleton moves: how far head and toes reach beyond it, metres
_TIP_LENGTH = {"head": 0.2, "left_foot": 0.07, "right_foot": 0.07}
# Frames times clusters up to which Lloyd's full iterations take minutes on two cores; beyond, mini-batches
_FULL_KMEANS_LIMIT = 500_000_000
_KMEANS_ITERATIONS = 30


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
    body_pose = np.asarray(body_pose, np.float32)
    if not mirror:
        chosen = _choose(pose_features(body_pose, smpl_joints)[None], num_poses, seed, min_distance)
        return PoseSelection(body_pose[chosen], chosen, np.zeros(len(chosen), bool))
    # features of each pose and of its image, the one that leans to a fixed side first
    pair = np.stack([pose_features(poses, smpl_joints) for poses in (body_pose, mirror_poses(body_pose))])
    flip = leans_to_one_side(*pair)
    pair[:, flip] = pair[::-1, flip]
    chosen = _choose(pair, num_poses // 2, seed, min_distance)
    image = mirror_poses(body_pose[chosen])
    asymmetric = (image != body_pose[chosen]).any((1, 2))  # a pose that is its own image comes once
    return PoseSelection(
        body_pose=np.concatenate([body_pose[chosen], image[asymmetric]]),
        frame=np.concatenate([chosen, chosen[asymmetric]]),
        mirrored=np.repeat([False, True], [len(chosen), asymmetric.sum()]),
    )


def pose_features(body_pose: np.ndarray, smpl_joints: np.ndarray) -> np.ndarray:
    """Vectors whose Euclidean distance is a distance of poses in metres.

    The entries of the joints' rotation matrices, which have none of axis-angle's jumps at pi: their Euclidean
    distance is the chordal one, 2 sqrt(2) sin(angle / 2), smooth and monotone in the angle between two rotations.
    Each joint is weighted by what it moves: the root mean square, over the body's 24 joints, of the distance to it
    in rest pose (zero for joints that it does not move). So to first order the distance of two poses is the root
    mean square displacement of the body's joints.

    Args:
        body_pose: (N, 23, 3) axis-angle.
        smpl_joints: (24, 3) rest joints of the body model, metres.

    Returns:
        (N, 189) float32.
    """
    features = np.empty((len(body_pose), _NUM_FEATURE_JOINTS * 9), np.float32)
    weights = _joint_reach(smpl_joints)[1 : _NUM_FEATURE_JOINTS + 1, None, None] / np.sqrt(2)
    for start in range(0, len(body_pose), 65536):  # bounds the float64 working memory
        rows = slice(start, start + 65536)
        rotations = rotvec_to_rotmat(body_pose[rows, :_NUM_FEATURE_JOINTS]) * weights
        features[rows] = rotations.reshape(len(rotations), -1)
    return features


def _joint_reach(smpl_joints: np.ndarray) -> np.ndarray:
    """Root mean square (24,) over all joints of their distance to a joint that moves them, metres."""
    squares = np.zeros(len(SMPL_PARENTS))
    for name, length in _TIP_LENGTH.items():
        squares[INDEX[name]] = length**2
    for joint in range(len(SMPL_PARENTS)):
        above = SMPL_PARENTS[joint]
        while above >= 0:
            squares[above] += ((smpl_joints[joint] - smpl_joints[above]) ** 2).sum()
            above = SMPL_PARENTS[above]
    return np.sqrt(squares / len(SMPL_PARENTS))


def leans_to_one_side(features: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Bool (N,) that is opposite for a pose and its mirror image, and alike for poses alike."""
    asymmetry = features - mirrored
    _, directions = np.linalg.eigh(asymmetry.T @ asymmetry)
    return asymmetry @ directions[:, -1] < 0


def _choose(pair: np.ndarray, count: int, seed: int, min_distance: float) -> np.ndarray:
    """Rows, ascending, of at most ``count`` distinct frames.

    Args:
        pair: (1 or 2, N, F) features of the frames, and of their mirror images when these count as the same.
        count: How many rows to choose.
        seed: Seed of k-means.
        min_distance: Least distance of two chosen frames.
    """
    features = pair[0]
    candidates = _thin_out(features, min_distance)
    if len(candidates) > count:
        candidates = candidates[kmeans_medoids(features[candidates], count, seed)]
    chosen = _drop_near(pair[:, candidates], min_distance)
    return np.sort(_fill_up(pair, candidates[chosen], count, min_distance))


def _thin_out(features: np.ndarray, min_distance: float) -> np.ndarray:
    """Rows that differ by ``min_distance`` from the last such row before: drops standing still, in one pass."""
    kept, last = [0], features[0]
    for row in range(1, len(features)):
        step = features[row] - last
        if step @ step >= min_distance**2:
            kept.append(row)
            last = features[row]
    return np.array(kept)


def kmeans_medoids(features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows nearest to the means of ``count`` clusters."""
    if len(features) * count <= _FULL_KMEANS_LIMIT:
        model = KMeans(count, n_init=1, max_iter=_KMEANS_ITERATIONS, random_state=seed)
    else:
        model = MiniBatchKMeans(count, n_init=1, batch_size=max(4096, count), random_state=seed)
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
            free &= _squared_distance(pair, row) >= min_distance**2
    return np.array(kept)


def _fill_up(pair: np.ndarray, chosen: np.ndarray, count: int, min_distance: float) -> np.ndarray:
    """Add the frame farthest from all chosen ones until there are ``count``, or all are near to one."""
    if len(chosen) >= count:
        return chosen
    # float32 matrix products leave squared distances of equal poses off by about 1e-7, far below min_distance^2
    nearest = pairwise_distances_argmin_min(pair[0], np.concatenate(pair[:, chosen]))[1] ** 2
    filled = list(chosen)
    while len(filled) < count and nearest.max() >= min_distance**2:
        filled.append(int(nearest.argmax()))
        np.minimum(nearest, _squared_distance(pair, filled[-1]), out=nearest)
    return np.array(filled)


def _squared_distance(pair: np.ndarray, row: int) -> np.ndarray:
    """Squared distance (N,) of all frames to the frame ``row`` or its mirror image, whichever is nearer."""
    return np.min([np.square(pair[0] - features).sum(1) for features in pair[:, row]], axis=0)
