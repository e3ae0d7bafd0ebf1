"""A data set cut down to what training sees of it: a picture around every person, and the same annotations."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.conversion.crop_regions import Augmentation, move_annotations, person_region
from mion_plugin.datasets.human_data import HumanData, load_human_data
from mion_plugin.datasets.human_dataset import LOST_IMAGE
from mion_plugin.datasets.sample_table import box_columns, smpl_columns
from mion_plugin.datasets.transforms.loading import read_reduced
from mion_plugin.files import remove_leftovers
from mion_plugin.files.hashing import digest, file_lengths, hash_file
from mion_plugin.files.images import write_image
from mion_plugin.files.npz import read_npz, write_npz
from mion_plugin.files.pieces import Columns, Pieces, check_settings

PIECE = 256  # people that a killed run loses at most, for each worker
FORMATS = ("jpg", "png")
_VERSION = 1  # raise it when the same settings give other files


@dataclass(frozen=True)
class CacheOptions:
    """How a cache is made.

    Attributes:
        augmentation: The strongest that it is to serve.
        image_format: ``jpg`` or ``png``, which loses nothing.
        quality: Of JPEG, 1 to 100.
        all_pixels: Store the photographs' own pixels; otherwise people who are larger than crops show are reduced.
        allow_lost: People whose image is missing or broken stay in the file without a picture, and
            ``mion.HumanDataset`` puts the same other sample in their place as it did before; otherwise they are errors.

    Raises:
        ValueError: An unknown format, a quality out of range.
    """

    augmentation: Augmentation = field(default_factory=Augmentation)
    image_format: str = "jpg"
    quality: int = 95
    all_pixels: bool = False
    allow_lost: bool = False

    def __post_init__(self) -> None:
        """Check format and quality."""
        if self.image_format not in FORMATS:
            raise ValueError(f"image_format {self.image_format!r}, expected one of {', '.join(FORMATS)}")
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality {self.quality}, expected 1 to 100")

    def text(self, **files: str) -> str:
        """All that decides the content, the digests of files with it, as JSON; kept as HumanData's ``config``."""
        numbers = asdict(self)
        settings = {
            "version": _VERSION,
            **files,
            **numbers.pop("augmentation"),
            **numbers,
        }
        return json.dumps(settings, sort_keys=True)


@dataclass(frozen=True)
class Layout:
    """Where a data set lies: the annotation file, and the folder that its image paths start from."""

    annotations: Path
    images: Path


@dataclass(frozen=True)
class CachedSet:
    """What was made: the annotation file, the number of its rows, and how many of them have no picture."""

    path: Path
    num_people: int
    num_lost: int


