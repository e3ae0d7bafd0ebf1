"""A selector that searches a part of the pool at a time."""

from dataclasses import replace

import pytest
import torch
from support.stick_pool import make_keypoints

from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelector, PartialSelector


@pytest.fixture(scope="module")
def pool(stick_pool):
    return stick_pool


@pytest.fixture
def keypoints2d(pool):
    return make_keypoints(pool, 4)


def part_of(pool, part, parts):
    clips = None if pool.clip_index is None else pool.clip_index[part::parts]
    return replace(
        pool, body_pose=pool.body_pose[part::parts], keypoints3d=pool.keypoints3d[part::parts], clip_index=clips
    )


def test_each_call_searches_one_part_as_a_selector_would(pool, keypoints2d):
    partial = PartialSelector(parts=3, pool=pool, num_candidates=2)
    expected = [CandidateSelector(pool=part_of(pool, part, 3), num_candidates=2)(keypoints2d).pose for part in range(3)]
    torch.manual_seed(0)
    found = [partial(keypoints2d).pose for _ in range(30)]
    seen = [next(part for part in range(3) if torch.equal(pose, expected[part])) for pose in found]
    assert set(seen) == {0, 1, 2}


def test_one_part_is_the_whole_selector(pool, keypoints2d):
    whole = CandidateSelector(pool=pool, num_candidates=3)
    partial = PartialSelector(parts=1, pool=pool, num_candidates=3)
    assert torch.equal(partial(keypoints2d).pose, whole(keypoints2d).pose)
    assert (partial.camera, partial.keypoints2d_convention) == (whole.camera, whole.keypoints2d_convention)


def test_the_number_of_candidates_is_that_of_every_part(pool, keypoints2d):
    partial = PartialSelector(parts=3, pool=pool, num_candidates=2)
    partial.keep(4)
    assert partial.num_candidates == 4
    for part in partial.parts:
        assert part(keypoints2d).transl.shape == (4, 4, 3)
    with pytest.raises(ValueError, match="num_candidates is 0, expected 1 to"):
        partial.keep(0)


def test_it_checks_the_body_as_a_selector_does():
    partial = PartialSelector(parts=4)
    partial.check_body(SMPLBody(), "network")


@pytest.mark.parametrize("parts", [0, 10**6])
def test_parts_out_of_range(pool, parts):
    with pytest.raises(ValueError, match=f"parts is {parts}, expected 1 to"):
        PartialSelector(parts=parts, pool=pool)
