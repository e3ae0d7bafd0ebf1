from __future__ import annotations

import pytest
import roma
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.consistency import Perturbation, perturb_pose
from mion_plugin.consistency.perturbation import LIMBS, mix_poses, reflect_bones, tilt

GENERATOR_SEED = 3


@pytest.fixture
def pose() -> torch.Tensor:
    """(5, 24, 3, 3)."""
    generator = torch.Generator().manual_seed(0)
    return roma.rotvec_to_rotmat(0.5 * torch.randn(5, 24, 3, generator=generator))


def joints_of(body: SMPLBody, pose: torch.Tensor) -> torch.Tensor:
    return body.pose_keypoints(pose, convention="smpl")


def flips(*bones: int) -> torch.Tensor:
    return torch.tensor([bone in bones for bone in range(8)]).expand(5, 8)


class TestReflection:
    @pytest.mark.parametrize("bones", [(0,), (1,), (4, 5), (2, 3, 7), tuple(range(8))])
    def test_limb_joints_keep_their_place_in_the_image_and_bones_change_the_sign_of_their_depth(
        self, body, pose, bones
    ) -> None:
        joints = joints_of(body, pose)
        reflected = joints_of(body, reflect_bones(pose, joints, flips(*bones)))
        for limb, (upper, lower, end, _) in enumerate(LIMBS):
            for bone, (start, stop) in ((2 * limb, (upper, lower)), (2 * limb + 1, (lower, end))):
                before, after = (value[:, stop] - value[:, start] for value in (joints, reflected))
                sign = -1.0 if bone in bones else 1.0
                torch.testing.assert_close(after, before * torch.tensor([1.0, 1.0, sign]), atol=1e-5, rtol=0)
        others = [joint for joint in range(24) if not any(joint in limb for limb in LIMBS)]
        torch.testing.assert_close(reflected[:, others], joints[:, others], atol=1e-5, rtol=0)

    def test_hands_and_feet_turn_with_the_bone_they_end(self, body, pose) -> None:
        reflected = reflect_bones(pose, joints_of(body, pose), flips(5))
        torch.testing.assert_close(reflected[:, [20, 22]], pose[:, [20, 22]], atol=1e-5, rtol=0)

    def test_nothing_and_twice_are_nothing(self, body, pose) -> None:
        joints = joints_of(body, pose)
        torch.testing.assert_close(reflect_bones(pose, joints, flips()), pose, atol=1e-5, rtol=0)
        once = reflect_bones(pose, joints, flips(0, 3, 6))
        assert (once - pose).abs().max() > 0.1
        twice = reflect_bones(once, joints_of(body, once), flips(0, 3, 6))
        torch.testing.assert_close(twice, pose, atol=1e-4, rtol=0)

    def test_a_bone_along_the_line_of_sight(self) -> None:
        pose = torch.eye(3).expand(24, 3, 3)
        joints = torch.zeros(24, 3)
        joints[:, 2] = torch.arange(24.0)
        reflected = reflect_bones(pose, joints, torch.ones(8, dtype=torch.bool))
        assert reflected.isfinite().all()


def test_tilt_turns_the_root_alone(pose) -> None:
    angles = torch.tensor([[0.4, 0.0]]).expand(5, 2)
    tilted = tilt(pose, angles)
    assert torch.equal(tilted[:, 1:], pose[:, 1:])
    about_x = roma.rotvec_to_rotmat(torch.tensor([0.4, 0.0, 0.0]))
    torch.testing.assert_close(tilted[:, 0], about_x @ pose[:, 0])


def test_mixed_poses_lie_on_the_shortest_way(pose) -> None:
    end = pose.flip(0)
    for share in (0.0, 0.3, 1.0):
        mixed = mix_poses(pose, end, torch.full((5,), share))
        expected = roma.rotmat_slerp(pose, end, torch.tensor([share]))[0]
        torch.testing.assert_close(mixed, expected, atol=1e-4, rtol=0)


class TestPerturb:
    def perturb(self, body, pose, seed=GENERATOR_SEED, **settings):
        poses = pose[:, None].expand(5, 40, 24, 3, 3)
        generator = torch.Generator().manual_seed(seed)
        other = poses.flip(0)
        return perturb_pose(poses, joints_of(body, poses), other, Perturbation(**settings), generator), poses, other

    def test_one_way_each(self, body, pose) -> None:
        (reflected, share), poses, _ = self.perturb(body, pose, tilt=0, mix=0)
        assert (share == 1).all()
        changed = (reflected - poses).abs().amax(dim=(-2, -1)) > 1e-4
        limb_joints = torch.tensor(sorted(joint for limb in LIMBS for joint in limb))
        assert changed.any(dim=-1).all()  # never nothing
        assert not changed[..., [joint for joint in range(24) if joint not in limb_joints]].any()
        (tilted, _), poses, _ = self.perturb(body, pose, reflect=0, mix=0, max_tilt=0.3)
        angle = roma.rotmat_geodesic_distance(tilted[..., 0, :, :], poses[..., 0, :, :])
        assert torch.equal(tilted[..., 1:, :, :], poses[..., 1:, :, :])
        assert 0.3 < angle.max() < 0.3 * 2**0.5 + 1e-3
        (mixed, share), poses, other = self.perturb(body, pose, reflect=0, tilt=0)
        assert 0 <= share.min() < 0.1
        assert 0.9 < share.max() <= 1
        way = roma.rotmat_geodesic_distance(other, poses)
        done = roma.rotmat_geodesic_distance(other, mixed)
        torch.testing.assert_close(done, share[..., None] * way, atol=2e-3, rtol=0)

    def test_frequencies_and_seed(self, body, pose) -> None:
        (first, share), *_ = self.perturb(body, pose, reflect=0.5, tilt=0, mix=0.5)
        assert 0.35 < (share == 1).float().mean() < 0.65
        assert torch.equal(self.perturb(body, pose, reflect=0.5, tilt=0, mix=0.5)[0][0], first)
        assert not torch.equal(self.perturb(body, pose, seed=4, reflect=0.5, tilt=0, mix=0.5)[0][0], first)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"reflect": 0, "tilt": 0, "mix": 0}, r"reflect, tilt and mix are \(0, 0, 0\)"),
            ({"bone_prob": 0.0}, "bone_prob is 0.0, expected above 0 to 1"),
            ({"max_tilt": -1}, "max_tilt is -1"),
        ],
    )
    def test_bad_settings(self, settings, message) -> None:
        with pytest.raises(ValueError, match=message):
            Perturbation(**settings)
