import pytest
import torch

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
