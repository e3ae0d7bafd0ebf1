"""Position encodings for image tokens: from PNCC (paper, eq. 5), or from the pixel's place (the paper's ablation).

Both are called with a PNCC image and return channels to add to the features, so a config can exchange them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mion_plugin.registry import MODELS


def sinusoid(values: Tensor, channels: int, temperature: float) -> Tensor:
    """Interleaved sines and cosines of falling frequency (Vaswani et al., 2017).

    Channel 2i is sin(value / temperature^(2i / channels)), channel 2i + 1 the cosine of the same.

    Args:
        values: (..., ) of any shape.
        channels: Even number of channels per value.
        temperature: Ratio of the highest frequency, 1, to the lowest (nearly).

    Returns:
        (..., channels), float32.
    """
    exponent = torch.arange(0, channels, 2, dtype=torch.float32, device=values.device) / channels
    angle = values.float()[..., None] / temperature**exponent
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


@MODELS.register_module()
class PNCCEncoding(nn.Module):
    """PNCC-PE (paper, eq. 5): each of the three PNCC channels as sines and cosines.

    The first third of the channels encodes PNCC's x, then y, then z. The paper does not say which d_model its
    formula means; here it is the number of channels per coordinate, so each third holds the whole range of
    frequencies.

    The formula is made for positions 0, 1, 2, ...; PNCC lies in 0..1. Even the fastest sine covers a sixth of its
    period then, and all but the first few channels are nearly constant (sine 0, cosine 1), also from the background.
    `frequency_scale` multiplies PNCC before the sines: 1 is the paper's formula, 2 pi makes the fastest sine run once
    around along the body, 56 gives the frequencies that pixel positions would have at 56 x 56.

    Args:
        channels: In all, a multiple of 6; the paper's is 384 = 3 x 128.
        temperature: The 10000 of eq. 5.
        frequency_scale: Factor on PNCC.

    Raises:
        ValueError: `channels` is not a positive multiple of 6.
    """

    def __init__(self, channels: int = 384, temperature: float = 10000.0, frequency_scale: float = 1.0) -> None:
        super().__init__()
        if channels < 6 or channels % 6:
            raise ValueError(f"channels must be a positive multiple of 6 (sine, cosine; x, y, z), got {channels}")
        self.channels = channels
        self.temperature = temperature
        self.frequency_scale = frequency_scale

    def forward(self, pncc: Tensor) -> Tensor:
        """Encode PNCC images (B, 3, h, w) as (B, channels, h, w) in PNCC's dtype; computed in float32."""
        _check_pncc(pncc)
        encoding = sinusoid(pncc.float() * self.frequency_scale, self.channels // 3, self.temperature)
        return encoding.permute(0, 1, 4, 2, 3).flatten(1, 2).to(pncc.dtype)


@MODELS.register_module()
class SinePositionEncoding2D(nn.Module):
    """The pixel's row and column as sines and cosines, whatever PNCC shows: the paper's "w/o PNCC-PE".

    The first half of the channels encodes the row index 0, 1, ..., h - 1, the second half the column index.

    Args:
        channels: In all, a multiple of 4.
        temperature: As in ``PNCCEncoding``.

    Raises:
        ValueError: `channels` is not a positive multiple of 4.
    """

    def __init__(self, channels: int = 384, temperature: float = 10000.0) -> None:
        super().__init__()
        if channels < 4 or channels % 4:
            raise ValueError(f"channels must be a positive multiple of 4 (sine, cosine; y, x), got {channels}")
        self.channels = channels
        self.temperature = temperature

    def forward(self, pncc: Tensor) -> Tensor:
        """Encode the pixels' places for PNCC images (B, 3, h, w) as (B, channels, h, w) in PNCC's dtype."""
        _check_pncc(pncc)
        height, width = pncc.shape[-2:]
        half = self.channels // 2
        rows = sinusoid(torch.arange(height, device=pncc.device), half, self.temperature).T[:, :, None]
        columns = sinusoid(torch.arange(width, device=pncc.device), half, self.temperature).T[:, None, :]
        encoding = torch.cat([rows.expand(half, height, width), columns.expand(half, height, width)])
        return encoding.to(pncc.dtype).expand(len(pncc), -1, -1, -1)


def _check_pncc(pncc: Tensor) -> None:
    if pncc.dim() != 4 or pncc.shape[1] != 3:
        raise ValueError(f"pncc must be (B, 3, h, w), got {tuple(pncc.shape)}")
