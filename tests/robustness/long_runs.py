"""The long runs whose memory is measured: small steps of the tools, and how far they have come."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mion_plugin.detection.detection_run import Detections
from mion_plugin.detection.keypoint_files import write_coco
from mion_plugin.detection.person_boxes import PersonBoxes
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.synthesis.synthesizer import CONVENTION
from mion_plugin.synthesis.writing import SetSettings
from robustness.small_training import small_training

_EPOCHS = 10  # a checkpoint after each
_LOG_INTERVAL = 5  # steps between two lines that tell the progress
_PATHS = 2  # a chosen and a rejected one: drawing more takes most of the time
_PICTURES, _PICTURE_SIZE = 50, 112  # different ones; copies of them make up the folder
_SHARD_SIZE = 50  # photographs in a file of results, whose files tell the progress


@dataclass(frozen=True)
class LongRun:
    """A run of many small steps.

    Attributes:
        main: Gives the tool's ``main``.
        options: ``(inputs, out, steps)`` to its command line.
        progress: ``out`` to the number of steps done.
        prepare: ``(inputs, steps)``: writes the inputs into an empty folder.
    """

    main: Callable[[], Callable[[list[str]], int | None]]
    options: Callable[[Path, Path, int], list[Any]]
    progress: Callable[[Path], int]
    prepare: Callable[[Path, int], None] = lambda inputs, steps: None

    def arguments(self, inputs: Path, out: Path, steps: int) -> list[str]:
        """The command line."""
        return [str(option) for option in self.options(inputs, out, steps)]


def _train(inputs: Path, out: Path, steps: int) -> list[Any]:
    if steps % _EPOCHS:
        raise ValueError(f"{steps} steps of training, expected a multiple of {_EPOCHS}")
    return small_training(out, _EPOCHS, steps // _EPOCHS, _LOG_INTERVAL)


def _steps_logged(out: Path) -> int:
    """The step of the last whole line of the training's log of numbers."""
    for path in out.glob("*/vis_data/scalars.json"):
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return int(json.loads(lines[-1])["step"]) if lines else 0
    return 0


def _demo(inputs: Path, out: Path, steps: int) -> list[Any]:
    people = ["--keypoints", inputs / "people.json", "--num-candidates", _PATHS]
    return [inputs / "images", *people, "--out", out, "--device", "cpu"]


def _pictures_written(out: Path) -> int:
    return sum(1 for _ in out.glob("*_overlay.jpg"))


def write_photographs(inputs: Path, steps: int) -> None:
    """A synthetic person in each picture, and their keypoints."""
    synthesizer = SetSettings(_PICTURES, image_size=_PICTURE_SIZE).build()
    names, keypoints2d = [f"{number:05d}.png" for number in range(steps)], []
    (inputs / "images").mkdir()
    for number, name in enumerate(names):
        original = number % _PICTURES
        if number < _PICTURES:
            sample = synthesizer.sample(number)
            Image.fromarray(sample["image"]).save(inputs / "images" / name)
            keypoints2d.append(convert_keypoints(sample["keypoints2d"], CONVENTION, "coco")[0])
        else:
            shutil.copy(inputs / "images" / names[original], inputs / "images" / name)
            keypoints2d.append(keypoints2d[original])
    box = np.array([0.0, 0.0, _PICTURE_SIZE, _PICTURE_SIZE])
    found = Detections(np.stack(keypoints2d), np.tile(box, (steps, 1)), np.tile(box[2:], (steps, 1)))
    write_coco(PersonBoxes(tuple(names)), inputs / "people.json", found, settings="", min_score=0.0)


def _predict(inputs: Path, out: Path, steps: int) -> list[Any]:
    people = ["--keypoints", inputs / "people.json", "--shard-size", _SHARD_SIZE, "--workers", 1]
    return [inputs / "images", *people, "--out", out, "--device", "cpu"]


def _photographs_predicted(out: Path) -> int:
    """Those of the shards before the latest: when the last is written the worker is gone, and its memory."""
    return _SHARD_SIZE * max(sum(not path.name.startswith(".") for path in out.glob("*.npz")) - 1, 0)


def _main(tool: str) -> Callable[[list[str]], int]:
    """A tool's ``main``, with what it imports."""
    importlib.import_module(f"commands.{tool}")
    return importlib.import_module(tool).main


RUNS: dict[str, LongRun] = {
    "training": LongRun(lambda: _main("train"), _train, _steps_logged),
    "demo images": LongRun(lambda: _main("demo"), _demo, _pictures_written, write_photographs),
    "prediction": LongRun(lambda: _main("predict"), _predict, _photographs_predicted, write_photographs),
}
