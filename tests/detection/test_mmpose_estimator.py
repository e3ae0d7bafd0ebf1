"""Runs in both environments: with mmpose 0.29 (make test) and with mmpose 1.x (make test-mmcv2)."""

from importlib import metadata

import numpy as np
import pytest
import torch
from PIL import Image

from mion_plugin.detection import mmpose_estimator
from mion_plugin.detection.keypoint_estimator import whole_image_detector
from mion_plugin.detection.mmpose_estimator import (
    build_mmpose_estimator,
    default_checkpoint,
    find_config,
    load_mmpose_estimator,
    mmpose_generation,
)

pytest.importorskip("mmpose", reason="the networks are mmpose's")
from support.mmpose_networks import build_random, infer_directly, last_layer, write_small_config


def make_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def hrnet():
    """HRNet-W48 at the resolution that mmpose ships it for."""
    return build_random(find_config())


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return build_random(write_small_config(tmp_path_factory.mktemp("small")))


def check_against_mmpose(estimator, images, boxes):
    found = estimator(images, boxes)
    assert found.shape == (len(images), 17, 3)
    for keypoints, image, box in zip(found, images, boxes, strict=True):
        expected = infer_directly(estimator.model, image, box)
        seen = expected[:, 2] > 0
        assert seen.any()
        np.testing.assert_allclose(keypoints[seen, :2], expected[seen, :2] + 0.5, atol=1e-3)
        np.testing.assert_allclose(keypoints[seen, 2], np.minimum(expected[seen, 2], 1.0), atol=1e-4)
        assert not keypoints[~seen].any()


def test_hrnet_w48_as_mmpose_itself(hrnet):
    check_against_mmpose(hrnet, [make_image(120, 90)], np.array([[10.0, 20.0, 50.0, 70.0]]))


def test_a_batch_of_several_images_and_people_as_mmpose_one_by_one(small):
    first, second = make_image(120, 90), make_image(60, 200, seed=1)
    boxes = np.array([[10.0, 20.0, 50.0, 70.0], [0.0, 0.0, 200.0, 60.0], [30.0, 5.5, 40.25, 100.0]])
    check_against_mmpose(small, [first, second, first], boxes)


def test_keypoints_are_pixels_of_the_image(small):
    """The same person elsewhere in a larger image: the keypoints move along."""
    picture, canvas = make_image(128, 128), np.zeros((300, 260, 3), dtype=np.uint8)
    canvas[40:168, 70:198] = picture
    box = np.array([32.0, 32.0, 64.0, 64.0])  # with mmpose's margin still inside
    here, there = small([picture, canvas], np.stack([box, box + np.array([70.0, 40.0, 0.0, 0.0])]))
    assert (here[:, 2] > 0).any()
    shift = np.where(here[:, 2:] > 0, [70.0, 40.0], 0.0)
    np.testing.assert_allclose(there[:, :2], here[:, :2] + shift, atol=1e-3)
    np.testing.assert_allclose(there[:, 2], here[:, 2], atol=1e-5)


def test_keypoints_scale_with_the_box(small):
    """Twice the picture, twice the box: a network sees the same, up to resampling."""
    picture = Image.fromarray(make_image(4, 4))  # smooth, so that resampling changes little
    coarse, fine = (np.array(picture.resize((size, size), Image.Resampling.BICUBIC)) for size in (256, 512))
    box = np.array([64.0, 64.0, 128.0, 128.0])
    first, second = small([coarse, fine], np.stack([box, 2 * box]))
    both = (first[:, 2] > 0) & (second[:, 2] > 0)
    cell = 128 * 1.25 / 16  # of the heatmap, in pixels of the smaller picture
    near = np.abs(second[both, :2] - 2 * first[both, :2]) < 2 * cell
    assert both.sum() >= 5
    assert near.all(axis=1).mean() > 0.4  # by chance 1/16: the box is 16 cells wide, and two on either side count


def test_nothing_found_is_zero(small):
    final = last_layer(small.model)
    bias = final.bias.detach().clone()
    with torch.no_grad():
        final.bias.fill_(-1e4)
        found = small([make_image(80, 80)], np.array([[10.0, 10.0, 40.0, 40.0]]))
        final.bias.copy_(bias)
    assert not found.any()


def test_confidence_ends_at_one(small):
    final = last_layer(small.model)
    bias = final.bias.detach().clone()
    with torch.no_grad():
        final.bias.fill_(1e4)
        found = small([make_image(80, 80)], np.array([[10.0, 10.0, 40.0, 40.0]]))
        final.bias.copy_(bias)
    assert (found[..., 2] == 1).all()


def test_no_people(small):
    assert small([], np.zeros((0, 4))).shape == (0, 17, 3)


def test_whole_image_detector(small):
    image = make_image(50, 70)
    (person,) = whole_image_detector(small)(image)
    assert person.bbox.tolist() == [0, 0, 70, 50]
    found = small([image], np.array([[0.0, 0.0, 70.0, 50.0]]))[0]
    inside = ((found[:, :2] >= 0) & (found[:, :2] <= [70, 50])).all(axis=1)
    assert 0 < inside.sum() < 17  # the box is made as oblong as the network's input
    np.testing.assert_array_equal(person.keypoints2d, np.where(inside[:, None], found, 0.0))


def test_loading_a_checkpoint(small, tmp_path):
    """As mmpose 1.x writes it, with numpy arrays beside the weights."""
    config, path = write_small_config(tmp_path), tmp_path / "weights.pth"
    meta = {"dataset_meta": {"sigmas": np.array([0.026, 0.025], np.float32), "dataset_name": "coco"}, "epoch": 210}
    torch.save({"meta": meta, "state_dict": small.model.state_dict()}, path)
    loaded = load_mmpose_estimator(str(config), str(path))
    image, box = [make_image(80, 80)], np.array([[10.0, 10.0, 40.0, 40.0]])
    np.testing.assert_array_equal(loaded(image, box), small(image, box))


def test_configs():
    assert find_config().name == f"{mmpose_estimator.DEFAULTS[mmpose_generation()][0]}.py"
    assert "hrnet_w48" in str(find_config()).replace("-", "_")
    assert find_config(str(find_config())) == find_config()
    with pytest.raises(FileNotFoundError, match=r"config resnet_of_mine is neither a file nor the name"):
        find_config("resnet_of_mine")
    with pytest.raises(ValueError, match="no checkpoint was given for resnet_of_mine"):
        default_checkpoint("resnet_of_mine")
    assert default_checkpoint().startswith("https://download.openmmlab.com/mmpose/")


def test_another_kind_of_network():
    wholebody = {
        0: "hrnet_w48_coco_wholebody_256x192",
        1: "td-hm_hrnet-w48_8xb32-210e_coco-wholebody-256x192",
    }[mmpose_generation()]
    with pytest.raises(ValueError, match=r"is a network for 133 keypoints; expected a top-down one for the 17"):
        build_mmpose_estimator(find_config(wholebody))


@pytest.mark.parametrize("config", [None, "resnet_of_mine"])
def test_without_mmpose(monkeypatch, config):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ImportError, match=r"mion-plugin\[mmhuman3d\].*mim install mmcv mmpose"):
        load_mmpose_estimator(config)
