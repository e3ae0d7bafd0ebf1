"""The data sets that can be converted: their splits, files and sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mion_plugin.conversion.coco import convert_coco
from mion_plugin.conversion.leeds import convert_lsp, convert_lspet
from mion_plugin.conversion.mpii import convert_mpii
from mion_plugin.conversion.people import People, drop_lost_images, write_people
from mion_plugin.conversion.pw3d import convert_pw3d
from mion_plugin.conversion.surreal import convert_surreal
from mion_plugin.conversion.through_mmhuman3d import convert_h36m, convert_mpi_inf_3dhp
from mion_plugin.conversion.up3d import convert_up3d
from mion_plugin.files import remove_leftovers


@dataclass(frozen=True)
class OfficialSet:
    """A data set as its authors hand it out.

    Attributes:
        convert: ``(archive, split, **options, progress=...)`` to ``People`` or the keys of a HumanData file.
        splits: What can be converted; the file is ``{name}_{split}.npz``.
        source: Where the archive comes from.
        options: Keyword arguments of ``convert`` besides ``progress``.
    """

    convert: Callable[..., People | dict[str, Any]]
    splits: tuple[str, ...]
    source: str
    options: tuple[str, ...] = ()


OFFICIAL_SETS: dict[str, OfficialSet] = {
    "h36m": OfficialSet(
        convert_h36m,
        ("train", "mosh_train", "valid_protocol1", "valid_protocol2"),
        "register at vision.imar.ro/human3.6m; metadata.xml comes with the site's code",
        ("mosh", "extract"),
    ),
    "pw3d": OfficialSet(
        convert_pw3d,
        ("train", "validation", "test"),
        "virtualhumans.mpi-inf.mpg.de/3DPW: sequenceFiles.zip and imageFiles.zip",
    ),
    "mpi_inf_3dhp": OfficialSet(
        convert_mpi_inf_3dhp,
        ("train",),
        "vcai.mpi-inf.mpg.de/3dhp-dataset: its script get_dataset.sh",
        ("extract",),
    ),
    "coco": OfficialSet(
        convert_coco,
        ("2014_train", "2014_val"),
        "cocodataset.org: train2014.zip, annotations_trainval2014.zip",
    ),
    "mpii": OfficialSet(
        convert_mpii,
        ("train",),
        "human-pose.mpi-inf.mpg.de: mpii_human_pose_v1.tar.gz and mpii_human_pose_v1_u12_2.zip",
    ),
    "lsp": OfficialSet(
        convert_lsp,
        ("train", "test"),
        "sam.johnson.io/research/lsp.html: lsp_dataset_original.zip for training, lsp_dataset.zip for testing",
    ),
    "lspet": OfficialSet(
        convert_lspet,
        ("train",),
        "datasets.d2.mpi-inf.mpg.de/hr-lspet/hr-lspet.zip, or sam.johnson.io/research/lspet.html",
    ),
    "up3d": OfficialSet(
        convert_up3d,
        ("train", "val", "trainval", "test"),
        "files.is.tuebingen.mpg.de/classner/up: the archive up-3d",
    ),
    "surreal": OfficialSet(
        convert_surreal,
        tuple(f"{mode}_run{run}" for mode in ("train", "val", "test") for run in range(3)),
        "di.ens.fr/willow/research/surreal/data: accept the licence to get a password",
        ("frame_step", "extract"),
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What a conversion wrote.

    Attributes:
        path: The annotation file.
        num_people: Rows of it.
        left_out: Why people were left out, and how many.
    """

    path: Path
    num_people: int
    left_out: dict[str, int]


def convert_official_set(
    name: str,
    split: str,
    archive: Path,
    out: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    **options: Any,
) -> Outcome:
    """Write ``{name}_{split}.npz`` into ``out``, whole or not at all.

    Args:
        name: A key of ``OFFICIAL_SETS``.
        split: One of its splits.
        archive: The unpacked official archive; ``image_path`` in the file is relative to it.
        out: Folder of annotation files.
        progress: Called with the number of units done and of all.
        **options: The set's own.

    Raises:
        FileNotFoundError: A file of the archive is missing; the message says which, and where the archive comes from.
        ValueError, UnsafePickleError: Bad arguments, or files that are not what they should be.
        OSError: ``out`` cannot be written.
    """
    if name not in OFFICIAL_SETS:
        raise ValueError(f"data set {name!r}, expected one of {', '.join(OFFICIAL_SETS)}")
    official = OFFICIAL_SETS[name]
    if split not in official.splits:
        raise ValueError(f"{name} has no split {split!r}, expected one of {', '.join(official.splits)}")
    unknown = sorted(set(options) - set(official.options))
    if unknown:
        raise ValueError(f"{name} takes no {', '.join(unknown)}")
    path = out / f"{name}_{split}.npz"
    remove_leftovers(path)
    convert = partial(official.convert, **options)
    try:
        converted = convert(archive, split, progress=progress)
        content = converted.content() if isinstance(converted, People) else converted
        content, lost = drop_lost_images(content, archive)
    except FileNotFoundError as error:
        hint = "; images come out of the videos with --extract-frames" if "extract" in official.options else ""
        raise FileNotFoundError(f"{error}. The archive: {official.source}{hint}") from error
    write_people(path, content)
    left_out = dict(converted.skipped) if isinstance(converted, People) else {}
    if lost:
        left_out["people whose image is missing"] = lost
    return Outcome(path, len(content["image_path"]), left_out)
