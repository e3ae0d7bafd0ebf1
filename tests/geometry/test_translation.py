from __future__ import annotations

import numpy as np
import pytest
import torch

from mion_plugin.candidates import fit_translation
from mion_plugin.geometry.camera import project
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.translation import absolute_translation, moved_translation, translation_from_keypoints


class TestMovedTranslation:
    @pytest.fixture
    def bodies(self) -> tuple[torch.Tensor, torch.Tensor]:
        transl = torch.tensor([[0.3, -0.4, 43.7], [-1.0, 0.1, 60.3]])
        return transl, transl + torch.tensor([0.01, -0.24, 0.03])

    def test_no_shift_changes_no_bit(self, bodies) -> None:
        assert torch.equal(moved_translation(torch.zeros(2, 3), *bodies, CropCamera()), bodies[0])

    def test_image_shift_moves_the_pelvis_by_so_many_pixels(self, bodies) -> None:
        transl, pelvis = bodies
        shift = torch.tensor([10 / 112, -5 / 112, 0.0]).expand(2, 3)
        moved = pelvis + moved_translation(shift, transl, pelvis, CropCamera()) - transl
        difference = project(moved, 5000.0, (112.0, 112.0)) - project(pelvis, 5000.0, (112.0, 112.0))
        torch.testing.assert_close(difference, torch.tensor([[10.0, -5.0]]).expand(2, 2), atol=2e-3, rtol=0)
        assert torch.equal(moved[:, 2], pelvis[:, 2])

    def test_depth_shift_leaves_the_pelvis_in_its_pixel(self, bodies) -> None:
        transl, pelvis = bodies
        shift = torch.tensor([0.0, 0.0, 0.2]).expand(2, 3)
        moved = pelvis + moved_translation(shift, transl, pelvis, CropCamera()) - transl
        torch.testing.assert_close(moved[:, 2], pelvis[:, 2] * torch.tensor(0.2).exp())
        torch.testing.assert_close(
            project(moved, 5000.0, (0.0, 0.0)), project(pelvis, 5000.0, (0.0, 0.0)), atol=2e-3, rtol=0
        )


def test_absolute_translation_is_weak_perspective() -> None:
    raw = torch.tensor([[0.0, 0.1, -0.2], [0.5, 0.0, 0.0]])
    transl = absolute_translation(raw, CropCamera())
    assert transl[0].tolist() == pytest.approx([0.1, -0.2, 2 * 5000 / (224 * 0.9)])
    assert transl[1, 2].item() == pytest.approx(2 * 5000 / (224 * 0.9 * 1.6487213), rel=1e-6)


class TestTranslationFromKeypoints:
    CAMERA = np.array([[5000.0, 0, 112], [0, 5000, 112], [0, 0, 1]])

    @pytest.fixture
    def points(self) -> np.ndarray:
        return np.random.default_rng(0).normal(scale=0.5, size=(17, 3))

    def keypoints(self, points: np.ndarray, transl: np.ndarray, camera: np.ndarray) -> np.ndarray:
        projected = (points + transl) @ camera.T
        confidence = np.random.default_rng(1).uniform(0.1, 1, len(points))
        return np.column_stack([projected[:, :2] / projected[:, 2:], confidence])

    def test_the_true_one_is_found(self, points) -> None:
        for camera in (self.CAMERA, np.array([[300.0, 0, 64], [0, 320, 48], [0, 0, 1]])):
            transl = np.array([0.3, -0.2, 6.0])
            found = translation_from_keypoints(points, self.keypoints(points, transl, camera), camera)
            np.testing.assert_allclose(found, transl, atol=1e-9)

    def test_of_noisy_keypoints_it_is_stage_1s(self, points) -> None:
        keypoints2d = self.keypoints(points, np.array([0.3, -0.2, 45.0]), self.CAMERA)
        keypoints2d[:, :2] += np.random.default_rng(2).normal(scale=3, size=(17, 2))
        keypoints2d[4] = np.nan, np.nan, 0
        expected, _ = fit_translation(torch.tensor(points)[None], torch.tensor(keypoints2d), 5000.0, (112.0, 112.0))
        found = translation_from_keypoints(points, keypoints2d, self.CAMERA)
        np.testing.assert_allclose(found, expected[0].numpy(), rtol=1e-8)

    def test_what_tells_none(self, points) -> None:
        keypoints2d = self.keypoints(points, np.array([0.0, 0.0, 45.0]), self.CAMERA)
        few, one_place, mirrored = keypoints2d.copy(), keypoints2d.copy(), keypoints2d.copy()
        few[2:, 2] = 0
        one_place[:, :2] = 100 + 0.1 * np.random.default_rng(0).normal(size=(17, 2))
        mirrored[:, :2] = 224 - mirrored[:, :2]  # only a body behind the camera would look so
        for bad in (few, one_place, mirrored):
            assert translation_from_keypoints(points, bad, self.CAMERA) is None
