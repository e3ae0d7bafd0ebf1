"""A small inferencer with random weights."""

import pytest
from support.tiny_mion import make_body_pool, make_mion, refiner_config

from mion_plugin.body import SMPLBody
from mion_plugin.inference import MIONInferencer
from mion_plugin.weights import save_weights

SIZE = 32


@pytest.fixture(scope="session")
def body():
    return SMPLBody()


@pytest.fixture(scope="session")
def parts(body):
    """The camera of 32 px crops."""
    return {"image_size": SIZE, "focal_length": 5000.0 * SIZE / 224}


@pytest.fixture(scope="session")
def selector(body):
    """A pool of stick figures' poses."""
    return {"type": "mion.CandidateSelector", "pool": make_body_pool(body), "num_candidates": 3}


@pytest.fixture(scope="session")
def tiny_model(body, parts, selector):
    """Its config."""
    stages = {"selector": selector, "refiner": refiner_config(body, **parts), "cen": {"type": "mion.TinyCEN"}}
    return {"model": {"type": "mion.MION", **stages}}


@pytest.fixture(scope="session")
def tiny_weights(body, parts, tmp_path_factory):
    """A file with its weights."""
    path = tmp_path_factory.mktemp("weights") / "mion.pth"
    save_weights(make_mion(body, refiner=parts).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def inferencer(tiny_model, tiny_weights):
    return MIONInferencer(tiny_model, tiny_weights, device="cpu")
