"""What cameras and files do to pictures: blur, noise, compression; and things that stand in front of people."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

_MAX_OCCLUDER = 0.35  # of the image's side


@dataclass(frozen=True)
class Degradation:
    """How often and how much a picture is spoilt; the default leaves it as rendered.

    Attributes:
        occluder_prob: Probability of a block of one colour over the body.
        blur_prob: Probability of a Gaussian blur.
        blur_sigma: Its largest standard deviation, pixels.
        noise_prob: Probability of sensor noise.
        noise_std: Its largest standard deviation, of 255.
        jpeg_prob: Probability of JPEG compression.
        jpeg_quality: Its worst and best quality.
    """

    occluder_prob: float = 0.0
    blur_prob: float = 0.0
    blur_sigma: float = 1.2
    noise_prob: float = 0.0
    noise_std: float = 10.0
    jpeg_prob: float = 0.0
    jpeg_quality: tuple[int, int] = (30, 90)

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError naming the setting."""
        for name in ("occluder_prob", "blur_prob", "noise_prob", "jpeg_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}, expected 0 to 1")
        worst, best = self.jpeg_quality
        if not (self.blur_sigma >= 0 and self.noise_std >= 0 and 1 <= worst <= best <= 95):
            raise ValueError(
                f"blur_sigma {self.blur_sigma}, noise_std {self.noise_std}, jpeg_quality {self.jpeg_quality}: expected "
                "at least 0, at least 0, and 1 to 95 in order"
            )

    def occlude(self, image: np.ndarray, keypoints2d: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(H, W) bool, the pixels that an occluder has covered; ``image`` (H, W, 3) uint8 is painted on.

        Args:
            image: The picture.
            keypoints2d: (K, 2) pixels; the block is centred near one of them.
            rng: Source of the draw.
        """
        covered = np.zeros(image.shape[:2], dtype=bool)
        happens, color = rng.random() < self.occluder_prob, rng.integers(0, 256, 3)
        size = np.array(image.shape[1::-1])
        half = rng.uniform(0.1, 1.0, 2) * _MAX_OCCLUDER / 2 * size
        centre = keypoints2d[rng.integers(len(keypoints2d))] + rng.normal(0.0, 0.05, 2) * size
        if happens:
            left, top = np.clip(centre - half, 0, size).astype(int)
            right, bottom = np.clip(centre + half, 0, size).astype(int)
            covered[top:bottom, left:right] = True
            image[covered] = color
        return covered

    def apply(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Blur, noise, then compression of ``image`` (H, W, 3) uint8; returns the result."""
        blurred, noisy, packed = rng.random(3) < (self.blur_prob, self.noise_prob, self.jpeg_prob)
        sigma, strength = rng.uniform(0.2, 1.0, 2) * (self.blur_sigma, self.noise_std)
        quality = int(rng.integers(self.jpeg_quality[0], self.jpeg_quality[1] + 1))
        if blurred:
            image = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(float(sigma))))
        if noisy:
            noise = rng.standard_normal(image.shape, np.float32) * np.float32(strength)
            image = np.clip(image + noise, 0, 255).astype(np.uint8)
        if packed:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "JPEG", quality=quality)
            image = np.asarray(Image.open(buffer))
        return image


# A mild mixture for training.
AUGMENTED = Degradation(occluder_prob=0.15, blur_prob=0.3, noise_prob=0.3, jpeg_prob=0.3)
