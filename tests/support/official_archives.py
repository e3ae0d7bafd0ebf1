"""Miniatures of the data sets' official archives: their folders, file formats and conventions, with the stand-in body.

Each writer poses bodies and projects them as the data set's own published code does, not as our converters do.
"""

import functools
import json
import pickle

import numpy as np
import torch
from PIL import Image
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from mion_plugin.body import SMPLBody
from mion_plugin.geometry.keypoints import keypoint_names


@functools.cache
def stand_in(gender="neutral"):
    return SMPLBody(gender=gender)


def random_pose(rng, upright=True):
    """(24, 3) axis-angle; upright in a camera's frame, or anywhere."""
    pose = rng.normal(scale=0.25, size=(24, 3))
    root = Rotation.from_rotvec([0, rng.uniform(-3, 3), 0])
    pose[0] = (
        Rotation.from_euler("x", np.pi if upright else np.pi / 2) * root * Rotation.from_rotvec(pose[0])
    ).as_rotvec()
    return pose


def joints_of(body, pose, betas, convention="smpl"):
    """(K, 3) metres."""
    arguments = torch.tensor(pose)[None].float(), torch.tensor(betas)[None].float()
    if convention == "smpl":
        return body(*arguments).joints[0].double().numpy()
    return body.pose_keypoints(*arguments, convention=convention)[0].double().numpy()


def write_image(path, size=(96, 64), value=128):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)


