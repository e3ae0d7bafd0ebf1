"""Pools from large collections: time and memory against the number of frames, and coverage by mini-batches."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.markdown import table
from sklearn.metrics import pairwise_distances_argmin_min

from mion_plugin.asset_building.pool.clustering import select_poses
from mion_plugin.asset_building.pool.features import pose_features
from mion_plugin.asset_building.pool.smpl_skeleton import smpl_rest_joints
from mion_plugin.asset_building.pool.sources import read_sources
from mion_plugin.body.mirroring import mirror_poses
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.pool import load_default_pool

FPS = 10.0  # what the tool thins to, and so what it keeps whole
CLIP = 600  # frames of a recording: a minute
STEP = 8  # frames from one pose of the package's pool to the next: 0.8 s
NOISE = 0.02  # radians
AMASS_WIDTH = 156  # SMPL+H: 52 joints
# Of a frame, in memory for as long as the pool is built: a float32 pose of 24 joints and a float16 one of 23
POSE_BYTES = 24 * 3 * 4 + 23 * 3 * 2


@dataclass(frozen=True)
class Size:
    """What one collection took.

    Attributes:
        frames: Number of its frames.
        read: Processor seconds of reading its files.
        choose: Processor seconds of choosing poses, by mini-batches.
        memory: Bytes at the peak of choosing, beyond the poses.
        process: Bytes at the peak of the whole process so far.
    """

    frames: int
    read: float
    choose: float
    memory: int
    process: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark; with more poses it takes longer in proportion."""
    parser.add_argument("--frames", type=int, nargs="+", default=[30_000, 100_000, 300_000], help="sizes")
    parser.add_argument("--poses", type=int, default=200, help="poses to choose, mirror images included")
    parser.add_argument("--target-frames", type=int, default=1_500_000, help="size to extrapolate to")
    parser.add_argument("--target-poses", type=int, default=10_000, help="poses to extrapolate to")
    parser.add_argument("--coverage-frames", type=int, default=20_000, help="frames on which both forms are compared")
    parser.add_argument("--coverage-poses", type=int, default=1_000, help="poses that each of them chooses there")
    parser.add_argument("--seed", type=int, default=0, help="seed of the recordings")


def run(args: argparse.Namespace) -> None:
    """Measure the sizes, read on, compare both forms; each table is printed when it is there."""
    sizes = []
    for frames in sorted(args.frames):
        with tempfile.TemporaryDirectory() as folder:
            write_recordings(Path(folder) / "amass", frames, args.seed)
            sizes.append(measure(Path(folder) / "amass", args.poses))
        print(f"measured {frames:,} frames", flush=True)
    print(size_table(sizes, args.poses))
    print(read_on(sizes, args.poses, args.target_frames, args.target_poses))
    print(coverage_table(args.coverage_frames, args.coverage_poses, args.seed))


def recording(frames: int, generator: np.random.Generator) -> np.ndarray:
    """Body poses (frames, 23, 3): from one pose of the package's pool to another, and a little noise."""
    poses = load_default_pool().body_pose
    stations = poses[generator.integers(len(poses), size=frames // STEP + 2)]
    where = np.arange(frames) / STEP
    before, part = where.astype(int), (where % 1)[:, None, None]
    return (1 - part) * stations[before] + part * stations[before + 1] + generator.normal(0, NOISE, (frames, 23, 3))


def write_recordings(folder: Path, frames: int, seed: int) -> None:
    """AMASS's files, SMPL+H: ``poses`` (T, 156) float64 and ``mocap_framerate``, ``CLIP`` frames each."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    for number, start in enumerate(range(0, frames, CLIP)):
        length = min(CLIP, frames - start)
        poses = np.zeros((length, AMASS_WIDTH))
        poses[:, 3:66] = recording(length, generator)[:, :21].reshape(length, -1)
        np.savez(folder / f"{number:06d}_poses.npz", poses=poses, mocap_framerate=FPS, trans=np.zeros((length, 3)))


def measure(folder: Path, poses: int) -> Size:
    """Read a collection and choose poses of it, as ``build_pool`` does."""
    joints = smpl_rest_joints(SMPLBody().arrays)
    start = time.process_time()
    collection = read_sources([folder], joints, fps=FPS, progress=False)
    read = time.process_time() - start
    body_pose = np.concatenate([sequence.poses[:, 1:].astype(np.float16) for sequence in collection.sequences])
    tracemalloc.start()
    start = time.process_time()
    select_poses(body_pose, poses, joints, full_kmeans_limit=0)
    choose = time.process_time() - start
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    process = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Linux tells KiB
    return Size(len(body_pose), read, choose, memory, process)


def size_table(sizes: Sequence[Size], poses: int) -> str:
    """What each collection took."""
    heading = ["frames", "reading", "choosing", "memory beyond the poses", "of the whole process"]
    rows = [
        [
            f"{one.frames:,}",
            f"{one.read:,.1f} s",
            f"{one.choose:,.1f} s",
            f"{one.memory / 2**20:,.1f} MiB",
            f"{one.process / 2**20:,.0f} MiB",
        ]
        for one in sizes
    ]
    return f"\n{poses:,} poses by mini-batches, processor time\n\n{table(heading, rows)}"


def read_on(sizes: Sequence[Size], poses: int, frames: int, target_poses: int) -> str:
    """A straight line through the last two sizes, read further on."""
    if len(sizes) < 2:
        return ""
    first, last = sizes[-2:]
    step, more = last.frames - first.frames, frames - last.frames
    minutes = (last.read + last.choose + more * (last.read + last.choose - first.read - first.choose) / step) / 60
    memory = last.memory + more * (last.memory - first.memory) / step
    return (
        f"\nRead on to {frames:,} frames, not measured: {minutes:,.0f} minutes for {poses:,} poses, at most "
        f"{target_poses / poses:g} times that for {target_poses:,}; {memory / 2**20:,.0f} MiB beyond the poses, which "
        f"are {frames * POSE_BYTES / 2**20:,.0f} MiB.\n"
    )


def coverage_table(frames: int, poses: int, seed: int) -> str:
    """How far frames are from the nearest pose of the full k-means' choice, and of the mini-batches'."""
    generator = np.random.default_rng(seed)
    parts = [recording(min(CLIP, frames - start), generator) for start in range(0, frames, CLIP)]
    body_pose = np.concatenate(parts).astype(np.float16)
    joints = smpl_rest_joints(SMPLBody().arrays)
    rows, full = [], None
    for name, limit in (("full", sys.maxsize), ("mini-batches", 0)):
        start = time.process_time()
        chosen = select_poses(body_pose, poses, joints, full_kmeans_limit=limit).body_pose
        seconds = time.process_time() - start
        distance = coverage(body_pose, chosen, joints)
        full = full or distance
        rows.append([name, f"{1000 * distance:.2f} mm", f"{100 * (distance / full - 1):+.1f} %", f"{seconds:,.1f} s"])
    heading = ["k-means", "mean distance to the nearest pose", "against the full one", "processor"]
    return f"\n{frames:,} frames, {poses:,} poses of them\n\n{table(heading, rows)}"


def coverage(body_pose: np.ndarray, chosen: np.ndarray, joints: np.ndarray) -> float:
    """Mean distance, metres as in ``pose_features``, of frames to the nearest of the poses ``chosen``."""
    both = pose_features(np.concatenate([chosen, mirror_poses(chosen)]), joints)
    return float(pairwise_distances_argmin_min(pose_features(body_pose, joints), both)[1].mean())
