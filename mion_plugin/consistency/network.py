"""The consistency estimation network (paper, 3.3 and figure 5): how well does a body agree with an image?"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mion_plugin.backbones import RGB, last_map
from mion_plugin.bodies import Bodies
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.consistency.distance import template_height
from mion_plugin.consistency.encoding import EncodedBodies
from mion_plugin.consistency.heads import OUTPUTS, AnchorHead, LocalHead, VertexHead
from mion_plugin.consistency.images import check_images
from mion_plugin.consistency.zoom import BodyBoxes, body_boxes
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.precision import full_precision
from mion_plugin.geometry.translation import check_before_camera
from mion_plugin.parts import Part, build_part, check_parts
from mion_plugin.registry import MODELS
from mion_plugin.rendering.pncc import PNCCRenderer

POOLINGS = ("all", "body")
_CHANNELS = 2 * RGB  # image and PNCC


@MODELS.register_module(name=["ConsistencyEstimationNetwork", "CEN"])
class ConsistencyEstimationNetwork(BaseModule):
    """Scores any method's meshes: image and PNCC in six channels, a CNN, a distance for every vertex.

    The defaults are the paper's. Distances are those of ``vertex_distance``, 1 a body's height; the network's are
    estimates and may come out negative.

    Args:
        backbone: Default: a ResNet-34. A registered backbone with ``in_channels=6`` and one feature map or several, the
            last of which is taken. Few stages make a small network: ``dict(type='mion.TorchvisionResNet', depth=18,
            num_stages=3)`` has 2.8 million weights instead of 21, and a 7 x 7 map of a 112 px image.
        feature_channels: Of that map; None for the backbone's ``out_channels``.
        output: ``vertices``, one output each; or ``low_rank``, at ``num_anchors`` vertices, interpolated to all: the
            6,890 outputs would be more weights than such a small backbone has, see ``AnchorHead``; or ``local``, at
            such vertices, each from the features at its own place in the picture, see ``LocalHead``.
        num_anchors: For ``low_rank`` and ``local``.
        pooling: ``all``, global average; or ``body``, the average over the pixels that the rendered body covers, since
            the background tells nothing of it. (What the body wrongly leaves uncovered, a receptive field of some
            pixels still sees.)
        crop_to_body: Enlarge image and PNCC to the projected body's box, so that a body that is small in its crop shows
            as large as others. Each body then has its own picture of the image.
        bfloat16_features: Run the backbone, and nothing else, in bfloat16: on CPUs with such instructions training is
            about twice as fast.
        renderer: A ``PNCCRenderer`` whose size is the image's; the default's is ``image_size``.
        body: The body model.
        focal_length: Pixels of the crop.
        image_size: Side of the crop in pixels, the unit of the focal length.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ValueError: An option is out of range, or the renderer codes another body.
    """

    def __init__(
        self,
        backbone: Part | None = None,
        feature_channels: int | None = None,
        output: str = "vertices",
        num_anchors: int = 128,
        pooling: str = "all",
        crop_to_body: bool = False,
        bfloat16_features: bool = False,
        renderer: Part | None = None,
        body: Part | None = None,
        focal_length: float = FOCAL_LENGTH,
        image_size: int = IMAGE_SIZE,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        for name, value, known in (("output", output, OUTPUTS), ("pooling", pooling, POOLINGS)):
            if value not in known:
                raise ValueError(f"{name} is {value!r}, expected one of {', '.join(known)}")
        self.camera = CropCamera(focal_length, image_size)
        self.pooling, self.crop_to_body, self.bfloat16_features = pooling, crop_to_body, bfloat16_features
        self.body: SMPLBody = build_part(body, type="mion.SMPLBody")
        self.renderer: PNCCRenderer = build_part(renderer, type="mion.PNCCRenderer", size=image_size, body=self.body)
        check_parts(renderer=self.renderer, network=self)
        self.body_height = template_height(self.body.v_template)
        self.backbone = _build_backbone(backbone)
        channels = feature_channels or getattr(self.backbone, "out_channels", None)
        if not isinstance(channels, int):
            raise ValueError("feature_channels must tell how many channels this backbone's features have")
        if output == "vertices":
            self.head: nn.Module = VertexHead(channels, len(self.body.v_template))
        else:
            head = AnchorHead if output == "low_rank" else LocalHead
            self.head = head(channels, self.body.v_template, num_anchors)

    def forward(self, image: Tensor, bodies: Bodies | Tensor) -> Tensor:
        """Scores (B, N): the mean of ``distances``, the lowest wins (paper, 3.3). Arguments as there."""
        return self.distances(image, bodies).mean(dim=-1)

    def distances(self, image: Tensor, bodies: Bodies | Tensor) -> Tensor:
        """Estimated distance of every vertex from its true place relative to the pelvis.

        Args:
            image: (B, 3, H, W) normalised float (``mion.Normalize``) of square crops, at the renderer's size.
            bodies: (B, N); or any method's vertices (B, N, V, 3) in metres, camera frame, translation included. No
                gradient reaches them.

        Returns:
            (B, N, V) float32; 1 is a body's height, ``body_height`` in metres.

        Raises:
            TypeError: Not tensors of real numbers.
            ValueError: A shape is not one of these, a body is not before the camera, or as ``rasterize``.
        """
        vertices = self._vertices(bodies)
        self._check(image, vertices)
        check_before_camera(_nearest_depths(bodies))
        return self.decode(self.encode(image, vertices)).unflatten(0, vertices.shape[:2])

    def decode(self, bodies: EncodedBodies) -> Tensor:
        """Distances (S, V) of what ``encode`` gives: the network alone, which ``tools/export.py`` writes."""
        features = self._features(bodies.picture)
        with full_precision(bodies.picture):
            features = features.float()
            pooled = self._pool(features, bodies.picture[:, RGB:])
            if bodies.places is None or bodies.offsets is None:
                return self.head(pooled)
            return self.head(pooled, features, bodies.places, bodies.offsets)

    @torch.no_grad()
    def encode(self, image: Tensor, bodies: Bodies | Tensor) -> EncodedBodies:
        """The network's inputs for S = B * N bodies, image by image. Arguments as ``distances``."""
        vertices = self._vertices(bodies)
        images = image.float()[:, None].expand(-1, vertices.shape[1], -1, -1, -1).flatten(0, 1)
        with full_precision(image):
            flat = vertices.float().flatten(0, 1)
            boxes = body_boxes(flat, self.camera) if self.crop_to_body else None
            picture = self._picture(images, flat, boxes)
            if not isinstance(self.head, LocalHead):
                return EncodedBodies(picture)
            anchors = flat[:, self.head.anchors]
            places = self.camera.project_normalized(anchors)
            if boxes is not None:
                places = (places - boxes.centre[:, None]) / boxes.half_side[:, None, None]
            offsets = (anchors - flat.mean(dim=1, keepdim=True)) / self.body_height
            return EncodedBodies(picture, places, offsets)

    @torch.no_grad()
    def _vertices(self, bodies: Bodies | Tensor) -> Tensor:
        if not isinstance(bodies, Bodies):
            return bodies
        with full_precision(bodies.transl):
            return bodies.placed_vertices(self.body)

    def _picture(self, images: Tensor, vertices: Tensor, boxes: BodyBoxes | None) -> Tensor:
        """(S, 6, H, W) of S images and bodies."""
        camera = self.camera
        if boxes is None:
            pncc = self.renderer(vertices, camera.focal_length, camera.principal_point, camera.image_size)
            return torch.cat([images, pncc], dim=1)
        pncc = self.renderer(vertices, *boxes.intrinsics(camera), camera.image_size)
        return torch.cat([boxes.crop(images), pncc], dim=1)

    def _features(self, inputs: Tensor) -> Tensor:
        if not self.bfloat16_features:
            return last_map(self.backbone(inputs))
        with torch.autocast(inputs.device.type, torch.bfloat16):
            return last_map(self.backbone(inputs))

    def _pool(self, features: Tensor, pncc: Tensor) -> Tensor:
        """(S, C) of features (S, C, h, w)."""
        if self.pooling == "all":
            return features.mean(dim=(2, 3))
        height, width = features.shape[2:]
        covered = (pncc > 0).any(dim=1, keepdim=True).float()
        weight = functional.adaptive_avg_pool2d(covered, (height, width))
        total = weight.sum(dim=(2, 3), keepdim=True)
        # a body outside the image covers nothing: then everything counts
        weight = torch.where(total > 0, weight / total.clamp(min=1e-6), 1.0 / (height * width))
        return (features * weight).sum(dim=(2, 3))

    def _check(self, image: Tensor, vertices: Tensor) -> None:
        for name, value in (("image", image), ("vertices", vertices)):
            if not isinstance(value, Tensor) or value.is_complex():
                raise TypeError(f"{name} is {getattr(value, 'dtype', type(value).__name__)}, expected a real tensor")
        size = (self.renderer.height, self.renderer.width)
        check_images(image)
        if image.shape[2:] != size:
            raise ValueError(
                f"images are {image.shape[2]} x {image.shape[3]}, but the renderer makes {size[0]} x {size[1]}; set "
                "its size to the images'"
            )
        expected = (len(image), len(self.body.v_template), 3)
        if vertices.dim() != 4 or (vertices.shape[0], *vertices.shape[2:]) != expected or not vertices.shape[1]:
            raise ValueError(
                f"vertices have shape {tuple(vertices.shape)}, expected ({expected[0]}, N, {expected[1]}, 3)"
            )


def _nearest_depths(bodies: Bodies | Tensor) -> Tensor:
    """(B, N): meshes have to lie before the camera as a whole, bodies to be moved there."""
    return bodies.transl[..., 2] if isinstance(bodies, Bodies) else bodies[..., 2].amin(dim=-1)


def _build_backbone(backbone: Part | None) -> nn.Module:
    if backbone is None:
        return build_part({"type": "mion.TorchvisionResNet", "depth": 34, "in_channels": _CHANNELS})
    return build_part(backbone, in_channels=_CHANNELS)