def write_video(path, num_frames, size=(64, 48), codec="mp4v"):
    """Frame i is grey of 10 i + 20."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 30, size)
    for index in range(num_frames):
        writer.write(np.full((size[1], size[0], 3), 10 * index + 20, dtype=np.uint8))
    writer.release()


def write_surreal_clip(folder, name, gender, num_frames=4, seed=0, video=True):
    """One clip as ``main_part1.py`` of SURREAL makes it.

    The root is Rx(90) Rz(zrot) R(pose[:3]) and the camera's axes in the world are the columns of a matrix of
    determinant -1, both from its ``smpl_relations.py``; gender 0 is female.
    """
    rng = np.random.default_rng(seed)
    body = stand_in(("female", "male")[gender])
    zrot, betas, location = rng.uniform(0, 6.28), rng.normal(size=10), np.array([7.3, -0.9, -1.4])
    camera_axes = np.array([[0.0, 0, 1], [0, -1, 0], [-1, 0, 0]])  # Blender's: right, up, backwards
    poses, joints3d, joints2d = [], [], []
    for _ in range(num_frames):
        pose = random_pose(rng, upright=False)
        in_world = pose.copy()
        turned = Rotation.from_euler("x", 90, degrees=True) * Rotation.from_euler("z", zrot)
        in_world[0] = (turned * Rotation.from_rotvec(pose[0])).as_rotvec()
        joints = joints_of(body, in_world, betas) + np.array([0.2, -1.0, -1.3])
        seen = (joints - location) @ camera_axes
        x, y = 160 + 600 * seen[:, 0] / -seen[:, 2], 120 - 600 * seen[:, 1] / -seen[:, 2]
        poses.append(pose.ravel())
        joints3d.append(joints.T)
        joints2d.append(np.round([x, y]))
    content = {
        "pose": np.stack(poses, axis=-1).astype(np.float32),
        "joints3D": np.stack(joints3d, axis=-1).astype(np.float32),
        "joints2D": np.stack(joints2d, axis=-1).astype(np.float32),
        "shape": np.tile(betas[:, None], num_frames).astype(np.float32),
        "zrot": np.full((num_frames, 1), zrot, dtype=np.float32),
        "gender": np.full((num_frames, 1), gender, dtype=np.uint8),
        "camLoc": location.reshape(3, 1).astype(np.float32),
    }
    if num_frames == 1:  # MATLAB drops the last axis
        content = {key: value[..., 0] if value.ndim == 3 else value for key, value in content.items()}
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / f"{name}_info.mat", content)
    if video:
        write_video(folder / f"{name}.mp4", num_frames, (320, 240))
    return content


def write_up3d(root, num_people=3, seed=0):
    """UP-3D: fits in a scaled crop of the photograph, joints in pixels of the photograph."""
    rng = np.random.default_rng(seed)
    body = stand_in()
    root.mkdir(parents=True, exist_ok=True)
    for index in range(num_people):
        pose, betas, shift = random_pose(rng), rng.normal(size=10), np.array([0.1, -0.2, 12.0])
        top, left, scale, (width, height), focal = 20, 30, 1.5, (300, 240), 1000.0
        points = joints_of(body, pose, betas, "lsp") + shift
        in_crop = focal * points[:, :2] / points[:, 2:] + [width / 2, height / 2]
        joints = np.vstack([(in_crop / scale + [left, top]).T, np.ones(14)])
        joints[:, 13] = 0  # not annotated
        np.save(root / f"{index:05d}_joints.npy", joints)
        fit = {"pose": pose.ravel(), "betas": betas, "trans": np.zeros(3), "rt": np.zeros(3), "t": shift, "f": focal}
        (root / f"{index:05d}_body.pkl").write_bytes(pickle.dumps(fit, protocol=2))
        rows, columns = (top, top + int(height / scale)), (left, left + int(width / scale))
        crop = [height, width, *rows, *columns]
        (root / f"{index:05d}_fit_crop_info.txt").write_text(" ".join(map(str, crop)))
        write_image(root / f"{index:05d}_image.png", (260, 220))
    lines = [f"/{index:05d}_image.png" for index in range(num_people)]
    (root / "trainval.txt").write_text("\n".join(lines) + "\n")


def write_pw3d(root, split="test", num_frames=4, seed=0):
    """3DPW: bodies in the world, a moving camera; two people, of whom one has no camera in the first frame."""
    rng = np.random.default_rng(seed)
    focal, intrinsics = 900.0, np.array([[900.0, 0, 270], [0, 900, 480], [0, 0, 1]])
    genders, cameras = ["m", "f"], []
    people = {key: [] for key in ("poses", "betas", "trans", "poses2d", "campose_valid")}
    for _ in range(num_frames):
        camera = np.eye(4)
        camera[:3, :3] = Rotation.from_rotvec(rng.normal(scale=0.8, size=3)).as_matrix()
        camera[:3, 3] = rng.normal(size=3)
        cameras.append(camera)
    for gender in genders:
        body, betas = stand_in({"m": "male", "f": "female"}[gender]), rng.normal(size=10)
        poses, trans, poses2d = [], [], []
        for camera in cameras:
            pose, in_camera = rng.normal(scale=0.25, size=(24, 3)), np.array([rng.normal(scale=0.3), 0.1, 5.0])
            rotation, offset = camera[:3, :3], camera[:3, 3]
            joints = joints_of(body, pose, betas, "pw3d")
            place = rotation.T @ (in_camera - offset) - joints.mean(axis=0)
            seen = (joints + place) @ rotation.T + offset
            pixels = focal * seen[:, :2] / seen[:, 2:] + intrinsics[:2, 2]
            poses.append(pose.ravel())
            trans.append(place)
            poses2d.append(np.vstack([pixels.T, np.ones(18)]))
        people["poses"].append(np.array(poses))
        people["betas"].append(betas)
        people["trans"].append(np.array(trans))
        people["poses2d"].append(np.array(poses2d))
        people["campose_valid"].append(np.ones(num_frames, dtype=np.int64))
    people["campose_valid"][1][0] = 0
    people["poses2d"][1][2] = 0  # OpenPose saw nobody
    sequence = {
        **people,
        "genders": genders,
        "cam_poses": np.array(cameras),
        "cam_intrinsics": intrinsics,
        "sequence": "office_00",
    }
    folder = root / "sequenceFiles" / split
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "office_00.pkl").write_bytes(pickle.dumps(sequence, protocol=2))
    for frame in range(num_frames):
        write_image(root / "imageFiles" / "office_00" / f"image_{frame:05d}.jpg")


def write_coco(root, num_people=3, file_name=None, seed=0):
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    for index in range(num_people):
        name = f"COCO_train2014_{index:012d}.jpg"
        keypoints = np.column_stack([rng.integers(10, 60, (17, 2)), rng.integers(1, 3, 17)])
        keypoints[index % 5] = 0  # a joint of the face
        images.append({"id": index, "file_name": file_name or name})
        box = [float(value) for value in (5, 6, 40, 50)]
        annotations.append({"image_id": index, "keypoints": keypoints.ravel().tolist(), "bbox": box})
        write_image(root / "train2014" / name)
    incomplete = {**annotations[0], "keypoints": [*annotations[0]["keypoints"][:-3], 0, 0, 0]}
    path = root / "annotations" / "person_keypoints_train2014.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"images": images, "annotations": [*annotations[::-1], incomplete]}))


def write_lsp(root, num_images=2000, seed=0):
    """(3, 14, N): the third row tells hidden joints; all have a position."""
    rng = np.random.default_rng(seed)
    joints = np.concatenate([rng.uniform(10, 60, (2, 14, num_images)), rng.integers(0, 2, (1, 14, num_images))])
    savemat_into(root / "joints.mat", joints=joints)
    for index in range(num_images):
        path = root / "images" / f"im{index + 1:04d}.jpg"
        if index == 0:
            write_image(path)
        else:
            path.symlink_to(root / "images" / "im0001.jpg")
    return joints


def write_lspet(root, high_resolution, num_images=3, seed=0):
    """(14, 3, N): the third column tells annotated joints; the others are anywhere."""
    rng = np.random.default_rng(seed)
    joints = np.concatenate([rng.uniform(10, 60, (14, 2, num_images)), np.ones((14, 1, num_images))], axis=1)
    joints[3, :, 0] = -35.5, 4.0, 0.0
    savemat_into(root / "joints.mat", joints=joints)
    for index in range(num_images):
        name = f"im{index + 1:05d}.png" if high_resolution else f"images/im{index + 1:05d}.jpg"
        write_image(root / name)
    return joints


def write_mpii(root, name="000001163.jpg", seed=0):
    """One struct ``RELEASE``: two training images, one with two people, of whom one is incomplete, and a test image."""
    rng = np.random.default_rng(seed)

    def person(num_joints):
        points = [
            {"x": rng.uniform(10, 60), "y": rng.uniform(10, 60), "id": joint, "is_visible": 1}
            for joint in rng.permutation(16)[:num_joints]
        ]
        return {
            "annopoints": {"point": structs(points)},
            "scale": 0.3,
            "objpos": {"x": 40.0, "y": 30.0},
        }

    complete, incomplete = person(16), person(15)
    images = [
        {"image": {"name": name}, "annorect": complete},
        {"image": {"name": "000002.jpg"}, "annorect": structs([person(16), incomplete])},
        {"image": {"name": "000003.jpg"}, "annorect": np.array([])},
    ]
    release = {"annolist": structs(images), "img_train": np.array([1, 1, 0])}
    savemat_into(root / "mpii_human_pose_v1_u12_1.mat", RELEASE=release)
    for image in ("000001163.jpg", "000002.jpg"):
        write_image(root / "images" / image)
    return complete


def structs(items):
    """MATLAB's array of structs."""
    array = np.empty(len(items), dtype=[(key, object) for key in items[0]])
    for index, item in enumerate(items):
        array[index] = tuple(item.values())
    return array


