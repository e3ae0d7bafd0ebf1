"""The methods that are measured. A further one is a class as those here, and an entry of ``build_methods``."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import roma
import torch
from benchmarks.real import joints
from benchmarks.real.views import Views
from mmengine.structures import BaseDataElement

from mion_plugin.body import SMPLBody
from mion_plugin.candidates import fit_translation
from mion_plugin.candidates.pool import load_default_pool
from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.mediapipe_places import to_mediapipe_places
from mion_plugin.evaluation.choice.fields import RULE_FIELDS
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.inference import MIONInferencer
from mion_plugin.inference.cropping import place_crop

CANDIDATE = "stage 1, first candidate"
LANDMARKS = "MediaPipe's world landmarks"
FIRST, RANDOM, ORACLE = "first", "random", "oracle"
ALTERNATIVES = "best of the chosen and its alternatives"
# Rule of choice -> field of the predictions that it goes by; the lowest wins. See mion.MION.
RULES = {rule: field for rule, field in RULE_FIELDS.items() if rule != FIRST}
_BATCH = 8  # frames in memory at once


@dataclass(frozen=True)
class Answers:
    """Of S views, N bodies each.

    Attributes:
        joints: (S, N, 12, 3) root-aligned, metres, the crop's camera frame, where MediaPipe would have them.
        rules: Row of the table -> (S, N) scores, of which the lowest wins.
        compared: Also give what a random choice is expected to do and what the best would: ``random``, ``oracle``.
        best: A row for the best of them, by its name; empty for none.
    """

    joints: np.ndarray
    rules: dict[str, np.ndarray]
    compared: bool = False
    best: str = ""


class Method(Protocol):
    """A way from a picture and 2D keypoints to joints.

    Attributes:
        identity: Tells it from others, and from itself with other weights.
        uses_picture: Whether its answers depend on the picture.
    """

    identity: str
    uses_picture: bool

    def answer(self, views: Views, pictures: Iterable[np.ndarray]) -> list[Answers]:
        """Answers for all views; ``pictures`` are theirs, in the same order, and need not be read."""
        ...


def build_methods(model: Mion) -> list[Method]:
    """All methods that go by picture and 2D keypoints."""
    return [model, MediaPipe(), MeanBody()]


class Mion:
    """The package's model: the candidates of stage 1 and the refined bodies, by every rule of choice.

    Args:
        model: See ``MIONInferencer``.
        device: Where it runs.
        use_depths: Let stage 2 read the depths that come with the people.
        correct_keypoints: False leaves the keypoints as they are given in a model that corrects them by the picture.
    """

    uses_picture = True

    def __init__(
        self, model: str | None, device: str, use_depths: bool = False, correct_keypoints: bool = True
    ) -> None:
        self._inferencer = MIONInferencer(model, device=device, use_depths=use_depths)
        told = " with depths" if use_depths else ""
        if not correct_keypoints:
            self._inferencer.model.correct_keypoints = False
            told += " from keypoints as given"
        self.identity = f"Mion{told} {_digest(self._inferencer.model)}"

    @property
    def selection(self) -> str:
        """The rule that the model chooses by."""
        return getattr(self._inferencer.model, "selection", FIRST)

    @property
    def reads_depths(self) -> bool:
        """Whether depths that come with the people make a difference to it."""
        return getattr(getattr(self._inferencer.model, "refiner", None), "reads_depths", False)

    def answer(self, views: Views, pictures: Iterable[np.ndarray]) -> list[Answers]:
        """See ``Method``."""
        pictures, samples = iter(pictures), []
        for start in range(0, len(views.people), _BATCH):
            people = views.people[start : start + _BATCH]
            images = list(itertools.islice(pictures, len(people)))
            found = self._inferencer(
                images, keypoints2d=[[person] for person in people], batch_size=_BATCH, return_datasamples=True
            )
            samples += [sample for (sample,) in found["predictions"]]
        candidates = self._joints([sample.candidates for sample in samples])
        paths = self._joints([sample.pred_bodies for sample in samples])
        answers = [
            Answers(candidates, {CANDIDATE: _in_order(candidates)}),
            Answers(paths, {FIRST: _in_order(paths), **_scores(samples)}, compared=True),
        ]
        if all("alternatives" in sample for sample in samples):
            answers.append(Answers(self._joints([sample.alternatives for sample in samples]), {}, best=ALTERNATIVES))
        return answers

    @property
    def corrects_keypoints(self) -> bool:
        """Whether its stages read keypoints that the picture has corrected."""
        return getattr(self._inferencer.model, "correct_keypoints", False)

    @torch.no_grad()
    def _joints(self, bodies: Sequence[BaseDataElement]) -> np.ndarray:
        """(S, N, 12, 3); without betas the mean shape."""
        points = [
            self._inferencer.model.body.pose_keypoints(one.pose, one.get("betas"), convention="coco").cpu().double()
            for one in bodies
        ]
        return joints.scored(to_mediapipe_places(torch.stack(points).numpy()))


class MediaPipe:
    """MediaPipe's own world landmarks, which come with its 2D keypoints."""

    identity = "MediaPipe"
    uses_picture = False  # they are of the real picture, whatever the others are shown

    def answer(self, views: Views, pictures: Iterable[np.ndarray]) -> list[Answers]:
        """See ``Method``."""
        return [_single(LANDMARKS, joints.scored(views.landmarks3d))]


