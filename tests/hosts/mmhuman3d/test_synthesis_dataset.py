"""Synthetic people in mmhuman3d: the samples and truth of mion.SURREALSynthesisDataset."""

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement
from mmhuman3d.data.datasets import build_dataset
from support.mmhuman3d_host import build_model, predict, small_config, train

from mion_plugin.evaluation import MeshMetric
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.registry import DATASETS, TRANSFORMS

OPTIONS = {"num_samples": 3, "split": "test", "seed": 2, "image_size": 112, "detected_noise": 1.5}
SIZES = {f"data.{part}.num_samples": 3 for part in ("train", "val", "test")}


def build(**options):
    return build_dataset({"type": "SURREALSynthesisDataset", "pipeline": [], **OPTIONS, **options})


@pytest.fixture(scope="module")
def reference():
    """This package's data set with the same options."""
    return DATASETS.build({"type": "mion.SURREALSynthesisDataset", **OPTIONS})


def test_the_samples_are_this_packages(reference):
    sample, expected = build()[1], reference.get_data_info(1)
    assert np.array_equal(sample["img"], expected["img"][..., ::-1])  # BGR, as mmhuman3d loads pictures
    assert sample["sample_idx"] == 1
    for key in ("smpl_body_pose", "smpl_global_orient", "smpl_betas", "center", "scale"):
        assert np.array_equal(sample[key], expected[key]), key
    coco = convert_keypoints(sample["keypoints2d"], "human_data", "coco")[0]
    assert np.array_equal(coco, expected["keypoints2d"])
    detected = convert_keypoints(sample["keypoints2d_input"], "smpl_54", "coco")[0]
    assert np.array_equal(detected, expected["keypoints2d_input"])
    assert not np.array_equal(detected, coco)  # a detector's errors
    h36m = convert_keypoints(sample["keypoints3d"], "human_data", "h36m")[0]
    assert np.array_equal(h36m, expected["keypoints3d"])


def test_the_pncc_step_follows_in_its_pipeline(reference):
    step = {"type": "PNCCTransform", "size": 14, "image_size": 112, "focal_length": 2500.0}
    sample = build(pipeline=[step])[0]
    expected = TRANSFORMS.build({**step, "type": "mion.PNCCTransform"})(reference.get_data_info(0))
    assert np.array_equal(sample["pncc"], expected["pncc"])
    assert (sample["pncc"] > 0).any()


def test_it_trains_and_evaluates_as_mesh_metric(reference, tmp_path):
    cfg = small_config("mion_tiny_synthetic", **SIZES)
    log = train(cfg, tmp_path)
    assert [line["mode"] for line in log] == ["train", "train", "val"]
    dataset, outputs = predict(cfg, tmp_path / "epoch_1.pth", build_model(cfg))
    reported = dataset.evaluate(outputs, str(tmp_path), metric=["mpjpe", "pa-mpjpe", "pve"])
    samples = []
    for output in outputs:
        for row, index in enumerate(output["image_idx"].flatten().tolist()):
            sample = TRANSFORMS.build({"type": "mion.PackBodyInputs"})(reference.get_data_info(index))["data_samples"]
            pose, betas = (torch.from_numpy(output[key][row : row + 1]) for key in ("smpl_pose", "smpl_beta"))
            sample.pred_bodies = BaseDataElement(pose=pose, betas=betas)
            samples.append(sample)
    evaluator = Evaluator([MeshMetric(errors=tuple(reported), statistics=("chosen",))])
    evaluator.process(data_samples=samples)
    expected = evaluator.evaluate(len(samples))
    assert reported == pytest.approx({name: expected[f"body/{name}/chosen"] for name in reported}, abs=1e-2)
    assert set(reported) == {"MPJPE", "PA-MPJPE", "PVE"}


def test_fresh_samples_are_refused():
    with pytest.raises(ValueError, match="fresh_samples is True, but mmhuman3d does not tell the epoch"):
        build(fresh_samples=True)


def test_the_metric_that_needs_mean_parameters_is_refused(tmp_path):
    with pytest.raises(KeyError, match="metric ihmr is not supported"):
        build().evaluate([], str(tmp_path), metric="ihmr")
