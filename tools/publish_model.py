"""Make a training's checkpoint fit to be shipped: weights alone, in half precision on request.

    python tools/publish_model.py IN.pth OUT.pth [--half] [--part cen]

Optimiser, logs and the config's text, which names folders of the machine, are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

from cli import OneLineParser, report_errors

from mion_plugin.files.checkpoints import load_local_checkpoint
from mion_plugin.weights import load_weights, save_weights

META_KEYS = (
    "epoch",
    "iter",
    "mmengine_version",
)  # what mmengine stores that tells of the training and not of a machine


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoint", type=Path, metavar="IN", help="checkpoint of a training")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write, ending in .pth")
    parser.add_argument("--half", action="store_true", help="16 bits per number: half the size")
    parser.add_argument("--part", help="keep the weights of one part of the model, such as cen, named as its own")
    return parser.parse_args(arguments)


def publish(args: argparse.Namespace) -> None:
    """Write the smaller file.

    Raises:
        FileNotFoundError: No such checkpoint.
        ValueError: It cannot be read, has no such part, or the output is not named as a checkpoint.
    """
    if args.out.suffix != ".pth":
        raise ValueError(f"{args.out}: expected a name that ends in .pth")
    content: dict[str, Any] = load_local_checkpoint(str(args.checkpoint), map_location="cpu")
    if args.part and not any(name.startswith(f"{args.part}.") for name in content.get("state_dict", content)):
        raise ValueError(f"--part {args.part}: no weight in {args.checkpoint} is named {args.part}.*")
    meta = {key: content["meta"][key] for key in META_KEYS if key in content.get("meta", {})}
    save_weights(load_weights(args.checkpoint, args.part), args.out, half=args.half, meta=meta)


@report_errors("publish_model.py")
def main(arguments: list[str] | None = None) -> int:
    """Publish; 2 on bad input."""
    args = parse_args(arguments)
    publish(args)
    size, digest = args.out.stat().st_size / 2**20, hashlib.sha256(args.out.read_bytes()).hexdigest()
    print(f"written: {args.out}, {size:.1f} MiB, sha256 {digest[:8]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
