"""Exchanged sides in videos: put back, and never made where there were none."""

import itertools

import numpy as np
import pytest
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.geometry.keypoints import flip_permutation, keypoint_names
from mion_plugin.inference.side_swaps import LOOK_AHEAD, SideSwapGuard

NAMES, MIRRORED = keypoint_names("coco"), np.array(flip_permutation("coco"))
PARTS = {
    "all": NAMES,
    "head": [name for name in NAMES if "eye" in name or "ear" in name],
    "arms": [name for name in NAMES if any(joint in name for joint in ("shoulder", "elbow", "wrist"))],
    "forearms": [name for name in NAMES if "elbow" in name or "wrist" in name],
    "legs": [name for name in NAMES if any(joint in name for joint in ("hip", "knee", "ankle"))],
    "shanks": [name for name in NAMES if "knee" in name or "ankle" in name],
}
FRAMES = 60


@pytest.fixture(scope="module")
def turning():
    """Someone who walks on the spot and turns twice about the vertical: (60, 17, 3), 200 pixels tall."""
    body, pose, turns = SMPLBody(), torch.zeros(FRAMES, 24, 3), torch.linspace(0, 4 * torch.pi, FRAMES)
    stride = torch.sin(torch.arange(FRAMES) * 0.5)
    pose[:, 1, 0], pose[:, 2, 0] = 0.4 * stride, -0.4 * stride  # hips
    pose[:, 16, 1], pose[:, 17, 1] = 0.4 * stride, 0.4 * stride  # shoulders
    points = body.pose_keypoints(pose, torch.zeros(FRAMES, 10), convention="coco")
    x, y, z = points.unbind(-1)
    x = torch.cos(turns)[:, None] * x + torch.sin(turns)[:, None] * z
    pixels = torch.stack([300 + 120 * x, 200 - 120 * y, torch.ones_like(x)], dim=-1)
    return pixels.numpy()


def twisted():
    """Someone who turns the chest by 60 degrees against the hips, and back: shoulders and hips point opposite ways."""
    body, pose = SMPLBody(), torch.zeros(FRAMES, 24, 3)
    twist = torch.sin(torch.linspace(0, torch.pi, FRAMES)).clamp(min=0).sqrt() * torch.pi / 3
    pose[:, [3, 6, 9], 1] = twist[:, None] / 3
    x, y, z = body.pose_keypoints(pose, torch.zeros(FRAMES, 10), convention="coco").unbind(-1)
    x = 0.5 * x + 0.75**0.5 * z  # the hips seen from 60 degrees aside
    return torch.stack([300 + 120 * x, 200 - 120 * y, torch.ones_like(x)], dim=-1).numpy()


def walking_by(frame_rate):
    """Someone who walks by, seen from aside: 60 frames."""
    body, pose = SMPLBody(), torch.zeros(FRAMES, 24, 3)
    stride = torch.sin(2 * torch.pi * 0.9 * torch.arange(FRAMES) / frame_rate)
    pose[:, 1, 0], pose[:, 2, 0] = 0.45 * stride, -0.45 * stride  # hips
    pose[:, 16, 2], pose[:, 17, 2] = -1.2, 1.2  # arms down
    _, y, z = body.pose_keypoints(pose, torch.zeros(FRAMES, 10), convention="coco").unbind(-1)
    return torch.stack([300 + 120 * z, 200 - 120 * y, torch.ones_like(y)], dim=-1).numpy()


def noisy(track, pixels, seed=0):
    moved = track.copy()
    moved[..., :2] += np.random.default_rng(seed).normal(0, pixels, track[..., :2].shape)
    return moved


def swapped(track, part, frames):
    """The track with a part's sides exchanged in some frames."""
    order = np.where(np.isin(NAMES, PARTS[part]), MIRRORED, np.arange(17))
    given = track.copy()
    given[frames] = given[frames][:, order]
    return given


