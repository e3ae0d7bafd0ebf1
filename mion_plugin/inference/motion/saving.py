"""One motion into files of several formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from mion_plugin.body import SMPLBody
from mion_plugin.constants import MOTION_FORMATS
from mion_plugin.files import remove_leftovers
from mion_plugin.inference.motion.amass import write_amass
from mion_plugin.inference.motion.bvh import write_bvh
from mion_plugin.inference.motion.gltf import write_gltf
from mion_plugin.inference.motion.joint_angles import write_angles
from mion_plugin.inference.motion.recording import BodyMotion, RestShape

_WRITERS: dict[str, Callable[[Path, BodyMotion, RestShape], None]] = {
    "npz": write_amass,
    "bvh": write_bvh,
    "glb": write_gltf,
    "csv": write_angles,
}


def save_motion(motion: BodyMotion, stem: Path, formats: Iterable[str], body: SMPLBody) -> list[Path]:
    """Write a motion.

    Args:
        motion: Of one person.
        stem: Path without ending.
        formats: Of ``MOTION_FORMATS``: ``npz`` (AMASS), ``bvh``, ``glb`` (animated glTF), ``csv`` (joint angles).
        body: The body model.

    Returns:
        The files written.

    Raises:
        ValueError: Another format.
        ImportError: ``glb`` without pygltflib.
    """
    formats = list(formats)
    for ending in formats:
        if ending not in _WRITERS:
            raise ValueError(f"motion format {ending!r}, expected one of {', '.join(MOTION_FORMATS)}")
    shape = RestShape.of(body, motion.betas)
    files = [stem.with_name(f"{stem.name}.{ending}") for ending in formats]
    for ending, file in zip(formats, files, strict=True):
        remove_leftovers(file)  # of killed runs
        _WRITERS[ending](file, motion, shape)
    return files
