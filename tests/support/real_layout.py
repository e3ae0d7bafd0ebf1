"""A miniature of the real data in mmhuman3d's layout: a few people in tiny photographs, and the files around them.

The annotation files hold what mmhuman3d's converters write for each set, joint names included, compressed as theirs.
"""

from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from mion_plugin.body import SMPLBody
from mion_plugin.body.export import export_body
from mion_plugin.candidates.pool import make_pool, save_pool
from mion_plugin.geometry.keypoints import keypoint_names

HEIGHT, WIDTH, FOCAL = 96, 128, 300.0
NUM_PEOPLE = 3
UPRIGHT = np.array([np.pi, 0.0, 0.0])
_LSP = """right_ankle right_knee right_hip_extra left_hip_extra left_knee left_ankle right_wrist right_elbow
    right_shoulder left_shoulder left_elbow left_wrist neck_extra headtop""".split()
_MPII = [*_LSP, "pelvis_extra", "thorax_extra"]
_3DHP = [*_LSP, "pelvis_extra", "spine_extra", "head_extra"]
# set: annotation file, where its images lie, 2D joints, 3D joints, whether it has SMPL
SETS = {
    "h36m": ("h36m_mosh_train.npz", "S1/images", "h36m", "h36m", True),
    "h36m_p1": ("h36m_valid_protocol1.npz", "S9/images", "h36m", "h36m", False),
    "h36m_p2": ("h36m_valid_protocol2.npz", "S11/images", "h36m", "h36m", False),
    "lsp": ("lsp_train.npz", "images", _LSP, None, False),
    "lspet": ("lspet_train.npz", ".", _LSP, None, False),
    "mpii": ("mpii_train.npz", "images", _MPII, None, False),
    "coco": ("coco_2014_train.npz", "train2014", "coco", None, False),
    "mpi_inf_3dhp": ("mpi_inf_3dhp_train.npz", "S1/Seq1", _3DHP, _3DHP, False),
    "pw3d": ("pw3d_test.npz", "imageFiles/office", None, None, True),
    "up3d": ("up3d_trainval.npz", ".", "lsp", None, True),
    "bedlam": ("bedlam_train.npz", "images/20221010_3_1000_batch01hand_6fps/png/seq_000000", "smpl", None, True),
    "emdb": ("emdb_1.npz", "P1/14_outdoor_climb/images", "smpl", None, True),
    "agora": ("agora_validation.npz", "images", "smpl", None, True),
}


def write_real_layout(root):
    """Write ``data`` below ``root``: annotations, images, a body in SMPL's files, a candidate pool, textures."""
    data = root / "data"
    for gender in ("neutral", "male", "female"):
        files = export_body(another_body(gender), data / "body_models" / "smpl", gender)
        for regressor in files[1:]:  # as mmhuman3d's guide has them
            regressor.replace(data / "body_models" / regressor.name)
    body = SMPLBody(data / "body_models" / "smpl")
    write_pool(data / "amass_pool.npz", body)
    rng = np.random.default_rng(0)
    write_photograph(data / "lsun" / "kitchen" / "000001.jpg", rng)
    write_photograph(data / "surreal_textures" / "female" / "nongrey_female_0001.jpg", rng)
    write_texture_map(data / "body_models" / "smpl_uv.obj", body)
    for seed, (name, (file, *_)) in enumerate(SETS.items()):
        content = make_annotations(name, body, seed)
        for path in content["image_path"]:
            write_photograph(data / "datasets" / name.split("_p")[0] / path, rng)
        (data / "preprocessed_datasets").mkdir(exist_ok=True)
        np.savez_compressed(data / "preprocessed_datasets" / file, **content)
    return data


def another_body(gender):
    """A body that is not the stand-in: smaller, its faces begin with another corner, its betas mean something else."""
    arrays = SMPLBody(gender=gender).arrays
    return replace(
        arrays,
        v_template=arrays.v_template * np.float32(0.9),
        faces=np.roll(arrays.faces, 1, axis=1)[::-1],
        shapedirs=-arrays.shapedirs,
    )


def write_pool(path, body):
    """Upright bodies, turned a little, of a recording each."""
    rng = np.random.default_rng(0)
    orientations = UPRIGHT + rng.normal(scale=0.3, size=(4, 3))
    poses = rng.normal(scale=0.2, size=(20, 23, 3))
    clips = [f"KIT/3/walk_{index:02d}_poses.npz" for index in range(len(poses))]
    clip_index = np.arange(len(poses))
    save_pool(make_pool(poses, orientations, body=body, clip_index=clip_index, metadata={"clips": clips}), path)


