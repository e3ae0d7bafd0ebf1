import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from mion_plugin.datasets.transforms.loading import BrokenImageError, read_image
from mion_plugin.prediction.problems import ARCHIVE
from mion_plugin.prediction.tar_members import read_members, split_name


def write_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def png(seed):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


MEMBERS = [
    ("a/0.png", png(0)),
    ("a/0.json", b"[0]"),
    ("b/0.left.PNG", png(1)),
    ("b/0.json", b"[1]"),
    ("c.cls", b"7"),
    (f"{'d' * 150}.png", png(2)),  # a name that needs a header of its own
]


# As WebDataset's documentation has it: the key is everything up to the first dot of the file's name.
@pytest.mark.parametrize(
    ("name", "key", "suffix"),
    [
        ("images17/image194.left.jpg", "images17/image194", "left.jpg"),
        ("0001.JPG", "0001", "jpg"),
        ("v1.2/0001.jpg", "v1.2/0001", "jpg"),
        ("./0001.jpg", "0001", "jpg"),
        ("plain", "plain", ""),
    ],
)
def test_keys(name, key, suffix):
    assert split_name(name) == (key, suffix)


def test_members_are_what_tar_extracts(tmp_path):
    path = tmp_path / "x.tar"
    write_tar(path, MEMBERS)
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "all", filter="data")
    found, problems = read_members(path, "json")
    assert problems == []
    assert [photograph.name for photograph in found] == [f"x.tar/{MEMBERS[row][0]}" for row in (0, 2, 5)]
    for photograph in found:
        np.testing.assert_array_equal(
            photograph.read(), read_image(tmp_path / "all" / photograph.name.removeprefix("x.tar/"))
        )
    assert [one.keypoints and one.keypoints.read(one.path) for one in found] == [b"[0]", b"[1]", None]
    assert [one.keypoints for one in read_members(path)[0]] == [None] * 3


def test_a_damaged_tar_gives_what_comes_before_the_damage(tmp_path):
    path = tmp_path / "x.tar"
    write_tar(path, MEMBERS)
    whole, third = path.read_bytes(), read_members(path)[0][1].span.start
    for content, count in {
        whole[: third + 10]: 1,  # within a member
        whole[: third - 512]: 1,  # between two
        whole[: third - 512] + b"\xff" * 512 + whole[third:]: 1,  # a header
        b"": 0,
        b"no tar at all" * 100: 0,
    }.items():
        path.write_bytes(content)
        found, (problem,) = read_members(path)
        assert len(found) == count
        assert (problem.kind, problem.image_name) == (ARCHIVE, "x.tar")
        assert str(path) in problem.why
        assert all(photograph.read().shape == (9, 7, 3) for photograph in found)


def test_a_compressed_tar_is_named(tmp_path):
    write_tar(tmp_path / "x.tar", MEMBERS, "w:gz")
    found, (problem,) = read_members(tmp_path / "x.tar")
    assert found == []
    assert "cannot be read as a tar without compression" in problem.why


def test_a_picture_that_is_none_and_one_that_is_gone(tmp_path):
    path = tmp_path / "x.tar"
    write_tar(path, [("0.png", b"nothing"), ("1.png", png(0))])
    (bad, good), _ = read_members(path)
    with pytest.raises(BrokenImageError, match=r"image x\.tar/0\.png cannot be read"):
        bad.read()
    path.write_bytes(path.read_bytes()[: good.span.start + 5])
    with pytest.raises(BrokenImageError, match=r"image x\.tar/1\.png cannot be read: .* ends \d+ bytes too early"):
        good.read()


def test_links_are_no_photographs(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        link = tarfile.TarInfo("0.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert read_members(tmp_path / "x.tar") == ([], [])
