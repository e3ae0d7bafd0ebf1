"""Images of more than 8 bits a channel as 8 bits, scaled; where a file does not tell what is white, it is refused."""

from __future__ import annotations

import numpy as np
from PIL import Image
from PIL.TiffTags import TAGS_V2

_DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N")
_TAGS = {tag.name: number for number, tag in TAGS_V2.items()}
_UNSIGNED, _FLOAT = 1, 3  # TIFF's SampleFormat


def as_rgb(image: Image.Image, file: Image.Image) -> Image.Image:
    """A decoded image as RGB of 8 bits.

    Grey of 16 bits is scaled, as Pillow scales colour of 16 bits; its own conversion of grey clips at 255. Floats from
    0 to 1 are scaled likewise. Transparent pixels show the colour that they have.

    Args:
        image: The image, as decoded and turned.
        file: As opened: its format and tags.

    Raises:
        ValueError: Whole numbers of 32 bits, signed ones, or floats beyond 0..1: nothing tells which value is white. Or
            TIFF with its 16-bit channels apart, which Pillow decodes wrongly.
    """
    _check_samples(file)
    if image.mode in _DEEP_GREY or (image.mode == "I" and file.format == "PNG"):  # the latter before Pillow 11
        shares = np.asarray(image) / 65535
        return _grey(1.0 - shares if _tag(file, "PhotometricInterpretation") == (0,) else shares)  # Pillow forgets
    if image.mode == "I":
        low, high = image.getextrema()
        raise ValueError(f"its pixels are whole numbers of 32 bits, from {low} to {high}; expected 8 or 16 bits")
    if image.mode == "F":
        values = np.asarray(image)
        if not (np.isfinite(values).all() and values.min() >= 0.0 and values.max() <= 1.0):
            raise ValueError(
                f"its floats go from {values.min():g} to {values.max():g}, expected 0 (black) to 1 (white)"
            )
        return _grey(values)
    return image if image.mode == "RGB" else image.convert("RGB")


def _check_samples(file: Image.Image) -> None:
    if any(kind not in (_UNSIGNED, _FLOAT) for kind in _tag(file, "SampleFormat")):
        raise ValueError("its pixels are signed numbers, expected unsigned ones of 8 or 16 bits")
    if max(_tag(file, "BitsPerSample"), default=8) > 8 and _tag(file, "PlanarConfiguration") == (2,):
        raise ValueError("its channels of 16 bits lie apart, expected them pixel by pixel")


def _tag(file: Image.Image, name: str) -> tuple[int, ...]:
    """The values of a TIFF's tag; () if it has none, or is no TIFF."""
    value = getattr(file, "tag_v2", {}).get(_TAGS[name], ())
    return value if isinstance(value, tuple) else (value,)


def _grey(shares: np.ndarray) -> Image.Image:
    return Image.fromarray((shares * 255).round().astype(np.uint8)).convert("RGB")
