"""Reading the official archives of the data sets: missing, damaged and hostile files end with one clear line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from mion_plugin.files import read_pickle
from mion_plugin.files.json_files import read_json
from mion_plugin.files.npz import one_line
from mion_plugin.files.presence import require_file
from mion_plugin.files.relative_paths import leads_out, with_slashes


def require_files(folder: Path, pattern: str) -> list[Path]:
    """The files below ``folder`` that match ``pattern``, in order of name.

    Raises:
        FileNotFoundError: There is none.
    """
    found = sorted(folder.glob(pattern))
    if not found:
        raise FileNotFoundError(f"no {pattern} in {folder}")
    return found


def load_mat(path: Path, *keys: str, **options: Any) -> dict[str, Any]:
    """The variables ``keys`` of a MATLAB file (up to version 7.2), as ``scipy.io.loadmat`` returns them.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file cannot be read, or lacks one of the variables.
    """
    from scipy.io import loadmat  # takes a moment to import

    require_file(path)
    try:
        content = loadmat(path, variable_names=list(keys), **options)
    except Exception as error:  # damaged files fail in scipy in many ways
        raise ValueError(f"{path} is not a readable MATLAB file: {one_line(error)}") from error
    missing = [key for key in keys if key not in content]
    if missing:
        raise ValueError(f"{path} lacks the variables {', '.join(missing)}")
    return content


def load_pickle(path: Path) -> dict[str, Any]:
    """The dict of arrays and plain containers that a pickle holds; nothing that the file names is run.

    Raises:
        FileNotFoundError: No such file.
        UnsafePickleError: The pickle names anything else.
        ValueError: Not a readable pickle of a dict.
    """
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected a dict")
    return content


def load_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not JSON.
    """
    return read_json(require_file(path))


def fields(content: Mapping[str, Any], path: Path, **shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Arrays of ``content`` as float64 of the given shapes.

    -1, at most one in a shape, is any length. Axes of length 1 may be more or fewer than asked for: MATLAB adds and
    drops them.

    Raises:
        ValueError: One is missing, not numeric, not finite, or of another size.
    """
    arrays = []
    for name, shape in shapes.items():
        if name not in content:
            raise ValueError(f"{path} lacks {name}")
        try:
            array = np.asarray(content[name], dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{path}: {name} is not an array of numbers") from None
        if not _has_shape(array, shape):
            raise ValueError(f"{path}: {name} has shape {array.shape}, expected {shape}")
        with np.errstate(over="ignore"):
            single = array.astype(np.float32)  # what is written
        if not np.isfinite(single).all():
            raise ValueError(f"{path}: {name} holds NaN or infinite values")
        arrays.append(array.reshape(shape))
    return arrays


def chosen_rows(
    content: Mapping[str, Any], key: str, chosen: np.ndarray, shape: tuple[int, ...], path: Path
) -> np.ndarray:
    """Float64 rows (N, *shape) of ``content[key]`` (T, *shape) where ``chosen`` (T,) is True; the others hold anything.

    Raises:
        ValueError: There are not T rows of that shape, or the chosen ones are not numeric or not finite.
    """
    values = np.asarray(content.get(key))
    if values.shape != (len(chosen), *shape):
        raise ValueError(f"{path}: {key} has shape {values.shape}, expected {(len(chosen), *shape)}")
    (flat,) = fields({key: values[chosen].reshape(-1)}, path, **{key: (-1,)})
    return flat.reshape(-1, *shape)


def camera_rotations(
    content: Mapping[str, Any], key: str, chosen: np.ndarray, path: Path
) -> tuple[Rotation, np.ndarray]:
    """N rotations and translations (N, 3) of the cameras ``content[key]`` (T, 4, 4) where ``chosen`` (T,) is True.

    Raises:
        ValueError: As ``chosen_rows``, or a chosen one is no rotation.
    """
    cameras = chosen_rows(content, key, chosen, (4, 4), path)
    try:  # scipy makes no rotations of none
        rotations = Rotation.from_matrix(cameras[:, :3, :3]) if chosen.any() else Rotation.identity(0)
    except ValueError as error:
        raise ValueError(f"{path}: {key} are no cameras: {error}") from None
    return rotations, cameras[:, :3, 3]


def _has_shape(array: np.ndarray, shape: tuple[int, ...]) -> bool:
    found, expected = ([length for length in lengths if length != 1] for lengths in (array.shape, shape))
    if len(found) < len(expected) and -1 in expected:
        expected.remove(-1)  # that length is 1
    return len(found) == len(expected) and all(e in (-1, f) for f, e in zip(found, expected, strict=True))


def safe_relative(path: str, source: Path) -> str:
    """``path``, with forward slashes, if it stays below the folder that it is joined to.

    Args:
        path: A relative path from an annotation.
        source: The annotation file, for the error.

    Raises:
        ValueError: The path is absolute or leads out of its folder.
    """
    if leads_out(path):
        raise ValueError(f"{source} names {path!r}, expected a path below the data set's folder")
    return with_slashes(path)
