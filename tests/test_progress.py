"""The line that says how far long work is."""

from types import SimpleNamespace

import pytest

from mion_plugin.progress import ProgressLine


def test_short_work_says_nothing(capsys):
    with ProgressLine(patience=1e9) as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""


def test_long_work_says_what_is_done_and_ends_the_line(capsys):
    with ProgressLine(patience=0) as progress:
        for done in range(4):
            progress(done, 3)
    first, *_, last = capsys.readouterr().err.split("\r")[1:]
    assert first.startswith("0/3, 0 s")
    assert last == "3/3, 0 s    \n"


def test_what_an_earlier_run_did_counts_for_the_state_and_not_for_the_rate(capsys, monkeypatch):
    clock = iter([0.0, 10.0, 20.0])
    monkeypatch.setattr("mion_plugin.progress.time", SimpleNamespace(monotonic=lambda: next(clock)))
    progress = ProgressLine(patience=0)
    progress(50, 100)
    progress(60, 100)  # ten in ten seconds
    *_, state = capsys.readouterr().err.split("\r")
    assert state.strip() == "60/100, 10 s, 40 s left"


@pytest.mark.parametrize(("terminal", "end"), [(True, "\r\x1b[K"), (False, "\n")])
def test_an_error_stands_on_a_line_of_its_own(terminal, end, capsys, monkeypatch):
    progress = ProgressLine(patience=0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)

    def fail():
        with progress:
            progress(1, 2)
            raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        fail()
    assert capsys.readouterr().err.endswith(end)
