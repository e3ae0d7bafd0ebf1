"""k-means of more frames than can be held: mini-batches find the means, whole passes over the frames settle them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.cluster import MiniBatchKMeans, kmeans_plusplus
from threadpoolctl import threadpool_limits

from mion_plugin.asset_building.pool.features import row_blocks

FeaturesOf = Callable[[np.ndarray], np.ndarray]
"""Rows (R,) to their features (R, F) float32."""
_EPOCHS = 2  # of mini-batches
_PASSES = 5  # of Lloyd's iteration over all frames after them; `tools/benchmark.py pool` measures what they gain
_LEAST_BATCH = 4096
_FIRST_BATCHES = 3  # mini-batches from which k-means++ draws the first means, as in scikit-learn


def mini_batch_medoids(features_of: FeaturesOf, rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The rows nearest to the means of ``count`` clusters.

    Held are the means and one block of features, however many rows there are.

    Args:
        features_of: Features of rows.
        rows: (N,) rows to cluster, more than ``count``.
        count: Number of clusters; those that end up empty have no medoid.
        seed: Seed of the first means and of the batches.

    Returns:
        At most ``count`` of ``rows``, ascending.
    """
    with threadpool_limits(1, user_api="openmp"):  # threads add up the means in the order they finish
        model = _batched_means(features_of, rows, count, seed)
        for _ in range(_PASSES):
            _move_to_means(model, features_of, rows)
        return _nearest_to_means(model, features_of, rows)


def _batched_means(features_of: FeaturesOf, rows: np.ndarray, count: int, seed: int) -> MiniBatchKMeans:
    """Means after ``_EPOCHS`` epochs of mini-batches."""
    generator = np.random.default_rng(seed)
    size = max(_LEAST_BATCH, count)
    first = features_of(np.sort(generator.permutation(rows)[: _FIRST_BATCHES * size]))
    means, _ = kmeans_plusplus(first, count, random_state=seed)
    model = MiniBatchKMeans(count, init=means, n_init=1, batch_size=size, random_state=seed)
    for _ in range(_EPOCHS):
        shuffled = generator.permutation(rows)
        for batch in np.array_split(shuffled, -(-len(rows) // size)):
            model.partial_fit(features_of(np.sort(batch)))
    return model


def _move_to_means(model: MiniBatchKMeans, features_of: FeaturesOf, rows: np.ndarray) -> None:
    """One of Lloyd's iterations: each mean to the mean of the rows nearest to it; those without a row stay."""
    sums = np.zeros(model.cluster_centers_.shape)
    sizes = np.zeros(len(sums))
    for block in row_blocks(rows):
        features = features_of(block)
        labels = model.predict(features)
        order = np.argsort(labels, kind="stable")
        present, starts = np.unique(labels[order], return_index=True)
        sums[present] += np.add.reduceat(features[order].astype(np.float64), starts, axis=0)
        sizes += np.bincount(labels, minlength=len(sizes))
    filled = sizes > 0
    model.cluster_centers_[filled] = sums[filled] / sizes[filled, None]


def _nearest_to_means(model: MiniBatchKMeans, features_of: FeaturesOf, rows: np.ndarray) -> np.ndarray:
    """Of each cluster the row nearest to its mean, the first of several; ascending."""
    nearest = np.full(len(model.cluster_centers_), np.inf)
    medoids = np.full(len(nearest), -1, rows.dtype)
    for block in row_blocks(rows):
        features = features_of(block)
        labels = model.predict(features)
        distance = np.square(features - model.cluster_centers_[labels]).sum(1)
        order = np.lexsort((distance, labels))
        present, first = np.unique(labels[order], return_index=True)
        best = order[first]
        nearer = distance[best] < nearest[present]
        nearest[present[nearer]] = distance[best[nearer]]
        medoids[present[nearer]] = block[best[nearer]]
    return np.sort(medoids[medoids >= 0])
