"""Motion capture as ``tools/build_candidate_pool.py`` reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mion_plugin.candidates.pool import load_pool
from robustness.faults import arrays
from robustness.faults.arrays import Content, read_npz, writes_npz
from robustness.faults.case import SAME, Case, require_finite
from robustness.faults.damage import Damage, damages
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
    yield from file_cases("motion capture", "motion.npz", _other_rates(content), _build, **options)
    few = [*damages(seeds.read("motion.bvh"), seeds.seed, tolerant=True), *_other_spellings(seeds.read("motion.bvh"))]
    yield from file_cases("motion capture", "motion.bvh", few, _build, **options)


def _other_rates(content: Content) -> Iterator[Damage]:
    for value in (0, -1, np.nan, np.inf, "fast", [30, 60]):
        changed = {**content, "mocap_framerate": np.array(value)}
        yield Damage("wrong type", f"a frame rate of {value}", writes_npz(changed))


def _other_spellings(sound: bytes) -> Iterator[Damage]:
    for told, changed in (
        ("UTF-16", sound.decode().encode("utf-16")),
        ("Frames:3", sound.replace(b"Frames: 3", b"Frames:3")),
        ("a prefix", sound.replace(b"JOINT ", b"JOINT Character1_").replace(b"ROOT ", b"ROOT Character1_")),
    ):
        yield Damage("another tool's", told, lambda path, c=changed: path.write_bytes(c), SAME)
    changed = sound.replace(b"Xrotation", b"Wrotation")
    yield Damage("wrong type", "an axis W", lambda path: path.write_bytes(changed))


def _build(path: Path, out: Path) -> int:
    arguments = ["--source", str(path), "--out", str(out / "pool.npz"), "--num-poses", "6", "--num-orientations", "2"]
    code = tool("build_candidate_pool").main(arguments)
    for written in out.glob("*.npz"):
        pool = load_pool(written)
        require_finite([pool.body_pose, pool.keypoints3d])
    return code
