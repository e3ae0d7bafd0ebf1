"""Writing a synthetic data set: images and one HumanData file, piece by piece, so that a killed run can go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.splits import TEST_FRACTION
from mion_plugin.files import remove_leftovers
from mion_plugin.files.hashing import told_by_content
from mion_plugin.files.images import write_image
from mion_plugin.files.npz import read_npz, write_npz
from mion_plugin.files.pieces import Columns, Pieces, check_settings
from mion_plugin.geometry.camera import IMAGE_SIZE
from mion_plugin.geometry.keypoints import keypoint_mapping, keypoint_names
from mion_plugin.synthesis.dataset import body_settings, pose_source
from mion_plugin.synthesis.degradation import AUGMENTED
from mion_plugin.synthesis.recipes import read_looks
from mion_plugin.synthesis.synthesizer import CONVENTION, Synthesizer

PIECE = 128  # images that a killed run loses at most, for each worker
_JPEG_QUALITY = 95
_PATHS = ("pool", "backgrounds", "skins", "body_model")  # settings that may name files
_VERSION = 1  # of the recipe: raise it when the same settings give other pictures


@dataclass(frozen=True)
class SetSettings:
    """What decides the content of a synthetic set. Paths are text or None for the defaults; see ``Synthesizer``.

    ``looks`` is a recipe of ``read_looks``; ``augment`` has a mild mixture in place of its degradation; ``bodies`` are
    (name, value) pairs of ``BodySettings`` that replace the recipe's.
    """

    num_images: int
    split: str = "train"
    seed: int = 0
    image_size: int = IMAGE_SIZE
    pool: str | None = None
    test_clips: tuple[str, ...] | None = None
    test_fraction: float = TEST_FRACTION
    split_seed: int = 0
    backgrounds: str | None = None
    skins: str | None = None
    body_model: str | None = None
    augment: bool = False
    detected_noise: float | None = None
    looks: str = "plain"
    bodies: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        """Check the number of images; the rest is checked where it is used."""
        if self.num_images < 1:
            raise ValueError(f"num_images {self.num_images}, expected at least 1")

    def text(self) -> str:
        """All settings as JSON, with the contents of the files they name; kept in the set as HumanData's ``config``."""
        told = {"version": _VERSION, **asdict(self)}
        told |= {name: told[name] and told_by_content(told[name]) for name in _PATHS}
        return json.dumps(told, sort_keys=True)

    def build(self) -> Synthesizer:
        """The synthesizer; raises as ``Synthesizer`` and ``pose_source``."""
        return Synthesizer(
            pose_source(
                self.pool, self.split, self.test_clips, split_seed=self.split_seed, test_fraction=self.test_fraction
            ),
            seed=self.seed,
            image_size=self.image_size,
            body=SMPLBody(self.body_model),
            settings=body_settings(self.split, dict(self.bodies), self.looks),
            detected_noise=self.detected_noise,
            **{
                **read_looks(self.backgrounds, self.skins, recipe=self.looks),
                **({"degradation": AUGMENTED} if self.augment else {}),
            },
        )


def write_set(
    settings: SetSettings, out: str | Path, workers: int = 0, progress: Callable[[int], None] = lambda done: None
) -> Path:
    """Write ``out/{split}.npz`` and the images ``out/images/{split}/...``.

    Images come first and in pieces; the annotation file appears when all are there. A run that was killed goes on
    when called again with the same settings, and ends with the files of an undisturbed run. Only one run at a time may
    write to a folder.

    Args:
        settings: What to write.
        out: Folder; made if need be.
        workers: Processes; 0 for this one.
        progress: Called with the number of images that are ready.

    Returns:
        The annotation file.

    Raises:
        ValueError: ``out`` holds a set of other settings under this split's name; a setting is out of range.
        FileNotFoundError, OSError: A file is missing, or ``out`` cannot be written.
    """
    if workers < 0:
        raise ValueError(f"{workers} workers, expected at least 0")
    out = Path(out)
    annotation_file, what = out / f"{settings.split}.npz", f"{out} holds a {settings.split} set"
    pieces = Pieces(out / f".{settings.split}_pieces", settings.text(), what, settings.num_images, PIECE)
    if annotation_file.exists():
        check_settings(settings.text(), _finished_settings(annotation_file), what)
        pieces.remove()  # of a run that was killed before it could
        progress(settings.num_images)
        return annotation_file
    synthesizer = settings.build()  # before anything is written: it checks the settings
    if pieces.claim():
        remove_leftovers(annotation_file)
        for folder in (out / "images" / settings.split).glob("*"):
            remove_leftovers(folder / "*.jpg")
    pieces.do(_PictureWork(settings.split, synthesizer, out), workers, progress)
    write_npz(annotation_file, human_data_arrays(settings, pieces.columns(), synthesizer.body.gender))
    pieces.remove()
    return annotation_file


def image_name(split: str, index: int) -> str:
    """Path of an image below the set's folder; a thousand to a folder."""
    return f"images/{split}/{index // 1000:04d}/{index:07d}.jpg"


def _finished_settings(annotation_file: Path) -> str:
    found = read_npz(annotation_file, "set that this tool wrote", only=("config",))
    if "config" not in found:
        raise ValueError(f"{annotation_file} is not a set that this tool wrote: it holds no config")
    return str(found["config"])


@dataclass(frozen=True)
class _PictureWork:
    """Writes the images of some rows and returns their annotations."""

    split: str
    synthesizer: Synthesizer
    out: Path

    def __call__(self, rows: range) -> Columns:
        """The columns of ``Synthesizer.sample``, without the pictures."""
        samples = []
        for index in rows:
            sample = self.synthesizer.sample(index)
            image = Image.fromarray(sample.pop("image"))
            write_image(image, self.out / image_name(self.split, index), quality=_JPEG_QUALITY)
            del sample["mask"]
            samples.append(sample)
        return {key: np.stack([sample[key] for sample in samples]) for key in samples[0]}


def human_data_arrays(settings: SetSettings, columns: dict[str, np.ndarray], gender: str) -> dict[str, Any]:
    """The content of the HumanData file: keypoints compressed to those that bodies have, pickled dicts where the format
    wants dicts.
    """
    count, size = settings.num_images, settings.image_size
    human_data, own = (np.array(rows) for rows in keypoint_mapping(CONVENTION, "human_data"))
    order = human_data.argsort()  # compressed keypoints stand in the order of the full ones
    mask = np.zeros(len(keypoint_names("human_data")), np.uint8)
    mask[human_data] = 1
    keys = [key for key in ("keypoints2d", "keypoints3d", "keypoints2d_detected") if key in columns]
    arrays: dict[str, Any] = {key: columns[key][:, own[order]] for key in keys}
    arrays |= {f"{key}_mask": mask for key in keys}
    arrays |= {f"{key}_convention": np.array("human_data") for key in keys}
    pose = columns["pose"]
    return arrays | {
        "image_path": np.array([image_name(settings.split, index) for index in range(count)]),
        "bbox_xywh": np.tile(np.array([0, 0, size, size, 1], np.float32), (count, 1)),
        "smpl": {
            "body_pose": pose[:, 1:],
            "global_orient": pose[:, 0],
            "betas": columns["betas"],
            "transl": columns["transl"],
        },
        "meta": {"gender": np.full(count, gender)},
        "cam_param": {"K": columns["cam_intrinsics"]},
        "misc": {"visible": columns["visible"][:, own[order]], "pose_index": columns["pose_index"]},
        "config": np.array(settings.text()),
        "__key_strict__": np.array(False),
        "__data_len__": np.array(count),
        "__keypoints_compressed__": np.array(True),
    }
