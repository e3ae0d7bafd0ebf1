"""MION on a photograph: several 3D bodies that explain the same 2D keypoints, refined, and the best of them.

    python tools/demo.py [--image PHOTO --keypoints COCO_JSON --person N] [--out FOLDER] [--save-mesh]
    python tools/demo.py --stage 1    # the candidates alone

Without arguments it takes the photograph that comes with the package. It writes a picture (the chosen body over the
crop and from the side, the rejected ones beside it), the numbers as JSON and the parameters as NPZ; with --stage 1, or
where no trained weights come with the package, a picture of the candidates and their numbers.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cli import OneLineParser, report_errors
from mmengine.config import Config
from PIL import Image

import mion_plugin
from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelection, CandidateSelector
from mion_plugin.datasets.coco import CocoPerson, load_coco_people
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.files import atomic_path
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.inference import MIONInferencer, PersonBodies, save_mesh, save_person
from mion_plugin.inference.cropping import place_crop
from mion_plugin.inference.meshes import FORMATS
from mion_plugin.models import load_model_config, shipped_stage
from mion_plugin.visualization import draw_candidate_sheet

DEMO_DATA = Path(mion_plugin.__file__).parent / "demo_data"
NUM_CANDIDATES = 5
PICTURE_SCALE = 2  # pixels of the candidates' picture per crop pixel
FALL_BACK = {
    1: "no trained weights come with the package: stage 1 alone, the candidates",
    2: "no trained consistency network comes with the package: stages 1 and 2, and the first path is taken",
}


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--image", type=Path, default=DEMO_DATA / "000000000785.jpg", help="a photograph")
    parser.add_argument("--keypoints", type=Path, default=DEMO_DATA / "coco_keypoints.json", help="COCO annotations")
    parser.add_argument("--person", type=int, default=0, help="which of the people annotated in the photograph")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the results")
    parser.add_argument("--stage", type=int, choices=[1, 2, 3], help="last stage to run; default: all that are trained")
    parser.add_argument("--config", type=Path, help="config of a mion.MION; default: the small model of the package")
    parser.add_argument("--checkpoint", type=Path, help="weights of the config's whole model")
    parser.add_argument("--num-candidates", type=int, help="how many bodies; default: 5, or the config's")
    parser.add_argument("--body-model", type=Path, help="SMPL file or folder; default: the free stand-in")
    parser.add_argument("--pool", type=Path, help="candidate pool; default: the one that comes with the package")
    parser.add_argument("--save-mesh", action="store_true", help="write the chosen body's surface")
    parser.add_argument("--mesh-format", choices=FORMATS, default="obj", help="format of the surface")
    return parser.parse_args(arguments)


def choose_stage(args: argparse.Namespace) -> int:
    """The last stage to run."""
    if args.checkpoint is not None and args.config is None:
        raise ValueError(f"--checkpoint {args.checkpoint} needs --config, which says of what model")
    if args.stage is not None or args.config is not None:
        return args.stage or 3
    stage = shipped_stage()
    if stage in FALL_BACK:
        print(FALL_BACK[stage])
    return stage


def choose_person(args: argparse.Namespace) -> CocoPerson:
    """The person that was asked for."""
    people = load_coco_people(args.keypoints, args.image.name)
    if not 0 <= args.person < len(people):
        raise ValueError(f"--person {args.person}: {args.image.name} has {len(people)} people, numbered from 0")
    return people[args.person]


def make_config(args: argparse.Namespace, stage: int) -> Config:
    """The model's config with the command line's changes."""
    if args.config is None:
        cfg = load_model_config(stage=stage)
    elif not args.config.is_file():
        raise FileNotFoundError(f"config {args.config} does not exist")
    else:
        cfg = Config.fromfile(args.config)
    if cfg.get("model", {}).get("type") != "mion.MION":
        raise ValueError(f"config {args.config}: its model is no mion.MION")
    if stage == 2:
        cfg.model.update(cen=None, cen_checkpoint=None, selection="first")
    if args.num_candidates is not None:
        cfg.model.num_candidates = args.num_candidates
    if args.pool is not None:
        cfg.model.refiner.selector.pool = str(args.pool)
    if args.body_model is not None:
        cfg.model.refiner.body = dict(type="mion.SMPLBody", model_path=str(args.body_model))
        cfg.model.refiner.selector.body_model = str(args.body_model)
    return cfg


def run_mion(args: argparse.Namespace, stage: int) -> list[Path]:
    """Stages 1 to 2 or 3; the files written."""
    person, image = choose_person(args), read_image(args.image)
    inferencer = MIONInferencer(make_config(args, stage), args.checkpoint)
    result = inferencer(image, keypoints2d=[person], return_vis=True)
    found: PersonBodies = result["predictions"][0][0]
    if not found.valid:
        raise ValueError(_fit_no_body(args))
    found = dataclasses.replace(found, image_name=args.image.name, person=args.person)
    stem = args.out / f"{args.image.stem}_mion"
    files = [save_picture(result["visualization"][0][0], stem.with_name(f"{stem.name}.png"))]
    faces = inferencer.model.body.faces.cpu().numpy()
    files += save_person(found, stem, faces, args.mesh_format if args.save_mesh else None)
    report_paths(found.describe())
    return files


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


def run_candidates(args: argparse.Namespace) -> list[Path]:
    """Stage 1; the files written."""
    person = choose_person(args)
    image, place = read_image(args.image), place_crop(person, "bbox")
    keypoints2d = place.to_crop(person.keypoints2d, IMAGE_SIZE)
    body = SMPLBody(args.body_model)
    num_candidates = NUM_CANDIDATES if args.num_candidates is None else args.num_candidates
    selector = CandidateSelector(args.pool, num_candidates=num_candidates, body_model=args.body_model)
    selection = selector(torch.from_numpy(keypoints2d)[None])
    if not selection.valid[0]:
        raise ValueError(_fit_no_body(args))
    posed = body(selection.pose[0], transl=selection.transl[0])
    candidates = describe(selection, posed.joints, keypoints2d)
    captions = [
        "2D keypoints",
        *(f"candidate {n + 1}: {c['reprojection_rms_px']} px" for n, c in enumerate(candidates)),
    ]
    crop = place.cut(image, IMAGE_SIZE * PICTURE_SCALE)
    sheet = draw_candidate_sheet(crop, keypoints2d, list(posed.vertices), body.faces, captions, PICTURE_SCALE)
    numbers = {
        "image": args.image.name,
        "person": args.person,
        "crop": {"center": place.center.tolist(), "side": place.side},
        "keypoints2d": keypoints2d.tolist(),
        "focal_length": FOCAL_LENGTH,
        "image_size": IMAGE_SIZE,
        "num_compatible": int(selection.num_compatible[0]),
        "candidates": candidates,
    }
    name = f"{args.image.stem}_candidates"
    files = [save_picture(sheet, args.out / f"{name}.png"), args.out / f"{name}.json"]
    with atomic_path(files[-1]) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1))
    if args.save_mesh:
        files.append(args.out / f"{name}.{args.mesh_format}")
        save_mesh(files[-1], (posed.vertices[0] - selection.transl[0, 0]).numpy(), body.faces.numpy())
    report_candidates(numbers)
    return files


def save_picture(picture: np.ndarray, path: Path) -> Path:
    """Write a picture (H, W, 3); its path."""
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary)
    return path


def report_candidates(numbers: dict[str, Any]) -> None:
    """Print the candidates as a table."""
    print(f"{numbers['num_compatible']} bodies of the pool are compatible with the keypoints; chosen:")
    print(f"{'candidate':>9}  {'fit loss':>9}  {'in the image':>12}  {'from the first':>14}  {'distance':>8}")
    for n, candidate in enumerate(numbers["candidates"], 1):
        print(
            f"{n:>9}  {candidate['fit_loss']:>9.0f}  {candidate['reprojection_rms_px']:>9.1f} px"
            f"  {candidate['joint_distance_to_first_mm']:>11.0f} mm  {candidate['transl'][2]:>6.1f} m"
        )


def report_paths(numbers: dict[str, Any]) -> None:
    """Print the refined bodies as a table."""
    print(f"{'path':>6}  {'score':>7}  {'in the crop':>11}  {'from the chosen':>15}")
    for n, path in enumerate(numbers["paths"]):
        score = "-" if path["score"] is None else f"{path['score']:.4f}"
        chosen = "  chosen" if n == numbers["selected"] else ""
        print(
            f"{n + 1:>6}  {score:>7}  {path['reprojection_rms_px']:>8.1f} px"
            f"  {path['distance_to_selected_mm']:>12.0f} mm{chosen}"
        )


def _fit_no_body(args: argparse.Namespace) -> str:
    return f"person {args.person} of {args.image.name}: the keypoints fit no body; at least 3 must be visible, apart"


@report_errors("demo.py")
def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 2 on bad input."""
    args = parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    stage = choose_stage(args)
    files = run_candidates(args) if stage == 1 else run_mion(args, stage)
    print(f"written: {', '.join(str(file) for file in files)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
