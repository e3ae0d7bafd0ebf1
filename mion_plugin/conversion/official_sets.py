"""Converting a data set's archive, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mion_plugin.conversion.agora import convert_agora
from mion_plugin.conversion.bedlam import convert_bedlam
from mion_plugin.conversion.catalogue import OFFICIAL_SETS
from mion_plugin.conversion.coco import convert_coco
from mion_plugin.conversion.emdb import convert_emdb
from mion_plugin.conversion.leeds import convert_lsp, convert_lspet
from mion_plugin.conversion.mpii import convert_mpii
from mion_plugin.conversion.people import People, drop_lost_images, write_people
from mion_plugin.conversion.pw3d import convert_pw3d
from mion_plugin.conversion.surreal import convert_surreal
from mion_plugin.conversion.through_mmhuman3d import convert_h36m, convert_mpi_inf_3dhp
from mion_plugin.conversion.up3d import convert_up3d
from mion_plugin.files import remove_leftovers

# ``(archive, split, **options, progress=...)`` to ``People`` or the keys of a HumanData file.
_CONVERTERS: dict[str, Callable[..., People | dict[str, Any]]] = {
    "h36m": convert_h36m,
    "pw3d": convert_pw3d,
    "mpi_inf_3dhp": convert_mpi_inf_3dhp,
    "coco": convert_coco,
    "mpii": convert_mpii,
    "lsp": convert_lsp,
    "lspet": convert_lspet,
    "up3d": convert_up3d,
    "surreal": convert_surreal,
    "bedlam": convert_bedlam,
    "emdb": convert_emdb,
    "agora": convert_agora,
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
        raise ValueError(f"{name} has no option {', '.join(unknown)}; its own: {', '.join(official.options) or 'none'}")
    path = out / f"{name}_{split}.npz"
    remove_leftovers(path)
    convert = partial(_CONVERTERS[name], **options)
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