def guarded(track, look_ahead=LOOK_AHEAD, frames=None, frame_rate=None):
    """The track as the guard settles it, so many frames late."""
    guard, found = SideSwapGuard(frame_rate=frame_rate), []
    frames = list(range(len(track))) if frames is None else frames
    for position, keypoints2d in enumerate(track):
        guard.see(frames[position], 7, keypoints2d)
        if position >= look_ahead:
            found.append(guard.settle(frames[position - look_ahead], 7))
    for position in range(len(found), len(track)):
        found.append(guard.settle(frames[position], 7))
    return np.stack([keypoints2d[order] for keypoints2d, order in zip(track, found, strict=True)])


@pytest.mark.parametrize(("pixels", "seed"), [(0.0, 0), (1.0, 0), (1.0, 1), (2.0, 3)])
def test_a_turning_person_is_left_alone(turning, pixels, seed):
    track = noisy(turning, pixels, seed)
    np.testing.assert_array_equal(guarded(track), track)


def test_a_twisted_trunk_is_left_alone():
    """Hips and shoulders that point opposite ways are no exchange where everything moves evenly; one is put back."""
    track = noisy(twisted(), 1.0)
    across = [track[:, left] - track[:, left + 1] for left in (5, 11)]
    assert ((across[0] * across[1])[..., 0] < 0).sum() > 30
    np.testing.assert_array_equal(guarded(track), track)
    given = swapped(track, "all", range(20, 45))
    assert np.abs(guarded(given) - track).max() < 5  # pixels, of 200


@pytest.mark.parametrize(("frame_rate", "seed"), [(2.0, 0), (2.0, 1), (10.0, 0)])
def test_somebody_walks_by_at_few_frames_a_second(frame_rate, seed):
    """At 2 a second, the legs are elsewhere in each."""
    track = noisy(walking_by(frame_rate), 1.0, seed)
    np.testing.assert_array_equal(guarded(track, frame_rate=frame_rate), track)


@pytest.mark.parametrize("part", PARTS)
def test_every_exchange_is_put_back(turning, part):
    """Alone, in pairs and in runs, also in the first and last frame; where the sides coincide it does not matter."""
    bad = [0, 7, 15, 16, 24, 31, 32, 33, 34, 35, 46, 59]
    track = noisy(turning, 0.5)
    given = swapped(track, part, bad)
    assert np.abs(given - track).max() > 5
    assert np.abs(guarded(given) - track).max() < 3  # pixels, of 200


@pytest.mark.parametrize("seed", [0, 1])
def test_a_back_taken_for_a_front_longer_than_it_looks_ahead(turning, seed):
    """All sides at once, for three times as many frames as are seen ahead: no part is put back without the others."""
    track = noisy(turning, 1.0, seed)
    given = swapped(track, "all", range(20, 20 + 3 * LOOK_AHEAD))
    assert np.abs(guarded(given) - track).max() < 5  # pixels, of 200: only where the sides all but coincide


def test_two_parts_at_once_are_told_apart(turning):
    track = noisy(turning, 0.5)
    given = swapped(swapped(track, "legs", [10, 30]), "forearms", [30, 50])
    assert np.abs(guarded(given) - track).max() < 2.5


def test_who_is_missed_in_some_frames(turning):
    kept = [index for index in range(FRAMES) if index % 7 != 3]
    track = turning[kept]
    bad = [5, 20, 21, 40]
    assert np.abs(guarded(swapped(track, "all", bad), frames=kept) - track).max() < 2.5


def test_absent_keypoints_tell_nothing_and_are_not_moved(turning):
    track = turning.copy()
    for name in ("left_knee", "left_ankle", "left_hip_extra"):
        track[:, NAMES.index(name)] = 0.0
    np.testing.assert_array_equal(guarded(track), track)


def test_exchanged_throughout_is_how_somebody_looks(turning):
    mirrored = turning[:, MIRRORED]
    np.testing.assert_array_equal(guarded(mirrored), mirrored)


