import pytest
from support.clip_pool import make_clip_pool

from mion_plugin.body import SMPLBody
from mion_plugin.candidates.pool import save_pool
from mion_plugin.synthesis import PoseSource, Synthesizer


@pytest.fixture(scope="session")
def body():
    return SMPLBody()


@pytest.fixture(scope="session")
def pool():
    return make_clip_pool()


@pytest.fixture(scope="session")
def pool_file(pool, tmp_path_factory):
    path = tmp_path_factory.mktemp("pool") / "pool.npz"
    save_pool(pool, path)
    return path


@pytest.fixture(scope="session")
def synthesizer(pool, body):
    return Synthesizer(PoseSource.from_pool(pool), seed=3, body=body, detected_noise=3.0)
