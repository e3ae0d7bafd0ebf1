"""Our backbone and neck under mmpose 1.x's heads, trained and tested by mmpose's own ``tools/train.py``."""

import importlib.util
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image
from support.mmpose_networks import import_mmcv_ops

mmpose = pytest.importorskip("mmpose", minversion="1.0", reason="mmpose 1.x is in the second environment")

MMPOSE = Path(mmpose.__file__).parent / ".mim"  # its tools and configs, as its wheel has them
BACKBONE = "dict(type='mion.TorchvisionResNet', depth=18)"
NETWORKS = {
    "backbone": f"backbone={BACKBONE}, head=dict(type='HeatmapHead', in_channels=512, deconv_out_channels=(32, 32, 32)",
    "backbone-and-neck": f"backbone={BACKBONE}, "
    "neck=dict(type='mion.DeconvNeck', in_channels=512, channels=24, num_layers=3), "
    "head=dict(type='HeatmapHead', in_channels=24, deconv_out_channels=None",
}
CONFIG = """
_base_ = ['{base}']
custom_imports = dict(imports=['mion_plugin'], allow_failed_imports=False)
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=2)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    {network}, out_channels=17, loss=dict(type='KeypointMSELoss', use_target_weight=True), decoder=codec),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True))
crop = [
    dict(type='LoadImage'), dict(type='GetBBoxCenterScale'), dict(type='TopdownAffine', input_size=codec['input_size'])]
loader = dict(batch_size=2, num_workers=0, persistent_workers=False)
data = dict(
    type='CocoDataset', data_mode='topdown', data_root='{root}', ann_file='people.json', data_prefix=dict(img=''))
train_dataloader = dict(
    **loader, sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(
        **data, pipeline=[*crop, dict(type='GenerateTarget', encoder=codec), dict(type='PackPoseInputs')]))
val_dataloader = dict(
    **loader, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict(
        **data, test_mode=True, pipeline=[*crop, dict(type='PackPoseInputs')]))
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file='{root}/people.json')
test_evaluator = val_evaluator
train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=5e-4))
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1))
visualizer = dict(name='{name}')  # one of each name in a process
"""


@pytest.fixture(autouse=True)
def mmpose_modules():
    import_mmcv_ops()
    yield
    init_default_scope("mmengine")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Two photographs of one person each in COCO's format."""
    folder, rng = tmp_path_factory.mktemp("coco"), np.random.default_rng(0)
    images, annotations = [], []
    for number in (1, 2):
        Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": 96, "width": 96})
        points = np.column_stack([rng.integers(20, 76, (17, 2)), np.full(17, 2)])
        person = {"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "area": 3600}
        box = {"bbox": [16, 16, 64, 64], "num_keypoints": 17, "keypoints": points.ravel().tolist()}
        annotations.append({**person, **box})
    categories = [{"id": 1, "name": "person"}]
    (folder / "people.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return folder


def load_tool():
    spec = importlib.util.spec_from_file_location("mmpose_train", MMPOSE / "tools" / "train.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


@pytest.mark.parametrize("network", NETWORKS)
def test_mmposes_tool_trains_it(root, tmp_path, monkeypatch, network):
    path = tmp_path / "config.py"
    base = MMPOSE / "configs" / "_base_" / "default_runtime.py"
    path.write_text(CONFIG.format(base=base, root=root, network=NETWORKS[network], name=network))
    monkeypatch.setattr(sys, "argv", ["train.py", str(path), "--work-dir", str(tmp_path)])
    load_tool().main()
    scalars = [json.loads(line) for line in next(tmp_path.rglob("scalars.json")).read_text().splitlines()]
    assert 0 < scalars[0]["loss_kpt"] < math.inf
    assert any("coco/AP" in entry for entry in scalars)
    weights = torch.load(tmp_path / "epoch_1.pth", weights_only=False)["state_dict"]
    assert {name.partition(".")[0] for name in weights} >= set(network.split("-and-"))
    assert "backbone.layer4.1.conv2.weight" in weights
