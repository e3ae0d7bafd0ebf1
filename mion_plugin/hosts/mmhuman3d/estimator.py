"""MION as an mmhuman3d architecture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmhuman3d.models.architectures.base_architecture import BaseArchitecture
from mmhuman3d.models.backbones.builder import build_backbone
from mmhuman3d.models.heads.builder import build_head
from mmhuman3d.models.necks.builder import build_neck
from torch import Tensor

from mion_plugin.geometry.camera import translation_to_weak_perspective
from mion_plugin.hosts.mmhuman3d.batches import data_samples, keypoints_of_metas, stack_selected
from mion_plugin.hosts.mmhuman3d.trained_body import check_loaded_body
from mion_plugin.hosts.mmhuman3d.workarounds import drop_unsaved_buffers, unwrap_containers
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.refinement.model import MeshRefinementTransformer
from mion_plugin.weights import check_initial_weights

Config = Mapping[str, Any]
_CAMERA = ("focal_length", "image_size")


class MIONEstimator(BaseArchitecture):
    """Trains stages 1 and 2 (``mion.MRT``) and tests all three (``mion.MION``) on mmhuman3d's data.

    For mmhuman3d's plain path: one ``optimizer``, ``use_adversarial_train`` left out or False. Weights carry the names
    that they have in ``mion.MION``, so that this package's tools read a checkpoint trained here (as
    ``refiner_checkpoint``). Stage 3 is trained by this package's tools; here its weights stay fixed. A checkpoint that
    mmcv loads (``load_from``, ``init_cfg``, mmhuman3d's test) is refused if it was trained with another body.

    Args:
        head: Of mmhuman3d's HEADS: ``MRT`` with the arguments of ``mion.MRT`` but for the selector and the network's
            backbone and neck. The parts inside are this package's and carry its prefix:
            ``network=dict(body=dict(type='mion.SMPLBody', ...))``.
        selector: Of its HEADS: ``CandidateSelector``; camera as the head's.
        backbone: Of its BACKBONES, giving one feature map, or several of which the neck takes one. None, with no
            neck, for a stage 2 without an image part.
        neck: Of its NECKS: ``DeconvNeck``.
        fit: ``dict(type='mion.KeypointFit')``, or None to leave refined bodies as they are.
        cen: Of its HEADS: ``CEN`` or ``DepthConsistency``; camera and body as the head's. None to choose without it.
        correct_keypoints, num_candidates, selection, reprojection_weight, seed, refiner_checkpoint, cen_checkpoint: See
            ``mion.MION``.
        convention: Keypoint convention that the data sets are configured with. mmhuman3d evaluates Human3.6M in
            ``human_data`` only, its default.
        init_cfg: See mmcv's ``BaseModule``.

    Raises:
        ValueError, FileNotFoundError: See ``mion.MRT`` and ``mion.MION``.
    """

    def __init__(
        self,
        head: Config,
        selector: Config,
        backbone: Config | None = None,
        neck: Config | None = None,
        cen: Config | None = None,
        fit: Config | None = None,
        correct_keypoints: bool = False,
        num_candidates: int | None = None,
        selection: str = "cen",
        reprojection_weight: float = 1.0,
        seed: int = 0,
        refiner_checkpoint: str | os.PathLike[str] | None = None,
        cen_checkpoint: str | os.PathLike[str] | None = None,
        convention: str = "human_data",
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.convention = convention
        refiner = _build_refiner(backbone, neck, head, selector)
        network = MultiInitializationOptimizationNetwork(
            refiner=refiner.network,
            selector=refiner.selector,
            cen=None if cen is None else build_head({**_camera(head), "body": refiner.body, **cen}),
            fit=fit,
            correct_keypoints=correct_keypoints,
            num_candidates=num_candidates,
            selection=selection,
            reprojection_weight=reprojection_weight,
            seed=seed,
            refiner_checkpoint=refiner_checkpoint,
            cen_checkpoint=cen_checkpoint,
        )
        self.refiner, self.cen = refiner, network.cen
        if self.cen is not None:
            self.cen.requires_grad_(False)
        # in a tuple, since its parts are registered above under the names that they have in it
        self._network = (network,)
        self.register_state_dict_post_hook(drop_unsaved_buffers)
        self.register_load_state_dict_pre_hook(check_loaded_body)

    def init_weights(self) -> None:
        """See mmcv's ``BaseModule``.

        Raises:
            ValueError: A file that the model or a part starts from was trained with another body.
        """
        check_initial_weights(self)  # with a prefix, or in this package's parts, mmcv does not tell which file it loads
        super().init_weights()

    def forward(self, **batch: Any) -> dict[str, Any]:
        """``forward_train`` or ``forward_test``, by the module's mode."""
        return super().forward(**unwrap_containers(batch))

    def train_step(self, data: dict[str, Any], optimizer: Any) -> dict[str, Any]:
        """See mmhuman3d's ``BaseArchitecture``."""
        return super().train_step(unwrap_containers(data), optimizer)

    def forward_train(self, img: Tensor, img_metas: Sequence[Config], **batch: Tensor) -> dict[str, Tensor]:
        """The losses of ``mion.MeshLoss``.

        Args:
            img: (B, 3, S, S) normalised crops.
            img_metas: B dicts.
            batch: See ``data_samples``.
        """
        losses = self.refiner(img, self._samples(img, img_metas, batch), mode="loss")
        # mmhuman3d sums each entry over all processes: they must have the same, whatever labels their samples have
        return {name: value for name, value in losses.items() if name.startswith("loss")}

    def forward_test(self, img: Tensor, img_metas: Sequence[Config], **batch: Tensor) -> dict[str, Any]:
        """One body for each image.

        Args:
            img: (B, 3, S, S) normalised crops.
            img_metas: B dicts; keypoints that the batch lacks may be among them (``PersonKeypoints``).
            batch: See ``data_samples``; ``sample_idx`` (B, 1) tells ``evaluate`` which is which.

        Returns:
            What mmhuman3d's estimators return, numpy arrays: ``keypoints_3d`` (B, 17, 3) in h36m order and ``vertices``
            (B, 6890, 3), both in metres without translation; ``smpl_pose`` (B, 24, 3, 3) rotation matrices;
            ``smpl_beta`` (B, 10); ``camera`` (B, 3) weak perspective (s, tx, ty); and the list ``image_path`` and
            ``image_idx``, the tensor ``sample_idx``.

        Raises:
            ValueError: Neither the batch nor the metas have 2D keypoints.
        """
        batch = {**keypoints_of_metas(img_metas, img.device), **batch}
        if "keypoints2d" not in batch and "keypoints2d_input" not in batch:
            raise ValueError(
                f"the batch holds {', '.join(sorted(batch)) or 'nothing'} beside the images, but MION starts from 2D "
                "keypoints: add keypoints2d to ToTensor and Collect in the pipeline. For photographs outside a data "
                "set put PersonKeypoints into inference_pipeline, or use mion_plugin.inference.MIONInferencer"
            )
        (network,) = self._network
        results = network(img, self._samples(img, img_metas, batch), mode="predict")
        pose, betas = stack_selected(results, "pose"), stack_selected(results, "betas")
        camera = translation_to_weak_perspective(
            stack_selected(results, "transl"), network.camera.focal_length, network.camera.image_size
        )
        posed = "vertices" in results[0].pred_bodies  # by stage 3 already
        output = {
            "keypoints_3d": stack_selected(results, "keypoints3d"),
            "smpl_pose": pose,
            "smpl_beta": betas,
            "camera": camera,
            "vertices": stack_selected(results, "vertices") if posed else network.body(pose, betas).vertices,
        }
        return {
            **{name: value.detach().cpu().numpy() for name, value in output.items()},
            "image_path": [meta["image_path"] for meta in img_metas],
            "image_idx": batch.get("sample_idx"),
        }

    def _samples(self, img: Tensor, img_metas: Sequence[Config], batch: Mapping[str, Tensor]) -> list:
        return data_samples(img_metas, batch, img.shape[-1], self.convention)


def _build_refiner(
    backbone: Config | None, neck: Config | None, head: Config, selector: Config
) -> MeshRefinementTransformer:
    image_part = {
        "backbone": None if backbone is None else build_backbone(backbone),
        "neck": None if neck is None else build_neck(neck),
    }
    network = {**head.get("network", {}), **image_part}
    return build_head({**head, "network": network, "selector": build_head({**_camera(head), **selector})})


def _camera(head: Config) -> dict[str, Any]:
    given = {**head, **head.get("network", {})}
    return {name: given[name] for name in _CAMERA if name in given}
