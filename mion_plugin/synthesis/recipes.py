"""Named looks: what pictures of a set have in common, from backgrounds to how the camera is held."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mion_plugin.constants import LOOKS
from mion_plugin.synthesis.backgrounds import Background, FolderBackground, ProceduralBackground
from mion_plugin.synthesis.degradation import Degradation
from mion_plugin.synthesis.photographs import SKIN_FOLDER, PhotographBackground
from mion_plugin.synthesis.skins import SkinTextures
from mion_plugin.synthesis.texture_map import TextureMap

BACKGROUNDS = ("photographs", "procedural")
SKINS = ("makehuman", "plain")
_TONE_STD, _PLAIN_SHARE = 0.15, 0.25  # twelve skins are few; painted faces come in all tones


@dataclass(frozen=True)
class Recipe:
    """Looks under one name.

    Attributes:
        backgrounds: One of ``BACKGROUNDS``.
        skins: One of ``SKINS``.
        degradation: What cameras and files do, and what stands in front of people.
        bodies: Arguments of ``BodySettings``.
    """

    backgrounds: str = "procedural"
    skins: str = "plain"
    degradation: Degradation = field(default_factory=Degradation)
    bodies: Mapping[str, Any] = field(default_factory=dict)


_PLAIN = Recipe()
# Half of the cameras level as a photographer's, half as people hold phones and hang up cameras; clean pictures, too.
_TRAINING = Recipe(
    "photographs",
    "makehuman",
    Degradation(
        blur_prob=0.35,
        noise_prob=0.5,
        noise_std=10.0,
        jpeg_prob=0.5,
        jpeg_quality=(25, 90),
        thing_prob=0.35,
        cut_prob=0.12,
        color_prob=0.8,
        motion_prob=0.12,
        small_prob=0.35,
    ),
    {"wide_prob": 0.5},
)
# For tests: nearly every picture has several faults, every camera is held freely.
_HARSH = Recipe(
    "photographs",
    "makehuman",
    Degradation(
        blur_prob=0.5,
        noise_prob=0.7,
        noise_std=14.0,
        jpeg_prob=0.8,
        jpeg_quality=(20, 75),
        thing_prob=0.6,
        cut_prob=0.2,
        color_prob=1.0,
        color_strength=1.2,
        motion_prob=0.2,
        small_prob=0.5,
    ),
    {"pitch_std": 22.0, "roll_std": 15.0},
)
RECIPES = dict(zip(LOOKS, (_PLAIN, _TRAINING, _HARSH), strict=True))


def find_recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        ValueError: There is none.
    """
    if name not in RECIPES:
        raise ValueError(f"looks recipe {name!r}, expected one of {', '.join(RECIPES)}")
    return RECIPES[name]


def read_looks(
    backgrounds: str | os.PathLike[str] | None = None,
    skins: str | os.PathLike[str] | None = None,
    degradation: Mapping[str, Any] | None = None,
    recipe: str = "plain",
    skin_uv: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """What a ``Synthesizer`` takes for the looks of its pictures.

    Args:
        backgrounds: ``photographs`` (those of the package), ``procedural``, or a folder of images, as it is seen from
            the working directory (``./photographs`` for one of such a name); None for the recipe's.
        skins: ``makehuman`` (those of the package), ``plain``, or a folder of skin textures for the stand-in's UVs,
            or for those of ``skin_uv``; None for the recipe's.
        degradation: Arguments of ``Degradation``, in place of the recipe's values.
        recipe: ``plain``: procedural backgrounds, plain skin, clean pictures. ``training``: photographs and skins,
            occluders, blur, noise, JPEG, colours, in part of the pictures. ``harsh``: the same in most of them. Those
            two change the camera, too; see ``body_settings``.
        skin_uv: OBJ file with the texture coordinates of the body, for textures of another body than the stand-in, such
            as SURREAL's; see ``TextureMap.read_obj``.

    Raises:
        FileNotFoundError: A folder, or the OBJ file, is missing.
        ValueError: It holds no images; an unknown recipe; a number out of range; no folder of textures for ``skin_uv``.
    """
    found = find_recipe(recipe)
    return {
        "background": _read_background(backgrounds or found.backgrounds),
        "skins": _read_skins(skins or found.skins, skin_uv),
        "degradation": replace(found.degradation, **(degradation or {})),
    }


def _read_background(name: str | os.PathLike[str]) -> Background:
    if name == "photographs":
        return PhotographBackground()
    return ProceduralBackground() if name == "procedural" else FolderBackground(_folder("backgrounds", name))


def _read_skins(name: str | os.PathLike[str], skin_uv: str | os.PathLike[str] | None) -> SkinTextures | None:
    if skin_uv is not None:
        if name in SKINS:
            raise ValueError(f"skin_uv is {str(skin_uv)!r}, but skins is {name!r}, expected a folder of such textures")
        return SkinTextures(_folder("skins", name), TextureMap.read_obj(skin_uv))
    if name == "makehuman":
        return SkinTextures(SKIN_FOLDER, tone_std=_TONE_STD, plain_prob=_PLAIN_SHARE)
    return None if name == "plain" else SkinTextures(_folder("skins", name))


def _folder(option: str, name: str | os.PathLike[str]) -> Path:
    folder = Path(name)
    if not folder.is_dir():
        names = {"backgrounds": BACKGROUNDS, "skins": SKINS}[option]
        raise FileNotFoundError(f"{option} {str(name)!r} is neither a folder nor one of {', '.join(names)}")
    return folder
