"""The commands that are killed: small runs of the tools, the readers of what they leave, and their results."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from PIL import Image

from mion_plugin.asset_building.pool.bvh import read_bvh
from mion_plugin.candidates.pool import load_pool
from mion_plugin.datasets.human_data import load_human_data
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.detection.mmpose_estimator import find_config
from mion_plugin.detection.person_boxes import read_coco
from mion_plugin.files.checkpoints import load_local_checkpoint
from mion_plugin.files.json_files import read_json
from mion_plugin.geometry.keypoints import flip_permutation
from mion_plugin.inference.videos import VideoReader, VideoWriter
from mion_plugin.prediction import read_shard
from robustness.left_files import (
    Readers,
    contents,
    files_in,
    is_temporary,
    read_human_data_with_images,
    training_state,
)
from robustness.long_runs import write_photographs
from robustness.small_training import small_training

REPOSITORY = Path(__file__).parents[2]
_EPOCHS, _STEPS = 3, 4
_IMAGES = _PEOPLE = 260  # three pieces
_PHOTOGRAPHS, _SHARD_SIZE = 120, 20
_FRAMES, _SHRINK = 60, 4  # of the video; its sides are so many times smaller than the photograph's
_EXCHANGED, _MIRRORED = range(24, 32), list(flip_permutation("coco"))


@dataclass(frozen=True)
class KilledCommand:
    """A small run of a tool.

    Attributes:
        tool: Name of its module.
        options: ``(inputs, out)`` to its command line.
        readers: How to read what it leaves in ``out``.
        prepare: Writes the inputs into an empty folder.
        set_up: ``(inputs, out)``: puts into ``out`` what the tool finds there.
        again: Options of the start after the kill.
        result: ``out`` to the result; None for the bytes of all files that are not temporary.
        first: Pattern of the file that begins the work.
    """

    tool: str
    options: Callable[[Path, Path], list[Any]]
    readers: Readers
    prepare: Callable[[Path], None] = lambda inputs: None
    set_up: Callable[[Path, Path], None] = lambda inputs, out: None
    again: tuple[str, ...] = ()
    result: Callable[[Path], dict[str, bytes]] | None = None
    first: str = "*"

    def main(self) -> Callable[[list[str]], int]:
        """The tool's ``main``, with what it imports."""
        importlib.import_module(f"commands.{self.tool}")
        return importlib.import_module(self.tool).main

    def arguments(self, inputs: Path, out: Path) -> list[str]:
        """The command line."""
        return [str(option) for option in self.options(inputs, out)]

    def read_result(self, out: Path) -> dict[str, bytes]:
        """What is compared with an uninterrupted run."""
        if self.result is not None:
            return self.result(out)
        return contents(out, [name for name in files_in(out) if not is_temporary(name)])


def _train(inputs: Path, out: Path) -> list[Any]:
    return small_training(out, _EPOCHS, _STEPS, log_interval=1)


def _build_pool(inputs: Path, out: Path) -> list[Any]:
    return ["--source", inputs, "--out", out / "pool.npz", "--num-poses", 1000, "--num-orientations", 30]


def _synthesize(inputs: Path, out: Path) -> list[Any]:
    return ["--out", out, "--num-images", _IMAGES, "--image-size", 48]


def _detect(inputs: Path, out: Path) -> list[Any]:
    network = ["--config", inputs / "network.py", "--checkpoint", inputs / "network.pth", "--device", "cpu"]
    return ["--images", inputs / "images", "--out", out / "people.json", *network]


def _predict(inputs: Path, out: Path) -> list[Any]:
    pace = ["--shard-size", _SHARD_SIZE, "--batch-size", 8, "--workers", 1, "--device", "cpu", "--num-candidates", 2]
    return [inputs / "images", "--keypoints", inputs / "people.json", "--out", out, *pace]


def _watch(inputs: Path, out: Path) -> list[Any]:
    pace = ["--batch-size", 4, "--device", "cpu", "--num-candidates", 2, "--smooth", "--save-motion", "npz", "bvh"]
    return [inputs / "clip.mp4", "--keypoints", inputs / "people.json", "--out", out, *pace]


def _convert(inputs: Path, out: Path) -> list[Any]:
    return ["surreal", "--split", "train_run0", "--data-root", out, "--extract-frames", "--frame-step", 1]


def _write_motion(inputs: Path) -> None:
    for seed in range(4):
        _tests_module("mocap_files").write_body_bvh(inputs / f"{seed}.bvh", num_frames=300, seed=seed)


def _write_network_and_images(inputs: Path) -> None:
    """A small network of mmpose with random weights, and pictures of noise."""
    shipped = find_config("shufflenetv2_coco_256x192")
    config = inputs / "network.py"
    config.write_text(f"_base_ = ['{shipped}']\ndata_cfg = dict(image_size=[64, 64], heatmap_size=[16, 16])\n")
    estimator = _tests_module("mmpose_networks").build_random(config)
    torch.save({"state_dict": estimator.model.state_dict()}, inputs / "network.pth")
    rng = np.random.default_rng(0)
    (inputs / "images").mkdir()
    for number in range(_PEOPLE):
        Image.fromarray(rng.integers(0, 256, (80, 64, 3), dtype=np.uint8)).save(inputs / f"images/{number:04d}.png")


