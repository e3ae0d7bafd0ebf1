import numpy as np
import pytest

from mion_plugin.body import SMPLBody
from mion_plugin.candidates.pool import make_pool, save_pool
from mion_plugin.synthesis import PoseSource, Synthesizer

CLIPS = ("cmu/01_02.amc", "bvh/001_02.bvh", "cmu/03_01.amc", "other/sit.bvh")


@pytest.fixture(scope="session")
def body():
    return SMPLBody()


@pytest.fixture(scope="session")
def pool(body):
    """40 poses from four clips, the first two of the same recording."""
    rng = np.random.default_rng(0)
    return make_pool(
        rng.normal(scale=0.25, size=(40, 23, 3)),
        np.zeros((1, 3)),
        body=body,
        clip_index=np.arange(40) % 4,
        metadata={"clips": list(CLIPS)},
    )


@pytest.fixture(scope="session")
def pool_file(pool, tmp_path_factory):
    path = tmp_path_factory.mktemp("pool") / "pool.npz"
    save_pool(pool, path)
    return path


@pytest.fixture(scope="session")
def synthesizer(pool, body):
    return Synthesizer(PoseSource.from_pool(pool), seed=3, body=body, detected_noise=3.0)
