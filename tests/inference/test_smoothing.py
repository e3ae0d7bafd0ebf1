import dataclasses

import numpy as np
import pytest
import roma
import torch
from support.people import make_person

from mion_plugin.body import SMPLBody
from mion_plugin.inference.one_euro import OneEuro, RotationFilter, VectorFilter
from mion_plugin.inference.smoothing import BodySmoother

RATE = 30.0


@pytest.fixture(scope="module")
def body():
    return SMPLBody()


def elbow(person):
    return float(roma.rotmat_to_rotvec(torch.from_numpy(person.pose[person.selected, 18]))[1])


def test_the_first_body_and_what_the_networks_said_stay(body):
    smooth = BodySmoother(body, 0.5, 0.1)
    for frame, angle in enumerate((0.4, 0.8)):
        person = make_person(body, angle)
        found = smooth(person, frame, frame / RATE)
        assert (found.selected, found.scores.tolist()) == (0, [1.0])
        if frame == 0:
            for name in ("pose", "betas", "transl", "vertices", "image_transl"):
                np.testing.assert_array_equal(getattr(found, name)[0], getattr(person, name)[1], err_msg=name)
    assert 0.4 < elbow(found) < 0.8


def test_pose_and_place_go_through_the_filter(body):
    """Rotations as they are set, the place thrice as fast across the picture and a third as fast in depth."""
    smooth = BodySmoother(body, 0.7, 0.4)
    pose = RotationFilter(OneEuro(0.7, 0.4))
    across, depth = VectorFilter(OneEuro(0.7, 1.2)), VectorFilter(OneEuro(0.7, 0.4 / 3))
    times = [0.0, 0.03, 0.08, 0.1]
    for frame, (time, last) in enumerate(zip(times, [-1.0, *times], strict=False)):
        person = make_person(body, 0.3 * frame, (320.0 + 9 * frame, 240.0), 45.0 + frame)
        found = smooth(person, frame, time)
        np.testing.assert_allclose(found.pose[0], pose(person.pose[1], time - last), atol=1e-5)
        x, y, z = person.image_transl[1].tolist()
        (deep,) = depth(np.array([z]), time - last)
        np.testing.assert_allclose(found.image_transl[0, 2], deep, atol=1e-4)
        np.testing.assert_allclose(
            found.image_transl[0, :2], across(np.array([x, y]) * deep / z, time - last), atol=1e-4
        )


def test_who_walks_is_drawn_where_they_are(body):
    """Two metres a second, 12 frames a second, and a depth that trembles: where in the picture hardly lags."""
    smooth = BodySmoother(body)
    generator = np.random.default_rng(0)
    behind, trembled, steadied = [], [], []
    for frame in range(24):
        depth = 45.0 * (1 + 0.02 * generator.standard_normal())
        person = make_person(body, center=(100.0 + 30 * frame, 240.0), depth=depth)
        found = smooth(person, frame, frame / 12)
        (x, _, z), (true_x, _, true_z) = found.image_transl[0], person.image_transl[1]
        behind.append(found.image_camera.focal_length * (true_x / true_z - x / z))
        trembled.append(true_z)
        steadied.append(z)
    assert 0.0 < np.median(behind[6:]) < 8.0  # pixels, of 30 between two frames
    assert np.std(np.diff(steadied[6:])) < 0.5 * np.std(np.diff(trembled[6:]))


def test_nobody_before_the_images_camera_is_left_alone(body):
    smooth, other = BodySmoother(body, 1.0, 0.0), BodySmoother(body, 1.0, 0.0)
    for one in (smooth, other):
        one(make_person(body, 0.0), 0, 0.0)
    person = make_person(body, 2.0)
    lost = dataclasses.replace(person, image_error=np.full_like(person.image_error, np.inf))
    assert elbow(smooth(lost, 1, 0.1)) == pytest.approx(2.0, abs=1e-5)
    last = make_person(body, 1.0)
    assert elbow(smooth(last, 2, 0.2)) == elbow(other(last, 2, 0.2))


def test_the_smoothed_body_looks_the_same_by_all_cameras(body):
    """Its translations before the crop's and the image's camera belong together, and the vertices to the pose."""
    smooth = BodySmoother(body, 1.0, 0.0)
    smooth(make_person(body, 0.0, center=(300.0, 200.0)), 0, 0.0)
    found = smooth(make_person(body, 0.5, center=(330.0, 230.0), depth=60.0), 1, 0.2)
    posed = body(*(torch.from_numpy(getattr(found, name)) for name in ("pose", "betas", "transl"))).vertices
    np.testing.assert_allclose(found.vertices, posed, atol=1e-4)
    placed = torch.from_numpy(found.vertices - found.transl[:, None] + found.image_transl[:, None])
    there = found.image_camera.project(placed)
    here = found.crop_camera_in_image.project(torch.from_numpy(found.vertices))
    rms = (there - here).square().sum(-1).mean(-1).sqrt()
    np.testing.assert_allclose(found.image_error, rms, atol=0.05)
    assert found.image_error < 8.0


def test_people_are_smoothed_on_their_own_and_forgotten_after_a_gap(body):
    smooth = BodySmoother(body, 1.0, 0.0, max_gap=2)
    smooth(make_person(body, 0.0, number=0), 0, 0.0)
    assert elbow(smooth(make_person(body, 1.0, number=1), 1, 0.1)) == pytest.approx(1.0, abs=1e-5)
    assert 0.1 < elbow(smooth(make_person(body, 1.0, number=0), 2, 0.2)) < 0.9
    assert elbow(smooth(make_person(body, 0.0, number=0), 5, 0.5)) == pytest.approx(0.0, abs=1e-5)


def test_a_body_that_means_nothing_is_neither_changed_nor_remembered(body):
    smooth, other = BodySmoother(body, 1.0, 0.0), BodySmoother(body, 1.0, 0.0)
    for one in (smooth, other):
        one(make_person(body, 0.0), 0, 0.0)
    lost = dataclasses.replace(make_person(body, 2.0), valid=False)
    assert elbow(smooth(lost, 1, 0.1)) == pytest.approx(2.0, abs=1e-5)
    last = make_person(body, 1.0)
    assert elbow(smooth(last, 2, 0.2)) == elbow(other(last, 2, 0.2))


def test_a_frame_of_the_last_ones_time_is_left_as_it_is(body):
    smooth = BodySmoother(body, 1.0, 0.0)
    smooth(make_person(body, 0.0), 0, 0.0)
    assert elbow(smooth(make_person(body, 1.0), 1, 0.0)) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_cutoff": 0.0}, "min_cutoff is 0.0"),
        ({"beta": -0.1}, "beta -0.1"),
        ({"max_gap": 0}, "max_gap is 0, expected at least 1"),
    ],
)
def test_bad_arguments(body, arguments, message):
    with pytest.raises(ValueError, match=message):
        BodySmoother(body, **arguments)
