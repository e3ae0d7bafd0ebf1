"""Reading the image of a sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from mion_plugin.datasets.transforms.pixel_values import as_rgb
from mion_plugin.registry import TRANSFORMS

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# What files of those suffixes hold (JPEG includes MPO): Pillow also knows formats that are programs,
# such as PostScript, and starts an interpreter for them.
IMAGE_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")


class BrokenImageError(OSError):
    """An image file that exists but cannot be decoded."""


@TRANSFORMS.register_module()
class LoadImageFromFile:
    """Read ``image_path`` as RGB, turned upright by its EXIF tag as OpenCV (and so mmcv) does.

    Adds ``img`` (H, W, 3) uint8 RGB, ``ori_shape`` (H, W) and ``img_transform``, the 3 x 3 matrix that takes pixels of
    the file to pixels of ``img``; it stays right through flips and crops.

    Raises:
        FileNotFoundError: No such file.
        BrokenImageError: Not an image, or a truncated one.
    """

    def __call__(self, results: dict) -> dict:
        """Add the image to ``results``."""
        results["img"] = read_image(results["image_path"])
        results["ori_shape"] = results["img"].shape[:2]
        results["img_transform"] = np.eye(3)
        return results


def read_image(path: str | Path) -> np.ndarray:
    """The (H, W, 3) uint8 RGB image at ``path``; see ``as_rgb``; errors as ``LoadImageFromFile``."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"image {path} does not exist; check data_root, data_prefix and image_path")
    try:
        # not by its path: Pillow 13 then garbles grey TIFF files that are to be turned a quarter
        with path.open("rb") as stream, Image.open(stream, formats=IMAGE_FORMATS) as file:
            upright = file if file.getexif().get(ExifTags.Base.Orientation, 1) == 1 else ImageOps.exif_transpose(file)
            return np.asarray(as_rgb(upright, file))
    except (OSError, ValueError, SyntaxError, EOFError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BrokenImageError(f"image {path} cannot be read: {error}; fetch it again or remove its row") from error


def list_images(path: Path) -> list[Path]:
    """The image files of a folder in order of their names; a file's own path.

    Raises:
        ValueError: A folder without images.
    """
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise ValueError(f"folder {path} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return files
