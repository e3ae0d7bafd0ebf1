"""Synthetic people made on the fly, as an mmhuman3d data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmhuman3d.data.datasets.human_image_dataset import HumanImageDataset
from torch import Tensor

from mion_plugin.evaluation.errors import MILLIMETRES, evaluation_joints
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.hosts.mmhuman3d.batches import KEYPOINTS2D_CONVENTION
from mion_plugin.synthesis.dataset import SURREALSynthesisDataset

_NAME = "synthesis"


class SynthesisImageDataset(HumanImageDataset):
    """``mion.SURREALSynthesisDataset`` with the samples and the ``evaluate`` of mmhuman3d's ``HumanImageDataset``.

    The whole picture is the crop. mmhuman3d's pipelines follow, without ``LoadImageFromFile``. Every epoch has the same
    samples: mmhuman3d does not tell a data set the epoch.

    Args:
        pipeline: Of mmhuman3d's PIPELINES.
        num_samples: See ``mion.SURREALSynthesisDataset``.
        convention: Of ``keypoints2d`` and ``keypoints3d``.
        test_mode: As in ``HumanImageDataset``.
        **options: See ``mion.SURREALSynthesisDataset``.

    Raises:
        ValueError: See ``mion.SURREALSynthesisDataset``; or ``fresh_samples``, which need the epoch.
    """

    ALLOWED_METRICS = frozenset({"mpjpe", "pa-mpjpe", "pve", "3dpck", "pa-3dpck", "3dauc", "pa-3dauc"})

    def __init__(
        self,
        pipeline: Sequence[Mapping[str, Any]],
        num_samples: int,
        convention: str = "human_data",
        test_mode: bool = False,
        **options: Any,
    ) -> None:
        if options.get("fresh_samples"):
            raise ValueError("fresh_samples is True, but mmhuman3d does not tell the epoch; raise num_samples instead")
        self.synthesis = SURREALSynthesisDataset(
            num_samples, keypoints2d_convention=convention, keypoints3d_convention=convention, **options
        )
        super().__init__("", list(pipeline), _NAME, convention=convention, test_mode=test_mode)

    def load_annotations(self) -> None:
        """There is no file: the samples are made when they are asked for."""
        self.human_data = self.cache_reader = None
        self.num_data = len(self.synthesis)

    def prepare_raw_data(self, idx: int) -> dict[str, Any]:
        """Sample ``idx`` before the pipeline: the keys of ``HumanImageDataset``, and the picture, BGR as there."""
        info = self.synthesis.get_data_info(idx)
        detected = convert_keypoints(info["keypoints2d_input"], self.convention, KEYPOINTS2D_CONVENTION)[0]
        return {
            **info,
            "img": np.ascontiguousarray(info["img"][..., ::-1]),
            "img_prefix": None,
            "image_path": f"{_NAME}/{idx:06d}",
            "dataset_name": self.dataset_name,
            "sample_idx": idx,
            "keypoints2d_input": detected,
        }

    def _parse_result(
        self, res: Mapping[str, Any], mode: str = "keypoint", body_part: str | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predicted and true points (N, K, 3) in millimetres and which count (N, K); called by ``evaluate``.

        True joints and vertices are those of the SMPL body in the picture, as 3DPW's in mmhuman3d.
        """
        pose, betas = self._true_bodies()
        body = self.synthesis.synthesizer.body
        with torch.no_grad():
            if mode == "vertice":
                predicted = body(torch.tensor(np.stack(res["poses"])), torch.tensor(np.stack(res["betas"]))).vertices
                true = body(pose, betas).vertices
            else:
                predicted = evaluation_joints(torch.tensor(np.stack(res["keypoints"])))
                true = evaluation_joints(body.pose_keypoints(pose, betas, convention="h36m"))
        points = [MILLIMETRES * value.numpy() for value in (predicted, true)]
        return points[0], points[1], np.ones(points[1].shape[:2], dtype=bool)

    def _true_bodies(self) -> tuple[Tensor, Tensor]:
        """Pose (N, 24, 3) and betas (N, 10) of all samples."""
        pose, betas = [], []
        for idx in range(self.num_data):
            info = self.synthesis.get_data_info(idx)
            pose.append(np.vstack([info["smpl_global_orient"], info["smpl_body_pose"]]))
            betas.append(info["smpl_betas"])
        return torch.tensor(np.stack(pose)).float(), torch.tensor(np.stack(betas)).float()
