"""Depths of keypoints as something that reads pictures would state them, errors included."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ReadDepths:
    """Readings z' of true depths z whose stated errors are true.

    A good reader errs towards what it expects: its reading is the mean of z given what it sees, so the error z - z'
    does not depend on z'. Here z' = a z + noise with a = 1 - error^2 / spread^2, which is that for Gaussian depths.

    Attributes:
        known_prob: Probability that there is a reading at all.
        error: Least and largest stated error of a person's keypoints, metres, standard deviation.
        shared: Share of the errors' variance that all keypoints of a person have in common: a body that is read as
            facing the other way is wrong everywhere.
        spread: Standard deviation of keypoints' depths, metres.
    """

    known_prob: float = 0.5
    error: tuple[float, float] = (0.03, 0.2)
    shared: float = 0.4
    spread: float = 0.22

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError naming the setting."""
        for name in ("known_prob", "shared"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 to 1")
        if not 0 < self.error[0] <= self.error[1] < self.spread:
            raise ValueError(f"error is {self.error}, expected two numbers in order, above 0 and below {self.spread}")

    def read(self, depths: Tensor, generator: torch.Generator) -> Tensor:
        """(n, K, 2): readings of depths (n, K) in metres, and their precision, 1 / metres; zeros where there is none.

        The precision is one over the error's mean size, the scale of a Laplace distribution, as ``mion.DepthReader``
        states it.
        """
        count, num_keypoints = depths.shape

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator)

        low, high = self.error
        error = (low + (high - low) * uniform(count, 1)) * (0.7 + 0.6 * uniform(count, num_keypoints))
        error = error.clamp(max=0.95 * self.spread)
        kept = 1.0 - (error / self.spread).square()
        own = torch.randn(count, num_keypoints, generator=generator)
        common = torch.randn(count, 1, generator=generator) * (depths / self.spread).clamp(-1.5, 1.5)
        noise = (1.0 - self.shared) ** 0.5 * own + self.shared**0.5 * common
        reading = kept * depths + kept.sqrt() * error * noise
        known = uniform(count, 1) < self.known_prob
        mean_size = error * (2.0 / torch.pi) ** 0.5
        return torch.stack([reading, 1.0 / mean_size], dim=-1) * known[..., None]