def savemat_into(path, **content):
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, content)


def write_mpi_inf_3dhp(root, videos=False, num_frames=1, seed=0):
    """The 16 training sequences with their cells of annotations by camera; joints in mm in each camera's frame."""
    rng = np.random.default_rng(seed)
    body, names = stand_in(), keypoint_names("mpi_inf_3dhp")
    known = [name for name in names if name in keypoint_names("smpl_54")]
    rows = [keypoint_names("smpl_54").index(name) for name in known]
    joints = joints_of(body, random_pose(rng), rng.normal(size=10), "smpl_54")[rows]
    points = rng.normal(scale=0.2, size=(28, 3))  # hands, toes, clavicles: SMPL has none of that name
    points[[names.index(name) for name in known]] = joints
    points += np.array([0.1, 0.2, 4.0])
    pixels = 1500 * points[:, :2] / points[:, 2:] + 1024
    annot2, annot3 = np.empty((14, 1), dtype=object), np.empty((14, 1), dtype=object)
    for video in range(14):
        annot2[video, 0] = np.tile(pixels.ravel(), (num_frames, 1))
        annot3[video, 0] = np.tile(1000 * points.ravel(), (num_frames, 1))
    for sequence in (f"S{subject}/Seq{part}" for subject in range(1, 9) for part in (1, 2)):
        savemat_into(root / sequence / "annot.mat", annot2=annot2, annot3=annot3)
        for video in (0, 1, 2, 4, 5, 6, 7, 8):
            if videos:
                write_video(root / sequence / "imageSequence" / f"video_{video}.avi", num_frames, codec="MJPG")
            else:
                for frame in range(num_frames):
                    write_image(root / sequence / f"video_{video}" / f"{frame + 1:06d}.jpg")
    return known, joints


