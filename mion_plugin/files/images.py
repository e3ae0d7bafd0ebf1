"""Writing image files."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from PIL import Image

from mion_plugin.files.atomic import atomic_path


def write_image(image: Image.Image, path: str | os.PathLike[str], **options: Any) -> None:
    """Write an image, whole or not at all, in the format that the path ends in.

    It is encoded in memory: Pillow's encoders do not notice that a full disk took fewer bytes than it was given.

    Args:
        image: The image.
        path: The file.
        **options: Of ``PIL.Image.Image.save``, such as ``quality``.

    Raises:
        ValueError: No such format.
        OSError: The file cannot be written.
    """
    suffix, file = Path(path).suffix.lower(), io.BytesIO()
    if suffix not in Image.registered_extensions():
        raise ValueError(f"{path}: no image format ends in {suffix!r}")
    image.save(file, format=Image.registered_extensions()[suffix], **options)
    with atomic_path(path) as temporary:
        temporary.write_bytes(file.getbuffer())
