"""The one-euro filter: a low-pass filter whose cut-off frequency rises with the speed of what it follows.

Casiez, Roussel and Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems",
CHI 2012, algorithm 1. At rest it is slow, so that nothing trembles; in a movement it is quick, so that nothing lags.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import roma
import torch

DERIVATIVE_CUTOFF = 1.0  # Hz, of the speed's own filter: the paper's choice


@dataclass(frozen=True)
class OneEuro:
    """The filter's two numbers.

    Attributes:
        min_cutoff: Hz, at rest; lower is steadier.
        beta: Hz per unit of speed (per radian or metre a second); higher lags less.

    Raises:
        ValueError: ``min_cutoff`` is not positive, or ``beta`` negative.
    """

    min_cutoff: float = 1.0
    beta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.min_cutoff < np.inf or not 0 <= self.beta < np.inf:
            raise ValueError(
                f"min_cutoff is {self.min_cutoff} and beta {self.beta}, expected a positive number of Hz and at least 0"
            )

    def share(self, speed: np.ndarray, seconds: float) -> np.ndarray:
        """How far, 0 to 1, the filtered value goes to the new one at a speed, after so many seconds."""
        return smoothing_factor(self.min_cutoff + self.beta * speed, seconds)


def smoothing_factor(cutoff: float | np.ndarray, seconds: float) -> np.ndarray:
    """The share of the new value in exponential smoothing with a cut-off frequency in Hz: 1 / (1 + 1 / (2 pi f T))."""
    turns = 2 * np.pi * np.asarray(cutoff, np.float64) * seconds
    return turns / (1 + turns)


class _Filter(ABC):
    """Algorithm 1 of the paper, for what has a difference and can go a part of the way."""

    def __init__(self, settings: OneEuro) -> None:
        self.settings = settings
        self.value: np.ndarray | None = None
        self._velocity: np.ndarray | float = 0.0

    def __call__(self, new: np.ndarray, seconds: float) -> np.ndarray:
        """The filtered values, ``seconds`` after the last; the first ones as they are."""
        new = np.asarray(new, np.float64)
        if self.value is None:
            self.value = new
            return new
        step = self._step(self.value, new)
        change = step / seconds - self._velocity
        self._velocity = self._velocity + smoothing_factor(DERIVATIVE_CUTOFF, seconds) * change
        speed = np.linalg.norm(self._velocity, axis=-1, keepdims=True)
        self.value = self._moved(self.value, self.settings.share(speed, seconds) * step)
        return self.value

    @staticmethod
    @abstractmethod
    def _step(last: np.ndarray, new: np.ndarray) -> np.ndarray:
        """(..., D) the way from the last value to a new one."""

    @staticmethod
    @abstractmethod
    def _moved(last: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Where a step (..., D) leads to."""


class VectorFilter(_Filter):
    """Filters points (..., D), each by its own speed.

    The paper filters numbers; here the speed is the length of the filtered velocity, so that the result does not depend
    on the axes.
    """

    @staticmethod
    def _step(last: np.ndarray, new: np.ndarray) -> np.ndarray:
        return new - last

    @staticmethod
    def _moved(last: np.ndarray, step: np.ndarray) -> np.ndarray:
        return last + step


class RotationFilter(_Filter):
    """Filters rotation matrices (..., 3, 3) on SO(3), each by its own angular speed.

    As ``VectorFilter``, with the rotation vector from the filtered rotation to the new one as the difference: the
    filtered rotation goes its share along the shorter arc, and the speed is that of the angular velocity in the turning
    frame. A movement about one axis is filtered as its angle would be.
    """

    @staticmethod
    def _step(last: np.ndarray, new: np.ndarray) -> np.ndarray:
        return roma.rotmat_to_rotvec(torch.from_numpy(last).mT @ torch.from_numpy(new)).numpy()

    @staticmethod
    def _moved(last: np.ndarray, step: np.ndarray) -> np.ndarray:
        turned = torch.from_numpy(last) @ roma.rotvec_to_rotmat(torch.from_numpy(step))
        return roma.special_gramschmidt(turned[..., :2]).numpy()  # rounding does not add up
