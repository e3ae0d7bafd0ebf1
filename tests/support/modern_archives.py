"""Miniatures of BEDLAM, EMDB and AGORA: folders, file formats and conventions of their authors, with the stand-in body.

Each writer poses and projects bodies in the steps of the data set's own published code, not in our converters'.
"""

import pickle

import cv2
import numpy as np
import torch
from PIL import Image
from scipy.spatial.transform import Rotation
from support.official_archives import joints_of, random_pose, stand_in, write_image

EMDB_FRAMES = 6


def write_emdb(root):
    """A sequence of EMDB 1 (two bad frames, one without a box) and one of EMDB 2; world, moving camera, SMPL joints."""
    for folder, name, gender, flags in (
        ("P1", "14_outdoor_climb", "male", (True, False)),
        ("P9", "79_outdoor_walk", "female", (False, True)),
    ):
        path = root / folder / name / f"{folder}_{name}_data.pkl"
        path.parent.mkdir(parents=True)
        path.write_bytes(pickle.dumps(emdb_sequence(f"{folder}_{name}", gender, flags), protocol=4))
        for frame in range(EMDB_FRAMES):
            write_image(path.parent / "images" / f"{frame:05d}.jpg")


def emdb_sequence(name, gender, flags, seed=0):
    rng = np.random.default_rng(seed)
    body, betas = stand_in(gender), rng.normal(size=10)
    intrinsics = np.array([[950.0, 0, 360], [0, 955, 480], [0, 0, 1]])
    poses, trans, cameras, kp2d, boxes = [], [], [], [], []
    for _ in range(EMDB_FRAMES):
        pose = rng.normal(scale=0.25, size=(24, 3))
        camera = np.eye(4)
        camera[:3, :3] = (
            Rotation.from_rotvec(rng.normal(scale=0.3, size=3)) * Rotation.from_euler("x", np.pi)
        ).as_matrix()
        camera[:3, 3] = rng.normal(size=3)
        in_camera = np.array([rng.normal(scale=0.4), 0.1, rng.uniform(3, 6)])
        place = camera[:3, :3].T @ (in_camera - camera[:3, 3])
        joints = joints_of(body, pose, betas) + place
        seen = joints @ camera[:3, :3].T + camera[:3, 3]
        pixels = (seen @ intrinsics.T)[:, :2] / seen[:, 2:]
        poses.append(pose)
        trans.append(place)
        cameras.append(camera)
        kp2d.append(pixels)
        boxes.append([*pixels.min(0), *pixels.max(0)])
    good = np.ones(EMDB_FRAMES, dtype=bool)
    good[[0, 3]] = False
    kp2d[3][:] = np.nan  # what bad frames hold is nobody's business
    boxes[5] = [50, 50, 50, 60]
    return {
        "gender": gender,
        "name": name,
        "emdb1": flags[0],
        "emdb2": flags[1],
        "n_frames": EMDB_FRAMES,
        "good_frames_mask": good,
        "camera": {"intrinsics": intrinsics, "extrinsics": np.array(cameras), "width": 720, "height": 960},
        "smpl": {
            "poses_root": np.array(poses)[:, 0],
            "poses_body": np.array(poses)[:, 1:].reshape(EMDB_FRAMES, 69),
            "trans": np.array(trans),
            "betas": betas,
        },
        "kp2d": np.array(kp2d),
        "bboxes": {"bboxes": np.array(boxes), "invalid_idxs": np.array([0, 3, 5])},
    }


def write_bedlam(root):
    """A scene of 1280 x 720, and a close-up one whose pictures of 720 x 1280 lie on their left side."""
    for scene, size in (
        ("20221010_3_1000_batch01hand_6fps", (1280, 720)),
        ("20221011_1_250_batch01hand_closeup_suburb_a_6fps", (720, 1280)),
    ):
        labels = bedlam_labels(size)
        (root / "labels").mkdir(parents=True, exist_ok=True)
        np.savez(root / "labels" / f"{scene}.npz", **labels)
        for name, keypoints in zip(labels["imgname"], labels["gtkps"], strict=True):
            picture = np.zeros((size[1], size[0], 3), dtype=np.uint8)
            x, y = keypoints[0, :2].astype(int)
            picture[y - 8 : y + 8, x - 8 : x + 8] = 255  # the pelvis
            if "closeup" in scene:
                picture = cv2.rotate(picture, cv2.ROTATE_90_COUNTERCLOCKWISE)
            path = root / "images" / scene / "png" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)


