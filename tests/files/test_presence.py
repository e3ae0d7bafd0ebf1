"""Files that are not there are told by every reader, as what they are."""

from pathlib import Path

import pytest

from mion_plugin.files.checkpoints import load_local_checkpoint
from mion_plugin.files.json_files import read_json
from mion_plugin.files.npz import npz_names, read_npy, read_npz
from mion_plugin.files.pickled_tables import load_tensors
from mion_plugin.files.presence import require_file, require_folder

READERS = {
    "read_npz": lambda path: read_npz(path, "pool"),
    "npz_names": lambda path: npz_names(path, "pool"),
    "read_npy": lambda path: read_npy(path, "pool"),
    "read_json": lambda path: read_json(path, "pool"),
    "load_tensors": load_tensors,
    "load_local_checkpoint": lambda path: load_local_checkpoint(str(path)),
}


def test_a_sound_file_is_returned(tmp_path):
    (tmp_path / "a").write_text("a")
    assert require_file(tmp_path / "a", "pool") == tmp_path / "a"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda path: None, FileNotFoundError, r"^\w+ .*/männer 1\.x does not exist$"),
        (Path.mkdir, FileNotFoundError, r"^\w+ .*/männer 1\.x is a folder, expected a file$"),
        (Path.touch, ValueError, r"^/.*/männer 1\.x is not a readable \w+: it is empty$"),
    ],
)
def test_others_are_told_with_their_name(tmp_path, reader, make, kind, message):
    make(tmp_path / "männer 1.x")
    with pytest.raises(kind, match=message):
        READERS[reader](tmp_path / "männer 1.x")


def test_folders(tmp_path):
    assert require_folder(tmp_path) == tmp_path
    (tmp_path / "a").touch()
    with pytest.raises(FileNotFoundError, match=r"^background folder .*/a is a file, expected a folder$"):
        require_folder(tmp_path / "a", "background folder")
    with pytest.raises(FileNotFoundError, match=r"^folder .*/b does not exist; fetch it$"):
        require_folder(tmp_path / "b", remedy="; fetch it")
