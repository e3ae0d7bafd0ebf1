"""What an earlier run left is gone on with, or refused in one line that names it."""

import json

import numpy as np
import pytest

from mion_plugin.files.json_files import json_object, read_note
from mion_plugin.files.pieces import Pieces, check_settings

SETTINGS = json.dumps({"size": 3})


def numbered(rows):
    return {"row": np.array(rows)}


@pytest.fixture
def pieces(tmp_path):
    return Pieces(tmp_path / "pieces", SETTINGS, "there is a set", num_rows=5, size=2)


def test_pieces_that_are_there_are_not_made_again(pieces):
    assert not pieces.claim()
    pieces.do(numbered, 0, lambda done: None)
    (pieces.folder / "00000002.npz").unlink()
    made = []
    assert pieces.claim()
    pieces.do(lambda rows: made.append(rows) or numbered(rows), 0, lambda done: None)
    assert made == [range(2, 4)]
    assert pieces.columns()["row"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"[" * 100_000, b"\xff\xfe\0", b'{"size": 4}'])
def test_a_note_of_something_else(pieces, content):
    assert not pieces.claim()
    note = pieces.folder / "settings.json"
    note.write_bytes(content)
    with pytest.raises(ValueError, match=r"there is a set with size .* choose another place") as caught:
        pieces.claim()
    assert "\n" not in str(caught.value)
    assert note.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"not an archive"])
def test_a_damaged_piece_is_named(pieces, content):
    pieces.do(numbered, 0, lambda done: None)
    (pieces.folder / "00000002.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"00000002\.npz is not a readable piece of an earlier run; remove"):
        pieces.columns()


def test_the_same_settings_are_taken():
    check_settings(SETTINGS, SETTINGS, "a set")
    assert json_object(SETTINGS) == {"size": 3}


def test_a_note_in_another_encoding_is_no_note(tmp_path):
    path = tmp_path / "settings.json"
    path.write_bytes(SETTINGS.encode("utf-16"))
    assert read_note(path) == ""


def test_an_error_leaves_what_was_done_and_nothing_where_nothing_was(pieces):
    def fail_at(row):
        def work(rows):
            if row in rows:
                raise OSError("no such picture")
            return numbered(rows)

        return work

    for row, left in ((0, []), (4, ["00000000.npz", "00000002.npz", "settings.json"])):
        pieces.claim()
        with pytest.raises(OSError, match="no such picture"):
            pieces.do(fail_at(row), 0, lambda done: None)
        assert sorted(path.name for path in pieces.folder.glob("*")) == left
