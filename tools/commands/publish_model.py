"""Writing a checkpoint's weights alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from cli import program

from mion_plugin.body import BodyFingerprint, load_body
from mion_plugin.constants import STAND_IN
from mion_plugin.files.checkpoints import load_local_checkpoint
from mion_plugin.files.hashing import hash_file
from mion_plugin.weights import load_weights, save_weights, trained_body

META_KEYS = (
    "epoch",
    "iter",
    "mmengine_version",
)  # what mmengine stores that tells of the training and not of a machine


def run(args: argparse.Namespace) -> int:
    """Publish and report; returns the exit code."""
    publish(args)
    size, digest = args.out.stat().st_size / 2**20, hash_file(args.out)
    print(f"written: {args.out}, {size:.1f} MiB, sha256 {digest[:8]}")
    return 0


def publish(args: argparse.Namespace) -> None:
    """Write the smaller file.

    Raises:
        FileNotFoundError: No such checkpoint.
        ValueError: It cannot be read, has no such part, the output is not named as a checkpoint, or --body-model is
            another body than the checkpoint tells.
    """
    if args.out.suffix != ".pth":
        raise ValueError(f"{args.out}: expected a name that ends in .pth")
    content: dict[str, Any] = load_local_checkpoint(str(args.checkpoint), map_location="cpu")
    if args.part and not any(name.startswith(f"{args.part}.") for name in content.get("state_dict", content)):
        raise ValueError(f"--part {args.part}: no weight in {args.checkpoint} is named {args.part}.*")
    meta = {key: content["meta"][key] for key in META_KEYS if key in content.get("meta", {})}
    body = _body(content, args)
    save_weights(load_weights(args.checkpoint, args.part), args.out, half=args.half, meta=meta, body=body)


def _body(content: dict[str, Any], args: argparse.Namespace) -> BodyFingerprint | None:
    """What the network was trained with, as the checkpoint or else the command line says."""
    trained = trained_body(content, args.checkpoint)
    if args.body_model is None:
        if trained is None:
            print(
                f"{program('publish_model.py')}: {args.checkpoint} does not tell with which body it was trained, so "
                f"{args.out} will not either; --body-model writes it down",
                file=sys.stderr,
            )
        return trained
    named = BodyFingerprint.of(load_body(None if args.body_model == STAND_IN else Path(args.body_model)))
    if trained is not None:
        told = f"--body-model {args.body_model} is {named}, {args.checkpoint} was trained with {trained}"
        named.check(trained, told, "Leave --body-model out")
    return named
