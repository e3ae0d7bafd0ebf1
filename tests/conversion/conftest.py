"""What the tests of the converters share: converting a miniature archive, and reading what came out."""

import pytest

from mion_plugin.body import SMPLBody
from mion_plugin.body.export import export_body
from mion_plugin.conversion import convert_official_set
from mion_plugin.datasets import HumanDataset


@pytest.fixture(scope="session")
def body_files(tmp_path_factory):
    """The stand-in as the three SMPL files."""
    folder = tmp_path_factory.mktemp("smpl")
    for gender in ("neutral", "male", "female"):
        export_body(SMPLBody(gender=gender).arrays, folder, gender)
    return folder


@pytest.fixture
def data(tmp_path):
    """The ``data`` folder of the configs."""
    return tmp_path / "data"


@pytest.fixture
def convert(data):
    """A function converting ``data/datasets/NAME``; returns the outcome and the data set as the configs read it."""

    def run(name, split, keypoints2d="smpl_54", keypoints3d="h36m", **options):
        outcome = convert_official_set(name, split, data / "datasets" / name, data / "preprocessed_datasets", **options)
        dataset = HumanDataset(
            ann_file=outcome.path.name,
            data_prefix=str(data),
            dataset_name=name,
            keypoints2d_convention=keypoints2d,
            keypoints3d_convention=keypoints3d,
            test_mode=True,
            pipeline=[dict(type="mion.LoadImageFromFile")],
        )
        return outcome, dataset

    return run
