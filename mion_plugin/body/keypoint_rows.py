"""Where each keypoint of a convention sits on the body: at a joint of the skeleton, or on the skinned surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from smplx.vertex_ids import vertex_ids

from mion_plugin.body.arrays import NUM_VERTICES, BodyArrays
from mion_plugin.body.export import REGRESSOR_FILES
from mion_plugin.geometry.conventions import CONVENTIONS
from mion_plugin.geometry.keypoints import keypoint_mapping, keypoint_names

_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
# mmhuman3d's name of the surface points that smplx picks as vertices, with smplx's name.
_VERTEX_KEYPOINTS = {
    "nose": "nose",
    **{f"{side}_{part}": f"{side[0]}{part}" for side in ("left", "right") for part in ("eye", "ear", *_FINGERS)},
    **{
        f"{side}_{part.lower()}": f"{side[0].upper()}{part}"
        for side in ("left", "right")
        for part in ("BigToe", "SmallToe", "Heel")
    },
}
_JOINT_NAMES = CONVENTIONS["smpl"]
_EXTRA_NAMES = CONVENTIONS["smpl_54"][45:]


@dataclass(frozen=True)
class KeypointRows:
    """How to read K keypoints off a posed body.

    Attributes:
        joint_index: (K,) SMPL joint that the keypoint is, or -1 when it comes from the surface.
        regressor: (K, 6890) float32 weights over the vertices; zero rows where the keypoint is a joint.
    """

    joint_index: np.ndarray
    regressor: np.ndarray


def keypoint_rows(body: BodyArrays, convention: str) -> KeypointRows:
    """The keypoints of ``convention`` on ``body``, as mmhuman3d's body models define them.

    ``h36m`` orders come from the Human3.6M regressor alone (mmhuman3d's test setting); all others from the 54 points of
    ``smpl_54`` by name, OpenPose's points approximated by the joints of the same name (its training setting).

    Raises:
        ValueError: Unknown convention, one with points that a SMPL body does not have, or one that needs a regressor
            file that was not beside the model.
    """
    names = keypoint_names(convention)
    if convention.startswith("h36m"):
        regressor = _require(body, "regressor_h36m", convention)
        dst_index, src_index = (list(index) for index in keypoint_mapping("h36m", convention))
        rows = np.zeros((len(names), NUM_VERTICES), dtype=np.float32)
        rows[dst_index] = regressor[src_index]
        return KeypointRows(np.full(len(names), -1), rows)
    joint_index = np.full(len(names), -1)
    regressor = np.zeros((len(names), NUM_VERTICES), dtype=np.float32)
    for row, name in enumerate(name.removesuffix("_openpose") for name in names):
        if name in _JOINT_NAMES:
            joint_index[row] = _JOINT_NAMES.index(name)
        elif name in _VERTEX_KEYPOINTS:
            regressor[row, vertex_ids["smplh"][_VERTEX_KEYPOINTS[name]]] = 1.0
        elif name in _EXTRA_NAMES:
            regressor[row] = _require(body, "regressor_extra", convention)[_EXTRA_NAMES.index(name)]
        else:
            raise ValueError(f"convention {convention!r} has the keypoint {name!r}, which SMPL does not define")
    return KeypointRows(joint_index, regressor)


def _require(body: BodyArrays, field: str, convention: str) -> np.ndarray:
    regressor = getattr(body, field)
    if regressor is None:
        raise ValueError(
            f"{body.name}: keypoints {convention!r} need {REGRESSOR_FILES[field]} beside the model file or one folder "
            "above; it is part of mmhuman3d's body model downloads (see the page 'body_models' of its documentation)"
        )
    return regressor
