import numpy as np
import pytest

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.inference.tracking import KeypointTracker, similarity


def person(x, y=0.0, seed=0):
    """Someone of 100 x 100 pixels whose corner is at (x, y)."""
    keypoints2d = np.ones((17, 3))
    keypoints2d[:, :2] = np.random.default_rng(seed).random((17, 2)) * 100.0
    keypoints2d[:2, :2] = [[0, 0], [100, 100]]
    keypoints2d[:, :2] += [x, y]
    return CocoPerson(keypoints2d, np.array([x, y, 100.0, 100.0]))


def test_numbers_follow_people_who_move_and_change_places_in_the_list():
    tracker = KeypointTracker()
    assert tracker([person(0, seed=1), person(300, seed=2)], 0) == [0, 1]
    for frame in range(1, 35):  # they meet at frame 19
        people = [person(300 - 8 * frame, seed=2), person(8 * frame, seed=1)]
        assert tracker(people, frame) == [1, 0]


@pytest.mark.parametrize("stopped", [0, 9, 17])
def test_who_passes_behind_another_keeps_the_number(stopped):
    """One is hidden for five frames where they meet; also of a run that was stopped before, or then."""
    tracker = KeypointTracker()
    for frame in range(36):
        hidden = 16 <= frame <= 20
        people = [person(10 * frame, seed=1)] + [person(360 - 10 * frame, seed=1)] * (not hidden)
        numbers = list(range(len(people)))
        if frame < stopped:
            tracker.recall({number: one.keypoints2d for number, one in zip(numbers, people, strict=True)}, frame)
        else:
            assert tracker(people, frame) == numbers


def test_someone_new_and_someone_back_after_a_gap():
    tracker = KeypointTracker(max_gap=3)
    assert tracker([person(0)], 0) == [0]
    assert tracker([person(500), person(5)], 1) == [1, 0]
    assert tracker([], 2) == []
    assert tracker([person(20)], 4) == [0]
    assert tracker([person(500)], 5) == [2]  # number 1 was last seen four frames ago


def test_more_frames_a_second_are_no_shorter_absence():
    for rate, absent, number in ((None, 15, 0), (30, 16, 1), (60, 30, 0), (60, 31, 1), (5, 15, 0)):
        tracker = KeypointTracker(frame_rate=rate)
        assert tracker([person(0)], 0) == [0]
        assert tracker([person(0)], absent) == [number]


def test_people_before_each_other_are_told_apart_by_their_keypoints():
    tracker = KeypointTracker()
    assert tracker([person(0, seed=1), person(0, seed=2)], 0) == [0, 1]
    assert tracker([person(2, seed=2), person(2, seed=1)], 1) == [1, 0]


def test_the_most_similar_pair_first():
    """The second is nearer to where the first was than the first itself is now."""
    tracker = KeypointTracker()
    tracker([person(0)], 0)
    assert tracker([person(30), person(2)], 1) == [1, 0]


def test_one_without_keypoints_is_like_nobody():
    tracker, nothing = KeypointTracker(), CocoPerson(np.zeros((17, 3)), np.ones(4))
    assert tracker([nothing], 0) == [0]
    assert tracker([nothing, person(0)], 1) == [1, 2]


def test_a_guess_far_away_makes_nobody_another_person():
    sound, guessed = person(0).keypoints2d, person(0).keypoints2d
    guessed[5] = 5000.0, 5000.0, 0.05
    for one, other in ((sound, guessed), (guessed, sound)):
        assert similarity(one, other) == pytest.approx((16 / 17 + 1) / 2, abs=1e-6)


def test_similarity_by_hand():
    """Boxes shifted by a quarter overlap by 75 / 125; no keypoint is near its own."""
    assert similarity(person(0).keypoints2d, person(0).keypoints2d) == pytest.approx(1.0)
    moved = similarity(person(25).keypoints2d, person(0).keypoints2d)
    assert 0.3 < moved < 0.3 + 0.5
    assert similarity(person(1000).keypoints2d, person(0).keypoints2d) == 0.0


@pytest.mark.parametrize("arguments", [{"min_similarity": 0.0}, {"min_similarity": 1.5}, {"max_gap": 0}])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=r"expected a number in 0\.\.1 and at least 1"):
        KeypointTracker(**arguments)