def _write_clip(inputs: Path) -> None:
    """The photograph of the package as a video in which the person moves to the right, and their keypoints.

    Left and right are exchanged in some frames, as a detector may take them.
    """
    content = json.loads(KEYPOINTS.read_text(encoding="utf-8"))
    (person,) = content["annotations"]
    with Image.open(PHOTO) as photo:
        small = photo.convert("RGB").resize((photo.width // _SHRINK // 2 * 2, photo.height // _SHRINK // 2 * 2))
    points = np.array(person["keypoints"], float).reshape(-1, 3) / [_SHRINK, _SHRINK, 1]
    annotations = []
    with VideoWriter(inputs / "clip.mp4", 25.0, small.size) as writer:
        for frame in range(_FRAMES):
            writer.write(np.asarray(small))
            moved = (points + np.array([0.3 * frame, 0, 0]))[_MIRRORED if frame in _EXCHANGED else slice(None)]
            annotations.append({**person, "id": frame, "image_id": frame, "keypoints": moved.ravel().tolist()})
    images = [{"id": frame, "file_name": f"clip_{frame:06d}.jpg"} for frame in range(_FRAMES)]
    (inputs / "people.json").write_text(json.dumps({"images": images, "annotations": annotations}), encoding="utf-8")


def _write_archive(inputs: Path) -> None:
    for seed in range(6):
        name = f"{seed:02d}_01"
        folder = inputs / "datasets/surreal/train/run0" / name
        _tests_module("official_archives").write_surreal_clip(folder, f"{name}_c0001", seed % 2, 40, seed)


def _copy_archive(inputs: Path, out: Path) -> None:
    shutil.copytree(inputs, out, dirs_exist_ok=True)  # the tool writes the frames beside the videos


def _tests_module(name: str) -> ModuleType:
    """The tests' writers of miniature inputs."""
    folder = str(REPOSITORY / "tests")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(f"support.{name}")


def _read_arrays(path: Path) -> None:
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            archive[name]


def _read_lines_of_json(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        json.loads(line)


def _read_partial_lines(path: Path) -> None:
    """All but the last, which the kill may have cut off."""
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        json.loads(line)


def _read_video(path: Path) -> None:
    if sum(frame is not None for frame in VideoReader(path)) != _FRAMES:
        raise ValueError(f"expected {_FRAMES} frames")


def _read_pointer(path: Path) -> None:
    """The file that names the latest checkpoint."""
    load_local_checkpoint(path.read_text(encoding="utf-8").strip())


def _read_config(path: Path) -> None:
    if "model" not in Config.fromfile(path):
        raise ValueError("no model in it")


def _read_events(path: Path) -> None:
    """TensorBoard's own reader; it takes a record that is cut off at the end for the end."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    for _ in EventFileLoader(str(path)).Load():
        pass


_PIECES: Readers = {"*_pieces/settings.json": read_json, "*_pieces/*.npz": _read_arrays}
COMMANDS: dict[str, KilledCommand] = {
    "training": KilledCommand(
        "train",
        _train,
        {
            "*.pth": lambda path: load_local_checkpoint(str(path)),
            "last_checkpoint": _read_pointer,
            "*.py": _read_config,
            "*.json": _read_lines_of_json,
            "*.log": lambda path: path.read_text(encoding="utf-8"),
            "*/events.out.tfevents.*": _read_events,
        },
        again=("--resume",),
        result=lambda out: training_state(out / f"epoch_{_EPOCHS}.pth"),
        first="*.pth",
    ),
    "pool building": KilledCommand("build_candidate_pool", _build_pool, {"pool.npz": load_pool}, _write_motion),
    "synthesis": KilledCommand(
        "synthesize", _synthesize, {**_PIECES, "*.jpg": read_image, "train.npz": read_human_data_with_images}
    ),
    "detection": KilledCommand(
        "detect_keypoints", _detect, {**_PIECES, "people.json": read_coco}, _write_network_and_images
    ),
    "dataset conversion": KilledCommand(
        "convert_dataset", _convert, {"*.jpg": read_image, "*.npz": load_human_data}, _write_archive, _copy_archive
    ),
    "prediction": KilledCommand(
        "predict",
        _predict,
        {"settings.json": read_json, "summary.json": read_json, "*.npz": read_shard},
        lambda inputs: write_photographs(inputs, _PHOTOGRAPHS),
        first="*.npz",
    ),
    "video": KilledCommand(
        "demo",
        _watch,
        {
            "clip.partial.jsonl": _read_partial_lines,
            "clip.partial.json": read_json,
            "clip.jsonl": _read_lines_of_json,
            "*.mp4": _read_video,
            "*.npz": _read_arrays,
            "*.bvh": read_bvh,
        },
        _write_clip,
        again=("--resume",),
        first="*.partial.jsonl",
    ),
}
