import dataclasses

import numpy as np
import pytest
import roma
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.inference.cropping import CropPlace
from mion_plugin.inference.image_camera import PinholeCamera, equivalent_camera, fit_to_camera, image_camera
from mion_plugin.inference.results import PersonBodies
from mion_plugin.inference.smoothing import BodySmoother

CROP = PinholeCamera(5000.0, (112.0, 112.0))


@pytest.fixture(scope="module")
def body():
    return SMPLBody()


def make_person(body, angle=0.0, center=(320.0, 240.0), depth=45.0, number=0, paths=2):
    """Someone whose left elbow is bent by ``angle``, in the second of two paths."""
    pose = torch.zeros(paths, 24, 3)
    pose[:, 0, 0] = torch.pi
    pose[-1, 18, 1] = angle
    betas, transl = torch.full((paths, 10), angle), torch.tensor([[0.05, 0.1, depth]]).expand(paths, 3)
    place = CropPlace(np.array(center), 300.0)
    in_image, target = equivalent_camera(place, 5000.0, 224), image_camera(480, 640)
    vertices = body(pose, betas, transl).vertices
    image_transl, image_error = fit_to_camera(vertices, transl, in_image, target)
    return PersonBodies(
        image_name="a.jpg",
        person=number,
        valid=True,
        selected=paths - 1,
        keypoints2d=np.ones((17, 3)),
        crop=place,
        image_size=224,
        pose=roma.rotvec_to_rotmat(pose).numpy(),
        betas=betas.numpy(),
        transl=transl.clone().numpy(),
        vertices=vertices.numpy(),
        crop_camera=CROP,
        crop_camera_in_image=in_image,
        image_camera=target,
        image_transl=image_transl.float().numpy(),
        image_error=image_error.float().numpy(),
        scores=np.arange(paths, dtype=np.float32),
    )


def elbow(person):
    return float(roma.rotmat_to_rotvec(torch.from_numpy(person.pose[person.selected, 18]))[1])


def test_without_strength_nothing_but_the_chosen_body_is_left(body):
    smooth = BodySmoother(body, 0.0)
    for frame, angle in enumerate((0.0, 0.8)):
        person = make_person(body, angle)
        found = smooth(person, frame)
        assert (found.selected, found.scores.tolist()) == (0, [1.0])
        for name in ("pose", "betas", "transl", "vertices", "image_transl"):
            np.testing.assert_array_equal(getattr(found, name)[0], getattr(person, name)[1], err_msg=name)


def test_after_n_frames_one_minus_strength_to_the_n_of_a_jump_is_made(body):
    smooth = BodySmoother(body, 0.6)
    smooth(make_person(body, 0.0), 0)
    for n in range(1, 5):
        found = smooth(make_person(body, 1.0), n)
        assert elbow(found) == pytest.approx(1.0 - 0.6**n, abs=1e-4)
        np.testing.assert_allclose(found.betas, 1.0 - 0.6**n, atol=1e-5)


def test_the_smoothed_body_looks_the_same_by_all_cameras(body):
    """Its translations before the crop's and the image's camera belong together, and the vertices to the pose."""
    smooth = BodySmoother(body, 0.5)
    smooth(make_person(body, 0.0, center=(300.0, 200.0)), 0)
    found = smooth(make_person(body, 0.5, center=(330.0, 230.0), depth=60.0), 1)
    posed = body(*(torch.from_numpy(getattr(found, name)) for name in ("pose", "betas", "transl"))).vertices
    np.testing.assert_allclose(found.vertices, posed, atol=1e-4)
    placed = torch.from_numpy(found.vertices - found.transl[:, None] + found.image_transl[:, None])
    there = found.image_camera.project(placed)
    here = found.crop_camera_in_image.project(torch.from_numpy(found.vertices))
    rms = (there - here).square().sum(-1).mean(-1).sqrt()
    np.testing.assert_allclose(found.image_error, rms, atol=0.05)
    assert found.image_error < 8.0
    middle = (make_person(body, center=(300.0, 200.0)).image_transl[1] + make_person(
        body, 0.5, center=(330.0, 230.0), depth=60.0
    ).image_transl[1]) / 2  # fmt: skip
    np.testing.assert_allclose(found.image_transl[0], middle, atol=1e-4)


def test_people_are_smoothed_on_their_own_and_forgotten_after_a_gap(body):
    smooth = BodySmoother(body, 0.5, max_gap=2)
    smooth(make_person(body, 0.0, number=0), 0)
    assert elbow(smooth(make_person(body, 1.0, number=1), 1)) == pytest.approx(1.0, abs=1e-5)
    assert elbow(smooth(make_person(body, 1.0, number=0), 2)) == pytest.approx(0.5, abs=1e-4)
    assert elbow(smooth(make_person(body, 0.0, number=0), 5)) == pytest.approx(0.0, abs=1e-5)


def test_a_body_that_means_nothing_is_neither_changed_nor_remembered(body):
    smooth = BodySmoother(body, 0.5)
    smooth(make_person(body, 0.0), 0)
    lost = dataclasses.replace(make_person(body, 2.0), valid=False)
    assert elbow(smooth(lost, 1)) == pytest.approx(2.0, abs=1e-5)
    assert elbow(smooth(make_person(body, 1.0), 2)) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("arguments", [{"strength": 1.0}, {"strength": -0.1}, {"strength": 0.5, "max_gap": 0}])
def test_bad_arguments(body, arguments):
    with pytest.raises(ValueError, match="expected 0 <= strength < 1 and at least 1"):
        BodySmoother(body, **arguments)
