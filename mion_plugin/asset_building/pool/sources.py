"""Reading a collection of motion capture: finding files, recognising formats, reporting what could not be read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from mion_plugin.asset_building.pool.asf_amc import read_asf_amc
from mion_plugin.asset_building.pool.bvh import read_bvh
from mion_plugin.asset_building.pool.derived_rest_pose import derive_rest_pose
from mion_plugin.asset_building.pool.motion import Motion, PoseSequence
from mion_plugin.asset_building.pool.plausibility import plausible_frames
from mion_plugin.asset_building.pool.poselib_npy import read_poselib_npy
from mion_plugin.asset_building.pool.rest_pose import find_rest_pose
from mion_plugin.asset_building.pool.retarget import retarget
from mion_plugin.asset_building.pool.skeleton_npz import read_skeleton_npz
from mion_plugin.asset_building.pool.skeletons import map_body
from mion_plugin.asset_building.pool.smpl_arrays import read_smpl_array
from mion_plugin.files.npz import npz_names
from mion_plugin.progress import ProgressLine

Reader = Callable[[Path, str], "Motion | PoseSequence"]
_SKELETON_SUFFIX = ".asf"  # read together with the .amc files beside it
_SUFFIXES = (".amc", ".bvh", ".npy", ".npz", _SKELETON_SUFFIX)


@dataclass(frozen=True)
class Collection:
    """What a set of sources held.

    Attributes:
        sequences: SMPL poses of every recording that could be read, in the order of the files.
        skipped: Name of each file that could not be read -> why.
        ignored: Suffix -> number of files that are no motion capture by their name.
        implausible: Name of a file -> number of its frames left out, see ``plausible_frames``.
    """

    sequences: tuple[PoseSequence, ...]
    skipped: dict[str, str]
    ignored: dict[str, int]
    implausible: dict[str, int]


def read_sources(
    sources: Sequence[str | os.PathLike[str]],
    smpl_joints: np.ndarray,
    *,
    fps: float = 10.0,
    progress: bool = True,
) -> Collection:
    """Read all motion capture in folders and files, as SMPL poses.

    Formats: AMASS ``.npz``, SMPL pose arrays ``.npy``/``.npz``, BVH, ASF/AMC, skeletal animation ``.npz``, poselib
    ``.npy``. A file that cannot be read is reported, not fatal. A recording is named by its path from the source's
    folder on, that folder's name included. Skeletons without a rest pose get one from all their recordings together.

    Args:
        sources: Folders, searched with all below them, and files.
        smpl_joints: (24, 3) rest joints of the body model.
        fps: Faster recordings are thinned to about this many frames a second.
        progress: Say on stderr how far it is.

    Raises:
        FileNotFoundError: A source does not exist.
        ValueError: ``fps`` is not positive.
    """
    if not fps > 0:
        raise ValueError(f"fps is {fps}, expected a positive number")
    files, ignored = find_files(sources)
    sequences: dict[str, PoseSequence] = {}
    unaligned: dict[bytes, list[Motion]] = {}
    skipped: dict[str, str] = {}
    for path, name in _with_progress(files, progress):
        try:
            recording = _read(path, name).at_fps(fps)
            if isinstance(recording, PoseSequence):
                sequences[name] = recording
            else:
                rest = find_rest_pose(recording, map_body(recording.joint_names, recording.parents))
                if rest is None:
                    unaligned.setdefault(_skeleton_key(recording), []).append(recording)
                else:
                    sequences[name] = retarget(recording, rest, smpl_joints)
        except Exception as error:  # damaged files fail in as many ways as there are libraries to read them
            skipped[name] = " ".join(str(error).split()) or type(error).__name__
    for motions in unaligned.values():
        try:
            rest = derive_rest_pose(motions, smpl_joints)
            sequences |= {motion.name: retarget(motion, rest, smpl_joints) for motion in motions}
        except ValueError as error:  # bones without length give no directions
            skipped |= {motion.name: f"its joint frames cannot be told from its motion: {error}" for motion in motions}
    in_order = (sequences.pop(name) for _, name in files if name in sequences)  # each is held once
    return _only_plausible(in_order, skipped, ignored)


def _with_progress(files: list[tuple[Path, str]], progress: bool) -> Iterator[tuple[Path, str]]:
    """The files, which say on stderr how far it is when wanted."""
    with ProgressLine() as tell:
        for done, file in enumerate(files, start=1):
            yield file
            if progress:
                tell(done, len(files))


def _only_plausible(sequences: Iterable[PoseSequence], skipped: dict[str, str], ignored: dict[str, int]) -> Collection:
    """The collection of the frames that a body can take."""
    kept, implausible = [], {}
    for sequence in sequences:
        plausible = plausible_frames(sequence.poses)
        if not plausible.all():
            implausible[sequence.name] = int((~plausible).sum())
        if plausible.any():
            kept.append(replace(sequence, poses=sequence.poses[plausible]))
        else:
            skipped[sequence.name] = "every frame has joints turned further than a body can turn them"
    return Collection(tuple(kept), skipped, ignored, implausible)


def find_files(sources: Sequence[str | os.PathLike[str]]) -> tuple[list[tuple[Path, str]], dict[str, int]]:
    """Motion capture files with their names, each once and sorted within a source; and how many others by suffix.

    Raises:
        FileNotFoundError: A source does not exist.
    """
    found: dict[Path, str] = {}
    names: set[str] = set()
    ignored: Counter[str] = Counter()
    for source in map(Path, sources):
        if not source.exists():
            raise FileNotFoundError(f"source {source} does not exist")
        if not (source.is_file() or source.is_dir()):  # a pipe would be waited for
            raise ValueError(f"source {source} is neither a file nor a folder")
        top = source.resolve().parent
        for path in _files_below(source.resolve()):
            if path in found:
                continue
            # a file that was named itself is always tried
            if path.suffix.lower() in _SUFFIXES or path == source.resolve():
                found[path] = _unused(path.relative_to(top).as_posix(), names)
                names.add(found[path])
            else:
                ignored[path.suffix.lower() or path.name] += 1
    used_skeletons = {path.parent for path in found if path.suffix.lower() == ".amc"}
    files = [
        (path, name)
        for path, name in found.items()
        if path.suffix.lower() != _SKELETON_SUFFIX or path.parent not in used_skeletons
    ]
    return files, dict(ignored)


def _unused(name: str, names: Container[str]) -> str:
    """The name, numbered when another source has one like it."""
    candidates = (name if number == 1 else f"{name} ({number})" for number in count(1))
    return next(candidate for candidate in candidates if candidate not in names)


def _files_below(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield from sorted(path for path in source.rglob("*") if path.is_file())
    else:
        yield source


def _read(path: Path, name: str) -> Motion | PoseSequence:
    """Read a file in whatever format it is.

    Raises:
        ValueError: No known format.
    """
    suffix = path.suffix.lower()
    if suffix == ".bvh":
        return read_bvh(path, name)
    if suffix == ".amc":
        return read_asf_amc(path, name)
    if suffix == ".npz":
        return _npz_reader(path)(path, name)
    if suffix == ".npy":
        return _npy_reader(path)(path, name)
    if suffix == _SKELETON_SUFFIX:
        raise ValueError("a skeleton without any .amc file beside it")
    raise ValueError(f"unknown kind of file, expected one of {', '.join(_SUFFIXES)}")


def _npz_reader(path: Path) -> Reader:
    """The reader for an ``.npz``, by its keys."""
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            raise ValueError("not an .npz file")
    is_skeleton = {"rot_deg", "parents"} <= set(npz_names(path, "file of poses"))
    return read_skeleton_npz if is_skeleton else read_smpl_array


def _npy_reader(path: Path) -> Reader:
    """The reader for an ``.npy``: pickled objects are poselib's, numbers are poses."""
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError("not an .npy file")
        header = file.read(250)
    return read_poselib_npy if b"'descr': '|O'" in header else read_smpl_array


def _skeleton_key(motion: Motion) -> bytes:
    """Equal for recordings of one skeleton."""
    return "\n".join(motion.joint_names).encode() + motion.offsets.round(3).tobytes()
