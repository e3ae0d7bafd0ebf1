"""Bodies of any method, N for each of P people, as files tell them; and what is checked of such a file.

The project's own layout is an ``.npz`` of these arrays; other methods' files are brought into it (``layouts.py``):

| key | shape | what |
|---|---|---|
| ``image_name`` | (P,) text | the photograph; may be left out where there is only one |
| ``person`` | (P,) integers | of its people with keypoints which, from 0; may be left out (``people.py``) |
| ``keypoints2d`` | (P, 17, 3) | COCO keypoints: pixels of the photograph, confidence; may be left out |
| ``pose`` | (P, N, 24, 3) or (P, N, 24, 3, 3) | SMPL: axis-angle in radians, or matrices; index 0 is global |
| ``betas`` | (P, N, 10) | with ``pose``; left out, the mean shape |
| ``vertices`` | (P, N, 6890, 3) | in place of ``pose``: metres |
| ``transl`` | (P, N, 3) | metres, added to the body; with a camera and ``vertices``, left out where these are placed |
| ``focal_length`` | (P,) | a camera of the photograph, pixels |
| ``principal_point`` | (P, 2) | pixels; left out, the middle of the photograph |
| ``weak_perspective`` | (P, N, 3) | in place of such a camera: (s, tx, ty) of a square crop, as SPIN's |
| ``crop`` | (P, 3) | with it: middle x, y and side of that crop, pixels of the photograph |

Frames have x right, y down, z into the scene. Without a camera the place of a body is found from the 2D keypoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS, NUM_VERTICES
from mion_plugin.constants import IMAGE_SIZE
from mion_plugin.geometry.camera import FOCAL_LENGTH, weak_perspective_to_translation
from mion_plugin.near_names import did_you_mean

KIND = "file of bodies"
OWN_LAYOUT = "mion_plugin's own layout"
_TOPOLOGIES = {10475: "SMPL-X's", 778: "MANO's"}
_TALLEST = 10.0  # metres between a body's outermost vertices; beyond, the unit is another
_LARGEST = 1e7  # radians, metres, pixels: single precision, in which bodies are posed, tells no more apart
_SIMILAR = 0.8  # of spellings, as difflib measures; beta and betas have 0.89
_ROTATION_TOLERANCE = 1e-2  # of R R^T: half precision on disk, and some more
_FLOATS = ("pose", "betas", "vertices", "transl", "focal_length", "principal_point", "weak_perspective", "crop")
_KNOWN = ("image_name", "person", "keypoints2d", *_FLOATS)


@dataclass(frozen=True)
class Hypotheses:
    """P people with N bodies each. Arrays are float64 and finite; lengths in metres.

    Attributes:
        source: The file.
        layout: Whose layout it has.
        image_name: P names of photographs, or None: all are in the only one.
        person: (P,) which of a photograph's people, or None where the file does not tell.
        keypoints2d: (P, 17, 3), or None.
        pose: (P, N, 24, 3) axis-angle or (P, N, 24, 3, 3) matrices; or None, and then there are ``vertices``.
        betas: (P, N, 10); None for the mean shape.
        vertices: (P, N, 6890, 3) before ``transl``; or None.
        transl: (P, N, 3) before the camera; None without one.
        focal_length: (P,) pixels of the photograph; None without a camera.
        principal_point: (P, 2) pixels of the photograph; None for its middle.
        licensed: The bodies are of the licensed SMPL, whatever the body model here is.
    """

    source: Path
    layout: str
    image_name: tuple[str, ...] | None
    person: np.ndarray | None
    keypoints2d: np.ndarray | None
    pose: np.ndarray | None
    betas: np.ndarray | None
    vertices: np.ndarray | None
    transl: np.ndarray | None
    focal_length: np.ndarray | None
    principal_point: np.ndarray | None
    licensed: bool = False

    def __len__(self) -> int:
        return len(self._bodies)

    def without_betas(self) -> Hypotheses:
        """The same bodies with the mean shape."""
        return replace(self, betas=None)

    @property
    def _bodies(self) -> np.ndarray:
        return self.pose if self.pose is not None else self.vertices  # type: ignore[return-value]


def check_hypotheses(
    arrays: Mapping[str, np.ndarray], source: Path, layout: str = OWN_LAYOUT, licensed: bool = False
) -> Hypotheses:
    """Bodies out of arrays in the project's own layout, with all that can be wrong about them checked.

    Args:
        arrays: By the keys of the module's table; others are not read.
        source: Where they come from, for errors.
        layout: Whose file it was.
        licensed: See ``Hypotheses``.

    Raises:
        ValueError: A key is missing or misspelt, shapes do not agree, numbers are not finite, matrices are no
            rotations, the vertices are another body model's or in another unit, or the camera is incomplete.
    """
    _check_spelling(arrays, source)
    found = {name: arrays[name] for name in _KNOWN if name in arrays}
    numbers = (*_FLOATS, "keypoints2d")
    found = {name: _real(value, name, source) if name in numbers else value for name, value in found.items()}
    _check_body(found, source)
    people, count = found["pose" if "pose" in found else "vertices"].shape[:2]
    _check_shapes(found, people, count, source)
    _check_numbers(found, source)
    if "keypoints2d" in found:
        found["keypoints2d"] = _seen_keypoints(found["keypoints2d"], source)
    transl, focal_length, principal_point = _camera(found, source)
    names = found.get("image_name")
    return Hypotheses(
        source=source,
        layout=layout,
        image_name=None if names is None else tuple(str(name) for name in names),
        person=found.get("person"),
        keypoints2d=found.get("keypoints2d"),
        pose=found.get("pose"),
        betas=found.get("betas"),
        vertices=found.get("vertices"),
        transl=transl,
        focal_length=focal_length,
        principal_point=principal_point,
        licensed=licensed,
    )


def _check_spelling(arrays: Mapping[str, np.ndarray], source: Path) -> None:
    """Raise ValueError for a key that nearly is one that may be left out; it would not be missed."""
    for name in arrays:
        hint = did_you_mean(name, _KNOWN, cutoff=_SIMILAR)
        if hint and name not in _KNOWN:
            raise ValueError(f"{source}: {name} is none of the keys that are read{hint}")


def _real(value: np.ndarray, name: str, source: Path) -> np.ndarray:
    if value.dtype.kind not in "fiu":
        raise ValueError(f"{source}: {name} is {value.dtype}, expected numbers")
    return value.astype(np.float64)


def _check_body(found: Mapping[str, np.ndarray], source: Path) -> None:
    """Whether there are bodies, of SMPL's topology."""
    if ("pose" in found) == ("vertices" in found):
        held = f"both in {source}" if "pose" in found else f"{source} has neither"
        raise ValueError(f"pose (P, N, {NUM_JOINTS}, 3) or vertices (P, N, {NUM_VERTICES}, 3): {held}, expected one")
    if "betas" in found and "pose" not in found:
        raise ValueError(f"{source}: betas without pose; vertices have their shape already")
    if "vertices" in found:
        check_topology(found["vertices"].shape, source)
    elif found["pose"].shape[2:] not in ((NUM_JOINTS, 3), (NUM_JOINTS, 3, 3)):
        raise ValueError(
            f"{source}: pose has shape {found['pose'].shape}, expected (P, N, {NUM_JOINTS}, 3) axis-angle or "
            f"(P, N, {NUM_JOINTS}, 3, 3) matrices"
        )
    if not min(found["pose" if "pose" in found else "vertices"].shape[:2]):
        raise ValueError(f"{source} holds no bodies")


