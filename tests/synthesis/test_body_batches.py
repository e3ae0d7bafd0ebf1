"""Bodies drawn many at once, against those drawn one by one."""

import numpy as np
import pytest
import roma
import torch

from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.synthesis.bodies import BodySettings, PoseSource, draw_orientation, place_in_crop
from mion_plugin.synthesis.body_batches import BodyBatches, PoseTable, draw_orientations, place_in_crops

STILL = BodySettings().unperturbed()
CAMERA = CropCamera(2500.0, 112)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def source(pool):
    return PoseSource.from_pool(pool)


def angles_between(first, second):
    return roma.rotmat_to_rotvec(first.mT @ second).norm(dim=-1)


def test_unperturbed_bodies_are_poses_of_the_source(source):
    rotations, betas = BodyBatches(source, STILL).draw(64, generator())
    poses = PoseTable.of(source).rotations
    apart = (rotations[:, None, 1:] - poses).abs().amax(dim=(2, 3, 4))
    assert apart.amin(dim=1).max() < 1e-6
    assert len(apart.argmin(dim=1).unique()) > 20  # of 40
    assert betas.abs().max() <= 2.5


def test_interpolation_stays_within_half_the_way_to_a_pose_of_the_same_clip(source):
    settings = BodySettings(**{**STILL.__dict__, "interpolate_prob": 1.0})
    rotations = BodyBatches(source, settings).draw(32, generator())[0][:, 1:]
    poses, clips = PoseTable.of(source).rotations, torch.from_numpy(source.clip_index)
    for body in rotations:
        # some pose a and some pose b of its clip with every joint on the way from a to b, at the same share
        found = False
        for start in range(len(poses)):
            for end in torch.nonzero(clips == clips[start]).flatten():
                whole, gone = angles_between(poses[start], poses[end]), angles_between(poses[start], body)
                rest = angles_between(body, poses[end])
                on_the_way = torch.allclose(gone + rest, whole, atol=2e-3)
                found |= bool(on_the_way and (gone <= 0.5 * whole + 2e-3).all())
        assert found


def test_exchanged_limbs_are_whole_limbs_of_other_poses(source):
    settings = BodySettings(**{**STILL.__dict__, "exchange_prob": 1.0})
    rotations = BodyBatches(source, settings).draw(16, generator())[0][:, 1:]
    poses = PoseTable.of(source).rotations
    owner = [(rotations[:, None, joint] - poses[:, joint]).abs().amax(dim=(2, 3)).argmin(dim=1) for joint in range(23)]
    for limb in ((1, 2, 4, 5, 7, 8, 10, 11), (13, 16, 18, 20, 22), (14, 17, 19, 21, 23)):
        assert all(torch.equal(owner[joint - 1], owner[limb[0] - 1]) for joint in limb)
    assert not torch.equal(owner[0], owner[2])  # the legs are not of the body that the spine is of


def test_poses_without_recordings_have_only_themselves_as_companions(source):
    table = PoseTable.of(PoseSource(source.body_pose))
    assert (table.count == 1).all()
    assert torch.equal(table.order[table.first], torch.arange(len(source)))


def test_draws_are_a_function_of_the_generator(source):
    batches = BodyBatches(source, BodySettings(wide_prob=0.5, exchange_prob=0.3))
    first, same, other = (batches.draw(8, generator(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("settings", [BodySettings(), BodySettings(lying_prob=1.0), BodySettings(pitch_std=40.0)])
def test_orientations_are_distributed_as_those_drawn_one_by_one(settings):
    many = draw_orientations(6000, settings, generator())
    rng = np.random.default_rng(0)
    single = torch.from_numpy(np.stack([draw_orientation(rng, settings) for _ in range(1500)]))
    for of_many, of_single in zip(_summary(many), _summary(roma.rotvec_to_rotmat(single)), strict=True):
        # five standard errors of the smaller sample, of numbers within -1 and 1
        assert (of_many - of_single).abs().max() < 5 * 0.6 / 1500**0.5


def _summary(rotations):
    """First and second moments of where the body's axes point."""
    return rotations.mean(dim=0), rotations.square().mean(dim=0)


def test_wide_cameras_pitch_and_roll_more():
    narrow, wide = (draw_orientations(4000, BodySettings(lying_prob=0, wide_prob=p), generator()) for p in (0.0, 1.0))
    up = torch.tensor([0.0, -1.0, 0.0])  # in the camera frame, whose y points down
    tilt_narrow, tilt_wide = (torch.rad2deg((r[:, :, 1] @ up).clamp(-1, 1).acos()) for r in (narrow, wide))
    expected = [(12**2 + 8**2) ** 0.5, (22**2 + 15**2) ** 0.5]
    for tilt, rms in zip((tilt_narrow, tilt_wide), expected, strict=True):
        assert tilt.square().mean().sqrt() == pytest.approx(rms, rel=0.05)


def test_placing_equals_placing_one_by_one():
    settings = BodySettings(scale_jitter=0.0, shift_jitter=0.0)
    points = torch.randn(12, 17, 3, generator=generator()) * 0.4
    everything = torch.ones(12, 17, dtype=torch.bool)
    placed = place_in_crops(points, everything, CAMERA, settings, generator())
    single = [place_in_crop(each.numpy(), 2500.0, 112, np.random.default_rng(0), settings) for each in points]
    assert torch.allclose(placed, torch.from_numpy(np.stack(single)), atol=2e-3)


def test_the_framed_keypoints_fill_the_crop_and_others_may_fall_out():
    settings = BodySettings(scale_jitter=0.0, shift_jitter=0.0, box_scale=1.2)
    points = torch.randn(20, 17, 3, generator=generator()) * 0.4
    framed = torch.arange(17).expand(20, -1) < 11
    placed = points + place_in_crops(points, framed, CAMERA, settings, generator())[:, None]
    pixels = 2500.0 * placed[..., :2] / placed[..., 2:] + 56.0
    box = pixels[:, :11].amax(dim=1) - pixels[:, :11].amin(dim=1)
    assert torch.allclose(box.amax(dim=1), torch.full((20,), 112 / 1.2), atol=0.2)
    assert not ((pixels >= 0) & (pixels < 112)).all()
