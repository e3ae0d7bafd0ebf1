"""Flip, random scale and rotation, and the crop; named as mmhuman3d's transforms."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mion_plugin.datasets.randomness import results_generator
from mion_plugin.datasets.transforms.geometry import DEPTHS_KEY, KEYPOINTS2D_KEYS, MIRROR, apply_maps
from mion_plugin.geometry.keypoints import flip_permutation
from mion_plugin.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomHorizontalFlip:
    """Mirror image, keypoints, pose and camera, and exchange left and right by joint name.

    Before or after the crop. x becomes width - x (mmhuman3d, whose pixel centres are integers: width - 1 - x). Betas
    stay: the body is taken as symmetric. Adds ``is_flipped`` (0 or 1).

    Args:
        flip_prob: Probability, 0 to 1.
    """

    def __init__(self, flip_prob: float = 0.5) -> None:
        if not 0 <= flip_prob <= 1:
            raise ValueError(f"flip_prob {flip_prob}, expected 0 to 1")
        self.flip_prob = flip_prob

    def __call__(self, results: dict) -> dict:
        """Flip the sample, or not."""
        results["is_flipped"] = int(results_generator(results).random() < self.flip_prob)
        return flip(results) if results["is_flipped"] else results


def flip(results: dict) -> dict:
    """Mirror the sample; see ``RandomHorizontalFlip``."""
    width = results["img"].shape[1]
    results["img"] = np.ascontiguousarray(results["img"][:, ::-1])
    if "crop_size" not in results:  # the crop is still to be cut from the mirrored image
        results["center"] = np.array([width - results["center"][0], results["center"][1]], dtype=np.float32)
    image_map = np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    apply_maps(results, image_map, MIRROR)
    for key in (*KEYPOINTS2D_KEYS, DEPTHS_KEY, "keypoints3d"):
        if key in results:
            convention = results["keypoints3d_convention" if key == "keypoints3d" else "keypoints2d_convention"]
            results[key] = results[key][list(flip_permutation(convention))]
    return results


@TRANSFORMS.register_module()
class GetRandomScaleRotation:
    """Draw the scale and rotation that ``MeshAffine`` then applies, as SPIN and mmhuman3d.

    Scale: multiplied by a normal factor (mean 1, standard deviation ``scale_factor``) clipped to 1 ± ``scale_factor``.
    Rotation: normal with standard deviation ``rot_factor`` degrees clipped to ±2 ``rot_factor``, with probability
    ``rot_prob``. The paper's ±60° (section 3.4) is SPIN's ``rot_factor`` 30. Sets ``scale``, ``rotation`` (degrees).
    """

    def __init__(self, rot_factor: float = 30.0, scale_factor: float = 0.25, rot_prob: float = 0.6) -> None:
        if rot_factor < 0 or not 0 <= scale_factor < 1 or not 0 <= rot_prob <= 1:
            raise ValueError(
                f"rot_factor {rot_factor}, scale_factor {scale_factor}, rot_prob {rot_prob}: expected >= 0, 0 to below "
                "1, and 0 to 1"
            )
        self.rot_factor = rot_factor
        self.scale_factor = scale_factor
        self.rot_prob = rot_prob

    def __call__(self, results: dict) -> dict:
        """Draw both."""
        rng = results_generator(results)
        factor = np.clip(1 + rng.normal() * self.scale_factor, 1 - self.scale_factor, 1 + self.scale_factor)
        angle = np.clip(rng.normal() * self.rot_factor, -2 * self.rot_factor, 2 * self.rot_factor)
        rotates = rng.random() < self.rot_prob
        results["scale"] = (results["scale"] * factor).astype(np.float32)
        results["rotation"] = float(angle) if rotates else 0.0
        return results


@TRANSFORMS.register_module()
class MeshAffine:
    """Cut the square crop around the person and turn image and body by ``rotation`` degrees.

    Convention:
        mmhuman3d's. A square of side ``scale[0]`` px around ``center`` becomes the crop; unrotated,
        crop px = (full px - center) * img_res / scale[0] + img_res / 2: with center (300, 200), scale 448 and img_res
        224, the point (310, 180) goes to (117, 102). A positive rotation turns the picture counter-clockwise as seen.
        Bilinear, black outside. Pixels are sampled at centres integer + 0.5, mmhuman3d at integers: the pictures
        differ by (1 - img_res / scale[0]) / 2 crop pixels in x and y, the keypoints do not.

    Adds ``crop_size``; ``img_transform`` then takes pixels of the file to pixels of the crop.

    Args:
        img_res: Side of the crop in pixels.
    """

    def __init__(self, img_res: int = 224) -> None:
        if img_res <= 0:
            raise ValueError(f"img_res {img_res}, expected a positive number of pixels")
        self.img_res = img_res

    def __call__(self, results: dict) -> dict:
        """Crop the sample."""
        angle = results.setdefault("rotation", 0.0)
        image_map = crop_matrix(results["center"], results["scale"][0], angle, self.img_res)
        if "img" in results:
            results["img"] = warp(results["img"], image_map, self.img_res)
        apply_maps(results, image_map, _in_plane_rotation(angle))
        results["crop_size"] = self.img_res
        return results


def crop_matrix(center: np.ndarray, side: float, angle: float, img_res: int) -> np.ndarray:
    """The (3, 3) map of full-image pixels to crop pixels; see ``MeshAffine``. ``angle`` in degrees.

    Raises:
        ValueError: ``side`` is not positive.
    """
    if not side > 0:
        raise ValueError(f"crop of side {side} px around {np.asarray(center).tolist()}, expected a positive side")
    matrix = _in_plane_rotation(angle) * (img_res / float(side))
    matrix[:2, 2] = img_res / 2 - matrix[:2, :2] @ np.asarray(center, dtype=np.float64)
    matrix[2] = 0.0, 0.0, 1.0
    return matrix


def warp(image: np.ndarray, image_map: np.ndarray, size: int) -> np.ndarray:
    """The (size, size, 3) picture that ``image_map`` makes of ``image``: bilinear, black outside."""
    to_source = np.linalg.inv(image_map)
    # only the part that is seen: turning a whole photograph into Pillow's format costs more than the crop
    corners = to_source[:2] @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    margin = 2  # bilinear interpolation reaches one pixel further
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=1)) - margin, 0, [width - 1, height - 1]).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=1)) + margin, [left + 1, top + 1], [width, height]).astype(int)
    to_source[:2, 2] -= left, top
    part = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
    return np.asarray(
        part.transform(
            (size, size), Image.Transform.AFFINE, to_source[:2].ravel().tolist(), resample=Image.Resampling.BILINEAR
        )
    )


def _in_plane_rotation(angle: float) -> np.ndarray:
    """Turn by ``angle`` degrees, counter-clockwise as seen with y down."""
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
