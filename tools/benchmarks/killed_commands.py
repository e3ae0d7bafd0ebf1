"""The commands that are killed: small runs of the tools, the readers of what they leave, and their results."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from benchmarks.left_files import (
    Readers,
    contents,
    files_in,
    is_temporary,
    read_human_data_with_images,
    training_state,
)
from mmengine.config import Config
from PIL import Image

from mion_plugin.candidates.pool import load_pool
from mion_plugin.datasets.human_data import load_human_data
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.detection.mmpose_estimator import find_config
from mion_plugin.detection.person_boxes import read_coco
from mion_plugin.engine.checkpoints import load_local_checkpoint
from mion_plugin.files.json_files import read_json

TOOLS = Path(__file__).parents[1]
TRAINING_CONFIG = TOOLS.parent / "configs/mion/mrt_tiny_synthetic.py"
_EPOCHS, _STEPS, _BATCH_SIZE = 3, 4, 2
_TRAINING = (
    f"train_dataloader.batch_size={_BATCH_SIZE}",
    f"train_dataloader.dataset.num_samples={_STEPS * _BATCH_SIZE}",
    f"train_cfg.max_epochs={_EPOCHS}",
    f"param_scheduler.1.T_max={_EPOCHS}",
    "default_hooks.logger.interval=1",
    "val_dataloader=None",
    "val_cfg=None",
    "val_evaluator=None",
)
_PEOPLE = 400  # four pieces of detection


@dataclass(frozen=True)
class KilledCommand:
    """A small run of a tool.

    Attributes:
        command: ``(inputs, out)`` to program and arguments.
        readers: How to read what it leaves in ``out``.
        prepare: Writes the inputs into an empty folder.
        set_up: ``(inputs, out)``: puts into ``out`` what the tool finds there.
        again: Options of the start after the kill.
        result: ``out`` to the result; None for the bytes of all files that are not temporary.
        first: Pattern of the file that begins the work.
    """

    command: Callable[[Path, Path], list[str]]
    readers: Readers
    prepare: Callable[[Path], None] = lambda inputs: None
    set_up: Callable[[Path, Path], None] = lambda inputs, out: None
    again: tuple[str, ...] = ()
    result: Callable[[Path], dict[str, bytes]] | None = None
    first: str = "*"

    def read_result(self, out: Path) -> dict[str, bytes]:
        """What is compared with an uninterrupted run."""
        if self.result is not None:
            return self.result(out)
        return contents(out, [name for name in files_in(out) if not is_temporary(name)])


def tool(name: str, *arguments: object) -> list[str]:
    """A command line of one of the tools."""
    return [sys.executable, str(TOOLS / name), *map(str, arguments)]


def _train(inputs: Path, out: Path) -> list[str]:
    return tool("train.py", TRAINING_CONFIG, "--work-dir", out, "--cfg-options", *_TRAINING)


def _build_pool(inputs: Path, out: Path) -> list[str]:
    options = ("--num-poses", 300, "--num-orientations", 10)
    return tool("build_candidate_pool.py", "--source", inputs, "--out", out / "pool.npz", *options)


def _synthesize(inputs: Path, out: Path) -> list[str]:
    return tool("synthesize.py", "--out", out, "--num-images", 520, "--image-size", 48)


def _detect(inputs: Path, out: Path) -> list[str]:
    network = ("--config", inputs / "network.py", "--checkpoint", inputs / "network.pth", "--device", "cpu")
    return tool("detect_keypoints.py", "--images", inputs / "images", "--out", out / "people.json", *network)


def _convert(inputs: Path, out: Path) -> list[str]:
    options = ("--split", "train_run0", "--data-root", out, "--extract-frames", "--frame-step", 1)
    return tool("convert_dataset.py", "surreal", *options)


def _write_motion(inputs: Path) -> None:
    for seed in range(4):
        _tests_module("mocap_files").write_body_bvh(inputs / f"{seed}.bvh", num_frames=150, seed=seed)


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


def _write_archive(inputs: Path) -> None:
    for seed in range(6):
        name = f"{seed:02d}_01"
        folder = inputs / "datasets/surreal/train/run0" / name
        _tests_module("official_archives").write_surreal_clip(folder, f"{name}_c0001", seed % 2, 40, seed)


def _copy_archive(inputs: Path, out: Path) -> None:
    shutil.copytree(inputs, out, dirs_exist_ok=True)  # the tool writes the frames beside the videos


def _tests_module(name: str):  # noqa: ANN202  # a module
    """The tests' writers of miniature inputs."""
    import importlib

    folder = str(TOOLS.parent / "tests")
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
    "pool building": KilledCommand(_build_pool, {"pool.npz": load_pool}, _write_motion),
    "synthesis": KilledCommand(_synthesize, {**_PIECES, "*.jpg": read_image, "train.npz": read_human_data_with_images}),
    "detection": KilledCommand(_detect, {**_PIECES, "people.json": read_coco}, _write_network_and_images),
    "dataset conversion": KilledCommand(
        _convert,
        {"*.jpg": read_image, "*.npz": load_human_data},
        _write_archive,
        _copy_archive,
    ),
}
