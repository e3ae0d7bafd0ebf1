from __future__ import annotations

import pytest
import torch

from mion_plugin.geometry.camera import project
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.translation import absolute_translation, moved_translation


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
