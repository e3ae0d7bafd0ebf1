"""A network that reads how deep a person's joints lie, from the picture and 2D keypoints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mion_plugin.body.depths import relative_depths
from mion_plugin.consistency.images import check_images
from mion_plugin.consistency.reading.locator import KeypointLocator, KeypointReading, LocatorEvidence
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.keypoints import is_present, keypoint_names
from mion_plugin.geometry.precision import full_precision
from mion_plugin.geometry.sampling import sample_features
from mion_plugin.parts import Part, build_part
from mion_plugin.registry import MODELS

SMALLEST_ERROR, LARGEST_ERROR = 0.01, 1.0  # metres, of what is stated; an untrained network states their middle, 0.1
_PER_KEYPOINT = 3  # x, y, confidence
_PER_OWN_DEPTH = 2  # the depth, and whether there is one
_DEPTH_SCALE = 4.0  # depths are a few tenths of a metre
_FINE, _COARSE = 0, 1
# Pixels looked at at once on a CPU, 16 images of 112 px: a layer of an EfficientNet then gives 19 MB. What is above 32
# MB the C library fetches from the kernel anew each time, and clearing its pages takes longer than the layer.
_CPU_PIXELS = 16 * 112**2


@dataclass(frozen=True)
class DepthReading:
    """What was read of a person's K keypoints.

    Attributes:
        depths: (..., K) metres relative to the middle of the hips, z into the scene.
        errors: (..., K) metres, the stated error: the scale b of a Laplace distribution, its expected distance.
    """

    depths: Tensor
    errors: Tensor


@dataclass(frozen=True)
class ImageEvidence:
    """What the network keeps of B images; all bodies of an image share it.

    Attributes:
        context: (B, C) the image's part of the first layer's product.
        fine: (B, c, h, w) features to be looked up at keypoints.
        located: What the locator keeps, or None without one.
    """

    context: Tensor
    fine: Tensor
    located: LocatorEvidence | None = None

    @classmethod
    def join(cls, parts: Sequence[ImageEvidence]) -> ImageEvidence:
        """That of several batches as of one."""
        if len(parts) == 1:
            return parts[0]
        context, fine = torch.cat([part.context for part in parts]), torch.cat([part.fine for part in parts])
        located = [part.located for part in parts if part.located is not None]
        return cls(context, fine, LocatorEvidence.join(located) if located else None)


@MODELS.register_module()
class DepthReader(BaseModule):
    """Reads the depth of every keypoint, and how sure that is, from an image and where the keypoints lie in it.

    Not in the paper, whose network gets image and rendered body at once and has to find by itself what to compare. This
    one is asked for a number for every joint, and its answer does not depend on what other bodies look like.

    Two maps of the backbone are used: the last, all of it, tells of the whole picture; a finer one is looked up at the
    keypoints. Both are computed once an image. What differs from body to body, the keypoints, goes through a small MLP:
    the first layer is linear, so the image's part of its product is shared.

    Args:
        backbone: Any registered backbone that gives a tuple of feature maps, or one map, which is then both, such as
            ``dict(type='mion.TorchvisionResNet', depth=18, num_stages=3)``.
        feature_channels: Of the finer and the coarser map; None for those that the backbone tells: ``channels`` of its
            several maps or ``out_channels`` of its only one.
        map_indices: Which of the backbone's maps these are.
        locator: Also correct the 2D keypoints by the picture (``locate``): further arguments of ``KeypointLocator``,
            which reads all maps of the backbone; None to go without.
        map_size: Height and width of the coarser map: 7 for stride 16 and images of 112 px.
        fine_channels: To which the finer map is reduced.
        coarse_channels: To which the coarser map is reduced.
        hidden: Widths of the MLP's layers.
        bfloat16_features: Run the backbone, and nothing else, in bfloat16: on CPUs with such instructions training of a
            ResNet is about twice as fast, that of an EfficientNet, whose convolutions are by channel, no faster.
        own_depths: Also take what a body says of the depths, and read how far the truth is from that: what the
            keypoints alone tell need not be learned again, the picture's part is what is left.
        convention: Which keypoints, with both hips.
        focal_length: Pixels of the crop.
        image_size: Side of the crop in pixels, the unit of the keypoints.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ValueError: An option is out of range, or the backbone does not tell its channels.
    """

    def __init__(
        self,
        backbone: Part,
        feature_channels: Sequence[int] | None = None,
        map_indices: Sequence[int] = (0, -1),
        map_size: int = 7,
        fine_channels: int = 32,
        coarse_channels: int = 96,
        hidden: Sequence[int] = (512, 256),
        bfloat16_features: bool = False,
        own_depths: bool = False,
        locator: Mapping[str, Any] | None = None,
        convention: str = "coco",
        focal_length: float = FOCAL_LENGTH,
        image_size: int = IMAGE_SIZE,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        _check_options(map_indices, hidden, map_size=map_size, fine=fine_channels, coarse=coarse_channels)
        self.camera = CropCamera(focal_length, image_size)
        self.convention, self.bfloat16_features, self.own_depths = convention, bfloat16_features, own_depths
        self.map_indices, self.map_size = tuple(map_indices), map_size
        self.num_keypoints = len(keypoint_names(convention))
        self.backbone: nn.Module = build_part(backbone)
        # weights laid out by pixel: measured on a CPU, an EfficientNet-Lite0 trains 1.4 times as fast
        self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's annotations lack it
        stated = _stated_channels(self.backbone)
        self.feature_channels = _fine_and_coarse(stated, feature_channels, self.map_indices)
        first, second = hidden
        per_keypoint = _PER_KEYPOINT + (_PER_OWN_DEPTH if own_depths else 0)
        self.fine = nn.Conv2d(self.feature_channels[_FINE], fine_channels, kernel_size=1)
        self.coarse = nn.Conv2d(self.feature_channels[_COARSE], coarse_channels, kernel_size=1)
        self.from_image = nn.Linear(coarse_channels * map_size**2, first)
        self.from_keypoints = nn.Linear(self.num_keypoints * (fine_channels + per_keypoint), first, bias=False)
        self.hidden = nn.Linear(first, second)
        self.out = nn.Linear(second, 2 * self.num_keypoints)
        self.locator = None if locator is None else _build_locator(self.num_keypoints, stated, locator)
        if own_depths:  # before it has learned anything it says what the body says
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, image: Tensor, keypoints2d: Tensor, own_depths: Tensor | None = None) -> DepthReading:
        """Read depths.

        Args:
            image: (B, 3, H, W) normalised float.
            keypoints2d: (B, K, 3), or (B, N, K, 3) for N guesses where the keypoints are: x, y in crop pixels and
                confidence; see ``is_present``. Depths are read of absent ones, too.
            own_depths: (B, K) or (B, N, K) metres, what bodies whose keypoints these are say of the depths; a row that
                is NaN, or None for all, where no body does. Not looked at without the option ``own_depths``.

        Returns:
            (B, K) or (B, N, K), float32.

        Raises:
            ValueError: A shape is not one of these, or the backbone's maps have another shape than was said.
        """
        self._check(image, keypoints2d)
        return self.read(self.look(image), keypoints2d, own_depths)

    def look(self, image: Tensor) -> ImageEvidence:
        """What to keep of images (B, 3, H, W): the dear part, once an image.

        On a CPU, and but for training, in blocks: that is faster, and what it takes beside the result is bounded.
        """
        return ImageEvidence.join([self._look(block) for block in self.blocks(image)])

    def blocks(self, image: Tensor) -> Sequence[Tensor]:
        """The parts of images (B, 3, H, W) that are looked at one after the other."""
        if image.device.type != "cpu" or self.training or torch.compiler.is_compiling():
            return (image,)
        return image.split(max(1, _CPU_PIXELS // (image.shape[-2] * image.shape[-1])))

    def _look(self, image: Tensor) -> ImageEvidence:
        maps = self._maps(image)
        with full_precision(image):
            fine, coarse = (maps[index].float() for index in self.map_indices)
            self._check_maps(fine, coarse)
            flat = functional.relu(self.coarse(coarse)).flatten(1)
            located = None if self.locator is None else self.locator.look([each.float() for each in maps])
            return ImageEvidence(self.from_image(flat), functional.relu(self.fine(fine)), located)

    def locate(self, evidence: ImageEvidence, keypoints2d: Tensor) -> KeypointReading:
        """Where the picture shows keypoints (B, K, 3), which are as in ``forward``; (B, K) in normalised coordinates.

        Raises:
            ValueError: The reader has no ``locator``.
        """
        if self.locator is None or evidence.located is None:
            raise ValueError("this reader does not correct keypoints: give it a locator")
        with full_precision(evidence.context):
            confidence = torch.where(is_present(keypoints2d), keypoints2d[..., 2].float().clamp(max=1.0), 0.0)
            return self.locator(evidence.located, self.camera.normalize(keypoints2d[..., :2].float()), confidence)

    def read(self, evidence: ImageEvidence, keypoints2d: Tensor, own_depths: Tensor | None = None) -> DepthReading:
        """Depths by what ``look`` gave; arguments and result as ``forward``."""
        several = keypoints2d if keypoints2d.dim() == 4 else keypoints2d[:, None]
        with full_precision(evidence.context):
            described = self._describe(evidence.fine, several.float())
            start = torch.zeros_like(several[..., 0])
            if self.own_depths:
                start, known = _own_depths(own_depths, start)
                described = torch.cat([described, _DEPTH_SCALE * start[..., None], known[..., None]], dim=-1)
            hidden = functional.relu(evidence.context[:, None] + self.from_keypoints(described.flatten(-2)))
            out = self.out(functional.relu(self.hidden(hidden))).view(*several.shape[:2], 2, self.num_keypoints)
            depths, errors = relative_depths(start + out[:, :, 0], self.convention), _stated_error(out[:, :, 1])
        return DepthReading(depths, errors) if keypoints2d.dim() == 4 else DepthReading(depths[:, 0], errors[:, 0])

    def _describe(self, fine: Tensor, keypoints2d: Tensor) -> Tensor:
        """(B, N, K, C) what is known of each keypoint: the features at its place, the place, the confidence."""
        present = is_present(keypoints2d)[..., None]
        confidence = torch.where(present, keypoints2d[..., 2:].clamp(max=1.0), 0.0)
        places = torch.where(present, self.camera.normalize(keypoints2d[..., :2]), 0.0)
        found = sample_features(fine, places.flatten(1, 2)[:, None]).view(*places.shape[:3], fine.shape[1])
        features = torch.where(present, found, 0.0)
        return torch.cat([features, places, confidence], dim=-1)

    def _maps(self, image: Tensor) -> Sequence[Tensor]:
        image = image.contiguous(memory_format=torch.channels_last)
        if not self.bfloat16_features:
            maps = self.backbone(image)
        else:
            with torch.autocast(image.device.type, torch.bfloat16):
                maps = self.backbone(image)
        return (maps,) if isinstance(maps, Tensor) else maps

    def _check(self, image: Tensor, keypoints2d: Tensor) -> None:
        check_images(image)
        per_body = (self.num_keypoints, _PER_KEYPOINT)
        shape, batch = keypoints2d.shape, image.shape[0]  # not len(image), which torch.export takes for a constant
        if len(shape) not in (3, 4) or shape[0] != batch or shape[-2:] != per_body:
            raise ValueError(
                f"keypoints2d has shape {tuple(shape)}, expected ({batch}, {per_body[0]}, 3) or "
                f"({batch}, N, {per_body[0]}, 3) for {self.convention}"
            )

    def _check_maps(self, fine: Tensor, coarse: Tensor) -> None:
        expected = (self.feature_channels[_COARSE], self.map_size, self.map_size)
        if fine.shape[1] != self.feature_channels[_FINE] or coarse.shape[1:] != expected:
            raise ValueError(
                f"the backbone's maps are {tuple(fine.shape[1:])} and {tuple(coarse.shape[1:])}, expected "
                f"({self.feature_channels[_FINE]}, h, w) and {expected}; set feature_channels and map_size to these"
            )


def _own_depths(given: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor]:
    """Depths (B, N, K) that bodies state, 0 where none does, and 1 or 0 for whether one does."""
    if given is None:
        return torch.zeros_like(like), torch.zeros_like(like)
    given = given.to(like).reshape(like.shape)
    known = given.isfinite().all(dim=-1, keepdim=True).expand_as(given)
    return torch.where(known, given, 0.0), known.to(like)


def _stated_error(raw: Tensor) -> Tensor:
    """Metres; any number gives one that can be divided by."""
    low, high = math.log(SMALLEST_ERROR), math.log(LARGEST_ERROR)
    return (low + (high - low) * raw.sigmoid()).exp()


def _stated_channels(backbone: nn.Module) -> tuple[int, ...] | None:
    """Of each of the backbone's maps, or of its only one; None if it tells neither."""
    several = getattr(backbone, "channels", None)
    if isinstance(several, Sequence):
        return tuple(several)
    single = getattr(backbone, "out_channels", None)
    return (single,) if isinstance(single, int) else None


