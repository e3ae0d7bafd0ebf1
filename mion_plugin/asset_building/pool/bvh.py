"""Reading Biovision BVH files; the hierarchy is parsed by ``bvhio``."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.asset_building.pool.motion import Motion, global_rotations
from mion_plugin.asset_building.pool.rotations import euler_to_rotmat
from mion_plugin.files.text_files import read_text

_MOTION_HEADER = re.compile(
    r"^\s*MOTION\s+Frames\s*:\s*(\d+)\s+Frame\s*Time\s*:\s*(\S+)[ \t]*$", re.MULTILINE | re.IGNORECASE
)
_NAME = re.compile(r"^([ \t]*(?:ROOT|JOINT)[ \t]+)(\S.*)$", re.MULTILINE)
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")  # as some countries write it
_INSTALL_HINT = 'reading BVH files needs bvhio: pip install "mion-plugin[mocap]"'


def read_bvh(path: str | os.PathLike[str], name: str | None = None) -> Motion:
    """Read a BVH file.

    Rotation channels multiply in the order they are listed (``Zrotation Yrotation Xrotation``: R = Rz Ry Rx). Position
    channels are ignored: bones are rigid, and where the person stands does not matter to a pose. (Exporters disagree
    about position channels below the root: absolute, or added to the offset.) Tips of bones (``End Site``) become
    joints named ``<joint>_end``.

    Args:
        path: The file.
        name: Name of the motion; the path when left out.

    Raises:
        ImportError: bvhio is not installed.
        ValueError: The file is not BVH, or damaged; the message says what is wrong.
    """
    path = Path(path)
    text = _DECIMAL_COMMA.sub(".", "\n".join(read_text(path).splitlines()))
    header = _MOTION_HEADER.search(text)
    # bvhio reads on forever at an early end of file, so the sections are checked to be there first
    if header is None or "HIERARCHY" not in text[: header.start()].upper():
        raise ValueError("not a complete BVH file: no HIERARCHY followed by MOTION, Frames: and Frame Time:")
    joints, parents = _flatten(_read_hierarchy(text[: header.start()]))
    channels = sum(len(joint.Channels) for joint in joints)
    values = _frame_values(text[header.end() :], int(header.group(1)), channels)
    frame_time = _frame_time(header.group(2))
    local = _local_rotations(joints, values)
    names, offsets = [joint.Name for joint in joints], [[*joint.Offset] for joint in joints]
    for index, joint in enumerate(joints):
        if not joint.Children and np.linalg.norm([*joint.EndSite]) > 0:
            names.append(f"{joint.Name}_end")
            offsets.append([*joint.EndSite])
            parents.append(index)
            local.append(np.broadcast_to(np.eye(3), local[0].shape))
    offsets[0] = [0.0, 0.0, 0.0]
    rotations = global_rotations(parents, np.stack(local, axis=1))
    return Motion(
        name=name or str(path),
        joint_names=tuple(names),
        parents=np.asarray(parents, np.int64),
        offsets=np.asarray(offsets, np.float64),
        rotations=rotations,
        rest_rotations=np.broadcast_to(np.eye(3), rotations[:1].shape),
        fps=1 / frame_time,
    )


def _frame_time(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"frame time {text!r}, expected a number of seconds") from None
    if not 0 < seconds < np.inf:
        raise ValueError(f"frame time {seconds}, expected a positive number of seconds")
    return seconds


def _local_rotations(joints: list[Any], values: np.ndarray) -> list[np.ndarray]:
    """(T, 3, 3) of each of bvhio's joints relative to its parent, from the numbers (T, channels) of all."""
    local, column = [], 0
    for joint in joints:
        rotation = [i for i, channel in enumerate(joint.Channels) if channel.lower().endswith("rotation")]
        order = "".join(joint.Channels[i][0] for i in rotation).upper()
        if not set(order) <= set("XYZ"):
            raise ValueError(f"joint {joint.Name} has the channels {' '.join(joint.Channels)}, expected X, Y or Z")
        local.append(euler_to_rotmat(order, values[:, [column + i for i in rotation]]))
        column += len(joint.Channels)
    return local


def _read_hierarchy(text: str) -> Any:
    """bvhio's root joint of a file's upper part; its own reading of frames is many times slower, and particular."""
    try:
        import bvhio
    except ImportError as error:
        raise ImportError(_INSTALL_HINT) from error
    text = re.sub(r"[{}]", r"\n\g<0>\n", text)  # bvhio wants them on lines of their own
    text = _NAME.sub(lambda match: match[1] + "_".join(match[2].split()), text)  # it reads a name up to a blank
    with tempfile.NamedTemporaryFile("w", suffix=".bvh", errors="replace") as plain:
        plain.write(f"{text.strip()}\nMOTION\nFrames: 1\nFrame Time: 1\n")
        plain.flush()
        try:
            return bvhio.readAsBvh(plain.name, loadKeyFrames=False).Root
        except (SyntaxError, IndexError) as error:
            raise ValueError(f"damaged BVH hierarchy: {error.args[0]}") from error


def _flatten(root: Any) -> tuple[list[Any], list[int]]:
    """bvhio's joints in the order of the file, and their parents."""
    joints: list[Any] = []
    parents: list[int] = []
    pending = [(root, -1)]
    while pending:
        joint, parent = pending.pop()
        pending += [(child, len(joints)) for child in reversed(joint.Children)]
        joints.append(joint)
        parents.append(parent)
    return joints, parents


def _frame_values(block: str, num_frames: int, num_channels: int) -> np.ndarray:
    """The numbers after the header as (T, channels)."""
    try:
        values = np.array(block.split(), dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"damaged BVH motion: {error}") from error
    if values.size != num_frames * num_channels or num_frames == 0:
        raise ValueError(
            f"{values.size} motion values, expected {num_frames} frames x {num_channels} channels: truncated file?"
        )
    return values.reshape(num_frames, num_channels)
