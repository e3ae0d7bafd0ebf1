"""Cameras of a Qualisys calibration file (``.qca.txt``), and what they see.

Convention:
    World: metres, z up. Camera: OpenCV's, x right, y down, z into the scene; ``point @ rotation.T + translation``.
    Pixels: OpenCV's, the first pixel's centre is (0, 0); the package's keypoints have it at (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

_UNITS_PER_PIXEL = 64.0
_MILLIMETRES = 1000.0  # per metre
_FROM_QUALISYS = np.diag([1.0, -1.0, -1.0])  # its cameras look along -z with y up
_DISTORTIONS = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2")


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with lens distortion.

    Attributes:
        name: As in the file.
        matrix: (3, 3) intrinsic, pixels.
        distortion: (4,) k1, k2, p1, p2 of OpenCV.
        rotation: (3, 3) world to camera.
        translation: (3,) metres, camera frame.
    """

    name: str
    matrix: np.ndarray
    distortion: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    @property
    def extrinsics(self) -> np.ndarray:
        """(3, 4) world to camera."""
        return np.concatenate([self.rotation, self.translation[:, None]], axis=1)

    @property
    def centre(self) -> np.ndarray:
        """(3,) metres, world frame."""
        return -self.rotation.T @ self.translation

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) in the camera's frame, metres."""
        return points @ self.rotation.T + self.translation

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of world points (..., 3)."""
        rotvec = cv2.Rodrigues(self.rotation)[0]
        flat = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 1, 3)
        pixels, _ = cv2.projectPoints(flat, rotvec, self.translation, self.matrix, self.distortion)
        return pixels.reshape(*points.shape[:-1], 2)

    def undistort(self, pixels: np.ndarray) -> np.ndarray:
        """Slopes x / z, y / z (..., 2) of the rays of pixels (..., 2)."""
        flat = np.ascontiguousarray(pixels, dtype=np.float64).reshape(-1, 1, 2)
        return cv2.undistortPoints(flat, self.matrix, self.distortion).reshape(pixels.shape)

    def looking_at(self, pixel: np.ndarray) -> np.ndarray:
        """The shortest rotation (3, 3) that brings the ray of a pixel (2,) onto the z axis.

        A network sees a person as if the camera looked at the middle of the crop; so it answers in that frame.
        """
        ray = np.append(self.undistort(pixel[None])[0], 1.0)
        x, y, z = ray / np.linalg.norm(ray)
        sine = np.hypot(x, y)
        axis = np.array([y, -x, 0.0]) / max(sine, np.finfo(float).tiny)
        return cv2.Rodrigues(axis * np.arctan2(sine, z))[0]


def read_calibration(path: Path) -> list[Camera]:
    """The cameras of a file, in its order.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not such a file, or a camera lacks a number.
    """
    try:
        cameras = ElementTree.parse(path).getroot().findall("cameras/camera")
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is no Qualisys calibration file: {error}") from None
    if not cameras:
        raise ValueError(f"{path} holds no cameras; expected a Qualisys calibration file")
    return [_read_camera(element, f"{path}: camera {index}") for index, element in enumerate(cameras)]


def _read_camera(element: ElementTree.Element, where: str) -> Camera:
    intrinsic = _numbers(element.find("intrinsic"), f"{where}: intrinsic")
    transform = _numbers(element.find("transform"), f"{where}: transform")
    window = _numbers(element.find("fov_video"), f"{where}: fov_video")
    try:
        focal = [intrinsic[f"focalLength{axis}"] / _UNITS_PER_PIXEL for axis in "UV"]
        middle = [
            intrinsic[f"centerPoint{axis}"] / _UNITS_PER_PIXEL - window[side]
            for axis, side in (("U", "left"), ("V", "top"))
        ]
        distortion = np.array([intrinsic[name] for name in _DISTORTIONS])
        to_world = np.array([[transform[f"r{row}{column}"] for row in (1, 2, 3)] for column in (1, 2, 3)])
        centre = np.array([transform[axis] for axis in "xyz"]) / _MILLIMETRES
    except KeyError as error:
        raise ValueError(f"{where} lacks the number {error.args[0]}") from None
    matrix = np.array([[focal[0], 0.0, middle[0]], [0.0, focal[1], middle[1]], [0.0, 0.0, 1.0]])
    rotation = _FROM_QUALISYS @ to_world.T
    return Camera(element.get("serial", where), matrix, distortion, rotation, -rotation @ centre)


def _numbers(element: ElementTree.Element | None, where: str) -> dict[str, float]:
    """The attributes of an element that are finite numbers."""
    if element is None:
        raise ValueError(f"{where} is missing")
    found = {}
    for name, text in element.attrib.items():
        try:
            found[name] = float(text)
        except ValueError:
            continue
        if not np.isfinite(found[name]):
            raise ValueError(f"{where}: {name} is {text}, expected a finite number")
    return found
