"""Human3.6M and MPI-INF-3DHP through mmhuman3d's own converters, which are right for these two.

mmhuman3d 0.11's package of converters imports ``pickle5``, ``cdflib`` and ``plyfile``, whatever converter is wanted.
The first is today's ``pickle``; only Human3.6M needs the second, and none of ours the third. So they are stood in for
while the package is imported. Frames are extracted here, not by mmhuman3d, whose half-written ones a killed run would
leave, and pickles are read by the restricted reader before mmhuman3d's unrestricted one gets to see them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pickle
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mion_plugin.conversion.archives import load_mat, load_pickle, require_files
from mion_plugin.conversion.frames import extract_frames
from mion_plugin.datasets.human_data import load_human_data
from mion_plugin.files.presence import require_file, require_folder

_H36M_STEP = 5  # of the frames, 50 a second: SPIN's and mmhuman3d's
_H36M_SUBJECTS = {"train": (1, 5, 6, 7, 8), "valid": (9, 11)}
_H36M_FRONTAL = "60457274"  # the camera of protocol 2
_H36M_CAMERAS = ("54138969", "55011271", "58860488", _H36M_FRONTAL)  # in the order of the MoSh files
_3DHP_VIDEOS = (0, 1, 2, 4, 5, 6, 7, 8)  # SPIN's and mmhuman3d's: chest height and above, without the ceiling's
_3DHP_SEQUENCES = tuple(f"S{subject}/Seq{sequence}" for subject in range(1, 9) for sequence in (1, 2))


def convert_h36m(
    archive: Path,
    split: str,
    *,
    mosh: Path | None = None,
    extract: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Convert Human3.6M: 17 joints, 3D ones relative to the root and in camera axes, every fifth frame.

    Args:
        archive: Holds ``metadata.xml`` and, for each subject, ``S1/MyPoseFeatures/D3_Positions_mono``,
            ``.../D2_Positions``, ``S1/MySegmentsMat/ground_truth_bs``, and ``S1/Videos`` for the images.
        split: ``train``, ``mosh_train`` (with SMPL), ``valid_protocol1`` or ``valid_protocol2``.
        mosh: For ``mosh_train``: folder of ``S1/ACTION_cam0_aligned.pkl``, which nobody may hand out.
        extract: Write the frames to ``S1/images``.
        progress: Called with the number of sequences whose frames are ready and of all; mmhuman3d then shows its own.

    Returns:
        The keys of a HumanData file, keypoints compressed.

    Raises:
        FileNotFoundError, ValueError, ImportError, UnsafePickleError: Files, or cdflib, are missing or unusable.
    """
    if (split == "mosh_train") != (mosh is not None):
        raise ValueError("the split mosh_train, and only it, needs the folder of the MoSh files")
    if mosh is not None:
        require_folder(mosh, "the folder of MoSh files")
    if importlib.util.find_spec("cdflib") is None:
        raise ImportError("Human3.6M's poses are CDF files, which cdflib reads: pip install 'mion-plugin[convert]'")
    require_file(archive / "metadata.xml")
    mode = "valid" if split.startswith("valid") else "train"
    protocol = 2 if split == "valid_protocol2" else 1
    sequences = _h36m_sequences(archive, mode, _H36M_CAMERAS if protocol == 1 else (_H36M_FRONTAL,))
    for done, poses in enumerate(sequences, start=1):
        _check_h36m_sequence(archive, poses, mosh)
        if extract:
            _extract_h36m(poses)
        progress(done, len(sequences))
    options = {"modes": [mode], "protocol": protocol, "mosh_dir": None if mosh is None else str(mosh)}
    return _run("H36mConverter", archive, f"h36m_{split}.npz", **options)


def _h36m_sequences(archive: Path, mode: str, cameras: tuple[str, ...]) -> list[Path]:
    """The 3D pose files, e.g. S1/MyPoseFeatures/D3_Positions_mono/Directions 1.54138969.cdf."""
    paths = [
        path
        for subject in _H36M_SUBJECTS[mode]
        for path in require_files(archive / f"S{subject}" / "MyPoseFeatures" / "D3_Positions_mono", "*.cdf")
        if not path.name.startswith("_ALL")
    ]
    for path in paths:
        if path.name.count(".") != 2:
            raise ValueError(f"{path} is not named ACTION.CAMERA.cdf")
    return [path for path in paths if path.name.split(".")[1] in cameras]