def check_topology(shape: tuple[int, ...], source: Path) -> None:
    """Raise ValueError for vertices (P, N, V, 3) of another body model than SMPL."""
    if len(shape) == 4 and shape[2:] == (NUM_VERTICES, 3):
        return
    whose = f" ({_TOPOLOGIES[shape[-2]]})" if len(shape) > 1 and shape[-2] in _TOPOLOGIES else ""
    raise ValueError(
        f"{source}: vertices have shape {shape}{whose}, expected (P, N, {NUM_VERTICES}, 3), SMPL's: convert other "
        "bodies first (docs/reuse.md)"
    )


def _check_shapes(found: Mapping[str, np.ndarray], people: int, count: int, source: Path) -> None:
    expected: dict[str, tuple[int, ...]] = {
        "image_name": (people,),
        "person": (people,),
        "keypoints2d": (people, 17, 3),
        "betas": (people, count, NUM_BETAS),
        "transl": (people, count, 3),
        "focal_length": (people,),
        "principal_point": (people, 2),
        "weak_perspective": (people, count, 3),
        "crop": (people, 3),
    }
    for name, shape in expected.items():
        if name in found and found[name].shape != shape:
            raise ValueError(
                f"{source}: {name} has shape {found[name].shape}, expected {shape} for {people} people with {count} "
                "bodies each"
            )
    if "image_name" in found and found["image_name"].dtype.kind != "U":
        raise ValueError(f"{source}: image_name is {found['image_name'].dtype}, expected text")
    if "person" in found and (found["person"].dtype.kind not in "iu" or (found["person"] < 0).any()):
        raise ValueError(f"{source}: person is {found['person'].dtype}, expected integers from 0")


