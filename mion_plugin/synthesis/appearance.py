"""What a body looks like: skin, face, hair, and always clothes, cut in rest-pose coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mion_plugin.synthesis.patterns import Fabric, cloth_color, draw_fabric, hair_color, skin_color
from mion_plugin.synthesis.surface import BodySurface, SurfacePoints

# Garment ends as places along arm and leg (0 shoulder or hip, 1 elbow or knee, 2 wrist or ankle).
_SLEEVES = {"sleeveless": (0.08, 0.25), "short": (0.35, 0.9), "long": (1.7, 2.0)}
_LEGS = {"shorts": (0.3, 1.05), "trousers": (1.6, 2.0), "skirt": (0.35, 1.2), "tight": (1.2, 1.95)}
_LOWEST_NECKLINE = 0.05  # metres below the neck joint at the front: shows no more than a T-shirt does


@dataclass(frozen=True)
class Outfit:
    """What a person wears and looks like.

    Attributes:
        skin, hair, shoes, belt: (3,) float32 albedo.
        top, bottom: Fabrics.
        sleeve_end: On the arm's scale.
        leg_end: On the leg's scale.
        skirt: The pattern runs around both legs at once.
        waist: On the leg's scale, negative: where the top ends.
        neckline: Metres below the neck joint at which the top begins, at the front.
        shoe_top: On the leg's scale.
        has_belt: Whether a belt shows.
        hair_length: Metres below the eyes down to which hair reaches at the back; negative for a bald head.
        beard: Whether there is one.
    """

    skin: np.ndarray
    hair: np.ndarray
    shoes: np.ndarray
    belt: np.ndarray
    top: Fabric
    bottom: Fabric
    sleeve_end: float
    leg_end: float
    skirt: bool
    waist: float
    neckline: float
    shoe_top: float
    has_belt: bool
    hair_length: float
    beard: bool


def draw_outfit(rng: np.random.Generator) -> Outfit:
    """Draw an outfit."""
    sleeves = str(rng.choice(list(_SLEEVES), p=(0.1, 0.45, 0.45)))
    legs = str(rng.choice(list(_LEGS), p=(0.25, 0.5, 0.1, 0.15)))
    skin = skin_color(rng)
    top, bottom = draw_fabric(rng, unlike=skin), draw_fabric(rng, unlike=skin)
    one_piece = rng.random() < 0.12  # dresses, overalls, suits
    return Outfit(
        skin=skin,
        hair=hair_color(rng),
        shoes=cloth_color(rng),
        belt=cloth_color(rng),
        top=top,
        bottom=top if one_piece else bottom,
        sleeve_end=float(rng.uniform(*_SLEEVES[sleeves])),
        leg_end=float(rng.uniform(*_LEGS[legs])),
        skirt=legs == "skirt",
        waist=float(rng.uniform(-0.35, 0.1)),
        neckline=float(rng.uniform(0.0, _LOWEST_NECKLINE)),
        shoe_top=float(rng.uniform(1.85, 2.1)),
        has_belt=bool(rng.random() < 0.3),
        hair_length=-1.0 if rng.random() < 0.08 else float(rng.choice([0.02, 0.06, 0.2]) + rng.uniform(0.0, 0.04)),
        beard=bool(rng.random() < 0.12),
    )


def paint(outfit: Outfit, surface: BodySurface, rest: np.ndarray, skin: np.ndarray | None = None) -> np.ndarray:
    """Albedo of points on a dressed body.

    Args:
        outfit: What it wears.
        surface: The body's surface.
        rest: (n, 3) float32 rest-pose positions of the points.
        skin: (n, 3) albedo of the skin there, from a texture; None for the outfit's skin colour and a painted face.

    Returns:
        (n, 3) float32 in about 0..1.
    """
    points = SurfacePoints.of(surface, rest)
    color = np.tile(outfit.skin, (len(rest), 1)) if skin is None else skin.astype(np.float32)
    head = np.flatnonzero(points.y > surface.marks["neck"][1] - 0.08)
    if len(head):
        color[head] = _paint_head(outfit, surface, rest[head], color[head], with_face=skin is None)
    top, bottom = top_region(outfit, surface, points), bottom_region(outfit, points)
    _paint_cloth(color, outfit.top, points, top, surface, around_legs=True)
    _paint_cloth(color, outfit.bottom, points, bottom, surface, around_legs=outfit.skirt)
    if outfit.has_belt:
        color[bottom & (points.leg < outfit.waist + 0.1)] = outfit.belt
    color[points.leg > outfit.shoe_top] = outfit.shoes
    return color


def top_region(outfit: Outfit, surface: BodySurface, points: SurfacePoints) -> np.ndarray:
    """(n,) bool, where the shirt is."""
    neck = surface.marks["neck"]
    # the collar dips at the front and narrows to the sides
    dip = outfit.neckline * np.clip(1 - np.abs(points.x) / 0.09, 0, 1) * (points.z > neck[2])
    return (points.leg <= outfit.waist) & (points.arm <= outfit.sleeve_end) & (points.y < neck[1] - 0.01 - dip)


def bottom_region(outfit: Outfit, points: SurfacePoints) -> np.ndarray:
    """(n,) bool, where trousers or skirt are."""
    return (points.leg > outfit.waist) & (points.leg <= outfit.leg_end)


def _paint_cloth(
    color: np.ndarray,
    fabric: Fabric,
    points: SurfacePoints,
    region: np.ndarray,
    surface: BodySurface,
    around_legs: bool,
) -> None:
    rows = np.flatnonzero(region)
    if not len(rows):
        return
    x, y, z, arm = (array[rows] for array in (points.x, points.y, points.z, points.arm))
    sleeve = arm > 0.15
    across = np.where(sleeve, y, x if around_legs else np.abs(x) - surface.marks["left_knee"][0])
    color[rows] = fabric.color(np.where(sleeve, np.abs(x), y), across + np.float32(0.5) * z, (x, y, z))


def _paint_head(
    outfit: Outfit, surface: BodySurface, rest: np.ndarray, color: np.ndarray, with_face: bool
) -> np.ndarray:
    """Face, beard and hair over ``color`` (n, 3)."""
    marks = surface.marks
    eye, nose, ear = marks["left_eye"], marks["nose"], marks["left_ear"]
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    front = z > ear[2] + 0.03
    if with_face:
        eyes = front & (_ellipse(x - eye[0], y - eye[1], 0.016, 0.008) < 1)
        color[eyes] = 0.12
        brows = front & (_ellipse(x - eye[0], y - eye[1] - 0.02, 0.022, 0.005) < 1)
        color[brows] = 0.5 * outfit.hair + 0.5 * color[brows]
        mouth = front & (_ellipse(x, y - nose[1] + 0.035, 0.025, 0.008) < 1)
        color[mouth] *= np.array([0.85, 0.55, 0.55], np.float32)
        nostrils = front & (_ellipse(x - 0.008, y - nose[1] + 0.012, 0.006, 0.005) < 1)
        color[nostrils] *= 0.6
    above_neck = y > marks["neck"][1] + 0.03
    if outfit.beard:
        color[front & above_neck & (y < nose[1] - 0.022) & (_ellipse(x, y - nose[1] + 0.035, 0.025, 0.008) > 1)] = (
            outfit.hair
        )
    if outfit.hair_length >= 0:
        cap = y > eye[1] + 0.055 - 0.25 * np.maximum(ear[2] + 0.04 - z, 0)
        back = (z < ear[2] - 0.005) & (y > eye[1] - outfit.hair_length) & (x < 0.11)
        color[cap | back] = outfit.hair
    return color


def _ellipse(x: np.ndarray, y: np.ndarray, width: float, height: float) -> np.ndarray:
    """Below 1 inside the ellipse around the origin with these half axes."""
    return (x / width) ** 2 + (y / height) ** 2
