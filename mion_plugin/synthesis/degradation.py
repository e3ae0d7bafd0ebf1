"""What cameras and files do to pictures: blur, noise, compression; and things that stand in front of people."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from mion_plugin.synthesis.effects import motion_blur, recolor, resized
from mion_plugin.synthesis.occluders import cover_with_thing, cut_off

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
        thing_prob: Probability of one to three things over the body: shapes with the looks of photographs, cloth, skin.
        cut_prob: Probability of a side of the picture that is hidden, by a table, a wall or the photograph's end.
        most_cut: Its largest share of the picture.
        color_prob: Probability of another brightness, contrast, gamma, saturation and white balance.
        color_strength: How much; see ``effects.recolor``.
        motion_prob: Probability of a camera that moves during the exposure.
        motion_length: Its longest way, over the picture's side.
        small_prob: Probability of a person who was small in the photograph: noise and JPEG act on fewer pixels, which
            are enlarged afterwards.
        least_size: The least number of these pixels, over the picture's side.
    """

    occluder_prob: float = 0.0
    blur_prob: float = 0.0
    blur_sigma: float = 1.2
    noise_prob: float = 0.0
    noise_std: float = 10.0
    jpeg_prob: float = 0.0
    jpeg_quality: tuple[int, int] = (30, 90)
    thing_prob: float = 0.0
    cut_prob: float = 0.0
    most_cut: float = 0.35
    color_prob: float = 0.0
    color_strength: float = 1.0
    motion_prob: float = 0.0
    motion_length: float = 0.05
    small_prob: float = 0.0
    least_size: float = 0.4

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError naming the setting."""
        for name in (field for field in self.__dict__ if field.endswith("_prob")):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}, expected 0 to 1")
        worst, best = self.jpeg_quality
        if not (self.blur_sigma >= 0 and self.noise_std >= 0 and 1 <= worst <= best <= 95):
            raise ValueError(
                f"blur_sigma {self.blur_sigma}, noise_std {self.noise_std}, jpeg_quality {self.jpeg_quality}: expected "
                "at least 0, at least 0, and 1 to 95 in order"
            )
        for name, least, most in (
            ("most_cut", 0.0, 0.9),
            ("color_strength", 0.0, 3.0),
            ("motion_length", 0.0, 0.5),
            ("least_size", 0.1, 1.0),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} {getattr(self, name)}, expected {least:g} to {most:g}")

    def occlude(self, image: np.ndarray, keypoints2d: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(H, W) bool, the pixels that an occluder has covered; ``image`` (H, W, 3) uint8 is painted on.

        Args:
            image: The picture.
            keypoints2d: (K, 2) pixels; each occluder is centred near one of them.
            rng: Source of the draw.
        """
        covered = self._cover_with_block(image, keypoints2d, rng)
        # what is off draws nothing, so that the other draws stay as they are without it
        if self.thing_prob > 0 and rng.random() < self.thing_prob:
            for _ in range(int(rng.choice([1, 2, 3], p=(0.6, 0.3, 0.1)))):
                covered |= cover_with_thing(image, _near_a_keypoint(image, keypoints2d, rng), rng)
        if self.cut_prob > 0 and rng.random() < self.cut_prob:
            covered |= cut_off(image, self.most_cut, rng)
        return covered

    def _cover_with_block(self, image: np.ndarray, keypoints2d: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        covered = np.zeros(image.shape[:2], dtype=bool)
        happens, color = rng.random() < self.occluder_prob, rng.integers(0, 256, 3)
        size = np.array(image.shape[1::-1])
        half = rng.uniform(0.1, 1.0, 2) * _MAX_OCCLUDER / 2 * size
        centre = _near_a_keypoint(image, keypoints2d, rng)
        if happens:
            left, top = np.clip(centre - half, 0, size).astype(int)
            right, bottom = np.clip(centre + half, 0, size).astype(int)
            covered[top:bottom, left:right] = True
            image[covered] = color
        return covered

    def apply(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Colours, blur, then noise and compression of ``image`` (H, W, 3) uint8; returns the result."""
        blurred, noisy, packed = rng.random(3) < (self.blur_prob, self.noise_prob, self.jpeg_prob)
        sigma, strength = rng.uniform(0.2, 1.0, 2) * (self.blur_sigma, self.noise_std)
        quality = int(rng.integers(self.jpeg_quality[0], self.jpeg_quality[1] + 1))
        height, width = image.shape[:2]
        if self.color_prob > 0 and rng.random() < self.color_prob:
            image = np.asarray(recolor(Image.fromarray(image), rng, self.color_strength))
        if self.motion_prob > 0 and rng.random() < self.motion_prob:
            image = motion_blur(image, rng.uniform(0.2, 1.0) * self.motion_length * width, rng.uniform(0.0, np.pi))
        if blurred:
            image = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(float(sigma))))
        if small := self.small_prob > 0 and rng.random() < self.small_prob:
            share = rng.uniform(self.least_size, 1.0)
            image = resized(image, (max(round(share * width), 1), max(round(share * height), 1)))
        if noisy:
            noise = rng.standard_normal(image.shape, np.float32) * np.float32(strength)
            image = np.clip(image + noise, 0, 255).astype(np.uint8)
        if packed:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "JPEG", quality=quality)
            image = np.asarray(Image.open(buffer))
        return resized(image, (width, height)) if small else image


def _near_a_keypoint(image: np.ndarray, keypoints2d: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = np.array(image.shape[1::-1])
    return keypoints2d[rng.integers(len(keypoints2d))] + rng.normal(0.0, 0.05, 2) * size


# A mild mixture for training.
AUGMENTED = Degradation(occluder_prob=0.15, blur_prob=0.3, noise_prob=0.3, jpeg_prob=0.3)
