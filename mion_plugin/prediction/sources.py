"""What a run looks at: a folder, a list, a COCO annotation file or tar archives, in pieces that are done one by one.

A piece is what a killed run loses at most, and what becomes one file of results. Pieces, their order and their names
depend on the input alone, not on how many processes share it.
"""

from __future__ import annotations

import codecs
import glob
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mion_plugin.datasets.coco import CocoKeypointFile
from mion_plugin.datasets.transforms.loading import IMAGE_SUFFIXES
from mion_plugin.files.hashing import spread_lengths
from mion_plugin.files.relative_paths import leads_out, with_slashes
from mion_plugin.files.text_files import read_text
from mion_plugin.prediction.parts import Part
from mion_plugin.prediction.photographs import StoredPhotograph
from mion_plugin.prediction.problems import Problem
from mion_plugin.prediction.tar_members import read_members

TAR_SUFFIX, LIST_SUFFIX, COCO_SUFFIX = ".tar", ".txt", ".json"
EXPECTED = f"a folder, a list ({LIST_SUFFIX}), a COCO annotation file ({COCO_SUFFIX}) or tars ({TAR_SUFFIX})"


@dataclass(frozen=True)
class Piece:
    """Photographs whose results become one file.

    Attributes:
        name: Of that file, without ending.
        photographs: In order.
        problems: Of the archive.
    """

    name: str
    photographs: Sequence[StoredPhotograph]
    problems: Sequence[Problem] = ()


class PhotographSource(ABC):
    """Photographs in pieces."""

    @abstractmethod
    def digest(self) -> str:
        """Of what decides which photographs there are, in which pieces."""

    @abstractmethod
    def pieces(self, part: Part) -> Iterator[Piece]:
        """Those of one of several processes, in order."""


