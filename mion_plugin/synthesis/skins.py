"""Skin textures: MakeHuman's for the stand-in body, or another layout for another body."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from mion_plugin.body.arrays import BodyArrays
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.files.presence import require_folder
from mion_plugin.synthesis.texture_map import TextureMap

_SUFFIXES = {".png", ".jpg", ".jpeg"}
_TEXTURE_SIZE = 512  # a body in a 224 crop shows no more


class SkinTextures:
    """The textures of a folder; clothes are painted over them.

    Args:
        folder: Textures, sub-folders included.
        texture_map: Their layout; None for that of the MakeHuman base mesh, on the stand-in.
        tone_std: Standard deviation of the logarithm of a factor on the brightness of a person's skin.
        plain_prob: Probability of a person with plain skin and a painted face instead.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: It holds no images; a number is out of range.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        texture_map: TextureMap | None = None,
        tone_std: float = 0.0,
        plain_prob: float = 0.0,
    ) -> None:
        if not (0 <= tone_std < np.inf and 0 <= plain_prob <= 1):
            raise ValueError(f"tone_std {tone_std}, plain_prob {plain_prob}: expected at least 0, and 0 to 1")
        self.tone_std, self.plain_prob = tone_std, plain_prob
        self.folder = require_folder(Path(folder), "skin texture folder")
        self.paths = sorted(path for path in self.folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
        if not self.paths:
            raise ValueError(f"skin texture folder {self.folder} holds no image ({', '.join(sorted(_SUFFIXES))})")
        self._map = texture_map or TextureMap.of_stand_in()
        self._corners = self._map.corners

    def lay_on(self, body: BodyArrays) -> None:
        """Take the faces of ``sample`` for this body's.

        Raises:
            ValueError: The textures' layout is another body's.
        """
        try:
            self._corners = self._map.on(body.faces)
        except ValueError as error:
            raise ValueError(
                f"skins {self.folder} do not suit the body {body.name}: {error}. Give looks skin_uv=FILE.obj, or "
                "skins='plain'"
            ) from error

    def sample(self, rng: np.random.Generator, face: np.ndarray, barycentric: np.ndarray) -> np.ndarray | None:
        """Albedo (n, 3) float32 of a texture drawn at random; None for plain skin.

        Args:
            rng: Chooses the texture.
            face: (n,) face of each point.
            barycentric: (n, 3) its place in the face.
        """
        # what is off draws nothing, so that the other draws stay as they are without it
        if self.plain_prob > 0 and rng.random() < self.plain_prob:
            return None
        texture = _read_texture(self.paths[int(rng.integers(len(self.paths)))])
        height, width = texture.shape[:2]
        uv = np.einsum("nk,nkc->nc", barycentric, self._corners[face])
        column = np.clip((uv[:, 0] * width).astype(np.int64), 0, width - 1)
        row = np.clip(((1 - uv[:, 1]) * height).astype(np.int64), 0, height - 1)
        albedo = texture[row, column].astype(np.float32) / np.float32(255)
        return albedo * np.float32(np.exp(rng.normal(0.0, self.tone_std))) if self.tone_std > 0 else albedo


@lru_cache(maxsize=64)
def _read_texture(path: Path) -> np.ndarray:
    picture = Image.fromarray(read_image(path))
    picture.thumbnail((_TEXTURE_SIZE, _TEXTURE_SIZE))
    return np.asarray(picture)
