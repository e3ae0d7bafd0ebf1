import errno
import os
import signal

import pytest

from mion_plugin.files import atomic_path, remove_leftovers


def test_the_file_appears_whole_with_the_usual_permissions(tmp_path):
    path = tmp_path / "new folder" / "a.txt"
    with atomic_path(path) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("whole")
        assert not path.exists()
    plain = tmp_path / "plain.txt"
    plain.touch()
    assert path.read_text() == "whole"
    assert path.stat().st_mode == plain.stat().st_mode
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def killed_while_writing(path):
    """A process that dies as by ``kill -9`` before the file is whole."""
    child = os.fork()
    if child == 0:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path):
    names = ("a[1].npz", "a1.npz", "b.npz", "last")
    for name in names:
        killed_while_writing(tmp_path / name)
    (tmp_path / ".a[1].notes.npz").write_text("the user's")
    assert len(list(tmp_path.iterdir())) == 5

    def left():
        return sorted(path.name.split(".")[1] for path in tmp_path.iterdir())

    remove_leftovers(tmp_path / "a[1].npz")
    assert left() == ["a1", "a[1]", "b", "last"]  # the user's stays
    remove_leftovers(tmp_path / "last")
    assert left() == ["a1", "a[1]", "b"]
    remove_leftovers(tmp_path / "*.npz")
    assert [path.name for path in tmp_path.iterdir()] == [".a[1].notes.npz"]
    remove_leftovers(tmp_path / "no folder" / "a.npz")


@pytest.mark.parametrize("told", [(), ("temporary",)])
def test_errors_of_the_system_name_the_file_that_was_wanted(tmp_path, told):
    wanted = tmp_path / "a[1].json"
    with pytest.raises(OSError, match="No space left") as caught, atomic_path(wanted) as temporary:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *([str(temporary)] if told else []))
    assert str(caught.value) == f"[Errno {errno.ENOSPC}] {os.strerror(errno.ENOSPC)}: {str(wanted)!r}"
    assert not list(tmp_path.iterdir())


def test_errors_about_another_file_name_that(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"other\.json"), atomic_path(tmp_path / "a.json"):
        (tmp_path / "other.json").read_bytes()
