"""Images that an archive does not hold as they are wanted: single frames of videos, pictures lying on their side."""

from __future__ import annotations

import glob
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from mion_plugin.files.images import write_image
from mion_plugin.files.presence import require_file

JPEG_QUALITY = 95


def extract_frames(video: Path, folder: Path, name_of: Callable[[int], str | None]) -> None:
    """Write frames of a video as JPEG files; the folder appears whole or not at all, and a finished one is kept.

    Args:
        video: Anything that OpenCV decodes.
        folder: Where to; if it exists, nothing is done.
        name_of: File name for the frame of an index that starts at 0; None to leave the frame out.

    Raises:
        FileNotFoundError: No such video.
        ImportError: OpenCV is not installed.
        ValueError: OpenCV decodes no frame of it.
        OSError: The folder cannot be written.
    """
    if folder.is_dir():
        return
    require_file(video)
    with _whole_folder(folder) as temporary:
        for index, frame in enumerate(_decode(video)):
            name = name_of(index)
            if name is not None:
                write_image(Image.fromarray(frame), temporary / name, quality=JPEG_QUALITY)


def turn_images(source: Path, folder: Path, names: Iterable[str]) -> None:
    """Write images turned clockwise by 90 degrees as JPEG files; the folder appears whole or not at all.

    Args:
        source: Where the images are.
        folder: Where to; if it exists, nothing is done.
        names: The images, by paths below ``source``; ``a/b.png`` becomes ``a/b.jpg``. Those that are not there are
            left out.

    Raises:
        ValueError: An image is not readable.
        OSError: The folder cannot be written.
    """
    if folder.is_dir():
        return
    with _whole_folder(folder) as temporary:
        for name in names:
            if (source / name).is_file():
                path = (temporary / name).with_suffix(".jpg")
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(_turned(source / name), path, quality=JPEG_QUALITY)


def _turned(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB").transpose(Image.Transpose.ROTATE_270)
    except OSError as error:
        raise ValueError(f"{path} is not a readable image: {error}") from None


@contextmanager
def _whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name at the end; what a run that was killed left of it is removed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.{'?' * 8}"):
        shutil.rmtree(leftover)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp's 0700 would hide the images from the user's group
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _decode(video: Path) -> Iterator[np.ndarray]:
    """The frames (H, W, 3) uint8 RGB."""
    try:
        import cv2
    except ImportError as error:
        raise ImportError(f"taking frames out of videos needs OpenCV ({error}): pip install opencv-python") from error
    capture = cv2.VideoCapture(str(video))
    try:
        count = 0
        while (decoded := capture.read())[0]:
            count += 1
            yield np.ascontiguousarray(decoded[1][..., ::-1])
        if not count:
            raise ValueError(f"OpenCV decodes no frame of {video}")
    finally:
        capture.release()
