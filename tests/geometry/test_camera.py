import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mion_plugin.geometry.boxes import scale_boxes
from mion_plugin.geometry.camera import project, translation_to_weak_perspective, weak_perspective_to_translation


def test_convention_pin():
    point = torch.tensor([0.1, 0.2, 50.0])
    torch.testing.assert_close(project(point, 5000.0, (112.0, 112.0)), torch.tensor([122.0, 132.0]))


def test_weak_perspective_round_trip_and_mmhuman3ds_formula():
    camera = torch.tensor([[0.9, 0.1, -0.2], [1.3, 0.0, 0.4]])
    transl = weak_perspective_to_translation(camera)
    expected_depth = 2 * 5000.0 / (224 * camera[:, 0])
    torch.testing.assert_close(transl[:, 2], expected_depth)
    torch.testing.assert_close(translation_to_weak_perspective(transl), camera)


def test_projection_equals_mmhuman3ds():
    geometry = pytest.importorskip("mmhuman3d.utils.geometry", reason="mmhuman3d is not installed")
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(2, 9, 3, generator=generator)
    camera = torch.tensor([[0.9, 0.1, -0.2], [1.3, 0.0, 0.4]])
    from_centre = geometry.project_points(points, camera, 5000.0, 224)
    ours = project(points + weak_perspective_to_translation(camera)[:, None], 5000.0, (112.0, 112.0))
    torch.testing.assert_close(ours - 112.0, from_centre, rtol=1e-4, atol=1e-3)


metres, scale = st.floats(-10.0, 10.0), st.floats(0.01, 100.0)


@settings(deadline=None)
@given(camera=st.tuples(scale, metres, metres), focal=st.floats(100.0, 1e4), size=st.floats(10.0, 1e3))
def test_weak_perspective_round_trip_for_any_camera(camera, focal, size):
    camera = torch.tensor(camera, dtype=torch.float64)
    transl = weak_perspective_to_translation(camera, focal, size)
    assert transl[2] > 0
    torch.testing.assert_close(translation_to_weak_perspective(transl, focal, size), camera)


@settings(deadline=None)
@given(point=st.tuples(metres, metres, st.floats(0.1, 100.0)), factor=scale, shift=st.tuples(metres, metres))
def test_points_on_a_ray_project_to_one_pixel_and_the_principal_point_moves_all(point, factor, shift):
    point = torch.tensor(point, dtype=torch.float64)
    pixel = project(point, 5000.0, (112.0, 112.0))
    torch.testing.assert_close(project(factor * point, 5000.0, (112.0, 112.0)), pixel)
    moved = project(point, 5000.0, (112.0 + shift[0], 112.0 + shift[1]))
    torch.testing.assert_close(moved, pixel + torch.tensor(shift, dtype=torch.float64))


@settings(deadline=None)
@given(box=st.tuples(metres, metres, scale, scale), first=scale, second=scale)
def test_scaled_boxes_keep_their_middle_and_factors_multiply(box, first, second):
    box = np.array(box)
    scaled = scale_boxes(box, first)
    np.testing.assert_allclose(scaled[:2] + scaled[2:] / 2, box[:2] + box[2:] / 2, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(scale_boxes(scaled, second), scale_boxes(box, first * second), rtol=1e-9, atol=1e-6)
