"""Batches of mmhuman3d's pipelines become the samples that mion.HumanDataset makes of the same files."""

import re

import numpy as np
import pytest
import torch
from mmhuman3d.data.datasets import build_dataset
from mmhuman3d.data.datasets.pipelines import Compose
from support.mmhuman3d_host import build_test_loader, small_config
from support.real_layout import SETS

from mion_plugin.datasets import HumanDataset
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.hosts.mmhuman3d.batches import KEYPOINTS2D_CONVENTION, KEYPOINTS3D_CONVENTION, data_samples
from mion_plugin.hosts.mmhuman3d.workarounds import unwrap_containers


def ours(name: str, source: str) -> HumanDataset:
    return HumanDataset(
        ann_file=SETS[name][0],
        data_prefix="data",
        dataset_name=name,
        keypoints2d_convention=KEYPOINTS2D_CONVENTION,
        keypoints3d_convention=KEYPOINTS3D_CONVENTION,
        keypoints2d_source=source,
        test_mode=True,
        pipeline=[{"type": "mion.LoadImageFromFile"}, {"type": "mion.MeshAffine"}, {"type": "mion.PackBodyInputs"}],
    )


@pytest.mark.parametrize(
    ("name", "source"), [("h36m", "detected"), ("h36m", "annotated"), ("pw3d", "detected"), ("lsp", "annotated")]
)
def test_the_samples_are_those_of_human_dataset(name, source):
    test = {"dataset_name": name, "ann_file": SETS[name][0], "keypoints2d_source": source}
    cfg = small_config(**{f"data.test.{key}": value for key, value in test.items()})
    _, loader = build_test_loader(cfg, batch=3)
    batch = unwrap_containers(next(iter(loader)))
    samples = data_samples(batch["img_metas"], batch, batch["img"].shape[-1])
    for index, (sample, expected) in enumerate(
        zip(samples, (item["data_samples"] for item in ours(name, source)), strict=True)
    ):
        assert sample.sample_idx == index
        assert sample.image_path == expected.image_path
        assert sample.crop_size == expected.crop_size == 224
        for key in ("keypoints2d_convention", "keypoints3d_convention"):
            assert sample.get(key) == expected.get(key)
        for key in ("has_smpl", "smpl_global_orient", "smpl_body_pose", "smpl_betas"):
            torch.testing.assert_close(sample.gt_body.get(key), expected.gt_body.get(key))
        for key in ("keypoints2d", "keypoints2d_input"):  # mmhuman3d's crops go through float32 corners
            torch.testing.assert_close(sample.gt_body.get(key), expected.gt_body.get(key), atol=2e-3, rtol=0)
        torch.testing.assert_close(sample.gt_body.keypoints3d, expected.gt_body.keypoints3d)
        for key in ("has_keypoints2d", "has_keypoints3d"):
            assert bool(sample.gt_body.get(key)) == bool(expected.gt_body.get(key))


@pytest.mark.parametrize("suffix", ["original", "smpl"])
@pytest.mark.parametrize("convention", ["human_data", "smpl_54"])
def test_keypoints_under_later_names(suffix, convention, tmp_path):
    """As mmhuman3d's later converters write them; its own data set takes such a file for one without any."""
    config = {"type": "MIONImageDataset", "data_prefix": "data", "pipeline": [], "dataset_name": "h36m"}
    config |= {"ann_file": SETS["h36m"][0], "convention": convention, "keypoints2d_source": "annotated"}
    with np.load(f"data/preprocessed_datasets/{SETS['h36m'][0]}", allow_pickle=True) as file:
        kept = {key: value for key, value in file.items() if "detected" not in key}
    later = {re.sub(r"^(keypoints[23]d)", rf"\1_{suffix}", key): value for key, value in kept.items()}
    np.savez(tmp_path / "later.npz", **later)
    expected, found = build_dataset(config), build_dataset({**config, "ann_file": str(tmp_path / "later.npz")})
    for index in range(len(expected)):
        sample = found.prepare_raw_data(index)
        for key, value in expected.prepare_raw_data(index).items():
            np.testing.assert_array_equal(sample[key], value, err_msg=key)
    assert sample["has_keypoints2d"] == sample["has_keypoints3d"] == 1


class TestCropInputKeypoints:
    """On the annotated keypoints it must do what mmhuman3d's own steps do to them."""

    STEPS = (
        {"type": "LoadImageFromFile"},
        {"type": "GetRandomScaleRotation", "rot_factor": 30, "scale_factor": 0.25, "rot_prob": 1},
        {"type": "MeshAffine", "img_res": 224},
        {"type": "CropInputKeypoints"},
    )

    @pytest.mark.parametrize("flip_prob", [0, 1])
    def test_against_mmhuman3d(self, flip_prob):
        config = {"type": "MIONImageDataset", "data_prefix": "data", "pipeline": [], "dataset_name": "coco"}
        config |= {"ann_file": SETS["coco"][0], "convention": "coco", "keypoints2d_source": "annotated"}
        dataset = build_dataset(config)
        flip = {"type": "RandomHorizontalFlip", "flip_prob": flip_prob, "convention": "coco"}
        np.random.seed(0)  # noqa: NPY002  # mmhuman3d's steps draw from the global generator
        results = Compose([self.STEPS[0], flip, *self.STEPS[1:]])(dataset.prepare_raw_data(1))
        assert abs(results["rotation"]) > 5
        assert int(results["is_flipped"][0]) == flip_prob
        coco, _ = convert_keypoints(results["keypoints2d_input"], "smpl_54", "coco")
        np.testing.assert_allclose(coco, results["keypoints2d"], atol=1e-3)
        assert results["keypoints2d_input"].dtype == np.float32

    def test_absent_joints_stay_absent(self):
        results = {"keypoints2d_input": np.full((54, 3), [5.0, 6.0, 0.0]), "crop_transform": np.ones((2, 3))}
        steps = Compose([self.STEPS[-1]])
        assert not steps(results)["keypoints2d_input"].any()

    @pytest.mark.parametrize(
        ("results", "remedy"),
        [({}, "use MIONImageDataset"), ({"keypoints2d_input": np.zeros((54, 3))}, "put MeshAffine before")],
    )
    def test_what_is_missing_is_named(self, results, remedy):
        with pytest.raises(KeyError, match=remedy):
            Compose([self.STEPS[-1]])(results)


def test_bad_sources_are_named():
    config = {"type": "MIONImageDataset", "data_prefix": "data", "pipeline": [], "dataset_name": "pw3d"}
    config |= {"ann_file": SETS["pw3d"][0]}
    with pytest.raises(ValueError, match="keypoints2d_source 'guessed', expected one of"):
        build_dataset({**config, "keypoints2d_source": "guessed"})
    with pytest.raises(ValueError, match=r"pw3d_test\.npz: key 'keypoints2d' missing, .* 'annotated'"):
        build_dataset({**config, "keypoints2d_source": "annotated"})
