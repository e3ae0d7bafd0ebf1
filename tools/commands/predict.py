"""Bodies in many photographs."""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from pathlib import Path

import torch
from cli import program
from demos.chosen import last_stage, make_config

import mion_plugin
from mion_plugin.datasets.openpose import OpenPoseFolder
from mion_plugin.detection.rtmpose import is_rtmpose
from mion_plugin.files.hashing import hash_file, hash_files, told_by_content
from mion_plugin.inference import MIONInferencer
from mion_plugin.inference.detectors import choose_detector, local_weights
from mion_plugin.prediction.keypoints import DetectedPeople, KeypointFolder, KeypointTable, PeopleOf, members_beside
from mion_plugin.prediction.parts import Part, find_part
from mion_plugin.prediction.run import Pace, PieceDone, predict
from mion_plugin.prediction.settings import claimed_folder, model_digest
from mion_plugin.prediction.sources import COCO_SUFFIX, PhotographSource, open_photographs
from mion_plugin.prediction.summary import write_summaries


def run(args: argparse.Namespace) -> int:
    """Do this process's part; returns the exit code.

    Raises:
        ValueError: Nobody was found in anything; the summary is written all the same.
    """
    pace, part = Pace(args.batch_size, args.workers), find_part(args.shard, os.environ)
    source = open_photographs(args.inputs, args.image_root, args.shard_size, args.keypoints_member)
    people_of = choose_people(args)
    inferencer = build_inferencer(args)
    report = Report(part)
    with claimed_folder(args.out, settings_of(args, source, inferencer), alone=part.count == 1):
        names = predict(inferencer, source.pieces(part), people_of, args.out, pace, report.add)
        path, summary = write_summaries(args.out, names, part)
        report.close(summary, path)
        if part.count == 1 and not summary["people"]:
            first = "".join(one["why"] for one in summary["skipped"][:1]) or "there are no photographs"
            raise ValueError(f"nobody was found in {' '.join(args.inputs)[:500]}; first: {first}")
    return 0


def keypoint_file(args: argparse.Namespace) -> Path | None:
    """The file or folder that the keypoints come from: the one that is named, or the input itself."""
    detects = args.pose_config or args.pose_checkpoint or args.person_checkpoint
    if args.keypoints is None and not detects and Path(args.inputs[0]).suffix.lower() == COCO_SUFFIX:
        return Path(args.inputs[0])
    return args.keypoints


def choose_people(args: argparse.Namespace) -> PeopleOf:
    """Where people come from.

    Raises:
        ValueError: Several places are named.
    """
    file, detects = keypoint_file(args), args.pose_config or args.pose_checkpoint or args.person_checkpoint
    named = {"--keypoints": args.keypoints, "--keypoints-member": args.keypoints_member, "--pose-config": detects}
    given = [name for name, value in named.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are two places where keypoints come from; give one")
    if args.keypoints_member is not None:
        return members_beside
    if file is not None:
        return KeypointFolder(file) if file.is_dir() else KeypointTable(file)
    checkpoints = args.pose_checkpoint, args.person_checkpoint
    if is_rtmpose(args.pose_config, args.pose_checkpoint):
        pose, person = local_weights(args.pose_config, *checkpoints)
        checkpoints = str(pose), str(person)
    # in the workers, which must not touch a GPU that this process has opened
    return DetectedPeople(functools.partial(choose_detector, args.pose_config, checkpoints[0], "cpu", checkpoints[1]))


def build_inferencer(args: argparse.Namespace) -> MIONInferencer:
    """The model, on the GPU of this process's rank where there is one.

    Raises:
        ValueError: No trained weights come with the package.
    """
    stage = last_stage(args)
    if stage == 1:
        raise ValueError("no trained weights come with the package; give --config and --checkpoint")
    device = args.device or (f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu")
    return MIONInferencer(
        make_config(args, stage), args.checkpoint, device=device, amp=args.amp, use_depths=not args.no_depths
    )


def settings_of(
    args: argparse.Namespace, source: PhotographSource, inferencer: MIONInferencer
) -> dict[str, str | int | float | bool | None]:
    """What decides the results."""
    file = keypoint_file(args)
    networks = {name: getattr(args, name) for name in ("pose_config", "pose_checkpoint", "person_checkpoint")}
    return {
        "photographs": source.digest(),
        "keypoints": None if file is None else hash_keypoints(file)[:16],
        "keypoints_member": args.keypoints_member,
        **{name: value and told_by_content(value) for name, value in networks.items()},
        "use_depths": not args.no_depths,
        "version": mion_plugin.__version__,
        "model": model_digest(inferencer.model, inferencer.cfg.model),
        "amp": args.amp,
        "batch_size": args.batch_size,
        "shard_size": args.shard_size,
    }


def hash_keypoints(path: Path) -> str:
    """SHA-256 of a file of keypoints, or of all files in a folder of OpenPose's."""
    return hash_files(OpenPoseFolder(path).files) if path.is_dir() else hash_file(path)


class Report:
    """Prints how far a run is, and how fast it was.

    Args:
        part: What this process does.
    """

    def __init__(self, part: Part) -> None:
        self._name = program("predict.py") + ("" if part.count == 1 else f" {part.index}/{part.count}")
        self._start = time.perf_counter()
        self._photographs = self._people = 0

    def add(self, done: PieceDone) -> None:
        """A line on standard error for each shard."""
        self._photographs += done.num_photographs
        self._people += done.num_people
        skipped = f", {done.num_problems} skipped" if done.num_problems else ""
        print(
            f"{self._name}: {done.name}.npz: {done.num_photographs} photographs, {done.num_people} people{skipped}; "
            f"{self._rate()}",
            file=sys.stderr,
            flush=True,
        )

    def close(self, summary: dict, path: Path) -> None:
        """The end, on standard output."""
        print(f"{summary['photographs']} photographs, {summary['people']} people in {summary['shards']} shards")
        for kind, count in summary["num_skipped"].items():
            if count:
                print(f"skipped, {kind}: {count}")
        if self._photographs:
            print(f"now {self._photographs} photographs, {self._people} people: {self._rate()}")
        print(f"written: {path}")

    def _rate(self) -> str:
        seconds = max(time.perf_counter() - self._start, 1e-9)
        return f"{self._people / seconds:.1f} people and {self._photographs / seconds:.1f} photographs per second"
