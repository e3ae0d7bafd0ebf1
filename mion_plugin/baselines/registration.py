"""SPIN's fits: SMPLify in the loop, and the best fit of each image. Importing this module imports mmhuman3d."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmhuman3d.models.utils.fits_dict import SMPL_POSE_FLIP_PERM, FitsDict
from torch import Tensor, nn

from mion_plugin.baselines.body_files import UPRIGHT
from mion_plugin.files.npz import read_npy

_FIT_SIZE = 82  # pose (72) and betas (10)
_MIN_JOINTS = 3  # that determine a camera translation
_CAMERA_JOINTS = slice(25, None)  # of smpl_49: those that mmhuman3d's estimate_translation looks at


class RememberedFits(FitsDict):
    """mmhuman3d's ``FitsDict`` for any data set: the best SMPL parameters known for an image.

    An image without a fit starts from an upright body in the rest pose. Fits are not part of checkpoints, as in
    mmhuman3d: a resumed training starts from the static ones again.

    Args:
        static_fits: Folder of ``{dataset_name}_fits.npy``, (N, 82) pose and betas of row ``sample_idx``; None for none.
        remember: Keep better fits for the next epoch. Must be False where ``sample_idx`` means another image in each
            epoch.

    Raises:
        FileNotFoundError: No such folder.
    """

    def __init__(self, static_fits: str | None = None, remember: bool = True) -> None:
        if static_fits is not None and not Path(static_fits).is_dir():
            raise FileNotFoundError(f"static_fits {static_fits}: no such folder of {{dataset_name}}_fits.npy files")
        self.flipped_parts = torch.tensor(SMPL_POSE_FLIP_PERM)
        self.fits_dict = _FitTables(static_fits, remember)  # what FitsDict indexes by data set and row


class _FitTables(dict):
    """Data set -> its fits, read when first asked for."""

    def __init__(self, folder: str | None, remember: bool) -> None:
        super().__init__()
        self._folder = folder
        self._remember = remember

    def __missing__(self, dataset_name: str) -> _Fits:
        path = None if self._folder is None else Path(self._folder) / f"{dataset_name}_fits.npy"
        static = None
        if path is not None and path.is_file():
            found = read_npy(path, "file of fits")
            if found.dtype.kind not in "fiu" or found.ndim != 2 or found.shape[1] != _FIT_SIZE:
                raise ValueError(f"{path} holds {found.dtype} {found.shape}, expected numbers (N, {_FIT_SIZE})")
            static = torch.from_numpy(found.astype(np.float32))
        self[dataset_name] = _Fits(dataset_name, static, self._remember)
        return self[dataset_name]


class _Fits:
    """The fits of one data set by row."""

    def __init__(self, name: str, static: Tensor | None, remember: bool) -> None:
        self._name = name
        self._static = static
        self._remember = remember
        self._found: dict[int, Tensor] = {}
        self._initial = torch.zeros(_FIT_SIZE)
        self._initial[:3] = torch.tensor(UPRIGHT)

    def __getitem__(self, row: Tensor) -> Tensor:
        index = int(row)
        if index in self._found:
            return self._found[index]
        if self._static is None:
            return self._initial
        if index >= len(self._static):
            raise ValueError(f"static fits of {self._name} hold {len(self._static)} rows, but sample {index} was asked")
        return self._static[index]

    def __setitem__(self, row: Tensor, fit: Tensor) -> None:
        if self._remember:
            self._found[int(row)] = fit.clone()


def add_fits(architecture: Any, predictions: Mapping[str, Tensor], targets: dict[str, Any]) -> dict[str, Any]:
    """``targets`` with mmhuman3d's fits: what ``run_registration`` adds and ``compute_losses`` reads.

    mmhuman3d fits every sample and then takes the labels where there are any. Here only samples without SMPL labels
    are fitted, which changes nothing but when SMPLify stops early (its loss is summed over the batch). Samples with
    fewer than three joints that determine a translation are not fitted and count as unlabelled.

    Args:
        architecture: An estimator with a registrant.
        predictions: Of its head.
        targets: mmhuman3d's batch.
    """
    labelled = targets["has_smpl"].view(-1).bool()
    joints = (targets["keypoints2d"][:, _CAMERA_JOINTS, 2] > 0).sum(dim=1)
    rows = (~labelled & (joints >= _MIN_JOINTS)).nonzero()[:, 0].tolist()
    targets = {**targets, **_labels_as_fits(architecture, targets, labelled)}
    if rows:
        # mmhuman3d squeezes the indices, so one sample alone must come twice
        taken = rows if len(rows) > 1 else rows * 2
        _move_registrant(architecture.registrant, labelled.device)
        fitted = architecture.run_registration(_rows(predictions, taken), _rows(targets, taken))
        for key in ("valid_fit", "opt_vertices", "opt_pose", "opt_betas"):
            targets[key][rows] = fitted[key][: len(rows)].to(targets[key].dtype)
    return targets


@torch.no_grad()
def _labels_as_fits(architecture: Any, targets: Mapping[str, Any], labelled: Tensor) -> dict[str, Tensor]:
    pose = torch.cat([targets["smpl_global_orient"].view(-1, 3), targets["smpl_body_pose"].view(-1, 69)], dim=1)
    betas = targets["smpl_betas"]
    output = architecture.body_model_train(betas=betas, body_pose=pose[:, 3:], global_orient=pose[:, :3])
    return {
        "valid_fit": labelled.clone(),
        "opt_pose": pose.clone(),
        "opt_betas": betas.clone(),
        "opt_vertices": output["vertices"].clone(),
    }


def _rows(batch: Mapping[str, Any], rows: list[int]) -> dict[str, Any]:
    return {
        key: value[rows] if isinstance(value, Tensor) else [value[row] for row in rows] for key, value in batch.items()
    }


def _move_registrant(registrant: Any, device: torch.device) -> None:
    """SMPLify is no module, so it does not follow the model to its device."""
    if registrant.device != device:
        registrant.device = device
        for part in vars(registrant).values():
            if isinstance(part, nn.Module):
                part.to(device)
