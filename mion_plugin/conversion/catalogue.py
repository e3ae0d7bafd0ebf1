"""The data sets that can be converted: their splits, options and sources. Importing this imports no converter."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OfficialSet:
    """A data set as its authors hand it out.

    Attributes:
        splits: What can be converted; the file is ``{name}_{split}.npz``.
        source: Where the archive comes from.
        options: Keyword arguments of its converter besides ``progress``.
    """

    splits: tuple[str, ...]
    source: str
    options: tuple[str, ...] = ()


OFFICIAL_SETS: dict[str, OfficialSet] = {
    "h36m": OfficialSet(
        ("train", "mosh_train", "valid_protocol1", "valid_protocol2"),
        "register at vision.imar.ro/human3.6m; metadata.xml comes with the site's code",
        ("mosh", "extract"),
    ),
    "pw3d": OfficialSet(
        ("train", "validation", "test"),
        "virtualhumans.mpi-inf.mpg.de/3DPW: sequenceFiles.zip and imageFiles.zip",
    ),
    "mpi_inf_3dhp": OfficialSet(
        ("train",),
        "vcai.mpi-inf.mpg.de/3dhp-dataset: its script get_dataset.sh",
        ("extract",),
    ),
    "coco": OfficialSet(
        ("2014_train", "2014_val"),
        "cocodataset.org: train2014.zip, annotations_trainval2014.zip",
    ),
    "mpii": OfficialSet(
        ("train",),
        "human-pose.mpi-inf.mpg.de: mpii_human_pose_v1.tar.gz and mpii_human_pose_v1_u12_2.zip",
    ),
    "lsp": OfficialSet(
        ("train", "test"),
        "sam.johnson.io/research/lsp.html: lsp_dataset_original.zip for training, lsp_dataset.zip for testing",
    ),
    "lspet": OfficialSet(
        ("train",),
        "datasets.d2.mpi-inf.mpg.de/hr-lspet/hr-lspet.zip, or sam.johnson.io/research/lspet.html",
    ),
    "up3d": OfficialSet(
        ("train", "val", "trainval", "test"),
        "files.is.tuebingen.mpg.de/classner/up: the archive up-3d",
    ),
    "surreal": OfficialSet(
        tuple(f"{mode}_run{run}" for mode in ("train", "val", "test") for run in range(3)),
        "di.ens.fr/willow/research/surreal/data: accept the licence to get a password",
        ("frame_step", "extract"),
    ),
    "bedlam": OfficialSet(
        ("train",),
        "bedlam.is.tue.mpg.de: images, and the labels of all_npz_12_smpl_training.zip or bedlam-labels-smpl.zip",
        ("turn",),
    ),
    "emdb": OfficialSet(
        ("1", "2"),
        "emdb.ait.ethz.ch: apply for access; the folders P0 to P9",
    ),
    "agora": OfficialSet(
        ("train", "validation"),
        "agora.is.tue.mpg.de: images, SMPL fits, camera dataframes with SMPL joints and vertices",
    ),
}
