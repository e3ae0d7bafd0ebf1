"""HumanData files as an mmengine dataset."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mion_plugin.body import BodyArrays, SMPLBody
from mion_plugin.datasets.human_data import HumanData, load_human_data
from mion_plugin.datasets.randomness import Epoch, sample_generator
from mion_plugin.datasets.sample_table import KEYPOINTS2D_SOURCES, SampleTable, build_table
from mion_plugin.datasets.transforms.loading import BrokenImageError
from mion_plugin.registry import DATASETS, MODELS

LOST_IMAGE = (BrokenImageError, FileNotFoundError)


@DATASETS.register_module()
class HumanDataset(BaseDataset):
    """People in images with 2D keypoints, 3D keypoints and SMPL parameters, whichever the HumanData file has.

    Samples carry the keys of mmhuman3d's ``HumanImageDataset`` (arrays are float32, flags int):

    - ``image_path``, ``dataset_name``, ``sample_idx``;
    - ``bbox_xywh`` (5,), ``center`` (2,), ``scale`` (2,): the square crop, its side in pixels twice;
    - ``keypoints2d`` (K, 3) pixels and confidence, ``keypoints3d`` (K3, 4) metres and confidence, zeros where absent;
    - ``smpl_body_pose`` (23, 3), ``smpl_global_orient`` (3,), ``smpl_betas`` (10,), ``smpl_transl`` (3,);
    - ``has_keypoints2d``, ``has_keypoints3d``, ``has_smpl``. Other than in mmhuman3d the keypoint flags are the row's,
      not the file's: 0 for a person without any confident joint.

    and beside them ``keypoints2d_input`` (K, 3), the keypoints that stage 1 sees; ``keypoints2d_convention`` and
    ``keypoints3d_convention``; ``gender`` ('neutral', 'male', 'female'); ``has_transl``; ``cam_intrinsics`` (3, 3) if
    the file tells the camera (``cam_param``: a dict with ``K`` (N, 3, 3), or a list of mmhuman3d's camera dicts;
    or ``meta`` with ``focal_length`` and ``principal_point`` by row, as its later converters write);
    ``smpl_pelvis`` (3,) if ``body`` is given; ``rng``, the ``numpy.random.Generator`` for the sample's augmentation.

    Where a file has no ``keypoints2d``, they are ``keypoints2d_original``, else ``keypoints2d_smpl`` or
    ``keypoints2d_smplx``, as mmhuman3d's later converters name them; the same with ``keypoints3d``.

    Detected keypoints stand beside the annotated ones in the file as ``keypoints2d_detected`` (N, K, 3), with
    ``keypoints2d_detected_mask`` and ``keypoints2d_detected_convention`` as for ``keypoints2d``.

    Args:
        ann_file: HumanData ``.npz``.
        data_root: Folder that relative paths start from, in mmengine's layout.
        data_prefix: mmengine's layout, ``dict(img='folder')``: images at ``data_root/folder/image_path``, annotations
            at ``data_root/ann_file``. Or mmhuman3d's layout, a string ``'data'``: images at
            ``data/datasets/{dataset_name}/image_path``, annotations at ``data/preprocessed_datasets/{ann_file}``.
        dataset_name: Name of the set; default: the annotation file's stem. Required in mmhuman3d's layout.
        keypoints2d_convention: Convention of ``keypoints2d`` and ``keypoints2d_input``; joints convert by name.
        keypoints3d_convention: Convention of ``keypoints3d``.
        keypoints2d_source: ``annotated`` or ``detected``: where ``keypoints2d_input`` comes from. ``keypoints2d``, the
            target of the losses, is always the annotation.
        gender_codes: Meaning of integers in ``meta.gender`` by position, e.g. ('female', 'male') for SURREAL.
        body: Config of a ``SMPLBody`` (or one). With it, rotations and flips carry ``smpl_transl`` along; without it
            they reset it and ``has_transl``, since SMPL rotates about the pelvis, whose place depends on the body.
        seed: Seed of the augmentation; with ``mion.EpochSampler`` a sample depends on (seed, epoch, index) alone.
        test_mode: A lost image is an error; otherwise it is logged and another sample takes its place.
        max_refetch: Lost images in a row before giving up.
        **kwargs: ``pipeline``, ``metainfo``, ``indices``, ``serialize_data``, ``lazy_init`` of mmengine's BaseDataset.

    Raises:
        FileNotFoundError: No annotation file.
        ValueError: Annotations that cannot be used, a path that leads out of the image folder, an unknown option.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str = "",
        data_prefix: str | Mapping[str, str] | None = None,
        dataset_name: str | None = None,
        keypoints2d_convention: str = "coco",
        keypoints3d_convention: str = "h36m",
        keypoints2d_source: str = "annotated",
        gender_codes: Sequence[str] | None = None,
        body: dict | SMPLBody | None = None,
        seed: int = 0,
        test_mode: bool = False,
        max_refetch: int = 20,
        **kwargs: Any,
    ) -> None:
        if keypoints2d_source not in KEYPOINTS2D_SOURCES:
            raise ValueError(f"keypoints2d_source {keypoints2d_source!r}, expected one of {KEYPOINTS2D_SOURCES}")
        if isinstance(data_prefix, str):
            if dataset_name is None:
                raise ValueError(f"data_prefix {data_prefix!r} means mmhuman3d's layout, which needs a dataset_name")
            ann_file = os.path.join("preprocessed_datasets", ann_file)
            data_root, data_prefix = data_prefix, {"img": os.path.join("datasets", dataset_name)}
        self.dataset_name = dataset_name or Path(ann_file).stem
        self.seed = seed
        self._epoch = Epoch()
        self._keypoints2d_source = keypoints2d_source
        self._gender_codes = gender_codes
        self._body = _body_arrays(body)
        self._conventions = {
            "keypoints2d_convention": keypoints2d_convention,
            "keypoints3d_convention": keypoints3d_convention,
        }
        self._reported: set[str] = set()
        super().__init__(
            ann_file,
            data_root=data_root,
            data_prefix=dict(data_prefix or {"img": ""}),
            test_mode=test_mode,
            max_refetch=max_refetch,
            **kwargs,
        )
        self._metainfo.update(self._conventions)

    def load_data_list(self) -> list[dict]:
        """One entry ``{'row': index}`` for each person; the numbers stay in the table."""
        data = load_human_data(self.ann_file)
        self._table = self._build_table(data)
        return [{"row": row} for row in range(len(self._table))]

    def _build_table(self, data: HumanData) -> SampleTable:
        table = build_table(
            data,
            **self._conventions,
            keypoints2d_source=self._keypoints2d_source,
            gender_codes=self._gender_codes,
            body=self._body,
        )
        image_paths = np.array(
            [data.image_path(row, self.data_prefix["img"]) for row in range(len(data))], dtype=np.str_
        )
        return SampleTable({**table.columns, "image_path": image_paths})

    def get_data_info(self, idx: int) -> dict:
        """The annotation of one person, before the pipeline; see the class for its keys."""
        info = super().get_data_info(idx)
        return {
            **self._table.row(info.pop("row")),
            **self._conventions,
            "dataset_name": self.dataset_name,
            **info,
        }

    def set_epoch(self, epoch: int) -> None:
        """Let the augmentation of the coming epoch differ from that of others; also reaches running workers."""
        self._epoch.set(epoch)

    def __getitem__(self, idx: int) -> Any:
        """Sample ``idx`` after the pipeline."""
        return self.fetch(idx, sample_generator(self.seed, self._epoch, idx % len(self)))

    def fetch(self, idx: int, rng: np.random.Generator) -> Any:
        """Sample ``idx`` after the pipeline, augmented by ``rng``.

        Raises:
            BrokenImageError, FileNotFoundError: The image is lost: in test mode at once, otherwise after
                ``max_refetch`` other samples were lost too.
        """
        if not self._fully_initialized:
            self.full_init()
        for attempt in range(self.max_refetch + 1):
            info = self.get_data_info(idx)
            try:
                data = self.pipeline({**info, "rng": rng})
            except LOST_IMAGE as error:
                if self.test_mode:
                    raise
                if attempt == self.max_refetch:
                    raise type(error)(
                        f"{attempt + 1} images of {self.dataset_name} in a row are lost, the last one: {error}"
                    ) from error
                self._report_once(info["image_path"], error)
                data = None
            if data is not None:
                return data
            idx = int(rng.integers(len(self)))
        raise RuntimeError(f"the pipeline of {self.dataset_name} refused {self.max_refetch + 1} samples in a row")

    def _report_once(self, image_path: str, error: Exception) -> None:
        if image_path not in self._reported:
            self._reported.add(image_path)
            print_log(f"sample skipped: {error}", logger="current", level=logging.WARNING)


def _body_arrays(body: dict | SMPLBody | None) -> BodyArrays | None:
    if body is None:
        return None
    return (MODELS.build(body) if isinstance(body, Mapping) else body).arrays
