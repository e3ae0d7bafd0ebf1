"""Many small pictures on one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def contact_sheet(images: Sequence[np.ndarray], columns: int = 8, gap: int = 2) -> np.ndarray:
    """Pictures row by row on white.

    Args:
        images: Pictures (H, W, 3) uint8 of one size.
        columns: Pictures per row.
        gap: Pixels between two.

    Returns:
        (H', W', 3) uint8.

    Raises:
        ValueError: No pictures, or sizes that differ.
    """
    sizes = {image.shape for image in images}
    if len(sizes) != 1:
        raise ValueError(f"pictures have the sizes {sorted(sizes)}, expected one size")
    height, width, channels = sizes.pop()
    rows = -(-len(images) // columns)
    columns = min(columns, len(images))
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet
