"""Candidate selection: the selector against exhaustive forms of the same fit, and on ordinary people."""

from __future__ import annotations

import argparse
import ctypes
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import roma
import torch
from benchmarks.measuring import median_times
from benchmarks.ordinary_people import CENTRE, CONFIDENCES, PEOPLE, ordinary_keypoints
from rich.console import Console
from rich.table import Table

from mion_plugin.candidates import CandidatePool, Candidates, CandidateSelector, fit_translation
from mion_plugin.candidates.pool import load_default_pool
from mion_plugin.geometry.camera import FOCAL_LENGTH, project

EXHAUSTIVE_CHUNK = 30_000  # candidates fitted at once by the exhaustive forms: bounds their memory
LSTSQ_SAMPLE = 3_000  # candidates that lstsq is timed on; its time is proportional to their number
FIT_LOSSES = (500.0, 1000.0, 2000.0, 4000.0, 8000.0)  # thresholds by which more and more candidates are compatible


@dataclass(frozen=True)
class Measurement:
    """Seconds per image and the peak of working memory in bytes."""

    seconds: float
    memory: float
    note: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--poses", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="poses of the pools")
    parser.add_argument("--batch", type=int, default=32, help="images at once")
    parser.add_argument("--repeats", type=int, default=5, help="runs of the selector; the median counts")
    parser.add_argument("--device", default="cpu", help="where torch runs")


def run(args: argparse.Namespace) -> None:
    """Measure ordinary people, then all forms on all pools, and print the tables."""
    measure_people(args)
    compare_forms(args)


def measure_people(args: argparse.Namespace) -> None:
    """Ordinary people with the package's pool: of each kind, and standing ones under several thresholds."""
    device = torch.device(args.device)
    selector = CandidateSelector().to(device)

    def cells(keypoints2d: torch.Tensor, max_fit_loss: float = 2000.0) -> list[str]:
        selector.max_fit_loss = max_fit_loss
        queries = keypoints2d.to(device)
        compatible = selector(queries).num_compatible
        wall, processor = median_times(lambda: (selector(queries), synchronize(device)), args.repeats) / len(queries)
        count = f"{int(compatible.median()):,} ({int(compatible.min()):,} to {int(compatible.max()):,})"
        return [count, f"{wall:,.2f} ms", f"{processor:,.2f} ms"]

    measured = ("compatible, median (range)", "time", "of processors")
    where = f"batch {args.batch}, {args.device}, {torch.get_num_threads()} threads, per image"
    people = Table("people", "confidence", *measured, title=f"{selector.scorer.num_candidates:,} candidates, {where}")
    for kind in PEOPLE:
        for confidence in CONFIDENCES:
            people.add_row(kind, confidence, *cells(ordinary_keypoints(kind, confidence, args.batch)))
    growth = Table("max_fit_loss", *measured, title=f"Standing people, confidences 0 to 1, {where}")
    standing = ordinary_keypoints("upright", "0 to 1", args.batch)
    for max_fit_loss in FIT_LOSSES:
        growth.add_row(f"{max_fit_loss:,.0f}", *cells(standing, max_fit_loss))
    Console(width=110).print(people, growth)


def compare_forms(args: argparse.Namespace) -> None:
    """All forms on all pools, in one table."""
    default = load_default_pool()
    num_orientations = len(default.global_orient)
    table = Table(title=f"Stage 1, batch {args.batch}, {args.device}, {torch.get_num_threads()} threads, per image")
    for column in ("candidates", "form", "time", "ratio to the selector", "peak memory"):
        table.add_column(column, justify="left" if column == "form" else "right")
    for num_poses in args.poses:
        pool = resize_pool(default, num_poses)
        keypoints2d = make_queries(pool, args.batch)
        results = measure_pool(pool, keypoints2d, args)
        ours = next(iter(results.values())).seconds
        for form, result in results.items():
            table.add_row(
                f"{num_poses * num_orientations:,}",
                form + result.note,
                f"{result.seconds * 1e3:,.2f} ms",
                f"{result.seconds / ours:,.1f}",
                f"{result.memory / 2**20:,.0f} MiB" if result.memory == result.memory else "-",
            )
        table.add_section()
    Console(width=110).print(table)


