"""What tells files apart by their content."""

import hashlib
import itertools
from pathlib import Path

import pytest

from mion_plugin.files.hashing import file_lengths, hash_file, lengths_digest, spread_lengths, told_by_content


def test_the_hash_of_a_file_longer_than_a_block(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert hash_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()


@pytest.fixture
def make_folder(tmp_path):
    def make(name: str, lengths: list[int]) -> Path:
        for number, length in enumerate(lengths):
            path = tmp_path / name / f"{number}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x" * length)
        return tmp_path / name

    return make


def test_lengths_tell_folders_with_the_same_names_apart_and_not_where_they_are(make_folder, tmp_path):
    names = ["0.jpg", "1.jpg", "lost.jpg", "n" * 5000, "no\0name"]
    first, same, other = (make_folder(name, lengths) for name, lengths in (("a", [3, 4]), ("b", [3, 4]), ("c", [3, 5])))
    assert spread_lengths(first, names) == spread_lengths(same, names)
    assert spread_lengths(first, names) == spread_lengths(Path(), [first / name for name in names])
    without = make_folder("d", [3])
    folders = (first, other, without, tmp_path / "nowhere")
    assert len({spread_lengths(folder, names) for folder in folders}) == 4
    assert spread_lengths(first, []) == spread_lengths(other, [])


def test_lengths_of_a_few_are_looked_at_from_the_first_to_near_the_last(make_folder, monkeypatch):
    folder = make_folder("many", list(range(200)))
    seen = []
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **options: seen.append(path.name) or stat(path, **options))
    spread_lengths(folder, [f"{number}.jpg" for number in range(200)])
    numbers = sorted({int(Path(name).stem) for name in seen})
    assert len(numbers) == 64
    assert (numbers[0], numbers[-1]) == (0, 196)
    assert max(after - before for before, after in itertools.pairwise(numbers)) <= 4


def test_the_lengths_of_all_files(make_folder):
    folder = make_folder("a", [3, 5])
    names = ["1.jpg", "lost.jpg", "0.jpg", "1.jpg"]
    assert file_lengths(folder, names).tolist() == [5, -1, 3, 5]
    same, other = make_folder("b", [3, 5]), make_folder("c", [3, 6])
    assert lengths_digest(folder, names) == lengths_digest(same, names) != lengths_digest(other, names)


def test_options_are_told_by_what_they_name(make_folder):
    folder = make_folder("a", [3])
    told = told_by_content(str(folder)), told_by_content(str(folder / "0.jpg"))
    (folder / "0.jpg").write_bytes(b"yyy")
    assert told_by_content(str(folder)) == told[0]
    assert told_by_content(str(folder / "0.jpg")) != told[1]
    make_folder("a", [4])
    assert told_by_content(str(folder)) != told[0]
    assert told_by_content("procedural") == "procedural"
