"""The one-euro filter against a reference that follows the paper's algorithm number by number."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mion_plugin.inference.one_euro import OneEuro, RotationFilter, VectorFilter

RATE = 30.0


class Reference:
    """Casiez et al. 2012, algorithm 1, for one number."""

    def __init__(self, min_cutoff, beta, derivative_cutoff=1.0):
        self.min_cutoff, self.beta, self.derivative_cutoff = min_cutoff, beta, derivative_cutoff
        self.value = None
        self.slope = 0.0

    @staticmethod
    def alpha(period, cutoff):
        return 1.0 / (1.0 + (1.0 / (2.0 * math.pi * cutoff)) / period)

    def __call__(self, new, period):
        if self.value is None:
            self.value = new
            return new
        slope_share = self.alpha(period, self.derivative_cutoff)
        self.slope = slope_share * (new - self.value) / period + (1 - slope_share) * self.slope
        share = self.alpha(period, self.min_cutoff + self.beta * abs(self.slope))
        self.value = share * new + (1 - share) * self.value
        return self.value


def signal(num_samples=200, seed=0):
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.uniform(0.5, 1.5, num_samples)) / RATE
    return np.sin(3 * time) + rng.normal(scale=0.05, size=num_samples), np.diff(time, prepend=0)


@pytest.mark.parametrize(("min_cutoff", "beta"), [(1.0, 0.0), (0.3, 2.0), (5.0, 0.5)])
def test_numbers_are_filtered_as_the_paper_does(min_cutoff, beta):
    values, periods = signal()
    reference, follow = Reference(min_cutoff, beta), VectorFilter(OneEuro(min_cutoff, beta))
    for value, period in zip(values, periods, strict=True):
        assert follow(np.array([value]), period)[0] == pytest.approx(reference(value, period), abs=1e-12)


@pytest.mark.parametrize(("min_cutoff", "beta"), [(1.0, 0.0), (0.3, 2.0)])
def test_turns_about_one_axis_are_filtered_as_their_angle(min_cutoff, beta):
    values, periods = signal(seed=1)
    axis = np.array([0.6, 0.0, -0.8])
    start = Rotation.from_rotvec([0.3, 1.0, -0.2])
    reference, follow = Reference(min_cutoff, beta), RotationFilter(OneEuro(min_cutoff, beta))
    for value, period in zip(2 * values, periods, strict=True):
        found = start.inv() * Rotation.from_matrix(
            follow((start * Rotation.from_rotvec(value * axis)).as_matrix(), period)
        )
        np.testing.assert_allclose(found.as_rotvec(), reference(value, period) * axis, atol=1e-9)


def filter_one_by_one(rotations, periods, min_cutoff, beta):
    """SO(3) sample by sample with scipy: the step's rotation vector in the place of the difference."""
    filtered, slope, results = None, np.zeros(3), []
    for rotation, period in zip(rotations, periods, strict=True):
        if filtered is None:
            filtered = rotation
        else:
            step = (filtered.inv() * rotation).as_rotvec()
            slope_share = Reference.alpha(period, 1.0)
            slope = slope_share * step / period + (1 - slope_share) * slope
            filtered = filtered * Rotation.from_rotvec(
                Reference.alpha(period, min_cutoff + beta * math.sqrt(slope @ slope)) * step
            )
        results.append(filtered.as_matrix())
    return np.stack(results)


def test_every_joint_is_filtered_by_itself_on_so3():
    rng = np.random.default_rng(2)
    walks = np.cumsum(rng.normal(scale=0.2, size=(80, 4, 3)), axis=0)
    periods = rng.uniform(0.5, 1.5, 80) / RATE
    rotations = Rotation.from_rotvec(walks.reshape(-1, 3)).as_matrix().reshape(80, 4, 3, 3)
    follow = RotationFilter(OneEuro(0.8, 0.7))
    found = np.stack([follow(one, period) for one, period in zip(rotations, periods, strict=True)])
    for joint in range(4):
        expected = filter_one_by_one(Rotation.from_rotvec(walks[:, joint]), periods, 0.8, 0.7)
        np.testing.assert_allclose(found[:, joint], expected, atol=1e-9)
    np.testing.assert_allclose(found @ found.swapaxes(-1, -2), np.broadcast_to(np.eye(3), found.shape), atol=1e-12)


def test_the_result_does_not_depend_on_the_axes():
    rng = np.random.default_rng(3)
    points, turn = np.cumsum(rng.normal(size=(50, 3)), axis=0), Rotation.from_rotvec([1.0, -0.4, 0.3])
    one, other = (VectorFilter(OneEuro(0.5, 1.0)) for _ in range(2))
    for point in points:
        np.testing.assert_allclose(turn.apply(one(point, 1 / RATE)), other(turn.apply(point), 1 / RATE), atol=1e-9)


def test_steady_at_rest_and_quick_in_movement():
    """What a fixed cut-off cannot be at once."""
    rng = np.random.default_rng(4)
    still = rng.normal(scale=0.03, size=300)
    swing = 1.5 * np.sin(2 * np.pi * np.arange(300) / RATE)  # 9 radians a second
    adaptive, slow = (VectorFilter(OneEuro(1.0, beta)) for beta in (1.0, 0.0))
    at_rest = np.array([adaptive(np.array([value]), 1 / RATE)[0] for value in still])
    assert at_rest[30:].std() < 0.5 * still.std()
    adaptive = VectorFilter(OneEuro(1.0, 1.0))
    errors = [
        np.abs([float(follow(np.array([value]), 1 / RATE)[0] - value) for value in swing])[30:].mean()
        for follow in (adaptive, slow)
    ]
    assert errors[0] < 0.35 * errors[1]


@pytest.mark.parametrize("arguments", [(0.0, 1.0), (-1.0, 0.0), (math.inf, 0.0), (1.0, -0.1), (1.0, math.nan)])
def test_bad_settings(arguments):
    with pytest.raises(ValueError, match="expected a positive number of Hz and at least 0"):
        OneEuro(*arguments)
