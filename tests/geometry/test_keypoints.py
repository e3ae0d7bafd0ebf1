import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mion_plugin.geometry import convert_keypoints, flip_permutation, keypoint_names
from mion_plugin.geometry.conventions import CONVENTIONS

conventions = st.sampled_from(sorted(CONVENTIONS))


@pytest.fixture(scope="module")
def mapping():
    return pytest.importorskip("mmhuman3d.core.conventions.keypoints_mapping", reason="mmhuman3d is not installed")


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_orders_are_mmhuman3ds(mapping, name):
    assert list(keypoint_names(name)) == mapping.KEYPOINTS_FACTORY[name]


@pytest.mark.parametrize("src", sorted(CONVENTIONS))
@pytest.mark.parametrize("dst", ["human_data", "smpl_54", "coco", "h36m", "lsp", "openpose_25"])
@pytest.mark.parametrize("approximate", [False, True])
def test_conversion_is_mmhuman3ds(mapping, src, dst, approximate):
    keypoints = np.random.default_rng(0).normal(size=(2, len(CONVENTIONS[src]), 3))
    expected, expected_mask = mapping.convert_kps(keypoints, src, dst, approximate=approximate)
    converted, mask = convert_keypoints(keypoints, src, dst, approximate)
    if approximate:  # mmhuman3d also lets hips of different definition stand for each other: ours is the stricter set
        assert (mask <= expected_mask.astype(bool)).all()
    else:
        np.testing.assert_array_equal(mask, expected_mask.astype(bool))
    np.testing.assert_array_equal(converted[:, mask], expected[:, mask])
    assert (converted[:, ~mask] == 0).all()


@settings(deadline=None)
@given(src=conventions, dst=conventions)
def test_tensor_equals_array_and_leading_dimensions(src, dst):
    keypoints = np.random.default_rng(0).normal(size=(2, 3, len(CONVENTIONS[src]), 4)).astype(np.float32)
    converted, mask = convert_keypoints(keypoints, src, dst)
    from_tensor, tensor_mask = convert_keypoints(torch.from_numpy(keypoints), src, dst)
    np.testing.assert_array_equal(from_tensor, converted)
    np.testing.assert_array_equal(tensor_mask, mask)
    assert converted.shape == (2, 3, len(CONVENTIONS[dst]), 4)


def test_convention_pin():
    """The right wrist is 10 in COCO, 6 in LSP, 16 in H36M and 13 in mmpose's H36M is the left one."""
    coco = np.arange(17.0)[:, None]
    assert convert_keypoints(coco, "coco", "lsp")[0][6, 0] == 10
    assert convert_keypoints(coco, "coco", "h36m")[0][16, 0] == 10
    assert convert_keypoints(coco, "coco", "h36m")[0][1, 0] == 11  # left hip first
    assert convert_keypoints(coco, "coco", "h36m_mmpose")[0][1, 0] == 12  # right hip first


@given(convention=conventions)
def test_flip_is_an_involution_that_swaps_sides(convention):
    names, flip = keypoint_names(convention), flip_permutation(convention)
    assert [flip[flip[i]] for i in range(len(names))] == list(range(len(names)))
    for i, j in enumerate(flip):
        assert names[i].replace("left_", "right_") == names[j].replace("left_", "right_") or i == j


def test_flip_equals_mmhuman3ds_pairs(mapping):
    pairs = mapping.get_flip_pairs("coco")
    flip = flip_permutation("coco")
    assert all(flip[a] == b and flip[b] == a for a, b in pairs)
    assert sum(a != b for a, b in enumerate(flip)) == 2 * len(pairs)


def test_errors_name_what_was_expected():
    with pytest.raises(ValueError, match=r"unknown keypoint convention 'cooc', expected one of: coco, h36m"):
        keypoint_names("cooc")
    with pytest.raises(ValueError, match=r"shape \(2, 16, 3\), expected \(..., 17, C\) for convention 'coco'"):
        convert_keypoints(np.zeros((2, 16, 3)), "coco", "lsp")
