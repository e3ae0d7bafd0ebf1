"""Speed of the synthesis in one process, against pytorch3d's rasteriser alone on the same bodies."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable

import torch
from benchmarks.measuring import median_ms
from rich.console import Console
from rich.table import Table

from mion_plugin.constants import LOOKS
from mion_plugin.geometry.camera import IMAGE_SIZE
from mion_plugin.rendering.rasterizer import rasterize
from mion_plugin.synthesis import SURREALSynthesisDataset
from mion_plugin.synthesis.synthesizer import Synthesizer

REFERENCE = "pytorch3d"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--sizes", type=int, nargs="+", default=[112, IMAGE_SIZE], help="pixels of the square images")
    parser.add_argument("--looks", choices=LOOKS, default="plain", help="recipe of the pictures")
    parser.add_argument("--num-images", type=int, default=100, help="images per timed run")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs")
    parser.add_argument("--reference-images", type=int, default=2, help=f"bodies drawn with {REFERENCE}, which is slow")


def run(args: argparse.Namespace) -> None:
    """Print one row per size; the synthesis uses one core whatever the number of threads."""
    torch.set_num_threads(1)
    table = Table(title=f"Synthesis on one core: dressed, lit bodies, {args.looks} looks")
    for heading in ("size", "images per second", "ms per image", f"{REFERENCE} alone, ms", "ratio"):
        table.add_column(heading, justify="right")
    for size in args.sizes:
        options = {"image_size": size, "detected_noise": 1.5, "looks": {"recipe": args.looks}}
        synthesizer = SURREALSynthesisDataset(args.num_images, **options).synthesizer
        ours = _ms_per_image(synthesizer.sample, args.num_images, args.repeats)
        row = [str(size), f"{1000 / ours:.0f}", f"{ours:.2f}"]
        if importlib.util.find_spec(REFERENCE) is None:
            table.add_row(*row, "not installed", "")
            continue
        vertices = [_vertices(synthesizer, index) for index in range(args.reference_images)]
        camera = (synthesizer.focal_length, synthesizer.principal_point, size)
        faces = synthesizer.body.faces
        reference = _ms_per_image(
            lambda index, v=vertices, f=faces, c=camera: rasterize(v[index], f, *c, backend=REFERENCE), len(vertices), 1
        )
        table.add_row(*row, f"{reference:.0f}", f"{reference / ours:.0f} x")
    Console().print(table)


def _vertices(synthesizer: Synthesizer, index: int) -> torch.Tensor:
    """The body (1, V, 3) of a sample, metres, camera frame."""
    sample = synthesizer.sample(index)
    return synthesizer.body(*(torch.from_numpy(sample[name])[None] for name in ("pose", "betas", "transl"))).vertices


def _ms_per_image(call: Callable[[int], object], count: int, repeats: int) -> float:
    return median_ms(lambda: [call(index) for index in range(count)], repeats) / count
