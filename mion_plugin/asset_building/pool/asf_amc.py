"""Reading Acclaim ASF/AMC motion capture (the CMU data base's own format); skeletons are parsed by ``pyacclaim``."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.asset_building.pool.motion import Motion, global_rotations, joint_positions
from mion_plugin.asset_building.pool.rotations import aligning_rotation, euler_to_rotmat, unit

_CMU_FPS = 120.0  # AMC files carry no rate; the data base was recorded at 120 Hz
_INSTALL_HINT = 'reading ASF/AMC files needs pyacclaim: pip install "mion-plugin[mocap]"'
_ROOT_ORDER = re.compile(r"^\s*order\s+TX\s+TY\s+TZ\s+RX\s+RY\s+RZ\s*$", re.MULTILINE | re.IGNORECASE)


def read_asf_amc(path: str | os.PathLike[str], name: str | None = None) -> Motion:
    """Read an ``.amc`` file with the ``.asf`` skeleton beside it.

    A bone's frame is aligned with the world in the pose of all-zero angles; R = C Rz Ry Rx C^-1 relative to the
    parent, C being the bone's axis. A bone of the file becomes a joint at the bone's start; the ends of the last bones
    become joints named ``<bone>_end``. The frame rate is 120 Hz over the step of the frame numbers.

    Args:
        path: The ``.amc`` file. Its skeleton is ``<stem>.asf``, else ``<stem up to _>.asf``, else the folder's only
            one.
        name: Name of the motion; the path when left out.

    Raises:
        ImportError: pyacclaim is not installed.
        ValueError: No skeleton, or a damaged file; the message says what is wrong.
    """
    path = Path(path)
    bones = _read_skeleton(_find_skeleton(path))
    numbers, frames = _read_frames(path.read_text(encoding="utf-8", errors="replace"))
    names = list(bones)
    parents = [-1 if bone.parent is None else names.index(bone.parent.name) for bone in bones.values()]
    if any(parent >= joint for joint, parent in enumerate(parents)) or parents.count(-1) != 1:
        raise ValueError("bones of the skeleton do not hang together in the order they are listed")
    local = np.stack([_bone_rotations(bone, frames) for bone in bones.values()], axis=1)
    # a joint stands at its bone's start, which is the end of the parent's bone
    tips = [bone.direction * bone.length for bone in bones.values()]
    offsets = [np.zeros(3) if parent < 0 else tips[parent] for parent in parents]
    for joint, bone_name in enumerate(list(names)):
        if joint not in parents:
            names.append(f"{bone_name}_end")
            parents.append(joint)
            offsets.append(tips[joint])
    ends = np.broadcast_to(np.eye(3), (len(local), len(names) - local.shape[1], 3, 3))
    step = 1 if len(numbers) < 2 else max(1, int(np.median(np.diff(numbers))))
    return Motion(
        name=name or str(path),
        joint_names=tuple(names),
        parents=np.asarray(parents, np.int64),
        offsets=np.asarray(offsets, np.float64),
        rotations=global_rotations(parents, np.concatenate([local, ends], axis=1)),
        rest_rotations=_standing_straight(parents, np.asarray(offsets))[None],
        fps=_CMU_FPS / step,
    )


def _standing_straight(parents: list[int], offsets: np.ndarray) -> np.ndarray:
    """Rotations of the T-pose: the pose of zero angles with the legs turned straight down.

    CMU's skeletons have the legs apart by 20 degrees at zero angles, feet in line with the shins.
    """
    rest = np.broadcast_to(np.eye(3), (len(parents), 3, 3)).copy()
    positions = joint_positions(parents, offsets, rest)
    down = np.array([0.0, -1.0, 0.0])
    for joint, parent in enumerate(parents):
        if parent < 0:
            continue
        children = [child for child, its_parent in enumerate(parents) if its_parent == joint]
        bone = positions[children[0]] - positions[joint] if children else np.zeros(3)
        is_thigh = unit(bone) @ down > np.cos(np.radians(30)) and np.linalg.norm(bone) > 0.2 * np.ptp(positions[:, 1])
        if (rest[parent] != np.eye(3)).any():
            rest[joint] = rest[parent]
        elif is_thigh:
            rest[joint] = aligning_rotation(bone, down)
    return rest


def _find_skeleton(path: Path) -> Path:
    """The ``.asf`` file that belongs to an ``.amc`` file."""
    for stem in (path.stem, path.stem.rpartition("_")[0]):
        candidate = path.with_name(f"{stem}.asf")
        if stem and candidate.is_file():
            return candidate
    others = sorted(path.parent.glob("*.asf"))
    if len(others) != 1:
        raise ValueError(f"no skeleton: neither {path.stem}.asf nor a single .asf file stands beside it")
    return others[0]


def _read_skeleton(path: Path) -> dict[str, Any]:
    """pyacclaim's bones by name, root first."""
    try:
        import pyacclaim
    except ImportError as error:
        raise ImportError(_INSTALL_HINT) from error
    text = path.read_text(encoding="utf-8", errors="replace")
    if not _ROOT_ORDER.search(text):
        raise ValueError(f"{path.name}: root channels are not in the order TX TY TZ RX RY RZ")
    with tempfile.NamedTemporaryFile("w", suffix=".asf") as cleaned, contextlib.redirect_stdout(io.StringIO()):
        cleaned.write("\n".join(line for line in text.splitlines() if line.strip()))  # it fails on blank lines
        cleaned.flush()
        try:
            return pyacclaim.loadASF(cleaned.name, verbose=False)["bones"]
        except (AssertionError, KeyError, IndexError, ValueError, TypeError) as error:
            raise ValueError(f"damaged skeleton {path.name}: {error or type(error).__name__}") from error


