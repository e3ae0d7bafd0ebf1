from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mion_plugin import models
from mion_plugin.models import CHECKPOINTS, load_model_config, model_names, shipped_stage
from mion_plugin.registry import MODELS
from mion_plugin.weights import save_weights

CONFIGS = Path(__file__).parents[2] / "configs" / "mion"
# What a config says for training, or for a fair test, beside the structure.
TRAINING_ALONE = ("bfloat16_features", "bfloat16", "pool_split", "weights")
CAMERA = {"image_size": 112, "focal_length": 2500.0}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A package with one model and no weights."""
    source = Path(models.__file__).parent / "mion_tiny" / "config.py"
    (tmp_path / "mion_tiny").mkdir()
    (tmp_path / "mion_tiny" / "config.py").write_text(source.read_text())
    monkeypatch.setattr(models, "__file__", str(tmp_path / "__init__.py"))
    return tmp_path / "mion_tiny"


def structure(config):
    config = {key: value for key, value in config.items() if key not in TRAINING_ALONE}
    return {key: structure(value) if isinstance(value, dict) else value for key, value in config.items()}


def test_it_is_the_model_that_the_training_configs_train():
    model = load_structure("mion_tiny")
    training = Config.fromfile(CONFIGS / "mrt_tiny_lifting.py").model
    assert structure(model.refiner) == structure(training.network)
    assert training.selector.max_fit_loss == model.selector.max_fit_loss
    assert {name: training.selector[name] for name in model.refiner.keys() & {"image_size", "focal_length"}} == CAMERA
    assert structure(model.cen) == structure(Config.fromfile(CONFIGS / "reader_tiny_synthetic.py").model.cen)


def test_the_form_of_the_paper_is_trained_and_tested_as_one():
    form = Config.fromfile(CONFIGS.parent / "_base_" / "mion_tiny_image.py").model
    training = Config.fromfile(CONFIGS / "mrt_tiny_synthetic.py").model
    assert structure(form.refiner) == structure(training.network)
    assert structure(form.selector) == structure(training.selector)
    for name in ("cen_tiny_synthetic", "cen_tiny_synthetic_averaged"):
        assert structure(form.cen) == structure(Config.fromfile(CONFIGS / f"{name}.py").model.cen)


def load_structure(name):
    return Config.fromfile(Path(models.__file__).parent / name / "config.py").model


def test_stages_by_the_weights_that_are_there(folder):
    whole = MODELS.build(load_structure("mion_tiny"))
    assert shipped_stage() == 1
    for stage, (option, file) in enumerate(CHECKPOINTS.items(), 2):
        with pytest.raises(FileNotFoundError, match=f"holds no {file} for mion_tiny: train it .* path as {option}"):
            load_model_config(stage=stage)
        part = option.removesuffix("_checkpoint")
        save_weights(getattr(whole, part).state_dict(), folder / file, half=True)
        assert shipped_stage() == stage
        model = MODELS.build(load_model_config(stage=stage).model)
        assert (model.cen is None, model.selection) == ((True, "first") if stage == 2 else (False, "cen+reprojection"))
        name = "head.camera_mlp.0.weight" if stage == 2 else "reader.fine.weight"
        loaded = getattr(model, part).state_dict()[name]
        torch.testing.assert_close(loaded, getattr(whole, part).state_dict()[name], rtol=1e-3, atol=1e-6)
    (folder / "mrt.pth").unlink()
    assert shipped_stage() == 1  # the second without the first is of no use


def test_the_shipped_weights_fit():
    stage = shipped_stage()
    if stage == 1:
        pytest.skip("no weights are shipped yet")
    config = load_model_config(stage=stage)
    MODELS.build(config.model)
    size = sum(Path(config.model[option]).stat().st_size for option in CHECKPOINTS if config.model.get(option))
    assert size < 30e6


def test_bad_names():
    assert model_names() == ["mion_tiny"]
    with pytest.raises(ValueError, match="model is 'mion_huge', expected one of mion_tiny"):
        load_model_config("mion_huge")
    with pytest.raises(ValueError, match="model is 'mion_huge', expected one of mion_tiny"):
        shipped_stage("mion_huge")
    with pytest.raises(ValueError, match="stage is 1, expected 2 or 3"):
        load_model_config(stage=1)
