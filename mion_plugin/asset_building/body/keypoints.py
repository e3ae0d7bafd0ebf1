"""Where the Human3.6M, LSP and MPII keypoints lie on the body, and their regressors.

What they mean here:

- Human3.6M hips (``h36m`` rows 1 and 4): the motion-capture skeleton's hips, wide apart (13 cm from the mid-line on a
  tall man, against 9 cm for the femoral head) and level with the femoral heads; its pelvis is their mid-point.
- LSP hips (``extra`` rows 0 and 1): where annotators click in photographs, the top of the visible thigh in the middle
  of its width: a little below and outside the femoral head, on the way to the knee. MPII's pelvis is their mid-point.
- Human3.6M spine: half-way up the vertebral column between pelvis and neck base; Human3.6M neck (``h36m`` row 8): the
  base of the neck between the shoulders. LSP neck: the middle of the neck, above it. MPII thorax: the upper end
  of the breastbone, a little below the base of the neck.
- ``jaw_extra`` and ``h36m`` row 9 (the data set's "Neck/Nose"; mmhuman3d calls the row ``head_extra``): between the
  top of the spine and the tip of the nose. ``head_extra`` of the extra set and ``h36m`` row 10 (the data set's "Head";
  mmhuman3d calls the row ``headtop``): inside the skull, below the crown. LSP/MPII ``headtop``: the crown itself.
- Shoulders, elbows, wrists, knees, ankles: the body's own joints.
"""

from __future__ import annotations

import numpy as np

from mion_plugin.asset_building.body.regressors import Body, family, fit_row, nearby_skin, symmetric_rows
from mion_plugin.asset_building.body.skeleton import JOINTS

H36M_ROWS = (
    "h36m_pelvis",
    "left_h36m_hip",
    "left_knee",
    "left_ankle",
    "right_h36m_hip",
    "right_knee",
    "right_ankle",
    "h36m_spine",
    "h36m_neck",
    "jaw",
    "h36m_head",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
)
EXTRA_ROWS = (
    "right_lsp_hip",
    "left_lsp_hip",
    "lsp_neck",
    "headtop",
    "mpii_pelvis",
    "mpii_thorax",
    "h36m_spine",
    "jaw",
    "h36m_head",
)
# The joint whose skin each keypoint follows, and the reach.
KEYPOINT_HOME = {
    "h36m_pelvis": ("pelvis", 0.24), "left_h36m_hip": ("left_hip", 0.19), "left_lsp_hip": ("left_hip", 0.19),
    "mpii_pelvis": ("pelvis", 0.24), "left_knee": ("left_knee", 0.10), "left_ankle": ("left_ankle", 0.09),
    "h36m_spine": ("spine2", 0.26), "h36m_neck": ("neck", 0.20), "lsp_neck": ("neck", 0.16),
    "mpii_thorax": ("neck", 0.20), "jaw": ("head", 0.16), "h36m_head": ("head", 0.25), "headtop": ("head", 0.35),
    "left_shoulder": ("left_shoulder", 0.14), "left_elbow": ("left_elbow", 0.085), "left_wrist": ("left_wrist", 0.06),
}  # fmt: skip
# Keypoints between several joints follow the skin of these too.
ALSO_FOLLOWED = {
    "h36m_spine": ("pelvis",),
    "h36m_neck": ("left_collar", "right_collar", "left_shoulder", "right_shoulder"),
    "mpii_thorax": ("left_collar", "right_collar", "left_shoulder", "right_shoulder"),
}


def keypoint_targets(vertices: np.ndarray, joints: np.ndarray, body: Body) -> dict[str, np.ndarray]:
    """Where the keypoints lie on posed bodies; see the module's description.

    Args:
        vertices: (s, v, 3) posed bodies.
        joints: (s, 24, 3) their posed joints.
        body: The mean body, for the crown and the nose.
    """
    joint = {name: joints[:, i] for i, name in enumerate(JOINTS)}
    crown, nose = vertices[:, body.crown], vertices[:, body.nose]
    mid_hip = 0.5 * (joint["left_hip"] + joint["right_hip"])
    mid_shoulder = 0.5 * (joint["left_shoulder"] + joint["right_shoulder"])
    neck_base = 0.5 * (joint["neck"] + mid_shoulder)
    target = {
        "h36m_pelvis": mid_hip,
        "h36m_spine": 0.5 * (joint["spine1"] + joint["spine2"]),
        "h36m_neck": neck_base,
        "lsp_neck": 0.5 * (joint["neck"] + joint["head"]),
        "mpii_thorax": 0.35 * joint["neck"] + 0.65 * mid_shoulder,
        "jaw": 0.5 * (joint["head"] + nose),
        "h36m_head": 0.2 * joint["head"] + 0.8 * crown,
        "headtop": crown,
    }
    for side in ("left", "right"):
        hip = joint[f"{side}_hip"]
        target[f"{side}_h36m_hip"] = mid_hip + 1.45 * (hip - mid_hip)
        target[f"{side}_lsp_hip"] = hip + 0.10 * (hip - mid_hip) + 0.06 * (joint[f"{side}_knee"] - hip)
        target |= {
            f"{side}_{part}": joint[f"{side}_{part}"] for part in ("knee", "ankle", "shoulder", "elbow", "wrist")
        }
    target["mpii_pelvis"] = 0.5 * (target["left_lsp_hip"] + target["right_lsp_hip"])
    return target


def fit_keypoint_regressors(body: Body, vertices: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(17, v) ``h36m`` and (9, v) ``extra`` regressors from posed bodies (s, v, 3) and their joints (s, 24, 3)."""
    targets = keypoint_targets(vertices, joints, body)
    at_rest = keypoint_targets(body.vertices[None], body.joints[None], body)
    rows = {}
    for name, (home, reach) in KEYPOINT_HOME.items():
        joint = JOINTS.index(home)
        followed = [joint] if home == "head" else family(joint)
        followed += [JOINTS.index(part) for part in ALSO_FOLLOWED.get(name, ())]
        skin = nearby_skin(body, at_rest[name][0], followed, reach, name.startswith("left_"))
        if name == "headtop":
            skin = np.array([body.crown])
        rows[name] = fit_row(skin, vertices, targets[name], len(body.vertices))
    rows = symmetric_rows(rows, body.mirror)
    return np.stack([rows[name] for name in H36M_ROWS]), np.stack([rows[name] for name in EXTRA_ROWS])


def random_poses(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 24, 3) varied symmetric-range poses, axis-angle: arms down or up, knees and hips bent, trunk turned."""
    spread = np.full(len(JOINTS), 0.28)
    for name in ("spine1", "spine2", "spine3", "left_foot", "right_foot", "left_hand", "right_hand"):
        spread[JOINTS.index(name)] = 0.11
    spread[0] = 0.0
    poses = rng.normal(size=(count, len(JOINTS), 3)) * spread[:, None]

    def add(joint: str, axis: int, mean: float, std: float, sign: float) -> None:
        poses[:, JOINTS.index(joint), axis] += sign * np.abs(rng.normal(mean, std, count))

    for side, sign in (("left", 1.0), ("right", -1.0)):
        add(f"{side}_shoulder", 2, 0.6, 0.4, -sign)
        add(f"{side}_knee", 0, 0.4, 0.4, 1.0)
        add(f"{side}_hip", 0, 0.4, 0.4, -1.0)
    return poses
