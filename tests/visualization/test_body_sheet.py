import numpy as np
import pytest
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.visualization.body_sheet import draw_body_sheet, path_captions

SIZE = 320
GREEN, BLUE = (0, 158, 115), (87, 181, 232)  # of the third and first path


@pytest.fixture(scope="module")
def arguments():
    body = SMPLBody()
    pose = torch.zeros(3, 24, 3)
    pose[:, 0, 0] = torch.pi
    vertices = body(pose, transl=torch.tensor([[0, 0.2, 45.0]] * 3)).vertices
    keypoints2d = np.full((17, 3), [40.0, 50.0, 1.0])
    crop = np.full((SIZE, SIZE, 3), 90, np.uint8)
    return crop, keypoints2d, list(vertices), body.faces, 5000.0 * SIZE / 224


@pytest.fixture(scope="module")
def sheet(arguments):
    return draw_body_sheet(*arguments, 2, path_captions(np.array([0.3, 0.2, 0.1]), np.array([3.0, 4.0, 5.0])))


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


def test_rejected_ones_stand_beside_it(sheet):
    large_end = 3 * (SIZE + 12) + 12
    pictures = sheet[60:-12, large_end:]
    assert pictures.shape[1] == 12 + 2 * (154 + 12)
    grey = (pictures == 90).all(axis=-1)
    assert grey[:154].any()
    assert not grey[154:].any()  # side views below stand on plain ground
    bluish = (pictures[..., 2].astype(int) - pictures[..., 0]) > 60  # the first path's body
    assert bluish[:154, 12:166].any()
    assert bluish[166:, 12:166].any()
    assert not bluish[:, 178:].any()


def test_nothing_is_written_into_pictures_or_over_the_edge(sheet, arguments):
    """Captions change no pixel but of the band above the column that they belong to."""
    silent, long = (
        draw_body_sheet(*arguments, 2, captions) for captions in (None, ["score 1234.567, 2D 110.0 px"] * 3)
    )
    for captioned in (sheet, long):
        different = (silent != captioned).any(axis=-1)
        columns = np.flatnonzero(different.any(axis=0))
        aside = 3 * (SIZE + 12) + 24
        allowed = [range(SIZE + 24, 2 * SIZE + 24), range(aside, aside + 154), range(aside + 166, aside + 320)]
        for span in allowed:
            assert any(column in span for column in columns)
        assert all(any(column in span for span in allowed) for column in columns)
        assert not different[60:].any()


def test_one_body_alone(arguments):
    crop, keypoints2d, vertices, faces, focal_length = arguments
    sheet = draw_body_sheet(crop, keypoints2d, vertices[:1], faces, focal_length, 0)
    assert sheet.shape == (60 + SIZE + 12, 3 * (SIZE + 12) + 12, 3)


def test_captions():
    assert path_captions(None, None) is None
    assert path_captions(np.array([0.12345]), None) == ["cen 0.123"]
    assert path_captions(np.array([0.12345]), np.array([3.21])) == ["cen 0.123, reprojection 3.2 px"]
    both = path_captions(np.array([0.12345]), np.array([3.21]), np.array([12.34]))
    assert both == ["fit 12.3, cen 0.123, reprojection 3.2 px"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"selected": 3}, "selected is 3, expected the index of one of 3 bodies"),
        ({"captions": ["a"]}, "1 captions for 3 bodies"),
        ({"crop": np.zeros((300, 320, 3), np.uint8)}, r"crop has shape \(300, 320, 3\), expected a square"),
        ({"crop": np.zeros((64, 64, 3), np.uint8)}, r"crop has shape \(64, 64, 3\), .* at least 320 pixels"),
    ],
)
def test_bad_input(arguments, changes, message):
    names = ("crop", "keypoints2d", "vertices", "faces", "focal_length")
    given = {**dict(zip(names, arguments, strict=True)), "selected": 0, **changes}
    with pytest.raises(ValueError, match=message):
        draw_body_sheet(**given)
