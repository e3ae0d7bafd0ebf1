"""Files of bodies, and of the truth, as ``tools/score.py`` reads them."""

from __future__ import annotations

import functools
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robustness.faults import arrays, pickles
from robustness.faults.arrays import Content, read_npz, writes_npz
from robustness.faults.case import ANYTHING, REFUSED, SAME, Case, WrongResultError
from robustness.faults.damage import Damage, damages, hostile
from robustness.faults.doors.files import file_cases, tool
from robustness.faults.seeds import Seeds

_NAME, _TRUTH, _PICKLE = "bodies.npz", "truth.npz", "output.pkl"
_NUMERIC = ("pose", "betas", "transl", "focal_length", "principal_point", "keypoints2d")
_OPTIONAL = ("betas", "principal_point")
_TOOL = "score.py: error: "


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    content = read_npz(seeds.path(_NAME))
    every = [
        *damages(seeds.read(_NAME), seeds.seed),
        *_by_key(content),
        *arrays.forged_headers(content, "pose"),
        *list(arrays.pickled_members(content, "pose"))[::4],
        *arrays.traps(content, "pose"),
        *_contradictions(content),
    ]
    bodies = functools.partial(_score, seeds, "--bodies")
    yield from file_cases("score: bodies", _NAME, every, bodies, tool=_TOOL, mentions=("photo.jpg",))
    sound = pickle.dumps({"0": {}}, 2)
    scorehypo = [damage for damage in hostile(sound, seeds.seed) if damage.kind != "bits flipped"]
    scorehypo += list(_pickles())
    yield from file_cases("score: ScoreHypo's pickle", _PICKLE, scorehypo, bodies, tool=_TOOL)
    truth = [*hostile(seeds.read(_NAME), seeds.seed)[::3], *_truths()]
    against = functools.partial(_score, seeds, "--gt")
    yield from file_cases("score: truth", _TRUTH, truth, against, tool=_TOOL, mentions=("photo.jpg",))


def _score(seeds: Seeds, option: str, path: Path, out: Path) -> int:
    bodies = ["--bodies", str(seeds.path(_NAME))] if option != "--bodies" else []
    arguments = [str(seeds.path("photo.jpg")), *bodies, option, str(path), "--draw", "0", "--resamples", "10"]
    code = tool("score").main([*arguments, "--out", str(out), "--device", "cpu"])
    for written in out.glob("*.json"):
        people = json.loads(written.read_text())["people"]
        if written.name == "scores.json" and any(body["cen"] is None for one in people for body in one["bodies"]):
            raise WrongResultError("a body's score is not finite")
    return code


def _by_key(content: Content) -> Iterator[Damage]:
    for key in _NUMERIC:
        for damage in arrays.damaged_arrays(content, key):
            if damage.kind == "key missing" and key in _OPTIONAL:
                continue
            yield damage
    for name in ("3", "photo\0.jpg", "../photo.jpg", "C:\\photos\\photo.jpg", "n" * 5000, ""):
        changed = writes_npz({**content, "image_name": np.array([name])})
        yield Damage("path traversal", f"image_name {ascii(name)[:30]}", changed, ANYTHING)
    for told, value in (
        ("numbers", np.array([3])),
        ("objects", np.array([None])),
        ("bytes", np.array([b"photo.jpg"])),
        ("of rank 0", np.array("photo.jpg")),
    ):
        yield Damage("wrong type", f"image_name: {told}", writes_npz({**content, "image_name": value}))
    for told, person in (("-1", [-1]), ("text", ["0"]), ("a fraction", [0.5]), ("beyond", [2**62]), ("two", [0, 1])):
        expected = ANYTHING if told == "beyond" else REFUSED
        yield Damage("wrong type", f"person: {told}", writes_npz({**content, "person": np.array(person)}), expected)


