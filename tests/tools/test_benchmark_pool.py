"""tools/benchmark.py pool: a run on a few frames, its recordings, and the line that is read on."""

import benchmark
import numpy as np
import pytest
from benchmarks import pool
from benchmarks.pool import Size

from mion_plugin.asset_building.pool import read_sources
from mion_plugin.asset_building.pool.smpl_skeleton import smpl_rest_joints
from mion_plugin.body.smpl import SMPLBody

MIB = 2**20


def test_sizes_are_measured_and_both_forms_are_compared(capsys):
    sizes = ["--frames", "90", "180", "--poses", "20", "--coverage-frames", "300", "--coverage-poses", "40"]
    benchmark.main(["pool", *sizes])
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    rows = {line[0]: line[1:] for line in lines}
    assert rows["full"][1] == "+0.0 %"
    assert abs(float(rows["mini-batches"][1].removesuffix(" %"))) < 10
    beyond_poses = float(rows["180"][2].removesuffix(" MiB"))
    assert 0 < beyond_poses < 100
    assert float(rows["180"][3].removesuffix(" MiB").replace(",", "")) > 100


def test_its_recordings_are_read_as_amass(tmp_path):
    pool.write_recordings(tmp_path / "amass", 700, seed=0)
    collection = read_sources([tmp_path / "amass"], smpl_rest_joints(SMPLBody().arrays), progress=False)
    assert not collection.skipped
    assert sum(len(sequence) for sequence in collection.sequences) + sum(collection.implausible.values()) == 700
    steps = np.abs(np.diff(collection.sequences[0].poses, axis=0)).max()
    assert 0.01 < steps < 1.5  # they move, and do not jump


def test_time_and_memory_are_read_on_along_a_line():
    sizes = [Size(100_000, 5.0, 15.0, 60 * MIB, 0), Size(300_000, 15.0, 45.0, 62 * MIB, 0)]
    text = pool.read_on(sizes, 2_000, 1_500_000, 10_000)
    assert "5 minutes for 2,000 poses, at most 5 times that for 10,000" in text
    assert f"74 MiB beyond the poses, which are {1_500_000 * pool.POSE_BYTES / MIB:,.0f} MiB" in text
    assert pool.read_on(sizes[:1], 2_000, 1_500_000, 10_000) == ""


def test_coverage_by_hand():
    joints = smpl_rest_joints(SMPLBody().arrays)
    poses = np.zeros((3, 23, 3), np.float32)
    poses[1, 15, 0] = poses[2, 16, 0] = 0.3  # the same of the left and the right shoulder
    alone, both = (pool.coverage(poses, poses[chosen], joints) for chosen in ([0], [0, 1]))
    assert alone > 0.01
    assert both == pytest.approx(0, abs=1e-3)
