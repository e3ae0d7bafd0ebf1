from __future__ import annotations

import pytest
import torch

from mion_plugin.geometry.camera import project
from mion_plugin.refinement.camera import NEAREST, CropCamera, absolute_translation, moved_translation

SMALL_CROP = CropCamera(focal_length=2500.0, image_size=112)


@pytest.mark.parametrize("camera", [CropCamera(), SMALL_CROP])
def test_normalised_projection_is_the_pixel_projection(camera: CropCamera) -> None:
    points = torch.tensor([[0.3, -0.5, 40.0], [-1.0, 0.2, 55.0]])
    pixels = project(points, camera.focal_length, camera.principal_point)
    torch.testing.assert_close(camera.project_normalized(points), camera.normalize(pixels))


def test_convention() -> None:
    camera = CropCamera()
    assert camera.normalize(torch.tensor([168.0, 0.0])).tolist() == [0.5, -1.0]
    # (0.1, 0.2, 50.0) m projects to (122.0, 132.0) px, 10 and 20 px from the middle of 224
    torch.testing.assert_close(
        camera.project_normalized(torch.tensor([0.1, 0.2, 50.0])), torch.tensor([10 / 112, 20 / 112])
    )


def test_points_before_the_camera_stay_finite() -> None:
    points = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, -3.0]], requires_grad=True)
    projected = CropCamera().project_normalized(points)
    assert torch.equal(projected, torch.full((2, 2), 10000.0 / 224 / NEAREST))
    projected.sum().backward()
    assert torch.isfinite(points.grad).all()


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


def test_embedding_is_near_zero_for_bodies_in_the_crop() -> None:
    camera = CropCamera()
    embedded = camera.embed(torch.tensor([[0.0, 0.0, 10000 / 224], [0.5, -0.5, 60.0]]))
    assert embedded[0].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert embedded.abs().max() < 1


@pytest.mark.parametrize(("name", "value"), [("focal_length", 0.0), ("image_size", -1), ("focal_length", float("nan"))])
def test_bad_camera(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}, expected a positive finite number"):
        CropCamera(**{name: value})
