"""Where keypoints lie in the picture, given where a detector says they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.keypoints import is_present
from mion_plugin.geometry.sampling import sample_features

# Half crops, the unit of everything here: 0.04 are 2 px of a 112 px crop.
_FIRST_SPREAD, _LEAST_SPREAD = 0.04, 0.02  # of a detected keypoint, as believed before and after training
SMALLEST_ERROR, LARGEST_ERROR = 0.008, 1.2  # of what is stated
_OFFSET_SCALE = 0.1  # of what the last layer says
_WIDER = 4.0  # the picture is also asked how it looks farther around the detector's keypoint
_PER_KEYPOINT = 12  # numbers that describe a keypoint beside its features


@dataclass(frozen=True)
class KeypointReading:
    """Where K keypoints were read.

    Attributes:
        places: (..., K, 2) normalised coordinates of the crop.
        errors: (..., K) half crops, the expected distance stated.
        heat: (..., K, h, w) logits of where the picture alone puts them.
    """

    places: Tensor
    errors: Tensor
    heat: Tensor


@dataclass(frozen=True)
class LocatorEvidence:
    """What the locator keeps of B images.

    Attributes:
        heat: (B, K, h, w) how much the picture speaks for each place, logits.
        features: (B, C, h, w) to be looked up.
    """

    heat: Tensor
    features: Tensor

    @classmethod
    def join(cls, parts: Sequence[LocatorEvidence]) -> LocatorEvidence:
        """That of several batches as of one."""
        return cls(torch.cat([part.heat for part in parts]), torch.cat([part.features for part in parts]))


class SpatialBlock(nn.Module):
    """A residual block in the manner of ConvNeXt (Liu et al. 2022): by channel in space, then by pixel in channels.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, kernel_size=5, padding=2, groups=width),
            nn.GroupNorm(1, width),  # by picture: statistics of a batch would be those of the synthetic pictures
            nn.Conv2d(width, 2 * width, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, width, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return x + self.layers(x)


class KeypointLocator(nn.Module):
    """Corrects a detector's keypoints by the picture.

    Maps of several strides are added up, coarse to fine; each pixel of the finest gets a logit for every keypoint. What
    the picture says times what the detector says, a Gaussian around its keypoint, is a distribution over the pixels;
    its mean is a first answer. A small MLP over all keypoints together, which also sees the features at both places,
    moves it, and says how far off it may still be. Before it has learned anything, it answers what the detector said.

    Args:
        num_keypoints: K.
        map_channels: Of the maps, fine to coarse; each is half as large as the one before.
        width: Channels of the sum of the maps.
        hidden: Width of the MLP.

    Raises:
        ValueError: A number below 1, or no map.
    """

    def __init__(self, num_keypoints: int, map_channels: Sequence[int], width: int = 64, hidden: int = 384) -> None:
        super().__init__()
        if not map_channels or min(num_keypoints, width, hidden, *map_channels) < 1:
            raise ValueError(
                f"num_keypoints {num_keypoints}, map_channels {map_channels}, width {width}, hidden {hidden}: expected "
                "at least 1 each"
            )
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, kernel_size=1) for channels in map_channels)
        self.blocks = nn.ModuleList(SpatialBlock(width) for _ in map_channels)
        self.last = SpatialBlock(width)
        self.heat = nn.Conv2d(width, num_keypoints, kernel_size=1)
        self.reduce = nn.Conv2d(width, width // 4, kernel_size=1)
        # of the believed spread's logarithm, at confidence 0 and what confidence takes off
        self.log_spread = nn.Parameter(torch.tensor([math.log(_FIRST_SPREAD), 0.0]))
        described = 2 * (width // 4) + _PER_KEYPOINT
        self.mlp = nn.Sequential(
            nn.Linear(num_keypoints * described, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
        )
        self.out = nn.Linear(hidden, 3 * num_keypoints)
        for parameter in (*self.heat.parameters(), *self.out.parameters()):
            nn.init.zeros_(parameter)

    def look(self, maps: Sequence[Tensor]) -> LocatorEvidence:
        """What to keep of the backbone's maps (B, C, h, w), fine to coarse, in float32."""
        total: Tensor | None = None
        for lateral, block, each in zip(
            reversed(self.lateral), reversed(self.blocks), reversed(list(maps)), strict=True
        ):
            finer = lateral(each)
            if total is not None:
                finer = finer + functional.interpolate(total, size=each.shape[-2:], mode="bilinear")
            total = block(finer)
        total = functional.relu(self.last(total))
        return LocatorEvidence(self.heat(total), functional.relu(self.reduce(total)))

    def forward(self, evidence: LocatorEvidence, places: Tensor, confidence: Tensor) -> KeypointReading:
        """Read places.

        Args:
            evidence: Of B images.
            places: (B, K, 2) normalised, where the detector says that keypoints are; anything for absent ones.
            confidence: (B, K) 0 to 1, 0 for absent ones.

        Returns:
            (B, K), of absent keypoints, too.
        """
        present = confidence > 0
        places = torch.where(present[..., None], places, 0.0)
        found, spread = self._weigh(evidence.heat, places, confidence)
        around, spread_around = self._weigh(evidence.heat, places, confidence, _WIDER)
        seen = [sample_features(evidence.features, points[:, None])[:, 0] for points in (places, found)]
        lengths = torch.cat([found - places, around - places, spread, spread_around], dim=-1)
        told = [places, confidence[..., None], present[..., None].to(places)]
        described = torch.cat([*seen, lengths / _OFFSET_SCALE, *told], dim=-1)
        out = self.out(self.mlp(described.flatten(1))).view(*confidence.shape, 3)
        low, high = math.log(SMALLEST_ERROR), math.log(LARGEST_ERROR)
        errors = (low + (high - low) * out[..., 2].sigmoid()).exp()
        return KeypointReading(found + _OFFSET_SCALE * out[..., :2], errors, evidence.heat)

    def _weigh(self, heat: Tensor, places: Tensor, confidence: Tensor, wider: float = 1.0) -> tuple[Tensor, Tensor]:
        """Mean (B, K, 2) and standard deviation (B, K, 2) of where picture and detector together say keypoints are."""
        rows, columns = pixel_centres(heat)
        spread = wider * ((self.log_spread[0] - self.log_spread[1] * confidence).exp() + _LEAST_SPREAD)
        distance = (rows[:, None] - places[..., 1, None, None]).square() + (
            columns - places[..., 0, None, None]
        ).square()
        believed = -distance / (2.0 * spread.square()[..., None, None])
        believed = torch.where((confidence > 0)[..., None, None], believed, 0.0)
        weight = (heat + believed).flatten(2).softmax(dim=-1).view_as(heat)
        across, down = weight.sum(dim=2), weight.sum(dim=3)
        mean = torch.stack([across @ columns, down @ rows], dim=-1)
        square = torch.stack([across @ columns.square(), down @ rows.square()], dim=-1)
        return mean, (square - mean.square()).clamp(min=1e-8).sqrt()


def corrected_keypoints(reading: KeypointReading, keypoints2d: Tensor, camera: CropCamera) -> Tensor:
    """Keypoints (B, K, 3) at the places that were read, crop pixels; confidences, and absent ones, are as they were."""
    pixels = (reading.places + 1.0) * (camera.image_size / 2.0)
    present = is_present(keypoints2d)[..., None]
    return torch.cat([torch.where(present, pixels.to(keypoints2d), keypoints2d[..., :2]), keypoints2d[..., 2:]], dim=-1)


def heat_loss(heat: Tensor, places: Tensor, labelled: Tensor) -> Tensor:
    """Mean cross entropy, a scalar, of where the picture alone puts keypoints against where they are.

    Without it the network learns only to tell apart the few pixels that the detector leaves open.

    Args:
        heat: (B, K, h, w) logits.
        places: (B, K, 2) true ones, normalised; anything where not labelled.
        labelled: (B, K) bool.
    """
    rows, columns = pixel_centres(heat)
    places = torch.where(labelled[..., None], places, 0.0)
    # Each place is shared between the four pixels around it, so that their mean is the place.
    down = (1.0 - (rows - places[..., 1:]).abs() * (len(rows) / 2.0)).clamp(min=0.0)
    across = (1.0 - (columns - places[..., :1]).abs() * (len(columns) / 2.0)).clamp(min=0.0)
    target = (down[..., :, None] * across[..., None, :]).flatten(2)
    values = -(target * heat.flatten(2).log_softmax(dim=-1)).sum(dim=-1)
    return values.where(labelled, 0.0 * values).sum() / labelled.sum().clamp(min=1)


def pixel_centres(heat: Tensor) -> tuple[Tensor, Tensor]:
    """y (h,) and x (w,) of a map's pixels, normalised."""
    height, width = heat.shape[-2:]
    rows = (torch.arange(height, device=heat.device) + 0.5) * (2.0 / height) - 1.0
    columns = (torch.arange(width, device=heat.device) + 0.5) * (2.0 / width) - 1.0
    return rows, columns


def location_loss(reading: KeypointReading, places: Tensor, labelled: Tensor) -> Tensor:
    """Mean negative log-likelihood, a scalar, of true places under what was read.

    Distances r are taken to be distributed as exp(-r / b) in the plane around the place read: r / b + 2 log b. Their
    mean is then 2 b, which is what ``errors`` state.

    Args:
        reading: (B, K).
        places: (B, K, 2) true ones; anything where not labelled.
        labelled: (B, K) bool.
    """
    difference = reading.places - torch.where(labelled[..., None], places, reading.places.detach())
    distance = (difference.square().sum(dim=-1) + 1e-8).sqrt()
    scale = reading.errors / 2.0
    values = distance / scale + 2.0 * scale.log()
    return values.where(labelled, 0.0 * values).sum() / labelled.sum().clamp(min=1)
