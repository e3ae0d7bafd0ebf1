"""A small pool that knows the recordings of its poses."""

import numpy as np

from mion_plugin.candidates.pool import make_pool

CLIPS = ("cmu/01_02.amc", "bvh/001_02.bvh", "cmu/03_01.amc", "other/sit.bvh")


def make_clip_pool():
    """40 poses from four clips, the first two of the same recording."""
    rng = np.random.default_rng(0)
    return make_pool(
        rng.normal(scale=0.25, size=(40, 23, 3)),
        np.zeros((1, 3)),
        clip_index=np.arange(40) % 4,
        metadata={"clips": list(CLIPS)},
    )
