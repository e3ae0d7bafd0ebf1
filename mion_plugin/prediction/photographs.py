"""Where a photograph is kept: a file, or a member of a tar archive."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mion_plugin.datasets.transforms.loading import BrokenImageError, decode_image, read_image


@dataclass(frozen=True)
class Span:
    """Some bytes of a file.

    Attributes:
        start: The first.
        size: How many.
    """

    start: int
    size: int

    def read(self, path: str) -> bytes:
        """The bytes.

        Raises:
            OSError: There are fewer, or the file cannot be read.
        """
        with open(path, "rb") as file:
            file.seek(self.start)
            content = file.read(self.size)
        if len(content) < self.size:
            raise OSError(f"{path} ends {self.size - len(content)} bytes too early")
        return content


@dataclass(frozen=True)
class StoredPhotograph:
    """A photograph, read when asked for.

    Attributes:
        name: What results call it: its path in the folder, list or annotation file; of a tar ``TAR/MEMBER``.
        path: The file, or the tar.
        span: Where it lies in the tar; None for a file of its own.
        keypoints: Where the member with its keypoints lies in the tar; None without one.
    """

    name: str
    path: str
    span: Span | None = None
    keypoints: Span | None = None

    def read(self) -> np.ndarray:
        """The pixels (H, W, 3) uint8 RGB; errors as ``read_image``."""
        if self.span is None:
            return read_image(Path(self.path))
        try:
            content = self.span.read(self.path)
        except OSError as error:
            raise BrokenImageError(f"image {self.name} cannot be read: {error}") from error
        return decode_image(io.BytesIO(content), f"image {self.name}")
