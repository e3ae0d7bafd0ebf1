"""Small sound inputs of every kind, from which the hostile ones are made."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.io import savemat
from torch import nn

from mion_plugin.body import SMPLBody
from mion_plugin.body.export import export_body
from mion_plugin.candidates.pool import make_pool, save_pool
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.inference.videos import VideoWriter
from mion_plugin.synthesis.writing import SetSettings, write_set
from mion_plugin.weights import save_weights

NUM_PEOPLE = 3
_NUM_FRAMES, _SMALLER = 3, 4  # of the video; its sides are so many times smaller than the photograph's
_BVH_END = "End Site\n{\nOFFSET 0 5 0\n}\n"
_UPRIGHT = np.array([np.pi, 0.0, 0.0])


@dataclass(frozen=True)
class Seeds:
    """The folder of sound inputs, and the seed of what is done to them."""

    folder: Path
    seed: int = 0

    def path(self, name: str) -> Path:
        """A file, or folder, of it."""
        return self.folder / name

    def read(self, name: str) -> bytes:
        """The content of a file of it."""
        return self.path(name).read_bytes()


def small_network() -> nn.Module:
    """The network that ``weights.pth`` belongs to."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def write_seeds(folder: Path, seed: int = 0) -> Seeds:
    """Write the sound inputs."""
    rng = np.random.default_rng(seed)
    shutil.copy(PHOTO, folder / "photo.jpg")
    keypoints = json.loads(KEYPOINTS.read_text())
    keypoints["images"][0]["file_name"] = "photo.jpg"
    (folder / "keypoints.json").write_text(json.dumps(keypoints))
    _copy(PHOTO, folder / "album" / "photos" / "photo.jpg")
    (folder / "album.json").write_text(json.dumps(_with_another(keypoints, "broken.jpg")))
    for suffix in ("png", "jpg", "bmp", "tif", "webp"):
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(folder / f"small.{suffix}")
    write_set(SetSettings(NUM_PEOPLE, image_size=64), folder / "people")
    pool = make_pool(rng.normal(scale=0.2, size=(20, 23, 3)), _UPRIGHT + rng.normal(scale=0.3, size=(4, 3)))
    save_pool(pool, folder / "pool.npz")
    export_body(SMPLBody().arrays, folder / "body", "neutral")
    _write_npz_body(folder / "body" / "SMPL_NEUTRAL.pkl", folder / "body.npz")
    save_weights(small_network().state_dict(), folder / "weights.pth", meta={"epoch": 1})
    _write_bodies(folder, keypoints["annotations"][0], rng)
    _write_video(folder, keypoints)
    _write_motion(folder, rng)
    for write in (_write_coco, _write_lspet, _write_pw3d):
        write(folder, rng)
    return Seeds(folder, seed)


def _with_another(keypoints: dict[str, Any], name: str) -> dict[str, Any]:
    """The annotations also of a copy of the first image, by another name."""
    first = keypoints["images"][0]
    copy = {**first, "id": -1, "file_name": name}
    people = [{**one, "image_id": -1} for one in keypoints["annotations"] if one["image_id"] == first["id"]]
    return {"images": [first, copy], "annotations": [*keypoints["annotations"], *people]}


def _write_bodies(folder: Path, person: dict[str, Any], rng: np.random.Generator) -> None:
    """Two bodies of the photograph's person, for ``tools/score.py``."""
    pose = rng.normal(scale=0.1, size=(1, 2, 24, 3))
    pose[..., 0, :] = _UPRIGHT
    with Image.open(PHOTO) as photo:
        width, height = photo.size
    content = {
        "image_name": np.array(["photo.jpg"]),
        "person": np.array([0]),
        "keypoints2d": np.array(person["keypoints"], float).reshape(1, 17, 3),
        "pose": pose,
        "betas": np.zeros((1, 2, 10)),
        "transl": np.tile([0.0, 0.0, 4.0], (1, 2, 1)),
        "focal_length": np.array([1000.0]),
        "principal_point": np.array([[width / 2, height / 2]]),
    }
    np.savez(folder / "bodies.npz", **content)


def _write_npz_body(source: Path, path: Path) -> None:
    content = pickle.loads(source.read_bytes())
    np.savez(path, **{key: value for key, value in content.items() if isinstance(value, np.ndarray)})