def bedlam_labels(size, num_people=2, seed=0):
    """The neutral body at ``trans_cam``, then moved by the last column of ``cam_ext``, seen by ``cam_int``."""
    rng = np.random.default_rng(seed)
    rows = {key: [] for key in ("pose_cam", "shape", "trans_cam", "cam_int", "cam_ext", "gtkps", "center", "scale")}
    focal = 36.0 / 36.0 * max(size)
    for _ in range(num_people):
        pose, betas = random_pose(rng), rng.normal(size=10)
        own, camera = rng.normal(scale=0.5, size=3), np.eye(4)
        camera[:3, :3] = Rotation.from_rotvec(rng.normal(size=3)).as_matrix()
        camera[:3, 3] = np.array([0.1, 0.2, 5.0]) - own
        points = joints_of(stand_in(), pose, betas, "smpl_45") + own + camera[:3, 3]
        intrinsics = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1]])
        pixels = (points @ intrinsics.T) / points[:, 2:]
        low, high = pixels[:22, :2].min(0), pixels[:22, :2].max(0)
        rows["pose_cam"].append(pose.ravel())
        rows["shape"].append(betas)
        rows["trans_cam"].append(own)
        rows["cam_int"].append(intrinsics)
        rows["cam_ext"].append(camera)
        rows["gtkps"].append(pixels)
        rows["center"].append((low + high) / 2)
        rows["scale"].append(1.2 * (high - low).max() / 200)
    names = [f"seq_{index:06d}/seq_{index:06d}_0005.png" for index in range(num_people)]
    others = {"gender": ["f"] * num_people, "sub": ["rp_a_posed_001"] * num_people}
    infos = {"motion_info": np.array([{"path": "a"}] * num_people, dtype=object)}
    return {key: np.array(values) for key, values in {"imgname": names, **rows, **others}.items()} | infos


AGORA_PICTURES = {
    "ag_validationset_hdri_00001.png": (0, 0, 0, 0),
    "ag_validationset_3dscene_cam02_00002.png": (0, 0, 0, 0),
    "ag_validationset_ag2_00003.png": (0, 0, 0, 0),
    "ag_validationset_archviz_00004.png": (-300.0, 120.0, 180.0, 25.0),
}


def write_agora(root, dump):
    """Four pictures by four kinds of camera: in each an adult, a child, and somebody who is hidden.

    Args:
        root: The archive.
        dump: Writes a table (column -> list) as a pickled DataFrame to a path.
    """
    rng = np.random.default_rng(0)
    table = {}
    for number, (name, camera) in enumerate(AGORA_PICTURES.items()):
        people = [agora_person(rng, name, camera) for _ in range(3)]
        paths = [f"smpl_gt/validationset/{number}_{person}.obj" for person in range(3)]
        for path, person in zip(paths, people, strict=True):
            write_agora_fit((root / path).with_suffix(".pkl"), person)
        row = {
            "imgPath": name,
            **{
                key: [person[key] for person in people]
                for key in ("X", "Y", "Z", "Yaw", "gt_joints_2d", "gt_joints_3d")
            },
            **dict(zip(("camX", "camY", "camZ", "camYaw"), camera, strict=True)),
            "gender": ["female"] * 3,
            "kid": [False, True, False],
            "occlusion": [10.0, 20.0, 95.0],
            "isValid": [True, True, False],
            "gt_path_smpl": paths,
        }
        for key, value in row.items():
            table.setdefault(key, []).append(value)
        ending = "" if "hdri" in name else "_1280x720"
        write_image(root / "images" / "validation_images" / name.replace(".png", f"{ending}.png"))
    path = root / "validation_SMPL" / "SMPL" / "validation_0_withjv.pkl"
    path.parent.mkdir(parents=True)
    dump(table, path)


