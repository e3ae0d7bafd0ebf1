import numpy as np
import pytest
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.visualization.image_overlay import PlacedBody, body_color, overlay_bodies

IMAGE = np.full((200, 300, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def body():
    return SMPLBody()


def place(body, x, depth=10.0, number=0, focal_length=600.0, distance=None):
    """Someone upright, ``x`` metres aside."""
    pose = torch.zeros(24, 3)
    pose[0, 0] = torch.pi
    vertices = body(pose, transl=torch.tensor([x, 0.2, depth])).vertices
    return PlacedBody(vertices, focal_length, (150.0, 100.0), depth if distance is None else distance, number)


def changed(picture):
    return (picture != IMAGE).any(axis=-1)


def test_a_body_covers_where_it_projects(body):
    one = place(body, 0.7)
    mask = changed(overlay_bodies(IMAGE, [one], body.faces, tags=False))
    pixels = (600.0 * one.vertices[:, :2] / one.vertices[:, 2:] + torch.tensor([150.0, 100.0])).numpy()
    rows, columns = np.nonzero(mask)
    assert abs(columns.min() + 0.5 - pixels[:, 0].min()) < 1.5
    assert abs(columns.max() + 0.5 - pixels[:, 0].max()) < 1.5
    assert abs(rows.min() + 0.5 - pixels[:, 1].min()) < 1.5
    inside = np.floor(pixels).astype(int)
    assert mask[inside[:, 1], inside[:, 0]].mean() > 0.95
    assert (IMAGE == 90).all()  # the input is not drawn on


def test_nearer_bodies_hide_those_behind_whatever_their_order(body):
    near, far = place(body, 0.0, depth=10.0, number=2), place(body, 0.0, depth=12.0, number=1)
    both = overlay_bodies(IMAGE, [near, far], body.faces, opacity=1.0, tags=False)
    np.testing.assert_array_equal(both, overlay_bodies(IMAGE, [far, near], body.faces, opacity=1.0, tags=False))
    alone = overlay_bodies(IMAGE, [near], body.faces, opacity=1.0, tags=False)
    torso = slice(70, 95), slice(145, 155)
    np.testing.assert_array_equal(both[torso], alone[torso])


def test_bodies_at_the_edge_outside_and_behind_the_camera(body):
    edge = overlay_bodies(IMAGE, [place(body, 2.5)], body.faces, tags=False)
    assert changed(edge)[:, -1].any()
    for gone in (place(body, 50.0), place(body, 0.0, depth=-10.0)):
        np.testing.assert_array_equal(overlay_bodies(IMAGE, [gone], body.faces), IMAGE)


def test_a_tag_of_the_bodys_colour_above_it(body):
    one = place(body, 0.0, number=4)
    tagged, plain = (overlay_bodies(IMAGE, [one], body.faces, tags=tags) for tags in (True, False))
    rows, columns = np.nonzero((tagged != plain).any(axis=-1))
    assert rows.max() < np.nonzero(changed(plain))[0].min() + 8
    assert abs(columns.mean() - 150) < 3
    color = np.round(255 * np.array(body_color(4)))
    assert (tagged[rows, columns] == color).all(axis=-1).mean() > 0.3
    assert body_color(4) == body_color(11) != body_color(5)


def test_large_bodies_are_drawn_too(body):
    large = np.full((1500, 1500, 3), 90, np.uint8)
    one = PlacedBody(place(body, 0.0).vertices, 8000.0, (750.0, 750.0), 10.0, 0)
    assert (overlay_bodies(large, [one], body.faces, tags=False) != 90).any(axis=-1).mean() > 0.1
