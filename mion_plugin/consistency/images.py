"""The images that both kinds of stage 3 take."""

from __future__ import annotations

from torch import Tensor

from mion_plugin.backbones import RGB


def check_images(image: Tensor) -> None:
    """Raise ValueError for what is not normalised float images (B, 3, H, W)."""
    if image.dim() != 4 or image.shape[1] != RGB or not image.is_floating_point():
        raise ValueError(
            f"images are {image.dtype} {tuple(image.shape)}, expected normalised floats (B, 3, H, W): use "
            "mion.Normalize in the pipeline"
        )
