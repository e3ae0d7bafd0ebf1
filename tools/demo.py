"""Stage 1 on a photograph: several 3D bodies that explain the same 2D keypoints.

    python tools/demo.py [--image PHOTO --keypoints COCO_JSON --person N] [--out FOLDER]

Without arguments it takes the photograph that comes with the package. It writes a picture (the crop with its keypoints,
every candidate over the crop and from the side) and a JSON file with the numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cli import OneLineParser, report_errors
from PIL import Image

import mion_plugin
from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelection, CandidateSelector
from mion_plugin.datasets.coco import CocoPerson, load_coco_people
from mion_plugin.datasets.transforms.geometric import crop_matrix, warp
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.files import atomic_path
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.visualization import draw_candidate_sheet

DEMO_DATA = Path(mion_plugin.__file__).parent / "demo_data"
BOX_SCALE = 1.25  # the crop's side over the longer side of the box, as in mmhuman3d's demo
PICTURE_SCALE = 2  # pixels of the picture per crop pixel


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--image", type=Path, default=DEMO_DATA / "000000000785.jpg", help="a photograph")
    parser.add_argument("--keypoints", type=Path, default=DEMO_DATA / "coco_keypoints.json", help="COCO annotations")
    parser.add_argument("--person", type=int, default=0, help="which of the people annotated in the photograph")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the results")
    parser.add_argument("--num-candidates", type=int, default=5, help="how many bodies to choose")
    parser.add_argument("--body-model", type=Path, help="SMPL file or folder; default: the free stand-in")
    parser.add_argument("--pool", type=Path, help="candidate pool; default: the one that comes with the package")
    return parser.parse_args(arguments)


def choose_person(args: argparse.Namespace) -> CocoPerson:
    """The person that was asked for."""
    people = load_coco_people(args.keypoints, args.image.name)
    if not 0 <= args.person < len(people):
        raise ValueError(f"--person {args.person}: {args.image.name} has {len(people)} people, numbered from 0")
    return people[args.person]


def crop_person(image: np.ndarray, person: CocoPerson) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """The picture's crop, the keypoints (17, 3) in pixels of the 224 crop, and where the crop lies in the image."""
    center, side = person.bbox[:2] + person.bbox[2:] / 2, BOX_SCALE * person.bbox[2:].max()
    crop = warp(image, crop_matrix(center, side, 0.0, IMAGE_SIZE * PICTURE_SCALE), IMAGE_SIZE * PICTURE_SCALE)
    to_crop = crop_matrix(center, side, 0.0, IMAGE_SIZE)
    keypoints2d = person.keypoints2d.copy()
    keypoints2d[:, :2] = keypoints2d[:, :2] @ to_crop[:2, :2].T + to_crop[:2, 2]
    return crop, keypoints2d, {"center": center.tolist(), "side": float(side)}


def describe(selection: CandidateSelection, joints: torch.Tensor, keypoints2d: np.ndarray) -> list[dict[str, Any]]:
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


def run(args: argparse.Namespace) -> tuple[np.ndarray, dict[str, Any]]:
    """The sheet (H, W, 3) and the numbers."""
    person = choose_person(args)
    crop, keypoints2d, place = crop_person(read_image(args.image), person)
    body = SMPLBody(args.body_model)
    selector = CandidateSelector(args.pool, num_candidates=args.num_candidates, body_model=args.body_model)
    selection = selector(torch.from_numpy(keypoints2d)[None])
    if not selection.valid[0]:
        raise ValueError(
            f"person {args.person} of {args.image.name}: the keypoints fit no body; at least 3 must be visible, apart"
        )
    posed = body(selection.pose[0], transl=selection.transl[0])
    candidates = describe(selection, posed.joints, keypoints2d)
    captions = [
        "2D keypoints",
        *(f"candidate {n + 1}: {c['reprojection_rms_px']} px" for n, c in enumerate(candidates)),
    ]
    sheet = draw_candidate_sheet(crop, keypoints2d, list(posed.vertices), body.faces, captions, PICTURE_SCALE)
    return sheet, {
        "image": args.image.name,
        "person": args.person,
        "crop": place,
        "keypoints2d": keypoints2d.tolist(),
        "focal_length": FOCAL_LENGTH,
        "image_size": IMAGE_SIZE,
        "num_compatible": int(selection.num_compatible[0]),
        "candidates": candidates,
    }


def report(numbers: dict[str, Any]) -> None:
    """Print the candidates as a table."""
    print(f"{numbers['num_compatible']} bodies of the pool are compatible with the keypoints; chosen:")
    print(f"{'candidate':>9}  {'fit loss':>9}  {'in the image':>12}  {'from the first':>14}  {'distance':>8}")
    for n, candidate in enumerate(numbers["candidates"], 1):
        print(
            f"{n:>9}  {candidate['fit_loss']:>9.0f}  {candidate['reprojection_rms_px']:>9.1f} px"
            f"  {candidate['joint_distance_to_first_mm']:>11.0f} mm  {candidate['transl'][2]:>6.1f} m"
        )


@report_errors("demo.py")
def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 2 on bad input."""
    args = parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    sheet, numbers = run(args)
    picture_path, numbers_path = (args.out / f"{args.image.stem}_candidates{end}" for end in (".png", ".json"))
    with atomic_path(picture_path) as temporary:
        Image.fromarray(sheet).save(temporary)
    with atomic_path(numbers_path) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1))
    report(numbers)
    print(f"written: {picture_path} and {numbers_path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
