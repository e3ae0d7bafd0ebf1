"""Colour augmentation; named as mmhuman3d's transforms. The image stays uint8 RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance

from mion_plugin.datasets.randomness import results_generator
from mion_plugin.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomChannelNoise:
    """Multiply each channel by a factor uniform in 1 ± ``noise_factor``, as SPIN and mmhuman3d.

    The default gives the paper's "color jittering [0.6, 1.4]" (section 3.4), which is SPIN's setting.
    """

    def __init__(self, noise_factor: float = 0.4) -> None:
        self.noise_factor = _checked("noise_factor", noise_factor)

    def __call__(self, results: dict) -> dict:
        """Change ``img``."""
        factors = results_generator(results).uniform(1 - self.noise_factor, 1 + self.noise_factor, size=3)
        table = np.clip(np.rint(np.arange(256)[:, None] * factors), 0, 255).astype(np.uint8)
        results["img"] = np.stack([table[results["img"][..., c], c] for c in range(3)], axis=-1)
        return results


@TRANSFORMS.register_module()
class ColorJitter:
    """Multiply brightness, contrast and saturation, in random order, by factors uniform in 1 ± the given number.

    The other reading of the paper's [0.6, 1.4], and torchvision's. mmhuman3d's class of this name draws its factors
    from the same range, but more often near 1.
    """

    def __init__(self, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4) -> None:
        self._enhancers = (
            (ImageEnhance.Brightness, _checked("brightness", brightness)),
            (ImageEnhance.Contrast, _checked("contrast", contrast)),
            (ImageEnhance.Color, _checked("saturation", saturation)),
        )

    def __call__(self, results: dict) -> dict:
        """Change ``img``."""
        rng = results_generator(results)
        image = Image.fromarray(results["img"])
        for index in rng.permutation(len(self._enhancers)):
            enhancer, spread = self._enhancers[index]
            image = enhancer(image).enhance(float(rng.uniform(1 - spread, 1 + spread)))
        results["img"] = np.asarray(image)
        return results


def _checked(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} {value}, expected 0 to 1")
    return value
