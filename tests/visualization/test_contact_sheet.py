"""Contact sheets."""

import numpy as np
import pytest

from mion_plugin.visualization.contact_sheet import contact_sheet


@pytest.mark.parametrize(("count", "shape"), [(1, (4, 6)), (3, (4, 20)), (4, (9, 20)), (7, (14, 20))])
def test_every_picture_has_its_place(count, shape):
    images = [np.full((4, 6, 3), 10 * index, np.uint8) for index in range(count)]
    sheet = contact_sheet(images, columns=3, gap=1)
    assert sheet.shape == (*shape, 3)
    for index in range(count):
        row, column = divmod(index, 3)
        assert (sheet[5 * row : 5 * row + 4, 7 * column : 7 * column + 6] == 10 * index).all()
    covered = count * 4 * 6
    assert (sheet == 255).all(axis=-1).sum() == sheet.shape[0] * sheet.shape[1] - covered


def test_pictures_of_two_sizes_and_none_are_refused():
    with pytest.raises(ValueError, match="expected one size"):
        contact_sheet([np.zeros((4, 6, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)])
    with pytest.raises(ValueError, match="expected one size"):
        contact_sheet([])