H36M_ROWS = [11, 6, 7, 8, 1, 2, 3, 12, 24, 14, 15, 17, 18, 19, 25, 26, 27]  # of its 32 joints, in the order of h36m


def write_h36m(root, subjects=(9, 11), num_frames=6, mosh=None, seed=0):
    """Human3.6M: CDF poses, MATLAB 7.3 masks, videos, the cameras in ``metadata.xml``."""
    rng = np.random.default_rng(seed)
    body = stand_in()
    for subject in subjects:
        for camera in ("54138969", "60457274"):
            name = f"Directions 1.{camera}"
            poses = [random_pose(rng) for _ in range(num_frames)]
            betas = rng.normal(size=10)
            points = np.array([joints_of(body, pose, betas, "h36m") for pose in poses])
            points += np.array([0.1, 0.2, 5.0])
            folder = root / f"S{subject}"
            joints3d, joints2d = np.zeros((num_frames, 32, 3)), np.zeros((num_frames, 32, 2))
            joints3d[:, H36M_ROWS] = 1000 * points
            joints2d[:, H36M_ROWS] = 1145 * points[..., :2] / points[..., 2:] + 512
            write_cdf(folder / "MyPoseFeatures" / "D3_Positions_mono" / f"{name}.cdf", joints3d)
            write_cdf(folder / "MyPoseFeatures" / "D2_Positions" / f"{name}.cdf", joints2d)
            write_masks(folder / "MySegmentsMat" / "ground_truth_bs" / f"{name}.mat", num_frames)
            write_video(folder / "Videos" / f"{name}.mp4", num_frames)
            if mosh is not None:
                write_mosh(mosh / f"S{subject}", camera, poses[::5], betas)
    (root / "metadata.xml").write_text(_metadata())


def write_mosh(folder, camera, poses, betas):
    """As SPIN reads them: the body is turned by 180 degrees about its own x axis."""
    turned = np.array(poses)
    half_turn = Rotation.from_rotvec([np.pi, 0, 0])
    turned[:, 0] = (Rotation.from_rotvec(turned[:, 0]) * half_turn).as_rotvec()
    index = ("54138969", "55011271", "58860488", "60457274").index(camera)
    folder.mkdir(parents=True, exist_ok=True)
    content = {"new_poses": turned.reshape(len(turned), 72), "betas": betas}
    (folder / f"Directions 1_cam{index}_aligned.pkl").write_bytes(pickle.dumps(content, protocol=2))


def write_cdf(path, joints):
    """One record of all frames, as Human3.6M's."""
    from cdflib.cdfwrite import CDF

    path.parent.mkdir(parents=True, exist_ok=True)
    values = joints.reshape(1, len(joints), -1).astype(np.float32)
    file = CDF(path, delete=True)
    spec = {
        "Variable": "Pose",
        "Data_Type": 44,  # CDF_FLOAT
        "Num_Elements": 1,
        "Rec_Vary": True,
        "Dim_Sizes": list(values.shape[1:]),
    }
    file.write_var(spec, var_data=values)
    file.close()


def write_masks(path, num_frames):
    """A person between columns 100 and 299 and rows 200 and 699 of 1000 x 1000, behind MATLAB 7.3's references."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((1000, 1000), dtype=np.uint8)
    mask[200:700, 100:300] = 1
    with h5py.File(path, "w") as file:
        stored = file.create_dataset("#refs#/a", data=mask.T, compression="gzip")
        references = file.create_dataset("Masks", (num_frames, 1), dtype=h5py.ref_dtype)
        for frame in range(num_frames):
            references[frame, 0] = stored.ref


def _metadata():
    row = "<tr><td/><td/>" + "".join(f"<td>S{subject}</td>" for subject in range(1, 12)) + "</tr>"
    cameras = "".join(f"<c>{name}</c>" for name in ("54138969", "55011271", "58860488", "60457274"))
    numbers = " ".join("0.5" for _ in range(300))
    return (
        f"<root><mapping>{row}</mapping><actionnames><a>Directions</a></actionnames>"
        f"<dbcameras><index2id>{cameras}</index2id></dbcameras><w0>[{numbers}]</w0></root>"
    )
