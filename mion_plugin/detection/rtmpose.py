"""People by RTMPose (Jiang et al., 2023) in ONNX, through rtmlib: a YOLOX finds them, RTMPose their keypoints.

rtmlib runs the networks in onnxruntime and needs none of mmpose's packages. Both files are the user's, or those of
OpenMMLab's model zoo, which rtmlib downloads on first use and keeps.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.datasets.coco import NUM_KEYPOINTS, CocoPerson
from mion_plugin.datasets.keypoint_layouts import COCO_17, LAYOUTS
from mion_plugin.detection.keypoint_estimator import KeypointEstimator, from_peaks, people_in_boxes
from mion_plugin.detection.people import PersonDetector, check_image
from mion_plugin.files.presence import require_file

# Name -> rtmlib's name for the pair of YOLOX and RTMPose; their sizes, and so their speeds, grow together.
NETWORKS = {"rtmpose": "balanced", "rtmpose-s": "lightweight", "rtmpose-m": "balanced", "rtmpose-x": "performance"}
REMEDY = "pip install 'mion-plugin[rtmpose]'"
_SIMCC_SPLIT = 2  # SimCC's bins in a pixel of the input, in all of RTMPose's configs; rtmlib knows no other
_YOLOX_STRIDES = (8, 16, 32)  # of its three grids of cells


def is_rtmpose(config: str | None, checkpoint: str | None) -> bool:
    """Whether a user who names a network so means RTMPose in ONNX: by a name of ``NETWORKS``, or by the file's."""
    return config in NETWORKS or (config is None and checkpoint is not None and checkpoint.lower().endswith(".onnx"))


def fetch_pose_network(config: str | None = None, checkpoint: str | None = None) -> Path:
    """The local file of RTMPose.

    Args:
        config: A name of ``NETWORKS``; None for its first.
        checkpoint: Path or URL of an ``.onnx``, or URL of a ``.zip`` with one; None for that of the name.

    Raises:
        ImportError: rtmlib is not installed; the message says how to.
        FileNotFoundError: No such file, or the URL cannot be reached.
        ValueError: What was downloaded is broken.
    """
    return _fetch(config, checkpoint, "pose")


def fetch_person_network(config: str | None = None, checkpoint: str | None = None) -> Path:
    """The local file of the YOLOX that finds people; as ``fetch_pose_network``."""
    return _fetch(config, checkpoint, "det")


