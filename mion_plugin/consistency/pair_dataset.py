"""The paper's training pairs: the picture of one candidate and the bodies of others (paper, 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.structures import BaseDataElement
from torch import nn

from mion_plugin.body.arrays import NUM_BETAS
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates import Candidates
from mion_plugin.datasets.randomness import Epoch
from mion_plugin.geometry.camera import IMAGE_SIZE
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.parts import build_at_camera, check_parts
from mion_plugin.registry import DATASETS, MODELS
from mion_plugin.renamed_options import nest_options
from mion_plugin.synthesis.bodies import MAX_BETA, PoseSource
from mion_plugin.synthesis.dataset import RENAMED_LOOKS, human_sample
from mion_plugin.synthesis.recipes import read_looks
from mion_plugin.synthesis.synthesizer import Synthesizer

_SELECTOR = MappingProxyType({"type": "mion.CandidateSelector"})
_PLACES = 2**31  # of the synthesiser's samples, whose looks are drawn


@DATASETS.register_module()
class CandidatePairDataset(torch.utils.data.Dataset):
    """Draws candidates of another set's samples; renders one, and returns others to compare the picture with.

    Only the keypoints of the wrapped set are used, so one without 3D labels will do: the truth is the candidate that
    was rendered. Its samples come as results of a pipeline that ends before ``Normalize``; this set's own pipeline
    follows, which must not move anything and ends with ``PackBodyInputs``.

    The packed sample's ``gt_body`` describes the rendered body, except ``keypoints2d_input``, which the candidates were
    selected by. ``candidates`` holds ``pose``, ``transl``, ``fit_loss`` and ``valid`` of the others; see
    ``provided_candidates``.

    Sample i is a function of (seed, epoch, i), if so is the wrapped set's.

    Args:
        dataset: Config of a set, or one: ``mion.SURREALSynthesisDataset``, ``mion.HumanDataset``.
        selector: A ``CandidateSelector``, whose camera defaults to that of the pictures.
        num_others: How many candidates to return. The paper: 1; more make a picture serve more pairs.
        betas_std: Standard deviation of the rendered body's betas. The paper's candidates have the mean shape (0).
        seed: Of the draws.
        image_size: Side of the crop and of the picture in pixels.
        body: See ``SURREALSynthesisDataset``.
        looks: See ``SURREALSynthesisDataset``.
        pipeline: Transforms, configs or callables.
        **renamed: Entries of ``looks`` as version 0.1 had them, beside the others.

    Raises:
        ValueError: A number out of range, a selector with too few candidates or another camera.
        FileNotFoundError: A file or folder is missing.
    """

    def __init__(
        self,
        dataset: Any,
        selector: Mapping[str, Any] | nn.Module = _SELECTOR,
        num_others: int = 1,
        betas_std: float = 0.0,
        seed: int = 0,
        image_size: int = IMAGE_SIZE,
        body: dict | SMPLBody | None = None,
        looks: Mapping[str, Any] | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **renamed: Any,
    ) -> None:
        if not 0 <= betas_std < np.inf:
            raise ValueError(f"betas_std is {betas_std}, expected a number not below 0")
        nested = nest_options("mion.CandidatePairDataset", RENAMED_LOOKS, renamed, {"looks": looks or {}})
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        self.synthesizer = Synthesizer(
            PoseSource(np.zeros((1, 23, 3), np.float32)),  # it draws no poses here
            seed=seed,
            image_size=image_size,
            body=MODELS.build(body) if isinstance(body, Mapping) else body,
            **read_looks(**nested["looks"]),
        )
        self.selector = build_at_camera(selector, self.synthesizer.camera)
        check_parts(selector=self.selector, synthesizer=self.synthesizer)
        if not 1 <= num_others < self.selector.num_candidates:
            raise ValueError(
                f"num_others is {num_others}, expected 1 to {self.selector.num_candidates - 1}, one less than the "
                "selector's num_candidates"
            )
        self.num_others, self.betas_std, self.seed = num_others, betas_std, seed
        self.pipeline = Compose(list(pipeline))
        self._epoch = Epoch()
        self.dataset_name = f"pairs_{self.dataset.dataset_name}"

    @property
    def metainfo(self) -> dict[str, Any]:
        """Name and keypoint conventions."""
        return {**self.dataset.metainfo, "dataset_name": self.dataset_name}

    def full_init(self) -> None:
        """Nothing is left to load, as mmengine's ``ConcatDataset`` asks of each of its sets."""

    def __len__(self) -> int:
        return len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Called by ``mion.EpochSampler``: new draws, and the wrapped set's own changes."""
        self._epoch.set(epoch)
        self.dataset.set_epoch(epoch)

    def __getitem__(self, idx: int) -> Any:
        """Sample ``idx`` after the pipeline.

        Raises:
            IndexError: ``idx`` outside the data set.
            ValueError: The wrapped set's samples have another crop, or no keypoints.
        """
        if not -len(self) <= idx < len(self):
            raise IndexError(f"sample {idx}, expected 0 to {len(self) - 1}")
        idx %= len(self)
        return self.fetch(idx, np.random.default_rng([self.seed, self._epoch.get() or 0, idx]))

    def fetch(self, idx: int, rng: np.random.Generator) -> Any:
        """Sample ``idx`` after the pipeline, everything drawn from ``rng``."""
        source = self._source(idx, rng)
        selection = self._select(source)
        order = rng.permutation(self.selector.num_candidates)[: self.num_others + 1]
        results = self._render(int(order[0]), selection, source, rng)
        packed = self.pipeline({**results, "rng": rng})
        others = torch.from_numpy(order[1:])
        packed["data_samples"].candidates = BaseDataElement(
            pose=selection.pose[0, others],
            transl=selection.transl[0, others],
            fit_loss=selection.fit_loss[0, others],  # type: ignore[index]
            valid=selection.valid[0],
        )
        return packed

    def _source(self, idx: int, rng: np.random.Generator) -> dict[str, Any]:
        """The wrapped set's sample."""
        source = self.dataset.fetch(idx, rng)
        if not isinstance(source, Mapping) or "keypoints2d" not in source:
            raise ValueError(
                f"{self.dataset.dataset_name}: sample {idx} has no keypoints2d; its pipeline must not pack"
            )
        size = source.get("crop_size", source["img"].shape[0])
        if size != self.synthesizer.image_size:
            raise ValueError(
                f"{self.dataset.dataset_name}: sample {idx} is a crop of {size} px, but image_size is "
                f"{self.synthesizer.image_size}"
            )
        return dict(source)

    def _select(self, source: dict[str, Any]) -> Candidates:
        """Stage 1, a batch of one."""
        convention = source["keypoints2d_convention"]
        keypoints2d = convert_keypoints(_input_keypoints(source), convention, self.selector.keypoints2d_convention)[0]
        return self.selector(torch.as_tensor(keypoints2d, dtype=torch.float32)[None])

    def _render(
        self, row: int, selection: Candidates, source: dict[str, Any], rng: np.random.Generator
    ) -> dict[str, Any]:
        """The results of a picture of candidate ``row``."""
        betas = np.clip(rng.normal(0.0, self.betas_std, NUM_BETAS), -MAX_BETA, MAX_BETA).astype(np.float32)
        pose, transl = selection.pose[0, row].numpy(), selection.transl[0, row].numpy()
        picture = self.synthesizer.render(int(rng.integers(_PLACES)), pose, betas, transl)
        conventions = {key: source[key] for key in ("keypoints2d_convention", "keypoints3d_convention")}
        return {
            **human_sample(picture, self.synthesizer.body.gender, **conventions),
            "keypoints2d_input": _input_keypoints(source),
            "image_path": source["image_path"],
            "sample_idx": source["sample_idx"],
            "dataset_name": self.dataset_name,
        }


def _input_keypoints(source: Mapping[str, Any]) -> np.ndarray:
    return source["keypoints2d_input"] if "keypoints2d_input" in source else source["keypoints2d"]
