import numpy as np
import pytest
import roma
import torch

from mion_plugin.synthesis.bodies import BodySettings, PoseSource, draw_body, draw_orientation, place_in_crop

STILL = BodySettings(
    interpolate_prob=0, pose_noise=0, pitch_std=0, roll_std=0, lying_prob=0, scale_jitter=0, shift_jitter=0
)


def test_without_jitter_the_box_fills_the_crop_exactly():
    points = np.random.default_rng(0).normal(size=(54, 3)) * [0.4, 0.9, 0.3]
    transl = place_in_crop(points, 5000.0, 224, np.random.default_rng(1), STILL)
    projected = (points + transl)[:, :2] / (points + transl)[:, 2:] * 5000
    low, high = projected.min(axis=0), projected.max(axis=0)
    np.testing.assert_allclose((low + high) / 2, 0, atol=0.01)
    np.testing.assert_allclose((high - low).max(), 224 / 1.2, rtol=1e-4)


def test_an_upright_camera_sees_upright_bodies_from_all_sides():
    turns = [draw_orientation(np.random.default_rng(seed), STILL) for seed in range(200)]
    matrices = roma.rotvec_to_rotmat(torch.from_numpy(np.stack(turns)))
    np.testing.assert_allclose(matrices[:, :, 1], [[0, -1, 0]] * 200, atol=1e-5)  # the body's up is the image's up
    toward_camera = -matrices[:, 2, 2].numpy()
    assert 0.35 < (toward_camera > 0).mean() < 0.65
    assert toward_camera.min() < -0.9
    assert toward_camera.max() > 0.9


def test_some_bodies_lie():
    settings = BodySettings(lying_prob=1.0, pitch_std=0, roll_std=0)
    turns = [draw_orientation(np.random.default_rng(seed), settings) for seed in range(50)]
    up = roma.rotvec_to_rotmat(torch.from_numpy(np.stack(turns)))[:, :, 1]
    assert (up[:, 1].abs() <= 0.5 + 1e-5).all()  # at least 60 degrees from the vertical


def test_unperturbed_poses_are_those_of_the_source(pool):
    source = PoseSource.from_pool(pool)
    settings = BodySettings().unperturbed()
    for seed in range(20):
        draw = draw_body(source, np.random.default_rng(seed), settings)
        np.testing.assert_array_equal(draw.pose[1:], source.body_pose[draw.pose_index])
        assert (abs(draw.betas) <= 2.5).all()


def test_interpolation_stays_between_poses_of_one_clip(pool):
    source = PoseSource.from_pool(pool)
    settings = BodySettings(interpolate_prob=1.0, pose_noise=0)
    moved = 0
    for seed in range(20):
        draw = draw_body(source, np.random.default_rng(seed), settings)
        start = roma.rotvec_to_rotmat(torch.from_numpy(source.body_pose[draw.pose_index]))
        now = roma.rotvec_to_rotmat(torch.from_numpy(draw.pose[1:]))
        companions = source.companions(draw.pose_index)
        assert (source.clip_index[companions] == source.clip_index[draw.pose_index]).all()
        ends = roma.rotvec_to_rotmat(torch.from_numpy(source.body_pose[companions]))
        # on the geodesic to one of them: the two distances add up to the whole
        detour = (
            roma.rotmat_geodesic_distance(now, start)
            + roma.rotmat_geodesic_distance(now.expand_as(ends), ends)
            - roma.rotmat_geodesic_distance(start.expand_as(ends), ends)
        )
        assert detour.amax(dim=1).min() < 2e-3
        moved += int(roma.rotmat_geodesic_distance(now, start).max() > 0.01)
    assert moved > 10


def test_freely_held_cameras_pitch_and_roll_as_they_are_told():
    settings = BodySettings(wide_prob=0.5, pitch_std=0, roll_std=0, lying_prob=0, wide_pitch_std=0, wide_roll_std=15)
    turns = [draw_orientation(np.random.default_rng(seed), settings) for seed in range(600)]
    up = roma.rotvec_to_rotmat(torch.from_numpy(np.stack(turns)))[:, :, 1].numpy()
    roll = np.rad2deg(np.arctan2(up[:, 0], -up[:, 1]))
    turned = np.abs(roll) > 1e-3
    assert 0.4 < turned.mean() < 0.6
    assert 13 < roll[turned].std() < 17


LIMBS = {"legs": (1, 2, 4, 5, 7, 8, 10, 11), "left arm": (13, 16, 18, 20, 22), "right arm": (14, 17, 19, 21, 23)}


def test_limbs_are_exchanged_whole_and_nothing_else_is():
    poses = np.arange(40, dtype=np.float32)[:, None, None] / 40 * np.ones((1, 23, 3), np.float32)
    source = PoseSource(poses)  # each value tells the pose
    rest = [joint - 1 for joint in range(1, 24) if not any(joint in limb for limb in LIMBS.values())]
    exchanged = dict.fromkeys(LIMBS, 0)
    for seed in range(200):
        settings = BodySettings(interpolate_prob=0, pose_noise=0, exchange_prob=0.3)
        draw = draw_body(source, np.random.default_rng(seed), settings)
        own = source.body_pose[draw.pose_index]
        np.testing.assert_array_equal(draw.pose[1:][rest], own[rest])
        for name, joints in LIMBS.items():
            limb = draw.pose[list(joints)]
            assert len(np.unique(limb)) == 1
            exchanged[name] += int((limb != own[0]).any())
    assert all(35 < count < 85 for count in exchanged.values())
    assert (source.body_pose == poses).all()


def test_test_poses_keep_their_limbs():
    assert BodySettings(exchange_prob=0.5).unperturbed().exchange_prob == 0


def test_betas_are_clipped(pool):
    source = PoseSource.from_pool(pool)
    draws = [draw_body(source, np.random.default_rng(s), BodySettings(betas_std=3.0)).betas for s in range(20)]
    assert np.abs(draws).max() == 2.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lying_prob": 1.5}, "lying_prob 1.5, expected 0 to 1"),
        ({"pose_noise": -1.0}, "pose_noise -1.0, expected a number not below 0"),
        ({"scale_jitter": 1.0}, "scale_jitter 1.0"),
        ({"wide_prob": 2.0}, "wide_prob 2.0, expected 0 to 1"),
        ({"exchange_prob": -0.5}, "exchange_prob -0.5, expected 0 to 1"),
        ({"wide_roll_std": float("nan")}, "wide_roll_std nan, expected a number not below 0"),
    ],
)
def test_settings_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        BodySettings(**arguments)


def test_a_source_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"body_pose has shape \(4, 24, 3\), expected \(P, 23, 3\)"):
        PoseSource(np.zeros((4, 24, 3), np.float32))
    with pytest.raises(ValueError, match="NaN"):
        PoseSource(np.full((4, 23, 3), np.nan, np.float32))
    with pytest.raises(ValueError, match=r"clip_index has shape \(3,\), expected \(4,\)"):
        PoseSource(np.zeros((4, 23, 3), np.float32), np.zeros(3, int))
