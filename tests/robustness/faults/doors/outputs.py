"""Where results cannot be written: no room, no permission, something else in their place."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mion_plugin.body import SMPLBody
from mion_plugin.body.export import export_body
from mion_plugin.candidates.pool import load_default_pool, save_pool
from mion_plugin.datasets.human_data import save_human_data
from mion_plugin.weights import save_weights
from robustness.faults.case import ANYTHING, REFUSED, Case, Limits, WrongResultError
from robustness.faults.doors.configs import _TINY
from robustness.faults.doors.files import tool
from robustness.faults.seeds import Seeds
from robustness.faults.suite import may_mount

Writer = Callable[[Path], int | None]
"""Writes into a folder."""
_PATIENCE = 300.0  # seconds; exporting takes long
_ROOM = (4096, 65536)  # bytes, where small results fit
_LITTLE_ROOM = 512  # bytes, where none does


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    mounts = may_mount()
    for name, (prefix, write) in _writers(seeds).items():
        for told, kind, make, limits, disk in _obstacles(mounts):
            yield Case(
                f"output: {name}",
                kind,
                told,
                make,
                _entering(write),
                ANYTHING if told.endswith((f"{max(_ROOM)} bytes", f"{min(_ROOM)} bytes")) else REFUSED,
                ("out", "No space left", "File too large", "too large", "/proc/nothing", "/in/"),
                prefix,
                ("*",),  # what was written before there was no more room, each file whole
                limits,
                disk,
            )


def _entering(write: Writer) -> Callable[[str, Path], int | None]:
    def enter(where: str, out: Path) -> int | None:
        try:
            return write(out / where if where else out)
        finally:
            for path in out.rglob("*"):
                _require_whole(path)

    return enter


def _require_whole(path: Path) -> None:
    """Raise WrongResultError if a file of a known kind cannot be read."""
    try:
        if path.suffix in (".npz", ".pth", ".pt2"):
            zipfile.ZipFile(path).testzip()
        elif path.suffix in (".png", ".jpg", ".gif"):
            Image.open(path).load()
        elif path.suffix == ".json" and "vis_data" not in path.parts:  # a log grows line by line
            json.loads(path.read_text())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WrongResultError(f"{path.name} is half-written: {error}") from error


def _obstacles(mounts: bool) -> Iterator[tuple[str, str, Callable[[Path], Any], Limits, int | None]]:
    yield (
        f"files of at most {_LITTLE_ROOM} bytes",
        "no room",
        lambda folder: "",
        Limits(_PATIENCE, file_size=_LITTLE_ROOM),
        None,
    )
    for room in _ROOM:
        yield f"files of at most {room} bytes", "no room", lambda folder: "", Limits(_PATIENCE, file_size=room), None
        if mounts:
            yield f"a disk of {room} bytes", "no room", lambda folder: "", Limits(_PATIENCE), room
    yield "a folder that is read-only", "no permission", _read_only, Limits(_PATIENCE, unprivileged=True), None
    yield "a file in place of the folder", "in the way", _file, Limits(_PATIENCE), None
    yield "a link to itself in place of the folder", "in the way", _loop, Limits(_PATIENCE), None
    yield "a folder of the kernel", "no permission", lambda folder: "/proc/nothing", Limits(_PATIENCE), None
    yield "a name of 300 letters", "in the way", lambda folder: "n" * 300, Limits(_PATIENCE), None


def _read_only(folder: Path) -> str:
    out = folder.parent / "out" / "locked"
    out.mkdir()
    os.chmod(out, 0o555)
    return "locked"


def _file(folder: Path) -> str:
    (folder / "file").write_text("not a folder")
    return "../in/file"


def _loop(folder: Path) -> str:
    (folder / "loop").symlink_to("loop")
    return "../in/loop"


def _writers(seeds: Seeds) -> dict[str, tuple[str, Writer]]:
    photo, keypoints = str(seeds.path("photo.jpg")), str(seeds.path("keypoints.json"))
    video, weights = str(seeds.path("video.mp4")), str(seeds.path("weights.pth"))
    motion = str(seeds.path("motion.npz"))

    def command(name: str, *arguments: str) -> Writer:
        return lambda out: tool(name).main([argument.replace("{out}", str(out)) for argument in arguments])

    demo = (photo, "--keypoints", keypoints, "--save-mesh", "--turntable", "--out", "{out}")
    synthesize = ("--out", "{out}", "--num-images", "2", "--image-size", "224", "--workers", "0")
    lspet = ("lspet", "--split", "train", "--archive", str(seeds.path("lspet")), "--data-root", "{out}")
    pool = ("--source", motion, "--out", "{out}/pool.npz", "--num-poses", "10", "--num-orientations", "2")
    # in one process: the memory that workers share counts as files
    loader = ("dataset.num_samples=4", "batch_size=2", "num_workers=0", "persistent_workers=False")
    without = [f"val_{part}=None" for part in ("dataloader", "evaluator", "cfg")]
    options = ("train_cfg.max_epochs=1", *(f"train_dataloader.{option}" for option in loader), *without)
    train = (str(_TINY), "--work-dir", "{out}/work", "--cfg-options", *options)
    score = (photo, "--bodies", str(seeds.path("bodies.npz")), "--draw", "1", "--out", "{out}", "--device", "cpu")
    predict = (str(seeds.path("album/photos")), "--keypoints", keypoints, "--out", "{out}", "--num-candidates", "2")
    cache = ("train.npz", "--data-root", str(seeds.path("people")), "--out", "{out}", "--workers", "0")
    return {
        "score": ("score.py: error: ", command("score", *score)),
        "predict": ("predict.py: error: ", command("predict", *predict, "--workers", "0", "--device", "cpu")),
        "cache_crops": ("cache_crops: error: ", command("cache_crops", *cache)),
        "demo": ("demo.py: error: ", command("demo", *demo)),
        "demo, stage 1": ("demo.py: error: ", command("demo", *demo[:3], "--stage", "1", "--out", "{out}")),
        "demo, video": (
            "demo.py: error: ",
            command("demo", video, "--keypoints", str(seeds.path("video.json")), "--out", "{out}"),
        ),
        "synthesize": ("synthesize: error: ", command("synthesize", *synthesize)),
        "convert_dataset": ("convert_dataset: error: ", command("convert_dataset", *lspet)),
        "build_candidate_pool": ("build_candidate_pool: error: ", command("build_candidate_pool", *pool)),
        "export": ("export.py: error: ", command("export", "--out", "{out}", "--formats", "onnx")),
        "publish_model": ("publish_model.py: error: ", command("publish_model", weights, "{out}/weights.pth")),
        "train": ("train.py: error: ", command("train", *train)),
        "save_pool": ("", lambda out: save_pool(load_default_pool(), out / "pool.npz")),
        "export_body": ("", lambda out: _ignore(export_body(SMPLBody().arrays, out, "neutral"))),
        "save_human_data": ("", lambda out: _ignore(save_human_data(out / "people.npz", _people()))),
        "save_weights": ("", lambda out: save_weights(_large_weights(), out / "weights.pth")),
    }


def _ignore(result: Any) -> None:
    """A writer's result is in the folder."""


def _people() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "image_path": np.array(["a.jpg"] * 100),
        "bbox_xywh": rng.normal(size=(100, 5)),
        "x": rng.normal(size=10_000),
    }


def _large_weights() -> dict[str, Any]:
    import torch

    return {"weight": torch.randn(300, 100, generator=torch.Generator().manual_seed(0))}
