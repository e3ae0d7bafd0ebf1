"""PNCC as a step of a data pipeline."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mion_plugin.body.arrays import NUM_JOINTS
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.registry import TRANSFORMS
from mion_plugin.rendering.pncc import PNCCRenderer


@TRANSFORMS.register_module()
class PNCCTransform:
    """Adds ``pncc``, the PNCC image of the sample's own body, (3, size, size) float32 in 0..1.

    Reads the pose as ``pose`` (24, 3), axis-angle in radians, or as ``smpl_global_orient`` (3,) with
    ``smpl_body_pose`` (23, 3); the translation in the camera frame, metres, as ``transl`` or ``smpl_transl`` (3,); and
    the camera as ``cam_intrinsics`` (3, 3), or ``focal_length`` and ``principal_point``, or this class's arguments.
    All in pixels of the crop, so the step belongs behind the crop. The shape is the mean one, as in the paper, unless
    `use_betas` asks for ``betas`` or ``smpl_betas`` (10,). A sample whose ``has_smpl`` or ``has_transl`` is 0 gets an
    empty image, so that samples of mixed data sets can be batched.

    Args:
        size: Pixels of the image to make.
        model_path: See ``SMPLBody``.
        use_betas: Render the sample's shape instead of the mean one.
        focal_length: Pixels, for samples without a camera.
        principal_point: Pixels, likewise; None for the middle of the crop.
        image_size: Pixels of the square crop.
        backend: See ``rasterize``.
    """

    def __init__(
        self,
        size: int = 56,
        model_path: str | os.PathLike[str] | None = None,
        use_betas: bool = False,
        focal_length: float = FOCAL_LENGTH,
        principal_point: tuple[float, float] | None = None,
        image_size: int = IMAGE_SIZE,
        backend: str = "auto",
    ) -> None:
        self.body = SMPLBody(model_path)
        self.renderer = PNCCRenderer(size=size, body=self.body, backend=backend)
        self.use_betas = use_betas
        self.focal_length = focal_length
        self.principal_point = principal_point or (image_size / 2, image_size / 2)
        self.image_size = image_size

    @torch.no_grad()
    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``pncc`` to the results.

        Raises:
            KeyError: The sample has no pose or no translation; names the keys looked for.
            ValueError: A value has another shape than stated.
        """
        if not (results.get("has_smpl", 1) and results.get("has_transl", 1)):
            results["pncc"] = np.zeros((3, self.renderer.height, self.renderer.width), dtype=np.float32)
            return results
        betas = _read(results, ("betas", "smpl_betas"), (10,)) if self.use_betas else None
        transl = _read(results, ("transl", "smpl_transl"), (3,))
        vertices = self.body(_pose(results)[None], None if betas is None else betas[None], transl[None]).vertices
        focal_length, principal_point = self._camera(results)
        pncc = self.renderer(vertices, focal_length, principal_point, self.image_size)
        results["pncc"] = pncc[0].numpy()
        return results

    def _camera(self, results: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Focal length (1, 2) and principal point (1, 2)."""
        if "cam_intrinsics" in results:
            matrix = _read(results, ("cam_intrinsics",), (3, 3))
            return matrix.diagonal()[None, :2], matrix[None, :2, 2]
        focal_length = np.broadcast_to(results.get("focal_length", self.focal_length), (1, 2)).astype(np.float32)
        point = np.reshape(results.get("principal_point", self.principal_point), (1, 2)).astype(np.float32)
        return torch.from_numpy(focal_length), torch.from_numpy(point)


def _pose(results: Mapping[str, Any]) -> torch.Tensor:
    """(24, 3) axis-angle."""
    if "pose" in results or "smpl_body_pose" not in results:
        return _read(results, ("pose",), (NUM_JOINTS, 3))
    global_orient = _read(results, ("smpl_global_orient",), (3,))
    return torch.cat([global_orient[None], _read(results, ("smpl_body_pose",), (NUM_JOINTS - 1, 3))])


def _read(results: Mapping[str, Any], keys: tuple[str, ...], shape: tuple[int, ...]) -> torch.Tensor:
    """The first of `keys` that the results have, as a float32 tensor of the given shape."""
    key = next((key for key in keys if key in results), None)
    if key is None:
        raise KeyError(f"PNCCTransform needs {' or '.join(keys)} in the sample, which has {sorted(results)}")
    value = torch.as_tensor(results[key], dtype=torch.float32)
    if value.shape != shape:
        raise ValueError(f"{key} has shape {tuple(value.shape)}, expected {shape}")
    return value
