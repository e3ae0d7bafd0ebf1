"""Speed of the rasteriser's backends: PNCC images of posed bodies, colours included, against pytorch3d."""

from __future__ import annotations

import argparse
import importlib.util
import math
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.rendering.interpolation import interpolate
from mion_plugin.rendering.pncc import normalized_coordinate_code
from mion_plugin.rendering.rasterizer import Fragments, rasterize

REFERENCE = "pytorch3d"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--sizes", type=int, nargs="+", default=[56, 224], help="pixels of the square images")
    parser.add_argument("--batch", type=int, default=32, help="bodies drawn at once")
    parser.add_argument("--reference-images", type=int, default=2, help=f"bodies drawn with {REFERENCE}, which is slow")
    parser.add_argument("--repeats", type=int, default=15, help="timed calls of each backend")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--model-path", default=None, help="SMPL file or folder; default: the free stand-in")


def run(args: argparse.Namespace) -> None:
    """Print one row per image size and backend."""
    body = SMPLBody(args.model_path).to(args.device)
    vertices = _posed_bodies(body, args.batch)
    threads = torch.get_num_threads()
    table = Table(
        title=f"{len(body.faces)} faces, {args.device}, {threads} threads, ms per image",
        caption=f"Batches of {args.batch}; {REFERENCE} in batches of {args.reference_images}, once after a warm-up of "
        "one image. 'Same' is the share of pixels covered by either that show the same face.",
    )
    for heading in ("size", "backend", "median ms", "best ms", f"{REFERENCE} / median", f"same as {REFERENCE}"):
        table.add_column(heading, justify="left" if heading == "backend" else "right")
    for size in args.sizes:
        for row in _measure_size(body, vertices, size, args):
            table.add_row(str(size), *row)
    Console().print(table)


def _posed_bodies(body: SMPLBody, batch: int) -> Tensor:
    """(B, V, 3): bodies upright in the crop, joints turned at random, filling most of it."""
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(batch, 24, 3, generator=generator) * 0.25
    pose[:, 0] = torch.tensor([math.pi, 0.0, 0.0])  # from SMPL's y up to the camera's y down
    transl = torch.tensor([0.0, -0.2, 44.0]) + torch.rand(batch, 3, generator=generator) * torch.tensor([0.2, 0.2, 8])
    device = body.v_template.device
    return body(pose.to(device), transl=transl.to(device)).vertices


def _measure_size(body: SMPLBody, vertices: Tensor, size: int, args: argparse.Namespace) -> list[tuple[str, ...]]:
    few = vertices[: args.reference_images]
    reference: Fragments | None = None
    reference_ms = math.nan
    if importlib.util.find_spec(REFERENCE):
        _render(body, vertices[:1], size, REFERENCE)
        reference_ms = _times(lambda: _render(body, few, size, REFERENCE), 1, args.device)[0] / len(few)
        reference = _render(body, few, size, REFERENCE)[0]
    rows = []
    for backend in ("torch", "numba"):
        if backend == "numba" and (args.device != "cpu" or not importlib.util.find_spec("numba")):
            rows.append((backend, "not available", "", "", ""))
            continue
        times = _times(lambda backend=backend: _render(body, vertices, size, backend), args.repeats, args.device)
        median, best = statistics.median(times) / len(vertices), min(times) / len(vertices)
        same = _agreement(_render(body, few, size, backend)[0], reference) if reference else math.nan
        rows.append((backend, f"{median:.3f}", f"{best:.3f}", f"{reference_ms / median:.0f} x", f"{same:.4%}"))
    if reference is None:
        return [*rows, (REFERENCE, "not installed", "", "", "")]
    return [*rows, (REFERENCE, f"{reference_ms:.1f}", f"{reference_ms:.1f}", "1 x", "")]


def _render(body: SMPLBody, vertices: Tensor, size: int, backend: str) -> tuple[Fragments, Tensor]:
    scale = size / IMAGE_SIZE
    camera = (FOCAL_LENGTH * scale, (size / 2, size / 2), size)
    fragments = rasterize(vertices, body.faces, *camera, backend=backend)
    colours = normalized_coordinate_code(body.v_template)[None]
    return fragments, interpolate(fragments, body.faces, colours)


def _times(call: Callable[[], object], repeats: int, device: str) -> list[float]:
    """Milliseconds of each call; one call beforehand is not counted, unless only one is asked for."""
    if repeats > 1:
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return times


def _agreement(fragments: Fragments, reference: Fragments) -> float:
    covered = fragments.mask | reference.mask
    return (fragments.face_index == reference.face_index)[covered].float().mean().item()
