"""Stage 1 alone: a picture of one person's candidates, and their numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.candidates import Candidates, CandidateSelector
from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.files import atomic_path
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.inference import Frame, save_mesh
from mion_plugin.inference.cropping import place_crop
from mion_plugin.inference.guessed_joints import JOINT_NAMES, guessed_joints, guessed_vertices
from mion_plugin.visualization import draw_candidate_sheet
from mion_plugin.visualization.drawing import surface_colors
from mion_plugin.visualization.image_overlay import body_color
from mion_plugin.visualization.pictures import save_picture

PICTURE_SCALE = 2  # pixels of the picture per crop pixel


def write_candidates(
    frame: Frame,
    person: CocoPerson,
    number: int,
    selector: CandidateSelector,
    body: SMPLBody,
    folder: Path,
    mesh_formats: Sequence[str],
    stem: str,
) -> list[Path]:
    """Select a person's candidates, draw and print them; the files written.

    Args:
        frame: The photograph.
        person: Whose.
        number: The person's.
        selector: Stage 1.
        body: Of the candidates.
        folder: Where to write to.
        mesh_formats: Of the first candidate's surface, none for no mesh.
        stem: What to call the files.

    Raises:
        ValueError: The keypoints fit no body.
    """
    name, place = frame.name, place_crop(person, "bbox")
    keypoints2d = place.to_crop(person.keypoints2d, IMAGE_SIZE)
    selection = selector(torch.from_numpy(keypoints2d)[None])
    if not selection.valid[0]:
        raise ValueError(f"person {number} of {name}: the keypoints fit no body; at least 3 must be visible, apart")
    posed = body(selection.pose[0], transl=selection.transl[0])
    candidates = describe(selection, posed.joints, keypoints2d)
    captions = [
        "2D keypoints",
        *(f"candidate {n + 1}: {c['reprojection_rms_px']} px" for n, c in enumerate(candidates)),
    ]
    height, width = frame.pixels.shape[:2]
    guessed = guessed_joints(person.keypoints2d, (width, height))
    color = surface_colors(body_color(number), torch.from_numpy(guessed_vertices(guessed, body.weights.numpy())))
    crop = place.cut(frame.pixels, IMAGE_SIZE * PICTURE_SCALE)
    sheet = draw_candidate_sheet(crop, keypoints2d, list(posed.vertices), body.faces, captions, PICTURE_SCALE, color)
    numbers = {
        "image": name,
        "person": number,
        "crop": {"center": place.center.tolist(), "side": place.side},
        "keypoints2d": keypoints2d.tolist(),
        "joints_guessed": [name for name, flag in zip(JOINT_NAMES, guessed, strict=True) if flag],
        "focal_length": FOCAL_LENGTH,
        "image_size": IMAGE_SIZE,
        "num_compatible": int(selection.num_compatible[0]),
        "candidates": candidates,
    }
    files = [save_picture(sheet, folder / f"{stem}.png"), folder / f"{stem}.json"]
    with atomic_path(files[-1]) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1))
    for ending in mesh_formats:
        files.append(folder / f"{stem}.{ending}")
        save_mesh(files[-1], (posed.vertices[0] - selection.transl[0, 0]).numpy(), body.faces.numpy())
    report(numbers)
    return files


def describe(selection: Candidates, joints: torch.Tensor, keypoints2d: np.ndarray) -> list[dict[str, Any]]:
    """The numbers of every candidate, ready for JSON; ``joints`` (N, 24, 3) metres."""
    centred = joints - joints[:, :1]
    apart = (centred - centred[:1]).norm(dim=-1).mean(dim=-1) * 1000.0
    mean_square = selection.fit_loss[0] / float(keypoints2d[:, 2].sum())
    return [
        {
            "index": int(selection.index[0, n]),
            "fit_loss": round(float(selection.fit_loss[0, n]), 2),
            "reprojection_rms_px": round(float(mean_square[n].sqrt()), 2),
            "joint_distance_to_first_mm": round(float(apart[n]), 1),
            "transl": selection.transl[0, n].tolist(),
            "pose": selection.pose[0, n].tolist(),
        }
        for n in range(selection.index.shape[1])
    ]


def report(numbers: dict[str, Any]) -> None:
    """Print the candidates as a table."""
    print(f"{numbers['num_compatible']} bodies of the pool are compatible with the keypoints; chosen:")
    print(f"{'candidate':>9}  {'fit loss':>9}  {'in the image':>12}  {'from the first':>14}  {'distance':>8}")
    for n, candidate in enumerate(numbers["candidates"], 1):
        print(
            f"{n:>9}  {candidate['fit_loss']:>9.0f}  {candidate['reprojection_rms_px']:>9.1f} px"
            f"  {candidate['joint_distance_to_first_mm']:>11.0f} mm  {candidate['transl'][2]:>6.1f} m"
        )
