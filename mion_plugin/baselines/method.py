"""A method of mmhuman3d as a model of this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mion_plugin.baselines.batches import box_inputs, target_batch
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE, weak_perspective_to_translation
from mion_plugin.geometry.precision import full_precision
from mion_plugin.registry import MODELS
from mion_plugin.samples import add_results, check_mode, check_samples, stack_images

_BOX_HEADS = ("CliffHead",)  # heads that read where the crop lies in its image
_ONE_MAP_HEADS = ("PareHead",)  # heads that take a feature map, not the list of them that a ResNet gives


@MODELS.register_module()
class MMHuman3DMethod(BaseModel):
    """HMR, SPIN, CLIFF, PARE, ...: mmhuman3d's own network and losses under mmengine's runner.

    Images, labels, metric and body are this package's; one image has one path (N = 1). Losses are those of mmhuman3d's
    ``train_step``, predictions those of its ``forward_test``, on the same batch.

    Args:
        architecture: mmhuman3d's config of an ``ImageBodyModelEstimator`` or ``CliffImageBodyModelEstimator``, as it
            stands in its configs. Not ``disc``; and the paths of body models are replaced, see ``write_body_files``.
            The backbone may also be one of ``MODELS``, e.g. ``mion.TimmBackbone``.
        body: Config of the ``SMPLBody`` that takes the place of mmhuman3d's files; default: the free stand-in.
        keypoint_flags: See ``target_batch``; True for methods whose mmhuman3d config collects ``has_keypoints2d``.
        static_fits: Folder of SPIN's static fits; see ``RememberedFits``.
        remember_fits: Keep SMPLify's better fits; False where ``sample_idx`` means another image in each epoch.
        image_size: Side of the crop in pixels. mmhuman3d's camera (5000 px at 224) is scaled to it.
        bfloat16_features: Run the backbone in bfloat16; for training on CPUs.
        predict_vertices: Let predictions hold vertices.
        data_preprocessor: See mmengine's ``BaseModel``; it must leave normalised float images.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ImportError: mmhuman3d is not installed.
        ValueError: An architecture of another kind, or with an adversarial part.
        FileNotFoundError: A file that the architecture names is missing.
    """

    def __init__(
        self,
        architecture: Mapping[str, Any],
        body: Mapping[str, Any] | None = None,
        keypoint_flags: bool = False,
        static_fits: str | None = None,
        remember_fits: bool = True,
        image_size: int = IMAGE_SIZE,
        bfloat16_features: bool = False,
        predict_vertices: bool = False,
        data_preprocessor: Mapping[str, Any] | nn.Module | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if image_size <= 0:
            raise ValueError(f"image_size is {image_size}, expected a positive number of pixels")
        self.keypoint_flags = keypoint_flags
        self.image_size = image_size
        self.bfloat16_features = bfloat16_features
        self.predict_vertices = predict_vertices
        self.architecture = _architectures().build_image_estimator(architecture, body or {}, static_fits, remember_fits)
        self._reads_boxes = architecture["head"]["type"] in _BOX_HEADS
        self._takes_one_map = architecture["head"]["type"] in _ONE_MAP_HEADS

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = "tensor",
    ) -> dict[str, Tensor] | list[BaseDataElement]:
        """Run the model on a batch of a data loader.

        Args:
            inputs: (B, 3, H, W), or B images (3, H, W), normalised float.
            data_samples: B samples of ``PackBodyInputs``.
            mode: ``tensor``: ``pred_pose`` (B, 24, 3, 3), ``pred_shape`` (B, 10), ``pred_cam`` (B, 3) as (s, tx, ty).
                ``loss``: mmhuman3d's losses by its names. ``predict``: the samples with ``pred_bodies``, see
                ``mion.MeshMetric``.

        Raises:
            ValueError: Samples that the model cannot take, or an unknown mode.
        """
        check_mode(mode)
        image = stack_images(inputs)
        alone = data_samples is None and mode == "tensor" and not self._reads_boxes
        samples = [] if alone else check_samples(data_samples, len(image), self.image_size)
        boxes = box_inputs(samples, image.device) if self._reads_boxes else {}
        predictions = self.estimate(image, boxes)
        if mode == "tensor":
            return predictions
        with full_precision(image):
            predictions = {key: value.float() for key, value in predictions.items()}
            if mode == "loss":
                return self._losses(predictions, samples, boxes)
            return self._predict(predictions, samples)

    def estimate(self, image: Tensor, boxes: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the head predicts from images (B, 3, H, W); ``boxes`` of ``box_inputs``, empty unless it reads them."""
        features = self._features(image)
        if self.architecture.neck is not None:
            features = self.architecture.neck(features)
        if self._takes_one_map and not isinstance(features, Tensor):
            features = features[-1]
        return self.architecture.head(features, boxes["bbox_info"]) if boxes else self.architecture.head(features)

    def _features(self, image: Tensor) -> Any:
        if not self.bfloat16_features:
            return self.architecture.backbone(image)
        with torch.autocast(image.device.type, torch.bfloat16):
            features = self.architecture.backbone(image)
        return features.float() if isinstance(features, Tensor) else [feature.float() for feature in features]

    def _losses(
        self, predictions: dict[str, Tensor], samples: Sequence[BaseDataElement], boxes: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        architecture = self.architecture
        device = predictions["pred_pose"].device
        batch = target_batch(samples, architecture.convention, self.image_size, self.keypoint_flags, device)
        targets = architecture.prepare_targets({**batch, **boxes})
        if architecture.registration is not None:
            targets = _registration().add_fits(architecture, predictions, targets)
        return architecture.compute_losses(predictions, targets)

    def _predict(self, predictions: Mapping[str, Tensor], samples: Sequence[BaseDataElement]) -> list[BaseDataElement]:
        pose, betas = predictions["pred_pose"], predictions["pred_shape"]
        focal_length = FOCAL_LENGTH * self.image_size / IMAGE_SIZE
        paths = {
            "pose": pose,
            "betas": betas,
            "transl": weak_perspective_to_translation(predictions["pred_cam"], focal_length, self.image_size),
        }
        paths |= self._posed(pose, betas)
        chosen = torch.tensor(0, device=pose.device)
        rows = [{name: value[row, None].detach() for name, value in paths.items()} for row in range(len(samples))]
        return add_results(samples, pred_bodies=[BaseDataElement(**row, selected=chosen) for row in rows])

    def _posed(self, pose: Tensor, betas: Tensor) -> dict[str, Tensor]:
        """Keypoints, and on request vertices, of mmhuman3d's test body, if it has the joints that are scored."""
        body = self.architecture.body_model_test
        if body is None or body.keypoint_dst != "h36m":
            return {}
        output = body(betas=betas, body_pose=pose[:, 1:], global_orient=pose[:, :1], pose2rot=False)
        posed = {"keypoints3d": output["joints"]}
        return {**posed, "vertices": output["vertices"]} if self.predict_vertices else posed


def _architectures() -> Any:
    """The module that imports mmhuman3d, at first use: it takes seconds, and most environments are without."""
    try:
        from mion_plugin.baselines import architectures
    except ImportError as error:
        raise ImportError(
            f"mion.MMHuman3DMethod needs mmhuman3d 0.11 ({error}): install the extra `mmhuman3d` from the locked "
            "environment, `uv pip sync --require-hashes requirements.lock`"
        ) from error
    return architectures


def _registration() -> Any:
    from mion_plugin.baselines import registration

    return registration
