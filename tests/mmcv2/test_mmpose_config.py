"""Our components in a config of mmpose 1.x, on mmpose's backbones, trained by mmpose's way to start and by ours."""

import importlib.util
import json
import math
from pathlib import Path

import pytest
import torch
import train as train_tool
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from support.mmpose_networks import import_mmcv_ops

from mion_plugin.candidates import CandidateSelector
from mion_plugin.refinement.position_encoding import PNCCEncoding

pytest.importorskip("mmpose", minversion="1.0", reason="mmpose 1.x is in the second environment: make test-mmcv2")

CONFIGS = Path(train_tool.__file__).parents[1] / "configs"
CONFIG = CONFIGS / "mmpose" / "mrt_hrnet-w32_56x56_synthetic.py"
# sizes cut down, never the structure
SMALL_NETWORK = {
    "model.network.neck.channels": 24,
    "model.network.transformer.width": 24,
    "model.network.transformer.num_heads": 2,
    "model.network.transformer.num_encoder_layers": 1,
    "model.network.transformer.num_decoder_layers": 1,
    "model.network.transformer.feedforward": 32,
    "model.selector.num_candidates": 2,
}
ONE_STEP = {
    f"{loader}.{key}": value
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader")
    for key, value in {"batch_size": 2, "num_workers": 0, "persistent_workers": False, "dataset.num_samples": 2}.items()
} | {"train_cfg.max_epochs": 1, "train_cfg.val_interval": 1}

_SPEC = importlib.util.spec_from_file_location("test_tool", Path(train_tool.__file__).with_name("test.py"))
test_tool = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(test_tool)


@pytest.fixture(autouse=True)
def mmpose_modules():
    import_mmcv_ops()
    import mmpose.models  # noqa: F401 as mmpose's launcher does

    yield
    init_default_scope("mmengine")


def check_training(work_dir):
    scalars = [json.loads(line) for line in next(work_dir.rglob("scalars.json")).read_text().splitlines()]
    assert all(math.isfinite(value) for entry in scalars for value in entry.values())
    assert any("body/MPJPE/oracle" in entry for entry in scalars)
    return torch.load(work_dir / "epoch_1.pth", weights_only=True)["state_dict"]


def test_as_mmpose_launches_it(tmp_path):
    from mmpose.models.backbones import HRNet

    cfg = Config.fromfile(CONFIG)
    assert cfg.default_scope == "mmpose"
    cfg.merge_from_dict({**SMALL_NETWORK, **ONE_STEP, "work_dir": str(tmp_path), "default_hooks.logger.interval": 1})
    runner = Runner.from_cfg(cfg)
    network = runner.model.network
    assert isinstance(network.backbone, HRNet)
    assert isinstance(network.position_encoding, PNCCEncoding)
    assert isinstance(runner.model.selector, CandidateSelector)
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.train()
    after = check_training(tmp_path)
    for part in ("network.backbone.stage4", "network.neck", "network.transformer", "network.head"):
        assert any(not torch.equal(after[name], before[name]) for name in before if name.startswith(part)), part


def test_vitpose(tmp_path):
    pytest.importorskip("mmpretrain", reason="ViTPose's network is mmpretrain's")
    from mmpose.engine.optim_wrappers.layer_decay_optim_wrapper import get_num_layer_for_vit
    from mmpretrain.models import VisionTransformer

    cfg = Config.fromfile(CONFIG.with_name("mrt_vitpose-small_56x56_synthetic.py"))
    options = {**SMALL_NETWORK, **ONE_STEP, "work_dir": str(tmp_path), "default_hooks.logger.interval": 1}
    cfg.merge_from_dict({**options, "model.network.backbone.arch.num_layers": 2})
    runner = Runner.from_cfg(cfg)
    assert isinstance(runner.model.network.backbone, VisionTransformer)
    runner.train()
    check_training(tmp_path)
    names = {id(weight): name for name, weight in runner.model.named_parameters()}
    for (
        group
    ) in runner.optim_wrapper.optimizer.param_groups:  # those of mmpose's constructor, were this the whole model
        name = names[id(group["params"][0])].removeprefix("network.")
        assert group["initial_lr"] == pytest.approx(5e-5 * 0.8 ** (13 - get_num_layer_for_vit(name, 14))), name


def test_mmposes_resnet_by_our_tools(tmp_path):
    options = {
        **SMALL_NETWORK,
        **ONE_STEP,
        "model.network.neck.in_channels": 512,
        "model.network.neck.num_layers": 1,
        "model.network.renderer.size": 14,
        "default_hooks.logger.interval": 1,
    }
    path = tmp_path / "resnet.py"
    backbone = "dict(_delete_=True, type='mmpose.ResNet', depth=18)"
    path.write_text(f"_base_ = ['{CONFIG}']\nmodel = dict(network=dict(backbone={backbone}))\n")
    arguments = ["--work-dir", str(tmp_path), "--cfg-options", *(f"{key}={value}" for key, value in options.items())]
    assert train_tool.main([str(path), *arguments]) == 0
    assert any(name.startswith("network.backbone.layer4") for name in check_training(tmp_path))
    out = tmp_path / "metrics.json"
    assert test_tool.main([str(path), str(tmp_path / "epoch_1.pth"), "--out", str(out), *arguments]) == 0
    assert 0 < json.loads(out.read_text())["body/PA-MPJPE/oracle"] < 500


def test_our_own_config_trains_here_too(tmp_path):
    options = [f"{key}={value}" for key, value in ONE_STEP.items()]
    path = CONFIGS / "mion" / "mrt_tiny_synthetic.py"
    arguments = ["--work-dir", str(tmp_path), "--cfg-options", *options, "default_hooks.logger.interval=1"]
    assert train_tool.main([str(path), *arguments]) == 0
    check_training(tmp_path)


def test_the_three_stages_with_their_weights(tmp_path, monkeypatch):
    """The package's small model, by our tools/test.py."""
    monkeypatch.chdir(CONFIGS.parent)  # the config names the weights from there
    options = [f"{key}={value}" for key, value in ONE_STEP.items() if key.startswith("test_dataloader")]
    out = tmp_path / "metrics.json"
    arguments = ["--work-dir", str(tmp_path), "--out", str(out), "--cfg-options", *options]
    assert test_tool.main([str(CONFIGS / "mion" / "mion_tiny_synthetic.py"), *arguments]) == 0
    metrics = json.loads(out.read_text())
    assert metrics["body/num_samples"] == 2
    assert 0 < metrics["body/PA-MPJPE/oracle"] <= metrics["body/PA-MPJPE/chosen"] < 200
