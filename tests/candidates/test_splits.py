import dataclasses

import numpy as np
import pytest
from support.clip_pool import make_clip_pool

from mion_plugin.candidates.splits import (
    choose_test_clips,
    is_test_clip,
    match_clips,
    pool_without_clips,
    recording_key,
    split_pool,
)


@pytest.fixture(scope="module")
def pool():
    return make_clip_pool()


@pytest.mark.parametrize(
    "names",
    [
        (
            "asf/01_02.amc",
            "bvh/001_02.bvh",
            "npz/1_2_cmu_10fps.npz",
            "AMASS/CMU/01/01_02_poses.npz",
            "asf/01_02.amc (2)",
        ),
        ("amp/amp_humanoid_walk.npy", "amp/07_01_cmu_10fps.npz", "asf/07_01.amc", "amp/amp_humanoid_run.npy"),
        ("a/walk1.bvh", "b/walk1_10fps.npz"),
    ],
)
def test_one_recording_has_one_key_and_one_side(names):
    assert len({recording_key(name) for name in names}) == 1
    for seed in range(20):
        assert len({is_test_clip(name, seed) for name in names}) == 1


def test_different_recordings_have_different_keys():
    names = ("01_02.amc", "01_12.amc", "11_02.amc", "1_20.amc", "walk1.bvh", "walk2.bvh", "sit.bvh")
    assert len({recording_key(name) for name in names}) == len(names)


def test_the_fraction_is_met_and_the_seed_matters():
    clips = [f"{subject:02d}_{trial:02d}.amc" for subject in range(1, 41) for trial in range(1, 26)]
    shares = [len(choose_test_clips(clips, seed, 0.2)) / len(clips) for seed in range(5)]
    assert np.allclose(shares, 0.2, atol=0.04)
    assert choose_test_clips(clips, 0) != choose_test_clips(clips, 1)
    assert choose_test_clips(clips, fraction=0.0) == ()
    assert choose_test_clips(clips, fraction=1.0) == tuple(clips)


def test_the_split_never_changes():
    # golden: a published split must stay what it was
    assert [is_test_clip(f"01_{trial:02d}.amc") for trial in range(2, 12)] == [
        False, True, False, False, False, False, False, True, False, False,
    ]  # fmt: skip


def test_adding_clips_moves_no_other():
    few = ["01_01.amc", "02_03.amc", "05_05.amc"]
    many = [f"{subject:02d}_{trial:02d}.amc" for subject in range(1, 9) for trial in range(1, 9)]
    assert [clip for clip in choose_test_clips(many) if clip in few] == list(choose_test_clips(few))


def test_the_parts_of_a_pool_share_no_clip(pool):
    clips = pool.metadata["clips"]
    train, test = split_pool(pool, match_clips(clips, ["cmu/01_02"]))
    assert len(train.body_pose) + len(test.body_pose) == len(pool.body_pose)
    keys = [{recording_key(clips[index]) for index in part.clip_index} for part in (train, test)]
    assert not keys[0] & keys[1]
    assert keys[1] == {"cmu_1_2"}
    assert set(test.clip_index) == {0, 1}  # the same recording from another source went along
    for part in (train, test):
        np.testing.assert_array_equal(part.body_pose, pool.body_pose[np.isin(pool.clip_index, part.clip_index)])
        assert part.metadata["test_clips"] == list(clips[:2])
    np.testing.assert_array_equal(pool_without_clips(pool, clips[:2]).keypoints3d, train.keypoints3d)


def test_poses_of_unknown_clips_are_for_training(pool):
    unknown = dataclasses.replace(pool, clip_index=np.where(np.arange(40) < 8, -1, pool.clip_index).astype(np.int16))
    train, test = split_pool(unknown, [pool.metadata["clips"][3]])
    assert (train.clip_index == -1).sum() == 8
    assert set(test.clip_index) == {3}


def test_what_cannot_be_split_is_refused(pool):
    with pytest.raises(ValueError, match="does not tell the recordings"):
        split_pool(dataclasses.replace(pool, clip_index=None))
    with pytest.raises(ValueError, match=r"test clips nowhere\.bvh are not in the pool"):
        split_pool(pool, ["nowhere.bvh"])
    with pytest.raises(ValueError, match="one part would be empty"):
        split_pool(pool, pool.metadata["clips"])
    with pytest.raises(ValueError, match=r"no clip is named like 'swim'"):
        match_clips(pool.metadata["clips"], ["swim"])
    with pytest.raises(ValueError, match=r"test fraction 1\.5, expected 0 to 1"):
        is_test_clip("01_01.amc", fraction=1.5)
