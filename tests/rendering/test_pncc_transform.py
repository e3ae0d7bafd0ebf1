from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.registry import TRANSFORMS
from mion_plugin.rendering.pncc import PNCCRenderer
from mion_plugin.rendering.pncc_transform import PNCCTransform

TRANSL = np.array([0.1, -0.2, 50], dtype=np.float32)
CROP_CAMERA = np.array([[5000.0, 0, 112], [0, 5000, 112], [0, 0, 1]])


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


def test_sample_without_a_body_gets_an_empty_image(transform: PNCCTransform) -> None:
    results = transform({"pose": random_pose(), "transl": TRANSL, "has_smpl": 0})
    assert results["pncc"].shape == (3, 56, 56)
    assert not results["pncc"].any()


class TestPlacedByKeypoints:
    """The keypoints of the body itself: the picture is that of its true translation."""

    @staticmethod
    def sample(betas: np.ndarray | None = None, matrix: np.ndarray = CROP_CAMERA) -> dict[str, Any]:
        pose = random_pose(4)
        shape = None if betas is None else torch.from_numpy(betas)
        points = SMPLBody().pose_keypoints(torch.from_numpy(pose), shape, torch.from_numpy(TRANSL), "smpl_54").numpy()
        projected = points @ matrix.T
        keypoints2d = np.column_stack([projected[:, :2] / projected[:, 2:], np.linspace(0.2, 1, 54)])
        keypoints2d[5] = 0, 0, 0  # absent
        keypoints = {"keypoints2d": keypoints2d.astype(np.float32), "keypoints2d_convention": "smpl_54"}
        known = {} if betas is None else {"smpl_betas": betas}
        return {"pose": pose, "smpl_transl": np.zeros(3), "has_smpl": 1, "has_transl": 0, **keypoints, **known}

    @staticmethod
    def check(pncc: np.ndarray, expected: np.ndarray) -> None:
        """The same to a pixel on an edge or two: the translation is found to a tenth of a millimetre across."""
        assert (expected > 0).any(axis=0).sum() > 100
        assert (np.abs(pncc - expected) > 0.02).any(axis=0).sum() <= 4

    def test_in_the_crops_camera(self, transform: PNCCTransform) -> None:
        self.check(transform(self.sample())["pncc"], expected_pncc(random_pose(4)))

    def test_in_the_samples_camera(self, transform: PNCCTransform) -> None:
        matrix = np.array([[4000.0, 0, 100], [0, 4400, 130], [0, 0, 1]])
        sample = {**self.sample(matrix=matrix), "cam_intrinsics": matrix}
        camera = {"focal_length": torch.tensor([[4000.0, 4400.0]]), "principal_point": (100.0, 130.0)}
        self.check(transform(sample)["pncc"], expected_pncc(random_pose(4), **camera))

    def test_with_the_samples_shape(self) -> None:
        betas = np.full(10, 1.5, dtype=np.float32)
        self.check(PNCCTransform(use_betas=True)(self.sample(betas))["pncc"], expected_pncc(random_pose(4), betas))

    def test_by_those_of_stage_1_where_none_are_annotated(self, transform: PNCCTransform) -> None:
        sample = self.sample()
        sample["keypoints2d_input"], sample["keypoints2d"] = sample["keypoints2d"], np.zeros((54, 3))
        self.check(transform(sample)["pncc"], expected_pncc(random_pose(4)))

    def test_a_translation_before_an_unknown_photographs_camera_does_not_count(self, transform: PNCCTransform) -> None:
        """A file with transl and without cam_param: behind the crop, the class's camera is not that translation's."""
        crop = np.array([[2.0, 0, -300], [0, 2, -200], [0, 0, 1]])
        sample = {**self.sample(), "smpl_transl": np.array([0.5, 0.1, 7.0]), "has_transl": 1, "img_transform": crop}
        self.check(transform(sample)["pncc"], expected_pncc(random_pose(4)))

    def test_what_cannot_be_placed_is_refused_or_left_empty(self, transform: PNCCTransform) -> None:
        sample = self.sample()
        sample["keypoints2d"][2:] = 0
        with pytest.raises(ValueError, match=r"sample 7 of h36m has SMPL, but no translation .*unplaced='empty'"):
            transform({**sample, "sample_idx": 7, "dataset_name": "h36m"})
        with pytest.raises(ValueError, match="a sample has SMPL, but no translation"):
            transform({key: value for key, value in sample.items() if not key.startswith("keypoints2d")})
        assert not PNCCTransform(unplaced="empty")(sample)["pncc"].any()
        with pytest.raises(ValueError, match="unplaced is 'zero', expected one of error, empty"):
            PNCCTransform(unplaced="zero")


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
