"""Enlarging a body's box: what is drawn through the zoomed camera and what is cut from the image show the same."""

from __future__ import annotations

import pytest
import torch

from mion_plugin.consistency.zoom import BodyBoxes, body_boxes
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.rendering.pncc import PNCCRenderer

CAMERA = CropCamera()


@pytest.fixture(scope="module")
def small_body(body) -> torch.Tensor:
    """(1, 6890, 3) upright, a third of the crop high, off its centre."""
    pose = torch.zeros(24, 3)
    pose[0, 0] = torch.pi
    return body(pose, transl=torch.tensor([0.8, -0.5, 120.0])).vertices[None]


def test_the_whole_crop_is_the_image_itself():
    boxes = BodyBoxes(torch.zeros(2, 2), torch.ones(2))
    image = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(boxes.crop(image), image, atol=1e-5, rtol=0)
    focal_length, principal_point = boxes.intrinsics(CAMERA)
    assert focal_length.tolist() == [5000, 5000]
    assert principal_point.tolist() == [[112, 112]] * 2


def test_of_no_image_there_is_no_picture():
    assert BodyBoxes(torch.zeros(0, 2), torch.ones(0)).crop(torch.rand(0, 3, 16, 16)).shape == (0, 3, 16, 16)


def test_a_box_cuts_out_its_pixels():
    image = torch.arange(64.0).view(1, 1, 8, 8)
    quarter = BodyBoxes(torch.tensor([[0.5, -0.5]]), torch.tensor([0.5])).crop(image)  # top right
    expected = torch.nn.functional.interpolate(image[..., :4, 4:], scale_factor=2, mode="bilinear")
    inner = (..., slice(1, -1), slice(1, -1))  # at the border the cut-out sees its neighbours
    torch.testing.assert_close(quarter[inner], expected[inner])


def test_the_body_fills_its_picture(small_body):
    renderer = PNCCRenderer(size=64)
    boxes = body_boxes(small_body, CAMERA)
    pncc = renderer(small_body, *boxes.intrinsics(CAMERA), CAMERA.image_size)
    rows = (pncc[0] > 0).any(dim=0).any(dim=1).nonzero()
    assert rows.max() - rows.min() + 1 == pytest.approx(64 / 1.15, abs=2)
    unzoomed = renderer(small_body, CAMERA.focal_length, CAMERA.principal_point, CAMERA.image_size)
    assert (pncc > 0).sum() > 4 * (unzoomed > 0).sum()


def test_image_and_pncc_stay_in_register(small_body):
    """The crop of a picture of the body is the picture through the zoomed camera."""
    fine = PNCCRenderer(size=512)(small_body, CAMERA.focal_length, CAMERA.principal_point, CAMERA.image_size)
    boxes = body_boxes(small_body, CAMERA)
    cut = boxes.crop(fine)
    drawn = PNCCRenderer(size=512)(small_body, *boxes.intrinsics(CAMERA), CAMERA.image_size)
    assert (cut - drawn).abs().mean() < 0.02 * drawn.mean() + 0.01
    shifted = torch.roll(drawn, 12, dims=-1)
    assert (cut - drawn).abs().mean() < 0.5 * (cut - shifted).abs().mean()


def test_bodies_in_a_point_or_far_outside_stay_finite():
    vertices = torch.zeros(2, 5, 3)
    vertices[0, :, 2] = 45.0
    vertices[1] = torch.tensor([1e6, -1e6, 1.0])
    boxes = body_boxes(vertices, CAMERA)
    assert boxes.crop(torch.rand(2, 3, 8, 8)).isfinite().all()
    assert all(value.isfinite().all() for value in boxes.intrinsics(CAMERA))
