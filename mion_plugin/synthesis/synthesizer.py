"""Synthetic pictures of dressed bodies, as SURREAL makes them, with everything that is known about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mion_plugin.body.smpl import BodyOutput, SMPLBody
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.rendering.rasterizer import Fragments, rasterize
from mion_plugin.synthesis.appearance import draw_outfit, paint
from mion_plugin.synthesis.backgrounds import Background, ProceduralBackground
from mion_plugin.synthesis.bodies import BodyDraw, BodySettings, PoseSource, draw_body, place_in_crop
from mion_plugin.synthesis.degradation import Degradation
from mion_plugin.synthesis.detections import detect_keypoints, keypoint_depths, visible_keypoints
from mion_plugin.synthesis.light import draw_light, irradiance
from mion_plugin.synthesis.skins import SkinTextures
from mion_plugin.synthesis.surface import BodySurface

CONVENTION = "smpl_54"  # all keypoints that a body model defines
# One stream of random numbers for each subject, so that a change to one leaves the others as they are.
_STREAMS = ("body", "outfit", "light", "background", "degradation", "detection")


@dataclass(frozen=True)
class _PlacedBody:
    """A body before the camera: vertices (V, 3), keypoints3d (54, 3) in metres, keypoints2d (54, 2) in pixels."""

    draw: BodyDraw
    transl: np.ndarray
    vertices: torch.Tensor
    keypoints3d: np.ndarray
    keypoints2d: np.ndarray


class Synthesizer:
    """Makes sample i of a seed: a function of (seed, i) and the arguments alone, in any worker, batch or process.

    Args:
        poses: Body poses to draw from.
        seed: Of all samples.
        image_size: Side of the square image, pixels. The focal length is 5000 px at 224 and scales with it.
        body: Body model; None for the free stand-in.
        settings: How bodies vary.
        background: None for procedural ones.
        skins: Skin textures; None for plain skin with a painted face.
        degradation: Occluders, blur, noise, JPEG; none by default.
        detected_noise: Pixels; adds ``keypoints2d_detected`` with errors of that size. None for none.

    Raises:
        ValueError: A number out of range, or textures for another body.
    """

    def __init__(
        self,
        poses: PoseSource,
        seed: int = 0,
        image_size: int = IMAGE_SIZE,
        body: SMPLBody | None = None,
        settings: BodySettings | None = None,
        background: Background | None = None,
        skins: SkinTextures | None = None,
        degradation: Degradation | None = None,
        detected_noise: float | None = None,
    ) -> None:
        if seed < 0:
            raise ValueError(f"seed {seed}, expected 0 or more")
        if image_size < 16:
            raise ValueError(f"image_size {image_size}, expected at least 16 pixels")
        if detected_noise is not None and not 0 <= detected_noise < np.inf:
            raise ValueError(f"detected_noise {detected_noise}, expected a number of pixels not below 0")
        self.poses, self.seed, self.image_size = poses, seed, image_size
        self.focal_length = FOCAL_LENGTH * image_size / IMAGE_SIZE
        self.principal_point = (image_size / 2, image_size / 2)
        self.body = body or SMPLBody()
        self.settings = settings or BodySettings()
        self.background = background or ProceduralBackground()
        self.skins = skins
        if skins is not None:
            skins.lay_on(self.body.arrays)
        self.degradation = degradation or Degradation()
        self.detected_noise = detected_noise
        self.surface = BodySurface.of(self.body)
        rest = self.body(torch.zeros(24, 3))
        rest_keypoints = self.body.keypoints(rest, CONVENTION).numpy()
        arrays = self.body.arrays
        # not by RestJoints, whose sums round otherwise in the last bit: samples of a seed are the same in every version
        pelvis = arrays.J_regressor[0].astype(np.float64)
        self._pelvis = (pelvis @ arrays.v_template).astype(np.float32)
        self._pelvis_directions = np.tensordot(pelvis, arrays.shapedirs, 1).astype(np.float32)
        self._below_surface = keypoint_depths(rest.vertices.numpy(), rest_keypoints)

    @property
    def camera(self) -> CropCamera:
        """The camera of the pictures."""
        return CropCamera(self.focal_length, self.image_size)

    @torch.no_grad()
    def sample(self, index: int, picture: bool = True) -> dict[str, Any]:
        """Sample ``index``.

        Args:
            index: 0 or more.
            picture: False leaves the image black; everything else is as it would be, in less than half of the time.

        Returns:
            - ``image`` (S, S, 3) uint8 RGB; ``mask`` (S, S) bool, the pixels that show the body;
            - ``keypoints2d`` (54, 3) pixels and confidence 1, ``keypoints3d`` (54, 4) metres in the camera frame and
              confidence 1, ``visible`` (54,) bool, all in the convention ``smpl_54``; with ``detected_noise`` also
              ``keypoints2d_detected`` (54, 3);
            - ``pose`` (24, 3), ``betas`` (10,), ``transl`` (3,): the SMPL body in the camera frame; ``pelvis`` (3,),
              the pelvis of that shape at rest, which the global orientation turns it about;
            - ``cam_intrinsics`` (3, 3); ``pose_index``: the pose of the source that it is, or started from.

        Raises:
            ValueError: ``index`` is negative.
        """
        if index < 0:
            raise ValueError(f"sample index {index}, expected 0 or more")
        with _one_thread():
            return self._sample(index, picture)

    @torch.no_grad()
    def render(self, index: int, pose: np.ndarray, betas: np.ndarray, transl: np.ndarray) -> dict[str, Any]:
        """A picture of a given body, with the looks, light and background that ``sample(index)`` has.

        Args:
            index: Of the sample, 0 or more.
            pose: (24, 3) axis-angle, index 0 the global orientation in the camera frame.
            betas: (10,).
            transl: (3,) metres; the body stands before the camera.

        Returns:
            As ``sample``; ``pose_index`` is -1.

        Raises:
            ValueError: ``index`` is negative, or a shape or value is wrong.
        """
        if index < 0:
            raise ValueError(f"sample index {index}, expected 0 or more")
        for name, value, shape in (("pose", pose, (24, 3)), ("betas", betas, (10,)), ("transl", transl, (3,))):
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"{name} has shape {value.shape}, expected {shape} finite numbers")
        if not transl[2] > 0:
            raise ValueError(f"transl is {transl.tolist()}, expected a body before the camera")
        draw = BodyDraw(pose.astype(np.float32), betas.astype(np.float32))
        with _one_thread():
            output, keypoints3d = self._pose(draw)
            body = self._place(draw, output, keypoints3d, transl.astype(np.float32))
            return self._picture(body, self._generators(index))

    def _sample(self, index: int, picture: bool) -> dict[str, Any]:
        rng = self._generators(index)
        return self._picture(self._draw_body(rng["body"]), rng, picture)

    def _generators(self, index: int) -> dict[str, np.random.Generator]:
        return {name: np.random.default_rng([self.seed, index, stream]) for stream, name in enumerate(_STREAMS)}

    def _picture(self, body: _PlacedBody, rng: dict[str, np.random.Generator], picture: bool = True) -> dict[str, Any]:
        """The sample that shows a body; see ``sample``."""
        fragments = rasterize(
            body.vertices[None],
            self.body.faces,
            self.focal_length,
            self.principal_point,
            self.image_size,
            cull_backfaces=True,
        )
        image = np.zeros((self.image_size, self.image_size, 3), np.uint8)
        if picture:
            image[:] = self.background.draw(rng["background"], self.image_size)
            self._paint_body(image, body.vertices, fragments, rng)
        depth = fragments.depth[0].numpy()
        depth[self.degradation.occlude(image, body.keypoints2d, rng["degradation"])] = 0.0
        visible = visible_keypoints(body.keypoints2d, body.keypoints3d[:, 2], depth, self._below_surface)
        sample = {
            "image": self.degradation.apply(image, rng["degradation"]) if picture else np.zeros_like(image),
            "mask": fragments.mask[0].numpy() & (depth > 0),
            "keypoints2d": _with_confidence(body.keypoints2d),
            "keypoints3d": _with_confidence(body.keypoints3d),
            "visible": visible,
            "pose": body.draw.pose,
            "betas": body.draw.betas,
            "transl": body.transl,
            "pelvis": self._pelvis + self._pelvis_directions @ body.draw.betas,
            "cam_intrinsics": self.intrinsics(),
            "pose_index": body.draw.pose_index,
        }
        if self.detected_noise is not None:
            sample["keypoints2d_detected"] = detect_keypoints(
                body.keypoints2d, visible, self.detected_noise, self.image_size, rng["detection"]
            )
        return sample

    def intrinsics(self) -> np.ndarray:
        """The camera, (3, 3) float32, the same for all samples."""
        focal_length, (x, y) = self.focal_length, self.principal_point
        return np.array([[focal_length, 0, x], [0, focal_length, y], [0, 0, 1]], np.float32)

    def _draw_body(self, rng: np.random.Generator) -> _PlacedBody:
        draw = draw_body(self.poses, rng, self.settings)
        output, keypoints3d = self._pose(draw)
        transl = place_in_crop(keypoints3d, self.focal_length, self.image_size, rng, self.settings)
        return self._place(draw, output, keypoints3d, transl)

    def _pose(self, draw: BodyDraw) -> tuple[BodyOutput, np.ndarray]:
        """The body without its place (a batch of one), and its keypoints (54, 3)."""
        output = self.body(torch.from_numpy(draw.pose)[None], torch.from_numpy(draw.betas)[None])
        return output, self.body.keypoints(output, CONVENTION)[0].numpy()

    def _place(self, draw: BodyDraw, output: BodyOutput, keypoints3d: np.ndarray, transl: np.ndarray) -> _PlacedBody:
        keypoints3d = keypoints3d + transl
        # in double precision: at 45 m single precision moves a keypoint by a thousandth of a pixel
        points = keypoints3d.astype(np.float64)
        keypoints2d = self.focal_length * points[:, :2] / points[:, 2:] + np.array(self.principal_point)
        return _PlacedBody(draw, transl, output.vertices[0] + torch.from_numpy(transl), keypoints3d, keypoints2d)

    def _paint_body(
        self, image: np.ndarray, vertices: torch.Tensor, fragments: Fragments, rng: dict[str, np.random.Generator]
    ) -> None:
        """Paint the body (V, 3) over ``image`` (S, S, 3) uint8."""
        face_index = fragments.face_index.numpy().ravel()
        pixel = np.flatnonzero(face_index >= 0)
        face, barycentric = face_index[pixel], fragments.barycentric.numpy().reshape(-1, 3)[pixel]
        normals = self.surface.vertex_normals(vertices)
        normal = _interpolate(normals.take(self.surface.faces.take(face, axis=0), axis=0), barycentric)
        normal /= np.maximum(np.sqrt((normal * normal).sum(axis=1, keepdims=True)), 1e-12)
        rest = _interpolate(self.surface.corners.take(face, axis=0), barycentric)
        skin = self.skins.sample(rng["outfit"], face, barycentric) if self.skins else None
        albedo = paint(draw_outfit(rng["outfit"]), self.surface, rest, skin)
        color = albedo * irradiance(normal, draw_light(rng["light"]))[:, None]
        image.reshape(-1, 3)[pixel] = np.minimum(color * np.float32(255), np.float32(255)).astype(np.uint8)
        _soften_edges(image, (face_index >= 0).reshape(image.shape[:2]))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: matrix products of more round otherwise, and a pixel on an edge may follow."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _interpolate(corners: np.ndarray, barycentric: np.ndarray) -> np.ndarray:
    """(n, C) from values at the faces' corners (n, 3, C)."""
    a, b, c = (barycentric[:, corner, None] for corner in range(3))
    return corners[:, 0] * a + corners[:, 1] * b + corners[:, 2] * c


def _with_confidence(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points, np.ones((len(points), 1))], axis=1).astype(np.float32)


def _soften_edges(image: np.ndarray, mask: np.ndarray) -> None:
    """Smooth the outline, which one sample per pixel leaves jagged, as a lens would: 3 x 3 binomial on its pixels."""
    edge = np.zeros_like(mask)
    across, down = mask[:, 1:] != mask[:, :-1], mask[1:] != mask[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    row, column = np.nonzero(edge)
    height, width = mask.shape
    total = np.zeros((len(row), 3), np.uint16)
    for down_by, row_weight in ((-1, 1), (0, 2), (1, 1)):
        for right_by, column_weight in ((-1, 1), (0, 2), (1, 1)):
            neighbour = image[np.clip(row + down_by, 0, height - 1), np.clip(column + right_by, 0, width - 1)]
            total += neighbour.astype(np.uint16) * np.uint16(row_weight * column_weight)
    image[row, column] = total // 16
