"""What is written of a person's scored bodies: numbers ready for JSON, and a picture of the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.scoring.scorer import ScoredBodies
from mion_plugin.visualization.body_sheet import draw_body_sheet

_PICTURE_SIZE = 448  # pixels of the large pictures, as the demo's


def describe_scores(
    scored: ScoredBodies,
    rule: str,
    sources: Sequence[tuple[str, int]],
    errors: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Scores of one person's bodies, ready for JSON.

    Args:
        scored: N bodies.
        rule: The rule that chooses.
        sources: Of each body its file, and which of the person's bodies there it is.
        errors: Name of an error -> (N,) millimetres, where the truth is known.
    """
    bodies = []
    for n, (file, index) in enumerate(sources):
        body: dict[str, Any] = {"file": file, "index": index}
        body |= {name: _number(values[n], 5) for name, values in scored.scores.items()}
        if scored.expected_error is not None:
            body["expected_error_mm"] = _number(scored.expected_error[n], 1)
        body["reprojection_rms_px"] = _number(scored.reprojection_rms[n], 2)
        body["placing_error_px"] = _number(scored.placing_error[n], 2)
        body |= {f"{name}_mm": _number(values[n], 2) for name, values in (errors or {}).items()}
        bodies.append(body)
    ranking = scored.ranking(rule)
    return {
        "chosen_by": rule,
        "chosen": ranking[0],
        "ranking": ranking,
        "crop": {"center": scored.crop.center.tolist(), "side": scored.crop.side},
        "bodies": bodies,
    }


def draw_scores(
    image: np.ndarray, person: CocoPerson, scored: ScoredBodies, rule: str, faces: Tensor, at_most: int
) -> np.ndarray:
    """The bodies that score best over the photograph and from the side: (H, W, 3) uint8, see ``draw_body_sheet``.

    Args:
        image: (H, W, 3) uint8 RGB.
        person: Whose bodies they are.
        scored: N bodies.
        rule: The rule that chooses.
        faces: (F, 3).
        at_most: How many to draw.
    """
    best = scored.ranking(rule)[:at_most]
    told = [f"{scored.scores['cen'][n]:.3f} by cen, {scored.reprojection_rms[n]:.1f} px off in 2D" for n in best]
    return draw_body_sheet(
        scored.crop.cut(image, _PICTURE_SIZE),
        scored.crop.to_crop(person.keypoints2d, _PICTURE_SIZE),
        list(torch.from_numpy(scored.vertices[best])),
        faces,
        scored.focal_length * _PICTURE_SIZE / scored.image_size,
        0,
        told,
        names=[f"body {n}" for n in best],
        reason=f"lowest of the rule {rule}",
    )


def _number(value: np.floating, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
