import numpy as np
import pytest
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.visualization.body_sheet import draw_body_sheet

SIZE = 320
GREEN = (0, 158, 115)  # the person's
FOOT = 60 + SIZE + 12  # where the band beneath begins


@pytest.fixture(scope="module")
def arguments():
    body = SMPLBody()
    pose = torch.zeros(3, 24, 3)
    pose[:, 0, 0] = torch.pi
    pose[1, 16, 1] = 1.2  # the first rejected one as the chosen one, the second with an arm in depth
    vertices = body(pose, transl=torch.tensor([[0, 0.2, 45.0]] * 3)).vertices
    keypoints2d = np.full((17, 3), [40.0, 50.0, 1.0])
    crop = np.full((SIZE, SIZE, 3), 90, np.uint8)
    return crop, keypoints2d, list(vertices), body.faces, 5000.0 * SIZE / 224


@pytest.fixture(scope="module")
def sheet(arguments):
    color = [channel / 255 for channel in GREEN]
    return draw_body_sheet(*arguments, 2, ["104 mm", "99 mm", "98 mm"], color=color, reason="lowest score")


def columns_with(sheet, color, rows):
    """The first and last column, of some rows, with pixels of a colour."""
    found = np.flatnonzero((sheet[rows] == color).all(axis=-1).any(axis=0))
    return found[0], found[-1]


def test_the_chosen_one_is_framed_and_tagged_in_its_colour(sheet):
    top = sheet[:, SIZE + 100]  # a column through the middle picture
    assert (top == GREEN).all(axis=-1).sum() >= 12  # the frame above and below
    left, right = columns_with(sheet, GREEN, slice(100, 101))
    assert (left, right) == (SIZE + 24 - 6, 3 * SIZE + 36 + 5)  # around the second and third picture
    assert (sheet[:50, SIZE + 20 : 2 * SIZE] == GREEN).all(axis=-1).sum() > 1000  # the tag


def test_rejected_ones_stand_beside_it_in_the_colours_of_their_difference(sheet):
    large_end = 3 * (SIZE + 12) + 12
    pictures = sheet[60:FOOT, large_end:].astype(int)
    assert pictures.shape[1] == 12 + 2 * (154 + 12)
    grey = (pictures == 90).all(axis=-1)
    assert grey[:154].any()
    assert not grey[154:].any()  # side views below stand on plain ground
    colourful = np.abs(pictures - pictures.mean(axis=-1, keepdims=True)).max(axis=-1) > 40
    assert not colourful[:154, 12:166].any()  # is where the chosen one is
    assert 20 < colourful[:154, 178:].sum() < 2000  # an arm
    greenish = pictures[..., 1] - pictures[..., 0] > 60
    assert greenish[166:, 12:166].any()
    assert greenish[166:, 178:].any()


def test_guessed_parts_are_pale(arguments):
    guessed = torch.zeros(6890, dtype=torch.bool)
    guessed[:3000] = True
    color = [channel / 255 for channel in GREEN]
    plain, pale = (draw_body_sheet(*arguments, 2, color=color, guessed=which) for which in (None, guessed))
    strong = [(sheet[..., 1].astype(int) - sheet[..., 0] > 70)[60:FOOT].sum() for sheet in (plain, pale)]
    assert 0.1 < strong[1] / strong[0] < 0.9
    assert (plain[FOOT:, : 3 * SIZE] != pale[FOOT:, : 3 * SIZE]).any()  # the legend


def test_side_views_are_whole(arguments):
    """Of a body of twice the height of the crop, too."""
    crop, keypoints2d, vertices, faces, focal_length = arguments
    near = [body - torch.tensor([0, 0, 25.0]) for body in vertices]
    sheet = draw_body_sheet(crop, keypoints2d, near, faces, focal_length, 0)
    left = 12 + 2 * (SIZE + 12)
    view = sheet[60 : 60 + SIZE, left : left + SIZE]
    assert (view != 248).any()
    assert (view[[1, -2]][:, 8:-8] == 248).all()
    small = sheet[60 + 166 : 60 + 166 + 154, 3 * (SIZE + 12) + 24 :][:, :154]
    assert (small != 248).any()
    assert (small[[0, -1]] == 248).all()


def test_nothing_is_written_into_pictures_or_over_the_edge(arguments):
    """Scores and the reason change no pixel but of the bands above and below."""
    silent, long = (
        draw_body_sheet(*arguments, 2, scores, reason=reason)
        for scores, reason in ((None, ""), (["1234.567 mm, and more"] * 3, "a long reason " * 20))
    )
    different = (silent != long).any(axis=-1)
    assert different[:60].any()
    assert different[FOOT:].any()
    assert not different[60:FOOT].any()
    assert not different[FOOT:, 3 * (SIZE + 12) + 12 :].any()  # the reason ends before the colour scale
    aside = 3 * (SIZE + 12) + 24
    allowed = [range(SIZE + 24, 2 * SIZE + 24), range(aside, aside + 154), range(aside + 166, aside + 320)]
    columns = np.flatnonzero(different[:60].any(axis=0))
    assert all(any(column in span for span in allowed) for column in columns)


def test_one_body_alone(arguments):
    crop, keypoints2d, vertices, faces, focal_length = arguments
    sheet = draw_body_sheet(crop, keypoints2d, vertices[:1], faces, focal_length, 0)
    assert sheet.shape == (FOOT + 40, 3 * (SIZE + 12) + 12, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"selected": 3}, "selected is 3, expected the index of one of 3 bodies"),
        ({"scores": ["a"]}, "1 scores for 3 bodies"),
        ({"crop": np.zeros((300, 320, 3), np.uint8)}, r"crop has shape \(300, 320, 3\), expected a square"),
        ({"crop": np.zeros((64, 64, 3), np.uint8)}, r"crop has shape \(64, 64, 3\), .* at least 320 pixels"),
    ],
)
def test_bad_input(arguments, changes, message):
    names = ("crop", "keypoints2d", "vertices", "faces", "focal_length")
    given = {**dict(zip(names, arguments, strict=True)), "selected": 0, **changes}
    with pytest.raises(ValueError, match=message):
        draw_body_sheet(**given)
