"""What it costs the training process to take a batch over from a loader's worker: one tensor for all, or each alone.

Ready-made samples at the paper's size go through a loader with one worker; the processor's time of the process that
takes them counts, whatever the worker does meanwhile.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.markdown import table, write_section
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader, Dataset

from mion_plugin.datasets import joined_collate
from mion_plugin.registry import DATASETS

WAYS: dict[str, Callable] = {"mmengine's `pseudo_collate`": pseudo_collate, "`mion.joined_collate`": joined_collate}


class ReadyMade(Dataset):
    """The same packed samples again and again, copied, since what comes twice in a batch is sent once.

    Args:
        samples: Those.
        length: How many there seem to be.
    """

    def __init__(self, samples: list[dict[str, Any]], length: int) -> None:
        self.samples, self.length = samples, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        return copy.deepcopy(self.samples[index % len(self.samples)])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--batch-size", type=int, default=64, help="samples in a batch")
    parser.add_argument("--image-size", type=int, default=224, help="side of the crops, pixels")
    parser.add_argument("--batches", type=int, default=12, help="in each round")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, the ways in turn")
    parser.add_argument("--page", type=Path, help="Markdown file with a section to write into")


def run(args: argparse.Namespace) -> None:
    """Print, and write on request, the table."""
    torch.set_num_threads(1)
    samples = make_samples(args.image_size)
    dataset = ReadyMade(samples, args.batches * args.batch_size)
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(args.repeats):
        for name, collate in WAYS.items():
            times[name].append(milliseconds_per_batch(dataset, args.batch_size, collate))
    found = {name: float(np.median(values)) for name, values in times.items()}
    slowest = max(found.values())
    rows = [[name, f"{value:.1f}", f"{slowest / value:.1f}"] for name, value in found.items()]
    text = table([f"a batch of {args.batch_size} at {args.image_size} px", "ms of the training process", "times"], rows)
    if args.page is not None:
        write_section(args.page, "handover", text)
    print(text)


def make_samples(image_size: int, count: int = 8) -> list[dict[str, Any]]:
    """Packed synthetic people."""
    pipeline = [{"type": "mion.Normalize"}, {"type": "mion.PackBodyInputs"}]
    people = {"type": "mion.SURREALSynthesisDataset", "num_samples": count, "pipeline": pipeline}
    dataset = DATASETS.build({**people, "image_size": image_size})
    return [dataset[index] for index in range(count)]


def milliseconds_per_batch(dataset: Dataset, batch_size: int, collate: Callable) -> float:
    """Processor's time of this process for a batch."""
    batches = iter(DataLoader(dataset, batch_size, num_workers=1, collate_fn=collate))
    next(batches)  # the worker has started
    start, count = time.process_time(), 0
    for _ in batches:
        count += 1
    return 1000.0 * (time.process_time() - start) / count
