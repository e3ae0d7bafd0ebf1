"""tools/benchmark.py kills: real kills of short runs, and that its checks find what they look for."""

import dataclasses
import os
import subprocess
import time

import benchmark
import numpy as np
import pytest
import torch

from robustness import kills
from robustness.killed_commands import COMMANDS
from robustness.left_files import difference, files_in, find_damage, is_temporary, training_state
from robustness.processes import kill_group, start, stats_of_group

SECTION = "# A page\n\n<!-- kills: begin -->\nold\n<!-- kills: end -->\n\nIts own words.\n"


def sleep_with_a_worker(arguments):
    subprocess.Popen(["sleep", "1000"])
    print("started", flush=True)
    time.sleep(1000)


def tell_process(path):
    raise ValueError(os.getpid())


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(SECTION)
    return path


def test_conversion_is_killed_and_ends_as_if_it_were_not(tmp_path, page):
    arguments = ["kills", "--times", "2", "--activities", "dataset conversion", "--page", str(page)]
    arguments += ["--work-dir", str(tmp_path / "work")]
    benchmark.main(arguments)
    text = page.read_text()
    assert text.endswith("<!-- kills: end -->\n\nIts own words.\n")
    assert "old" not in text
    cells = next(line for line in text.splitlines() if "dataset conversion" in line).strip("| ").split(" | ")
    activity, num_kills, before, found, damaged, temporary, at_end, equal = cells
    assert (activity, num_kills, damaged, at_end, equal) == ("dataset conversion", "2", "0", "0", "2")
    assert int(before) <= 1  # the second comes after the first file
    assert int(found) + int(temporary) > 0
    log = tmp_path / "work" / "dataset-conversion" / "log.txt"
    written = log.stat().st_mtime_ns
    benchmark.main(arguments)  # nothing is repeated
    assert log.stat().st_mtime_ns == written
    assert page.read_text() == text


def test_rows_of_other_activities_stay(page):
    other, old = "| training | 8 | 1 | 20 | 0 | 2 | 0 | 8 |", "| detection | 9 | 9 | 9 | 9 | 9 | 9 | 9 |"
    page.write_text(f"{SECTION.replace('old', f'{old}{chr(10)}{other}')}\n{old.replace('detection', 'video')}\n")
    kept = kills.kept_rows(page)
    assert list(kept) == ["detection", "training"]  # what stands outside the section is not a row of it
    kill = kills.Kill(1.5, True, 3, 1, {}, 0, "")
    lines = kills.report({"detection": [kill]}, kept).splitlines()
    assert lines[2:] == [other, "| detection | 1 | 1 | 3 | 0 | 1 | 0 | 1 |"]


def test_a_result_that_differs_and_a_damaged_file_are_told(tmp_path, page):
    """The second start meets a finished picture that is cut short, and keeps it."""
    command, folder = COMMANDS["dataset conversion"], tmp_path / "work"
    command = dataclasses.replace(command, readers={**command.readers, "notes.txt": tell_process})
    kills.prepare(command, folder)
    whole = kills.run_whole(command, folder)
    (out,) = folder.glob("out")
    picture = next(name for name in files_in(out) if name.endswith(".jpg"))
    (out / picture).write_bytes((out / picture).read_bytes()[:-20])
    (out / "notes.txt").touch()
    kill = kills.inspect_and_restart(command, folder, whole, 1.5)
    assert set(kill.damaged) == {picture, "notes.txt"}
    assert kill.damaged[picture].startswith("BrokenImageError")
    assert kill.damaged["notes.txt"] != f"ValueError: {os.getpid()}"  # threads of readers are not inherited
    assert kill.difference == "missing: nothing; too many: notes.txt"
    assert not kill.before_first_file
    (out / "notes.txt").unlink()
    again = kills.inspect_and_restart(command, folder, whole, 1.5)
    assert again.difference == f"different: {picture}"
    text = kills.report({"dataset conversion": [again, dataclasses.replace(again, damaged={}, difference="")]})
    assert "| dataset conversion | 2 | 0 | " in text
    assert f"- dataset conversion, killed after 1.5 s on processors: {picture}: BrokenImageError" in text
    assert f"on processors: different: {picture}" in text


def test_a_command_that_fails_is_an_error_with_its_last_words(tmp_path):
    command = dataclasses.replace(COMMANDS["dataset conversion"], prepare=lambda inputs: None)
    kills.prepare(command, tmp_path)
    with pytest.raises(RuntimeError, match=r"exit code 2; see \S+log\.txt\n.*surreal is no folder"):
        kills.run_whole(command, tmp_path)


def test_workers_die_too(tmp_path):
    process = start(sleep_with_a_worker, [], tmp_path / "log.txt")
    while not (tmp_path / "log.txt").exists() or "started" not in (tmp_path / "log.txt").read_text():
        assert process.is_alive()
        time.sleep(0.01)
    assert len(stats_of_group(process.pid)) == 2
    assert kill_group(process)
    assert not stats_of_group(process.pid)
    assert not kill_group(process)  # it has ended


@pytest.mark.parametrize(
    ("name", "temporary"),
    [
        ("epoch_1.pth", False),
        (".epoch_1.k2_x91ab.pth", True),
        (".train_pieces/settings.json", False),
        (".train_pieces/.00000000.k2_x91ab.npz", True),
        ("a/.images.k2_x91ab/frame_0.jpg", True),
    ],
)
def test_what_is_temporary(name, temporary):
    assert is_temporary(name) == temporary


def test_damage_and_difference():
    assert difference({"a": b"1"}, {"a": b"1"}) == ""
    assert difference({"a": b"1", "b": b"2"}, {"a": b"1", "b": b"3"}) == "different: b"
    assert difference({"a": b"1"}, {"b": b"1"}) == "missing: a; too many: b"


def test_a_training_state_holds_weights_and_optimizer_but_no_times(tmp_path):
    def save(weight, momentum, time):
        checkpoint = {
            "state_dict": {"weight": torch.tensor([weight])},
            "optimizer": {"state": {0: {"exp_avg": torch.tensor([momentum])}}, "param_groups": [{"lr": 0.1}]},
            "param_schedulers": [{"last_step": 3}],
            "meta": {"epoch": 1, "iter": 4, "time": time},
        }
        torch.save(checkpoint, tmp_path / "epoch_1.pth")
        return training_state(tmp_path / "epoch_1.pth")

    first = save(1.0, 2.0, "now")
    assert difference(first, save(1.0, 2.0, "later")) == ""
    assert difference(first, save(np.nextafter(np.float32(1), np.float32(2)).item(), 2.0, "now")) == (
        "different: /state_dict/weight"
    )
    assert difference(first, save(1.0, 2.5, "now")) == "different: /optimizer/state/0/exp_avg"
    path = tmp_path / "epoch_1.pth"
    path.write_bytes(path.read_bytes()[:-100])
    damage = find_damage(tmp_path, ["epoch_1.pth"], COMMANDS["training"].readers)
    assert damage["epoch_1.pth"].startswith("ValueError: ")


def test_bad_input(tmp_path, page):
    with pytest.raises(ValueError, match="--times 0, expected at least 1"):
        benchmark.main(["kills", "--times", "0", "--page", str(page), "--work-dir", str(tmp_path)])
