"""Answers of a method, kept in a file until the method, the package or the views change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
from benchmarks.real.methods import Answers, Method
from benchmarks.real.views import Views

import mion_plugin
from mion_plugin.files.npz import read_npz, write_npz

# What answers are made by besides the package; the rest of this folder makes what is digested, or reports.
_OWN_SOURCES = ("methods.py", "joints.py", "pictures.py", "detection.py")
_RULE = "rule "


def kept_answers(
    method: Method, views: Views, kind: str, pictures: Callable[[], Iterable[np.ndarray]], work_dir: Path
) -> list[Answers]:
    """Answers of a method to pictures of a kind, from ``work_dir`` where an earlier run left the very same."""
    path = work_dir / f"answers_{_digest(method, views, kind)}.npz"
    if path.is_file():
        return _unpack(read_npz(path, "file of answers"))
    print(f"{type(method).__name__} on {len(views.people)} frames, {kind}", flush=True)
    answers = method.answer(views, pictures())
    write_npz(path, _pack(answers))
    return answers


def _pack(answers: Iterable[Answers]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for index, one in enumerate(answers):
        arrays |= {f"{index} joints": one.joints, f"{index} compared": np.array(one.compared)}
        arrays[f"{index} best"] = np.array(one.best)
        arrays |= {f"{index} {_RULE}{name}": scores for name, scores in one.rules.items()}
    return arrays


def _unpack(arrays: dict[str, np.ndarray]) -> list[Answers]:
    answers: list[Answers] = []
    while f"{len(answers)} joints" in arrays:
        begin = f"{len(answers)} "
        rules = {
            name.removeprefix(begin + _RULE): scores
            for name, scores in arrays.items()
            if name.startswith(begin + _RULE)
        }
        flags = bool(arrays[f"{begin}compared"]), str(arrays[f"{begin}best"])
        answers.append(Answers(arrays[f"{begin}joints"], rules, *flags))
    return answers


def _digest(method: Method, views: Views, kind: str) -> str:
    """What decides the answers, as far as it can differ between two runs in one environment."""
    told = hashlib.sha256(f"{method.identity} {kind} {_sources()}".encode())
    keypoints2d, depths = ([getattr(person, name) for person in views.people] for name in ("keypoints2d", "depths"))
    for array in (views.cameras, views.frames, *keypoints2d, *depths, views.landmarks3d):
        told.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return told.hexdigest()[:16]


@cache
def _sources() -> str:
    told = hashlib.sha256()
    package = sorted(Path(mion_plugin.__file__).parent.rglob("*.py"))
    for path in (*package, *(Path(__file__).with_name(name) for name in _OWN_SOURCES)):
        told.update(path.read_bytes())
    return told.hexdigest()
