"""Writing a checkpoint's weights alone."""

from __future__ import annotations

import argparse
import hashlib
from typing import Any

from mion_plugin.files.checkpoints import load_local_checkpoint
from mion_plugin.weights import load_weights, save_weights

META_KEYS = (
    "epoch",
    "iter",
    "mmengine_version",
)  # what mmengine stores that tells of the training and not of a machine


def run(args: argparse.Namespace) -> int:
    """Publish and report; returns the exit code."""
    publish(args)
    size, digest = args.out.stat().st_size / 2**20, hashlib.sha256(args.out.read_bytes()).hexdigest()
    print(f"written: {args.out}, {size:.1f} MiB, sha256 {digest[:8]}")
    return 0


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
