"""Source vertices that must survive simplification because others know them by number.

``smplx`` reads the face, toe, heel and fingertip keypoints at fixed vertex numbers (``smplx.vertex_ids['smplh']``);
each landmark is the extreme point of its part in the T-pose.
"""

from __future__ import annotations

import numpy as np

from mion_plugin.asset_building.body.source import REGIONS, SourceMesh

FINGERS = ("thumb", "index", "middle", "ring", "pinky")


def left_landmarks(source: SourceMesh, vertices: np.ndarray, used: np.ndarray) -> dict[str, int]:
    """Source vertex of each landmark of the left half, by its name in ``smplx.vertex_ids``.

    Args:
        source: The source mesh.
        vertices: (n, 3) T-posed mean shape.
        used: (u,) vertices of the closed left half.
    """
    inside = np.zeros(len(vertices), dtype=bool)
    inside[used] = True

    def part(bone: str) -> np.ndarray:
        return source.weights[:, source.bones.index(bone)] > 0.5

    def extreme(mask: np.ndarray, score: np.ndarray) -> int:
        candidates = np.flatnonzero(mask & inside)
        return int(candidates[np.argmax(score[candidates])])

    x, y, z = vertices.T
    head = source.region == REGIONS.index("head")
    eye_height, eye_side = eye_centre(source, vertices)
    # The shut eye's slit: the vertex of the lid margin nearest to the line of sight.
    lid = np.abs(source.offset).max(axis=1) > 0
    found = {
        "nose": extreme(head & source.centre & (np.abs(y - eye_height + 0.04) < 0.04), z),
        "leye": extreme(lid & (z > 0), -((x - eye_side) ** 2) - (y - eye_height + 0.004) ** 2),
        "lear": extreme(head & (np.abs(y - eye_height) < 0.05) & (z < z[lid].min() - 0.04), x),
        "LBigToe": extreme(part("toe1-2.L"), z),
        "LSmallToe": extreme(part("toe5-3.L"), z + 0.5 * x),
        "LHeel": extreme(part("foot.L"), -z - 0.5 * y),
    }
    for number, finger in enumerate(FINGERS, start=1):
        along = x + z if finger == "thumb" else x  # the thumb points forwards and outwards
        found[f"l{finger}"] = extreme(part(f"finger{number}-3.L"), along)
    return found


def eye_centre(source: SourceMesh, vertices: np.ndarray) -> tuple[float, float]:
    """Height and distance from the mid-line of the left eyeball's centre."""
    ball = vertices[source.weights[:, source.bones.index("eye.L")] > 0.5]
    return float(ball[:, 1].mean()), float(ball[:, 0].mean())


def numbered_landmarks(left: dict[str, int], mirror: np.ndarray) -> dict[int, int]:
    """Target vertex number in SMPL's layout -> source vertex, both sides."""
    from smplx.vertex_ids import vertex_ids

    wanted = {}
    for name, number in vertex_ids["smplh"].items():
        if name in left:
            wanted[int(number)] = left[name]
        else:
            counterpart = ("l" if name[0] == "r" else "L") + name[1:]
            wanted[int(number)] = int(mirror[left[counterpart]])
    return wanted
