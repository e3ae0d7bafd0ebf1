"""Write the networks of stages 2 and 3 for other runtimes, each file checked against the network.

    python tools/export.py --out exported                        # the small model of the package
    python tools/export.py --config CONFIG --checkpoint FILE --out exported --formats onnx

It writes mrt.onnx, mrt.pt2, cen.onnx, cen.pt2 and export.json, which tells inputs, outputs and the largest difference.
Stage 1 and rendering are steps before the networks; see mion_plugin/export/networks.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from cli import OneLineParser, report_errors
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.export import (
    FORMATS,
    ConsistencyExport,
    RefinementExport,
    consistency_inputs,
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


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--config", type=Path, help="config of a mion.MION; default: the small model of the package")
    parser.add_argument("--checkpoint", type=Path, help="weights of the config's whole model")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--formats", nargs="+", choices=sorted(FORMATS), default=sorted(FORMATS), help="which to write")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="largest difference allowed (default: 1e-3)")
    args = parser.parse_args(arguments)
    if args.checkpoint is not None and args.config is None:
        parser.error(f"--checkpoint {args.checkpoint} needs --config, which says of what model")
    if args.tolerance <= 0:
        parser.error(f"--tolerance {args.tolerance}, expected a positive number")
    return args


@torch.no_grad()
def networks(inferencer: MIONInferencer) -> dict[str, tuple[Exportable, dict[str, Tensor]]]:
    """The model's networks, with example inputs from the photograph that comes with the package."""
    model = inferencer.model
    if not isinstance(model, MultiInitializationOptimizationNetwork):
        raise ValueError(f"the config's model is a {type(model).__name__}, expected a mion.MION")
    if model.selector is None:
        raise ValueError("the config's model has no selector to find candidates for example inputs")
    photographs = list_photographs([PHOTO] * COPIES)
    batch = next(inferencer.preprocess(photographs, batch_size=COPIES, keypoints2d=KEYPOINTS))
    image = torch.stack(batch["inputs"])
    keypoints2d = input_keypoints(batch["data_samples"], model.keypoints2d_convention, image.device)
    refinement: Any = RefinementExport(model.refiner)
    inputs = refinement_inputs(model.refiner, image, model.selector(keypoints2d), keypoints2d)
    found = {"mrt": (refinement, inputs)}
    if model.cen is not None:
        consistency: Any = ConsistencyExport(model.cen)
        found["cen"] = (consistency, consistency_inputs(model.cen, image, Bodies(*refinement(**inputs))))
    return found


def describe(network: Exportable, inputs: dict[str, Tensor], differences: dict[str, float]) -> dict[str, Any]:
    """What is needed to run a file, ready for JSON: free dimensions by name, the others by size."""
    shapes = {}
    for name, value in inputs.items():
        free = network.input_dims[name]
        shapes[name] = [*free, *value.shape[len(free) :]]
    return {"inputs": shapes, "outputs": list(network.output_names), "largest_difference": differences}


@report_errors("export.py")
def main(arguments: list[str] | None = None) -> int:
    """Export; 2 on bad input or where a file does not give what the network gives."""
    args = parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)  # before minutes of work
    warnings.filterwarnings("ignore", module=r"torch|onnx|copyreg")  # of the exporters about themselves
    config = None if args.config is None else str(args.config)
    inferencer = MIONInferencer(config, args.checkpoint, device="cpu")
    described = {}
    for name, (network, inputs) in networks(inferencer).items():
        differences = {}
        for kind in args.formats:
            path = args.out / f"{name}{FORMATS[kind]}"
            differences[kind] = write_network(network, inputs, path, kind, args.tolerance)
            print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, differs by at most {differences[kind]:.1e}")
        described[name] = describe(network, inputs, differences)
    camera = inferencer.model.camera
    described["camera"] = {"image_size": camera.image_size, "focal_length": camera.focal_length}
    with atomic_path(args.out / "export.json") as temporary:
        temporary.write_text(json.dumps(described, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
