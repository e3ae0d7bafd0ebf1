"""Processor time of one image and of a batch: HMR, MION with several paths, its stages, and its networks by runtime."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from benchmarks.growth import CONFIG, WHOLE, people, stages
from benchmarks.markdown import table, write_section
from benchmarks.measuring import median_in_turn
from benchmarks.tables import reference_backbone
from commands.export import networks
from mmengine.config import Config
from torch import Tensor

from mion_plugin.consistency import DepthConsistency
from mion_plugin.export import write_network
from mion_plugin.export.files import Exportable, open_session
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.registry import MODELS

HMR = Path("configs/baselines/hmr_tiny_synthetic.py")
PAGE, SECTION = Path("docs/latency.md"), "latency"
BACKBONE, RIVAL = "backbone of MION alone", "HMR"
EAGER = "eager"
RUNTIMES = (EAGER, "bfloat16", "compile", "onnx")
LEAST_BATCH = 2  # torch.export takes a batch of one for a constant
Calls = dict[str, Callable[[], object]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--config", type=Path, default=CONFIG, help="config of a mion.MION")
    parser.add_argument("--hmr", type=Path, default=HMR, help="config of the method to compare with; random weights")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32], help="images at once")
    parser.add_argument("--paths", type=int, nargs="+", default=[1, 3, 5], help="candidates of each image")
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=list(RUNTIMES), help="of the networks alone")
    parser.add_argument("--repeats", type=int, default=15, help="runs; the median counts")
    parser.add_argument("--out", type=Path, default=PAGE, help=f"page whose section {SECTION} is written")


@torch.no_grad()
def run(args: argparse.Namespace) -> None:
    """Measure, print, and write the section."""
    cfg = Config.fromfile(args.config)
    model: MultiInitializationOptimizationNetwork = MODELS.build(cfg.model).eval()
    hmr = build_hmr(args.hmr)
    image, keypoints2d = people(model, cfg, max(*args.batches, LEAST_BATCH))
    with tempfile.TemporaryDirectory() as folder:
        files = export(model, image, keypoints2d, Path(folder)) if "onnx" in args.runtimes else {}
        measured = [
            median_in_turn(calls(model, hmr, image[:size], keypoints2d[:size], args, files), args.repeats)
            for size in args.batches
        ]
    text = section(measured, args)
    print(text)
    write_section(args.out, SECTION, text)


def build_hmr(config: Path) -> torch.nn.Module:
    """The method that is compared, with random weights: its time does not depend on them."""
    cfg = Config.fromfile(config)
    cfg.model.architecture.backbone.pop("weights", None)
    return MODELS.build(cfg.model).eval()


def export(
    model: MultiInitializationOptimizationNetwork, image: Tensor, keypoints2d: Tensor, folder: Path
) -> dict[str, Path]:
    """An ONNX file for each of the model's networks."""
    files = {}
    for name, (network, inputs) in networks(model, image[:LEAST_BATCH], keypoints2d[:LEAST_BATCH]).items():
        files[name] = folder / f"{name}.onnx"
        write_network(network, inputs, files[name], "onnx")
    return files


def calls(
    model: MultiInitializationOptimizationNetwork,
    hmr: torch.nn.Module,
    image: Tensor,
    keypoints2d: Tensor,
    args: argparse.Namespace,
    files: Mapping[str, Path],
) -> Calls:
    """All that is timed on one batch, by the name of its row."""
    found: Calls = {}
    backbone = reference_backbone(model, image)
    if backbone is not None:
        found[BACKBONE] = backbone
    blocks = model.cen.reader.blocks(image) if isinstance(model.cen, DepthConsistency) else (image,)
    found[RIVAL] = lambda: [hmr(block) for block in blocks]  # which is faster for it, too
    for number in args.paths:
        found[_paths(number)] = lambda number=number: _estimate(model, image, keypoints2d, number)  # type: ignore[misc]
    by_stage = stages(model, image, keypoints2d)
    found |= {_stage(name): call for name, call in by_stage.items() if name != WHOLE}
    for name, (network, inputs) in networks(model, image, keypoints2d).items():
        for runtime in args.runtimes:
            found[_network(name, runtime)] = in_runtime(runtime, network, inputs, files.get(name))
    return found


