import json
from contextlib import suppress

import pytest

from mion_plugin.inference.partial_lines import PartialLines

SETTINGS = {"input": "a.mp4", "person": None}


def line(number, people=1):
    return {"frame": number, "people": [{"person": n} for n in range(people)]}


def stop(path, count, people=1, **options):
    """A run that ends after so many lines."""
    lines = PartialLines(path, SETTINGS, **options)
    with suppress(RuntimeError), lines:
        for number in range(count):
            lines.write(line(number, people))
        raise RuntimeError("stopped")


def test_a_run_that_ends_leaves_its_lines_alone(tmp_path):
    with PartialLines(tmp_path / "a.jsonl", SETTINGS) as lines:
        lines.write(line(0))
        assert json.loads((tmp_path / "a.partial.jsonl").read_text()) == line(0)  # at once
        lines.write(line(1))
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    assert [json.loads(text) for text in (tmp_path / "a.jsonl").read_text().splitlines()] == [line(0), line(1)]


def test_lines_that_do_not_get_the_name_go(tmp_path):
    with PartialLines(tmp_path / "a.jsonl", SETTINGS, named=False) as lines:
        lines.write(line(0))
    assert not list(tmp_path.iterdir())


def test_what_killed_runs_left_half_written_goes(tmp_path):
    for name in (".a.abcdefgh.jsonl", ".a.partial.abcdefgh.jsonl", ".a.partial.abcdefgh.json"):
        (tmp_path / name).touch()
    with PartialLines(tmp_path / "a.jsonl", SETTINGS):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.partial.json", "a.partial.jsonl"]


@pytest.mark.parametrize(("cut", "multiple", "kept"), [(0, 1, 5), (5, 1, 4), (5, 2, 4), (0, 4, 4), (0, 8, 0)])
def test_a_stopped_run_goes_on_after_its_whole_lines(tmp_path, cut, multiple, kept):
    stop(tmp_path / "a.jsonl", 5)
    partial = tmp_path / "a.partial.jsonl"
    partial.write_bytes(partial.read_bytes()[: -cut or None])
    lines = PartialLines(tmp_path / "a.jsonl", SETTINGS, resume=True, multiple=multiple)
    assert lines.kept == [line(number) for number in range(kept)]
    with lines:
        for number in range(7):
            lines.write(line(number))
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    found = [json.loads(text)["frame"] for text in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert found == list(range(7))


def test_without_resume_it_begins_anew(tmp_path):
    stop(tmp_path / "a.jsonl", 5)
    assert PartialLines(tmp_path / "a.jsonl", SETTINGS).kept == []


def test_lines_without_anybody_do_not_stay(tmp_path):
    stop(tmp_path / "a.jsonl", 3, people=0)
    assert not list(tmp_path.iterdir())


def test_other_settings_are_refused_by_name(tmp_path):
    stop(tmp_path / "a.jsonl", 5)
    with pytest.raises(ValueError, match=r"a\.partial\.jsonl is of a run with person None \(not 3\)"):
        PartialLines(tmp_path / "a.jsonl", {**SETTINGS, "person": 3}, resume=True)
