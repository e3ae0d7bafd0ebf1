from __future__ import annotations

import pytest
import torch

from mion_plugin.geometry.camera import project
from mion_plugin.geometry.crop_camera import NEAREST, CropCamera

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


def test_embedding_is_near_zero_for_bodies_in_the_crop() -> None:
    camera = CropCamera()
    embedded = camera.embed(torch.tensor([[0.0, 0.0, 10000 / 224], [0.5, -0.5, 60.0]]))
    assert embedded[0].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert embedded.abs().max() < 1


@pytest.mark.parametrize(("name", "value"), [("focal_length", 0.0), ("image_size", -1), ("focal_length", float("nan"))])
def test_bad_camera(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}, expected a positive finite number"):
        CropCamera(**{name: value})
