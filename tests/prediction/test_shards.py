from types import SimpleNamespace

import numpy as np
import pytest

from mion_plugin.prediction.problems import NOBODY, Problem
from mion_plugin.prediction.shards import read_predictions, read_problems, read_shard, write_shard

CAMERA = SimpleNamespace(focal_length=700.0, principal_point=(16.0, 16.0), image_size=32)
PEOPLE, PATHS = 4, 3


def records(count=PEOPLE, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"keypoints2d": (17, 3), "pose": (PATHS, 24, 3), "betas": (PATHS, 10), "transl": (PATHS, 3)}
    floats = {name: rng.normal(size=(count, *shape)).astype(np.float32) for name, shape in shapes.items()}
    return {
        "image_name": np.array([f"bild_{seed}_é{row}.jpg" for row in range(count)]),
        "person": np.arange(count, dtype=np.int32),
        **floats,
        "crop": rng.normal(size=(count, 3)),
        "image_camera": rng.normal(size=(count, 3)),
        "selected": rng.integers(0, PATHS, count).astype(np.int32),
        "scores": rng.normal(size=(count, PATHS)).astype(np.float32),
    }


def test_what_was_written_is_read(tmp_path):
    given = [records(2, 0), records(3, 11)]  # names of different lengths
    problems = [Problem(NOBODY, "a\udcff.jpg", "nobody, é")]
    write_shard(tmp_path / "0.npz", given, CAMERA, 9, problems)
    found = read_shard(tmp_path / "0.npz")
    assert len(found) == 5
    for name in given[0]:
        np.testing.assert_array_equal(getattr(found, name), np.concatenate([one[name] for one in given]), err_msg=name)
    assert found.fit_loss is found.rule is found.score_unit is None  # as in files of before
    assert found.crop_camera.tolist() == [700, 16, 32]
    assert read_problems(tmp_path / "0.npz") == (9, 5, problems)


def test_how_a_path_was_chosen(tmp_path):
    write_shard(tmp_path / "0.npz", [records()], CAMERA, 1, [], "cen+reprojection", 1600.5)
    found = read_shard(tmp_path / "0.npz").only_selected()
    assert (found.rule, found.score_unit) == ("cen+reprojection", 1600.5)


def test_the_same_findings_give_the_same_bytes(tmp_path):
    for name in "ab":
        write_shard(tmp_path / f"{name}.npz", [records()], CAMERA, 9, [])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_shards_come_in_order_and_empty_ones_are_passed_over(tmp_path):
    for name, given in {"b": [records(1)], "a": [], "c": [records(2)], ".d.abcd1234": [records(3)]}.items():
        write_shard(tmp_path / f"{name}.npz", given, CAMERA, 1, [])
    assert [len(found) for found in read_predictions(tmp_path)] == [1, 2]
    assert read_shard(tmp_path / "a.npz") is None
    assert read_problems(tmp_path / "a.npz") == (1, 0, [])


def test_the_chosen_path(tmp_path):
    write_shard(tmp_path / "a.npz", [records()], CAMERA, 1, [])
    people = read_shard(tmp_path / "a.npz")
    chosen = people.only_selected()
    for row in range(PEOPLE):
        for name in ("pose", "betas", "transl", "scores"):
            np.testing.assert_array_equal(
                getattr(chosen, name)[row, 0], getattr(people, name)[row, people.selected[row]]
            )
    assert chosen.selected.tolist() == [0] * PEOPLE
    np.testing.assert_array_equal(chosen.keypoints2d, people.keypoints2d)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": np.array(2)}, "of format 2, expected 1"),
        ({"betas": np.zeros((PEOPLE, PATHS, 9))}, "betas has shape"),
        ({"crop": np.zeros((PEOPLE - 1, 3))}, "crop has shape"),
        ({"pose": None}, "it has no pose"),
        ({"rule": np.array(["cen"])}, "rule is <U3 of shape"),
        ({"score_unit": np.array("mm")}, "score_unit is <U2 of shape"),
        ({"num_photographs": None}, "it has no num_photographs"),
    ],
)
def test_no_shard(tmp_path, change, told):
    path = tmp_path / "a.npz"
    write_shard(path, [records()], CAMERA, 1, [])
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files} | change
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(ValueError, match=rf"a\.npz.*{told}"):
        read_shard(path)


def test_a_damaged_one_and_none(tmp_path):
    write_shard(tmp_path / "a.npz", [records()], CAMERA, 1, [])
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"a\.npz is not a readable shard of predictions"):
        list(read_predictions(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no shard of predictions"):
        next(read_predictions(tmp_path / "empty"))
