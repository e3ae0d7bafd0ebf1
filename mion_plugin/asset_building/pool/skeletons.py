"""Which joints of a skeleton are the hips, knees, shoulders ... of a body: by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# Names of each joint without its side, likeliest first: Acclaim (CMU), MakeHuman's two rigs, Character Creator,
# Mixamo and MotionBuilder, IsaacGym, SMPL, Poser and Daz. A joint that one role has taken is not given to a later one.
_SIDED_NAMES = {
    "hip": ("femur", "upleg", "upperleg01", "upperleg", "thigh", "thighbend", "hip"),
    "knee": ("tibia", "leg", "lowerleg01", "lowerleg", "loleg", "calf", "shin", "knee"),
    "ankle": ("ankle", "foot"),
    "toe": ("toes", "toebase", "ball", "toe", "toe0", "toe31", "foot"),
    "shoulder": ("humerus", "upperarm01", "upperarm", "uparm", "uarm", "shldr", "shldrbend", "arm", "shoulder"),
    "collar": ("clavicle", "collar", "scapula", "shoulder"),
    "elbow": ("radius", "forearm", "forearmbend", "lowerarm01", "lowerarm", "loarm", "farm", "elbow"),
    "wrist": ("fingerbase", "wrist", "hand"),
}
# The numbers are Blender's Rigify, which has no other names for neck and head.
_CENTRAL_NAMES = {
    "head": ("head", "spine006"),
    "neck": ("lowerneck", "necklower", "neck01", "necktwist01", "neck", "spine004"),
}
_HELPER = "__"  # MakeHuman's bones that only hold others in place
_OPTIONAL = ("toe", "collar", "neck")
_PREFIX = re.compile(r"^(mixamorig\d*|cc_base|neo|bip\d*)[_ ]?")
_START = re.compile(r"^[^-_:.|\s]*[-_:.|\s]+(?=.)")
_SIDE_WORDS = re.compile(r"left|right")
# with VRM's and Maya's letters for the middle
_SIDE_LETTERS = re.compile(r"^(?P<first>[lrcm])[_. ]|[_. ](?P<last>[lrcm])$")


@dataclass(frozen=True)
class BodyMap:
    """Indices of a skeleton's joints that stand for a body's.

    Attributes:
        pelvis: The joint that carries both legs and the trunk.
        trunk: From above the pelvis up to the chest, which carries the neck and arms; at least one.
        neck: Absent in some skeletons.
        head: The head.
        left, right: ``hip``, ``knee``, ``ankle``, ``shoulder``, ``elbow``, ``wrist``, and where there are
            ``collar``, ``toe``.
    """

    pelvis: int
    trunk: tuple[int, ...]
    neck: int | None
    head: int
    left: dict[str, int]
    right: dict[str, int]


def map_body(joint_names: Sequence[str], parents: np.ndarray) -> BodyMap:
    """Find a body's joints in a skeleton.

    Limbs, neck and head are found by name; the pelvis is where the ways from both hips and the head meet, the trunk
    is what lies between it and the neck, whatever these are called.

    Raises:
        ValueError: A joint that a body needs is not there; the message names it.
    """
    found: dict[tuple[str, str], int] = {}
    sides_and_names = [split_side(name) for name in without_prefix(joint_names)]
    roles = [(side, role, names) for side in ("left", "right") for role, names in _SIDED_NAMES.items()]
    roles += [("", role, names) for role, names in _CENTRAL_NAMES.items()]
    for side, role, names in roles:
        if role == "wrist" and sides_and_names[found[side, "elbow"]][1] == "radius":
            names = ("hand", "wrist")  # Acclaim's wrist is in the middle of the forearm, where it rolls
        known = {
            name: joint
            for joint, (its_side, name) in reversed(list(enumerate(sides_and_names)))
            if its_side == side and joint not in found.values() and not joint_names[joint].startswith(_HELPER)
        }
        match = next((known[name] for name in names if name in known), None)
        if match is not None:
            found[side, role] = match
        elif role not in _OPTIONAL:
            raise ValueError(f"skeleton not recognised: no {f'{side} {role}'.strip()} among its joints")
    left, right = ({role: joint for (its, role), joint in found.items() if its == side} for side in ("left", "right"))
    head, neck = found["", "head"], found.get(("", "neck"))
    pelvis = _common_ancestor(parents, [left["hip"], right["hip"], head])
    end = head if neck is None else neck
    trunk = path_between(parents, pelvis, end)
    if not trunk:
        raise ValueError("skeleton not recognised: no joint between pelvis and neck")
    for side, limb in (("left", left), ("right", right)):
        for chain in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
            if any(limb[upper] not in ancestors(parents, limb[lower]) for upper, lower in pairwise(chain)):
                raise ValueError(f"skeleton not recognised: its {side} {', '.join(chain)} are not one limb")
    return BodyMap(pelvis, trunk, neck, head, left, right)


def without_prefix(joint_names: Sequence[str]) -> list[str]:
    """The names without what most of them begin with up to ``_``, ``-``, ``:``, ``.``, ``|`` or a blank.

    Programs put the character's name before every joint: ``Character1_LeftArm``, ``Actor 2:Hips``, ``rig|b_Hips``. At
    most half of a body's joints begin with the word of one side.
    """
    names = list(joint_names)
    while True:
        starts = [match[0] for name in names if (match := _START.match(name))]
        prefix, count = max(
            ((start, starts.count(start)) for start in set(starts)), key=lambda one: one[1], default=("", 0)
        )
        if 2 * count <= len(names):
            return names
        names = [name.removeprefix(prefix) for name in names]


def split_side(name: str) -> tuple[str, str]:
    """Side (``left``, ``right`` or empty) and the rest of a joint's name, in lower case without punctuation.

    ``CC_Base_L_Thigh`` -> (left, thigh); ``LeftUpLeg`` -> (left, upleg); ``lfemur`` -> (left, femur);
    ``upperleg01.R`` -> (right, upperleg01).
    """
    name = _PREFIX.sub("", name.rpartition(":")[2].lower())
    side = ""
    if match := _SIDE_WORDS.search(name):
        side, name = match[0], name.replace(match[0], "", 1)
    elif match := _SIDE_LETTERS.search(name):
        side = {"l": "left", "r": "right"}.get(match["first"] or match["last"], "")
        name = _SIDE_LETTERS.sub("", name, count=1)
    name = re.sub(r"[^a-z0-9]", "", name)
    sided = {known for names in _SIDED_NAMES.values() for known in names}
    if not side and name[:1] in ("l", "r") and name[1:] in sided and name not in sided:
        side, name = ("left" if name[0] == "l" else "right"), name[1:]
    return side, name


def ancestors(parents: np.ndarray, joint: int) -> list[int]:
    """The joints from the parent of ``joint`` to the root."""
    above = []
    while (joint := int(parents[joint])) >= 0:
        above.append(joint)
    return above


def path_between(parents: np.ndarray, upper: int, lower: int) -> tuple[int, ...]:
    """The joints strictly between an ancestor and its descendant, from above."""
    chain = ancestors(parents, lower)
    return tuple(reversed(chain[: chain.index(upper)]))


def _common_ancestor(parents: np.ndarray, joints: Sequence[int]) -> int:
    """The lowest joint that is above all ``joints``."""
    chains = [ancestors(parents, joint) for joint in joints]
    shared = [joint for joint in chains[0] if all(joint in chain for chain in chains[1:])]
    if not shared:
        raise ValueError("skeleton not recognised: legs and head do not meet in one joint")
    return shared[0]