def _write_video(folder: Path, keypoints: dict[str, Any]) -> None:
    """The photograph, small, as a video, and ``video.json`` with the keypoints of every frame."""
    with Image.open(PHOTO) as photo:
        small = photo.convert("RGB").resize((photo.width // _SMALLER, photo.height // _SMALLER))
    with VideoWriter(folder / "video.mp4", 10.0, small.size) as writer:
        for _ in range(_NUM_FRAMES):
            writer.write(np.asarray(small))
    images = [{"id": frame, "file_name": f"video_{frame:06d}.jpg"} for frame in range(_NUM_FRAMES)]
    person = keypoints["annotations"][0]
    points = np.array(person["keypoints"]).reshape(17, 3) / [_SMALLER, _SMALLER, 1]
    scaled = {**person, "keypoints": points.ravel().tolist(), "bbox": [value / _SMALLER for value in person["bbox"]]}
    people = [{**scaled, "id": frame, "image_id": frame} for frame in range(_NUM_FRAMES)]
    (folder / "video.json").write_text(json.dumps({"images": images, "annotations": people}))


def _write_motion(folder: Path, rng: np.random.Generator) -> None:
    """AMASS: poses of SMPL-H, of which the body's are the first 66 numbers."""
    poses = np.zeros((12, 156))
    poses[:, 3:66] = rng.normal(scale=0.15, size=(12, 63))
    content = {"poses": poses, "trans": np.zeros((12, 3)), "mocap_framerate": 30.0, "gender": "neutral"}
    np.savez(folder / "motion.npz", **content)
    body = SMPLBody().arrays
    joints = 100 * body.J_regressor @ body.v_template
    frames = "\n".join(" ".join(f"{value:.3f}" for value in rng.normal(size=3 + 3 * len(joints))) for _ in range(3))
    hierarchy = _bvh_joint(0, joints, body.parents)
    (folder / "motion.bvh").write_text(f"HIERARCHY\n{hierarchy}MOTION\nFrames: 3\nFrame Time: 0.033\n{frames}\n")


def _bvh_joint(number: int, joints: np.ndarray, parents: np.ndarray) -> str:
    """A joint of a BVH file, with what hangs on it; in centimetres."""
    root = parents[number] < 0
    offset = joints[number] - (0 if root else joints[parents[number]])
    places, count = ("Xposition Yposition Zposition ", 6) if root else ("", 3)
    below = "".join(_bvh_joint(child, joints, parents) for child in np.flatnonzero(parents == number))
    return (
        f"{'ROOT' if root else 'JOINT'} {keypoint_names('smpl')[number]}\n{{\n"
        f"OFFSET {' '.join(f'{value:.3f}' for value in offset)}\n"
        f"CHANNELS {count} {places}Zrotation Xrotation Yrotation\n"
        f"{below or _BVH_END}}}\n"
    )


def _write_coco(folder: Path, rng: np.random.Generator) -> None:
    archive = folder / "coco"
    names = [f"COCO_train2014_{index:012d}.jpg" for index in range(NUM_PEOPLE)]
    images = [{"id": index, "file_name": name} for index, name in enumerate(names)]
    annotations = []
    for index, name in enumerate(names):
        keypoints = np.column_stack([rng.integers(5, 45, (17, 2)), np.full(17, 2)])
        person = {
            "id": index,
            "image_id": index,
            "keypoints": keypoints.ravel().tolist(),
            "bbox": [4.0, 4.0, 40.0, 40.0],
        }
        annotations.append(person)
        _copy(folder / "small.jpg", archive / "train2014" / name)
    path = archive / "annotations" / "person_keypoints_train2014.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"images": images, "annotations": annotations}))


def _write_lspet(folder: Path, rng: np.random.Generator) -> None:
    archive = folder / "lspet"
    joints = np.concatenate([rng.uniform(5, 45, (14, 2, NUM_PEOPLE)), np.ones((14, 1, NUM_PEOPLE))], axis=1)
    for index in range(NUM_PEOPLE):
        _copy(folder / "small.jpg", archive / "images" / f"im{index + 1:05d}.jpg")
    savemat(archive / "joints.mat", {"joints": joints})


def _write_pw3d(folder: Path, rng: np.random.Generator) -> None:
    archive, frames = folder / "pw3d", 2
    keypoints = np.concatenate([rng.uniform(5, 45, (frames, 2, 18)), np.ones((frames, 1, 18))], axis=1)
    sequence = {
        "poses": [rng.normal(scale=0.2, size=(frames, 72))],
        "betas": [rng.normal(size=10)],
        "poses2d": [keypoints],
        "campose_valid": [np.ones(frames, np.int64)],
        "genders": ["m"],
        "cam_poses": np.tile(np.eye(4), (frames, 1, 1)),
        "cam_intrinsics": np.eye(3),
        "sequence": "office_00",
    }
    path = archive / "sequenceFiles" / "test" / "office_00.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(sequence, protocol=2))
    for frame in range(frames):
        _copy(folder / "small.jpg", archive / "imageFiles" / "office_00" / f"image_{frame:05d}.jpg")


def _copy(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, path)
