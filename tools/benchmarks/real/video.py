"""The clip's detections as a video's are treated: sides that were exchanged in some frames are put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from benchmarks.real.detection import Detections

from mion_plugin.inference.side_swaps import SideSwapGuard, seen_ahead

_MAN = 0  # the number of the only track


def as_video(detections: Sequence[Detections]) -> list[Detections]:
    """Each camera's keypoints with the sides that ``SideSwapGuard`` gives them.

    MediaPipe's depths are left out of frames in which a side was exchanged: a body that faces the other way has others.
    """
    return [_put_back(one) for one in detections]


def _put_back(found: Detections) -> Detections:
    keypoints2d, depths = found.keypoints2d.copy(), found.depths.copy()
    guard = SideSwapGuard()
    present = np.flatnonzero((keypoints2d[..., 2] > 0).any(axis=1)).tolist()
    for frame in seen_ahead(present, lambda frame: guard.see(frame, _MAN, found.keypoints2d[frame])):
        order = guard.settle(frame, _MAN)
        keypoints2d[frame] = keypoints2d[frame][order]
        if (order != np.arange(len(order))).any():
            depths[frame] = 0.0
    return replace(found, keypoints2d=keypoints2d, depths=depths)