def cache_crops(
    source: Layout,
    out: Layout,
    options: CacheOptions | None = None,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CachedSet:
    """Write a picture around every person of a HumanData file, and the file in those pictures' pixels.

    The rows are the same ones in the same order, so ``mion.HumanDataset`` draws the same augmentation for them.
    Pictures come first and in pieces; the annotation file appears when all are there. A run that was killed goes on
    when called again with the same options, and ends with the files of an undisturbed run. Only one run at a time may
    write a set.

    Args:
        source: The set.
        out: Where to; pictures at ``out.images / out.annotations.stem / 0000 / 0000000.jpg``, a thousand to a folder.
        options: How.
        workers: Processes; 0 for this one.
        progress: Called with the number of people that are ready, and of all.

    Raises:
        FileNotFoundError: No annotation file, or an image is missing.
        BrokenImageError: An image cannot be read.
        ValueError: Annotations that cannot be used; ``out`` holds something else under that name.
        OSError: ``out`` cannot be written.
    """
    options = options or CacheOptions()
    if workers < 0:
        raise ValueError(f"{workers} workers, expected at least 0")
    data = load_human_data(source.annotations)
    work = _CropWork(data, source, out, options)
    count, what = len(data), f"{out.annotations} is a cache of crops"
    # pieces tell the photographs that they were made of: a lost one may be put right while others are done
    annotations = hash_file(source.annotations)
    settings = options.text(annotations=annotations, photographs=digest(work.lengths.tobytes()))
    folder = out.annotations.with_name(f".{out.annotations.stem}_pieces")
    pieces = Pieces(folder, options.text(annotations=annotations), what, count, PIECE)
    if out.annotations.exists():
        lost = _finished_lost(out.annotations, settings, what)
        pieces.remove()  # of a run that was killed before it could
        progress(count, count)
        return CachedSet(out.annotations, count, lost)
    # errors before hours of work: what cannot be moved, and what trainings would refuse
    move_annotations(data, np.zeros((count, 2)), np.ones((count, 2)), np.ones(count))
    smpl_columns(data)
    if pieces.claim():
        pieces.keep(lambda rows, columns: np.array_equal(columns.get("length", ()), work.lengths[rows]))
        remove_leftovers(out.annotations)
        for folder in (out.images / out.annotations.stem).glob("*"):
            remove_leftovers(folder / f"*.{options.image_format}")
    pieces.do(work, workers, lambda done: progress(done, count))
    columns = pieces.columns()
    write_npz(out.annotations, _content(data, columns, work.names, settings))
    pieces.remove()
    return CachedSet(out.annotations, count, int(columns["lost"].sum()))


class _CropWork:
    """Writes the pictures of some rows, and returns of which regions."""

    def __init__(self, data: HumanData, source: Layout, out: Layout, options: CacheOptions) -> None:
        if not len(data):
            raise data.error("image_path", "holds no rows: nothing to write")
        boxes = box_columns(data)
        self._centers, self._sides = boxes["center"], boxes["scale"][:, 0]
        self._paths = [data.image_path(row, os.fspath(source.images)) for row in range(len(data))]
        stem, suffix = out.annotations.stem, options.image_format
        self.names = [f"{stem}/{row // 1000:04d}/{row:07d}.{suffix}" for row in range(len(data))]
        self._out, self._options = out.images, options
        self.lengths = file_lengths(Path(), self._paths)

    def __call__(self, rows: range) -> Columns:
        """``first`` (n, 2), ``size`` (n, 2) and ``reduction`` (n,) as ``move_annotations``; ``lost`` (n,) 0 or 1.

        And ``length`` (n,), the photographs' in bytes.
        """
        found: dict[int, tuple[Any, ...]] = {}
        for path, group in groupby(sorted(rows, key=lambda row: self._paths[row]), key=lambda row: self._paths[row]):
            found.update(self._write_photograph(path, list(group)))
        columns = zip(*(found[row] for row in rows), strict=True)
        told = {
            name: np.array(column, dtype=np.float64)
            for name, column in zip(("first", "size", "reduction", "lost"), columns, strict=True)
        }
        return {**told, "length": self.lengths[rows]}

    def _write_photograph(self, path: str, rows: list[int]) -> dict[int, tuple[Any, ...]]:
        """The pictures of all rows that show one photograph, which is read once."""
        augmentation, all_pixels = self._options.augmentation, self._options.all_pixels
        least = 1.0 if all_pixels else min(augmentation.reduction(self._sides[row]) for row in rows)
        try:
            image, shape, reduction = read_reduced(path, least)
        except LOST_IMAGE:
            if not self._options.allow_lost:
                raise
            return dict.fromkeys(rows, ((0, 0), (1, 1), 1.0, 1))
        encoding = {"quality": self._options.quality} if self._options.image_format == "jpg" else {}
        found: dict[int, tuple[Any, ...]] = {}
        for row in rows:
            region = person_region(self._centers[row], self._sides[row], shape, augmentation, all_pixels)
            write_image(region.cut(image, reduction), self._out / self.names[row], **encoding)
            found[row] = ((region.left, region.top), (region.width, region.height), region.reduction, 0)
        return found


def _content(data: HumanData, columns: Columns, names: list[str], settings: str) -> dict[str, Any]:
    """The new file's content; its keypoints stay compressed if they were."""
    moved = move_annotations(data, columns["first"], columns["size"].astype(int), columns["reduction"])
    return {
        **moved,
        "image_path": np.array(names),
        "config": np.array(settings),
        "num_lost": np.array(int(columns["lost"].sum())),
        "__key_strict__": np.array(False),
        "__data_len__": np.array(len(data)),
        "__keypoints_compressed__": np.array(data.keypoints_compressed),
    }


def _finished_lost(path: Path, settings: str, what: str) -> int:
    """How many rows of a finished cache have no picture, if it was made with these settings."""
    try:
        found = read_npz(path, "cache of crops", only=("config", "num_lost"))
        config, lost = str(found["config"]), int(found["num_lost"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is there already, and is no cache of crops; choose another folder") from error
    check_settings(settings, config, what)
    return lost
