"""What a converter needs and does not find is named with the command that installs it."""

import sys

import pytest

from mion_plugin.conversion.frames import extract_frames
from mion_plugin.conversion.through_mmhuman3d import convert_h36m


def test_videos_need_opencv(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)  # "import cv2" now raises ImportError
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(ImportError, match=r"OpenCV .*: pip install opencv-python$"):
        extract_frames(tmp_path / "clip.mp4", tmp_path / "images", "{:06d}.jpg".format)


def test_human36m_needs_cdflib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cdflib", None)
    with pytest.raises(ImportError, match=r"cdflib reads: pip install 'mion-plugin\[convert\]'"):
        convert_h36m(tmp_path, "train")