def _check_numbers(found: Mapping[str, np.ndarray], source: Path) -> None:
    for name in _FLOATS:
        if name in found and not np.isfinite(found[name]).all():
            row, *rest = np.argwhere(~np.isfinite(found[name]))[0].tolist()
            body = f", body {rest[0]}" if name not in ("focal_length", "principal_point", "crop") else ""
            raise ValueError(f"{source}: {name} of row {row}{body} is NaN or infinite")
        if name in found and np.abs(found[name]).max() > _LARGEST:
            raise ValueError(f"{source}: {name} reaches {np.abs(found[name]).max():.3g}, expected at most {_LARGEST:g}")
    if "pose" in found and found["pose"].ndim == 5:
        _check_rotations(found["pose"], source)
    if "vertices" in found:
        span = np.ptp(found["vertices"], axis=2).max(axis=-1)
        if span.max() > _TALLEST:
            row, body = np.argwhere(span == span.max())[0].tolist()
            raise ValueError(
                f"{source}: the vertices of row {row}, body {body} span {span.max():.0f}, expected metres of a person"
            )
    for name, values in (("focal_length", found.get("focal_length")), ("side of crop", found.get("crop"))):
        if values is not None and not (values if values.ndim == 1 else values[:, 2]).min() > 0:
            raise ValueError(f"{source}: a {name} is not above 0, expected pixels")
    if "weak_perspective" in found and not found["weak_perspective"][..., 0].min() > 0:
        raise ValueError(f"{source}: a scale s of weak_perspective is not above 0")


def _seen_keypoints(keypoints2d: np.ndarray, source: Path) -> np.ndarray:
    """The same with zeros where the confidence is 0, which may hold anything."""
    seen = keypoints2d[..., 2] > 0
    if not (np.isfinite(keypoints2d[..., 2]).all() and np.isfinite(keypoints2d[seen]).all()):
        raise ValueError(f"{source}: keypoints2d holds NaN or infinite values where the confidence is above 0")
    if not np.abs(keypoints2d[seen]).max(initial=0.0) <= _LARGEST:
        raise ValueError(f"{source}: keypoints2d lie beyond {_LARGEST:g} pixels")
    return np.where(seen[..., None], keypoints2d, 0.0)


def _check_rotations(matrices: np.ndarray, source: Path) -> None:
    away = np.abs(matrices @ np.swapaxes(matrices, -1, -2) - np.eye(3)).max(axis=(-2, -1))
    wrong = (away > _ROTATION_TOLERANCE) | (np.linalg.det(matrices) < 0)
    if wrong.any():
        row, body, joint = np.argwhere(wrong)[0].tolist()
        raise ValueError(f"{source}: pose of row {row}, body {body}, joint {joint} is no rotation matrix")


def _camera(
    found: Mapping[str, np.ndarray], source: Path
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Translations, focal lengths and principal points; None each where there is no camera."""
    full, weak = "focal_length" in found, "weak_perspective" in found
    if full and weak:
        raise ValueError(f"{source}: focal_length and weak_perspective are two cameras; give one")
    if weak != ("crop" in found):
        raise ValueError(f"{source}: weak_perspective and crop belong together, but one of them is missing")
    if weak:
        return _of_crop(found, source)
    if not full:
        for name in ("transl", "principal_point"):
            if name in found:
                raise ValueError(f"{source}: {name} without focal_length; give the camera, or leave {name} out")
        return None, None, None
    if "transl" not in found and "pose" in found:
        raise ValueError(f"{source}: pose and focal_length without transl; say where the bodies stand")
    transl = found["transl"] if "transl" in found else np.zeros((*found["vertices"].shape[:2], 3))
    return transl, found["focal_length"], found.get("principal_point")


def _of_crop(found: Mapping[str, np.ndarray], source: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A weak-perspective camera as the camera of 5000 px that such methods project by, told in the photograph."""
    if "transl" in found or "principal_point" in found:
        raise ValueError(f"{source}: weak_perspective says where bodies stand; leave transl and principal_point out")
    transl = weak_perspective_to_translation(torch.from_numpy(found["weak_perspective"])).numpy()
    if not np.abs(transl).max() <= _LARGEST:
        raise ValueError(f"{source}: a scale s of weak_perspective is {found['weak_perspective'][..., 0].min():.3g}")
    return transl, FOCAL_LENGTH * found["crop"][:, 2] / IMAGE_SIZE, found["crop"][:, :2]
