"""The mesh refinement transformer as an mmengine model (paper, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.body.arrays import NUM_JOINTS
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.geometry.precision import full_precision
from mion_plugin.parts import Part, build_part
from mion_plugin.refinement.candidates import (
    Candidates,
    brought_candidates,
    build_selector,
    draw_candidates,
    select_candidates,
)
from mion_plugin.refinement.heads import BodyHead, RefinementOutput
from mion_plugin.refinement.losses import MeshLoss
from mion_plugin.refinement.network import RefinementNetwork
from mion_plugin.refinement.predictions import pack_predictions, refined_fit_loss
from mion_plugin.refinement.queries import (
    CandidateGeometry,
    JointQueries,
    Keypoints2D,
    candidate_geometry,
    keypoint_evidence,
)
from mion_plugin.refinement.samples import (
    collect_targets,
    common_convention,
    input_keypoints,
    name_of,
)
from mion_plugin.refinement.transformer import Transformer
from mion_plugin.registry import MODELS
from mion_plugin.rendering.pncc import PNCCRenderer

_MODES = ("tensor", "loss", "predict")
_SELECTOR = MappingProxyType({"type": "mion.CandidateSelector"})


@MODELS.register_module(name=["MeshRefinementTransformer", "MRT"])
class MeshRefinementTransformer(BaseModel):
    """Refines every candidate of an image in a branch of its own.

    Where the paper is explicit, the defaults are the paper's. Parts are given as configs or as built modules.

    Args:
        backbone: E.g. ``dict(type='mion.TorchvisionResNet', depth=50)``, or any registered OpenMMLab backbone: one
            feature map (B, C, h, w) or several.
        neck: E.g. ``dict(type='mion.DeconvNeck', in_channels=2048)``; its channels are the transformer's width.
        transformer: Arguments of ``Transformer``; ``width`` must suit the position encoding (PNCC-PE: multiples of 6).
        position_encoding: ``mion.PNCCEncoding``, or ``mion.SinePositionEncoding2D``, the paper's ablation; ``channels``
            defaults to the width.
        add_2d_position: Add each token's place in the image beside the position encoding.
        rotation: ``absolute`` (the paper as we read it) or ``residual`` on the candidate; see ``BodyHead``.
        rotation_representation: ``6d`` or ``axis_angle``.
        candidate_in_queries: Tell each joint query the candidate's rotation and camera.
        sample_at_joints: Add to each joint query the features at the candidate's projected joint.
        keypoints_in_queries: Tell the joint queries the 2D keypoints that stage 1 saw and how far the candidate's own
            are from them. They then have to be given wherever bodies are refined.
        selector: A ``CandidateSelector``, whose camera defaults to the model's; None where the data bring candidates
            (``brought_candidates``).
        train_candidates: Candidates per image in training, drawn at random from those selected; tests refine all.
        renderer: A ``PNCCRenderer`` whose size is that of the neck's output.
        body: The body model; must be the selector's.
        loss: A ``MeshLoss``.
        focal_length: Pixels of the crop.
        image_size: Side of the crop in pixels, the unit of focal length and 2D keypoints.
        bfloat16_features: Run backbone and neck in bfloat16; for training on CPUs.
        bfloat16_transformer: Run encoder and decoder in bfloat16; likewise.
        keypoints2d_convention: Order of the keypoints that the queries read; default: the selector's, or coco.
        predict_vertices: Let predictions hold the refined vertices.
        data_preprocessor: See mmengine's ``BaseModel``; it must leave normalised float images.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ValueError: An option is out of range, or the selector's camera is another.
    """

    def __init__(
        self,
        backbone: Part,
        neck: Part,
        transformer: Mapping[str, Any] | None = None,
        position_encoding: Part | None = None,
        add_2d_position: bool = False,
        rotation: str = "absolute",
        rotation_representation: str = "6d",
        candidate_in_queries: bool = False,
        sample_at_joints: bool = False,
        keypoints_in_queries: bool = False,
        selector: Part | None = _SELECTOR,
        train_candidates: int = 1,
        renderer: Part | None = None,
        body: Part | None = None,
        loss: Part | None = None,
        focal_length: float = FOCAL_LENGTH,
        image_size: int = IMAGE_SIZE,
        bfloat16_features: bool = False,
        bfloat16_transformer: bool = False,
        keypoints2d_convention: str | None = None,
        predict_vertices: bool = False,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if train_candidates < 1:
            raise ValueError(f"train_candidates is {train_candidates}, expected at least 1")
        self.camera = CropCamera(focal_length, image_size)
        self.train_candidates = train_candidates
        self.predict_vertices = predict_vertices
        self.body: SMPLBody = build_part(body, type="mion.SMPLBody")
        self.renderer: PNCCRenderer = build_part(renderer, type="mion.PNCCRenderer", body=self.body)
        self.mesh_loss: MeshLoss = build_part(loss, type="mion.MeshLoss")
        self.selector = None if selector is None else build_selector(selector, self.camera, "model")
        own = "coco" if self.selector is None else self.selector.convention
        self.keypoints2d_convention: str = keypoints2d_convention or own
        num_keypoints = len(keypoint_names(self.keypoints2d_convention)) if keypoints_in_queries else 0
        built = Transformer(**(transformer or {}))
        self.network = RefinementNetwork(
            backbone=build_part(backbone),
            neck=build_part(neck),
            position_encoding=build_part(position_encoding, type="mion.PNCCEncoding", channels=built.width),
            transformer=built,
            queries=JointQueries(built.width, self.camera, candidate_in_queries, sample_at_joints, num_keypoints),
            head=BodyHead(built.width, self.camera, rotation, rotation_representation),
            add_2d_position=add_2d_position,
            bfloat16_features=bfloat16_features,
            bfloat16_transformer=bfloat16_transformer,
        )

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = "tensor",
    ) -> RefinementOutput | dict[str, Tensor] | list[BaseDataElement]:
        """Run the model on a batch of a data loader.

        Args:
            inputs: (B, 3, H, W), or B images (3, H, W), normalised float.
            data_samples: B samples of ``PackBodyInputs``.
            mode: ``tensor``: the refined bodies of all candidates. ``loss``: see ``MeshLoss.forward``. ``predict``: see
                ``pack_predictions``.

        Raises:
            ValueError: Images or samples that the model cannot take, or an unknown mode.
        """
        if mode not in _MODES:
            raise ValueError(f"mode is {mode!r}, expected one of {', '.join(_MODES)}")
        image = _stack_images(inputs)
        samples = self._check_samples(data_samples, len(image))
        candidates = self.find_candidates(samples, image.device)
        if mode == "loss":
            candidates = draw_candidates(candidates, self.train_candidates)
        keypoints2d = self._read_keypoints(samples, image.device)
        output = self.refine(image, candidates.pose, candidates.transl, candidates.pncc, keypoints2d)
        if mode == "tensor":
            return output
        if mode == "loss":
            with full_precision(image):
                targets = collect_targets(samples, image.device)
                return self.mesh_loss(output, targets, candidates.valid, self.body, self.camera)
        return self._predict(samples, output, candidates)

    def refine(
        self,
        image: Tensor,
        pose: Tensor,
        transl: Tensor,
        pncc: Tensor | None = None,
        keypoints2d: Tensor | None = None,
    ) -> RefinementOutput:
        """Refine candidates: the network alone.

        Args:
            image: (B, 3, H, W) normalised.
            pose: (B, N, 24, 3) axis-angle of the candidates, index 0 the global orientation in the camera frame.
            transl: (B, N, 3) metres; the bodies stand before the camera.
            pncc: (B, N, 3, h, w) PNCC images at the resolution of the neck's output; None to render them.
            keypoints2d: (B, K, 3) x, y in crop pixels and confidence, in ``keypoints2d_convention``; needed with
                ``keypoints_in_queries``, ignored otherwise.

        Raises:
            ValueError: A shape is not one of these, or the keypoints are missing.
        """
        batch = len(image)
        if pose.dim() != 4 or pose.shape[0] != batch or pose.shape[2:] != (NUM_JOINTS, 3):
            raise ValueError(f"pose has shape {tuple(pose.shape)}, expected ({batch}, N, {NUM_JOINTS}, 3)")
        if transl.shape != (*pose.shape[:2], 3):
            raise ValueError(f"transl has shape {tuple(transl.shape)}, expected {(*pose.shape[:2], 3)}")
        geometry = candidate_geometry(pose, transl, self.body, self.camera)
        if pncc is None:
            pncc = self.render_pncc(geometry.rotations, geometry.transl)
        return self.network(image, geometry, pncc, self._keypoint_evidence(keypoints2d, geometry))

    @torch.no_grad()
    def render_pncc(self, pose: Tensor, transl: Tensor) -> Tensor:
        """PNCC images (B, N, 3, h, w) of bodies (B, N) with the mean shape; blank ones if the network ignores them."""
        lead = transl.shape[:2]
        if not self.network.uses_pncc:
            return transl.new_zeros(1, 3, self.renderer.height, self.renderer.width).expand(*lead, -1, -1, -1)
        with full_precision(transl):
            vertices = self.body(pose, transl=transl).vertices.flatten(0, 1)
            camera = self.camera
            pncc = self.renderer(vertices, camera.focal_length, camera.principal_point, camera.image_size)
        return pncc.unflatten(0, lead)

    def find_candidates(self, samples: Sequence[BaseDataElement], device: torch.device) -> Candidates:
        """All candidates of the samples: selected from their keypoints, or what they bring if there is no selector."""
        if self.selector is None:
            return brought_candidates(samples, device)
        return select_candidates(self.selector, samples, device)

    def _keypoint_evidence(self, keypoints2d: Tensor | None, geometry: CandidateGeometry) -> Tensor | None:
        expected = self.network.queries.num_keypoints
        if expected == 0 or keypoints2d is None:
            return None
        batch = len(geometry.transl)
        if keypoints2d.shape != (batch, expected, 3):
            raise ValueError(f"keypoints2d has shape {tuple(keypoints2d.shape)}, expected {(batch, expected, 3)}")
        given = Keypoints2D(keypoints2d, self.keypoints2d_convention)
        return keypoint_evidence(given, geometry, self.body, self.camera)

    def _read_keypoints(self, samples: Sequence[BaseDataElement], device: torch.device) -> Tensor | None:
        """(B, K, 3) what stage 1 sees, if the queries see it too."""
        if self.network.queries.num_keypoints == 0:
            return None
        return input_keypoints(samples, self.keypoints2d_convention, device)

    def _predict(
        self, samples: Sequence[BaseDataElement], output: RefinementOutput, candidates: Candidates
    ) -> list[BaseDataElement]:
        with full_precision(output.pose):
            fit_loss = None
            if all("keypoints2d" in sample.gt_body or "keypoints2d_input" in sample.gt_body for sample in samples):
                convention = common_convention(samples, "keypoints2d")
                keypoints2d = input_keypoints(samples, convention, output.pose.device)
                fit_loss = refined_fit_loss(output, keypoints2d, convention, self.body, self.camera)
            return pack_predictions(samples, output, candidates, fit_loss, self.body, self.predict_vertices)

    def _check_samples(self, samples: Sequence[BaseDataElement] | None, count: int) -> Sequence[BaseDataElement]:
        if samples is None or len(samples) != count:
            given = "none" if samples is None else len(samples)
            raise ValueError(f"{count} images came with {given} data samples; the candidates come from the samples")
        for sample in samples:
            crop_size = sample.get("crop_size", self.camera.image_size)
            if crop_size != self.camera.image_size:
                raise ValueError(
                    f"{name_of(sample)}: a crop of {crop_size} px, but the model's image_size is "
                    f"{self.camera.image_size}; set image_size and focal_length to the crop's"
                )
        return samples


def _stack_images(inputs: Tensor | Sequence[Tensor]) -> Tensor:
    image = inputs if isinstance(inputs, Tensor) else torch.stack(list(inputs))
    if image.dim() != 4 or image.shape[1] != 3 or not image.is_floating_point():
        raise ValueError(
            f"images are {image.dtype} {tuple(image.shape)}, expected normalised floats (B, 3, H, W): use "
            "mion.Normalize in the pipeline, or ImgDataPreprocessor with mean and std as data_preprocessor"
        )
    return image
