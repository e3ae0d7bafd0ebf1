"""The photographs of a tar archive in the layout of WebDataset: members of one sample share a name up to its first dot.

Only the headers are read, and no member is ever unpacked to a file. What a header says is not believed: a member is
read as so many bytes at its place in the archive.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mion_plugin.datasets.transforms.loading import IMAGE_SUFFIXES
from mion_plugin.prediction.photographs import Span, StoredPhotograph
from mion_plugin.prediction.problems import ARCHIVE, Problem


def read_members(path: Path, keypoint_suffix: str | None = None) -> tuple[list[StoredPhotograph], list[Problem]]:
    """The photographs in order of the archive, and what is wrong with it; of a damaged one those before the damage.

    Args:
        path: A tar that is not compressed: members of a compressed one cannot be read at their place.
        keypoint_suffix: Of the members that hold the keypoints of a photograph, such as ``json``; None for none.
    """
    images: dict[str, tuple[str, Span]] = {}
    keypoints: dict[str, Span] = {}
    problems = []
    try:
        for member in _members(path):
            key, suffix = split_name(member.name)
            span = Span(member.offset_data, member.size)
            if keypoint_suffix is not None and suffix == keypoint_suffix:
                keypoints[key] = span
            elif f".{suffix.rpartition('.')[2]}" in IMAGE_SUFFIXES:
                images[member.name] = (key, span)
    except (tarfile.TarError, OSError) as error:
        problems.append(
            Problem(ARCHIVE, path.name, f"{path} cannot be read as a tar without compression: {error}; fetch it again")
        )
    found = [
        StoredPhotograph(f"{path.name}/{name}", str(path), span, keypoints.get(key))
        for name, (key, span) in images.items()
    ]
    return found, problems


def split_name(name: str) -> tuple[str, str]:
    """The key of the sample that a member belongs to, and what its name ends in after the first dot, in small letters.

    So does WebDataset: dots in the names of folders do not count.
    """
    path = PurePosixPath(name)
    stem, _, suffix = path.name.partition(".")
    return str(path.parent / stem), suffix.lower()


def _members(path: Path) -> Iterator[tarfile.TarInfo]:
    """The plain files of an archive.

    Raises:
        OSError: It cannot be read.
        tarfile.TarError: It is no tar, or a damaged one. tarfile itself takes a damaged header, or none, for the end.
    """
    with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
        size = file.seek(0, io.SEEK_END)
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep every header
            if member.offset_data + member.size > size:
                raise tarfile.ReadError(f"{member.name} ends after the file does")
            if member.isreg() and not member.issparse():
                yield member
        file.seek(archive.offset)  # type: ignore[attr-defined]
        end = file.read(tarfile.BLOCKSIZE)
        if len(end) < tarfile.BLOCKSIZE or any(end):
            raise tarfile.ReadError(f"no header and no end at byte {archive.offset}")  # type: ignore[attr-defined]
