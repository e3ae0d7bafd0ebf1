"""Files of bodies: the project's own layout, and those of other methods brought into it.

Nothing of a file is run: arrays come without pickles, and ScoreHypo's pickle and 4D-Humans' dict are read by a reader
of plain arrays.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mion_plugin.body.arrays import NUM_JOINTS, NUM_VERTICES
from mion_plugin.files.npz import npz_names, one_line, read_npz
from mion_plugin.files.restricted_pickle import read_objects, read_pickle
from mion_plugin.prediction.shards import read_shard
from mion_plugin.scoring.hypotheses import KIND, Hypotheses, check_hypotheses, check_topology

_PICKLE = ".pkl"
_HMR2_FOCAL_LENGTH, _HMR2_IMAGE_SIZE = 5000.0, 256.0  # of its crops: EXTRA.FOCAL_LENGTH and MODEL.IMAGE_SIZE
_HMR2_PARAMETERS = "pred_smpl_params"
_HMR2_KEYS = (
    *("pred_cam", "box_center", "box_size", "image_name", "img_path"),
    *("global_orient", "body_pose", "betas", "pred_vertices"),
)
_MILLIMETRES = 1000.0


@dataclass(frozen=True)
class Layout:
    """A layout that is told by the names of its arrays.

    Attributes:
        name: Whose it is.
        keys: Arrays that no other layout has together.
        read: From the path to the bodies.
    """

    name: str
    keys: frozenset[str]
    read: Callable[[Path], Hypotheses]


def read_bodies(path: str | os.PathLike[str]) -> Hypotheses:
    """The bodies in a file of any layout that is known.

    Raises:
        FileNotFoundError: No such file.
        UnsafePickleError: A pickle that asks for more than arrays and plain containers.
        ValueError: It cannot be read, or is in no such layout; see ``check_hypotheses``.
    """
    path = Path(path)
    if path.suffix == _PICKLE:
        return _read_scorehypo(path)
    names = set(npz_names(path, KIND))
    for layout in LAYOUTS:
        if layout.keys <= names:
            return layout.read(path)
    return check_hypotheses(read_npz(path, KIND), path)


def _read_mion_shard(path: Path) -> Hypotheses:
    """What ``tools/predict.py`` writes."""
    people = read_shard(path)
    if people is None:
        raise ValueError(f"{path} holds no bodies")
    cameras = [people.crop_camera_in_image(row) for row in range(len(people))]
    arrays = {
        **{name: getattr(people, name) for name in ("image_name", "person", "keypoints2d", "pose", "betas", "transl")},
        "focal_length": np.array([camera.focal_length for camera in cameras]),
        "principal_point": np.array([camera.principal_point for camera in cameras]),
    }
    return check_hypotheses(arrays, path, "tools/predict.py")


def _read_mion_person(path: Path) -> Hypotheses:
    """What ``tools/demo.py`` and ``MIONInferencer`` write of one person."""
    found = _required(read_npz(path, KIND), ("pose", "betas", "transl", "keypoints2d", "crop_camera_in_image"), path)
    camera = found["crop_camera_in_image"]
    if camera.shape != (3,):
        raise ValueError(f"{path}: crop_camera_in_image has shape {camera.shape}, expected (3,)")
    arrays = {name: found[name][None] for name in ("pose", "betas", "transl", "keypoints2d")}
    arrays |= {"focal_length": camera[:1], "principal_point": camera[None, 1:]}
    return check_hypotheses(arrays, path, "tools/demo.py")


def _hmr2_parameters(path: Path) -> dict[str, np.ndarray]:
    """The known arrays of the file's dict of parameters, by name; none where there is no such dict."""
    objects = read_npz(path, KIND, only=(_HMR2_PARAMETERS,), read_objects=read_objects)
    held = np.asarray(objects.get(_HMR2_PARAMETERS, {}), dtype=object)
    parameters = held.item() if held.ndim == 0 else None
    if not (isinstance(parameters, dict) and all(isinstance(value, np.ndarray) for value in parameters.values())):
        raise ValueError(f"{path}: {_HMR2_PARAMETERS} is no dict of arrays")
    return {name: parameters[name] for name in _HMR2_KEYS if name in parameters}


