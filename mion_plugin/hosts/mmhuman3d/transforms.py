"""Steps of mmhuman3d's data pipelines."""

from __future__ import annotations

from typing import Any

import numpy as np

from mion_plugin.geometry.keypoints import flip_permutation
from mion_plugin.hosts.mmhuman3d.batches import KEYPOINTS2D_CONVENTION

CROPPED_KEY = "keypoints2d_input_cropped"  # true behind CropInputKeypoints


class CropInputKeypoints:
    """Takes ``keypoints2d_input`` (54, 3) from pixels of the file to those of the crop; behind ``MeshAffine``.

    mmhuman3d's ``RandomHorizontalFlip`` and ``MeshAffine`` move ``keypoints2d`` alone. This step does to the keypoints
    that stage 1 sees what they did to those: x becomes width - 1 - x with left and right exchanged, then the crop.
    """

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``keypoints2d_input``.

        Raises:
            KeyError: The sample has none, or was not cropped.
        """
        for key, remedy in (("keypoints2d_input", "use MIONImageDataset"), ("crop_transform", "put MeshAffine before")):
            if key not in results:
                raise KeyError(f"CropInputKeypoints needs {key} in the sample: {remedy}")
        keypoints = np.array(results["keypoints2d_input"], dtype=np.float64)
        if np.any(results.get("is_flipped", 0)):
            keypoints = keypoints[list(flip_permutation(KEYPOINTS2D_CONVENTION))]
            keypoints[:, 0] = results["ori_img"].shape[1] - 1 - keypoints[:, 0]
        transform = results["crop_transform"]
        keypoints[:, :2] = keypoints[:, :2] @ transform[:, :2].T + transform[:, 2]
        keypoints[keypoints[:, 2] <= 0] = 0
        results["keypoints2d_input"] = keypoints.astype(np.float32)
        results[CROPPED_KEY] = True
        return results
