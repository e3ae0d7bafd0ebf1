"""The mesh refinement transformer as a pure network: image and candidates in, bodies out (paper, 3.2 and figure 4)."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mion_plugin.refinement.heads import BodyHead, RefinementOutput
from mion_plugin.refinement.position_encoding import SinePositionEncoding2D
from mion_plugin.refinement.queries import CandidateGeometry, JointQueries
from mion_plugin.refinement.transformer import Transformer


class RefinementNetwork(BaseModule):
    """Backbone and neck once per image; encoder, decoder and head once per candidate.

    The position encoding is added to the features once, before the encoder.

    Args:
        backbone: (B, 3, H, W) to one or several feature maps.
        neck: Those to (B, C, h, w), C the width of the transformer.
        position_encoding: PNCC images (S, 3, h, w) to (S, C, h, w).
        add_2d_position: Add each token's place in the image beside ``position_encoding``; PNCC-PE does not tell it.
        transformer: Encoder and decoder.
        queries: What the decoder starts from.
        head: Bodies from decoded queries.
        bfloat16_features: Run backbone and neck in bfloat16 autocast. Measured on a CPU with such instructions,
            training of a ResNet-18 was 2.3 times as fast.
        bfloat16_transformer: Run encoder and decoder likewise, but for attention itself on CPUs; measured there,
            training was 2.2 times as fast.
    """

    def __init__(
        self,
        backbone: nn.Module,
        neck: nn.Module,
        position_encoding: nn.Module,
        transformer: Transformer,
        queries: JointQueries,
        head: BodyHead,
        add_2d_position: bool = False,
        bfloat16_features: bool = False,
        bfloat16_transformer: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.position_encoding = position_encoding
        self.position_2d = SinePositionEncoding2D(transformer.width) if add_2d_position else None
        self.transformer = transformer
        self.queries = queries
        self.head = head
        self.bfloat16_features = bfloat16_features
        self.bfloat16_transformer = bfloat16_transformer

    @property
    def uses_pncc(self) -> bool:
        """Whether the tokens depend on what the PNCC images show."""
        return not isinstance(self.position_encoding, SinePositionEncoding2D)

    def forward(
        self, image: Tensor, candidate: CandidateGeometry, pncc: Tensor, evidence: Tensor | None = None
    ) -> RefinementOutput:
        """Refine candidates.

        Args:
            image: (B, 3, H, W) normalised.
            candidate: Candidates (B, N).
            pncc: (B, N, 3, h, w) their PNCC images, at the resolution of the neck's output.
            evidence: (B, N, K, 5) of ``keypoint_evidence``, if the queries read keypoints.

        Raises:
            ValueError: The features' shape does not agree with the transformer's width or the PNCC images.
        """
        features = self._features(image)
        self._check(features, image, pncc)
        tokens = self._tokens(features, pncc)
        queries = self.queries(candidate, features, evidence).flatten(0, 1)
        decoded = self._decode(tokens, queries)
        return self.head(decoded.unflatten(0, candidate.transl.shape[:2]), candidate)

    def _features(self, image: Tensor) -> Tensor:
        if not self.bfloat16_features:
            return self.neck(self.backbone(image))
        with torch.autocast(image.device.type, torch.bfloat16):
            return self.neck(self.backbone(image)).float()

    def _decode(self, tokens: Tensor, queries: Tensor) -> Tensor:
        if not self.bfloat16_transformer:
            return self.transformer(tokens, queries)
        with torch.autocast(tokens.device.type, torch.bfloat16):
            return self.transformer(tokens, queries).float()

    def _tokens(self, features: Tensor, pncc: Tensor) -> Tensor:
        """Features (B, C, h, w) plus position encodings, one row per candidate: (B * N, h * w, C)."""
        flat = pncc.flatten(0, 1)
        encoding = self.position_encoding(flat)
        if self.position_2d is not None:
            encoding = encoding + self.position_2d(flat[:1])
        tokens = features[:, None] + encoding.unflatten(0, pncc.shape[:2])
        return tokens.flatten(0, 1).flatten(2).mT

    def _check(self, features: Tensor, image: Tensor, pncc: Tensor) -> None:
        batch, width, height, columns = features.shape
        if width != self.transformer.width:
            raise ValueError(f"the neck gives {width} channels, expected the transformer's {self.transformer.width}")
        if pncc.shape[0] != batch or pncc.shape[2:] != (3, height, columns):
            raise ValueError(
                f"pncc has shape {tuple(pncc.shape)}, expected ({batch}, N, 3, {height}, {columns}), the size of the "
                f"features of an image of {image.shape[-2]} x {image.shape[-1]}; set the renderer's size to that"
            )
