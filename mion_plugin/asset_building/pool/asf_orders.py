"""What an ASF file states about rotations: which axes turn, in which order, and how each bone's frame lies.

pyacclaim reads bones and hierarchy, but takes every order for x, y, z, and needs limits. After the format's definition
(Acclaim, version 1.10; the orders as Vicon explains them): tokens stand in the order in which the AMC file lists the
values and in which the rotations are made, about axes that stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from mion_plugin.asset_building.pool.rotations import euler_to_rotmat

_KEPT = ("id", "name", "direction", "length", "axis")  # of a bone, for pyacclaim
_KEYWORDS = (*_KEPT, "dof", "limits", "bodymass", "cofmass")
_ROTATIONS = ("rx", "ry", "rz")
_TRANSLATIONS = ("tx", "ty", "tz")
_ROOT = "root"


@dataclass(frozen=True)
class BoneRotation:
    """How a bone turns.

    Attributes:
        columns: Which of the bone's values in the AMC file are angles.
        order: The axes of these, in the order in which they turn, such as ``xyz``.
        frame: (3, 3) rotation of the bone's own axes against the world's.
    """

    columns: tuple[int, ...]
    order: str
    frame: np.ndarray

    def local(self, degrees: np.ndarray) -> np.ndarray:
        """Rotations (T, 3, 3) relative to the parent, of angles (T, len(order))."""
        return self.frame @ turned_about_fixed_axes(self.order, degrees) @ self.frame.T


@dataclass(frozen=True)
class AsfText:
    """An ASF file's text, read for its orders.

    Attributes:
        bones: By name, the root first.
        degrees: Angles are in degrees, not in radians.
        plain: The text for pyacclaim: no comments, no blank lines, of every bone only what it reads.
    """

    bones: dict[str, BoneRotation]
    degrees: bool
    plain: str


def read_asf_text(text: str) -> AsfText:
    """Read a file's text.

    Raises:
        ValueError: A degree of freedom or an order that is none, or a root that is turned beforehand.
    """
    sections = _sections(text)
    degrees = not re.search(r"^\s*angle\s+rad", "\n".join(sections.get("units", [])), re.MULTILINE | re.IGNORECASE)
    bones = {_ROOT: _root(sections.get("root", []))}
    plain = []
    for section, lines in sections.items():
        plain.append(f":{section}" if section in ("root", "bonedata", "hierarchy", "units") else f":{section} none")
        if section == "bonedata":
            for fields in _bones(lines):
                plain += ["begin", *(f"{key} {' '.join(fields[key])}" for key in _KEPT if key in fields), "end"]
                if fields.get("name"):
                    name = "_".join(fields["name"])
                    bones[name] = _bone(name, fields, degrees)
        elif section in ("root", "hierarchy", "units"):
            plain += lines
    return AsfText(bones, degrees, "\n".join(plain))


def turned_about_fixed_axes(order: str, degrees: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3): first about the first axis of ``order`` by the first of the angles (T, K), then the next."""
    return euler_to_rotmat(order[::-1].upper(), degrees[..., ::-1].copy())


def _sections(text: str) -> dict[str, list[str]]:
    """Lines without comments and blanks by the keyword above them, which may have more on its own line."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        if line.startswith(":"):
            keyword, _, rest = line[1:].partition(" ")
            lines = sections.setdefault(keyword.lower(), [])
            line = rest.strip()
        if line:
            lines.append(line)
    return sections


def _bones(lines: list[str]) -> list[dict[str, list[str]]]:
    """The words after each keyword, of every bone."""
    bones: list[dict[str, list[str]]] = []
    words: list[str] = []
    for word in re.split(r"[\s(),]+", " ".join(lines)):
        if word.lower() == "begin":
            bones.append({})
        elif bones and word.lower() in _KEYWORDS:
            words = bones[-1].setdefault(word.lower(), [])
        elif bones and word and word.lower() != "end":
            words.append(word)
    return bones


def _root(lines: list[str]) -> BoneRotation:
    fields = {line.split()[0].lower(): [word.lower() for word in line.split()[1:]] for line in lines}
    order = fields.get("order", [])
    if sorted(order) != sorted((*_TRANSLATIONS, *_ROTATIONS)):
        raise ValueError(f"root channels are {' '.join(order)!r}, expected TX TY TZ RX RY RZ in some order")
    try:
        turned = any(float(word) != 0.0 for word in fields.get("orientation", []))
    except ValueError:
        raise ValueError(f"root orientation is {' '.join(fields['orientation'])!r}, expected numbers") from None
    if turned:
        raise ValueError(f"root orientation is {' '.join(fields['orientation'])}, only 0 0 0 is supported")
    columns = [column for column, word in enumerate(order) if word in _ROTATIONS]
    return BoneRotation(tuple(columns), "".join(order[column][1] for column in columns), np.eye(3))


def _bone(name: str, fields: dict[str, list[str]], degrees: bool) -> BoneRotation:
    dof = [word.lower() for word in fields.get("dof", [])]
    for word in dof:
        if word not in _ROTATIONS or dof.count(word) > 1:
            raise ValueError(f"bone {name} has the degrees of freedom {' '.join(dof)}, expected rx, ry and rz alone")
    *angles, order = fields.get("axis", ["xyz"])
    if sorted(order.lower()) != ["x", "y", "z"] or len(angles) not in (0, 3):
        raise ValueError(
            f"damaged skeleton: bone {name} has the axis {' '.join([*angles, order])!r}, expected 0 0 0 XYZ"
        )
    try:
        values = np.array([float(angle) for angle in angles or (0, 0, 0)])
    except ValueError:
        raise ValueError(f"damaged skeleton: bone {name} has the axis {' '.join(angles)!r}, expected numbers") from None
    frame = turned_about_fixed_axes(order.lower(), values if degrees else np.degrees(values))
    return BoneRotation(tuple(range(len(dof))), "".join(word[1] for word in dof), frame)
