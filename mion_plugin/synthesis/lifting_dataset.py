"""Bodies with detected keypoints and no pictures, in batches made on the fly: what lifting is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mion_plugin.body.depths import relative_depths
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.datasets.randomness import Epoch
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.parts import Part, build_part
from mion_plugin.registry import DATASETS
from mion_plugin.synthesis.body_batches import BodyBatches, place_in_crops
from mion_plugin.synthesis.dataset import body_settings, pose_source
from mion_plugin.synthesis.detector_errors import DetectorErrors, hidden_by_limbs
from mion_plugin.synthesis.read_depths import ReadDepths

CONVENTION = "coco"
_CONVENTION_3D = "h36m"


@DATASETS.register_module()
class LiftingDataset(torch.utils.data.Dataset):
    """Batches of bodies and of what a detector would find of them; nothing is rendered.

    An item is a whole batch, since drawing a thousand bodies at once takes little longer than drawing one. It is a
    function of (seed, epoch, index) alone, and has new bodies in every epoch. Give it to a data loader of
    ``batch_size=1`` with ``collate_fn=dict(type="mion.only_item")``.

    Args:
        num_batches: Length of an epoch.
        bodies_per_batch: B.
        split: As ``SURREALSynthesisDataset``.
        poses: As ``SURREALSynthesisDataset``.
        seed: Of the bodies.
        settings: Arguments of ``BodySettings``.
        errors: Arguments of ``DetectorErrors``.
        depths: Arguments of ``ReadDepths``: how well a picture would tell depths; None for no depths.
        body: The body model.
        focal_length: Pixels of the crop.
        image_size: Side of the crop in pixels.

    Raises:
        ValueError: A number out of range, or what ``pose_source`` raises.
    """

    def __init__(
        self,
        num_batches: int,
        bodies_per_batch: int,
        split: str = "train",
        poses: Mapping[str, Any] | None = None,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        errors: Mapping[str, Any] | None = None,
        depths: Mapping[str, Any] | None = None,
        body: Part | None = None,
        focal_length: float = FOCAL_LENGTH,
        image_size: int = IMAGE_SIZE,
    ) -> None:
        for name, value in (("num_batches", num_batches), ("bodies_per_batch", bodies_per_batch)):
            if value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        self.num_batches, self.bodies_per_batch, self.seed = num_batches, bodies_per_batch, seed
        self.bodies = BodyBatches(pose_source(split=split, **(poses or {})), body_settings(split, settings))
        self.errors = DetectorErrors(**(errors or {}))
        self.depths = None if depths is None else ReadDepths(**depths)
        self.body: SMPLBody = build_part(body, type="mion.SMPLBody")
        self.camera = CropCamera(focal_length, image_size)
        self._epoch = Epoch()

    @property
    def metainfo(self) -> dict[str, Any]:
        """Keypoint conventions."""
        return {"keypoints2d_convention": CONVENTION, "keypoints3d_convention": _CONVENTION_3D}

    def full_init(self) -> None:
        """Nothing is left to load, as mmengine's ``ConcatDataset`` asks of each of its sets."""

    def __len__(self) -> int:
        return self.num_batches

    def set_epoch(self, epoch: int) -> None:
        """Called by ``mion.EpochSampler``: other bodies."""
        self._epoch.set(epoch)

    @torch.no_grad()
    def __getitem__(self, index: int) -> dict[str, dict[str, Tensor]]:
        """Batch ``index``.

        Returns:
            ``inputs``: ``keypoints2d`` (B, 17, 3), detected, crop pixels and confidence; with ``depths`` also
            ``depths`` (B, 17, 2), see ``ReadDepths``. ``data_samples``: ``rotations`` (B, 24, 3, 3), ``betas``
            (B, 10), ``keypoints2d`` (B, 17, 3), the true pixels and 1, and ``keypoints3d`` (B, 17, 4) of h36m, metres
            in the camera frame and 1.

        Raises:
            IndexError: ``index`` outside the data set.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"batch {index}, expected 0 to {len(self) - 1}")
        batch = (self._epoch.get() or 0) * len(self) + index % len(self)
        generator = torch.Generator().manual_seed(_mixed(self.seed, batch))
        rotations, betas = self.bodies.draw(self.bodies_per_batch, generator)
        relative = self.body.pose_keypoints(rotations, betas, convention=CONVENTION)
        framed = self.errors.frame(len(relative), CONVENTION, generator)
        transl = place_in_crops(relative, framed, self.camera, self.bodies.settings, generator)
        placed = relative + transl[:, None]
        slopes = placed[..., :2] / placed[..., 2:]
        pixels = self.camera.focal_length * slopes + self.camera.image_size / 2.0
        size = self.camera.image_size
        detected = self.errors.detect(pixels, hidden_by_limbs(placed, slopes), size, CONVENTION, generator)
        inputs = {"keypoints2d": detected}
        if self.depths is not None:
            inputs["depths"] = self.depths.read(relative_depths(relative[..., 2], CONVENTION), generator)
        keypoints3d = self.body.pose_keypoints(rotations, betas, convention=_CONVENTION_3D)
        targets = {"keypoints2d": with_ones(pixels), "keypoints3d": with_ones(keypoints3d)}
        return {"inputs": inputs, "data_samples": {"rotations": rotations, "betas": betas, **targets}}


def with_ones(points: Tensor) -> Tensor:
    """Points (..., D) with a confidence of 1: (..., D + 1)."""
    return torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)


def _mixed(seed: int, batch: int) -> int:
    """A seed of 63 bits for a batch; those of neighbouring batches are unrelated."""
    return int(np.random.SeedSequence([seed, batch]).generate_state(1, np.uint64)[0] >> np.uint64(1))
