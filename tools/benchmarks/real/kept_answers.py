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

_SOURCES = (Path(mion_plugin.__file__).parent, Path(__file__).parent)
_RULE = "rule "


def kept_answers(
    method: Method, views: Views, kind: str, pictures: Callable[[], Iterable[np.ndarray]], work_dir: Path
) -> list[Answers]:
    """Answers of a method to pictures of a kind, from ``work_dir`` where an earlier run left the very same."""
    path = work_dir / f"answers_{_digest(method, views, kind)}.npz"
    if path.is_file():
        return _unpack(read_npz(path, "file of answers"))
    answers = method.answer(views, pictures())
    write_npz(path, _pack(answers))
    return answers


def _pack(answers: Iterable[Answers]) -> dict[str, np.ndarray]:
    arrays = {}
    for index, one in enumerate(answers):
        arrays |= {f"{index} joints": one.joints, f"{index} compared": np.array(one.compared)}
        arrays |= {f"{index} {_RULE}{name}": scores for name, scores in one.rules.items()}
    return arrays


def _unpack(arrays: dict[str, np.ndarray]) -> list[Answers]:
    answers = []
    while f"{len(answers)} joints" in arrays:
        begin = f"{len(answers)} "
        rules = {
            name.removeprefix(begin + _RULE): scores
            for name, scores in arrays.items()
            if name.startswith(begin + _RULE)
        }
        answers.append(Answers(arrays[f"{begin}joints"], rules, bool(arrays[f"{begin}compared"])))
    return answers


def _digest(method: Method, views: Views, kind: str) -> str:
    """What decides the answers, as far as it can differ between two runs in one environment."""
    told = hashlib.sha256(f"{method.identity} {kind} {_sources()}".encode())
    for array in (views.cameras, views.frames, *(person.keypoints2d for person in views.people), views.landmarks3d):
        told.update(np.ascontiguousarray(array).tobytes())
    return told.hexdigest()[:16]


@cache
def _sources() -> str:
    told = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted(folder.rglob("*.py")):
            told.update(path.read_bytes())
    return told.hexdigest()
