"""Images of every depth: the pixels that they mean, or an error by name."""

import numpy as np
import pytest
from PIL import Image

from mion_plugin.datasets.transforms.loading import BrokenImageError, read_image

tifffile = pytest.importorskip("tifffile", reason="writes what Pillow does not")
GREY = np.linspace(0, 1, 48 * 64).reshape(48, 64)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)


def levels(shares, dtype):
    return (shares * np.iinfo(dtype).max).round().astype(dtype)


def assert_shows(path, shares):
    """8-bit values within one step, of a picture from 0 to 1."""
    expected = shares if shares.ndim == 3 else shares[..., None].repeat(3, -1)
    found = read_image(path)
    assert found.dtype == np.uint8
    assert np.abs(found - expected * 255).max() <= 1.0


def test_16_bit_grey_of_png(tmp_path):
    Image.fromarray(levels(GREY, np.uint16)).save(tmp_path / "a.png")
    assert_shows(tmp_path / "a.png", GREY)
    Image.fromarray(levels(0.4 + GREY / 50, np.uint16)).save(tmp_path / "a.png")  # not stretched to what there is
    assert_shows(tmp_path / "a.png", 0.4 + GREY / 50)


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_of_png(tmp_path, channels):
    cv2 = pytest.importorskip("cv2")
    pixels = np.dstack([COLOUR[..., ::-1], np.ones_like(GREY)])[..., :channels]
    cv2.imwrite(str(tmp_path / "a.png"), levels(pixels, np.uint16))
    assert_shows(tmp_path / "a.png", COLOUR)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
def test_tiff(tmp_path, dtype, order, photometric):
    if (dtype, order, photometric) == (np.uint16, ">", "miniswhite"):
        pytest.skip("Pillow does not read it, and says so")
    shares = COLOUR if photometric == "rgb" else GREY
    stored = 1 - shares if photometric == "miniswhite" else shares
    tifffile.imwrite(tmp_path / "a.tif", levels(stored, dtype), photometric=photometric, byteorder=order)
    assert_shows(tmp_path / "a.tif", shares)


def test_tiff_of_floats_from_0_to_1(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(np.float32))
    assert_shows(tmp_path / "a.tif", GREY)


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        ((GREY * 255).astype(np.float32), {}, "its floats go from 0 to 255, expected 0"),
        ((GREY - 0.5).astype(np.float32), {}, r"its floats go from -0\.5 to 0\.5, expected 0"),
        (np.where(GREY > 0.5, np.nan, GREY).astype(np.float32), {}, "its floats go from nan to nan"),
        (levels(GREY, np.int32), {}, "its pixels are signed numbers"),
        (levels(GREY, np.int16), {}, "its pixels are signed numbers"),
        (levels(GREY, np.int8), {}, "its pixels are signed numbers"),
        (levels(GREY / 4, np.uint32), {}, r"whole numbers of 32 bits, from 0 to 1073741\d+; expected 8 or 16"),
        (GREY, {}, "it is no picture"),
        (COLOUR.astype(np.float32), {"photometric": "rgb"}, "it is no picture"),
        (
            np.moveaxis(levels(COLOUR, np.uint16), -1, 0),
            {"photometric": "rgb", "planarconfig": "separate"},
            "its channels of 16 bits lie apart",
        ),
    ],
)
def test_what_does_not_tell_its_white_is_refused_by_name(tmp_path, pixels, options, message):
    tifffile.imwrite(tmp_path / "a.tif", np.ascontiguousarray(pixels), **options)
    with pytest.raises(BrokenImageError, match=rf"image .*a\.tif cannot be read: .*{message}"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("transparency", [{}, {"transparency": 3}])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_palettes(tmp_path, ending, transparency):
    picture = Image.fromarray((COLOUR * 255).astype(np.uint8)).quantize(40)
    picture.save(tmp_path / f"a.{ending}", **transparency)
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{ending}"), np.asarray(picture.convert("RGB")))


TURNED = {
    1: GREY,
    2: GREY[:, ::-1],
    3: np.rot90(GREY, 2),
    4: GREY[::-1],
    5: GREY.T,
    6: np.rot90(GREY, -1),
    7: np.rot90(GREY, 2).T,
    8: np.rot90(GREY),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_pictures_of_every_depth_are_turned_upright(tmp_path, ending, dtype, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(levels(GREY, dtype)).save(tmp_path / f"a.{ending}", exif=exif)
    assert_shows(tmp_path / f"a.{ending}", TURNED[orientation])
