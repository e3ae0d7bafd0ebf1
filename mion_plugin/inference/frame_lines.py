"""A frame and its people as a line of JSON, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mion_plugin.body import SMPLBody
from mion_plugin.geometry.keypoints import as_written, flip_permutation, keypoint_names
from mion_plugin.geometry.rotations import rotvec_to_rotmat
from mion_plugin.inference.cropping import CropPlace
from mion_plugin.inference.frames import FramePeople
from mion_plugin.inference.image_camera import PinholeCamera
from mion_plugin.inference.results import PersonBodies
from mion_plugin.inference.sources import Frame

_COCO = keypoint_names("coco")


def describe_frame(result: FramePeople, frame_rate: float | None) -> dict[str, Any]:
    """A frame and its people, ready for a line of JSON.

    ``frame`` is its index, ``time`` in seconds as the video's time stamps have it (null of photographs),
    ``image`` its name, ``num_people`` how many have bodies, ``people`` a list of ``PersonBodies.describe_selected``,
    ``problems`` a list of what was left out and why, ``others`` the numbers and keypoints of those who were found and
    have no body, ``exchanged`` the names of the keypoints whose sides the detector had the wrong way round, by person:
    ``people`` have them put back, ``others`` as they were found.
    """
    return {
        "frame": result.frame.index,
        "time": _time(result.frame, frame_rate),
        "image": result.frame.name,
        "num_people": len(result.people),
        "people": [person.describe_selected() for person in result.people],
        "problems": result.problems,
        "others": [
            {"person": number, "keypoints2d": as_written(keypoints2d).tolist()}
            for number, keypoints2d in result.others.items()
        ],
        "exchanged": [
            {"person": number, "keypoints": [_COCO[index] for index in np.flatnonzero(order != np.arange(len(order)))]}
            for number, order in result.exchanged.items()
        ],
    }


def _time(frame: Frame, frame_rate: float | None) -> float | None:
    if frame.time is None and frame_rate is None:
        return None
    return round(frame.index / frame_rate if frame.time is None and frame_rate else frame.time or 0.0, 6)


def read_frame(line: dict[str, Any], frame: Frame, body: SMPLBody) -> FramePeople:
    """What a line says of a frame: the chosen body of each person, as precisely as it is written.

    Args:
        line: From ``describe_frame``.
        frame: The same frame.
        body: The same body model; it poses the bodies anew.

    Raises:
        ValueError: The line is of another frame, or lacks something.
    """
    try:
        if (line["frame"], line["image"]) != (frame.index, frame.name):
            raise ValueError(f"it is of frame {line['frame']}, {line['image']}, expected {frame.index}, {frame.name}")
        return FramePeople(
            frame,
            [_read_person(person, frame.name, line["num_people"], body) for person in line["people"]],
            list(line["problems"]),
            {one["person"]: np.array(one["keypoints2d"]) for one in line["others"]},
            {one["person"]: _order(one["keypoints"]) for one in line["exchanged"]},
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a line about frame {frame.index} lacks {error}") from error


def _order(exchanged: list[str]) -> np.ndarray:
    """Which keypoint (17,) belongs where, from the names of those that change places."""
    return np.where(np.isin(_COCO, exchanged), flip_permutation("coco"), np.arange(len(_COCO)))


@torch.no_grad()
def _read_person(person: dict[str, Any], image_name: str, num_people: int, body: SMPLBody) -> PersonBodies:
    arrays = {
        name: np.array([person[name]], np.float32)
        for name in ("global_orient", "body_pose", "betas", "transl", "image_transl", "image_error_px")
    }
    rotvec = np.concatenate([arrays["global_orient"], arrays["body_pose"]], axis=1).reshape(1, -1, 3)
    pose, betas, transl = (torch.from_numpy(one) for one in (rotvec, arrays["betas"], arrays["transl"]))
    matrices = rotvec_to_rotmat(pose.double()).float()
    like = body.v_template
    vertices = body(matrices.to(like), betas.to(like), transl.to(like)).vertices
    keypoints2d, error = np.array(person["keypoints2d"]), person["reprojection_rms_px"]
    cameras = {
        name: PinholeCamera(person[name]["focal_length"], tuple(person[name]["principal_point"]))
        for name in ("crop_camera", "crop_camera_in_image", "image_camera")
    }
    return PersonBodies(
        image_name=image_name,
        person=person["person"],
        valid=person["valid"],
        selected=0,
        keypoints2d=keypoints2d,
        crop=CropPlace(np.array(person["crop"]["center"]), person["crop"]["side"]),
        image_size=person["image_size"],
        pose=matrices.numpy(),
        betas=arrays["betas"],
        transl=arrays["transl"],
        vertices=vertices.cpu().numpy(),
        crop_camera=cameras["crop_camera"],
        crop_camera_in_image=cameras["crop_camera_in_image"],
        image_camera=cameras["image_camera"],
        image_transl=arrays["image_transl"],
        image_error=arrays["image_error_px"],
        fit_loss=None if error is None else np.array([error**2 * max(keypoints2d[:, 2].sum(), 1e-6)]),
        scores=_optional(person["cen"]),
        selection_scores=_optional(person["score"]),
        expected_error=_optional(person["expected_error_mm"]),
        rule=person["rule"],
        score_unit=None if person["score_unit"] is None else 1.0,  # the score is written in that unit
        num_people=num_people,
        gender=person["gender"],
    )


def _optional(value: float | None) -> np.ndarray | None:
    return None if value is None else np.array([value], np.float32)
