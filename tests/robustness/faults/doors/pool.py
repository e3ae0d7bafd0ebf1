"""Candidate pools as ``mion.CandidateSelector`` and the tools read them."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from mion_plugin.candidates import Candidates, CandidateSelector
from mion_plugin.datasets.coco import load_coco_people
from robustness.faults import arrays
from robustness.faults.arrays import Content, read_npz, writes_npz
from robustness.faults.case import ANYTHING, Case, require_equal, require_finite
from robustness.faults.damage import Damage, damages
from robustness.faults.doors.files import file_cases, tool
from robustness.faults.seeds import Seeds

_NAME = "pool.npz"


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    content = read_npz(seeds.path(_NAME))
    every = [
        *damages(seeds.read(_NAME), seeds.seed),
        *_by_key(content),
        *arrays.forged_headers(content, "body_pose"),
        *list(arrays.pickled_members(content, "metadata"))[::2],
        *arrays.traps(content, "keypoints3d"),
        *_other(content),
    ]
    same = functools.partial(_select_same, seeds)
    yield from file_cases("pool", _NAME, every, functools.partial(_select, seeds), same=same)
    few = list(damages(seeds.read(_NAME), seeds.seed))[::6]
    photo, keypoints = str(seeds.path("photo.jpg")), str(seeds.path("keypoints.json"))

    def demo(path: Path, out: Path) -> int:
        arguments = [photo, "--keypoints", keypoints, "--stage", "1", "--pool", str(path), "--out", str(out)]
        return tool("demo").main(arguments)

    def synthesize(path: Path, out: Path) -> int:
        arguments = ["--out", str(out), "--num-images", "1", "--pool", str(path), "--workers", "0", "--split", "all"]
        return tool("synthesize").main([*arguments, "--image-size", "32"])

    yield from file_cases("demo: pool", _NAME, few, demo, tool="demo.py: error: ")
    yield from file_cases("synthesize: pool", _NAME, few, synthesize, tool="synthesize: error: ")


def _by_key(content: Content) -> Iterator[Damage]:
    for key in ("body_pose", "global_orient", "keypoints3d", "root_offset"):
        for damage in arrays.damaged_arrays(content, key):
            # any number of orientations is legal
            legal = key == "global_orient" and damage.name in (f"{key} with one row more", f"{key} with one row less")
            yield Damage(damage.kind, damage.name, damage.write, ANYTHING) if legal else damage
    for key in ("global_orient", "root_offset"):
        yield from arrays.legal_arrays(content, key)


def _other(content: Content) -> Iterator[Damage]:
    for value in (0, 2, -1, 1e300, "text", np.nan):
        yield Damage(
            "wrong type", f"format_version {value!r}", writes_npz({**content, "format_version": np.array(value)})
        )
    for value in ("cooc", "", 3, "smpl"):
        yield Damage("wrong type", f"convention {value!r}", writes_npz({**content, "convention": np.array(value)}))
    for value in ("", "[", "[" * 100_000, "NaN", "3", '"text"', "[]", "null", "9" * 100_000):
        told = f"metadata {value[:10]!r}"
        yield Damage("hostile JSON", told, writes_npz({**content, "metadata": np.array(value)}))
    clips = {**content, "clip_index": np.zeros(20, np.int16), "metadata": np.array(json.dumps({"clips": []}))}
    yield Damage("wrong type", "clip numbers without clips", writes_npz(clips), ANYTHING)
    yield Damage("wrong type", "clip numbers of text", writes_npz({**clips, "clip_index": np.full(20, "a")}))
    yield Damage("wrong type", "an array too many", writes_npz({**content, "evil": np.zeros(3)}))


def _select(seeds: Seeds, path: Path, out: Path) -> None:
    _selection(seeds, path)


def _select_same(seeds: Seeds, path: Path, out: Path) -> None:
    found, expected = _selection(seeds, path), _selection(seeds, seeds.path(_NAME))
    require_equal(found.pose.numpy(), expected.pose.numpy())


def _selection(seeds: Seeds, pool: Path) -> Candidates:
    keypoints = load_coco_people(seeds.path("keypoints.json"), "photo.jpg")[0].keypoints2d
    selection = CandidateSelector(pool, num_candidates=2)(torch.from_numpy(keypoints)[None])
    require_finite([selection.pose, selection.transl, selection.fit_loss])
    return selection
