"""Pictures of a test's results: ``tools/test.py --show-dir``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.constants import NEUTRAL
from mion_plugin.datasets.transforms.formatting import IMAGENET_MEAN, IMAGENET_STD, unnormalized
from mion_plugin.evaluation.points import PosedBodies
from mion_plugin.registry import HOOKS, MODELS
from mion_plugin.visualization.candidate_sheet import draw_body_columns
from mion_plugin.visualization.pictures import save_picture

if TYPE_CHECKING:  # see EpochSeedHook
    from mmengine.runner import Runner


@HOOKS.register_module()
class ResultPicturesHook(Hook):
    """Write one picture per sample: keypoints, candidate, refined and true body, each over the image and from the side.

    The candidate and the refined body are those of the chosen path; the true body is drawn where the sample has one, in
    the sample's gender.

    Args:
        out_dir: Folder.
        max_pictures: Stop after so many.
        body: Config of the ``SMPLBody``; for the true body its gender is replaced.
        focal_length: Pixels of a 224 crop.
        mean: Of the pipeline's normalisation.
        std: Likewise.
    """

    def __init__(
        self,
        out_dir: str,
        max_pictures: int = 100,
        body: Mapping[str, Any] | None = None,
        focal_length: float = 5000.0,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        if max_pictures < 1:
            raise ValueError(f"max_pictures is {max_pictures}, expected at least 1")
        self.out_dir = Path(out_dir)
        self.max_pictures = max_pictures
        config = {"type": "mion.SMPLBody", **(body or {})}
        self.body: SMPLBody = MODELS.build(config)
        self._true_bodies = PosedBodies(config)
        self.focal_length = focal_length
        self.mean, self.std = mean, std
        self._written = 0

    def before_test_epoch(self, runner: Runner) -> None:
        """Start counting anew."""
        self._written = 0

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[BaseDataElement] | None = None
    ) -> None:
        """Draw the batch."""
        for image, sample in zip(data_batch["inputs"], outputs or [], strict=False):
            if self._written >= self.max_pictures:
                return
            path = self.out_dir / f"{batch_idx:05d}_{self._written:04d}.png"
            save_picture(self.draw(image.cpu(), sample.cpu()), path)
            self._written += 1

    @torch.no_grad()
    def draw(self, image: Tensor, sample: BaseDataElement) -> np.ndarray:
        """The picture (H, W, 3) uint8 of one normalised image (3, S, S) and its data sample."""
        picture = unnormalized(image, self.mean, self.std)
        focal_length = self.focal_length * len(picture) / 224.0
        truth = sample.gt_body
        keypoints2d = truth.get("keypoints2d_input", truth.get("keypoints2d"))
        convention = sample.get("keypoints2d_convention", "coco")
        return draw_body_columns(
            picture,
            keypoints2d.numpy(),
            self._bodies(sample),
            self.body.faces,
            focal_length,
            scale=2,
            convention=convention,
        )

    def _bodies(self, sample: BaseDataElement) -> list[tuple[str, Tensor]]:
        """What is drawn of a sample, with its name: vertices (V, 3)."""
        chosen = int(sample.pred_bodies.get("selected", 0))
        if "candidates" in sample:
            paths = {"candidate": sample.candidates, "refined": sample.pred_bodies}
        else:  # a method without stage 1
            paths = {"prediction": sample.pred_bodies}
        bodies = [(name, self._pose(bodies, chosen)) for name, bodies in paths.items()]
        truth = sample.gt_body
        if int(truth.get("has_smpl", 0)) and int(truth.get("has_transl", 0)):
            pose = torch.cat([truth.smpl_global_orient.view(1, 3), truth.smpl_body_pose.view(23, 3)])
            genders = [sample.get("gender", NEUTRAL)]  # as the metrics have it
            posed = self._true_bodies.pose(pose[None], truth.smpl_betas[None], genders, vertices=True)
            bodies.append(("ground truth", posed.vertices[0] + truth.smpl_transl))  # type: ignore[index]
        return bodies

    def _pose(self, paths: BaseDataElement, chosen: int) -> Tensor:
        """Vertices (V, 3) of one path."""
        betas = paths.get("betas")
        return self.body(
            paths.pose[chosen].float(), None if betas is None else betas[chosen].float(), paths.transl[chosen].float()
        ).vertices