@pytest.mark.parametrize(("start", "bad"), [(0, [0]), (8, []), (20, [1, 2]), (33, [0, 3]), (40, [0, 1, 2, 3, 4])])
def test_the_choice_is_that_of_trying_all(turning, start, bad):
    """For the first frame of five, by every combination of the legs' states."""
    track = swapped(noisy(turning[start : start + 5], 1.0), "legs", bad)
    legs, shanks = (np.isin(NAMES, PARTS[part]) for part in ("legs", "shanks"))
    orders = [np.where(part, MIRRORED, np.arange(17)) for part in (np.zeros(17, bool), legs, shanks)]

    def unevenness(choice):
        places = np.stack([frame[orders[state]] for frame, state in zip(track, choice, strict=True)])[:, legs, :2]
        size = [max(np.ptp(frame[:, 0]), np.ptp(frame[:, 1])) for frame in track]
        for last in range(2, len(track)):
            away = np.linalg.norm(places[last] - 2 * places[last - 1] + places[last - 2], axis=-1)
            yield np.minimum(away / max(size[last - 2 : last + 1]), 0.3).mean()

    usual = np.median(list(unevenness([0] * len(track))))

    def against(frame, state):
        across = [
            frame[order][NAMES.index(f"left_{joint}"), :2] - frame[order][NAMES.index(f"right_{joint}"), :2]
            for joint, order in (("shoulder", orders[0]), ("hip_extra", orders[state]))
        ]
        longer, size = max(map(np.linalg.norm, across)), max(np.ptp(frame[:, 0]), np.ptp(frame[:, 1]))
        return max(-np.dot(*across), 0) / longer / size

    def cost(choice):
        turned = [against(frame, state) - against(frame, 0) for frame, state in zip(track, choice, strict=True)]
        return (
            sum(unevenness(choice))
            + sum(max(0.025 + turn, 0.006) for turn, state in zip(turned, choice, strict=True) if state)
            + 0.5 * usual * sum(one != other for one, other in itertools.pairwise(choice))
        )

    best = min(itertools.product(range(3), repeat=5), key=cost)
    guard = SideSwapGuard()
    for frame, keypoints2d in enumerate(track):
        guard.see(frame, 0, keypoints2d)
    assert guard.settle(0, 0)[legs].tolist() == orders[best[0]][legs].tolist()


@pytest.mark.parametrize("part", ["all", "legs"])
def test_what_an_earlier_run_settled_is_gone_on_with(turning, part):
    """Stopped before, amid and after a stretch of exchanged frames, with jitter to remember: the same orders."""
    given = swapped(noisy(turning[:40], 1.0), part, [7, *range(20, 28)])
    whole, orders = guarded(given), []
    assert np.abs(whole - given).max() > 5
    for stopped in (1, 2, 3, 20, 24, 28, 33):
        guard = SideSwapGuard()
        for frame in range(stopped):
            guard.recall(frame, 7, whole[frame])
        for position in range(stopped, 40 + LOOK_AHEAD):
            if position < 40:
                guard.see(position, 7, given[position])
            if position - LOOK_AHEAD >= stopped:
                orders.append((position - LOOK_AHEAD, guard.settle(position - LOOK_AHEAD, 7)))
    for frame, order in orders:
        np.testing.assert_array_equal(given[frame][order], whole[frame])


def test_bad_arguments():
    with pytest.raises(ValueError, match="swap_cost is 0, expected a positive number"):
        SideSwapGuard(swap_cost=0)
    with pytest.raises(ValueError, match="frame_rate is -1, expected a positive number"):
        SideSwapGuard(frame_rate=-1)
    guard = SideSwapGuard()
    guard.see(3, 0, np.ones((17, 3)))
    with pytest.raises(ValueError, match="frame 4 of person 0 is not the first that is open"):
        guard.settle(4, 0)
    assert guard.settle(3, 0).tolist() == list(range(17))
