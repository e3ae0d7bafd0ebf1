"""Pools from large collections: time and memory against the number of frames, and coverage by mini-batches."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.markdown import table
from sklearn.metrics import pairwise_distances_argmin_min

from mion_plugin.asset_building.pool.clustering import FULL_KMEANS_FRAMES, FULL_KMEANS_LIMIT, select_poses
from mion_plugin.asset_building.pool.features import pose_features
from mion_plugin.asset_building.pool.smpl_skeleton import mirror_poses, smpl_rest_joints
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.pool import load_default_pool

BUILD = Path(__file__).parents[1] / "build_candidate_pool.py"
FPS = 10.0  # what the tool thins to, and so what it keeps whole
CLIP = 600  # frames of a recording: a minute
STEP = 8  # frames from one pose of the package's pool to the next: 0.8 s
NOISE = 0.02  # radians
AMASS_WIDTH = 156  # SMPL+H: 52 joints
# Of a frame, in memory for as long as the pool is built: a float32 pose of 24 joints and a float16 one of 23
POSE_BYTES = 24 * 3 * 4 + 23 * 3 * 2


@dataclass(frozen=True)
class Build:
    """What building one pool took: processor seconds of the whole process, seconds by the clock, bytes at the peak."""

    frames: int
    processor: float
    clock: float
    peak: int

    @property
    def beyond_poses(self) -> int:
        """Bytes at the peak that are not the poses of the collection."""
        return self.peak - self.frames * POSE_BYTES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--frames", type=int, nargs="+", default=[30_000, 100_000, 300_000], help="sizes, ascending")
    parser.add_argument("--poses", type=int, default=2_000, help="poses of the pools, mirror images included")
    parser.add_argument("--target-frames", type=int, default=1_500_000, help="size to extrapolate to")
    parser.add_argument("--target-poses", type=int, default=10_000, help="poses to extrapolate to")
    parser.add_argument("--coverage-frames", type=int, default=20_000, help="frames on which both forms are compared")
    parser.add_argument("--coverage-poses", type=int, default=1_000, help="poses that each of them chooses there")
    parser.add_argument("--seed", type=int, default=0, help="seed of the recordings")


def run(args: argparse.Namespace) -> None:
    """Compare both forms, build the pools, extrapolate; each table is printed when it is there."""
    print(coverage_table(args.coverage_frames, args.coverage_poses, args.seed), flush=True)
    builds = []
    for frames in args.frames:
        with tempfile.TemporaryDirectory() as folder:
            write_recordings(Path(folder) / "amass", frames, args.seed)
            builds.append(build(Path(folder), frames, args.poses))
        print(build_table(builds[-1:], args.poses), flush=True)
    print(build_table(builds, args.poses))
    print(extrapolation(builds, args.poses, args.target_frames, args.target_poses))


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


def build(folder: Path, frames: int, poses: int) -> Build:
    """Run the tool as a user does, in a process of its own.

    Raises:
        subprocess.CalledProcessError: It failed; its output tells why.
    """
    command = [sys.executable, str(BUILD), "--source", str(folder / "amass"), "--out", str(folder / "pool.npz")]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--num-poses", str(poses)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()  # ends when the process does
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=errors)
    clock = time.perf_counter() - start
    return Build(frames, usage.ru_utime + usage.ru_stime, clock, usage.ru_maxrss * 1024)  # Linux tells KiB


def build_table(builds: Sequence[Build], poses: int) -> str:
    """What each pool took."""
    heading = ["frames", "k-means", "processor", "clock", "peak memory", "without the poses"]
    rows = [
        [
            f"{one.frames:,}",
            "full" if one.frames <= min(FULL_KMEANS_FRAMES, FULL_KMEANS_LIMIT // (poses // 2)) else "mini-batches",
            f"{one.processor:,.0f} s",
            f"{one.clock:,.0f} s",
            f"{one.peak / 2**20:,.0f} MiB",
            f"{one.beyond_poses / 2**20:,.0f} MiB",
        ]
        for one in builds
    ]
    return f"\nPools of {poses:,} poses\n\n{table(heading, rows)}"


def extrapolation(builds: Sequence[Build], poses: int, frames: int, target_poses: int) -> str:
    """A straight line through the last two sizes, read further on: time with the poses' share, memory per frame."""
    if len(builds) < 2:
        return ""
    first, last = builds[-2:]
    per_frame = (last.processor - first.processor) / (last.frames - first.frames)
    seconds = last.processor + per_frame * (frames - last.frames)
    memory = last.beyond_poses + frames * POSE_BYTES
    return (
        f"\nRead on to {frames:,} frames, not measured: {seconds / 60:,.0f} minutes of processor time for {poses:,} "
        f"poses ({1e6 * per_frame:,.0f} us a frame), at most {target_poses / poses:g} times that for {target_poses:,}; "
        f"{memory / 2**30:.1f} GiB, of which {frames * POSE_BYTES / 2**30:.1f} GiB are the poses."
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
