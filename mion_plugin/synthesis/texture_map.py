"""Where each corner of a body's faces lies in a skin texture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mion_plugin.body.stand_in import StandInSurface, load_stand_in, load_stand_in_surface
from mion_plugin.files.presence import require_file

_CORNERS = 3


@dataclass(frozen=True)
class TextureMap:
    """Texture coordinates by faces.

    Attributes:
        name: What to call the map.
        faces: (F, 3) int64 vertices at the corners of each face.
        corners: (F, 3, 2) float32 (u, v) there, 0..1; u points right and v up, as in ``StandInSurface``.
    """

    name: str
    faces: np.ndarray
    corners: np.ndarray

    @classmethod
    def of_stand_in(cls, surface: StandInSurface | None = None) -> TextureMap:
        """MakeHuman's layout on the free stand-in."""
        surface = surface or load_stand_in_surface()
        return cls("the stand-in's UV layout", load_stand_in().faces, surface.uv[surface.faces_uv])

    @classmethod
    def read_obj(cls, path: str | os.PathLike[str]) -> TextureMap:
        """From an OBJ file with ``vt`` lines and triangles ``f v/vt ...``, as SMPL's site has one (``smpl_uv.obj``).

        Raises:
            FileNotFoundError: No such file.
            ValueError: It has no such lines, or they name what is not there.
        """
        path = require_file(Path(path), "skin_uv", "; SMPL's site offers it as UV map in OBJ format")
        uv, corners = [], []
        try:
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                kind, *words = line.split() or [""]
                if kind == "vt":
                    uv.append([float(word) for word in words[:2]])
                elif kind == "f":
                    corners.append([[int(number) for number in word.split("/")[:2]] for word in words])
            table, pairs = np.array(uv, np.float32).reshape(-1, 2), np.array(corners, np.int64)
            if (
                not len(table)
                or pairs.shape[1:] != (_CORNERS, 2)
                or pairs.min() < 1
                or pairs[..., 1].max() > len(table)
            ):
                raise ValueError(f"{len(table)} vt lines and faces of shape {pairs.shape}")
        except ValueError as error:
            raise ValueError(
                f"skin_uv {path}: expected an OBJ file with vt lines and triangles f v/vt: {error}"
            ) from error
        return cls(str(path), pairs[..., 0] - 1, table[pairs[..., 1] - 1])

    def on(self, faces: np.ndarray) -> np.ndarray:
        """(F, 3, 2) the coordinates at the corners of a body's faces (F, 3), in the order of those.

        Raises:
            ValueError: The map does not have one of the faces: it belongs to another body.
        """
        if np.array_equal(faces, self.faces):
            return self.corners
        own, own_turn = _turned(self.faces)
        wanted, turn = _turned(faces)
        place = {tuple(face): row for row, face in enumerate(own.tolist())}
        rows = np.array([place.get(tuple(face), -1) for face in wanted.tolist()])
        if (rows < 0).any():
            raise ValueError(f"{self.name} has {int((rows < 0).sum())} of {len(faces)} faces of the body not")
        # corner c of a face is corner c - turn of its turned form, and so corner c - turn + own_turn of the map's
        column = (np.arange(_CORNERS) - turn[:, None] + own_turn[rows, None]) % _CORNERS
        return self.corners[rows[:, None], column]


def _turned(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces that begin with their lowest vertex, and at which corner (F,) that was."""
    turn = faces.argmin(axis=1)
    column = (np.arange(_CORNERS) + turn[:, None]) % _CORNERS
    return np.take_along_axis(faces, column, axis=1), turn
