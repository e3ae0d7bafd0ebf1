"""Images without 3D labels, as photographs are."""

from __future__ import annotations

import numpy as np

from mion_plugin.datasets.randomness import results_generator
from mion_plugin.registry import TRANSFORMS


@TRANSFORMS.register_module()
class HideLabels:
    """Take SMPL and 3D keypoints from a share of the samples, drawn at random; 2D keypoints stay.

    So synthetic data resemble the mixtures that SPIN learns from, where most images have 2D keypoints alone.

    Args:
        share: 0 to 1.
    """

    def __init__(self, share: float) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share {share}, expected 0 to 1")
        self.share = share

    def __call__(self, results: dict) -> dict:
        """Hide the labels, or not."""
        if results_generator(results).random() < self.share:
            for key in ("keypoints3d", "smpl_body_pose", "smpl_global_orient", "smpl_betas", "smpl_transl"):
                if key in results:
                    results[key] = np.zeros_like(results[key])
            results |= {"has_keypoints3d": 0, "has_smpl": 0, "has_transl": 0}
        return results
