"""Motion capture as ``tools/build_candidate_pool.py`` reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mion_plugin.candidates.pool import load_pool
from robustness.faults import arrays
from robustness.faults.arrays import read_npz
from robustness.faults.case import Case, require_finite
from robustness.faults.damage import damages
from robustness.faults.doors.files import file_cases, tool
from robustness.faults.seeds import Seeds


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    content = read_npz(seeds.path("motion.npz"))
    every = [
        *damages(seeds.read("motion.npz"), seeds.seed),
        *[damage for damage in arrays.damaged_arrays(content, "poses", "anything") if damage.kind != "key missing"],
        *arrays.forged_headers(content, "poses"),
        *list(arrays.pickled_members(content, "poses"))[::3],
        *list(arrays.traps(content, "poses"))[::2],
    ]
    # a folder without motion capture names itself
    options = {"tool": "build_candidate_pool: error: ", "mentions": ("in", "no pose")}
    yield from file_cases("motion capture", "motion.npz", every, _build, **options)
    few = damages(seeds.read("motion.bvh"), seeds.seed, tolerant=True)
    yield from file_cases("motion capture", "motion.bvh", few, _build, **options)


def _build(path: Path, out: Path) -> int:
    arguments = ["--source", str(path), "--out", str(out / "pool.npz"), "--num-poses", "6", "--num-orientations", "2"]
    code = tool("build_candidate_pool").main(arguments)
    for written in out.glob("*.npz"):
        pool = load_pool(written)
        require_finite([pool.body_pose, pool.keypoints3d])
    return code
