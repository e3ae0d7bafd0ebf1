import numpy as np
import pytest
import torch
from PIL import Image

from mion_plugin.visualization.turntable import draw_turntable, save_gif

# A tetrahedron; faces run counter-clockwise seen from outside.
FACES = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
CORNERS = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])


def bar(x, z):
    """A thin bar along y at (x, z), as four faces seen from all sides, and a speck opposite it."""
    points = []
    for px, pz, half in ((x, z, 0.5), (-x, -z, 0.02)):
        points += [[px - 0.05, half, pz], [px + 0.05, half, pz], [px, -half, pz - 0.05], [px, -half, pz + 0.05]]
    single = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    faces = torch.cat([single, single + 4])
    return torch.tensor(points, dtype=torch.float32), torch.cat([faces, faces.flip(1)])


def column(picture):
    """Mean column of the tall bar, as a share of the width from the middle."""
    dark = (picture < 230).any(axis=-1)
    dark[100:140] = False  # the speck
    return np.nonzero(dark)[1].mean() / len(picture) - 0.5


def test_the_left_side_comes_nearer_first():
    """A bar at the image's left, then in front, at the right, behind."""
    vertices, faces = bar(-0.5, 0.0)
    left, front, right, behind = draw_turntable(vertices, faces, (0.9, 0.1, 0.1), num_pictures=4, size=240)
    assert column(left) < -0.2
    assert abs(column(front)) < 0.05
    assert column(right) > 0.2
    assert abs(column(behind)) < 0.05
    height = [np.ptp(np.nonzero((picture < 230).any(axis=(1, 2)))[0]) for picture in (front, behind)]
    assert height[0] > height[1] + 3


def test_the_body_is_whole_in_every_picture_wherever_it_stands():
    for offset in (0.0, 40.0):
        for picture in draw_turntable(CORNERS + offset, FACES, (0.2, 0.2, 0.9), num_pictures=8, size=64):
            assert picture.shape == (64, 64, 3)
            assert (picture[[0, -1]] == 248).all()
            assert (picture[:, [0, -1]] == 248).all()
            assert (picture != 248).any()


def test_the_gif_has_all_pictures_and_runs_forever(tmp_path):
    pictures = draw_turntable(CORNERS, FACES, (0.2, 0.2, 0.9), num_pictures=6, size=48)
    save_gif(tmp_path / "a.gif", pictures, seconds=1.2)
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.info["loop"], gif.info["duration"], gif.size) == (6, 0, 200, (48, 48))
        for index, picture in enumerate(pictures):
            gif.seek(index)
            assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - picture).mean() < 4
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="num_pictures is 0 and size 320"):
        draw_turntable(CORNERS, FACES, (1, 1, 1), num_pictures=0)
    with pytest.raises(ValueError, match=r"0 pictures in 3\.0 seconds"):
        save_gif(tmp_path / "a.gif", [])
