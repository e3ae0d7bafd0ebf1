"""Synthetic samples made on the fly, as an mmengine-style dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.pool import DEFAULT_POOL, load_pool
from mion_plugin.candidates.splits import TEST_FRACTION, match_clips, split_pool
from mion_plugin.datasets.randomness import Epoch, sample_generator
from mion_plugin.geometry.camera import IMAGE_SIZE
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.registry import DATASETS, MODELS
from mion_plugin.renamed_options import nest_options
from mion_plugin.synthesis.bodies import BodySettings, PoseSource
from mion_plugin.synthesis.recipes import find_recipe, read_looks
from mion_plugin.synthesis.synthesizer import CONVENTION, Synthesizer

SPLITS = ("train", "test", "all")
# name in version 0.1 -> where the option is now
_RENAMED_POSES = {name: ("poses", name) for name in ("pool", "test_clips", "test_fraction", "split_seed")}
RENAMED_LOOKS = {name: ("looks", name) for name in ("backgrounds", "skins", "degradation")}


@DATASETS.register_module()
class SURREALSynthesisDataset(torch.utils.data.Dataset):
    """Pictures of dressed bodies in SURREAL's manner (Varol et al. 2017), made when they are asked for.

    Samples carry the keys of ``HumanDataset``, and the picture itself: ``img`` (S, S, 3) uint8 RGB, ``ori_shape`` and
    ``img_transform``, so that the same pipelines follow, without ``LoadImageFromFile``. The whole picture is the crop.

    Sample i is the same in any worker, batch or process. With ``fresh_samples`` and ``mion.EpochSampler`` each epoch
    has new ones.

    Args:
        num_samples: Length of an epoch.
        split: ``train`` or ``test``, poses of the training or test clips (see ``split_pool``); ``all``.
        poses: Where poses come from, arguments of ``pose_source``: ``pool``, ``test_clips``, ``test_fraction``,
            ``split_seed``.
        looks: How the pictures look, arguments of ``read_looks``: ``recipe``, which is ``plain`` (default),
            ``training`` or ``harsh`` and says the rest, the camera's pitch and roll included; ``backgrounds``, a name
            or a folder of images, e.g. LSUN's; ``skins``, a name or a folder of skin textures for the stand-in's UVs;
            ``degradation``, arguments of ``Degradation``.
        seed: Seed of the samples.
        image_size: Side of the picture in pixels.
        body: Config of a ``SMPLBody`` (or one); None for the free stand-in.
        settings: Arguments of ``BodySettings``, before the recipe's. Test poses are not perturbed unless this says so.
        detected_noise: Pixels; ``keypoints2d_input`` then has a detector's errors.
        keypoints2d_convention: As in ``HumanDataset``.
        keypoints3d_convention: As in ``HumanDataset``.
        fresh_samples: Draw new samples in every epoch.
        pictures: False leaves the images black, for whoever wants the people's keypoints alone
            (``CandidatePairDataset``).
        pipeline: Transforms, configs or callables.
        **renamed: Entries of ``poses`` and ``looks`` as version 0.1 had them, beside the others.

    Raises:
        ValueError: An unknown split, a number out of range, a pool that does not know its clips.
        FileNotFoundError: A file or folder is missing.
    """

    def __init__(
        self,
        num_samples: int,
        split: str = "train",
        poses: Mapping[str, Any] | None = None,
        looks: Mapping[str, Any] | None = None,
        seed: int = 0,
        image_size: int = IMAGE_SIZE,
        body: dict | SMPLBody | None = None,
        settings: Mapping[str, Any] | None = None,
        detected_noise: float | None = None,
        keypoints2d_convention: str = "coco",
        keypoints3d_convention: str = "h36m",
        fresh_samples: bool = False,
        pictures: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        **renamed: Any,
    ) -> None:
        if num_samples < 1:
            raise ValueError(f"num_samples {num_samples}, expected at least 1")
        self._num_samples = num_samples
        given = {"poses": poses or {}, "looks": looks or {}}
        nested = nest_options("mion.SURREALSynthesisDataset", {**_RENAMED_POSES, **RENAMED_LOOKS}, renamed, given)
        self.synthesizer = Synthesizer(
            pose_source(split=split, **nested["poses"]),
            seed=seed,
            image_size=image_size,
            body=MODELS.build(body) if isinstance(body, Mapping) else body,
            settings=body_settings(split, settings, nested["looks"].get("recipe", "plain")),
            detected_noise=detected_noise,
            **read_looks(**nested["looks"]),
        )
        self.dataset_name = f"synthesis_{split}"
        self._conventions = {
            "keypoints2d_convention": keypoints2d_convention,
            "keypoints3d_convention": keypoints3d_convention,
        }
        self.seed = seed
        self.pipeline = Compose(list(pipeline))
        self._epoch = Epoch()
        self._fresh_samples, self._pictures = fresh_samples, pictures

    @property
    def metainfo(self) -> dict[str, Any]:
        """Name and keypoint conventions."""
        return {"dataset_name": self.dataset_name, **self._conventions}

    def full_init(self) -> None:
        """Nothing is left to load, as mmengine's ``ConcatDataset`` asks of each of its sets."""

    def __len__(self) -> int:
        return self._num_samples

    def set_epoch(self, epoch: int) -> None:
        """Called by ``mion.EpochSampler``: new augmentation, and with ``fresh_samples`` new samples."""
        self._epoch.set(epoch)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Sample ``idx`` before the pipeline.

        Raises:
            IndexError: ``idx`` outside the data set.
        """
        if not -len(self) <= idx < len(self):
            raise IndexError(f"sample {idx}, expected 0 to {len(self) - 1}")
        idx %= len(self)
        epoch = (self._epoch.get() or 0) if self._fresh_samples else 0
        sample = self.synthesizer.sample(epoch * len(self) + idx, self._pictures)
        gender = self.synthesizer.body.gender
        return {
            **human_sample(sample, gender, **self._conventions),
            "dataset_name": self.dataset_name,
            "sample_idx": idx,
        }

    def __getitem__(self, idx: int) -> Any:
        """Sample ``idx`` after the pipeline."""
        return self.fetch(idx, sample_generator(self.seed, self._epoch, idx % len(self)))

    def fetch(self, idx: int, rng: np.random.Generator) -> Any:
        """Sample ``idx`` after the pipeline, augmented by ``rng``."""
        return self.pipeline({**self.get_data_info(idx), "rng": rng})


def human_sample(
    sample: dict[str, Any], gender: str, keypoints2d_convention: str, keypoints3d_convention: str
) -> dict[str, Any]:
    """A ``Synthesizer`` sample of a body model of that gender under the keys of ``HumanDataset``."""
    size = sample["image"].shape[0]
    keypoints2d = convert_keypoints(sample["keypoints2d"], CONVENTION, keypoints2d_convention)[0]
    detected = sample.get("keypoints2d_detected", sample["keypoints2d"])
    return {
        "img": sample["image"],
        "ori_shape": (size, size),
        "img_transform": np.eye(3),
        "image_path": "",
        "bbox_xywh": np.array([0, 0, size, size, 1], np.float32),
        "center": np.full(2, size / 2, np.float32),
        "scale": np.full(2, size, np.float32),
        "keypoints2d": keypoints2d,
        "keypoints2d_input": convert_keypoints(detected, CONVENTION, keypoints2d_convention)[0],
        "keypoints3d": convert_keypoints(sample["keypoints3d"], CONVENTION, keypoints3d_convention)[0],
        "keypoints2d_convention": keypoints2d_convention,
        "keypoints3d_convention": keypoints3d_convention,
        "smpl_body_pose": sample["pose"][1:],
        "smpl_global_orient": sample["pose"][0],
        "smpl_betas": sample["betas"],
        "smpl_transl": sample["transl"],
        "smpl_pelvis": sample["pelvis"],
        "has_keypoints2d": 1,
        "has_keypoints3d": 1,
        "has_smpl": 1,
        "has_transl": 1,
        "gender": gender,
        "cam_intrinsics": sample["cam_intrinsics"],
    }


def pose_source(
    pool: str | os.PathLike[str] | None = None,
    split: str = "train",
    test_clips: Sequence[str] | None = None,
    *,
    split_seed: int = 0,
    test_fraction: float = TEST_FRACTION,
) -> PoseSource:
    """The poses of a pool's split.

    Args:
        pool: Candidate pool whose poses are drawn; None for the one that comes with the package.
        split: ``train``, ``test`` or ``all``.
        test_clips: Names, or parts of names, of the test clips; None for the default split.
        split_seed: Seed of the default split.
        test_fraction: Share of the recordings in the default split's test part.

    Raises:
        ValueError: An unknown split, or a pool that cannot be split.
        FileNotFoundError: No such pool.
    """
    if split not in SPLITS:
        raise ValueError(f"split {split!r}, expected one of {', '.join(SPLITS)}")
    candidate_pool = load_pool(pool or DEFAULT_POOL)
    if split == "all":
        return PoseSource.from_pool(candidate_pool)
    chosen = None if test_clips is None else match_clips(candidate_pool.metadata.get("clips", []), test_clips)
    train, test = split_pool(candidate_pool, chosen, seed=split_seed, fraction=test_fraction)
    return PoseSource.from_pool(train if split == "train" else test)


def body_settings(split: str, settings: Mapping[str, Any] | None = None, recipe: str = "plain") -> BodySettings:
    """How bodies vary in a split: test poses are exactly those of the recordings.

    Args:
        split: ``train``, ``test`` or ``all``.
        settings: Arguments of ``BodySettings`` that replace the others.
        recipe: Whose camera it is; see ``read_looks``.

    Raises:
        ValueError: A setting out of range, or of another name; an unknown recipe.
    """
    default = BodySettings().unperturbed() if split == "test" else BodySettings()
    try:
        return BodySettings(**{**default.__dict__, **find_recipe(recipe).bodies, **(settings or {})})
    except TypeError as error:
        raise ValueError(f"body settings {dict(settings or {})}: {error}") from error
