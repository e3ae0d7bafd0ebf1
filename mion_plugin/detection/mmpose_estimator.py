"""2D keypoints by mmpose's top-down networks, HRNet-W48 by default, with mmpose 0.2x or 1.x."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mion_plugin.datasets.coco import NUM_KEYPOINTS
from mion_plugin.detection.keypoint_estimator import KeypointEstimator, from_peaks
from mion_plugin.detection.pose_checkpoint import fetch_checkpoint, load_pose_weights

# HRNet-W48 at 256 x 192, of each generation's model zoo: config and weights
DEFAULTS = {
    0: (
        "hrnet_w48_coco_256x192",
        "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w48_coco_256x192-b9e0b3ab_20200708.pth",
    ),
    1: (
        "td-hm_hrnet-w48_8xb32-210e_coco-256x192",
        "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/"
        "td-hm_hrnet-w48_8xb32-210e_coco-256x192-0e67c616_20220913.pth",
    ),
}


def mmpose_generation() -> int:
    """0 for mmpose 0.2x, 1 for mmpose 1.x.

    Raises:
        ImportError: There is none; the message says how to get one.
    """
    try:
        return int(metadata.version("mmpose").split(".")[0])
    except metadata.PackageNotFoundError:
        raise ImportError(
            "detecting keypoints with HRNet needs mmpose: install the extra mion-plugin[mmhuman3d] as locked in "
            "requirements.lock (make install), which holds mmpose 0.29; or mmpose 1.x with `mim install mmcv mmpose`"
        ) from None


def find_config(config: str | None = None) -> Path:
    """The file of a config.

    Args:
        config: Its path; or the name (without ``.py``) of one that comes with mmpose; or None for HRNet-W48.

    Raises:
        ImportError: No mmpose.
        FileNotFoundError: No such config.
    """
    default, *_ = DEFAULTS[mmpose_generation()]  # without mmpose this says how to get it
    name = default if config is None else config
    if Path(name).is_file():
        return Path(name)
    package = Path(str(metadata.distribution("mmpose").locate_file("mmpose")))
    shipped = sorted((package / ".mim" / "configs").rglob(f"{name.removesuffix('.py')}.py")) if name else []
    if not shipped:
        raise FileNotFoundError(f"config {name} is neither a file nor the name of one of mmpose's in {package}/.mim")
    return shipped[0]


def default_checkpoint(config: str | None = None) -> str:
    """URL of the public weights of the default network.

    Raises:
        ImportError: No mmpose.
        ValueError: ``config`` names another network.
    """
    if config is not None:
        raise ValueError(f"no checkpoint was given for {config}; give the path or URL of its weights")
    return DEFAULTS[mmpose_generation()][1]


def load_mmpose_estimator(
    config: str | None = None, checkpoint: str | None = None, device: str | torch.device = "cpu"
) -> KeypointEstimator:
    """A top-down network of the installed mmpose.

    Args:
        config: See ``find_config``.
        checkpoint: Path or URL of the weights; None for HRNet-W48's public ones, if ``config`` is None.
        device: Where to run.

    Raises:
        ImportError: No mmpose.
        FileNotFoundError: No such config or checkpoint, or no network to fetch it from.
        ValueError: The config is no top-down network for COCO's 17 keypoints, or the checkpoint is not its own.
    """
    path = find_config(config)
    weights = fetch_checkpoint(checkpoint or default_checkpoint(config))
    estimator = build_mmpose_estimator(path, device)
    load_pose_weights(estimator.model, weights)
    return estimator


def build_mmpose_estimator(config: Path, device: str | torch.device = "cpu") -> MMPose0Estimator | MMPose1Estimator:
    """The network of a config file with random weights; errors as ``load_mmpose_estimator``."""
    return (MMPose0Estimator if mmpose_generation() == 0 else MMPose1Estimator)(config, device)


class MMPose0Estimator:
    """mmpose 0.2x; a ``KeypointEstimator`` equal to its ``inference_top_down_pose_model``.

    Args:
        config: File.
        device: Where to run.

    Attributes:
        model: The network.
    """

    def __init__(self, config: Path, device: str | torch.device = "cpu") -> None:
        from mmcv import Config
        from mmpose.apis import init_pose_model
        from mmpose.datasets.dataset_info import DatasetInfo
        from mmpose.datasets.pipelines import Compose

        cfg = Config.fromfile(str(config))
        num_keypoints = cfg.get("data_cfg", {}).get("num_joints")
        _check_top_down(config, cfg.model.type == "TopDown", num_keypoints)
        self.model: nn.Module = init_pose_model(cfg, None, str(device))
        self._pipeline = Compose(cfg.test_pipeline)
        self._image_size = np.array(cfg.data_cfg.image_size)
        self._flip_pairs = DatasetInfo(cfg.dataset_info).flip_pairs

    @torch.no_grad()
    def __call__(self, images: Sequence[np.ndarray], boxes: np.ndarray) -> np.ndarray:
        """See ``KeypointEstimator``."""
        samples = [self._pipeline(self._sample(image, box)) for image, box in zip(images, boxes, strict=True)]
        if not samples:
            return np.zeros((0, NUM_KEYPOINTS, 3))
        device = next(self.model.parameters()).device
        # the number of the box, which mmpose wants of every batch, tells nothing here
        metas = [{**sample["img_metas"].data, "bbox_id": number} for number, sample in enumerate(samples)]
        batch = torch.stack([sample["img"] for sample in samples]).to(device)
        return from_peaks(self.model(img=batch, img_metas=metas, return_loss=False)["preds"])

    def _sample(self, image: np.ndarray, box: np.ndarray) -> dict:
        """What mmpose's pipeline starts from."""
        return {
            "img": np.ascontiguousarray(image[..., ::-1]),  # mmpose's images are BGR
            "bbox": np.asarray(box, dtype=np.float64),
            "bbox_score": 1.0,
            "rotation": 0,
            "joints_3d": np.zeros((NUM_KEYPOINTS, 3), dtype=np.float32),
            "joints_3d_visible": np.zeros((NUM_KEYPOINTS, 3), dtype=np.float32),
            "ann_info": {
                "image_size": self._image_size,
                "num_joints": NUM_KEYPOINTS,
                "flip_pairs": self._flip_pairs,
            },
        }


