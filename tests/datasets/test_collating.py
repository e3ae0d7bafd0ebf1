"""Batches that travel as one tensor are those of mmengine's pseudo_collate."""

from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch.utils.data import DataLoader, Dataset

from mion_plugin.datasets import joined_collate
from mion_plugin.registry import FUNCTIONS

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.int64, torch.bool]


def sample(index: int) -> dict:
    """As ``PackBodyInputs`` packs one, with a field of every kind."""
    body = BaseDataElement(
        keypoints2d=torch.arange(6.0).view(2, 3) + index,
        has_smpl=torch.tensor(index % 2),
        transposed=torch.arange(12.0).view(3, 4).T + index,
        empty=torch.zeros(0, 3),
    )
    packed = BaseDataElement(metainfo={"sample_idx": index, "image_path": f"{index}.jpg"})
    packed.gt_body = body
    return {"inputs": torch.full((3, 5, 5), index, dtype=torch.uint8), "data_samples": packed}


class Samples(Dataset):
    """Eight of them."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        return sample(index)


def assert_same(found: dict, expected: dict) -> None:
    """Types, order, values, shapes and dtypes agree."""
    assert type(found) is dict
    assert list(found) == list(expected)
    torch.testing.assert_close(found["inputs"], expected["inputs"], rtol=0, atol=0)
    for one, other in zip(found["data_samples"], expected["data_samples"], strict=True):
        assert one.metainfo == other.metainfo
        assert set(one.gt_body.keys()) == set(other.gt_body.keys())
        for key, value in other.gt_body.items():
            torch.testing.assert_close(one.gt_body.get(key), value, rtol=0, atol=0)


def test_a_worker_sends_what_pseudo_collate_would() -> None:
    loader = DataLoader(Samples(), batch_size=4, num_workers=1, collate_fn=joined_collate)
    expected = DataLoader(Samples(), batch_size=4, collate_fn=pseudo_collate)
    for found, wanted in zip(loader, expected, strict=True):
        assert_same(found, wanted)


def test_a_batch_crosses_as_one_tensor() -> None:
    def storages(batch: dict) -> int:
        tensors = [*batch["inputs"], *(v for s in batch["data_samples"] for v in s.gt_body.values())]
        return len({tensor.untyped_storage().data_ptr() for tensor in tensors if tensor.numel()})

    items = [sample(index) for index in range(5)]
    assert storages(pseudo_collate(items)) == 5 * 4
    assert storages(pickle.loads(ForkingPickler.dumps(joined_collate(items)))) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3), st.integers(0, 2**31)),
        min_size=1,
        max_size=6,
    )
)
def test_any_tensor_arrives_as_it_left(drawn: list[tuple[torch.dtype, list[int], int]]) -> None:
    tensors = [
        torch.randint(0, 2 if dtype == torch.bool else 100, shape, generator=torch.Generator().manual_seed(seed)).to(
            dtype
        )
        for dtype, shape, seed in drawn
    ]
    found = pickle.loads(pickle.dumps(joined_collate([{"inputs": tensor} for tensor in tensors])))
    for one, other in zip(found["inputs"], tensors, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert torch.equal(one, other)


def test_tensors_with_gradients_and_complex_ones_are_kept() -> None:
    items = [{"inputs": torch.ones(2, requires_grad=True)}, {"inputs": torch.tensor([1 + 2j])}]
    found = pickle.loads(pickle.dumps(joined_collate(items)))["inputs"]
    assert found[0].requires_grad
    assert torch.equal(found[1], torch.tensor([1 + 2j]))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_config_names_it(workers: int) -> None:
    loader = Runner.build_dataloader(
        {
            "batch_size": 3,
            "num_workers": workers,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "dataset": Samples(),
            "collate_fn": {"type": "mion.joined_collate"},
        }
    )
    assert FUNCTIONS.get("mion.joined_collate") is joined_collate
    assert [s.metainfo["sample_idx"] for s in next(iter(loader))["data_samples"]] == [0, 1, 2]
