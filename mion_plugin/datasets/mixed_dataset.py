"""Several data sets drawn in fixed proportions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from mion_plugin.datasets.randomness import Epoch, sample_generator
from mion_plugin.registry import DATASETS


@runtime_checkable
class FetchableDataset(Protocol):
    """What ``MixedDataset`` asks of a set; ``HumanDataset`` and ``SURREALSynthesisDataset`` offer it."""

    dataset_name: str

    @property
    def metainfo(self) -> Mapping[str, Any]:
        """Meta information, such as keypoint conventions."""

    def __len__(self) -> int: ...

    def set_epoch(self, epoch: int) -> None:
        """Learn the epoch, 0 or more, before it starts."""

    def fetch(self, idx: int, rng: np.random.Generator) -> Any:
        """Sample ``idx`` after the set's pipeline, all augmentation drawn from ``rng``."""


Member = Mapping[str, Any] | FetchableDataset  # a config, or what would be built from it


@DATASETS.register_module()
class MixedDataset(torch.utils.data.Dataset):
    """Draws from several sets in given proportions, as SPIN's and mmhuman3d's class of that name.

    Position i of an epoch chooses a set at random by its ratio, then takes that set's sample (i + offset) mod its
    length, the offset being random for each set and epoch: no sample comes twice before the set is through.

    SPIN (Kolotouros et al. 2019, ``datasets/mixed_dataset.py``) takes 0.3 Human3.6M, 0.6 for LSP, MPII, LSPET and COCO
    together by their lengths, 0.1 MPI-INF-3DHP::

        datasets=[h36m, [lsp, mpii, lspet, coco], mpi_inf_3dhp], ratios=[0.3, 0.6, 0.1]

    Args:
        datasets: Configs of sets, or sets: ``HumanDataset``, ``SURREALSynthesisDataset``, or any other
            ``FetchableDataset``. A list among them is a group that shares one ratio by length.
        ratios: One for each entry of ``datasets``; positive, need not sum to 1.
        num_samples: Length of an epoch; default: of the longest set, as SPIN and mmhuman3d.
        seed: Seed of the draw and of the augmentation (the sets' own seeds are not used).

    Raises:
        ValueError: Ratios that do not fit, an empty set.
        TypeError: A set that is no ``FetchableDataset``.
    """

    def __init__(
        self,
        datasets: Sequence[Member | Sequence[Member]],
        ratios: Sequence[float],
        num_samples: int | None = None,
        seed: int = 0,
    ) -> None:
        if len(datasets) != len(ratios) or not datasets:
            raise ValueError(f"{len(datasets)} datasets and {len(ratios)} ratios, expected equally many and some")
        if not all(np.isfinite(ratio) and ratio > 0 for ratio in ratios):
            raise ValueError(f"ratios {list(ratios)}, expected positive numbers")
        groups = [_build_group(group) for group in datasets]
        self.datasets = [dataset for group in groups for dataset in group]
        self._lengths = np.array([len(dataset) for dataset in self.datasets])
        self.probabilities = _probabilities([[len(dataset) for dataset in group] for group in groups], ratios)
        self._num_samples = int(num_samples or self._lengths.max())
        self._seed = seed
        self._epoch = Epoch()

    @property
    def metainfo(self) -> Mapping[str, Any]:
        """Meta information of the first set."""
        return self.datasets[0].metainfo

    def full_init(self) -> None:
        """Nothing is left to load, as mmengine's ``ConcatDataset`` asks of each of its sets."""

    def __len__(self) -> int:
        return self._num_samples

    def set_epoch(self, epoch: int) -> None:
        """Let the draw and the augmentation of the coming epoch differ from those of others.

        The sets are told too: one that makes fresh samples needs to know. It makes those of its own length, so an epoch
        of more draws from it repeats them.
        """
        self._epoch.set(epoch)
        for dataset in self.datasets:
            dataset.set_epoch(epoch)

    def draw(self, position: int, rng: np.random.Generator) -> tuple[int, int]:
        """``(set, index in the set)`` for ``position`` of the current epoch."""
        chosen = int(rng.choice(len(self.datasets), p=self.probabilities))
        # the same offset for all positions of an epoch, hence not from the sample's own generator
        offset = np.random.default_rng([self._seed, self._epoch.get() or 0, chosen]).integers(self._lengths[chosen])
        return chosen, int((position + offset) % self._lengths[chosen])

    def __getitem__(self, position: int) -> Any:
        """The sample at ``position``, after its set's pipeline.

        Raises:
            IndexError: ``position`` outside the epoch.
        """
        if not 0 <= position < len(self):
            raise IndexError(f"position {position}, expected 0 to {len(self) - 1}")
        rng = sample_generator(self._seed, self._epoch, position)
        chosen, index = self.draw(position, rng)
        return self.datasets[chosen].fetch(index, rng)


def _build_group(group: Member | Sequence[Member]) -> list[FetchableDataset]:
    members: list[Any] = [group] if isinstance(group, (Mapping, FetchableDataset)) else list(group)
    built = [DATASETS.build(member) if isinstance(member, Mapping) else member for member in members]
    for dataset in built:
        if not isinstance(dataset, FetchableDataset):
            raise TypeError(
                f"MixedDataset mixes sets that offer fetch(idx, rng), set_epoch, dataset_name and metainfo, such as "
                f"HumanDataset and SURREALSynthesisDataset; got {type(dataset).__name__}"
            )
        if len(dataset) == 0:
            raise ValueError(f"dataset {dataset.dataset_name} is empty")
    return built


def _probabilities(lengths: Sequence[Sequence[int]], ratios: Sequence[float]) -> np.ndarray:
    """Probability of each set: its group's ratio, shared within the group by length."""
    shares = [ratio * np.array(group) / np.sum(group) for group, ratio in zip(lengths, ratios, strict=True)]
    return np.concatenate(shares) / np.sum(ratios)
