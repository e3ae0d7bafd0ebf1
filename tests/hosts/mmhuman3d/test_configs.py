"""The configs beside those that the other tests train and test: sizes, schedule, data."""

import inspect

import pytest
import torch
from mmcv import Config
from mmengine.config import Config as EngineConfig
from mmhuman3d.data.datasets import build_dataset
from mmhuman3d.models.architectures.builder import build_architecture
from support.built_settings import settings
from support.mmhuman3d_host import CONFIGS, SMALL_TRANSFORMER, build_model, predict, small_config

from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.registry import MODELS

PATHS = sorted(CONFIGS.glob("*.py"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_is_an_ordinary_config_with_one_line_for_the_plugin(path):
    cfg = Config.fromfile(str(path))
    assert cfg.custom_imports == {"imports": ["mion_plugin"], "allow_failed_imports": False}
    assert cfg.model.type == "MIONEstimator"
    assert not cfg.get("use_adversarial_train", False)
    assert isinstance(cfg.optimizer.type, str)  # one optimizer
    opening = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert f"tools/test.py configs/mmhuman3d/{path.name}" in opening or "tools/train.py" in opening
    assert f"configs/mmhuman3d/{path.name}" in opening


@pytest.mark.parametrize("protocol", [1, 2])
def test_h36m_protocols(protocol, tmp_path):
    file = f"h36m_valid_protocol{protocol}.npz"
    cfg = small_config("mion_r50_56x56_h36m-test", **{"data.test.ann_file": file})
    dataset, outputs = predict(cfg, model=build_model(cfg))
    assert dataset.evaluate(outputs, str(tmp_path), metric=["mpjpe"])["MPJPE"] > 1
    subject = {1: "S9", 2: "S11"}[protocol]
    assert f"/{subject}/images/" in outputs[0]["image_path"][0]


TWINS = ["mion_tiny_synthetic", "mion_r50_56x56_h36m-test", "mion_r50_56x56_pw3d-test"]


@pytest.mark.parametrize("name", TWINS)
def test_its_twin_on_mmengine_chooses_by_the_same_rule(name):
    rule = inspect.signature(MultiInitializationOptimizationNetwork).parameters
    chosen = []
    for folder, read in (("mmhuman3d", Config), ("mion", EngineConfig)):
        model = read.fromfile(str(CONFIGS.parent / folder / f"{name}.py")).model
        options = {key: model.get(key, rule[key].default) for key in ("selection", "reprojection_weight")}
        chosen.append({**options, "cen": model.cen.type.removeprefix("mion."), "fits": bool(model.get("fit"))})
    assert chosen[0] == chosen[1]
    assert chosen[0]["selection"] == ("cen+reprojection" if "tiny" in name else "cen")


# cut down as small_config does it
NETWORK = {"backbone.depth": 18, "backbone.weights": None, "neck.in_channels": 512, "neck.num_layers": 0}
NETWORK |= {"neck.channels": 24, "renderer.size": 7, "transformer.num_encoder_layers": 1}
NETWORK |= {f"transformer.{key}": value for key, value in SMALL_TRANSFORMER.items()}


@pytest.mark.parametrize("name", [*TWINS, "mion_r50_56x56_mixed"])
def test_its_twin_on_mmengine_is_built_of_the_same_parts(name):
    """All that stages, fit and losses are told, but for the backbone, which is mmhuman3d's own."""
    path = CONFIGS.parent / "mion" / f"{'mrt' if name.endswith('mixed') else 'mion'}{name.removeprefix('mion')}.py"
    cfg, engine = small_config(name), EngineConfig.fromfile(path)
    small = {"model.selector.num_candidates": 2}
    if "tiny" in name:
        transformer = {f"model.refiner.transformer.{key}": value for key, value in SMALL_TRANSFORMER.items()}
        small |= {"model.cen_checkpoint": None, **transformer}
    else:
        part = "network" if name.endswith("mixed") else "refiner"
        small |= {f"model.{part}.{key}": value for key, value in NETWORK.items()}
    if engine.model.get("refiner_checkpoint"):
        small |= {"model.refiner_checkpoint": None, "model.cen_checkpoint": None}
        if engine.model.cen.type == "mion.CEN":
            small |= {"model.cen.backbone": cfg.model.cen.backbone}
    engine.merge_from_dict(small)
    host = build_architecture(cfg.model)
    parts = host.refiner if name.endswith("mixed") else host._network[0]
    without = ("backbone", "data_preprocessor", "training", "gives_alternatives")  # mmhuman3d takes the chosen body
    assert settings(parts, without) == settings(MODELS.build(engine.model), without)


class TestThePapersTraining:
    @pytest.fixture
    def cfg(self) -> Config:
        return Config.fromfile(str(CONFIGS / "mion_r50_56x56_mixed.py"))

    def test_the_network_is_that_of_the_training_on_mmengine(self, cfg):
        engine = EngineConfig.fromfile(CONFIGS.parent / "mion" / "mrt_r50_56x56_mixed.py").model
        engine.network.backbone.weights = None
        expected = {name: value.shape for name, value in MODELS.build(engine).state_dict().items()}
        model = build_architecture(cfg.model)
        assert {name: value.shape for name, value in model.refiner.state_dict().items()} == expected
        assert model.refiner.mesh_loss.keypoints_weight == 5 * model.refiner.mesh_loss.smpl_weight == 5
        assert model.refiner.selector.num_candidates == 5

    def test_six_sets_in_spins_proportions(self, cfg):
        mixed = build_dataset(cfg.data.train)
        weights = mixed.sampler.weights.split([len(dataset) for dataset in mixed.dataset.datasets])
        assert [float(weight.sum()) for weight in weights] == pytest.approx([0.3, 0.6, 0.1])
        h36m, photographs, mpi_inf_3dhp = mixed.dataset.datasets
        assert (h36m.dataset_name, mpi_inf_3dhp.dataset_name) == ("h36m", "mpi_inf_3dhp")
        # whose people are all alike: a larger set has a larger share
        assert [dataset.dataset_name for dataset in photographs.datasets] == ["lsp", "lspet", "mpii", "coco"]
        assert weights[1].unique().numel() == 1

    def test_the_mixture_is_that_of_the_training_on_mmengine(self, cfg):
        engine = EngineConfig.fromfile(CONFIGS.parent / "mion" / "mrt_r50_56x56_mixed.py").train_dataloader.dataset
        assert cfg.data.train.partition == engine.ratios
        for here, there in zip(cfg.data.train.configs, engine.datasets, strict=True):
            here, there = ([each] if isinstance(each, dict) else each for each in (here, there))
            files = [sorted(dataset.ann_file for dataset in group) for group in (here, there)]
            assert files[0] == files[1]

    def test_batches_and_rate(self, cfg):
        assert 4 * cfg.data.samples_per_gpu == 64
        assert (cfg.optimizer.lr, cfg.lr_config.step, cfg.lr_config.gamma) == (5e-5, [20], 0.1)
        assert cfg.runner.max_epochs == 60

    def test_pretrained_weights_reach_the_backbone(self, cfg, tmp_path):
        """As mmhuman3d's ``tools/train.py`` asks for them: by ``init_weights``."""
        small = small_config()
        torch.manual_seed(1)
        weights = build_architecture(small.model).refiner.network.backbone.state_dict()
        torch.save(weights, tmp_path / "resnet18.pth")
        small.model.backbone.init_cfg = {**cfg.model.backbone.init_cfg, "checkpoint": str(tmp_path / "resnet18.pth")}
        torch.manual_seed(2)
        model = build_architecture(small.model)
        assert not torch.equal(model.refiner.network.backbone.conv1.weight, weights["conv1.weight"])
        model.init_weights()
        for name, value in model.refiner.network.backbone.state_dict().items():
            assert torch.equal(value, weights[name]), name
