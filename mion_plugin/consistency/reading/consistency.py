"""How far a body is from the truth, by the depths that a network reads where the body's own keypoints lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.body.depths import relative_depths
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.consistency.distance import template_height
from mion_plugin.consistency.reading.locator import corrected_keypoints
from mion_plugin.consistency.reading.network import DepthReader, DepthReading, ImageEvidence
from mion_plugin.evaluation.errors import MILLIMETRES
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.precision import full_precision
from mion_plugin.geometry.translation import check_before_camera
from mion_plugin.parts import Part, build_at_camera, build_part
from mion_plugin.registry import MODELS

MEASURES = ("mean", "weighted", "likelihood", "expected")


@MODELS.register_module()
class DepthConsistency(BaseModule):
    """Scores bodies by a ``mion.DepthReader``; takes the place of ``mion.CEN`` as ``cen`` of ``mion.MION``.

    Each body is projected into the crop, the depths are read there, and compared with the body's own. How much they
    differ is one of four measures of (K,) differences d and stated errors b:

    - ``mean``: the mean of d, metres;
    - ``weighted``: the mean of d weighted by 1 / b, metres;
    - ``likelihood``: the mean of d / b + log(2 b), the negative logarithm of the Laplace density;
    - ``expected``: the mean of d + b exp(-d / b), metres: how far the body's depth is from the true one on average,
      if the true one is distributed as the reader states.

    The expected error of a body is an increasing affine function of the measure, which ``calibrate`` sets: two numbers
    for each measure, the buffers ``calibration_slope`` and ``calibration_offset``, which a checkpoint holds. Before,
    the slope is 1 and the offset 0: then scores order bodies, but their size means little.

    Args:
        reader: A ``mion.DepthReader``, whose camera defaults to this one's.
        measure: One of those.
        body: The body model.
        focal_length: Pixels of the crop.
        image_size: Side of the crop in pixels.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ValueError: An unknown measure, or a reader with another camera.
    """

    calibration_slope: Tensor
    calibration_offset: Tensor

    def __init__(
        self,
        reader: Part,
        measure: str = "mean",
        body: Part | None = None,
        focal_length: float = FOCAL_LENGTH,
        image_size: int = IMAGE_SIZE,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if measure not in MEASURES:
            raise ValueError(f"measure is {measure!r}, expected one of {', '.join(MEASURES)}")
        self.measure = measure
        self.camera = CropCamera(focal_length, image_size)
        self.body: SMPLBody = build_part(body, type="mion.SMPLBody")
        self.body_height = template_height(self.body.v_template)
        if isinstance(reader, Mapping):
            reader = {"type": "mion.DepthReader", **reader}
        self.reader: DepthReader = build_at_camera(reader, self.camera)
        if self.reader.camera != self.camera:
            raise ValueError(f"the reader's camera is {self.reader.camera}, expected {self.camera}")
        self.register_buffer("calibration_slope", torch.ones(len(MEASURES)))
        self.register_buffer("calibration_offset", torch.zeros(len(MEASURES)))

    @property
    def calibrated(self) -> bool:
        """Whether the size of scores means something: whether the measure in use has been calibrated."""
        return self.is_calibrated(self.measure)

    def is_calibrated(self, measure: str) -> bool:
        """Whether one of ``MEASURES`` has been calibrated; one that does not grow with the errors stays without."""
        index = MEASURES.index(measure)
        return not bool(self.calibration_slope[index] == 1.0 and self.calibration_offset[index] == 0.0)

    @property
    def corrects_keypoints(self) -> bool:
        """Whether the reader can tell where keypoints lie."""
        return self.reader.locator is not None

    def look(self, image: Tensor) -> ImageEvidence:
        """What ``correct_keypoints`` and the scores have in common, of images (B, 3, H, W): the dear part."""
        return self.reader.look(image)

    def correct_keypoints(self, seen: ImageEvidence, keypoints2d: Tensor) -> Tensor:
        """Keypoints (B, K, 3) where the picture shows them, crop pixels; confidences as given, absent ones as well.

        Raises:
            ValueError: The reader has no ``locator``.
        """
        return corrected_keypoints(self.reader.locate(seen, keypoints2d), keypoints2d, self.camera)

    def forward(self, image: Tensor, bodies: Bodies, seen: ImageEvidence | None = None) -> Tensor:
        """Scores (B, N) in body heights, as ``mion.CEN`` gives, the lowest is best; arguments as ``measures``.

        The expected error divided by the height of the mean shape, so that ``cen+reprojection`` adds like to like.
        """
        return self.expected_error(image, bodies, seen) / (MILLIMETRES * self.body_height)

    def expected_error(self, image: Tensor, bodies: Bodies, seen: ImageEvidence | None = None) -> Tensor:
        """How wrong each body is likely to be: its expected MPJPE (B, N) in millimetres; arguments as ``measures``.

        It may come out below 0 for a body that agrees better than those that the calibration has seen.
        """
        return self._calibrated(self.measures(image, bodies, seen))

    def point_scores(self, image: Tensor, points: Tensor, transl: Tensor, seen: ImageEvidence | None = None) -> Tensor:
        """``forward`` for bodies of any body model, of which the reader needs no more than the keypoints.

        Args:
            image: (B, 3, H, W) as ``measures``.
            points: (B, N, K, 3) the bodies' own keypoints in metres, camera axes, before they are placed, in the
                reader's ``convention``.
            transl: (B, N, 3) metres.
            seen: As ``measures``.

        Returns:
            Scores (B, N).

        Raises:
            ValueError: A point is not before the camera.
        """
        check_before_camera((points[..., 2] + transl[..., 2:]).amin(dim=-1))
        expected = self._calibrated(self._measures_of(image, points.float(), transl, seen))
        return expected / (MILLIMETRES * self.body_height)

    def _calibrated(self, measures: Tensor) -> Tensor:
        """Expected MPJPE (B, N) in millimetres of measures (B, N, 4)."""
        index = MEASURES.index(self.measure)
        return MILLIMETRES * (self.calibration_slope[index] * measures[..., index] + self.calibration_offset[index])

    def measures(self, image: Tensor, bodies: Bodies, seen: ImageEvidence | None = None) -> Tensor:
        """How much the bodies differ from what is read, by each measure.

        Args:
            image: (B, 3, H, W) normalised float of square crops.
            bodies: (B, N).
            seen: What ``look`` gave of the images, which then is not done again.

        Returns:
            (B, N, 4) float32, in the order of ``MEASURES``.

        Raises:
            TypeError: Not ``Bodies``.
            ValueError: A shape does not agree, or a body is not before the camera.
        """
        if not isinstance(bodies, Bodies):
            raise TypeError(f"bodies are {type(bodies).__name__}, expected Bodies, with pose and place")
        check_before_camera(bodies.transl[..., 2])
        return self._measures_of(image, self._points(bodies), bodies.transl, seen)

    def _measures_of(self, image: Tensor, points: Tensor, transl: Tensor, seen: ImageEvidence | None) -> Tensor:
        """``measures`` of bodies whose keypoints (B, N, K, 3), before they are placed, are ``points``."""
        own, keypoints2d = self._depths_of(points), self._into_crop(points, transl)
        reading = self.reader(image, keypoints2d, own) if seen is None else self.reader.read(seen, keypoints2d, own)
        with full_precision(transl):
            return depth_measures(own, reading)

    def depths(self, bodies: Bodies) -> Tensor:
        """The bodies' own depths (B, N, K) in metres; see ``body_depths``."""
        return self._depths_of(self._points(bodies))

    def project(self, bodies: Bodies) -> Tensor:
        """The bodies' own keypoints (B, N, K, 3): crop pixels, and confidence 1 inside the crop, 0 outside."""
        return self._into_crop(self._points(bodies), bodies.transl)

    def _points(self, bodies: Bodies) -> Tensor:
        """The bodies' own keypoints (B, N, K, 3) in metres, before they are placed."""
        return bodies.keypoints(self.body, self.reader.convention)

    def _depths_of(self, points: Tensor) -> Tensor:
        with full_precision(points):
            return relative_depths(points[..., 2], self.reader.convention)

    def _into_crop(self, points: Tensor, transl: Tensor) -> Tensor:
        with full_precision(transl):
            places = self.camera.project_normalized(points + transl.float()[..., None, :])
            inside = (places.abs() <= 1.0).all(dim=-1, keepdim=True)
            pixels = (places + 1.0) * (self.camera.image_size / 2.0)
            return torch.cat([pixels, inside.to(pixels)], dim=-1)

    @torch.no_grad()
    def calibrate(self, measures: Tensor, errors: Tensor) -> None:
        """Set the calibration by least squares; it is part of the weights.

        A measure that does not grow with the errors, and is not the one in use, stays as it is before calibration.

        Args:
            measures: (S, 4) of S bodies, of ``measures``.
            errors: (S,) their true MPJPE in millimetres.

        Raises:
            ValueError: See ``fit_calibration``; or the measure in use does not grow with the errors: such a reader
                tells nothing, or not yet.
        """
        slope, offset = fit_calibration(measures, errors / MILLIMETRES)
        if not slope[MEASURES.index(self.measure)] > 0:
            raise ValueError(
                f"the slope from the measure {self.measure!r} to errors is {slope[MEASURES.index(self.measure)]:.3g}, "
                "expected a positive one: these weights read nothing that tells of errors"
            )
        self.calibration_slope.copy_(torch.where(slope > 0, slope, 1.0))
        self.calibration_offset.copy_(torch.where(slope > 0, offset, 0.0))


