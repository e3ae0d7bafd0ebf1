"""A candidate pool from motion capture: reading, choosing poses and orientations, computing keypoints."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mion_plugin.asset_building.pool.clustering import select_poses
from mion_plugin.asset_building.pool.orientations import cluster_orientations, cover_orientations, load_orientations
from mion_plugin.asset_building.pool.smpl_skeleton import smpl_rest_joints
from mion_plugin.asset_building.pool.sources import Collection, read_sources
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.pool import CandidatePool, make_pool


@dataclass(frozen=True)
class PoolRecipe:
    """What a pool is built from and how.

    Attributes:
        sources: Folders and files of motion capture.
        num_poses: How many body poses at most, mirror images included.
        num_orientations: How many global orientations (at most, when clustered).
        orientations: File of a data set's global orientations in the camera frame; None for the fixed cover.
        seed: Seed of the clusterings.
        mirror: Close poses and clustered orientations under left-right mirroring.
        fps: Recordings are thinned to about this many frames a second.
    """

    sources: Sequence[str | os.PathLike[str]]
    num_poses: int = 10000
    num_orientations: int = 30
    orientations: str | os.PathLike[str] | None = None
    seed: int = 0
    mirror: bool = True
    fps: float = 10.0

    def __post_init__(self) -> None:
        """Check the numbers, before minutes of reading; raises ValueError naming the value."""
        least = 2 if self.mirror else 1  # a pose and its mirror image
        if self.num_poses < least:
            raise ValueError(f"num_poses is {self.num_poses}, expected at least {least}")
        if self.num_orientations < 1:
            raise ValueError(f"num_orientations is {self.num_orientations}, expected at least 1")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is {self.seed}, expected 0 to 2^32 - 1")
        if not 0 < self.fps < float("inf"):
            raise ValueError(f"fps is {self.fps}, expected a positive number")


def build_pool(
    recipe: PoolRecipe, body: SMPLBody | None = None, *, note: str = "", progress: bool = True
) -> tuple[CandidatePool, Collection]:
    """Build a candidate pool.

    The pool is a product of poses and orientations, so a pose carries none of its own: the whole of the source's global
    orientation is left out, not only the heading. A person who lies, leans or hangs in the recording is there as a body
    pose, and the orientations supply the lying, leaning and hanging.

    Args:
        recipe: What to build.
        body: Body model; None for the free stand-in.
        note: Kept in the metadata, for an acknowledgement of the data.
        progress: Show a progress bar on stderr.

    Returns:
        The pool, and what was read and skipped for it. The pool's ``clip_index`` and ``metadata['clips']`` tell
        which recording each pose is from.

    Raises:
        FileNotFoundError: A source or the orientations file does not exist.
        ValueError: No source file could be read, or the orientations file is unreadable.
    """
    global_orient = _orientations(recipe)
    body = body or SMPLBody()
    smpl_joints = smpl_rest_joints(body.arrays)
    collection = read_sources(recipe.sources, smpl_joints, fps=recipe.fps, progress=progress)
    if not collection.sequences:
        raise ValueError(_nothing_read(recipe, collection))
    selection = select_poses(
        _half_precision(collection), recipe.num_poses, smpl_joints, seed=recipe.seed, mirror=recipe.mirror
    )
    clip_of_frame = np.repeat(np.arange(len(collection.sequences)), [len(s) for s in collection.sequences])
    pool = make_pool(
        selection.body_pose,
        global_orient,
        body=body,
        clip_index=clip_of_frame[selection.frame],
        metadata=_metadata(recipe, collection, note),
    )
    return pool, collection


def _orientations(recipe: PoolRecipe) -> np.ndarray:
    if recipe.orientations is None:
        return cover_orientations(recipe.num_orientations)
    global_orient = load_orientations(recipe.orientations)
    return cluster_orientations(global_orient, recipe.num_orientations, seed=recipe.seed, mirror=recipe.mirror)


def _half_precision(collection: Collection) -> np.ndarray:
    """Body poses (N, 23, 3) of all recordings as the pool file will hold them: mirror images that are equal here are
    equal there."""
    return np.concatenate([sequence.poses[:, 1:].astype(np.float16) for sequence in collection.sequences])


def _metadata(recipe: PoolRecipe, collection: Collection, note: str) -> dict[str, object]:
    """Where a pool came from; recordings by their names, without absolute paths."""
    clips = [sequence.name for sequence in collection.sequences]
    frames, files = Counter[str](), Counter[str]()
    for sequence in collection.sequences:
        folder = sequence.name.rpartition("/")[0]
        frames[folder] += len(sequence)
        files[folder] += 1
    return {
        "sources": {folder: {"files": files[folder], "frames": frames[folder]} for folder in sorted(frames)},
        "clips": clips,
        "clip_frames": [len(sequence) for sequence in collection.sequences],
        "skipped": collection.skipped,
        "implausible_frames": collection.implausible,
        "command": _command(recipe),
        "note": note,
    }


def _command(recipe: PoolRecipe) -> str:
    """The command line that repeats the recipe, with the last part of each path."""
    words = ["tools/build_candidate_pool.py", "--source", *(Path(source).name for source in recipe.sources)]
    words += ["--num-poses", str(recipe.num_poses), "--num-orientations", str(recipe.num_orientations)]
    if recipe.orientations is not None:
        words += ["--orientations", Path(recipe.orientations).name]
    words += ["--seed", str(recipe.seed), "--fps", f"{recipe.fps:g}"]
    return shlex.join(words + ([] if recipe.mirror else ["--no-mirror"]))


def _nothing_read(recipe: PoolRecipe, collection: Collection) -> str:
    if not collection.skipped:
        return f"no motion capture found in {', '.join(map(str, recipe.sources))}"
    name, reason = next(iter(collection.skipped.items()))
    return f"none of the {len(collection.skipped)} files could be read; the first, {name}: {reason}"
