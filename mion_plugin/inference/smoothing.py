"""Steadier bodies in videos: each person's body is drawn towards where it was in the frame before."""

from __future__ import annotations

import dataclasses

import numpy as np
import roma
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.inference.image_camera import fit_to_camera
from mion_plugin.inference.results import PersonBodies


class BodySmoother:
    """Exponential smoothing of the chosen body, forward in time.

    With strength s, a rotation goes the share 1 - s of the way from the last smoothed one to the new one (slerp), and
    likewise betas and the translation before the image's camera, the one frame that all frames share. The translation
    before the crop's camera is fitted anew to that, since the crop moves from frame to frame. A body follows a sudden
    movement late: after n frames it has made 1 - s^n of it.

    Args:
        body: The body model.
        strength: s, 0 <= s < 1; 0 changes nothing.
        max_gap: Frames after which someone's last body is forgotten.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, body: SMPLBody, strength: float, max_gap: int = 15) -> None:
        if not 0 <= strength < 1 or max_gap < 1:
            raise ValueError(f"strength is {strength} and max_gap {max_gap}, expected 0 <= strength < 1 and at least 1")
        self.body, self.strength, self.max_gap = body, strength, max_gap
        self._last: dict[int, tuple[int, PersonBodies]] = {}

    @torch.no_grad()
    def __call__(self, person: PersonBodies, frame: int) -> PersonBodies:
        """The person with one body, the chosen one smoothed; ``person.person`` tells who it is.

        What the networks said of the chosen path (scores, fit loss) stays as it was; keypoints, too.
        """
        chosen = person.only_selected()
        seen, last = self._last.get(person.person, (frame - self.max_gap - 1, chosen))
        if chosen.valid and self.strength > 0 and frame - seen <= self.max_gap:
            chosen = self._blend(last, chosen)
        if chosen.valid:
            self._last[person.person] = (frame, chosen)
        return chosen

    def _blend(self, last: PersonBodies, new: PersonBodies) -> PersonBodies:
        share = 1.0 - self.strength
        pose = _between(last.pose, new.pose, share)
        betas = last.betas + share * (new.betas - last.betas)
        image_transl = last.image_transl + share * (new.image_transl - last.image_transl)
        device = self.body.v_template.device
        at_origin = self.body(torch.from_numpy(pose).to(device), torch.from_numpy(betas).to(device)).vertices.cpu()
        placed = torch.from_numpy(image_transl)
        transl, error = fit_to_camera(at_origin + placed[:, None], placed, new.image_camera, new.crop_camera_in_image)
        transl = transl.float()
        return dataclasses.replace(
            new,
            pose=pose,
            betas=betas,
            transl=transl.numpy(),
            vertices=(at_origin + transl[:, None]).numpy(),
            image_transl=image_transl,
            image_error=error.float().numpy(),
        )


def _between(start: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    """Rotation matrices (..., 3, 3) ``share`` of the way along the shorter arc."""
    first, last = torch.from_numpy(start).double(), torch.from_numpy(end).double()
    step = roma.rotmat_to_rotvec(first.mT @ last)
    return (first @ roma.rotvec_to_rotmat(share * step)).float().numpy()