def _read_hmr2(path: Path) -> Hypotheses:
    """4D-Humans (HMR2), and ProHMR with its N bodies: what the model returns, and the boxes that the crops were.

    ``pred_cam`` (s, tx, ty) projects by 5000 px on a crop of 256 px, so by 5000 / 256 ``box_size`` in the photograph,
    around ``box_center``. The parameters are arrays of the file, or those of its dict ``pred_smpl_params``.
    """
    content = read_npz(path, KIND, only=_HMR2_KEYS)
    found = _required(content | _hmr2_parameters(path), ("pred_cam", "box_center", "box_size"), path)
    weak = _with_count(found["pred_cam"], 1, "pred_cam", path)
    people, count = weak.shape[:2]
    side, center = np.asarray(found["box_size"], np.float64).reshape(-1), found["box_center"]
    if weak.shape[2:] != (3,) or side.shape != (people,) or center.shape != (people, 2):
        raise ValueError(
            f"{path}: pred_cam {found['pred_cam'].shape}, box_center {center.shape} and box_size "
            f"{found['box_size'].shape}, expected (P, 3) or (P, N, 3), (P, 2) and (P,)"
        )
    scale = weak[..., :1]
    with np.errstate(divide="ignore", invalid="ignore"):  # what is not finite is told of below
        depth = 2.0 * _HMR2_FOCAL_LENGTH / (_HMR2_IMAGE_SIZE * scale)
    arrays = {
        **_names(found, ("image_name", "img_path")),
        **_hmr2_bodies(found, (people, count), path),
        "transl": np.concatenate([weak[..., 1:], depth], axis=-1),
        "focal_length": _HMR2_FOCAL_LENGTH / _HMR2_IMAGE_SIZE * side,
        "principal_point": center,
    }
    return check_hypotheses(arrays, path, "4D-Humans", licensed=True)


def _hmr2_bodies(found: Mapping[str, np.ndarray], lead: tuple[int, int], path: Path) -> dict[str, np.ndarray]:
    """``pred_smpl_params``, or where they were not kept ``pred_vertices``."""
    if "body_pose" in found:
        found = _required(found, ("global_orient", "body_pose", "betas"), path)
        matrices = [_shaped(found[name], (*lead, -1, 3, 3), name, path) for name in ("global_orient", "body_pose")]
        pose = np.concatenate(matrices, axis=2)
        if pose.shape[2] != NUM_JOINTS:
            raise ValueError(f"{path}: global_orient and body_pose have {pose.shape[2]} joints, expected {NUM_JOINTS}")
        return {"pose": pose, "betas": _shaped(found["betas"], (*lead, -1), "betas", path)}
    vertices = _required(found, ("pred_vertices",), path)["pred_vertices"]
    return {"vertices": _with_count(vertices, 2, "pred_vertices", path)}


def _read_sam3d_body(path: Path) -> Hypotheses:
    """SAM 3D Body's output of one person, once its MHR mesh is converted to SMPL's.

    The body stands at ``pred_vertices + pred_cam_t``. ``convert_sam3d_output_to_smpl`` of facebookresearch/MHR gives
    vertices to which ``pred_cam_t`` is added already, and those are told by their depth.
    """
    found = read_npz(path, KIND)
    vertices = found["pred_vertices"].reshape(1, 1, *found["pred_vertices"].shape[-2:])
    if vertices.shape[2] != NUM_VERTICES:
        raise ValueError(
            f"{path} is SAM 3D Body's: a mesh of MHR's {vertices.shape[2]} vertices, not of SMPL's "
            f"{NUM_VERTICES}; convert it to SMPL first (facebookresearch/MHR, tools/mhr_smpl_conversion)"
        )
    check_topology(vertices.shape, path)
    transl = _shaped(found["pred_cam_t"], (1, 1, 3), "pred_cam_t", path)
    depth = vertices[..., 2].mean()  # near 0 where the body is not placed, and stands about its own origin
    placed = abs(depth - transl[0, 0, 2]) < abs(depth)
    arrays = {
        **_names(found, ("image_name",)),
        **_sam3d_camera(found, path),
        "vertices": vertices,
        "transl": np.zeros_like(transl) if placed else transl,
    }
    return check_hypotheses(arrays, path, "SAM 3D Body", licensed=True)


