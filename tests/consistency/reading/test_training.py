"""The config on a small written set: it trains, resumes and is tested; its data are augmented consistently."""

import importlib.util
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import train as train_tool
from mmengine.config import Config

from mion_plugin.body.depths import body_depths
from mion_plugin.geometry.keypoints import flip_permutation, keypoint_names
from mion_plugin.registry import DATASETS, MODELS
from mion_plugin.samples import collect_targets
from mion_plugin.synthesis.writing import SetSettings, write_set

# `import test` would be Python's own package of that name
_SPEC = importlib.util.spec_from_file_location("test_tool", Path(train_tool.__file__).with_name("test.py"))
test_tool = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(test_tool)

CONFIG = Path(train_tool.__file__).parents[1] / "configs" / "mion" / "reader_tiny_synthetic.py"
BACKBONE = "model.cen.reader.backbone"
NUM_PEOPLE = 8
COCO_KNEES = [13, 14]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "synthetic_112"
    write_set(SetSettings(num_images=NUM_PEOPLE, image_size=112, detected_noise=1.5), root, workers=0)
    return root


@pytest.fixture(scope="module")
def options(data_root) -> list[str]:
    """The config cut down, with the ResNet that its opening names."""
    small = {f"{BACKBONE}._delete_": True, f"{BACKBONE}.type": "mion.TorchvisionResNet", f"{BACKBONE}.depth": 18}
    small |= {f"{BACKBONE}.num_stages": 3, "model.cen.reader.map_indices": "(0,0)"}
    small["train_dataloader.dataset.data_root"] = str(data_root)
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        small |= {f"{loader}.batch_size": 4, f"{loader}.num_workers": 0, f"{loader}.persistent_workers": False}
    small |= {"val_dataloader.dataset.num_samples": 4, "test_dataloader.dataset.num_samples": 4}
    small |= {"train_cfg.max_epochs": 2}
    return ["--cfg-options", *(f"{key}={value}" for key, value in small.items())]


def train(work_dir, *arguments):
    assert train_tool.main([str(CONFIG), "--work-dir", str(work_dir), *arguments]) == 0
    return torch.load(work_dir / "epoch_2.pth", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, options):
    work_dir = tmp_path_factory.mktemp("whole")
    return work_dir, train(work_dir, *options)


def test_it_trains_and_reports(trained):
    log = [json.loads(line) for line in next(trained[0].rglob("scalars.json")).read_text().splitlines()]
    assert all(math.isfinite(value) for entry in log for value in entry.values())
    assert any(
        {"depth/error", "depth/error/grey", "depth/error/image", "depth/calibration"} < set(entry) for entry in log
    )


def test_resumed_it_ends_with_the_weights_of_an_uninterrupted_run(trained, options, tmp_path):
    shutil.copy(trained[0] / "epoch_1.pth", tmp_path)
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_1.pth"))
    resumed = train(tmp_path, "--resume", *options)
    for name, value in trained[1].items():
        assert torch.equal(resumed[name], value), name


def test_it_is_tested(trained, options, tmp_path):
    out = tmp_path / "metrics.json"
    arguments = [str(CONFIG), str(trained[0] / "epoch_2.pth"), "--work-dir", str(tmp_path), "--out", str(out), *options]
    assert test_tool.main(arguments) == 0
    metrics = json.loads(out.read_text())
    assert metrics["depth/num_samples"] == 4
    assert all(0 < value < 1e4 for value in metrics.values())


def test_the_second_training_goes_on_from_the_first(trained, options, tmp_path):
    """At another rate, and validated; the first step is of the first training's weights."""
    first = trained[0] / "epoch_2.pth"
    more = [f"load_from={first}", "train_cfg.max_epochs=1", "optim_wrapper.optimizer.lr=1e-12"]
    config = str(CONFIG.with_name("reader_tiny_synthetic_more.py"))
    assert train_tool.main([config, "--work-dir", str(tmp_path), *options, *more]) == 0
    weights = torch.load(tmp_path / "epoch_1.pth", weights_only=True)["state_dict"]
    for name, value in trained[1].items():
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")) and "calibration" not in name:
            torch.testing.assert_close(weights[name], value, atol=1e-6, rtol=0, msg=name)


def test_as_it_is_it_builds():
    """But for the pretrained weights, which are a package of their own."""
    cfg = Config.fromfile(CONFIG)
    cfg.model.cen.reader.backbone.weights = None
    model = MODELS.build(cfg.model)
    assert model.reader.feature_channels == (40, 112)
    reading = model.eval().reader(torch.zeros(2, 3, 112, 112), torch.zeros(2, 5, 17, 3))
    assert reading.depths.shape == (2, 5, 17)


class TestAugmentation:
    @pytest.fixture
    def pictures(self, data_root):
        """The same people as they are written, and mirrored; with the colours of both drawn alike."""
        found = []
        for probability in (0.0, 1.0):
            settings = Config.fromfile(CONFIG).train_dataloader.dataset
            settings.update(data_root=str(data_root))
            next(step for step in settings.pipeline if "Flip" in step.type).flip_prob = probability
            dataset = DATASETS.build(settings)
            dataset.set_epoch(0)
            found.append([dataset[index] for index in range(len(dataset))])
        return found

    def test_colours_change_and_mirroring_does_not_change_them(self, pictures):
        for plain, mirrored in zip(*pictures, strict=True):
            assert plain["inputs"].shape == (3, 112, 112)
            torch.testing.assert_close(mirrored["inputs"], plain["inputs"].flip(2))

    def test_mirrored_people_have_the_depths_of_the_other_side(self, pictures, body):
        samples = [[picture["data_samples"] for picture in side] for side in pictures]
        targets = [collect_targets(side, torch.device("cpu")) for side in samples]
        depths = [body_depths(body, side.rotations, 0 * side.betas, "coco") for side in targets]
        order = list(flip_permutation("coco"))
        torch.testing.assert_close(depths[1], depths[0][:, order], atol=0.01, rtol=0)
        moved = targets[0].keypoints2d[:, order].clone()
        moved[..., 0] = torch.where(moved[..., 2] > 0, 112 - moved[..., 0], 0.0)
        torch.testing.assert_close(targets[1].keypoints2d, moved)

    def test_the_target_is_the_depth_of_the_annotated_keypoints(self, pictures, body):
        """What synthesis says of the 3D keypoints, in another way."""
        for picture in pictures[1]:
            sample = picture["data_samples"]
            targets = collect_targets([sample], torch.device("cpu"))
            own = body_depths(body, targets.rotations, targets.betas, "coco")[0, COCO_KNEES]
            annotated = sample.gt_body.keypoints3d[:, 2]
            hips, knees = (
                annotated[[keypoint_names("smpl_54").index(f"{side}_{joint}") for side in ("left", "right")]]
                for joint in ("hip_extra", "knee")
            )
            np.testing.assert_allclose(own, knees - hips.mean(), atol=2e-3)
