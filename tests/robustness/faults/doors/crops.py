"""``tools/cache_crops.py``: annotation files, images, and what an earlier run left."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from mion_plugin.datasets.human_data import load_human_data
from robustness.faults import arrays
from robustness.faults.arrays import Content, read_npz, writes_npz
from robustness.faults.case import ANYTHING, REFUSED, Case, require_finite
from robustness.faults.damage import Damage, damages, hostile
from robustness.faults.doors.files import file_cases, tool
from robustness.faults.seeds import Seeds

_NAME = "train.npz"
_TOOL = "cache_crops: error: "


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    people = seeds.path("people")
    content = read_npz(people / _NAME)
    image = str(content["image_path"][0])
    every = [
        *damages((people / _NAME).read_bytes(), seeds.seed),
        *_by_key(content),
        *list(arrays.pickled_members(content, "smpl"))[::4],
        *list(arrays.traps(content, "keypoints2d"))[::2],
    ]
    # what is done is kept for the next start
    kept = ("cache/.train_pieces/*", "cache/train/*")
    options = {"beside": people, "tool": _TOOL, "mentions": ("name too long",), "may_leave": kept}
    yield from file_cases("cache_crops: annotations", _NAME, every, _cache, **options)
    broken = list(hostile((people / image).read_bytes(), seeds.seed, tolerant=True))
    enter = functools.partial(_cache_beside, depth=len(Path(image).parts))
    yield from file_cases("cache_crops: image", image, broken, enter, **options)
    for name, found in ((f"cache/.{Path(_NAME).stem}_pieces/settings.json", _notes()), (f"cache/{_NAME}", _caches())):
        enter = functools.partial(_go_on, seeds, depth=len(Path(name).parts) - 1)
        yield from file_cases("cache_crops: output folder", name, found, enter, tool=_TOOL, mentions=("cache",))


def _cache(path: Path, out: Path) -> int:
    return _run(path.parent, out / "cache")


def _cache_beside(path: Path, out: Path, depth: int) -> int:
    return _run(path.parents[depth - 1], out / "cache")


def _go_on(seeds: Seeds, path: Path, out: Path, depth: int) -> int:
    """Into a folder that holds a damaged file already."""
    return _run(seeds.path("people"), path.parents[depth - 1])


def _run(root: Path, cache: Path) -> int:
    code = tool("cache_crops").main([_NAME, "--data-root", str(root), "--out", str(cache), "--workers", "0"])
    if code == 0:
        data = load_human_data(cache / _NAME)
        require_finite([np.asarray(data.content["bbox_xywh"])])
    return code


def _by_key(content: Content) -> Iterator[Damage]:
    yield from arrays.damaged_arrays(content, "bbox_xywh")
    for damage in arrays.damaged_arrays(content, "keypoints2d", ANYTHING):
        if damage.kind in ("wrong type", "NaN or infinite", "huge"):
            yield damage
    for path in ("../secret.jpg", "/etc/passwd", "", "a\0b.jpg", "..\\secret.jpg", "n" * 5000):
        changed = content["image_path"].astype(object)
        changed[1] = path
        yield Damage("path traversal", ascii(path)[:30], writes_npz({**content, "image_path": changed}))
    far = content["bbox_xywh"].copy()
    for told, value in (("far away", 1e8), ("enormous", 1e12), ("tiny", 1e-12)):
        boxes = far.copy()
        boxes[1, 2:4] = value
        boxes[1, :2] = value if told == "far away" else boxes[1, :2]
        yield Damage("huge", f"a box that is {told}", writes_npz({**content, "bbox_xywh": boxes}), ANYTHING)


def _notes() -> Iterator[Damage]:
    for told, text in (("empty", b""), ("a list", b"[]"), ("deep", b"[" * 100_000), ("not UTF-8", b"\xff\xfe\0")):
        yield Damage("left by another", told, _writes(text), REFUSED)


def _caches() -> Iterator[Damage]:
    for told, content in (("empty", b""), ("text", b"not an archive")):
        yield Damage("left by another", told, _writes(content), REFUSED)
    yield Damage("left by another", "other arrays", writes_npz({"a": np.ones(1)}), REFUSED)
    strange = {"config": np.array("[]"), "num_lost": np.array(0)}
    yield Damage("left by another", "settings that are a list", writes_npz(strange), REFUSED)
    yield Damage("left by another", "losses as text", writes_npz({**strange, "num_lost": np.array("a")}), REFUSED)


def _writes(content: bytes) -> Callable[[Path], int]:
    return lambda path: path.write_bytes(content)
