"""The files that mmhuman3d's methods read while they are built, written from what this package has.

mmhuman3d takes SMPL, joint regressors, the mean pose and SMPLify's pose prior by path only, and unpickles two of them.
So they are read here, safely, and written to a folder of the model's own for mmhuman3d to read.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.body.export import REGRESSOR_FILES, export_body
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.body.unpickling import load_smpl_pickle
from mion_plugin.candidates.pool import DEFAULT_POOL, load_pool
from mion_plugin.candidates.splits import split_pool
from mion_plugin.files import atomic_path
from mion_plugin.geometry.rotations import rotvec_to_rotmat
from mion_plugin.registry import MODELS

SMPL_TYPES = ("SMPL", "smpl", "GenderedSMPL")
MEAN_PARAMS_HEADS = ("HMRHead", "CliffHead", "PareHead")
PRIOR_TYPE = "MaxMixturePrior"
UPRIGHT = (np.pi, 0.0, 0.0)  # SMPL's y points up, the camera's down
MEAN_CAMERA = (0.9, 0.0, 0.0)  # (s, tx, ty), SPIN's
_PRIOR_POSES = 2000  # more change the mixture little and take longer


def write_body_files(architecture: dict[str, Any], body: Mapping[str, Any], folder: Path) -> None:
    """Write what an architecture's config needs to be built, and set its paths to it.

    - Every SMPL model: ``model_path`` and joint regressor, from ``body``, whatever the config says: the method and the
      metric then pose the same body.
    - Every head without ``smpl_mean_params``: the mean pose of the training recordings, upright.
    - Every ``MaxMixturePrior``: the mixture in its ``prior_folder``, read safely; without one, a mixture fitted to the
      training recordings.

    Args:
        architecture: mmhuman3d's config; its paths are changed.
        body: Config of a ``SMPLBody``.
        folder: Where to write.

    Raises:
        FileNotFoundError, ValueError, UnsafePickleError: See ``load_body``; a pose prior that cannot be read.
    """
    for part in list(_parts(architecture)):
        if part.get("type") in SMPL_TYPES:
            _set_body_model(part, body, folder)
        elif part.get("type") in MEAN_PARAMS_HEADS and part.get("smpl_mean_params") is None:
            part["smpl_mean_params"] = str(_write_mean_params(folder / "smpl_mean_params.npz"))
        elif part.get("type") == PRIOR_TYPE:
            _set_pose_prior(part, folder)


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Every dict in a config."""
    if isinstance(config, dict):
        yield config
    for value in config.values() if isinstance(config, dict) else config if isinstance(config, (list, tuple)) else ():
        yield from _parts(value)


def _set_body_model(config: dict[str, Any], body: Mapping[str, Any], folder: Path) -> None:
    genders = ("neutral", "male", "female") if config["type"] == "GenderedSMPL" else (config.get("gender", "neutral"),)
    for gender in genders:
        if not (folder / f"SMPL_{gender.upper()}.pkl").exists():
            built: SMPLBody = MODELS.build({"type": "mion.SMPLBody", **body, "gender": gender})
            export_body(built.arrays, folder, gender)
    config["model_path"] = str(folder)
    if config.get("keypoint_src") == "h36m":
        config["joints_regressor"] = str(folder / REGRESSOR_FILES["regressor_h36m"])
    else:
        config["extra_joints_regressor"] = str(folder / REGRESSOR_FILES["regressor_extra"])


def _training_poses() -> np.ndarray:
    """(P, 23, 3) axis-angle: the packaged pool without the test recordings."""
    return split_pool(load_pool(DEFAULT_POOL))[0].body_pose


def _write_mean_params(path: Path) -> Path:
    """A file in the layout of SPIN's ``smpl_mean_params.npz``.

    ``pose`` (144,): the first two columns of 24 rotation matrices, row by row; ``shape`` (10,); ``cam`` (3,).
    """
    import torch

    rotations = rotvec_to_rotmat(torch.from_numpy(_training_poses())).double().mean(dim=0)
    left, _, right = torch.linalg.svd(rotations)  # the rotation next to the mean matrix
    left[..., -1] *= torch.linalg.det(left @ right)[..., None]
    upright = rotvec_to_rotmat(torch.tensor([UPRIGHT], dtype=torch.float64))
    pose = torch.cat([upright, left @ right])[..., :2].reshape(-1).numpy()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            pose=pose.astype(np.float32),
            shape=np.zeros(10, np.float32),
            cam=np.array(MEAN_CAMERA, np.float32),
        )
    return path


def _set_pose_prior(config: dict[str, Any], folder: Path) -> None:
    count = config.setdefault("num_gaussians", 8)
    name = f"gmm_{count:02d}.pkl"
    source = config.get("prior_folder")
    mixture = _fitted_mixture(count) if source is None else _read_mixture(Path(source) / name)
    with atomic_path(folder / name) as temporary, temporary.open("wb") as file:
        pickle.dump(mixture, file, protocol=2)
    config["prior_folder"] = str(folder)


def _read_mixture(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"SMPLify's pose prior {path} does not exist: it comes with SMPLify (smplify.is.tue.mpg.de); without "
            "prior_folder a mixture is fitted to the packaged motion capture"
        )
    content = load_smpl_pickle(path)  # reads any pickled dict of arrays
    missing = [key for key in ("means", "covars", "weights") if key not in content]
    if missing:
        raise ValueError(f"pose prior {path} holds no {', '.join(missing)}")
    return {key: np.asarray(content[key], np.float64) for key in ("means", "covars", "weights")}


def _fitted_mixture(count: int) -> dict[str, np.ndarray]:
    """A Gaussian mixture of body poses in the layout of SMPLify's: ``means`` (G, 69), ``covars``, ``weights``."""
    from sklearn.mixture import GaussianMixture

    poses = _training_poses().reshape(-1, 69).astype(np.float64)
    chosen = poses[np.linspace(0, len(poses) - 1, min(_PRIOR_POSES, len(poses)), dtype=int)]
    mixture = GaussianMixture(count, reg_covar=1e-3, max_iter=200, random_state=0, init_params="k-means++").fit(chosen)
    return {"means": mixture.means_, "covars": mixture.covariances_, "weights": mixture.weights_}
