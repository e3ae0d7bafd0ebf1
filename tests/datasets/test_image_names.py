"""Which image of an annotation file a path means."""

import unicodedata

import pytest

from mion_plugin.datasets.image_names import ImageNames


def find(names, path, paths=()):
    return ImageNames(names, "k.json", paths).find(path)


@pytest.mark.parametrize("separator", ["/", "\\"])
@pytest.mark.parametrize("before", ["", "./", "clips/", "/data/clips/", "C:\\clips\\", "\\\\server\\share\\", "../"])
def test_folders_tell_images_of_one_name_apart(before, separator):
    names = [f"{before}{folder}{separator}000000.jpg" for folder in ("walk", "jump", "walk_2")]
    for number, folder in enumerate(("walk", "jump", "walk_2")):
        assert find(names, f"/home/me/{folder}/000000.jpg") == [number]
        assert find(names, f"{folder}/000000.jpg") == [number]
        assert find(names, f".\\{folder}\\000000.jpg") == [number]


def test_more_folders_than_one():
    names = ["s1/cam0/a.png", "s1/cam1/a.png", "s2/cam0/a.png"]
    assert [find(names, f"/x/{name}") for name in names] == [[0], [1], [2]]
    assert find(names, "cam1/a.png") == [1]
    with pytest.raises(
        ValueError, match=r"k\.json: cam0/a\.png may be s1/cam0/a\.png and s2/cam0/a\.png; give it with"
    ):
        find(names, "cam0/a.png")
    with pytest.raises(ValueError, match=r"a\.png may be s1/cam0/a\.png and s1/cam1/a\.png"):
        find(names, "a.png")


def test_a_folder_that_was_renamed():
    assert find(["val2017/a.jpg", "val2017/b.jpg"], "/home/me/photos/b.jpg") == [1]
    assert find(["/mnt/coco/a.jpg"], "a.jpg") == [0]
    assert find(["a.jpg"], "/home/me/photos/a.jpg") == [0]


def test_another_folder_of_the_file_is_not_a_renamed_one():
    names = ["walk/000000.jpg", "walk/000007.jpg", "jump/000000.jpg"]
    assert find(names, "/x/jump/000007.jpg") == []
    assert find(names, "/x/walk/000007.jpg") == [1]


def test_an_image_is_not_given_to_two_paths():
    paths = ["/x/jump/000000.jpg", "/x/walk/000000.jpg"]
    assert [find(["walk/000000.jpg"], path, paths) for path in paths] == [[], [0]]
    assert find(["walk/000000.jpg"], paths[0]) == [0]  # the folder may have been renamed


def test_the_whole_name_goes_before_a_longer_one():
    assert find(["sub/a.jpg", "a.jpg"], "a.jpg") == [1]
    assert find(["a.jpg", "a.jpg", "b.jpg"], "a.jpg") == [0, 1]
    assert find(["", "."], "a.jpg") == []


def test_accents_of_either_form():
    assert find([unicodedata.normalize("NFD", "é/ü.jpg")], unicodedata.normalize("NFC", "é/ü.jpg")) == [0]


def test_a_relative_path_is_known_by_where_it_is(tmp_path, monkeypatch):
    (tmp_path / "jump").mkdir()
    (tmp_path / "jump" / "0.jpg").touch()
    monkeypatch.chdir(tmp_path / "jump")
    assert find(["walk/0.jpg", "jump/0.jpg"], "0.jpg") == [1]
