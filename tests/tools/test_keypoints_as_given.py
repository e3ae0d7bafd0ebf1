"""``--no-correction`` of the demo, the page and predict: the stages read the keypoints that are given."""

from pathlib import Path

import demo as tool
import pytest
import torch
from demos.chosen import make_config

import mion_plugin.models
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.inference import MIONInferencer
from mion_plugin.samples import input_keypoints

CONFIG = Path(mion_plugin.models.__file__).parent / "mion_tiny" / "config.py"


@pytest.mark.parametrize(("options", "corrected"), [([], True), (["--no-correction"], False)])
def test_the_keypoints_that_are_read(options, corrected):
    model = MIONInferencer(make_config(tool.parse_args(options), stage=3))
    ((sample,),) = model(PHOTO, keypoints2d=KEYPOINTS, return_datasamples=True)["predictions"]
    given = input_keypoints([sample], "coco", torch.device("cpu"))[0]
    assert torch.allclose(given[:, :2], sample.keypoints2d_read[:, :2], atol=1e-4) != corrected


def test_a_model_that_corrects_none():
    with pytest.raises(ValueError, match="--no-correction: this model takes keypoints as they are given anyway"):
        make_config(tool.parse_args(["--no-correction"]), stage=2)
    config = make_config(tool.parse_args(["--config", str(CONFIG)]), stage=2)
    assert not config.model.correct_keypoints