@dataclass(frozen=True)
class FileSource(PhotographSource):
    """Photographs that are files.

    Attributes:
        root: Folder that their names start from.
        names: In order.
        piece_size: Photographs in a piece; the last has the rest.
    """

    root: Path
    names: Sequence[str]
    piece_size: int

    def digest(self) -> str:
        """See ``PhotographSource``; photographs are known by their names, and some also by their lengths."""
        lengths = spread_lengths(self.root, self.names)
        return _digest([str(self.piece_size), str(lengths), *self.names])

    def pieces(self, part: Part) -> Iterator[Piece]:
        """Piece after piece in turn to the processes."""
        count = -(-len(self.names) // self.piece_size)
        for number in range(part.index, count, part.count):
            names = self.names[number * self.piece_size : (number + 1) * self.piece_size]
            yield Piece(f"{number:06d}", [StoredPhotograph(name, str(self.root / name)) for name in names])


@dataclass(frozen=True)
class TarSource(PhotographSource):
    """Photographs that are members of tars.

    Attributes:
        paths: The tars, each name once.
        piece_size: Photographs in a piece; the last of each tar has the rest.
        keypoint_suffix: See ``read_members``.
    """

    paths: Sequence[Path]
    piece_size: int
    keypoint_suffix: str | None = None

    def digest(self) -> str:
        """See ``PhotographSource``; a tar is known by its name and length."""
        files = [f"{path.name} {path.stat().st_size}" for path in self.paths]
        return _digest([str(self.piece_size), str(self.keypoint_suffix), *files])

    def pieces(self, part: Part) -> Iterator[Piece]:
        """Tar after tar in turn to the processes; each is looked through when its turn comes."""
        for path in self.paths[part.index :: part.count]:
            photographs, problems = read_members(path, self.keypoint_suffix)
            for start in range(0, len(photographs) or 1, self.piece_size):
                name = f"{path.stem}-{start // self.piece_size:04d}"
                yield Piece(name, photographs[start : start + self.piece_size], [] if start else problems)


def open_photographs(
    inputs: Sequence[str], root: Path | None = None, piece_size: int = 1000, keypoint_suffix: str | None = None
) -> PhotographSource:
    """The photographs that a command line names.

    Args:
        inputs: A folder, in which images are looked for at any depth, or which holds tars; a list of paths, one a line;
            a COCO annotation file, for its ``images``; or tars, also as glob patterns.
        root: Folder that the paths of a list or an annotation file start from; None for the one that the file is in.
        piece_size: Photographs in a piece.
        keypoint_suffix: See ``read_members``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: None of these, nothing in it, or a number out of range.
    """
    if piece_size < 1:
        raise ValueError(f"shard size {piece_size}, expected at least 1 photograph")
    path, suffix = Path(inputs[0]), keypoint_suffix and keypoint_suffix.lstrip(".").lower()
    if len(inputs) == 1 and path.exists():
        if path.is_dir():
            tars = sorted(path.glob(f"*{TAR_SUFFIX}"))
            return _tars(tars, piece_size, suffix) if tars else _files(path, _images_in(path), piece_size, suffix)
        if path.is_file() and path.suffix.lower() in (LIST_SUFFIX, COCO_SUFFIX):
            names = _listed(path) if path.suffix.lower() == LIST_SUFFIX else _annotated(path)
            return _files(root or path.parent, names, piece_size, suffix)
    return _tars([tar for text in inputs for tar in _matching(text)], piece_size, suffix)


def _images_in(folder: Path) -> list[str]:
    found = [
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _, names in os.walk(folder)
        for name in names
        if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
    ]
    if not found:
        raise ValueError(f"folder {folder} holds no images ({', '.join(IMAGE_SUFFIXES)}) and no tars ({TAR_SUFFIX})")
    return sorted(found)


def _listed(path: Path) -> list[str]:
    lines = _list_text(path).splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise ValueError(f"list {path} is empty, expected the path of an image in each line")
    if any("\0" in name for name in names):
        raise ValueError(f"list {path} holds bytes that are no text, expected the path of an image in each line")
    return names


def _list_text(path: Path) -> str:
    """UTF-16, as PowerShell writes lists, by its mark; else UTF-8, and names of files that are no text as they are."""
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return read_text(path)
    return content.decode("utf-8-sig", errors="surrogateescape")


def _annotated(path: Path) -> list[str]:
    names = list(dict.fromkeys(with_slashes(name) for name, _ in CocoKeypointFile(path).images()))
    if not names:
        raise ValueError(f"{path} lists no images")
    for name in names:
        if leads_out(name):
            raise ValueError(f"{path}: file_name {name!r} is not below the folder of the images")
    return names


def _matching(text: str) -> list[Path]:
    """The tar of a path, or those that fit a glob pattern."""
    paths = [Path(text)] if Path(text).exists() else [Path(match) for match in sorted(glob.glob(text))]
    if not paths:
        raise FileNotFoundError(f"{text} does not exist; expected {EXPECTED}")
    for path in paths:
        if path.suffix.lower() != TAR_SUFFIX or not path.is_file():
            raise ValueError(f"{path}: expected {EXPECTED}; several inputs must be tars")
    return paths


def _files(root: Path, names: Sequence[str], piece_size: int, keypoint_suffix: str | None) -> FileSource:
    if keypoint_suffix is not None:
        raise ValueError(f"keypoints member .{keypoint_suffix}: tars have members, but the photographs are files")
    return FileSource(root, names, piece_size)


def _tars(paths: Sequence[Path], piece_size: int, keypoint_suffix: str | None) -> TarSource:
    stems: dict[str, Path] = {}
    for path in paths:
        if stems.setdefault(path.stem, path) is not path:
            raise ValueError(f"{stems[path.stem]} and {path} have one name, by which their results are called")
    return TarSource(paths, piece_size, keypoint_suffix)


def _digest(parts: Iterable[str]) -> str:
    told = hashlib.sha256()
    for part in parts:
        told.update(part.encode("utf-8", errors="surrogateescape") + b"\0")
    return told.hexdigest()[:16]