class MeanBody:
    """One body for everybody: the mean pose and shape of stage 1's pool, in that of its orientations that fits best."""

    identity = "MeanBody"
    uses_picture = False

    def __init__(self) -> None:
        pool, body = load_default_pool(), SMPLBody()
        rotations = roma.rotvec_to_rotmat(torch.from_numpy(pool.body_pose))
        mean = roma.special_procrustes(rotations.mean(dim=0))
        orientations = roma.rotvec_to_rotmat(torch.from_numpy(pool.global_orient))
        pose = torch.cat([orientations[:, None], mean.expand(len(orientations), *mean.shape)], dim=1)
        self._keypoints3d = body.pose_keypoints(pose, convention="coco").double()
        self._joints = joints.scored(to_mediapipe_places(self._keypoints3d.numpy()))

    def answer(self, views: Views, pictures: Iterable[np.ndarray]) -> list[Answers]:
        """See ``Method``."""
        chosen = [self._place(person) for person in views.people]
        return [_single("mean body, placed by the closed form", self._joints[chosen])]

    def _place(self, person: CocoPerson) -> int:
        """The orientation whose projection is nearest to the keypoints."""
        keypoints2d = place_crop(person).to_crop(person.keypoints2d, IMAGE_SIZE)
        middle = (IMAGE_SIZE / 2, IMAGE_SIZE / 2)
        _, loss = fit_translation(self._keypoints3d, torch.from_numpy(keypoints2d), FOCAL_LENGTH, middle)
        return int(loss.argmin())


def _digest(model: torch.nn.Module) -> str:
    """Of a model's structure and weights."""
    told = hashlib.sha256(repr(model).encode())
    for name, value in model.state_dict().items():
        told.update(name.encode() + value.cpu().numpy().tobytes())
    return told.hexdigest()


def _single(name: str, joints3d: np.ndarray) -> Answers:
    """One body (S, 12, 3) a view."""
    return Answers(joints3d[:, None], {name: np.zeros((len(joints3d), 1))})


def _in_order(paths: np.ndarray) -> np.ndarray:
    """Scores (S, N) by which the first wins."""
    return np.tile(np.arange(paths.shape[1], dtype=np.float64), (len(paths), 1))


def _scores(samples: Sequence[BaseDataElement]) -> dict[str, np.ndarray]:
    """The rules for which the model gives scores."""
    return {
        rule: np.stack([sample.pred_bodies.get(field).cpu().numpy() for sample in samples])
        for rule, field in RULES.items()
        if all(field in sample.pred_bodies for sample in samples)
    }