def _contradictions(content: Content) -> Iterator[Damage]:
    vertices = np.zeros((1, 2, 6890, 3), np.float32)
    behind = {**content, "transl": -content["transl"]}
    without = {name: value for name, value in content.items() if name not in ("transl", "focal_length")}
    without.pop("principal_point")
    weak = {**without, "weak_perspective": np.array([[[1e-300, 0, 0]] * 2]), "crop": np.array([[50.0, 50, 100]])}
    for told, changed, expected in (
        ("pose and vertices", {**content, "vertices": vertices}, REFUSED),
        ("vertices of SMPL-X", {"vertices": np.zeros((1, 2, 10475, 3)), "image_name": content["image_name"]}, REFUSED),
        ("bodies behind the camera", behind, REFUSED),
        ("two cameras", {**content, "weak_perspective": np.ones((1, 2, 3)), "crop": np.ones((1, 3))}, REFUSED),
        ("a crop far away", weak, REFUSED),
        ("no camera", without, SAME),
        ("poses misspelt", {**content, "poses": content["pose"]}, REFUSED),
        ("4D-Humans' without boxes", {"pred_cam": np.ones((1, 3)), "pred_vertices": vertices[0]}, REFUSED),
        ("4D-Humans' of scale 0", _hmr2(0.0), REFUSED),
        ("4D-Humans' of a tiny scale", _hmr2(1e-30), REFUSED),
        ("all in one point", {**without, "keypoints2d": np.full((1, 17, 3), 5.0)}, REFUSED),
    ):
        yield Damage("contradiction" if expected == REFUSED else "odd but legal", told, writes_npz(changed), expected)


def _hmr2(scale: float) -> Content:
    eye = np.eye(3)
    bodies = {"global_orient": eye[None, None], "body_pose": np.tile(eye, (1, 23, 1, 1)), "betas": np.zeros((1, 10))}
    return {**bodies, "pred_cam": np.array([[scale, 0, 0]]), "box_center": np.ones((1, 2)), "box_size": np.ones(1)}


def _pickles() -> Iterator[Damage]:
    groups = (
        ("code in a pickle", pickles.with_code()),
        ("exhausting pickle", pickles.exhausting()),
        ("forged pickle", pickles.forged_arrays()),
        ("wrong type", pickles.sound_but_useless()),
    )
    for kind, group in groups:
        for name, code in group:
            yield Damage(kind, name, _writes(code))
    person: dict[str, Any] = {"pred_mesh": np.zeros((6890, 3)), "focal_l": [1.0], "center_pt": [0, 0], "img_path": "a"}
    for told, content in (
        ("no person", {0: {}, 1: {}, 2: {}}),
        ("bodies of other people", {0: {0: person}, 1: {0: person}, 2: {0: person}, 3: {1: person}, 4: {}}),
        ("names that do not compare", {0: {}, "a": {}, 2: {}}),
        ("a mesh of text", {n: {0: {**person, "pred_mesh": "text"}} for n in range(3)}),
        ("a mesh of NaN", {n: {0: {**person, "pred_mesh": np.full((6890, 3), np.nan)}} for n in range(3)}),
        ("a mesh in kilometres", {n: {0: {**person, "pred_mesh": np.eye(6890, 3) * 1e9}} for n in range(3)}),
    ):
        yield Damage("wrong type", told, _writes(pickle.dumps(content, 2)))


def _truths() -> Iterator[Damage]:
    joints = np.random.default_rng(0).normal(size=(1, 17, 3))
    sound = {"keypoints3d": joints, "image_name": np.array(["photo.jpg"])}
    for told, changed in (
        ("NaN", {**sound, "keypoints3d": np.full_like(joints, np.nan)}),
        ("14 joints", {**sound, "keypoints3d": joints[:, :14]}),
        ("of rank 0", {**sound, "keypoints3d": np.array(1.0)}),
        ("text", {**sound, "keypoints3d": np.full(joints.shape, "a")}),
        ("person as text", {**sound, "person": np.array(["0"])}),
        ("image_name as numbers", {**sound, "image_name": np.array([3])}),
        ("of somebody else", {**sound, "image_name": np.array(["other.jpg"])}),
        ("two truths", {**sound, "pose": np.zeros((1, 24, 3))}),
        ("nobody", {"keypoints3d": joints[:0], "image_name": np.array([], "<U1")}),
        ("no truth", {"image_name": sound["image_name"]}),
    ):
        yield Damage("wrong type", told, writes_npz(changed))
    yield Damage("nothing", "nothing is wrong", writes_npz(sound), SAME)


def _writes(content: bytes) -> Callable[[Path], int]:
    return lambda path: path.write_bytes(content)