class MMPose1Estimator:
    """mmpose 1.x; a ``KeypointEstimator`` equal to its ``inference_topdown``.

    Args:
        config: File.
        device: Where to run.

    Attributes:
        model: The network.
    """

    def __init__(self, config: Path, device: str | torch.device = "cpu") -> None:
        from mmengine.config import Config
        from mmengine.dataset import Compose
        from mmpose.apis import init_model

        cfg = Config.fromfile(config)
        # no download of the backbone's ImageNet weights, which the checkpoint replaces
        self.model: Any = init_model(cfg, None, str(device), cfg_options={"model.backbone.init_cfg": None})
        num_keypoints = self.model.dataset_meta["num_keypoints"]
        _check_top_down(config, cfg.model.type == "TopdownPoseEstimator", num_keypoints)
        self._pipeline = Compose(cfg.test_dataloader.dataset.pipeline)

    @torch.no_grad()
    def __call__(self, images: Sequence[np.ndarray], boxes: np.ndarray) -> np.ndarray:
        """See ``KeypointEstimator``."""
        from mmengine.dataset import pseudo_collate

        samples = [self._pipeline(self._sample(image, box)) for image, box in zip(images, boxes, strict=True)]
        if not samples:
            return np.zeros((0, NUM_KEYPOINTS, 3))
        found = [sample.pred_instances for sample in self.model.test_step(pseudo_collate(samples))]
        return from_peaks(
            np.stack([np.column_stack([one.keypoints[0], one.keypoint_scores[0]]) for one in found]),
        )

    def _sample(self, image: np.ndarray, box: np.ndarray) -> dict:
        """What mmpose's pipeline starts from."""
        x, y, width, height = box
        return {
            **self.model.dataset_meta,
            "img": np.ascontiguousarray(image[..., ::-1]),  # mmpose's images are BGR
            "bbox": np.array([[x, y, x + width, y + height]], dtype=np.float32),
            "bbox_score": np.ones(1, dtype=np.float32),
        }


def _check_top_down(config: Path, is_top_down: bool, num_keypoints: int | None) -> None:
    if not is_top_down or num_keypoints != NUM_KEYPOINTS:
        raise ValueError(
            f"config {config} is a network for {num_keypoints} keypoints{'' if is_top_down else ', not top-down'}; "
            "expected a top-down one for the 17 of COCO"
        )
