"""Images per second and core of the training loader: as first shipped, crop first, and from cached crops.

Photographs of each data set's size go through the configs' augmentation in one process, the ways in turn, and the
processor's time counts: other programs disturb it less than the clock. Then what GPUs would take, and the pairs that
stage 3's loader makes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.loader_sets import ANN_FILE, MIXTURE, SETS, write_photographs
from benchmarks.markdown import table, write_section
from mmengine.config import Config

from mion_plugin.conversion.crop_cache import CacheOptions, Layout, cache_crops
from mion_plugin.datasets import HumanDataset
from mion_plugin.datasets.transforms.formatting import IMAGENET_STD
from mion_plugin.registry import DATASETS

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SHIPPED, WHOLE, REDUCED, CACHED = "as first shipped", "crop first", "crop first, reduced decoding", "cached crops"
WAYS = (SHIPPED, WHOLE, REDUCED, CACHED)
PAIRS_CONFIG = "mion/cen_r34_224_stand-in.py"  # stage 3 at the paper's size, from files of the package alone
# Stage 2's training: forward and backward, docs/training.md; peaks in TFLOP/s are the makers', the share is assumed
GFLOP_PER_IMAGE, SHARE = 3 * (14.03 + 69.87), 0.3
CARDS = {"A100, float32": 19.5, "A100, `--tf32`": 156.0, "A100, `--bf16`": 312.0, "H100 or H200, `--bf16`": 989.0}
NUM_CARDS = (4, 8)


@dataclass(frozen=True)
class Measured:
    """One set.

    Attributes:
        length: Mean bytes of a photograph.
        cached_length: Of a cached crop.
        difference: Mean absolute difference of a network's pictures, cached crops against photographs, grey levels.
        milliseconds: Way -> median over the rounds, of the processor's time for a sample.
    """

    length: float
    cached_length: float
    difference: float
    milliseconds: dict[str, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS), help="sizes of photographs")
    parser.add_argument("--photographs", type=int, default=24, help="of each size")
    parser.add_argument("--repeats", type=int, default=5, help="rounds over them, for each way")
    parser.add_argument("--pairs", type=int, default=40, help="samples of stage 3's loader; 0 for none")
    parser.add_argument("--page", type=Path, help="Markdown file with a section to write into")


def run(args: argparse.Namespace) -> None:
    """Print, and write on request, the tables."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="loader_") as folder:
        found = {}
        for name in args.sets:
            found[name] = measure(Path(folder) / name, name, args.photographs, args.repeats)
            print(f"{name}: {found[name].milliseconds}", flush=True)
    parts = [sets_table(found)]
    mixture = mixture_milliseconds(found)
    if mixture:
        parts += [mixture_table(mixture), workers_table({name: 1000 / mixture[name] for name in WAYS})]
    if args.pairs:
        parts.append(pairs_text(measure_pairs(args.pairs)))
    text = "\n\n".join(parts)
    if args.page is not None:
        write_section(args.page, "loader", text)
    print(text)


def pipelines() -> dict[str, list[dict[str, Any]]]:
    """The configs' augmentation, as it is and as it was."""
    steps = [dict(step) for step in Config.fromfile(CONFIGS / "_base_" / "augmentation_224.py").train_pipeline]
    whole = [{key: value for key, value in step.items() if key != "crop_size"} for step in steps]
    by_type = {step["type"].removeprefix("mion."): step for step in whole}
    first = ("LoadImageFromFile", "RandomChannelNoise", "RandomHorizontalFlip", "GetRandomScaleRotation", "MeshAffine")
    shipped = [by_type[name] for name in (*first, "Normalize", "PackBodyInputs")]
    return {SHIPPED: shipped, WHOLE: whole, REDUCED: steps, CACHED: steps}


def measure(folder: Path, name: str, count: int, repeats: int) -> Measured:
    """Time every way on one set."""
    photographs, crops = folder / "photographs", folder / "crops"
    length = write_photographs(photographs, SETS[name], count)
    cache_crops(*(Layout(root / ANN_FILE, root) for root in (photographs, crops)), CacheOptions())
    cached_length = float(np.mean([path.stat().st_size for path in crops.rglob("*.jpg")]))
    sets = {
        way: HumanDataset(ANN_FILE, str(crops if way == CACHED else photographs), pipeline=pipeline, test_mode=True)
        for way, pipeline in pipelines().items()
    }
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for epoch in range(repeats + 1):
        for way, dataset in sets.items():
            dataset.set_epoch(epoch)  # the same draws for every way
            spent = milliseconds_per_sample(dataset.__getitem__, range(count))
            if epoch:  # the first round prepares
                times[way].append(spent)
    difference = picture_difference(sets[REDUCED], sets[CACHED])
    return Measured(length, cached_length, difference, {way: float(np.median(spent)) for way, spent in times.items()})


