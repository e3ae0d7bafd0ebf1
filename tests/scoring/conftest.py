"""The package's model without its third stage's rivals, and what it makes of the demo's photograph."""

import numpy as np
import pytest

from mion_plugin.datasets.coco import load_coco_people
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.inference import MIONInferencer
from mion_plugin.models import load_model_config
from mion_plugin.scoring import BodyScorer
from mion_plugin.scoring.truth import JOINTS


@pytest.fixture(scope="session")
def inferencer():
    config = load_model_config()
    config.model.num_candidates = 3
    return MIONInferencer(config, device="cpu")


@pytest.fixture(scope="session")
def found(inferencer):
    """Three bodies of the skier, as MION finds and scores them."""
    return inferencer(PHOTO, keypoints2d=KEYPOINTS)["predictions"][0][0]


@pytest.fixture(scope="session")
def scorer(inferencer):
    return BodyScorer(inferencer, wanted=(JOINTS,))


@pytest.fixture(scope="session")
def image():
    return read_image(PHOTO)


@pytest.fixture(scope="session")
def skier():
    return load_coco_people(KEYPOINTS, PHOTO.name)[0]


@pytest.fixture
def arrays(found):
    """The skier's bodies in the project's own layout."""
    camera = found.crop_camera_in_image
    return {
        "image_name": np.array([PHOTO.name]),
        "pose": found.axis_angle()[None],
        "betas": found.betas[None],
        "transl": found.transl[None],
        "focal_length": np.array([camera.focal_length]),
        "principal_point": np.array([camera.principal_point]),
    }
