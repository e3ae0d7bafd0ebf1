"""What the consistency estimation network sees of bodies."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class EncodedBodies:
    """S bodies, each with its picture.

    Attributes:
        picture: (S, 6, H, W) the image, and the PNCC of the body.
        places: (S, K, 2) where the head's anchors lie in the picture, normalised coordinates; None for a head without
            places.
        offsets: (S, K, 3) the anchors relative to the mean of the body's vertices, body heights; None likewise.
    """

    picture: Tensor
    places: Tensor | None = None
    offsets: Tensor | None = None
