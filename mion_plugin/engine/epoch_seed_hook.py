"""Randomness that depends on the epoch or iteration alone: a resumed training goes on as if it had never stopped."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from mion_plugin.registry import HOOKS

if TYPE_CHECKING:  # the runner imports half of mmengine, which importing this package should not
    from mmengine.runner import Runner


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed Python's, numpy's and torch's generators at the start of every training epoch.

    A training by iterations (``by_epoch=False``), which is one epoch, is seeded at every iteration. The seed is made of
    the run's seed, the epoch, the iteration if it is by iterations, and the rank. mmengine restores weights, optimiser
    and schedules, but not what dropout and the choice of training candidates draw from, and a validation in between
    draws too. With this hook a run that stopped after an epoch and was resumed ends with the weights of an
    uninterrupted one, bit for bit on a CPU; one by iterations, too, with data whose augmentation depends on the epoch
    (``mion.EpochSampler``).
    """

    priority = "VERY_HIGH"  # before any hook that draws

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed the generators."""
        _seed(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed them again before the first step, and in a training by iterations before each.

        A data loader that starts workers draws a number for them. In a resumed run that is every loader; in an
        uninterrupted one with ``persistent_workers`` only that of the first epoch.
        """
        if _by_iterations(runner):
            _seed(runner, batch_idx)
        elif batch_idx == 0:
            _seed(runner)


def _by_iterations(runner: Runner) -> bool:
    from mmengine.runner import IterBasedTrainLoop  # as the runner: imports half of mmengine

    return isinstance(runner.train_loop, IterBasedTrainLoop)


def _seed(runner: Runner, *iteration: int) -> None:
    sequence = np.random.SeedSequence([runner.seed, runner.epoch, *iteration, get_rank()])
    seed = int(sequence.generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # libraries draw from the global generator
    torch.manual_seed(seed)
