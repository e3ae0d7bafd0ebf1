"""Finding and reading a body model file: the user's SMPL or the free stand-in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS, BodyArrays
from mion_plugin.body.export import REGRESSOR_FILES
from mion_plugin.body.stand_in import load_stand_in
from mion_plugin.body.unpickling import load_smpl_pickle
from mion_plugin.files.npz import read_npy, read_npz
from mion_plugin.files.presence import require_file

GENDERS = ("neutral", "male", "female")
WHERE_TO_GET_SMPL = (
    "The SMPL files need a licence: register at smpl.is.tue.mpg.de, download SMPL_python_v.1.1.0.zip, and name them "
    "SMPL_NEUTRAL.pkl, SMPL_MALE.pkl, SMPL_FEMALE.pkl. Without them, leave the path out: the free stand-in is used."
)
_SUFFIXES = (".pkl", ".npz")
# as SMPL's archives name their files, and as everybody renames them
_NAME = re.compile(r"(?:smpl|basicmodel)_(?P<gender>n|neutral|m|male|f|female)[_.]", re.IGNORECASE)
_REQUIRED = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "f", "kintree_table")


def load_body(model_path: str | os.PathLike[str] | None = None, gender: str = "neutral") -> BodyArrays:
    """Load a body model.

    Args:
        model_path: None for the free stand-in; a ``.pkl`` or ``.npz`` file in SMPL's layout; or a folder that holds
            ``SMPL_{NEUTRAL,MALE,FEMALE}.pkl`` or ``.npz``. mmhuman3d's ``J_regressor_h36m.npy`` and
            ``J_regressor_extra.npy`` are read when they stand in the same folder, or, as in mmhuman3d's guide, in the
            one above.
        gender: ``neutral``, ``male`` or ``female``; chooses the stand-in's shape space, or the file in a folder. Beside
            a file whose name tells another gender, the one of ``male`` or ``female`` is looked for.

    Raises:
        FileNotFoundError: No such file; the message says where to get it.
        ValueError: Unknown gender, an unreadable file, a missing array or a wrong shape.
        UnsafePickleError: The pickle asks for more than arrays.
    """
    if gender not in GENDERS:
        raise ValueError(f"gender {gender!r}, expected one of {', '.join(GENDERS)}")
    if model_path is None:
        return load_stand_in(gender)
    path = _find_model_file(Path(model_path), gender)
    content = load_smpl_pickle(path) if path.suffix == ".pkl" else read_npz(path, "body model", only=_REQUIRED)
    return _to_body_arrays(content, path)


def _find_model_file(path: Path, gender: str) -> Path:
    folder = path
    if not path.is_dir():
        require_file(path, "body model", f". {WHERE_TO_GET_SMPL}")
        if path.suffix not in _SUFFIXES:
            raise ValueError(f"body model {path} has suffix {path.suffix!r}, expected .pkl or .npz")
        if gender == GENDERS[0] or named_gender(path) in (None, gender):
            return path
        folder = path.absolute().parent
    names = [f"SMPL_{gender.upper()}{suffix}" for suffix in _SUFFIXES]
    others = sorted(file for file in folder.iterdir() if named_gender(file) == gender and file.suffix in _SUFFIXES)
    found = next((file for file in (*(folder / name for name in names), *others) if file.is_file()), None)
    if found is None:
        raise FileNotFoundError(f"folder {folder} holds neither {names[0]} nor {names[1]}. {WHERE_TO_GET_SMPL}")
    return found


def named_gender(path: Path) -> str | None:
    """The gender that the name of a SMPL file tells, if it does."""
    match = _NAME.match(path.name)
    return None if match is None else next(gender for gender in GENDERS if gender[0] == match["gender"][0].lower())


def _to_body_arrays(content: Mapping[str, Any], path: Path) -> BodyArrays:
    missing = [key for key in _REQUIRED if key not in content]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}: not a SMPL body model. {WHERE_TO_GET_SMPL}")
    try:
        unreal = [key for key in _REQUIRED if np.asarray(content[key]).dtype.kind not in "fiu"]
        if unreal:
            raise ValueError(f"{', '.join(unreal)}: no real numbers")
        floats = {key: np.asarray(content[key], dtype=np.float32) for key in _REQUIRED[:5]}
        faces = np.asarray(content["f"]).astype(np.int64)
        # SMPL writes the root's parent as 2^32 - 1
        parents = np.asarray(content["kintree_table"])[0].astype(np.int64)
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{path} is not a SMPL body model: {error}") from error
    floats["shapedirs"] = floats["shapedirs"][..., :NUM_BETAS]
    if len(parents) == NUM_JOINTS:
        parents[0] = -1
    return BodyArrays(name=str(path), faces=faces, parents=parents, **floats, **_load_regressors(path.parent))


def _load_regressors(folder: Path) -> dict[str, np.ndarray]:
    """The joint regressors beside the model file, else one folder above; those that are nowhere are left out."""
    regressors = {}
    for field, name in REGRESSOR_FILES.items():
        path = next((place / name for place in (folder, folder.absolute().parent) if (place / name).is_file()), None)
        if path is not None:
            regressor = read_npy(path, "regressor")
            if regressor.dtype.kind != "f":
                raise ValueError(f"{path} holds {regressor.dtype}, expected floating point numbers")
            regressors[field] = regressor.astype(np.float32)
    return regressors
