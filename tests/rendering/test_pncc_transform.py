from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.registry import TRANSFORMS
from mion_plugin.rendering.pncc import PNCCRenderer
from mion_plugin.rendering.pncc_transform import PNCCTransform

TRANSL = np.array([0.1, -0.2, 50], dtype=np.float32)


@pytest.fixture(scope="module")
def transform() -> PNCCTransform:
    return TRANSFORMS.build({"type": "mion.PNCCTransform", "size": 56})


def random_pose(seed: int = 0) -> np.ndarray:
    pose = np.random.default_rng(seed).normal(scale=0.3, size=(24, 3)).astype(np.float32)
    pose[0] = (math.pi, 0, 0)
    return pose


def expected_pncc(pose: np.ndarray, betas: np.ndarray | None = None, **camera) -> np.ndarray:
    betas = None if betas is None else torch.from_numpy(betas)[None]
    vertices = SMPLBody()(torch.from_numpy(pose)[None], betas, torch.from_numpy(TRANSL)[None]).vertices
    return PNCCRenderer(size=56)(vertices, **camera)[0].numpy()


def test_adds_what_the_renderer_gives(transform: PNCCTransform) -> None:
    pose = random_pose()
    results = {"pose": pose, "transl": TRANSL, "img": "kept"}
    assert transform(results) is results
    assert results["img"] == "kept"
    assert results["pncc"].dtype == np.float32
    assert results["pncc"].max() > 0.8
    np.testing.assert_array_equal(results["pncc"], expected_pncc(pose))


def test_keys_of_human_data(transform: PNCCTransform) -> None:
    pose = random_pose(1)
    results = transform(
        {
            "smpl_global_orient": pose[0],
            "smpl_body_pose": pose[1:],
            "smpl_transl": TRANSL,
            "has_smpl": 1,
            "has_transl": 1,
        }
    )
    np.testing.assert_array_equal(results["pncc"], expected_pncc(pose))


@pytest.mark.parametrize("flag", ["has_smpl", "has_transl"])
def test_sample_without_a_body_gets_an_empty_image(transform: PNCCTransform, flag: str) -> None:
    results = transform({"pose": random_pose(), "transl": TRANSL, flag: 0})
    assert results["pncc"].shape == (3, 56, 56)
    assert not results["pncc"].any()


def test_camera_of_the_sample(transform: PNCCTransform) -> None:
    pose = random_pose(2)
    expected = expected_pncc(pose, focal_length=4000.0, principal_point=(100.0, 130.0))
    camera = {"focal_length": 4000.0, "principal_point": (100.0, 130.0)}
    np.testing.assert_array_equal(transform({"pose": pose, "transl": TRANSL, **camera})["pncc"], expected)
    matrix = np.array([[4000, 0, 100], [0, 4000, 130], [0, 0, 1]])
    results = transform({"pose": pose, "transl": TRANSL, "cam_intrinsics": matrix, "focal_length": 1.0})
    np.testing.assert_array_equal(results["pncc"], expected)
    fixed = PNCCTransform(**camera)
    np.testing.assert_array_equal(fixed({"pose": pose, "transl": TRANSL})["pncc"], expected)


def test_shape_is_the_mean_one_unless_asked() -> None:
    pose, betas = random_pose(3), np.full(10, 1.5, dtype=np.float32)
    sample = {"pose": pose, "transl": TRANSL, "betas": betas}
    np.testing.assert_array_equal(PNCCTransform()(dict(sample))["pncc"], expected_pncc(pose))
    shaped = PNCCTransform(use_betas=True)(dict(sample))["pncc"]
    np.testing.assert_array_equal(shaped, expected_pncc(pose, betas))
    assert (shaped != expected_pncc(pose)).any()


class Samples:
    def __init__(self, transform: PNCCTransform) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.transform({"pose": random_pose(index), "transl": TRANSL})["pncc"])


def test_in_forked_loader_workers(transform: PNCCTransform) -> None:
    # The parent has used the rasteriser's threads; a worker made by fork must not inherit a broken pool.
    expected = torch.stack([Samples(transform)[index] for index in range(4)])
    vertices = SMPLBody()(torch.zeros(4, 24, 3), transl=torch.tensor([[0.0, 0, 50]]).expand(4, 3)).vertices
    PNCCRenderer()(vertices)
    loader = DataLoader(Samples(transform), batch_size=2, num_workers=2, multiprocessing_context="fork", timeout=60)
    # Workers skin the body with one thread, which rounds differently: a pixel on an edge may change hands.
    assert ((torch.cat(list(loader)) - expected).abs() > 1e-4).float().mean() < 1e-3


def test_bad_samples(transform: PNCCTransform) -> None:
    with pytest.raises(KeyError, match=r"needs pose in the sample, which has \['transl'\]"):
        transform({"transl": TRANSL})
    with pytest.raises(KeyError, match="needs transl or smpl_transl in the sample"):
        transform({"pose": random_pose()})
    with pytest.raises(ValueError, match=r"pose has shape \(72,\), expected \(24, 3\)"):
        transform({"pose": random_pose().ravel(), "transl": TRANSL})
