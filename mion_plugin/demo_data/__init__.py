"""A photograph to try things with, and its people's keypoints. Source and licence: NOTICE."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
PHOTO = FOLDER / "000000000785.jpg"
"""A skier, COCO val2017."""
KEYPOINTS = FOLDER / "coco_keypoints.json"
"""COCO annotations of the photograph."""
