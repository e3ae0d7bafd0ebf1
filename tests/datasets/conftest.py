"""Small HumanData sets written by mmhuman3d's own class."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NUM_PEOPLE = 5
IMAGE_SIZE = (80, 120)  # height, width


@pytest.fixture(scope="session")
def human_data_class():
    module = pytest.importorskip(
        "mmhuman3d.data.data_structures.human_data", reason="mmhuman3d's HumanData writes the files of these tests"
    )
    module.HumanData.set_logger("silent")
    return module.HumanData


@pytest.fixture(scope="session")
def make_human_data(human_data_class):
    """A function making a full HumanData of ``NUM_PEOPLE`` people with keypoints in COCO-17 and h36m order."""
    from mmhuman3d.core.conventions.keypoints_mapping import convert_kps

    def make(seed: int = 0, num_people: int = NUM_PEOPLE):
        rng = np.random.default_rng(seed)
        data = human_data_class()
        data["image_path"] = [f"images/{index:03d}.png" for index in range(num_people)]
        boxes = np.column_stack([rng.uniform(0, 20, (num_people, 2)), rng.uniform(30, 60, (num_people, 2))])
        data["bbox_xywh"] = np.column_stack([boxes, np.ones(num_people)])
        keypoints2d = np.dstack([rng.uniform(0, 60, (num_people, 17, 2)), np.ones((num_people, 17))])
        keypoints2d[:, 4] = 0  # never seen
        keypoints, data["keypoints2d_mask"] = convert_kps(keypoints2d, "coco", "human_data")
        data["keypoints2d"] = keypoints
        keypoints3d = np.dstack([rng.normal(size=(num_people, 17, 3)), np.ones((num_people, 17))])
        keypoints, data["keypoints3d_mask"] = convert_kps(keypoints3d, "h36m", "human_data")
        data["keypoints3d"] = keypoints
        data["smpl"] = {
            "body_pose": rng.normal(size=(num_people, 23, 3)),
            "global_orient": rng.normal(size=(num_people, 3)),
            "betas": rng.normal(size=(num_people, 10)),
            "transl": rng.normal(size=(num_people, 3)),
        }
        data["meta"] = {"gender": np.array(["m", "f", "n", "f", "m"] * num_people)[:num_people]}
        data["config"] = "test"
        return data

    return make


@pytest.fixture(scope="session")
def write_set_into(make_human_data) -> Callable[..., tuple[Path, str]]:
    """A function writing a set with images in mmengine's layout into a folder; returns (data_root, ann_file)."""

    def write(folder: Path, name: str = "train.npz", change: Callable | None = None, compress: bool = False, **kwargs):
        data = make_human_data(**kwargs)
        if change is not None:
            change(data)
        rng = np.random.default_rng(1)
        (folder / "images").mkdir(exist_ok=True)
        for path in data["image_path"]:
            if Path(path).parent == Path("images"):
                Image.fromarray(rng.integers(0, 256, (*IMAGE_SIZE, 3), dtype=np.uint8)).save(folder / path)
        if compress:
            data.compress_keypoints_by_mask()
        data.dump(str(folder / name))
        return folder, name

    return write


@pytest.fixture
def write_set(tmp_path, write_set_into) -> Callable[..., tuple[Path, str]]:
    """As ``write_set_into``, into the test's folder."""
    return functools.partial(write_set_into, tmp_path)
