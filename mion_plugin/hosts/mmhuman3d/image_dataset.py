"""mmhuman3d's HumanData sets with the keypoints that stage 1 sees."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmhuman3d.data.datasets.human_image_dataset import HumanImageDataset

from mion_plugin.datasets.human_data import load_human_data
from mion_plugin.datasets.sample_table import DETECTED_KEY, KEYPOINTS2D_SOURCES, camera_columns, stored_keypoints
from mion_plugin.hosts.mmhuman3d.batches import KEYPOINTS2D_CONVENTION


class MIONImageDataset(HumanImageDataset):
    """``HumanImageDataset`` whose samples also have ``keypoints2d_input``: pixels of the file and confidence.

    Those are (54, 3) in the order of ``smpl_54``, and ``CropInputKeypoints`` takes them to the crop. ``keypoints2d``
    stays the annotation, the target of the losses; it and ``keypoints3d`` are also read under the names that
    mmhuman3d's later converters give them (``mion.HumanDataset``), which its own data set does not know.

    Args:
        *args: See mmhuman3d's ``HumanImageDataset``.
        keypoints2d_source: ``detected``: from the file's ``keypoints2d_detected``, see ``mion.HumanDataset``; or
            ``annotated``: from its ``keypoints2d``.
        **kwargs: See mmhuman3d's ``HumanImageDataset``.

    Raises:
        ValueError: An unknown source, or a file without such keypoints.
    """

    def __init__(self, *args: Any, keypoints2d_source: str = "detected", **kwargs: Any) -> None:
        if keypoints2d_source not in KEYPOINTS2D_SOURCES:
            raise ValueError(f"keypoints2d_source {keypoints2d_source!r}, expected one of {KEYPOINTS2D_SOURCES}")
        self.keypoints2d_source = keypoints2d_source
        super().__init__(*args, **kwargs)

    def load_annotations(self) -> None:
        """Read the file, and the input keypoints in (N, 54, 3) float32."""
        super().load_annotations()
        data = load_human_data(self.ann_file)
        names = {key: stored_keypoints(data, key) for key in ("keypoints2d", "keypoints3d")}
        self._later = {
            key: data.keypoints(name, self.convention)[0] for key, name in names.items() if name not in (None, key)
        }
        key = DETECTED_KEY if self.keypoints2d_source == "detected" else names["keypoints2d"] or "keypoints2d"
        if key not in data:
            raise data.error(key, f"missing, and keypoints2d_source is {self.keypoints2d_source!r}")
        self._camera = camera_columns(data)
        self._tells_place = bool(self._camera) and "transl" in data.content.get("smpl", {})
        self._input = data.keypoints(key, KEYPOINTS2D_CONVENTION)[0].astype(np.float32)

    def prepare_raw_data(self, idx: int) -> dict[str, Any]:
        """Sample ``idx`` before the pipeline.

        ``cam_intrinsics`` (3, 3) is the camera, where the file tells it by row, and ``has_transl`` is 1 where it also
        tells the translation before it. mmhuman3d's steps do not take them to the crop; ``PNCCTransform`` does.
        """
        info = super().prepare_raw_data(idx)
        camera = {key: column[idx] for key, column in self._camera.items()}
        has_transl = info["has_smpl"] * int(self._tells_place)
        for key, rows in self._later.items():
            info |= {key: rows[idx].copy(), f"has_{key}": 1}
        return {**info, **camera, "keypoints2d_input": self._input[idx].copy(), "has_transl": has_transl}
