"""Writing a body model as the files that other libraries read.

``smplx.SMPL`` and mmhuman3d read ``SMPL_NEUTRAL.pkl`` and its siblings, and mmhuman3d two joint regressors beside them.
The stand-in exported this way serves wherever a licensed SMPL file would; only betas do not carry over.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.body.arrays import BodyArrays
from mion_plugin.files.atomic import atomic_path

NO_PARENT = 2**32 - 1  # SMPL's files mark the root so, in unsigned 32-bit numbers
REGRESSOR_FILES = {"regressor_h36m": "J_regressor_h36m.npy", "regressor_extra": "J_regressor_extra.npy"}


def smpl_file_content(body: BodyArrays) -> dict[str, Any]:
    """The dictionary of a SMPL ``.pkl`` file.

    float64 like the originals, but for the pose correctives, whose size would double for nothing.
    """
    parents = body.parents.astype(np.int64).copy()
    parents[0] = NO_PARENT
    return {
        "v_template": body.v_template.astype(np.float64),
        "shapedirs": body.shapedirs.astype(np.float64),
        "posedirs": body.posedirs.astype(np.float32),
        "J_regressor": body.J_regressor.astype(np.float64),
        "J": (body.J_regressor @ body.v_template).astype(np.float64),
        "weights": body.weights.astype(np.float64),
        "kintree_table": np.stack([parents, np.arange(len(parents))]).astype(np.uint32),
        "f": body.faces.astype(np.uint32),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def export_smpl_pickle(body: BodyArrays, path: str | os.PathLike[str]) -> Path:
    """Write ``body`` as a ``.pkl`` file that ``smplx.SMPL`` 0.1.28 and mmhuman3d 0.11 load unmodified (about 23 MB).

    Raises:
        ValueError: ``path`` does not end in ``.pkl``, which both readers expect.
        OSError: The file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".pkl":
        raise ValueError(f"{path} has suffix {path.suffix!r}, expected .pkl")
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        pickle.dump(smpl_file_content(body), file, protocol=2)
    return path


def export_regressors(body: BodyArrays, folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``J_regressor_h36m.npy`` (17, 6890) and ``J_regressor_extra.npy`` (9, 6890), rows in mmhuman3d's order.

    Raises:
        ValueError: The body has no such regressors.
        OSError: A file cannot be written.
    """
    paths = []
    for field, name in REGRESSOR_FILES.items():
        regressor = getattr(body, field)
        if regressor is None:
            raise ValueError(f"{body.name} has no {field} to write to {name}")
        path = Path(folder) / name
        with atomic_path(path) as temporary:
            np.save(temporary, regressor.astype(np.float32), allow_pickle=False)
        paths.append(path)
    return paths


def export_body(body: BodyArrays, folder: str | os.PathLike[str], gender: str) -> list[Path]:
    """Write ``SMPL_{GENDER}.pkl`` and the two regressors into ``folder``; returns the files written."""
    model = export_smpl_pickle(body, Path(folder) / f"SMPL_{gender.upper()}.pkl")
    return [model, *export_regressors(body, folder)]
