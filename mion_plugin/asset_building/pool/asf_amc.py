"""Reading Acclaim ASF/AMC motion capture (the CMU data base's own format); skeletons are parsed by ``pyacclaim``."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.asset_building.pool.asf_orders import AsfText, BoneRotation, read_asf_text
from mion_plugin.asset_building.pool.motion import Motion, global_rotations, joint_positions
from mion_plugin.asset_building.pool.rotations import aligning_rotation, unit
from mion_plugin.files.text_files import read_text

_CMU_FPS = 120.0  # AMC files carry no rate; the data base was recorded at 120 Hz
_INSTALL_HINT = 'reading ASF/AMC files needs pyacclaim: pip install "mion-plugin[mocap]"'


def read_asf_amc(path: str | os.PathLike[str], name: str | None = None) -> Motion:
    """Read an ``.amc`` file with the ``.asf`` skeleton beside it.

    A bone's frame is aligned with the world in the pose of all-zero angles; R = C M C^-1 relative to the parent, C
    being the bone's axis and M its angles, in the order of its ``dof`` (rx ry rz: M = Rz Ry Rx). A bone of the file
    becomes a joint at the bone's start; the ends of the last bones become joints named ``<bone>_end``. The frame rate
    is 120 Hz over the step of the frame numbers.

    Args:
        path: The ``.amc`` file. Its skeleton is ``<stem>.asf``, else ``<stem up to _>.asf``, else the folder's only
            one.
        name: Name of the motion; the path when left out.

    Raises:
        ImportError: pyacclaim is not installed.
        ValueError: No skeleton, or a damaged file; the message says what is wrong.
    """
    path = Path(path)
    bones, asf = _read_skeleton(_find_skeleton(path))
    text = read_text(path)
    numbers, frames = _read_frames(text)
    in_degrees = _in_degrees(text, asf.degrees)
    names = list(bones)
    parents = [-1 if bone.parent is None else names.index(bone.parent.name) for bone in bones.values()]
    if any(parent >= joint for joint, parent in enumerate(parents)) or parents.count(-1) != 1:
        raise ValueError("bones of the skeleton do not hang together in the order they are listed")
    local = np.stack([_bone_rotations(name, asf.bones[name], frames, in_degrees) for name in bones], axis=1)
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


def _read_skeleton(path: Path) -> tuple[dict[str, Any], AsfText]:
    """pyacclaim's bones by name, root first, and what the file states about their rotations."""
    try:
        import pyacclaim
    except ImportError as error:
        raise ImportError(_INSTALL_HINT) from error
    text = read_text(path)
    try:
        read = read_asf_text(text)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    with (
        tempfile.NamedTemporaryFile("w", suffix=".asf", errors="replace") as plain,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        plain.write(read.plain)
        plain.flush()
        try:
            return pyacclaim.loadASF(plain.name, verbose=False)["bones"], read
        except (AssertionError, KeyError, IndexError, ValueError, TypeError) as error:
            raise ValueError(f"damaged skeleton {path.name}: {error or type(error).__name__}") from error


def _read_frames(text: str) -> tuple[list[int], dict[str, np.ndarray]]:
    """Frame numbers, and per bone the values (T, channels) as the file has them.

    Read here because pyacclaim 0.0.1 loses the last frame of a file.
    """
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


def _in_degrees(text: str, as_skeleton: bool) -> bool:
    """Whether the angles of an AMC file are in degrees; where it does not tell, as its skeleton's."""
    told = {line.strip().upper() for line in text.splitlines() if line.lstrip().startswith(":")}
    return as_skeleton if not {":RADIANS", ":DEGREES"} & told else ":RADIANS" not in told


def _bone_rotations(name: str, rotation: BoneRotation, frames: dict[str, np.ndarray], in_degrees: bool) -> np.ndarray:
    """Rotations (T, 3, 3) of a bone relative to its parent."""
    if name not in frames:
        if rotation.order:
            raise ValueError(f"bone {name} moves but has no line in the AMC file")
        return np.broadcast_to(np.eye(3), (len(next(iter(frames.values()))), 3, 3))
    values = frames[name]
    count = 6 if name == "root" else len(rotation.order)
    if values.shape[1] != count:
        raise ValueError(f"bone {name} has {values.shape[1]} values a frame, its skeleton {count}")
    angles = values[:, list(rotation.columns)]
    return rotation.local(angles if in_degrees else np.degrees(angles))