class RTMPoseEstimator:
    """RTMPose in ONNX; a ``KeypointEstimator``.

    It is given RGB, as mmpose trains and tests it, and the box enlarged by 1.25, as there. The confidence is the mean
    of both axes' highest SimCC. Networks for Halpe's 26 or 136 keypoints or COCO-WholeBody's 133, whose first 17 are
    COCO's, do, too.

    Args:
        path: The ``.onnx``.
        device: ``cpu`` or ``cuda[:N]``; the CPU where onnxruntime has no CUDA.

    Raises:
        ImportError: rtmlib is not installed; the message says how to.
        FileNotFoundError: No such file.
        ValueError: Not an ONNX model, or one of another kind.
    """

    def __init__(self, path: Path, device: str = "cpu") -> None:
        self._network = _load(_import_rtmlib().RTMPose, path, device)
        height, width = _input_size(self._network, (256, 192), path)
        self._network.model_input_size = (width, height)
        shapes = _try_out(self._network, height, width, path)
        told = f"for an image of {width} x {height}, expected SimCC of 17 keypoints: (1, 17, {_SIMCC_SPLIT * width})"
        bins = [_SIMCC_SPLIT * width, _SIMCC_SPLIT * height]
        if [shape[::2] for shape in shapes if len(shape) == 3] != [(1, count) for count in bins] or not all(
            LAYOUTS.get(shape[1], ("", ()))[1][:NUM_KEYPOINTS] == COCO_17 for shape in shapes
        ):
            raise ValueError(f"{path} is no RTMPose: it gives {shapes} {told} and (1, 17, {bins[1]})")

    def __call__(self, images: Any, boxes: np.ndarray) -> np.ndarray:
        """See ``KeypointEstimator``."""
        found = [self._look_at(image, box) for image, box in zip(images, boxes, strict=True)]
        return from_peaks(np.stack(found)) if found else np.zeros((0, NUM_KEYPOINTS, 3))

    def _look_at(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Keypoints (17, 3) of the person in a box, with pixel centres at integers."""
        x, y, width, height = box
        keypoints, scores = self._network(np.ascontiguousarray(image), [[x, y, x + width, y + height]])
        return np.column_stack([keypoints[0], scores[0]])[:NUM_KEYPOINTS]


class YOLOXPeople:
    """Boxes of people by a YOLOX in ONNX, with its non-maximum suppression inside the file or without.

    Args: as ``RTMPoseEstimator``.

    Raises:
        as ``RTMPoseEstimator``.
    """

    def __init__(self, path: Path, device: str = "cpu") -> None:
        self._network = _load(_import_rtmlib().YOLOX, path, device)
        self._size = height, width = _input_size(self._network, (640, 640), path)
        self._network.model_input_size = (height, width)
        first = (*_try_out(self._network, height, width, path), ())[0]
        cells = sum((height // stride) * (width // stride) for stride in _YOLOX_STRIDES)
        if len(first) != 3 or not (first[2] == 5 or (first[2] > 5 and first[1] == cells)):
            expected = f"(1, N, 5), boxes and scores, or (1, {cells}, 5 + classes)"
            raise ValueError(f"{path} is no YOLOX: its first output is {first}, expected {expected}")
        self._suppressed = first[2] == 5
        self._network.det_mode = "human" if self._suppressed else "multiclass"

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Boxes (S, 4), x, y, width, height in pixels, of an image (H, W, 3) uint8 RGB, the largest first."""
        ratio = min(self._size[0] / image.shape[0], self._size[1] / image.shape[1])
        if ratio * min(image.shape[:2]) < 1:  # rtmlib would make it an image without pixels
            return np.zeros((0, 4))
        found = self._network(np.ascontiguousarray(image[..., ::-1]))  # mmdet trains YOLOX with BGR
        if not self._suppressed:
            found = found[0][found[1] == 0]  # COCO's first class is the person
        corners = np.asarray(found, dtype=np.float64).reshape(-1, 4)
        boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
        boxes = boxes[(boxes[:, 2:] > 0).all(axis=1)]
        return boxes[np.argsort(-boxes[:, 2:].prod(axis=1), kind="stable")]


def rtmpose_detector(estimator: KeypointEstimator, find_boxes: YOLOXPeople) -> PersonDetector:
    """A detector whose people are those of ``find_boxes``, the largest first; keypoints outside the image are none."""

    def detect(image: np.ndarray) -> list[CocoPerson]:
        check_image(image)
        return people_in_boxes(estimator, image, find_boxes(image))

    return detect


def _import_rtmlib() -> Any:
    try:
        import rtmlib
    except ImportError as error:
        raise ImportError(f"RTMPose needs rtmlib ({error}): {REMEDY}") from error
    return rtmlib


def _fetch(config: str | None, checkpoint: str | None, kind: str) -> Path:
    """The local file of the network that rtmlib calls ``kind``."""
    where = checkpoint or _import_rtmlib().Body.MODE[NETWORKS[config or "rtmpose"]][kind]
    if not re.match(r"https?://", where):
        return require_file(Path(where).expanduser(), "checkpoint")
    _import_rtmlib()
    from rtmlib.tools.file import download_checkpoint

    try:
        return Path(download_checkpoint(where))
    except OSError as error:  # of urllib, too
        raise FileNotFoundError(
            f"{where} cannot be downloaded ({error}); without a network, fetch it elsewhere, unpack it, and give the "
            "path of its .onnx: --pose-checkpoint RTMPOSE.onnx --person-checkpoint YOLOX.onnx (detect_keypoints: "
            "--checkpoint RTMPOSE.onnx)"
        ) from error
    except Exception as error:  # a damaged archive, or one without a model, fails in many ways
        raise ValueError(
            f"{where}: what was downloaded is no archive of an ONNX model: {_first_line(error)}"
        ) from error


def _load(kind: Any, path: Path, device: str) -> Any:
    """rtmlib's tool for a network; errors as ``RTMPoseEstimator``."""
    import onnxruntime

    require_file(Path(path), "checkpoint")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        device = "cpu"
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # rtmlib prints what it loads
            return kind(str(path), backend="onnxruntime", device=device)
    except Exception as error:  # onnxruntime's errors have no common class but this
        raise ValueError(f"{path} is not an ONNX model that can be run: {_first_line(error)}") from error


def _input_size(network: Any, otherwise: tuple[int, int], path: Path) -> tuple[int, int]:
    """Height and width of a network's input; ``otherwise`` where the file leaves them open."""
    shape = network.session.get_inputs()[0].shape
    if len(shape) != 4:
        raise ValueError(f"{path} takes an input of shape {shape}, expected one image (1, 3, height, width)")
    height, width = (side if isinstance(side, int) else usual for side, usual in zip(shape[2:], otherwise, strict=True))
    return height, width


def _try_out(network: Any, height: int, width: int, path: Path) -> list[tuple[int, ...]]:
    """The shapes of what a network gives for a black image."""
    try:
        return [np.shape(output) for output in network.inference(np.zeros((height, width, 3)))]
    except Exception as error:  # see _load
        raise ValueError(f"{path} cannot be run on an image of {width} x {height}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