def in_runtime(
    runtime: str, network: Exportable, inputs: Mapping[str, Tensor], file: Path | None
) -> Callable[[], object]:
    """A run of a network by one of ``RUNTIMES``."""
    if runtime == "onnx":
        assert file is not None
        session, arrays = open_session(file, torch.get_num_threads()), {k: v.numpy() for k, v in inputs.items()}
        return lambda: session.run(None, arrays)
    if runtime == "bfloat16":
        return lambda: _in_bfloat16(network, inputs)
    compiled: Any = torch.compile(network) if runtime == "compile" else network  # type: ignore[call-overload]
    return lambda: compiled(**inputs)


def _in_bfloat16(network: Exportable, inputs: Mapping[str, Tensor]) -> object:
    with torch.autocast("cpu", torch.bfloat16):
        return network(**inputs)


def _estimate(model: MultiInitializationOptimizationNetwork, image: Tensor, keypoints2d: Tensor, number: int) -> object:
    before, model.selector.num_candidates = model.selector.num_candidates, number  # type: ignore[union-attr]
    try:
        return model.estimate(image, keypoints2d)
    finally:
        model.selector.num_candidates = before  # type: ignore[union-attr]


def section(measured: list[dict[str, float]], args: argparse.Namespace) -> str:
    """The tables, of what was measured at each batch."""
    whole = [name for name in (BACKBONE, RIVAL, *map(_paths, args.paths)) if name in measured[0]]
    parts = [name for name in measured[0] if name.startswith(_stage(""))]
    names = list(dict.fromkeys(name.split(", ")[0] for name in measured[0] if ", " in name and name not in whole))
    of_networks = [
        row
        for name in names
        for row in _rows(measured, args.batches, [_network(name, each) for each in args.runtimes], args.runtimes[0])
    ]
    command = f"tools/benchmark.py --threads {torch.get_num_threads()} latency --runtimes {' '.join(args.runtimes)}"
    how = f"median of {args.repeats} runs, everything called in turn. Milliseconds of processor time per image."
    return "\n\n".join(
        [
            f"By `{command}`, {how}",
            _table("", f"ratio to {RIVAL}", _rows(measured, args.batches, whole, RIVAL), args),
            "The stages of the whole, with the paths of the config:",
            _table("stage", f"ratio to {RIVAL}", _rows(measured, args.batches, parts, RIVAL), args),
            f"The networks alone, as `tools/export.py` writes them; ratios to {args.runtimes[0]}:",
            _table("network, runtime", "ratio", of_networks, args),
        ]
    )


def _rows(measured: list[dict[str, float]], batches: list[int], names: list[str], base: str) -> list[list[str]]:
    """For each name and batch the time per image, and the ratio to ``base``, a row or a runtime."""
    rows = []
    for name in names:
        reference = base if base in measured[0] else _network(name.split(", ")[0], base)
        cells = [
            cell
            for times, size in zip(measured, batches, strict=True)
            for cell in (f"{times[name] / size:.2f}", f"{times[name] / times[reference]:.2f}")
        ]
        rows.append([name, *cells])
    return rows


def _table(first: str, ratio: str, rows: list[list[str]], args: argparse.Namespace) -> str:
    heading = [first, *(cell for size in args.batches for cell in (f"batch {size}, ms", ratio))]
    return table(heading, rows)


def _paths(number: int) -> str:
    return f"MION, {number} path{'s' if number > 1 else ''}"


def _stage(name: str) -> str:
    return f"MION: {name}"


def _network(name: str, runtime: str) -> str:
    return f"{name}, {runtime}"