def _check_h36m_sequence(archive: Path, poses: Path, mosh: Path | None) -> None:
    subject = poses.parents[2]
    action, camera, _ = poses.name.split(".")
    require_file(subject / "MyPoseFeatures" / "D2_Positions" / poses.name)
    require_file(subject / "MySegmentsMat" / "ground_truth_bs" / f"{poses.stem}.mat")
    if mosh is not None:
        fit = mosh / subject.relative_to(archive) / f"{action}_cam{_H36M_CAMERAS.index(camera)}_aligned.pkl"
        if fit.is_file():  # mmhuman3d leaves out sequences without
            load_pickle(fit)


def _extract_h36m(poses: Path) -> None:
    subject = poses.parents[2]
    name = f"{subject.name}_{poses.stem}".replace(" ", "_")
    extract_frames(
        subject / "Videos" / f"{poses.stem}.mp4",
        subject / "images" / name,
        lambda index: f"{name}_{index + 1:06d}.jpg" if index % _H36M_STEP == 0 else None,
    )


def convert_mpi_inf_3dhp(
    archive: Path,
    split: str,
    *,
    extract: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Convert MPI-INF-3DHP's training set: 28 joints, 3D ones relative to the root in camera axes, every 10th frame.

    Args:
        archive: Holds ``S1/Seq1/annot.mat`` and ``S1/Seq1/imageSequence/video_0.avi`` up to S8.
        split: ``train``.
        extract: Write the frames to ``S1/Seq1/video_0/000001.jpg``: all of them, as mmhuman3d counts them.
        progress: Called with the number of sequences whose frames are ready and of all; mmhuman3d then shows its own.

    Returns:
        The keys of a HumanData file, keypoints compressed.

    Raises:
        FileNotFoundError, ValueError: Files are missing or unusable.
    """
    for done, sequence in enumerate(_3DHP_SEQUENCES, start=1):
        folder = archive / sequence
        load_mat(folder / "annot.mat", "annot2", "annot3")
        for video in _3DHP_VIDEOS:
            images = folder / f"video_{video}"
            if extract:
                extract_frames(
                    folder / "imageSequence" / f"video_{video}.avi", images, lambda index: f"{index + 1:06d}.jpg"
                )
            elif not any(images.glob("*.jpg")):  # mmhuman3d would leave out the video without a word
                raise FileNotFoundError(f"no images in {images}")
        progress(done, len(_3DHP_SEQUENCES))
    return _run("MpiInf3dhpConverter", archive, f"mpi_inf_3dhp_{split}.npz", modes=[split])


def _run(converter: str, archive: Path, file_name: str, **options: Any) -> dict[str, Any]:
    """What mmhuman3d's converter writes as ``file_name``."""
    with _importable_converters():
        try:
            converters = importlib.import_module("mmhuman3d.data.data_converters")
        except ImportError as error:
            raise ImportError(
                f"this data set is converted by mmhuman3d, which does not import ({error}): install the extra "
                "mion-plugin[mmhuman3d] as locked in requirements.lock (make install)"
            ) from error
    with tempfile.TemporaryDirectory() as folder:
        try:
            getattr(converters, converter)(**options).convert(str(archive), folder)
        except (OSError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
            raise ValueError(f"mmhuman3d's {converter} fails on {archive}: {error!r}") from error
        return dict(load_human_data(os.path.join(folder, file_name)).content)


@contextmanager
def _importable_converters() -> Iterator[None]:
    """Let ``mmhuman3d.data.data_converters`` be imported without the packages that our converters do not need."""
    plyfile = types.ModuleType("plyfile")
    plyfile.PlyData = None  # type: ignore[attr-defined]  # imported by name
    stand_ins = {"pickle5": pickle, "plyfile": plyfile, "cdflib": types.ModuleType("cdflib")}
    absent = {name: module for name, module in stand_ins.items() if importlib.util.find_spec(name) is None}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)
