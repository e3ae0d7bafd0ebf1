"""The people of photographs, with bodies out of several files."""

from pathlib import Path

import numpy as np
import pytest

from mion_plugin.demo_data import PHOTO
from mion_plugin.inference import Frame
from mion_plugin.scoring import check_hypotheses
from mion_plugin.scoring.photographs import PhotographScorer


@pytest.fixture
def frame(image):
    return Frame(0, PHOTO.name, image, path=PHOTO)


@pytest.fixture
def doubled(arrays, skier):
    """The skier, and the same 150 pixels to the left, in one file with their keypoints and without numbers."""
    content = {name: np.concatenate([value, value]) for name, value in arrays.items()}
    keypoints2d = np.stack([skier.keypoints2d, skier.keypoints2d - np.array([150.0, 0.0, 0.0])])
    content["principal_point"][1, 0] -= 150.0
    return {**content, "keypoints2d": keypoints2d}


def test_keypoints_of_the_file_number_its_rows(scorer, doubled, frame, found):
    score = PhotographScorer(scorer, [check_hypotheses(doubled, Path("x.npz"))], [PHOTO], None)
    (result,) = score([frame])
    assert result.problems == []
    assert [one.number for one in result.people] == [0, 1]
    np.testing.assert_allclose(result.people[0].scored.scores["cen"], found.scores, atol=1e-4)
    assert np.abs(result.people[1].scored.scores["cen"] - found.scores).max() > 1e-3  # there is snow
    moved = result.people[0].scored.crop.center - result.people[1].scored.crop.center
    assert moved.tolist() == [150.0, 0.0]


def test_files_join_by_place(scorer, doubled, frame, found):
    """A file in another order and without keypoints: its bodies go to the people on whom they lie."""
    other = {name: values[::-1] for name, values in doubled.items() if name != "keypoints2d"}
    files = [check_hypotheses(doubled, Path("x.npz")), check_hypotheses(other, Path("y.npz"))]
    (result,) = PhotographScorer(scorer, files, [PHOTO], None)([frame])
    for one in result.people:
        assert one.sources == [("x.npz", 0), ("x.npz", 1), ("x.npz", 2), ("y.npz", 0), ("y.npz", 1), ("y.npz", 2)]
        np.testing.assert_allclose(one.scored.scores["cen"][:3], one.scored.scores["cen"][3:], atol=1e-6)


def test_what_is_left_out_is_told(scorer, doubled, frame):
    doubled["keypoints2d"][1, :, 2] = 0.0
    doubled["keypoints2d"][1, 0, 2] = 1.0
    bodies = check_hypotheses({**doubled, "person": np.array([0, 4])}, Path("x.npz"))
    broken = Frame(1, "b.jpg", None, "b.jpg cannot be read")
    score = PhotographScorer(scorer, [bodies], [PHOTO], None)
    one, other = score([frame, broken])
    assert [person.number for person in one.people] == [0]
    assert "person 4 of 000000000785.jpg: 1 keypoints are visible" in one.problems[0]
    assert one.problems[1:] == ["x.npz: there is no person 4, only 0"]
    assert other.problems == ["b.jpg cannot be read"]
    with pytest.raises(ValueError, match=r"x.npz has no keypoints2d, and no other 2D keypoints are given"):
        PhotographScorer(scorer, [check_hypotheses({"pose": doubled["pose"]}, Path("x.npz"))], [PHOTO], None)
