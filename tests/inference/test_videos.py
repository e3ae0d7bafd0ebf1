import numpy as np
import pytest
from robustness.faults.case import Limits
from robustness.faults.isolation import run_isolated

from mion_plugin.files import atomic_path
from mion_plugin.inference.videos import VideoReader, VideoWriter

FRAMES = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3), dtype=np.uint8)


def write(path):
    with atomic_path(path) as temporary, VideoWriter(temporary, 10.0, (64, 48)) as writer:
        for frame in FRAMES:
            writer.write(frame)


def test_all_frames_come_back(tmp_path):
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    write(tmp_path / "a.mp4")
    assert len([frame for frame in VideoReader(tmp_path / "a.mp4") if frame is not None]) == len(FRAMES)


def test_a_full_disk_is_told_though_opencv_says_nothing(tmp_path):
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    (tmp_path / "out").mkdir()
    calls = [("key", lambda: write(tmp_path / "out" / "a.mp4"), tmp_path, Limits(file_size=8192))]
    ((_, ending),) = run_isolated(calls, 1)
    assert ending.error[0] == "OSError"
    assert "holds 0 of 12 frames" in ending.message
    assert not list((tmp_path / "out").iterdir())
