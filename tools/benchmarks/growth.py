"""How time and memory of each stage grow with images, paths and the pool, into docs/growth.md."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from benchmarks.curves import pyplot_for_svg, save_svg
from benchmarks.markdown import table, write_page
from benchmarks.measuring import load_test_images
from benchmarks.selection import Measurement, make_queries, measure, resize_pool
from benchmarks.stages import Stages
from mmengine.config import Config
from torch import Tensor

from mion_plugin.candidates import CandidateSelector
from mion_plugin.candidates.pool import load_default_pool
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.registry import MODELS
from mion_plugin.samples import input_keypoints

CONFIG = Path("configs/mion/mion_tiny_synthetic.py")
PAGE = Path("docs/growth.md")
WHOLE = "all three"
Calls = Mapping[str, Callable[[], object]]
LAST = 3  # points that the slope is fitted to: for few images the fixed costs count


@dataclass(frozen=True)
class Growth:
    """Of one thing that grows.

    Attributes:
        name: What grows.
        sizes: Its values, ascending.
        measured: Stage -> one measurement for each; the seconds are those of a whole call.
    """

    name: str
    sizes: Sequence[int]
    measured: Mapping[str, Sequence[Measurement]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--config", type=Path, default=CONFIG, help="config of a mion.MION")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 4, 16, 64, 256, 1024], help="images at once")
    parser.add_argument("--paths", type=int, nargs="+", default=[1, 2, 5, 10, 25], help="candidates of each image")
    parser.add_argument(
        "--poses", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000], help="poses of the pools"
    )
    parser.add_argument("--batch", type=int, default=32, help="images at once where something else grows")
    parser.add_argument("--repeats", type=int, default=3, help="runs; the median counts")
    parser.add_argument("--out", type=Path, default=PAGE, help="Markdown file to write; the curves go beside it")


@torch.no_grad()
def run(args: argparse.Namespace) -> None:
    """Measure, print, and write the page and its curves."""
    cfg = Config.fromfile(args.config)
    model: MultiInitializationOptimizationNetwork = MODELS.build(cfg.model).eval()
    image, keypoints2d = people(model, cfg, max(args.batch, min(max(args.images), 64)))
    found = [
        images_growth(model, image, keypoints2d, args.images, args.repeats),
        paths_growth(model, image[: args.batch], keypoints2d[: args.batch], args.paths, args.repeats),
        pools_growth(args.poses, args.batch, args.repeats),
    ]
    text = page(found, args)
    print(text)
    draw(found, curves(args))
    write_page(args.out, text)


def curves(args: argparse.Namespace) -> Path:
    """The picture beside the page."""
    return args.out.with_suffix(".svg")


def people(model: MultiInitializationOptimizationNetwork, cfg: Config, count: int) -> tuple[Tensor, Tensor]:
    """Images and keypoints of synthetic test people."""
    images, keypoints = [], []
    for batch in load_test_images(cfg, 0, count):
        images.append(torch.stack(batch["inputs"]))
        keypoints.append(input_keypoints(batch["data_samples"], model.keypoints2d_convention, torch.device("cpu")))
    return torch.cat(images), torch.cat(keypoints)


def stages(
    model: MultiInitializationOptimizationNetwork, image: Tensor, keypoints2d: Tensor
) -> dict[str, Callable[[], object]]:
    """Each stage on what the stages before it give, and all of them."""
    on_batch = Stages(model, image, keypoints2d)
    calls: dict[str, Callable[[], object]] = {}
    if on_batch.corrects:
        calls["keypoints corrected"] = on_batch.correct
    calls["stage 1"] = on_batch.select
    calls["stage 2"] = lambda: on_batch.refine(on_batch.candidates)
    if model.fit is not None:
        calls["fit"] = on_batch.fit
    if model.cen is not None:
        calls["stage 3"] = on_batch.score
    calls[WHOLE] = lambda: model.estimate(image, keypoints2d)
    return calls


def grow(name: str, sizes: Sequence[int], calls_at: Callable[[int], Calls], repeats: int) -> Growth:
    """Measure what there is to call at each size."""
    measured: dict[str, list[Measurement]] = {}
    for size in sizes:
        for stage, call in calls_at(size).items():
            measured.setdefault(stage, []).append(measure(call, 1, repeats, torch.device("cpu")))
    return Growth(name, sizes, measured)


def images_growth(
    model: MultiInitializationOptimizationNetwork,
    image: Tensor,
    keypoints2d: Tensor,
    sizes: Sequence[int],
    repeats: int,
) -> Growth:
    """More images at once; beyond those that there are, they repeat."""

    def calls_at(size: int) -> Calls:
        rows = torch.arange(size) % len(image)
        return stages(model, image[rows], keypoints2d[rows])

    return grow("images", sizes, calls_at, repeats)


def paths_growth(
    model: MultiInitializationOptimizationNetwork,
    image: Tensor,
    keypoints2d: Tensor,
    sizes: Sequence[int],
    repeats: int,
) -> Growth:
    """More candidates of each image."""
    before = model.selector.num_candidates

    def calls_at(size: int) -> Calls:
        model.selector.num_candidates = size
        return stages(model, image, keypoints2d)

    found = grow("paths", sizes, calls_at, repeats)
    model.selector.num_candidates = before
    return found


def pools_growth(poses: Sequence[int], batch: int, repeats: int) -> Growth:
    """Larger pools: stage 1 alone, the others do not see the pool."""
    default = load_default_pool()
    num_orientations = len(default.global_orient)

    def calls_at(size: int) -> Calls:
        pool = resize_pool(default, size // num_orientations)
        selector, queries = CandidateSelector(pool), make_queries(pool, batch)
        return {"stage 1": lambda: selector(queries)}

    return grow("candidates in the pool", [count * num_orientations for count in poses], calls_at, repeats)


def slope(sizes: Sequence[int], values: Sequence[float]) -> float:
    """By which power of the size the values grow at the end: 1 is in proportion, NaN for fewer than two points."""
    sizes, values = np.asarray(sizes[-LAST:], float), np.asarray(values[-LAST:], float)
    if len(sizes) < 2 or not (values > 0).all():
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def page(found: Sequence[Growth], args: argparse.Namespace) -> str:
    """The Markdown page."""
    parts = [
        "# How time and memory grow",
        f"Written by `tools/benchmark.py growth` with `{args.config}`, {torch.get_num_threads()} CPU threads. "
        f"Milliseconds of a whole call, median of {args.repeats}; in brackets MiB that it takes beyond what is held "
        f"before it. *Slope*: by which power of the size the time grows over the last {LAST} points; 1 is in "
        f"proportion. Where paths or the pool grow, {args.batch} images at once; where images grow, five paths.",
        f"![Time and memory against images, paths and candidates]({curves(args).name})",
    ]
    for growth in found:
        rows = [
            [name, *map(_cell, values), f"{slope(growth.sizes, [one.seconds for one in values]):.2f}"]
            for name, values in growth.measured.items()
        ]
        heading = ["stage", *(f"{size:,}" for size in growth.sizes), "slope"]
        parts.append(f"## {growth.name[0].upper()}{growth.name[1:]}\n\n{table(heading, rows)}")
    return "\n\n".join(parts) + "\n"


def _cell(one: Measurement) -> str:
    memory = "-" if np.isnan(one.memory) else f"{one.memory / 2**20:,.0f}"
    return f"{1000 * one.seconds:,.1f} ({memory})"


def draw(found: Sequence[Growth], path: Path) -> None:
    """Curves of time, above, and memory, below, against each thing that grows; both axes logarithmic."""
    colors = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#000000"]  # Okabe and Ito's, for all eyes
    names = list(dict.fromkeys(name for growth in found for name in growth.measured))
    figure, axes = pyplot_for_svg().subplots(2, len(found), figsize=(4 * len(found), 6), squeeze=False)
    for column, growth in enumerate(found):
        for name, values in growth.measured.items():
            style = {"color": colors[names.index(name) % len(colors)], "marker": "o", "markersize": 3, "label": name}
            axes[0, column].plot(growth.sizes, [1000 * one.seconds for one in values], **style)
            axes[1, column].plot(growth.sizes, [max(one.memory / 2**20, 0.1) for one in values], **style)
        for row, label in enumerate(("milliseconds", "MiB")):
            axes[row, column].set(xscale="log", yscale="log", xlabel=growth.name, ylabel=label)
            axes[row, column].grid(alpha=0.3)
    axes[0, 0].legend(fontsize="small")
    save_svg(figure, path)
