"""Batches of bodies with detected keypoints."""

import pytest
import torch
from torch.utils.data import DataLoader

from mion_plugin.datasets.collating import only_item
from mion_plugin.registry import DATASETS

EXACT = {"noise": 0.0, "tail_prob": 0.0, "missing_prob": 0.0, "swap_prob": 0.0, "half_prob": 0.0}
CAMERA = {"focal_length": 2500.0, "image_size": 112}


@pytest.fixture
def make(pool_file, body):
    def build(**options):
        config = {
            "num_batches": 3,
            "bodies_per_batch": 6,
            "split": "all",
            "poses": {"pool": str(pool_file)},
            "body": body,
            **CAMERA,
        }
        return DATASETS.build({"type": "mion.LiftingDataset", **config, **options})

    return build


def tensors(item):
    return {**item["inputs"], **{f"true {name}": value for name, value in item["data_samples"].items()}}


def equal(first, second):
    first, second = tensors(first), tensors(second)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_batch_is_a_function_of_seed_epoch_and_index(make):
    dataset, twin, other = make(depths={}), make(depths={}), make(seed=1, depths={})
    assert equal(dataset[1], twin[1])
    assert equal(dataset[-2], twin[1])
    assert not equal(dataset[0], dataset[1])
    assert not equal(dataset[1], other[1])
    dataset.set_epoch(2)
    assert not equal(dataset[1], twin[1])
    twin.set_epoch(2)
    assert equal(dataset[1], twin[1])


def test_the_truth_is_that_of_the_body_model(make, body):
    item = make(errors=EXACT)[0]
    truth, detected = item["data_samples"], item["inputs"]["keypoints2d"]
    skinned = body(truth["rotations"], truth["betas"])
    assert torch.allclose(truth["keypoints3d"][..., :3], body.keypoints(skinned, "h36m"), atol=1e-5)
    # the pixels are those of the skinned body at some place before the camera: solve for it, then project
    points, pixels = body.keypoints(skinned, "coco"), truth["keypoints2d"][..., :2] - 56.0
    for each, seen in zip(points.double(), pixels.double(), strict=True):
        rows = torch.zeros(17, 2, 3, dtype=torch.float64)
        rows[:, 0, 0] = rows[:, 1, 1] = 2500.0
        rows[..., 2] = -seen
        wanted = seen * each[:, 2:] - 2500.0 * each[:, :2]
        place = torch.linalg.lstsq(rows.flatten(0, 1), wanted.flatten()).solution
        projected = 2500.0 * (each + place)[:, :2] / (each + place)[:, 2:]
        assert (projected - seen).abs().max() < 0.02
    found = detected[..., 2] > 0
    assert found.float().mean() > 0.8
    assert torch.allclose(detected[..., :2][found], truth["keypoints2d"][..., :2][found])


def test_depths_come_on_request(make):
    assert "depths" not in make()[0]["inputs"]
    assert make(depths={"known_prob": 1.0})[0]["inputs"]["depths"].shape == (6, 17, 2)


def test_a_loader_hands_a_batch_on_as_it_is(make):
    dataset = make()
    (first, *_) = DataLoader(dataset, batch_size=1, collate_fn=only_item)
    assert equal(first, dataset[0])
    with pytest.raises(ValueError, match="got 3 items, each of them a batch"):
        next(iter(DataLoader(dataset, batch_size=3, collate_fn=only_item)))


@pytest.mark.parametrize("option", ["num_batches", "bodies_per_batch"])
def test_sizes_out_of_range(make, option):
    with pytest.raises(ValueError, match=f"{option} is 0"):
        make(**{option: 0})


def test_index_out_of_range(make):
    with pytest.raises(IndexError, match="batch 3, expected 0 to 2"):
        make()[3]