def _read_frames(text: str) -> tuple[list[int], dict[str, np.ndarray]]:
    """Frame numbers, and per bone the values (T, channels) as the file has them.

    Read here because pyacclaim 0.0.1 loses the last frame of a file.
    """
    if ":RADIANS" in text.upper():
        raise ValueError("angles in radians are not supported, expected :DEGREES")
    numbers: list[int] = []
    rows: dict[str, list[list[float]]] = {}
    for line in text.splitlines():
        tokens = line.split()
        if not tokens or tokens[0][0] in "#:":
            continue
        if len(tokens) == 1 and tokens[0].isdigit():
            numbers.append(int(tokens[0]))
            continue
        try:
            rows.setdefault(tokens[0], []).append([float(token) for token in tokens[1:]])
        except ValueError as error:
            raise ValueError(f"damaged AMC line {line.strip()[:60]!r}") from error
    if not numbers:
        raise ValueError("no frames in the AMC file")
    for bone, values in rows.items():
        if len(values) != len(numbers) or len({len(row) for row in values}) != 1:
            raise ValueError(f"bone {bone} is not complete in all {len(numbers)} frames: truncated file?")
    return numbers, {bone: np.asarray(values) for bone, values in rows.items()}


def _bone_rotations(bone: Any, frames: dict[str, np.ndarray]) -> np.ndarray:
    """Rotations (T, 3, 3) of a bone relative to its parent."""
    if bone.name not in frames:
        if bone.limits is not None and len(bone.limits) and bone.limits.any():
            raise ValueError(f"bone {bone.name} moves but has no line in the AMC file")
        return np.broadcast_to(np.eye(3), (len(next(iter(frames.values()))), 3, 3))
    values = frames[bone.name]
    # pyacclaim keeps which axes turn as the rows of the limits, in the order x, y, z
    axes = (
        [0, 1, 2] if bone.parent is None else [i for i in range(3) if bone.limits is not None and bone.limits[i].any()]
    )
    angles = values[:, 3:] if bone.parent is None else values
    if angles.shape[1] != len(axes):
        raise ValueError(f"bone {bone.name} has {angles.shape[1]} angles a frame, its skeleton {len(axes)}")
    zyx = np.zeros((len(angles), 3))
    zyx[:, [2 - axis for axis in axes]] = angles
    return bone.frame @ euler_to_rotmat("ZYX", zyx) @ bone.frame_inv
