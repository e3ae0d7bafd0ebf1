"""Which joints are guessed, and what of a body is drawn pale."""

import json

import numpy as np
import pytest
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.datasets.coco import load_coco_people
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.geometry.rotations import rotmat_to_rotvec
from mion_plugin.inference import MIONInferencer, draw_people
from mion_plugin.inference.guessed_joints import JOINT_NAMES, guessed_joints, guessed_vertices
from mion_plugin.synthesis.lifting_dataset import LiftingDataset

LEGS = {f"{side}_{joint}" for side in ("left", "right") for joint in ("knee", "ankle", "foot")}


def names(guessed):
    return {name for name, flag in zip(JOINT_NAMES, guessed, strict=True) if flag}


@pytest.fixture(scope="module")
def skier():
    return load_coco_people(KEYPOINTS, PHOTO.name)[0].keypoints2d


def test_a_whole_person_has_none(skier):
    assert names(guessed_joints(skier, (640, 425))) == set()


def test_absent_keypoints_a_low_score_and_the_border(skier):
    order = keypoint_names("coco")
    legs = [order.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]
    absent, unsure = skier.copy(), skier.copy()
    absent[legs] = 0.0
    unsure[legs, 2] = 0.1
    for keypoints2d in (absent, unsure):
        assert names(guessed_joints(keypoints2d, (640, 425))) == LEGS
    assert names(guessed_joints(skier, (640, 250))) == LEGS  # outside the photograph
    assert names(guessed_joints(skier, (640, 200))) >= LEGS | {"pelvis", "left_hip", "right_hip", "spine_1"}
    one = skier.copy()
    one[order.index("left_wrist")] = 0.0
    assert names(guessed_joints(one, (640, 425))) == {"left_wrist", "left_hand"}


def test_a_limb_is_pale_from_the_joint_that_it_hangs_on():
    """By height, in the rest pose, apart from the arms: all that is below the hips, and nothing above them."""
    body = SMPLBody()
    guessed = np.array([name in LEGS for name in JOINT_NAMES])
    pale = guessed_vertices(guessed, body.weights.numpy())
    height = body.v_template[:, 1].numpy()
    joints = body(torch.zeros(1, 24, 3)).joints[0, :, 1].numpy()
    hips, arms = joints[JOINT_NAMES.index("left_hip")], body.weights[:, 13:15].sum(-1) + body.weights[:, 16:].sum(-1)
    trunk = arms.numpy() < 0.1
    assert pale[trunk & (height < hips - 0.15)].all()
    assert not pale[height > hips + 0.15].any()
    assert not guessed_vertices(np.zeros(24, bool), body.weights.numpy()).any()


@pytest.fixture(scope="module")
def model():
    return MIONInferencer(device="cpu")


@torch.no_grad()
def test_legs_that_no_keypoint_tells_of_are_what_is_usual(model):
    """Of synthetic people: stage 1's candidates squat as it happens, the packaged model's bodies do not.

    Their legs are nearer to the truth than straight ones.
    """
    errors = dict(noise=0.9, half_prob=1.0, missing_prob=0.0, swap_prob=0.0)
    camera = dict(image_size=112, focal_length=2500.0)
    people = LiftingDataset(1, 32, split="test", errors=errors, **camera)[0]
    mion, keypoints2d, truth = model.model, people["inputs"]["keypoints2d"].clone(), people["data_samples"]
    keypoints2d[:, 13:] = 0.0  # knees and ankles
    candidates = mion.selector(keypoints2d)
    bodies = mion.fit(mion.refiner(torch.zeros(32, 3, 112, 112), candidates, keypoints2d), keypoints2d)

    def bend(rotations):
        return rotmat_to_rotvec(rotations[:, 0, [4, 5]]).norm(dim=-1).rad2deg().max()

    assert bend(candidates.rotations) > 100
    assert bend(bodies.rotations) < 90
    straight, legs = bodies.rotations[:, 0].clone(), [1, 2, 4, 5, 7, 8]
    straight[:, legs] = torch.eye(3)

    def error(rotations, betas):
        joints, true = mion.body(rotations, betas).joints, mion.body(truth["rotations"], truth["betas"]).joints
        return ((joints - joints[:, :1]) - (true - true[:, :1]))[:, [4, 5, 7, 8]].norm(dim=-1).mean()

    assert error(bodies.rotations[:, 0], bodies.betas[:, 0]) < 0.95 * error(straight, bodies.betas[:, 0])


def test_a_body_cut_at_the_hips_stands_and_says_what_is_guessed(model, skier):
    """With the packaged model, on the demo's photograph without its lower half and without keypoints of the legs."""
    image, order = read_image(PHOTO)[:222], keypoint_names("coco")
    keypoints2d = skier.copy()
    keypoints2d[skier[:, 1] > 222] = 0.0
    ((person,),) = model([image], keypoints2d=[keypoints2d])["predictions"]
    assert names(person.joints_guessed) == LEGS
    assert (
        set(person.describe()["joints_guessed"])
        == LEGS
        == set(json.loads(json.dumps(person.describe_selected()))["joints_guessed"])
    )
    assert person.arrays()["joints_guessed"].sum() == len(LEGS)
    knees = [JOINT_NAMES.index(name) for name in ("left_knee", "right_knee", "left_hip", "right_hip")]
    bent = np.linalg.norm(person.axis_angle()[person.selected][knees], axis=-1)
    assert np.degrees(bent).max() < 75  # no squat, where it is over 90
    hip = skier[[order.index("left_hip_extra"), order.index("right_hip_extra")], 1].mean()
    feet = person.crop_camera_in_image.project(torch.from_numpy(person.vertices[person.selected]))[:, 1].max()
    assert feet > hip + 80  # legs hang below, out of the photograph
    weights = model.skinning_weights
    pale, plain = (draw_people(image, [person], model.model.body.faces, weights=given) for given in (weights, None))
    assert (pale != plain).any()