def write_texture_map(path, body):
    """The layout of a texture that is seen from the front, a corner of each face by itself."""
    faces = body.faces.numpy()
    points = body.v_template.numpy()[faces.ravel(), :2]
    lines = [f"vt {u:.4f} {v:.4f}" for u, v in (points - points.min(axis=0)) / np.ptp(points, axis=0)]
    corners = np.arange(faces.size).reshape(faces.shape) + 1
    lines += [
        "f " + " ".join(f"{vertex + 1}/{corner}" for vertex, corner in zip(*row, strict=True))
        for row in zip(faces, corners, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")


def write_photograph(path, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(path, quality=80)


def make_annotations(name, body, seed, num_people=NUM_PEOPLE, with_transl=False, zoom=1.0):
    """The keys of a HumanData file of one set, keypoints compressed; people and focal length ``zoom`` times as far."""
    _, folder, joints2d, joints3d, has_smpl = SETS[name]
    rng = np.random.default_rng(seed)
    pose = rng.normal(scale=0.2, size=(num_people, 24, 3))
    pose[:, 0] += UPRIGHT
    betas = rng.normal(size=(num_people, 10))
    transl = np.array([0.0, 0.1, 7.0 * zoom]) + rng.normal(scale=0.05, size=(num_people, 3))
    posed = [torch.from_numpy(value).float() for value in (pose, betas, transl)]
    detected = _pixels(body.pose_keypoints(*posed, convention="coco").numpy(), zoom)
    low, high = detected[..., :2].min(axis=1), detected[..., :2].max(axis=1)
    content = {
        "image_path": [f"{folder}/{name}_{index:06d}.jpg" for index in range(num_people)],
        "bbox_xywh": np.column_stack([low - 0.1 * (high - low), 1.2 * (high - low), np.ones(num_people)]),
        "config": name,
        "keypoints2d_detected": detected + np.append(rng.normal(size=2), 0.0),
        "keypoints2d_detected_mask": np.ones(17),
        "keypoints2d_detected_convention": "coco",
        "__key_strict__": False,
        "__data_len__": num_people,
        "__keypoints_compressed__": True,
    }
    if joints2d is not None:
        content |= _compressed("keypoints2d", _pixels(_joints(body, posed, joints2d), zoom), joints2d)
    if joints3d is not None:
        points = _joints(body, posed, joints3d)
        pelvis = points[:, _names(joints3d).index("pelvis_extra"), None]
        content |= _compressed("keypoints3d", np.dstack([points - pelvis, np.ones(points.shape[:2])]), joints3d)
    if has_smpl:
        content["smpl"] = {"body_pose": pose[:, 1:], "global_orient": pose[:, 0], "betas": betas}
        content["smpl"] |= {"transl": transl} if with_transl else {}
    if name == "pw3d":
        content["meta"] = {"gender": np.array(["m", "f"] * num_people)[:num_people]}
        camera = {"H": HEIGHT, "W": WIDTH, "in_mat": intrinsics().tolist(), "name": "default"}
        content["cam_param"] = [camera] * num_people
    elif name.startswith("h36m"):  # its cameras by subject, not by row
        content["cam_param"] = {"S1": {"54138969": {"in_mat": intrinsics().tolist(), "H": HEIGHT, "W": WIDTH}}}
    return content


def intrinsics(zoom=1.0):
    """The camera of the photographs, (3, 3)."""
    return np.array([[zoom * FOCAL, 0, WIDTH / 2], [0, zoom * FOCAL, HEIGHT / 2], [0, 0, 1]])


def _names(joints):
    return list(keypoint_names(joints)) if isinstance(joints, str) else joints


def _joints(body, posed, joints):
    """(N, K, 3) joints of posed bodies: of a convention, or of names."""
    if isinstance(joints, str):
        return body.pose_keypoints(*posed, convention=joints).numpy()
    points = body.pose_keypoints(*posed, convention="smpl_54").numpy()
    return points[:, [keypoint_names("smpl_54").index(name) for name in joints]]


def _pixels(points, zoom):
    projected = points @ intrinsics(zoom).T
    return np.dstack([projected[..., :2] / projected[..., 2:], np.ones(points.shape[:2])])


def _compressed(key, values, joints):
    """Values (N, K, C) in mmhuman3d's 190 joints, those of the mask only, in their order."""
    all_names, names = keypoint_names("human_data"), _names(joints)
    order = sorted(range(len(names)), key=lambda row: all_names.index(names[row]))
    mask = np.array([int(name in names) for name in all_names])
    return {key: values[:, order], f"{key}_mask": mask}