def _sam3d_camera(found: Mapping[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """``focal_length``, with the photograph's middle; or the camera by which its 70 keypoints in 3D are those in 2D.

    Files of facebookresearch/MHR have the keypoints alone. They also know another principal point than the middle.
    """
    names = ("pred_keypoints_3d", "pred_keypoints_2d")
    if any(name not in found for name in names):
        found = _required(found, ("focal_length",), path)
        return {"focal_length": _shaped(found["focal_length"], (1,), "focal_length", path)}
    points = _shaped(found[names[0]], (-1, 3), names[0], path) + _shaped(found["pred_cam_t"], (3,), "pred_cam_t", path)
    pixels = _shaped(found[names[1]], (len(points), 2), names[1], path)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = points[:, :2] / points[:, 2:]
    if not (len(points) and np.isfinite(slopes).all() and np.isfinite(pixels).all()):
        raise ValueError(f"{path}: {' and '.join(names)} tell no camera, expected finite points before it")
    middle = np.tile(np.eye(2), (len(points), 1))
    camera = np.linalg.lstsq(np.column_stack([slopes.reshape(-1), middle]), pixels.reshape(-1), rcond=None)[0]
    return {"focal_length": camera[:1], "principal_point": camera[None, 1:]}


def _read_scorehypo(path: Path) -> Hypotheses:
    """ScoreHypo's, and ADHMR's, ``result/output.pkl``: number of the body -> number of the person -> its numbers.

    ``pred_mesh`` is in millimetres before the camera of ``focal_l`` and ``center_pt``. Body 0 is the mean of those that
    its own scorer likes best and the last one the mean of all: neither is a hypothesis, and both are left out.
    """
    content = read_pickle(path, kind=KIND)
    try:
        bodies = [content[number] for number in sorted(content)][1:-1]
        people = sorted(bodies[0])
        rows = [[body[person] for body in bodies] for person in people]
        arrays = {
            "image_name": np.array([str(row[0]["img_path"]) for row in rows]),
            "vertices": np.array([[one["pred_mesh"] for one in row] for row in rows], np.float64) / _MILLIMETRES,
            "focal_length": np.array([np.mean(row[0]["focal_l"]) for row in rows]),
            "principal_point": np.array([row[0]["center_pt"] for row in rows]),
        }
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} is not ScoreHypo's output.pkl, body -> person -> pred_mesh, focal_l, center_pt, img_path: "
            f"{type(error).__name__} {one_line(error)}"
        ) from None
    return check_hypotheses(arrays, path, "ScoreHypo", licensed=True)


def _required(found: Mapping[str, np.ndarray], names: tuple[str, ...], path: Path) -> Mapping[str, np.ndarray]:
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{path} has no {missing[0]}; it holds {', '.join(sorted(found))}")
    return found


def _names(found: Mapping[str, np.ndarray], keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    return next(({"image_name": np.atleast_1d(found[key])} for key in keys if key in found), {})


def _with_count(array: np.ndarray, own: int, name: str, path: Path) -> np.ndarray:
    """(P, N, ...) of an array (P, ...) of one body each, whose bodies have ``own`` dimensions, or of (P, N, ...)."""
    if array.ndim not in (1 + own, 2 + own):
        raise ValueError(f"{path}: {name} has shape {array.shape}, expected {1 + own} or {2 + own} dimensions")
    return array[:, None] if array.ndim == 1 + own else array


def _shaped(array: np.ndarray, shape: tuple[int, ...], name: str, path: Path) -> np.ndarray:
    try:
        return np.asarray(array).reshape(shape)
    except ValueError:
        raise ValueError(f"{path}: {name} has shape {array.shape}, expected what makes {shape}") from None


LAYOUTS = (
    Layout("tools/predict.py", frozenset(("crop_camera", "num_photographs")), _read_mion_shard),
    Layout("tools/demo.py", frozenset(("crop_camera_in_image", "crop_camera")), _read_mion_person),
    Layout("4D-Humans", frozenset(("pred_cam",)), _read_hmr2),
    Layout("SAM 3D Body", frozenset(("pred_vertices", "pred_cam_t")), _read_sam3d_body),
)
