"""The folder that OpenPose's ``--write_json`` writes: a file of people for each photograph, or frame of a video."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePath

from mion_plugin.datasets.coco import CocoKeypointFile, CocoPerson
from mion_plugin.datasets.coco_documents import OPENPOSE_ENDING

_ENDING = f"{OPENPOSE_ENDING}.json"
_FRAME_NUMBER = re.compile(r"(?<=_)\d{12}$")  # of a video's frame; ours have six digits, or as many as it takes


class OpenPoseFolder:
    """People of a folder of OpenPose's files, each read when its image is asked for.

    ``skier_keypoints.json`` is of ``skier.jpg``, whatever its folder and ending; ``clip_000000000012_keypoints.json``
    is of frame 12 of ``clip.mp4``, which is called ``clip_000012.jpg``.

    Args:
        path: The folder.
        image_names: Those that will be asked for, as far as is known.

    Attributes:
        files: Those of OpenPose's, in order of their names.

    Raises:
        ValueError: It holds no such file, or none of the images that will be asked for has one.
    """

    def __init__(self, path: str | os.PathLike[str], image_names: Iterable[str | os.PathLike[str]] = ()) -> None:
        self._path = Path(path)
        self.files = sorted(self._path.glob(f"*{_ENDING}"))
        if not self.files:
            raise ValueError(f"keypoint folder {path} holds no NAME{_ENDING}, as OpenPose's --write_json writes them")
        self._by_image = {_key(file.name.removesuffix(_ENDING)): file for file in self.files}
        names = list(image_names)
        if names and not any(_key(PurePath(name).stem) in self._by_image for name in names):
            others = f" or another of the {len(names)} images" if len(names) > 1 else ""
            raise ValueError(self._lacks(f"{PurePath(names[0]).name}{others}"))

    def people(self, image_name: str | os.PathLike[str], called: str = "") -> list[CocoPerson]:
        """As ``CocoKeypointFile.people``; ValueError also where the image's file cannot be read."""
        called = called or os.fspath(image_name)
        file = self._by_image.get(_key(PurePath(image_name).stem))
        if file is None:
            raise ValueError(self._lacks(called))
        return CocoKeypointFile(file).people(f"{file.name.removesuffix(_ENDING)}.jpg", called)

    def _lacks(self, called: str) -> str:
        return f"{self._path}: none of its {len(self.files)} files, such as {self.files[0].name}, is of {called}"


def open_keypoint_file(
    path: str | os.PathLike[str], image_names: Iterable[str | os.PathLike[str]] = ()
) -> CocoKeypointFile | OpenPoseFolder:
    """A file of keypoints, or a folder of OpenPose's; arguments and errors as theirs."""
    return (OpenPoseFolder if Path(path).is_dir() else CocoKeypointFile)(path, image_names)


def _key(stem: str) -> str:
    """What an image and its file have in common; composed, since macOS writes accents as characters of their own."""
    return _FRAME_NUMBER.sub(lambda number: f"{int(number[0]):06d}", unicodedata.normalize("NFC", stem))