def depth_measures(depths: Tensor, reading: DepthReading) -> Tensor:
    """(..., 4) the measures of depths (..., K) in metres against a reading (..., K), in the order of ``MEASURES``."""
    difference = (depths - reading.depths).abs()
    weight = 1.0 / reading.errors
    return torch.stack(
        [
            difference.mean(dim=-1),
            (weight * difference).sum(dim=-1) / weight.sum(dim=-1),
            (weight * difference + (2.0 * reading.errors).log()).mean(dim=-1),
            (difference + reading.errors * (-weight * difference).exp()).mean(dim=-1),
        ],
        dim=-1,
    )


def fit_calibration(measures: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and offset (M,) of the least-squares line from each of M measures to the errors.

    Args:
        measures: (S, M) of S bodies.
        errors: (S,) metres.

    Raises:
        ValueError: Shapes that do not agree, or numbers that are not finite.
    """
    if measures.dim() != 2 or errors.shape != measures.shape[:1]:
        raise ValueError(f"measures {tuple(measures.shape)} and errors {tuple(errors.shape)}, expected (S, M) and (S,)")
    measures, errors = measures.double(), errors.double().to(measures.device)
    if not (measures.isfinite().all() and errors.isfinite().all()):
        raise ValueError("measures and errors of a calibration must be finite")
    centred = measures - measures.mean(dim=0)
    square = centred.square().sum(dim=0).clamp(min=torch.finfo(torch.float64).tiny)
    slope = (centred * errors[:, None]).sum(dim=0) / square
    return slope, errors.mean() - slope * measures.mean(dim=0)
