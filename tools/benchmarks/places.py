"""Where MediaPipe puts its keypoints on synthetic people, against where the body model has those of the same names."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.optimize import least_squares

from mion_plugin.body.depths import hip_indices
from mion_plugin.constants import LOOKS
from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.detection.mediapipe_detector import MediaPipeDetector
from mion_plugin.detection.mediapipe_places import (
    CONVENTION,
    SHARES,
    index_towards,
    to_body_depths,
    to_mediapipe_places,
)
from mion_plugin.geometry.keypoints import keypoint_names
from mion_plugin.synthesis import SURREALSynthesisDataset

_NAMES = keypoint_names(CONVENTION)
_BODY = slice(5, 17)  # without the face
_SURE = 0.5  # visibility of the keypoints that are compared
_FEWEST, _SAME_PERSON = 8, 0.05  # sure ones of a person; metres, the median miss of who was not found
_OUTLIER = 0.02  # metres; misses beyond count ever less (Cauchy)
_METRE = 1000.0  # millimetres


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--num-images", type=int, default=1200, help="people of each recipe")
    parser.add_argument("--looks", choices=LOOKS, nargs="+", default=["plain", "training"], help="recipes of pictures")
    parser.add_argument("--image-size", type=int, default=448, help="pixels of the square pictures")
    parser.add_argument(
        "--seed", type=int, default=100, help="of the people of the first recipe; the next has the next"
    )


@dataclass(frozen=True)
class Sightings:
    """Of P people, COCO's 17 in metres on the picture's plane at the person: pixels over pixels a metre.

    Attributes:
        body: (P, 17, 2) the body model's.
        mediapipe: (P, 17, 2) MediaPipe's.
        sure: (P, 17) bool, seen by MediaPipe.
        depth_errors: (P, 2) metres, mean error of the depths of shoulders to ankles: MediaPipe's own, and moved to the
            body's places.
    """

    body: np.ndarray
    mediapipe: np.ndarray
    sure: np.ndarray
    depth_errors: np.ndarray


def run(args: argparse.Namespace) -> None:
    """Print the share of each way that fits best, recipe by recipe and for all, and what is left of the misses."""
    seen = [_look(args, recipe, args.seed + number) for number, recipe in enumerate(args.looks)]
    everybody = Sightings(
        *(np.concatenate(values) for values in zip(*(vars(one).values() for one in seen), strict=True))
    )
    counts = ", ".join(f"{len(one.body)} {recipe}" for recipe, one in zip(args.looks, seen, strict=True))
    table = Table(title=f"MediaPipe's keypoints from the body's, {counts} of {args.num_images} each")
    for heading in ("keypoint", "towards", *args.looks, "all", "in the package", "median miss, mm", "moved, mm"):
        table.add_column(heading)
    for part, ways in SHARES.items():
        fitted = [fit_shares(one, part) for one in (*seen, everybody)]
        misses = [f"{_METRE * one:.0f}" for one in median_misses(everybody, part)]
        for number, (towards, share) in enumerate(ways.items()):
            told = misses if number == 0 else ["", ""]
            table.add_row(part, towards, *(f"{one[number]:+.3f}" for one in fitted), f"{share:+.3f}", *told)
    Console().print(table)
    own, moved = everybody.depth_errors.mean(axis=0)
    print(f"mean error of depths: MediaPipe's own {own:.3f} m, at the body's places {moved:.3f} m")


def fit_shares(seen: Sightings, part: str) -> np.ndarray:
    """The shares of a keypoint's ways, both sides of the body together, in the order of ``SHARES``."""
    ways, missed = [], []
    for side in ("left", "right"):
        here = _NAMES.index(f"{side}_{part}")
        sure = seen.sure[:, here]
        aims = [index_towards(side, towards) for towards in SHARES[part]]
        ways.append((seen.body[:, aims] - seen.body[:, [here]])[sure])
        missed.append((seen.mediapipe[:, here] - seen.body[:, here])[sure])
    matrix = np.concatenate(ways).transpose(0, 2, 1).reshape(-1, len(SHARES[part]))
    aim = np.concatenate(missed).reshape(-1)
    return least_squares(
        lambda shares: matrix @ shares - aim, np.zeros(matrix.shape[1]), loss="cauchy", f_scale=_OUTLIER
    ).x


def median_misses(seen: Sightings, part: str) -> tuple[float, float]:
    """Metres from MediaPipe's keypoints to the body's, and to those moved by the package's shares."""
    columns = [_NAMES.index(f"{side}_{part}") for side in ("left", "right")]
    places = (seen.body, to_mediapipe_places(seen.body))
    first, second = (
        np.median(np.linalg.norm((seen.mediapipe - place)[:, columns], axis=-1)[seen.sure[:, columns]])
        for place in places
    )
    return float(first), float(second)


def _look(args: argparse.Namespace, recipe: str, seed: int) -> Sightings:
    """Draw people of the training recordings and let MediaPipe find them."""
    people = SURREALSynthesisDataset(
        args.num_images,
        looks={"recipe": recipe},
        seed=seed,
        image_size=args.image_size,
        keypoints3d_convention=CONVENTION,
    )
    detector = MediaPipeDetector(windows=False, own_places=True)
    rows = []
    for number in track(range(args.num_images), description=recipe):
        info = people.get_data_info(number)
        for found in detector(info["img"])[:1]:
            row = _compare(info["keypoints2d"], info["keypoints3d"], found)
            rows += [row] if row is not None else []
    return Sightings(*(np.stack(values) for values in zip(*rows, strict=True)))


def _compare(keypoints2d: np.ndarray, keypoints3d: np.ndarray, found: CocoPerson) -> tuple[np.ndarray, ...] | None:
    """One row of ``Sightings``; None for somebody else, or who was seen all wrong.

    Args:
        keypoints2d: (17, 3) the body's, pixels.
        keypoints3d: (17, 4) the body's, metres.
        found: The same person, where MediaPipe has them.
    """
    pixels, metres = (_spread(points[_BODY, :2]) for points in (keypoints2d, keypoints3d))
    body, mediapipe = (points[:, :2] * metres / pixels for points in (keypoints2d, found.keypoints2d))
    sure = found.keypoints2d[:, 2] > _SURE
    seen = sure[_BODY]
    if seen.sum() < _FEWEST or np.median(np.linalg.norm(mediapipe - body, axis=-1)[_BODY][seen]) > _SAME_PERSON:
        return None
    if found.depths is None:
        return None
    depths = keypoints3d[:, 2] - keypoints3d[list(hip_indices(CONVENTION)), 2].mean()
    told = (found.depths, to_body_depths(found.depths))
    errors = [np.abs(one[_BODY, 0] - depths[_BODY]).mean() for one in told]
    return body, mediapipe, sure, np.array(errors)


def _spread(points: np.ndarray) -> float:
    """Root mean square distance of points (K, 2) from their middle."""
    return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=-1).mean()))
