import numpy as np
import pytest
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.inference.cropping import CropPlace
from mion_plugin.inference.image_camera import PinholeCamera, equivalent_camera, fit_to_camera, image_camera

SIZE, FOCAL_LENGTH = 112, 2500.0
CROP = PinholeCamera(FOCAL_LENGTH, (SIZE / 2, SIZE / 2))


@pytest.fixture(scope="module")
def bodies():
    """Two bodies before the crop's camera, with their translations."""
    generator = torch.Generator().manual_seed(0)
    pose = 0.3 * torch.randn(2, 24, 3, generator=generator)
    pose[:, 0] = torch.tensor([torch.pi, 0.3, 0.2])
    transl = torch.tensor([[0.05, 0.2, 42.0], [-0.1, 0.3, 50.0]])
    return SMPLBody()(pose, transl=transl).vertices, transl


@pytest.mark.parametrize(("center", "side"), [((320.0, 212.5), 340.0), ((37.0, 900.0), 61.3), ((-20.0, 5.0), 1200.0)])
def test_the_equivalent_camera_sees_in_the_image_what_the_crops_camera_sees_in_the_crop(bodies, center, side):
    vertices, place = bodies[0], CropPlace(np.array(center), side)
    in_image = equivalent_camera(place, FOCAL_LENGTH, SIZE).project(vertices.double())
    for projected, in_crop in zip(in_image, CROP.project(vertices.double()), strict=True):
        mapped = place.to_crop(np.pad(projected.numpy(), ((0, 0), (0, 1))), SIZE)[:, :2]
        np.testing.assert_allclose(mapped, in_crop.numpy(), atol=1e-9)


def test_single_precision_is_far_below_half_a_pixel(bodies):
    place = CropPlace(np.array([2000.0, 1500.0]), 1800.0)
    camera = equivalent_camera(place, FOCAL_LENGTH, SIZE)
    assert (camera.project(bodies[0]) - camera.project(bodies[0].double())).abs().max() < 0.01


def test_fitting_to_the_same_camera_changes_nothing(bodies):
    vertices, transl = bodies
    camera = equivalent_camera(CropPlace(np.array([400.0, 220.0]), 300.0), FOCAL_LENGTH, SIZE)
    fitted, error = fit_to_camera(vertices, transl, camera, camera)
    torch.testing.assert_close(fitted.float(), transl, atol=1e-4, rtol=0)
    assert (error < 1e-3).all()


def test_a_camera_with_another_focal_length_sees_the_body_from_where_it_looks_as_large(bodies):
    vertices, transl = bodies
    source = equivalent_camera(CropPlace(np.array([320.0, 240.0]), 300.0), FOCAL_LENGTH, SIZE)
    target = PinholeCamera(source.focal_length / 4, source.principal_point)
    fitted, error = fit_to_camera(vertices, transl, source, target)
    torch.testing.assert_close(fitted[:, 2].float() * 4, transl[:, 2], rtol=0.01, atol=0)
    torch.testing.assert_close(fitted[:, :2].float(), transl[:, :2], atol=0.02, rtol=0)
    moved = vertices.double() - transl[:, None] + fitted[:, None]
    distance = (target.project(moved) - source.project(vertices.double())).square().sum(-1).mean(-1).sqrt()
    torch.testing.assert_close(error, distance, rtol=1e-6, atol=1e-9)


def test_no_nearby_translation_looks_more_alike(bodies):
    vertices, transl = bodies
    source = equivalent_camera(CropPlace(np.array([420.0, 260.0]), 300.0), FOCAL_LENGTH, SIZE)
    target = image_camera(480, 640)
    fitted, error = fit_to_camera(vertices, transl, source, target)
    pixels = source.project(vertices.double())
    step = 0.02 * fitted[:, 2:]
    for direction in torch.eye(3, dtype=torch.double):
        for sign in (-1, 1):
            moved = vertices.double() + (fitted - transl + sign * step * direction)[:, None]
            other = (target.project(moved) - pixels).square().sum(-1).mean(-1).sqrt()
            assert (other > error).all()


def test_without_a_focal_length_the_diagonal():
    assert image_camera(300, 400) == PinholeCamera(500.0, (200.0, 150.0))
    assert image_camera(300, 400, 900.0) == PinholeCamera(900.0, (200.0, 150.0))
    with pytest.raises(ValueError, match="image_focal_length is 0, expected a positive number of pixels"):
        image_camera(300, 400, 0)
