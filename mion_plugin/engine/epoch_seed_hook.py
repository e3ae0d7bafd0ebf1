"""Randomness that depends on the epoch or iteration alone: a resumed training goes on as if it had never stopped."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from torch.utils.data import ConcatDataset

from mion_plugin.datasets.epoch_sampler import EpochSampler
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

    def before_train(self, runner: Runner) -> None:
        """Warn where a resumed training is not what it would have been: see ``_stopped_within`` and ``_is_told``."""
        if (problem := _stopped_within(runner)) is not None:
            runner.logger.warning(problem)
        loader = runner.train_dataloader
        if not _is_told(loader.dataset, getattr(loader.batch_sampler, "sampler", loader.sampler)):
            runner.logger.warning(
                f"nobody tells {type(loader.dataset).__name__} the epoch: samples and augmentation may be the same in "
                "every epoch, and others after a resume. Use the sampler mion.EpochSampler, and to repeat a set within "
                "an epoch mion.MixedDataset with num_samples"
            )

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


def _stopped_within(runner: Runner) -> str | None:
    """What a training by epochs has not done alike if it goes on from between two of them, or with other batches."""
    if _by_iterations(runner):
        return None
    steps = len(runner.train_dataloader)
    if runner.iter == runner.epoch * steps:
        return None
    return (
        f"the checkpoint is from step {runner.iter}, but {runner.epoch} epochs of {steps} steps have "
        f"{runner.epoch * steps}: it was written within an epoch, or with other batches. mmengine begins epoch "
        f"{runner.epoch + 1} anew and goes on with the schedules' old steps, so that learning rates fall too early or "
        "too late. Resume from the end of an epoch, with the same batches, or begin with load_from"
    )


def _is_told(dataset: Any, sampler: Any) -> bool:
    """Whether a data set that wants to know the epoch does; one in a wrapper that repeats it never does."""
    if hasattr(dataset, "set_epoch"):
        return isinstance(sampler, EpochSampler)
    inner = [*getattr(dataset, "datasets", ()), getattr(dataset, "dataset", None)]
    wanting = [part for part in inner if part is not None and not _is_told(part, None)]
    return not wanting or (isinstance(dataset, ConcatDataset) and all(_is_told(part, sampler) for part in wanting))


def _by_iterations(runner: Runner) -> bool:
    from mmengine.runner import IterBasedTrainLoop  # as the runner: imports half of mmengine

    return isinstance(runner.train_loop, IterBasedTrainLoop)


def _seed(runner: Runner, *iteration: int) -> None:
    sequence = np.random.SeedSequence([runner.seed, runner.epoch, *iteration, get_rank()])
    seed = int(sequence.generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # libraries draw from the global generator
    torch.manual_seed(seed)