def agora_person(rng, name, camera):
    """Posed, turned by the scan's yaw, placed in Unreal's world and seen, as its ``projection.py`` does."""
    pose, betas, own = rng.normal(scale=0.25, size=(24, 3)), rng.normal(size=10), rng.normal(scale=0.2, size=3)
    local = (joints_of(stand_in(), pose, betas, "smpl_45") + own) * [1, -1, -1]
    yaw = rng.uniform(-180, 180)
    focal, where, turn, pitch = {
        "hdri": (50, (0, 0, 170), 0, 0),
        "cam0": (18, (-490, 170, 265), -45, 30),
        "ag2_": (28, (0, 0, 170), 0, 15),
        "arch": (28, camera[:3], camera[3], 0),
    }[next(word for word in ("hdri", "cam0", "ag2_", "arch") if word in name)]
    camera_place = to_opencv(where) / 100 - ([0, 1.7, 0] if "arch" in name else 0)
    to_camera = cv2.Rodrigues(np.radians([pitch, 0.0, 0]))[0] @ cv2.Rodrigues(np.radians([0, -turn, 0.0]))[0]
    ahead = np.array([rng.normal(scale=0.3), 0.5, 6.0])  # of the camera
    place = to_camera.T @ ahead + camera_place
    joints = local @ cv2.Rodrigues(np.radians([0, yaw - 90, 0]))[0].T + place
    seen = (joints - camera_place) @ to_camera.T
    pixels = np.column_stack([seen[:, 0] * focal / 36 * 3840, seen[:, 1] * focal / 20.25 * 2160]) / seen[:, 2:]
    x, y, z = 100 * place[2], 100 * place[0], -100 * place[1]
    return {
        "X": x,
        "Y": y,
        "Z": z,
        "Yaw": yaw,
        "gt_joints_2d": pixels + np.array([1920, 1080]),
        "gt_joints_3d": seen,
        "pose": pose,
        "betas": betas,
        "own": own,
    }


def to_opencv(unreal):
    """Unreal's (x ahead, y right, z up) as (right, down, ahead)."""
    return np.array([unreal[1], -unreal[2], unreal[0]], dtype=float)


def write_agora_fit(path, person):
    """As the converter from SMPL-X to SMPL leaves them: torch's tensors, one of them a parameter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fit = {
        "root_pose": torch.tensor(person["pose"][:1]).float()[None],
        "body_pose": torch.nn.Parameter(torch.tensor(person["pose"][1:]).float()[None]),
        "betas": torch.tensor(np.append(person["betas"], 0.0))[None].float(),
        "translation": torch.tensor(person["own"])[None].float(),
    }
    path.write_bytes(pickle.dumps(fit, protocol=2))


class _Name:
    """A global name, which need not be importable here."""

    def __init__(self, module, name):
        self.text = f"{module}\n{name}\n".encode()

    def __call__(self):
        raise NotImplementedError


class _Made:
    """What a pickle says to call, and the state to give to what comes out."""

    def __init__(self, name, arguments, state=None):
        self.parts = (name, arguments, state)

    def __reduce__(self):
        return self.parts if self.parts[2] is not None else self.parts[:2]


class _NamingPickler(pickle._Pickler):
    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, _Name):
            self.write(pickle.GLOBAL + obj.text)
        else:
            super().save(obj, save_persistent_id)


def dump_as_pandas_1(table, path):
    """A DataFrame in the form of pandas 1.0 to 1.2, the releases of AGORA's time, written without pandas."""
    index = _Name("pandas.core.indexes.base", "_new_Index")
    numbers = [name for name, values in table.items() if isinstance(values[0], float | int)]
    others = [name for name in table if name not in numbers]
    names = objects([*others, *numbers])
    axes = [
        _Made(index, (_Name("pandas.core.indexes.base", "Index"), {"data": names, "name": None})),
        _Made(
            index,
            (_Name("pandas.core.indexes.range", "RangeIndex"), {"name": None, "start": 0, "stop": 4, "step": 1}),
        ),
    ]
    values = [np.stack([objects(table[name]) for name in others]), np.array([table[name] for name in numbers], float)]
    places = [slice(0, len(others), 1), np.arange(len(others), len(names))]
    blocks = [{"values": one, "mgr_locs": place} for one, place in zip(values, places, strict=True)]
    state = (axes, values, [], {"0.14.1": {"axes": axes, "blocks": blocks}})
    manager = _Made(_Name("pandas.core.internals.managers", "BlockManager"), (), state)
    frame = {"_mgr": manager, "_typ": "dataframe", "_metadata": [], "attrs": {}}
    with path.open("wb") as file:
        _NamingPickler(file, protocol=2).dump(_Made(_Name("pandas.core.frame", "DataFrame"), (), frame))


def dump_with_pandas(table, path):
    """The same by the installed pandas, its columns plain arrays."""
    import pandas

    columns = {name: pandas.Series(objects(values), dtype=object) for name, values in table.items()}
    frame = pandas.concat(columns.values(), axis=1)
    frame.columns = pandas.Index(objects(columns), dtype=object)
    frame.to_pickle(path)


def objects(values):
    """(N,) array of objects, whatever they are."""
    values = list(values)
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array
