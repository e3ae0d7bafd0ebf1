"""PNCC of mmhuman3d's samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mion_plugin.body.rest_joints import RestJoints
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.hosts.mmhuman3d.batches import KEYPOINTS2D_CONVENTION
from mion_plugin.hosts.mmhuman3d.transforms import CROPPED_KEY
from mion_plugin.rendering.pncc_transform import PNCCTransform

_MIRROR = np.diag([-1.0, 1.0, 1.0])  # x to -x


class HumanImagePNCC(PNCCTransform):
    """``PNCCTransform`` for samples of ``HumanImageDataset``, behind ``MeshAffine``.

    mmhuman3d's steps turn and mirror the pose and leave ``smpl_transl`` as it was before the photograph's camera, of
    which ``HumanImageDataset`` does not tell. Where the data set does (``has_transl`` and ``cam_intrinsics``, as
    ``MIONImageDataset`` of a file with ``transl`` and ``cam_param``), the body is seen by that camera through the crop.
    All others stand where they fit the annotated 2D keypoints best, or, without such, those behind
    ``CropInputKeypoints``; before that camera where it is known, else before the crop's.

    Args:
        convention: Of ``keypoints2d``: what the data set is configured with.
        fit_convention: Whose joints those are on the body. Sets annotate other places under the same names: ``h36m``
            for Human3.6M, ``coco`` for COCO; the default has every joint that one of the sets annotates.
        **options: See ``mion.PNCCTransform``.
    """

    def __init__(
        self, convention: str = "human_data", fit_convention: str = KEYPOINTS2D_CONVENTION, **options: Any
    ) -> None:
        super().__init__(**options)
        self.convention, self.fit_convention = convention, fit_convention
        self._rest = RestJoints.of(self.body.arrays)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``pncc`` to the results.

        Raises:
            KeyError: The sample was not cropped.
            ValueError: See ``mion.PNCCTransform``.
        """
        results["pncc"] = self._render({**results, **self._in_crop(results)})
        return results

    def _in_crop(self, results: Mapping[str, Any]) -> dict[str, Any]:
        """What differs from a sample of this package: keypoints in one convention, translation and camera moved."""
        if "crop_transform" not in results and "img_transform" not in results:
            raise KeyError("PNCCTransform needs crop_transform in the sample: put MeshAffine before")
        found: dict[str, Any] = {"keypoints2d_convention": self.fit_convention, "img_transform": np.eye(3)}
        if "keypoints2d" in results:
            found["keypoints2d"] = convert_keypoints(results["keypoints2d"], self.convention, self.fit_convention)[0]
        if "keypoints2d_input" in results:
            detected = convert_keypoints(results["keypoints2d_input"], KEYPOINTS2D_CONVENTION, self.fit_convention)[0]
            in_crop = CROPPED_KEY in results or "crop_transform" not in results  # else pixels of the file
            found["keypoints2d_input"] = detected * in_crop
        # mmhuman3d's step Rotation leaves no trace of what it turned about
        found["has_transl"] = 0
        if "cam_intrinsics" not in results or results.get("ori_rotation"):
            return {**found, "cam_intrinsics": self._intrinsics({})}
        return {**found, **self._moved(results)}

    def _moved(self, results: Mapping[str, Any]) -> dict[str, Any]:
        """Camera and, if there is one, translation, as ``datasets/transforms/geometry.py`` moves them."""
        image_map, body_map = _maps(results)
        moved = {"cam_intrinsics": image_map @ np.asarray(results["cam_intrinsics"], dtype=np.float64) @ body_map.T}
        if not results.get("has_transl", 0):
            return moved
        pelvis = self._rest.pelvis(results["smpl_betas"])
        transl = body_map @ (pelvis + results["smpl_transl"]) - pelvis
        return {**moved, "smpl_transl": transl, "has_transl": 1}


def _maps(results: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """What mmhuman3d's steps did to the picture, (3, 3) in homogeneous pixels, and to the body, (3, 3)."""
    image_map, body_map = np.eye(3), np.eye(3)
    if "crop_transform" in results:
        image_map[:2] = results["crop_transform"]
        turn = image_map[:2, :2]
        body_map[:2, :2] = turn / np.sqrt(np.linalg.det(turn))
    if np.any(results.get("is_flipped", 0)):
        picture = results["ori_img"] if "crop_transform" in results else results["img"]
        flip = np.array([[-1.0, 0.0, picture.shape[1] - 1], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        image_map, body_map = image_map @ flip, body_map @ _MIRROR
    return image_map, body_map