def picture_difference(original: HumanDataset, cached: HumanDataset) -> float:
    """Mean absolute difference of the pictures of one epoch, grey levels of 255."""
    deviation = torch.tensor(IMAGENET_STD)[:, None, None]
    both = ([dataset[index]["inputs"] for dataset in (original, cached)] for index in range(len(original)))
    return float(np.mean([((one - other).abs() * deviation).mean() for one, other in both]))


def milliseconds_per_sample(call: Callable[[int], object], indices: Sequence[int]) -> float:
    """Of the processor's time."""
    start = time.process_time()
    for index in indices:
        call(index)
    return 1000 * (time.process_time() - start) / len(indices)


def mixture_milliseconds(found: dict[str, Measured]) -> dict[str, float]:
    """Mean of a sample of SPIN's mixture, by its shares; empty where one of its sets was not measured."""
    if not MIXTURE.keys() <= found.keys():
        return {}
    return {way: sum(share * found[name].milliseconds[way] for name, share in MIXTURE.items()) for way in WAYS}


def measure_pairs(count: int) -> float:
    """Milliseconds of a sample of stage 3's training set, which draws, selects and renders."""
    dataset = DATASETS.build(Config.fromfile(CONFIGS / PAIRS_CONFIG).train_dataloader.dataset.to_dict())
    dataset.set_epoch(0)
    dataset[0]  # which prepares
    return milliseconds_per_sample(dataset.__getitem__, range(1, count + 1))


def sets_table(found: dict[str, Measured]) -> str:
    """A row for each set."""
    rows = []
    for name, one in found.items():
        size = SETS[name]
        lengths = f"{one.length / 1000:.0f} / {one.cached_length / 1000:.0f}"
        row = [
            name,
            f"{size.width} x {size.height}",
            f"{size.side}",
            lengths,
            *_rates(one.milliseconds),
            f"{one.difference:.1f}",
        ]
        rows.append(row)
    heading = ["set", "photograph, px", "person, px", "kB, photograph / crop", *WAYS, *_RATIOS, "difference"]
    return (
        f"Images per second and core; mean difference of cached crops from photographs in grey levels of 255:\n\n"
        f"{table(heading, rows)}"
    )


_RATIOS = ("crop first / first shipped", "cached / crop first")


def _rates(milliseconds: dict[str, float]) -> list[str]:
    """Images per second of each way, and the two ratios of ``_RATIOS``, both with reduced decoding."""
    reduced = milliseconds[REDUCED]
    ratios = [milliseconds[SHIPPED] / reduced, reduced / milliseconds[CACHED]]
    return [*(f"{1000 / milliseconds[way]:.0f}" for way in WAYS), *(f"{ratio:.1f}" for ratio in ratios)]


def mixture_table(milliseconds: dict[str, float]) -> str:
    """SPIN's mixture, computed from the sets."""
    rows = [["SPIN's mixture", *_rates(milliseconds)]]
    return (
        f"Computed from these, by the shares of `configs/_base_/mixed_224.py`:\n\n{table(['', *WAYS, *_RATIOS], rows)}"
    )


def images_per_second(peak: float, gpus: int) -> float:
    """What stage 2's training takes, computed: ``peak`` in TFLOP/s of one of ``gpus`` cards, at the assumed share."""
    return gpus * peak * 1e12 * SHARE / (GFLOP_PER_IMAGE * 1e9)


def workers_table(rates: dict[str, float]) -> str:
    """Images per second that cards would take, and workers that give them.

    Args:
        rates: Way -> images per second of one worker with a core of its own.
    """
    rows = []
    for card, peak in CARDS.items():
        for gpus in NUM_CARDS:
            needed = images_per_second(peak, gpus)
            workers = [f"{int(np.ceil(needed / rates[way])):,}" for way in WAYS]
            rows.append([f"{gpus} x {card}", f"{needed:,.0f}", *workers])
    heading = ["cards", "images per second that they take (computed)", *(f"workers, {way}" for way in WAYS)]
    return (
        "Workers in all, at the mixture's rates above and with a core each, for stage 2 at the paper's size:\n\n"
        f"{table(heading, rows)}\n\nNot run: {GFLOP_PER_IMAGE:.1f} GFLOP a training image at {100 * SHARE:.0f} % of "
        "the makers' peaks, as [Training](training.md#time-computed) assumes."
    )


def pairs_text(milliseconds: float) -> str:
    """What stage 3's loader gives."""
    return (
        f"Stage 3 (`configs/{PAIRS_CONFIG}`: every sample drawn, its candidates selected and one rendered at 224 px, "
        f"four others to compare with): {milliseconds:.0f} ms a picture, {1000 / milliseconds:.0f} pictures per second "
        "and core."
    )