def _fine_and_coarse(
    stated: tuple[int, ...] | None, given: Sequence[int] | None, indices: Sequence[int]
) -> tuple[int, int]:
    """Channels of the two maps that are read: those given, else those of the backbone's maps of these indices."""
    if given is not None:
        if len(given) != 2 or min(given) < 1:
            raise ValueError(f"feature_channels is {given!r}, expected those of the finer and the coarser map")
        return given[_FINE], given[_COARSE]
    if stated is None:
        raise ValueError("feature_channels must tell how many channels this backbone's two maps have")
    if len(stated) == 1:  # the only map is both, whatever the indices
        return stated[0], stated[0]
    if wrong := [index for index in indices if not -len(stated) <= index < len(stated)]:
        raise ValueError(f"map_indices has {wrong[0]}, but the backbone has {len(stated)} maps")
    return stated[indices[_FINE]], stated[indices[_COARSE]]


def _build_locator(num_keypoints: int, stated: tuple[int, ...] | None, options: Mapping[str, Any]) -> KeypointLocator:
    if stated is None:
        raise ValueError(
            "the locator reads all maps of the backbone, which does not tell their channels: give it an attribute "
            "channels, the number for each map (or out_channels, for its only one)"
        )
    return KeypointLocator(num_keypoints, stated, **options)


def _check_options(map_indices: Sequence[int], hidden: Sequence[int], **sizes: int) -> None:
    for name, value in (("map_indices", map_indices), ("hidden", hidden)):
        if len(value) != 2:
            raise ValueError(f"{name} is {value!r}, expected two numbers")
    if wrong := {name: size for name, size in {**sizes, "hidden": min(hidden)}.items() if size < 1}:
        raise ValueError(f"{', '.join(f'{name} is {size}' for name, size in wrong.items())}, expected at least 1")
