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
from mion_plugin.geometry.translation import translation_from_keypoints
from mion_plugin.registry import TRANSFORMS
from mion_plugin.rendering.pncc import PNCCRenderer

UNPLACED = ("error", "empty")
_KEYPOINTS = ("keypoints2d", "keypoints2d_input")


@TRANSFORMS.register_module()
class PNCCTransform:
    """Adds ``pncc``, the PNCC image of the sample's own body, (3, size, size) float32 in 0..1.

    Reads the pose as ``pose`` (24, 3), axis-angle in radians, or as ``smpl_global_orient`` (3,) with
    ``smpl_body_pose`` (23, 3); the translation in the camera frame, metres, as ``transl`` or ``smpl_transl`` (3,); and
    the camera as ``cam_intrinsics`` (3, 3), or ``focal_length`` and ``principal_point``, or this class's arguments.
    All in pixels of the crop, so the step belongs behind the crop. The shape is the mean one, as in the paper, unless
    `use_betas` asks for ``betas`` or ``smpl_betas`` (10,). A sample whose ``has_smpl`` is 0 gets an empty image, so
    that samples of mixed data sets can be batched.

    A body whose place is not known before the crop's camera is put where it fits its 2D keypoints best, in closed form:
    ``keypoints2d``, else ``keypoints2d_input`` (K, 3) in crop pixels, in ``keypoints2d_convention``. That is so where
    ``has_transl`` is 0, and where the picture was cropped (``img_transform``) but the sample tells no camera: then the
    translation is one before the photograph's.

    Args:
        size: Pixels of the image to make.
        model_path: See ``SMPLBody``.
        use_betas: Render the sample's shape instead of the mean one.
        focal_length: Pixels, for samples without a camera.
        principal_point: Pixels, likewise; None for the middle of the crop.
        image_size: Pixels of the square crop.
        backend: See ``rasterize``.
        unplaced: What becomes of a body that neither translation nor keypoints place: ``error``, or ``empty`` for an
            empty image.

    Raises:
        ValueError: ``unplaced`` is neither.
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
        unplaced: str = "error",
    ) -> None:
        if unplaced not in UNPLACED:
            raise ValueError(f"unplaced is {unplaced!r}, expected one of {', '.join(UNPLACED)}")
        self.body = SMPLBody(model_path)
        self.renderer = PNCCRenderer(size=size, body=self.body, backend=backend)
        self.use_betas = use_betas
        self.focal_length = focal_length
        self.principal_point = principal_point or (image_size / 2, image_size / 2)
        self.image_size = image_size
        self.unplaced = unplaced

    @torch.no_grad()
    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``pncc`` to the results.

        Raises:
            KeyError: The sample has no pose or no translation; names the keys looked for.
            ValueError: A value has another shape than stated; or nothing tells where the body is, see ``unplaced``.
        """
        results["pncc"] = self._render(results)
        return results

    def _render(self, results: Mapping[str, Any]) -> np.ndarray:
        empty = np.zeros((3, self.renderer.height, self.renderer.width), dtype=np.float32)
        if not results.get("has_smpl", 1):
            return empty
        pose = _pose(results)[None]
        betas = _read(results, ("betas", "smpl_betas"), (10,))[None] if self.use_betas else None
        intrinsics = self._intrinsics(results)
        if _is_placed(results):
            transl: torch.Tensor | None = _read(results, ("transl", "smpl_transl"), (3,))
        else:
            transl = self._fitted(results, pose, betas, intrinsics)
        if transl is None:
            if self.unplaced == "empty":
                return empty
            raise ValueError(_unplaced_message(results))
        vertices = self.body(pose, betas, transl[None]).vertices
        matrix = torch.from_numpy(intrinsics)[None]
        focal_length, principal_point = matrix[:, [0, 1], [0, 1]], matrix[:, :2, 2]
        return self.renderer(vertices, focal_length, principal_point, self.image_size)[0].numpy()

    def _intrinsics(self, results: Mapping[str, Any]) -> np.ndarray:
        """The crop's camera, (3, 3) float32."""
        if "cam_intrinsics" in results:
            return _read(results, ("cam_intrinsics",), (3, 3)).numpy()
        matrix = np.eye(3, dtype=np.float32)
        matrix[[0, 1], [0, 1]] = results.get("focal_length", self.focal_length)
        matrix[:2, 2] = np.reshape(results.get("principal_point", self.principal_point), 2)
        return matrix

    def _fitted(
        self, results: Mapping[str, Any], pose: torch.Tensor, betas: torch.Tensor | None, intrinsics: np.ndarray
    ) -> torch.Tensor | None:
        """The translation (3,) that the 2D keypoints tell, or None."""
        convention = results.get("keypoints2d_convention")
        if convention is None:
            return None
        points = self.body.pose_keypoints(pose, betas, convention=convention)[0].numpy()
        for key in _KEYPOINTS:
            if key in results:
                keypoints2d = _read(results, (key,), (len(points), 3)).numpy()
                transl = translation_from_keypoints(points, keypoints2d, intrinsics)
                if transl is not None:
                    return torch.from_numpy(transl).float()
        return None


def _is_placed(results: Mapping[str, Any]) -> bool:
    """Whether the sample's translation is one before the crop's camera."""
    if not results.get("has_transl", 1):
        return False
    cropped = not np.allclose(results.get("img_transform", np.eye(3)), np.eye(3))
    return not cropped or "cam_intrinsics" in results or "focal_length" in results


def _unplaced_message(results: Mapping[str, Any]) -> str:
    name = f"sample {results['sample_idx']}" if "sample_idx" in results else "a sample"
    if results.get("dataset_name"):
        name += f" of {results['dataset_name']}"
    return (
        f"PNCCTransform: {name} has SMPL, but no translation before the crop's camera, and its 2D keypoints tell none "
        "(three are needed, and keypoints2d_convention): use a file with transl and cam_param or with keypoints, or "
        "PNCCTransform(unplaced='empty')"
    )


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