def measure_pool(pool: CandidatePool, keypoints2d: torch.Tensor, args: argparse.Namespace) -> dict[str, Measurement]:
    """All forms on one pool; the selector comes first."""
    device = torch.device(args.device)
    selector = CandidateSelector(pool).to(device)
    queries = keypoints2d.to(device)
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(pool.global_orient)).to(device)
    points = torch.from_numpy(pool.keypoints3d).to(device)
    chosen = selector(queries)
    print(
        f"{len(pool):,} candidates: compatible per image: median {int(chosen.num_compatible.median())}, "
        f"{int(chosen.num_compatible.min())} to {int(chosen.num_compatible.max())}"
    )
    results = {
        "selector (exact, diverse)": measure(lambda: selector(queries), len(queries), args.repeats, device),
        "exhaustive closed form, torch": measure(
            lambda: exhaustive_losses(points, rotations, queries[:1]), 1, 2, device
        ),
        "exhaustive closed form, numpy": measure(
            lambda: exhaustive_losses_numpy(pool.keypoints3d, rotations.cpu().numpy(), keypoints2d[0].numpy()),
            1,
            2,
            device,
        ),
    }
    sample = min(LSTSQ_SAMPLE, len(pool))
    joints = (points[: -(-sample // len(rotations)), None] @ rotations.mT).flatten(0, 1)[:sample]
    lstsq = measure(lambda: lstsq_losses(joints, queries[0]), 1, 2, device)
    note = f" (timed on {sample:,})"
    results["batched torch.linalg.lstsq"] = replace(lstsq, seconds=lstsq.seconds * len(pool) / sample, note=note)
    check_agreement(chosen, exhaustive_losses(points, rotations, queries[:1]))
    return results


def check_agreement(chosen: Candidates, losses: torch.Tensor) -> None:
    """Say whether the selector's first choice for the first image is the exhaustive form's (in single precision)."""
    best = float(losses.min())
    ours = float(chosen.fit_loss[0, 0])
    print(f"lowest loss of the first image: selector {ours:.3f}, exhaustive {best:.3f}")


def exhaustive_losses(points: torch.Tensor, rotations: torch.Tensor, keypoints2d: torch.Tensor) -> torch.Tensor:
    """Fit loss (P * O,) of every candidate for one image, in single precision."""
    losses = []
    for part in points.split(EXHAUSTIVE_CHUNK // len(rotations)):
        joints = (part[:, None] @ rotations.mT).flatten(0, 1)
        losses.append(fit_translation(joints, keypoints2d[0], FOCAL_LENGTH, CENTRE)[1])
    return torch.cat(losses)


def exhaustive_losses_numpy(points: np.ndarray, rotations: np.ndarray, keypoints2d: np.ndarray) -> np.ndarray:
    """The same in numpy: one normal matrix per image, translations as a matrix product, full reprojection."""
    focal, weight = np.float32(FOCAL_LENGTH), keypoints2d[:, 2].astype(np.float32)
    u, v = (keypoints2d[:, :2] - CENTRE).T.astype(np.float32)
    zero = np.zeros_like(u)
    rows = np.concatenate([np.stack([zero + focal, zero, -u], 1), np.stack([zero, zero + focal, -v], 1)])
    solve = np.linalg.inv(rows.T @ (rows * np.tile(weight, 2)[:, None])) @ (rows * np.tile(weight, 2)[:, None]).T
    losses = []
    for start in range(0, len(points), EXHAUSTIVE_CHUNK // len(rotations)):
        part = points[start : start + EXHAUSTIVE_CHUNK // len(rotations)]
        x, y, z = np.moveaxis(part[:, None] @ np.swapaxes(rotations, 1, 2), -1, 0).reshape(3, -1, len(u))
        transl = np.concatenate([u * z - focal * x, v * z - focal * y], 1) @ solve.T
        depth = z + transl[:, 2:]
        error = (focal * (x + transl[:, :1]) / depth - u) ** 2 + (focal * (y + transl[:, 1:2]) / depth - v) ** 2
        losses.append(np.where((depth > 0).all(1), error @ weight, np.inf))
    return np.concatenate(losses)


def lstsq_losses(joints: torch.Tensor, keypoints2d: torch.Tensor) -> torch.Tensor:
    """Fit loss of the given candidates by ``torch.linalg.lstsq`` on each one's 2K x 3 system."""
    x, y, z = joints.unbind(-1)
    u, v = (keypoints2d[:, :2] - keypoints2d.new_tensor(CENTRE)).T
    zero = torch.zeros_like(u)
    rows = torch.cat([torch.stack([zero + FOCAL_LENGTH, zero, -u], 1), torch.stack([zero, zero + FOCAL_LENGTH, -v], 1)])
    values = torch.cat([u * z - FOCAL_LENGTH * x, v * z - FOCAL_LENGTH * y], dim=1)
    root = keypoints2d[:, 2].sqrt().repeat(2)
    systems = (rows * root[:, None]).expand(len(joints), -1, -1)
    transl = torch.linalg.lstsq(systems, (values * root)[..., None]).solution[..., 0]
    error = project(joints + transl[:, None], FOCAL_LENGTH, CENTRE) - keypoints2d[:, :2]
    return (error.square().sum(-1) * keypoints2d[:, 2]).sum(-1)


def resize_pool(pool: CandidatePool, num_poses: int, seed: int = 0) -> CandidatePool:
    """A pool of any number of poses: drawn from ``pool``, each repetition blurred by 2 cm, so that all differ."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.resize(np.arange(len(pool.body_pose)), num_poses))
    blur = rng.normal(scale=0.02, size=(num_poses, *pool.keypoints3d.shape[1:])).astype(np.float32)
    keypoints3d = pool.keypoints3d[chosen] + blur
    return replace(pool, body_pose=pool.body_pose[chosen], keypoints3d=keypoints3d, clip_index=None)


def make_queries(pool: CandidatePool, batch: int, seed: int = 1) -> torch.Tensor:
    """(B, 17, 3) keypoints of random bodies of the pool at 45 m, blurred by 4 px, confidences 0.3 to 1."""
    generator = torch.Generator().manual_seed(seed)
    pose = torch.randint(len(pool.body_pose), (batch,), generator=generator)
    orientation = torch.randint(len(pool.global_orient), (batch,), generator=generator)
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(pool.global_orient))[orientation]
    joints = torch.from_numpy(pool.keypoints3d)[pose] @ rotations.mT + torch.tensor([0.0, 0.0, 45.0])
    pixels = project(joints, FOCAL_LENGTH, CENTRE)
    pixels = pixels + 4.0 * torch.randn(pixels.shape, generator=generator)
    confidence = 0.3 + 0.7 * torch.rand((*pixels.shape[:2], 1), generator=generator)
    return torch.cat([pixels, confidence], dim=-1)


def measure(call: Callable[[], object], num_images: int, repeats: int, device: torch.device) -> Measurement:
    """Median seconds per image after a warm-up, and the memory that the calls take beyond what is held before them."""
    before = reset_peak_memory(device)
    call()
    seconds = []
    for _ in range(repeats):
        synchronize(device)
        start = time.perf_counter()
        call()
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return Measurement(statistics.median(seconds) / num_images, peak_memory(device) - before)


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak_memory(device: torch.device) -> float:
    """Start a new peak; returns the bytes held now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what earlier calls freed would hide what this one takes
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak of resident memory starts anew
    except OSError:
        return float("nan")
    return peak_memory(device)


def peak_memory(device: torch.device) -> float:
    """Peak bytes since ``reset_peak_memory``; NaN where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return next(float(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    raise SystemExit("run it as: python tools/benchmark.py selection")
