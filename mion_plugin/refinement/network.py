"""The mesh refinement transformer: image, candidates and 2D keypoints in, refined bodies out (paper, 3.2, figure 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mion_plugin.backbones import last_map
from mion_plugin.bodies import Bodies
from mion_plugin.body.arrays import NUM_JOINTS
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.precision import full_precision, require_full_precision
from mion_plugin.parts import Part, build_part, check_parts
from mion_plugin.refinement.encoding import EncodedCandidates, candidate_points, keypoint_evidence
from mion_plugin.refinement.heads import BodyHead
from mion_plugin.refinement.position_encoding import SinePositionEncoding2D
from mion_plugin.refinement.queries import JointQueries
from mion_plugin.refinement.transformer import Transformer
from mion_plugin.registry import MODELS
from mion_plugin.rendering.pncc import PNCCRenderer


@MODELS.register_module()
class RefinementNetwork(BaseModule):
    """Refines every candidate of an image in a branch of its own.

    Backbone and neck run once per image; encoder, decoder and head once per candidate. The position encoding is added
    to the features once, before the encoder. Where the paper is explicit, the defaults are the paper's. Parts are given
    as configs or as built modules.

    Args:
        backbone: E.g. ``dict(type='mion.TorchvisionResNet', depth=50)``, or any registered OpenMMLab backbone: one
            feature map (B, C, h, w) or several. None, with no neck, switches the image part off: the decoder has no
            tokens to attend to, and bodies follow from candidates and keypoints alone.
        neck: E.g. ``dict(type='mion.DeconvNeck', in_channels=2048)``; its channels are the transformer's width.
        transformer: Arguments of ``Transformer``; ``width`` must suit the position encoding (PNCC-PE: multiples of 6).
        position_encoding: ``mion.PNCCEncoding``, or ``mion.SinePositionEncoding2D``, the paper's ablation; ``channels``
            defaults to the width.
        add_2d_position: Add each token's place in the image beside the position encoding; PNCC-PE does not tell it.
        queries: Arguments of ``JointQueries``: ``candidate``, ``features``, ``keypoints``, ``depths``, ``lifting``.
        head: Arguments of ``BodyHead``: ``rotation``, ``representation``.
        renderer: A ``PNCCRenderer`` whose size is that of the neck's output.
        body: The body model.
        focal_length: Pixels of the crop.
        image_size: Side of the crop in pixels, the unit of focal length and 2D keypoints.
        bfloat16_features: Run backbone and neck in bfloat16 autocast. Measured on a CPU with such instructions,
            training of a ResNet-18 was 2.3 times as fast. (``transformer`` has an option of its own.)
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ValueError: An option is out of range, or the renderer codes another body.
    """

    def __init__(
        self,
        backbone: Part | None = None,
        neck: Part | None = None,
        transformer: Mapping[str, Any] | None = None,
        position_encoding: Part | None = None,
        add_2d_position: bool = False,
        queries: Mapping[str, Any] | None = None,
        head: Mapping[str, Any] | None = None,
        renderer: Part | None = None,
        body: Part | None = None,
        focal_length: float = FOCAL_LENGTH,
        image_size: int = IMAGE_SIZE,
        bfloat16_features: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if (backbone is None) != (neck is None):
            raise ValueError("backbone and neck make the image part: give both, or neither to switch it off")
        self.camera = CropCamera(focal_length, image_size)
        self.body: SMPLBody = build_part(body, type="mion.SMPLBody")
        self.renderer: PNCCRenderer = build_part(renderer, type="mion.PNCCRenderer", body=self.body)
        built = Transformer(**{"tokens": backbone is not None, **(transformer or {})})
        self.backbone: nn.Module | None = None if backbone is None else build_part(backbone)
        self.neck: nn.Module | None = None if neck is None else build_part(neck)
        self.position_encoding: nn.Module = build_part(
            position_encoding, type="mion.PNCCEncoding", channels=built.width
        )
        self.position_2d = SinePositionEncoding2D(built.width) if add_2d_position else None
        self.transformer = built
        self.queries = JointQueries(built.width, self.camera, **(queries or {}))
        self.head = BodyHead(built.width, self.camera, **(head or {}))
        self.bfloat16_features = bfloat16_features
        check_parts(renderer=self.renderer, network=self)

    @property
    def keypoints2d_convention(self) -> str | None:
        """Order of the 2D keypoints that the queries read; None if they read none."""
        return self.queries.keypoints

    @property
    def reads_depths(self) -> bool:
        """Whether the queries read depths of the keypoints."""
        return self.queries.depths

    @property
    def reads_image(self) -> bool:
        """Whether there is an image part."""
        return self.backbone is not None

    @property
    def uses_pncc(self) -> bool:
        """Whether there are tokens that depend on what the PNCC images show."""
        return self.reads_image and not isinstance(self.position_encoding, SinePositionEncoding2D)

    def forward(
        self,
        image: Tensor | None,
        candidates: Bodies,
        keypoints2d: Tensor | None = None,
        depths: Tensor | None = None,
    ) -> Bodies:
        """Refine candidates.

        Args:
            image: (B, 3, H, W) normalised; None if the image part is off.
            candidates: (B, N) before the camera; the mean shape is taken. Their ``pncc``, at the resolution of the
                neck's output, is rendered where they have none.
            keypoints2d: (B, K, 3) x, y in crop pixels and confidence, in the convention of ``queries.keypoints``;
                ignored by queries that read none.
            depths: (B, K, 2) what is known of the keypoints' depths, see ``keypoint_evidence``; ignored by queries that
                read none, None for nothing.

        Returns:
            (B, N) bodies, poses as matrices, ``valid`` as the candidates are.

        Raises:
            ValueError: A shape is not one of these or does not agree with the parts, or the keypoints are missing.
        """
        require_full_precision(self)
        self._check_candidates(image, candidates)
        refined = self.decode(image, self.encode(candidates, keypoints2d, depths))
        return replace(refined, valid=candidates.valid)

    @torch.no_grad()
    def encode(
        self, candidates: Bodies, keypoints2d: Tensor | None = None, depths: Tensor | None = None
    ) -> EncodedCandidates:
        """What the network is told about candidates; arguments as ``forward``."""
        candidates = replace(candidates, pose=candidates.rotations.float())  # once, not for each that asks
        joints, keypoints = candidate_points(candidates, self.body, self.keypoints2d_convention)
        with full_precision(joints):
            joints2d = self.camera.project_normalized(joints)
        return EncodedCandidates(
            rotations=candidates.pose,
            transl=candidates.transl.float(),
            pelvis=joints[..., 0, :],
            joints2d=joints2d,
            pncc=self.render_pncc(candidates) if candidates.pncc is None else candidates.pncc,
            evidence=self._evidence(keypoints, keypoints2d, depths),
        )

    def decode(self, image: Tensor | None, candidates: EncodedCandidates) -> Bodies:
        """The network alone, from the first weight to the last: what ``tools/export.py`` writes.

        Args:
            image: (B, 3, H, W) normalised; not looked at if the image part is off.
            candidates: (B, N) of ``encode``.

        Raises:
            ValueError: There is an image part, and no image.
        """
        features, tokens = None, None
        if self.reads_image:
            if image is None:
                raise ValueError("image is None, but the network has an image part: give the normalised crops")
            features = self._features(image)
            self._check_features(features, image, candidates.pncc)
            tokens = self._tokens(features, candidates.pncc)
        queries = self.queries(candidates, features).flatten(0, 1)
        decoded = self.transformer(tokens, queries)
        return self.head(decoded.unflatten(0, candidates.transl.shape[:2]), candidates)

    @torch.no_grad()
    def render_pncc(self, bodies: Bodies) -> Tensor:
        """PNCC images (B, N, 3, h, w) of bodies (B, N) with the mean shape; blank ones if the network ignores them."""
        transl = bodies.transl.float()
        lead = transl.shape[:2]
        if not self.uses_pncc:
            return transl.new_zeros(1, 3, self.renderer.height, self.renderer.width).expand(*lead, -1, -1, -1)
        with full_precision(transl):
            vertices = self.body(bodies.rotations.float(), transl=transl).vertices.flatten(0, 1)
            camera = self.camera
            pncc = self.renderer(vertices, camera.focal_length, camera.principal_point, camera.image_size)
        return pncc.unflatten(0, lead)

    def _evidence(self, points: Tensor, keypoints2d: Tensor | None, depths: Tensor | None) -> Tensor | None:
        """``keypoint_evidence`` of candidates whose own keypoints (B, N, K, 3) are ``points``."""
        if self.keypoints2d_convention is None or keypoints2d is None:
            return None
        expected = (len(points), self.queries.num_keypoints, 3)
        if keypoints2d.shape != expected:
            raise ValueError(f"keypoints2d has shape {tuple(keypoints2d.shape)}, expected {expected}")
        if not self.queries.depths:
            depths = None
        elif depths is None:
            depths = keypoints2d.new_zeros(*keypoints2d.shape[:2], 2)
        elif depths.shape != (*expected[:2], 2):
            raise ValueError(f"depths has shape {tuple(depths.shape)}, expected {(*expected[:2], 2)}")
        return keypoint_evidence(keypoints2d, points, self.camera, depths)

    def _features(self, image: Tensor) -> Tensor:
        assert self.backbone is not None  # for the type checker; see reads_image
        assert self.neck is not None
        if not self.bfloat16_features:
            return last_map(self.neck(self.backbone(image)))
        with torch.autocast(image.device.type, torch.bfloat16):
            return last_map(self.neck(self.backbone(image))).float()

    def _tokens(self, features: Tensor, pncc: Tensor) -> Tensor:
        """Features (B, C, h, w) plus position encodings, one row per candidate: (B * N, h * w, C)."""
        flat = pncc.flatten(0, 1)
        encoding = self.position_encoding(flat)
        if self.position_2d is not None:
            encoding = encoding + self.position_2d(flat[:1])
        tokens = features[:, None] + encoding.unflatten(0, pncc.shape[:2])
        return tokens.flatten(0, 1).flatten(2).mT

    def _check_candidates(self, image: Tensor | None, candidates: Bodies) -> None:
        pose, transl = candidates.pose, candidates.transl
        batch = len(transl) if image is None else len(image)
        if pose.dim() not in (4, 5) or pose.shape[0] != batch or pose.shape[2] != NUM_JOINTS:
            raise ValueError(f"pose has shape {tuple(pose.shape)}, expected ({batch}, N, {NUM_JOINTS}, 3)")
        if transl.shape != (*pose.shape[:2], 3):
            raise ValueError(f"transl has shape {tuple(transl.shape)}, expected {(*pose.shape[:2], 3)}")

    def _check_features(self, features: Tensor, image: Tensor, pncc: Tensor) -> None:
        batch, width, height, columns = features.shape
        if width != self.transformer.width:
            raise ValueError(f"the neck gives {width} channels, expected the transformer's {self.transformer.width}")
        if pncc.shape[0] != batch or pncc.shape[2:] != (3, height, columns):
            raise ValueError(
                f"pncc has shape {tuple(pncc.shape)}, expected ({batch}, N, 3, {height}, {columns}), the size of the "
                f"features of an image of {image.shape[-2]} x {image.shape[-1]}; set the renderer's size to that"
            )


def build_refiner(refiner: Part) -> RefinementNetwork:
    """A network that refines, from its config, a built one, or the trainable model around it (``mion.MRT``)."""
    built = build_part(refiner)
    return getattr(built, "network", built)
