"""Reading the image of a sample."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from mion_plugin.datasets.transforms.geometry import apply_maps
from mion_plugin.datasets.transforms.pixel_values import as_rgb
from mion_plugin.registry import TRANSFORMS

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# What files of those suffixes hold (JPEG includes MPO): Pillow also knows formats that are programs,
# such as PostScript, and starts an interpreter for them.
IMAGE_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_REDUCTIONS = (2, 4, 8)  # what JPEG decoders can do, by leaving out the fine waves of each block


class BrokenImageError(OSError):
    """An image file that cannot be opened or decoded."""


@TRANSFORMS.register_module()
class LoadImageFromFile:
    """Read ``image_path`` as RGB, turned upright by its EXIF tag as OpenCV (and so mmcv) does.

    Adds ``img`` (H, W, 3) uint8 RGB, ``ori_shape`` (H, W) and ``img_transform``, the 3 x 3 matrix that takes pixels of
    the file to pixels of ``img``; it stays right through flips and crops.

    Args:
        crop_size: Side in pixels of the crop that will be cut. A JPEG in which it is larger is then decoded at a half,
            a quarter or an eighth of its size, as long as the crop loses no pixel by it: several times as fast, and the
            crop's bilinear sampling skips fewer pixels. What the sample tells in pixels (keypoints, ``center``,
            ``scale``, the camera) is moved along, ``ori_shape`` stays the file's. The crop's scale must be drawn
            before: ``GetRandomScaleRotation`` comes first. None reads all images whole.

    Raises:
        FileNotFoundError: No such file.
        BrokenImageError: Not an image, or a truncated one.
        ValueError: ``crop_size`` is not positive.
    """

    def __init__(self, crop_size: int | None = None) -> None:
        if crop_size is not None and crop_size < 1:
            raise ValueError(f"crop_size {crop_size}, expected a positive number of pixels")
        self.crop_size = crop_size

    def __call__(self, results: dict) -> dict:
        """Add the image to ``results``."""
        most = 1.0 if self.crop_size is None else float(results["scale"][0]) / self.crop_size
        results["img"], results["ori_shape"], reduction = read_reduced(results["image_path"], most)
        results["img_transform"] = np.eye(3)
        if reduction > 1:
            apply_maps(results, np.diag([1 / reduction, 1 / reduction, 1.0]), np.eye(3))
            for key in ("center", "scale"):
                results[key] = results[key] / np.float32(reduction)
        return results


def read_image(path: str | Path) -> np.ndarray:
    """The (H, W, 3) uint8 RGB image at ``path``; see ``as_rgb``; errors as ``LoadImageFromFile``."""
    return read_reduced(path, 1.0)[0]


def read_reduced(path: str | Path, most: float) -> tuple[np.ndarray, tuple[int, int], int]:
    """An image, decoded at a part of its size where that is cheap.

    Args:
        path: The file.
        most: The largest reduction that will do.

    Returns:
        ``(image, shape, reduction)``: uint8 RGB, height and width of the upright file, and how many of its pixels are
        one of the image in each direction: 1, 2, 4 or 8; 1 for what is no JPEG, or has to be turned upright.
    """
    path = Path(path)
    # not by its path: Pillow 13 then garbles grey TIFF files that are to be turned a quarter
    with _opened(path) as stream:
        return _decode(stream, f"image {path}", most)


def _opened(path: Path) -> BinaryIO:
    try:
        if path.is_file():
            return path.open("rb")
    except OSError as error:  # no permission, a name that is too long
        raise BrokenImageError(f"image {path} cannot be read: {error.strerror}") from error
    wrong = "is a folder" if path.is_dir() else "does not exist"
    raise FileNotFoundError(f"image {path} {wrong}; check data_root, data_prefix and image_path")


def decode_image(stream: BinaryIO, name: str) -> np.ndarray:
    """The (H, W, 3) uint8 RGB image in an open file, which may be one in memory.

    Args:
        stream: The file.
        name: What to call it in errors.

    Raises:
        BrokenImageError: Not an image, or a truncated one.
    """
    return _decode(stream, name, 1.0)[0]


def _decode(stream: BinaryIO, name: str, most: float) -> tuple[np.ndarray, tuple[int, int], int]:
    """As ``read_reduced``."""
    try:
        with Image.open(stream, formats=IMAGE_FORMATS) as file:
            width, height = file.size
            upright: Image.Image = file
            reduction = 1
            if file.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                upright = ImageOps.exif_transpose(file)
                width, height = upright.size
            elif file.format == "JPEG":
                wanted = max((part for part in _REDUCTIONS if part <= min(most, width, height)), default=1)
                if wanted > 1:
                    file.draft(None, (width // wanted, height // wanted))
                    reduction = round(width / file.size[0])
            return np.asarray(as_rgb(upright, file)), (height, width), reduction
    except (OSError, ValueError, SyntaxError, EOFError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        # Pillow's words name the open file by its address
        other = f"it is no picture of {', '.join(IMAGE_FORMATS)}"  # phones have others, such as HEIC
        told = other if isinstance(error, UnidentifiedImageError) else error
        raise BrokenImageError(f"{name} cannot be read: {told}; fetch it again, or leave it out") from error


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
