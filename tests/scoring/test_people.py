"""Whose bodies are whose."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.scoring import check_hypotheses
from mion_plugin.scoring.people import RowsOfImages, match_people
from mion_plugin.scoring.placing import pose_bodies


@pytest.fixture
def rows(arrays, scorer):
    """The skier's bodies in two rows, of which the first lies 150 pixels to the left of the second."""
    doubled = {name: np.concatenate([value, value]) for name, value in arrays.items()}
    doubled["principal_point"][0, 0] -= 150.0
    bodies = check_hypotheses(doubled, Path("x.npz"))
    return bodies, {row: pose_bodies(bodies, row, scorer.body, ("coco",), (480, 640)) for row in range(2)}


def moved(person, shift):
    keypoints2d = person.keypoints2d + np.array([shift, 0.0, 0.0])
    return CocoPerson(keypoints2d, person.bbox + np.array([shift, 0.0, 0.0, 0.0]))


def test_bodies_go_to_those_on_whom_they_lie(rows, skier):
    bodies, posed = rows
    assert match_people(bodies, posed, {0: skier, 1: moved(skier, -150.0)}) == ({0: 1, 1: 0}, [])
    assert match_people(bodies, posed, {4: moved(skier, -155.0), 7: skier}) == ({0: 4, 1: 7}, [])


def test_bodies_on_nobody_are_left_out(rows, skier):
    found, lost = match_people(*rows, {0: skier, 1: moved(skier, 2000.0)})
    assert found == {1: 0}
    assert lost == ["x.npz: the bodies of row 0 lie on nobody"]


def test_numbers_go_before_places(rows, skier):
    bodies, posed = rows
    numbered = dataclasses.replace(bodies, person=np.array([0, 2]))
    found, lost = match_people(numbered, posed, {0: skier, 1: moved(skier, -150.0)})
    assert found == {0: 0}
    assert lost == ["x.npz: there is no person 2, only 0, 1"]
    with pytest.raises(ValueError, match="several rows are of one person"):
        match_people(dataclasses.replace(bodies, person=np.array([1, 1])), posed, {0: skier, 1: skier})


def test_without_camera_and_numbers_only_one_is_found(rows, skier):
    bodies, posed = rows
    nowhere = {row: dataclasses.replace(one, transl=None, camera=None) for row, one in posed.items()}
    assert match_people(bodies, {1: nowhere[1]}, {5: skier}) == ({1: 5}, [])
    with pytest.raises(ValueError, match="2 people and bodies of 2, and neither person nor a camera says whose"):
        match_people(bodies, nowhere, {0: skier, 1: skier})


def test_rows_of_photographs():
    rows = RowsOfImages(["photos/a.jpg", "b.jpg", "photos/a.jpg"], 3, "x.npz", ["a.jpg", "b.jpg"])
    assert (rows.find("a.jpg"), rows.find("b.jpg"), rows.find("c.jpg")) == ([0, 2], [1], [])
    assert RowsOfImages(None, 2, "x.npz", ["c.jpg"]).find("c.jpg") == [0, 1]
    with pytest.raises(ValueError, match=r"x.npz has no image_name, and there are 2 photographs"):
        RowsOfImages(None, 2, "x.npz", ["c.jpg", "d.jpg"])
