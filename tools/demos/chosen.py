"""What the options that the demo and the web page share ask for: where people come from, and the model."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from mmengine.config import Config

from mion_plugin.files.configs import read_config
from mion_plugin.inference import find_by_detector, find_in_file
from mion_plugin.inference.detectors import choose_detector
from mion_plugin.inference.frames import PeopleFinder
from mion_plugin.models import load_model_config, shipped_stage


def last_stage(args: argparse.Namespace, wanted: int | None = None) -> int:
    """The last stage to run: the one wanted, else all of a user's model, else all that are trained in the package.

    Raises:
        ValueError: Weights without their config.
    """
    if args.checkpoint is not None and args.config is None:
        raise ValueError(f"--checkpoint {args.checkpoint} needs --config, which says of what model")
    return wanted or (shipped_stage() if args.config is None else 3)


def choose_finder(args: argparse.Namespace, names: Iterable[str | Path] = ()) -> PeopleFinder:
    """Where people come from; ``names`` as of ``find_in_file``."""
    if args.keypoints is not None:
        return find_in_file(args.keypoints, names)
    device = args.device or "cpu"
    return find_by_detector(
        choose_detector(args.pose_config, args.pose_checkpoint, device, person_checkpoint=args.person_checkpoint)
    )


def make_config(args: argparse.Namespace, stage: int) -> Config:
    """The model's config with the command line's changes.

    Raises:
        FileNotFoundError: No such config, or the package holds no weights for the stage.
        ValueError: The config cannot be read, its model is no ``mion.MION``, or an option would do nothing with it.
    """
    cfg = load_model_config(stage=stage) if args.config is None else read_config(args.config)
    if not isinstance(cfg.get("model"), dict) or cfg.model.get("type") != "mion.MION":
        raise ValueError(f"config {args.config}: its model is no mion.MION")
    if stage == 2:
        cfg.model.update(cen=None, cen_checkpoint=None, fit=None, correct_keypoints=False, selection="first")
    if args.no_correction:
        if not cfg.model.get("correct_keypoints"):
            raise ValueError("--no-correction: this model takes keypoints as they are given anyway")
        cfg.model.correct_keypoints = False
    if args.num_candidates is not None:
        cfg.model.num_candidates = args.num_candidates
    selector = cfg.model.setdefault("selector", dict(type="mion.CandidateSelector"))
    if args.pool is not None:
        selector.pool = str(args.pool)
    if args.body_model is not None:
        network = cfg.model.refiner.get("network", cfg.model.refiner)
        network.body = dict(type="mion.SMPLBody", model_path=str(args.body_model))
        selector.body_model = str(args.body_model)
    return cfg
