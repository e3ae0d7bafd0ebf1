"""Randomness of augmentation that depends on seed, epoch and position, not on workers or processes."""

from __future__ import annotations

import numpy as np
import torch

_NEVER_SET = -1


class Epoch:
    """The current epoch, shared with the data-loader workers, running ones included."""

    def __init__(self) -> None:
        self._value = torch.full((), _NEVER_SET, dtype=torch.int64).share_memory_()

    def set(self, epoch: int) -> None:
        """Set the epoch, 0 or more."""
        if epoch < 0:
            raise ValueError(f"epoch {epoch}, expected 0 or more")
        self._value.fill_(epoch)

    def get(self) -> int | None:
        """The epoch, or None if nobody set one."""
        value = int(self._value)
        return None if value == _NEVER_SET else value

    def __deepcopy__(self, memo: dict) -> Epoch:
        """The same epoch: copies and subsets of a dataset are trained on together."""
        return self


def sample_generator(seed: int, epoch: Epoch, index: int) -> np.random.Generator:
    """Generator for one sample.

    With the epoch set (``mion.EpochSampler`` does), a function of (seed, epoch, index) alone: the same for any number
    of workers and processes, and after a resume. Otherwise numpy's global generator adds its state, which mmengine
    seeds in each worker: reproducible for the same number of workers, and different in every epoch of a running worker.
    """
    current = epoch.get()
    if current is None:
        return np.random.default_rng([seed, index, *_host_words()])
    return np.random.default_rng([seed, current, index])


def results_generator(results: dict) -> np.random.Generator:
    """The generator that the dataset put under ``rng``, or, in a foreign pipeline, one seeded by numpy's global one."""
    if "rng" not in results:
        results["rng"] = np.random.default_rng(_host_words())
    return results["rng"]


def _host_words() -> list[int]:
    # the hosts seed numpy's global generator in every worker; a Generator cannot be had from them
    return np.random.randint(0, 2**32, size=4, dtype=np.uint64).tolist()  # noqa: NPY002
