"""Exporting the networks of a model, each file checked against the network."""

from __future__ import annotations

import argparse
import json
import warnings
from typing import Any

import torch
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.consistency import DepthConsistency
from mion_plugin.consistency.reading.consistency import MEASURES
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.export import (
    FORMATS,
    ConsistencyExport,
    LocatorExport,
    ReaderExport,
    RefinementExport,
    consistency_inputs,
    reader_inputs,
    refinement_inputs,
    write_network,
)
from mion_plugin.export.files import Exportable
from mion_plugin.files import atomic_path
from mion_plugin.inference import MIONInferencer
from mion_plugin.inference.people import list_photographs
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.samples import input_keypoints

COPIES = 2  # of the photograph: torch.export takes a batch of one for a constant


def run(args: argparse.Namespace) -> int:
    """Export; returns the exit code."""
    args.out.mkdir(parents=True, exist_ok=True)  # before minutes of work
    warnings.filterwarnings("ignore", module=r"torch|onnx|copyreg")  # of the exporters about themselves
    config = None if args.config is None else str(args.config)
    inferencer = MIONInferencer(config, args.checkpoint, device="cpu")
    described = {}
    for name, (network, inputs) in networks(inferencer.model, *examples(inferencer)).items():
        differences = {}
        for kind in args.formats:
            path = args.out / f"{name}{FORMATS[kind]}"
            differences[kind] = write_network(network, inputs, path, kind, args.tolerance)
            print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, differs by at most {differences[kind]:.1e}")
        described[name] = describe(network, inputs, differences)
    camera, cen = inferencer.model.camera, inferencer.model.cen
    described["camera"] = {"image_size": camera.image_size, "focal_length": camera.focal_length}
    if isinstance(cen, DepthConsistency):
        described["score"] = describe_score(cen)
    with atomic_path(args.out / "export.json") as temporary:
        temporary.write_text(json.dumps(described, indent=1))
    return 0


def examples(inferencer: MIONInferencer) -> tuple[Tensor, Tensor]:
    """Images and 2D keypoints as the model takes them, from the photograph that comes with the package."""
    model = inferencer.model
    if not isinstance(model, MultiInitializationOptimizationNetwork):
        raise ValueError(f"the config's model is a {type(model).__name__}, expected a mion.MION")
    photographs = list_photographs([PHOTO] * COPIES)
    batch = next(inferencer.preprocess(photographs, batch_size=COPIES, keypoints2d=KEYPOINTS))
    image = torch.stack(batch["inputs"])
    return image, input_keypoints(batch["data_samples"], model.keypoints2d_convention, image.device)


@torch.no_grad()
def networks(
    model: MultiInitializationOptimizationNetwork, image: Tensor, keypoints2d: Tensor
) -> dict[str, tuple[Exportable, dict[str, Tensor]]]:
    """The model's networks, each with what it is given for these images (B, 3, H, W) and keypoints (B, K, 3)."""
    if model.selector is None:
        raise ValueError("the config's model has no selector to find candidates for example inputs")
    found = {}
    if model.correct_keypoints and isinstance(model.cen, DepthConsistency):
        locator: Any = LocatorExport(model.cen)
        found["locator"] = (locator, {"image": image, "keypoints2d": keypoints2d})
        (keypoints2d,) = locator(image, keypoints2d)
    refinement: Any = RefinementExport(model.refiner)
    inputs = refinement_inputs(model.refiner, image, model.selector(keypoints2d), keypoints2d)
    found["mrt"] = (refinement, inputs)
    bodies = Bodies(*refinement(**inputs))
    if isinstance(model.cen, DepthConsistency):
        reader: Any = ReaderExport(model.cen)
        found["reader"] = (reader, reader_inputs(model.cen, image, bodies))
    elif model.cen is not None:
        consistency: Any = ConsistencyExport(model.cen)
        found["cen"] = (consistency, consistency_inputs(model.cen, image, bodies))
    return found


def describe(network: Exportable, inputs: dict[str, Tensor], differences: dict[str, float]) -> dict[str, Any]:
    """What is needed to run a file, ready for JSON: free dimensions by name, the others by size."""
    shapes = {}
    for name, value in inputs.items():
        free = network.input_dims[name]
        shapes[name] = [*free, *value.shape[len(free) :]]
    return {"inputs": shapes, "outputs": list(network.output_names), "largest_difference": differences}


def describe_score(cen: DepthConsistency) -> dict[str, Any]:
    """What turns depths that were read into a score, ready for JSON; see ``DepthConsistency``."""
    index = MEASURES.index(cen.measure)
    slope, offset = (float(numbers[index]) for numbers in (cen.calibration_slope, cen.calibration_offset))
    return {"measure": cen.measure, "slope": slope, "offset_m": offset, "body_height_m": float(cen.body_height)}
