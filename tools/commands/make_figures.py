"""All pictures of README and docs, and the numbers that are printed in them."""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from demos.worst_people import WorstPeople, draw_worst, find_worst
from mmengine.structures import BaseDataElement
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate

from commands.synthesize import SHEET_IMAGES, write_contact_sheet
from mion_plugin.bodies import Bodies
from mion_plugin.datasets.transforms import Normalize
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.files import atomic_path
from mion_plugin.geometry.camera import IMAGE_SIZE
from mion_plugin.inference import MIONInferencer, PersonBodies
from mion_plugin.inference.cropping import CropPlace
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.models import load_model_config
from mion_plugin.rendering import PNCCRenderer
from mion_plugin.synthesis.writing import SetSettings, write_set
from mion_plugin.visualization import draw_candidate_sheet, overlay_body, side_view

STAGE2_SIZE = 56  # pixels of the PNCC image that the paper's stage 2 reads
HEAT_RANGE = 0.1  # metres at the hot end of the colour scale
SPREAD = 0.08  # metres of the surface over which a keypoint's difference is painted
_HEAT = ((0.00, 0.00, 0.20), (0.35, 0.00, 0.55), (0.80, 0.20, 0.35), (0.98, 0.60, 0.10), (1.00, 1.00, 0.60))
_GAP, _CAPTION, _PAPER, _INK = 8, 28, (255, 255, 255), (30, 30, 30)
_FONT, _QUALITY = 16, 85
_SYNTHETIC_SIZE = 112  # pixels of a synthetic picture
_LOOKED_AT, _WORST = 128, 5  # synthetic test people, of whom the worst are shown


def run(args: argparse.Namespace) -> int:
    """Write the pictures that are asked for, and the numbers of all; returns the exit code."""
    unknown = [name for name in args.only or () if name not in FIGURES]
    if unknown:
        raise ValueError(f"--only {unknown[0]}: expected some of {', '.join(FIGURES)}")
    (args.out / "images").mkdir(parents=True, exist_ok=True)
    for name in args.only or FIGURES:
        picture = FIGURES[name](args)
        if picture is None:
            continue
        with atomic_path(args.out / name) as temporary:
            Image.fromarray(picture).save(temporary, quality=_QUALITY, optimize=True)
        print(f"written: {args.out / name}, {(args.out / name).stat().st_size / 1000:.0f} kB")
    with atomic_path(args.out / NUMBERS) as temporary:
        temporary.write_text(json.dumps(printed_numbers(), indent=1) + "\n")
    print(f"written: {args.out / NUMBERS}")
    return 0


def printed_numbers() -> dict[str, Any]:
    """The numbers that the pictures of the demo's photograph show, by the picture."""
    case, person = the_case(), the_skier()[1]
    lowest = int(case.errors.argmin())
    return {
        "demo.jpg": {
            "scores": [person.score_text(path) for path in range(len(person.transl))],
            "reason": person.reason,
        },
        "images/stage3_scores.jpg": {"scores": [_millimetres(error) for error in case.errors], "lowest": lowest},
        WORST: {"errors": [_millimetres(person.error) for person in the_worst().people]},
    }


@functools.cache
def the_skier() -> tuple[MIONInferencer, PersonBodies]:
    """The demo's inferencer, and what it finds in the demo's photograph."""
    inferencer = MIONInferencer(device="cpu")
    return inferencer, inferencer(PHOTO, keypoints2d=KEYPOINTS)["predictions"][0][0]


def draw_demo(args: argparse.Namespace) -> np.ndarray:
    """What ``tools/demo.py`` draws of its photograph, smaller."""
    inferencer, person = the_skier()
    sheet = Image.fromarray(inferencer.draw(read_image(PHOTO), person))
    return np.asarray(sheet.resize((round(0.7 * sheet.width), round(0.7 * sheet.height)), Image.Resampling.LANCZOS))


def draw_synthetic(args: argparse.Namespace, looks: str, augment: bool = False) -> np.ndarray:
    """The contact sheet of ``tools/synthesize.py``."""
    settings = SetSettings(num_images=SHEET_IMAGES, image_size=_SYNTHETIC_SIZE, looks=looks, augment=augment)
    with tempfile.TemporaryDirectory() as folder:
        sheet = Path(folder) / "sheet.png"
        write_contact_sheet(write_set(settings, Path(folder), workers=0), sheet)
        return read_image(sheet)


def draw_page(args: argparse.Namespace) -> np.ndarray | None:
    """The web page with the demo's photograph, as Chromium shows it; None, and a line, where that is not installed."""
    try:
        from demos.screenshot import photograph_page

        return photograph_page(the_skier()[0])
    except ImportError as error:
        print(f"left out: {PAGE}, which needs gradio, playwright and a Chromium: make browser ({error})")
        return None


class Case:
    """The small model's three stages on the photograph.

    Attributes:
        model: The ``mion.MION``.
        place: Where the crop lies in the photograph.
        keypoints2d: (17, 3) in pixels of the photograph, and confidence.
        candidates: (N, V, 3) metres before the crop's camera, stage 1's bodies.
        bodies: (1, N) stage 2's.
        refined: (N, V, 3) their vertices, likewise.
        errors: (N,) millimetres that stage 3 expects.
    """

    def __init__(self) -> None:
        cfg = load_model_config()
        cfg.model.update(fit=None, selection="cen")  # each stage as it is
        inferencer = MIONInferencer(cfg, device="cpu")
        result = inferencer(PHOTO, keypoints2d=KEYPOINTS, return_datasamples=True)
        sample: BaseDataElement = result["predictions"][0][0]
        self.model: MultiInitializationOptimizationNetwork = inferencer.model
        self.place: CropPlace = sample.place
        self._photograph = np.asarray(Image.open(PHOTO).convert("RGB"))
        self.keypoints2d: np.ndarray = sample.known.keypoints2d
        started, paths = sample.candidates, sample.pred_bodies
        self.candidates = self.model.body(started.pose, transl=started.transl).vertices
        self.bodies = Bodies(paths.pose[None], paths.betas[None], paths.transl[None])
        self.refined = self.bodies.placed_vertices(self.model.body)[0]
        self.errors: Tensor = self._expected_errors()

    def crop(self, size: int) -> np.ndarray:
        """The crop (size, size, 3) uint8."""
        return self.place.cut(self._photograph, size)

    @torch.no_grad()
    def vertex_differences(self) -> Tensor:
        """How far the refined bodies' depths are from those that stage 3 reads: (N, V) metres.

        Read and compared are keypoints; each vertex gets the mean of those near it.
        """
        cen, body, bodies = self.model.cen, self.model.body, self.bodies
        own = cen.depths(bodies)
        read = cen.reader(self._image(), cen.project(bodies), own).depths
        points = body.pose_keypoints(bodies.pose, bodies.betas, bodies.transl, cen.reader.convention)
        near = torch.softmax(-torch.cdist(self.refined, points[0]) / SPREAD, dim=-1)
        return (near @ (own - read).abs()[0, ..., None])[..., 0]

    @torch.no_grad()
    def _expected_errors(self) -> Tensor:
        return self.model.cen.expected_error(self._image(), self.bodies)[0]

    def _image(self) -> Tensor:
        """(1, 3, H, W) what the networks see."""
        image = Normalize()({"img": self.crop(self.model.cen.camera.image_size)})["img"]
        return torch.from_numpy(image).permute(2, 0, 1)[None]


def draw_candidates(case: Case) -> np.ndarray:
    """Stage 1: bodies that agree in the image and differ in depth."""
    captions = ["2D keypoints", *(f"candidate {number + 1}" for number in range(len(case.candidates)))]
    keypoints2d = case.place.to_crop(case.keypoints2d, IMAGE_SIZE)
    faces = case.model.body.faces
    # the small model's camera is that of the 224 px crop, of which its own crop is half the resolution
    return draw_candidate_sheet(case.crop(IMAGE_SIZE), keypoints2d, list(case.candidates), faces, captions, scale=1)


def draw_pncc(case: Case) -> np.ndarray:
    """Stage 2's input: each candidate in colours that name its surface points, fine and at the paper's size."""
    size, camera = IMAGE_SIZE, case.model.camera
    rows = []
    for pixels in (size, STAGE2_SIZE):
        renderer = PNCCRenderer(size=pixels, body=case.model.body)
        pncc = renderer(case.candidates, camera.focal_length, camera.principal_point, int(camera.image_size))
        rows.append([_picture(image) for image in interpolate(pncc, size=size, mode="nearest")])
    names = [f"candidate {number + 1}" for number in range(len(case.candidates))]
    return _grid(rows, names, [f"{size} x {size}", f"{STAGE2_SIZE} x {STAGE2_SIZE}"])


def draw_refined(case: Case) -> np.ndarray:
    """Stage 2's output: each refined body over the crop, and above it the candidate that it came from."""
    crop, faces, focal = case.crop(IMAGE_SIZE), case.model.body.faces, _focal_length(case)
    rows = [
        [overlay_body(crop, body, faces, color, focal) for body in bodies]
        for bodies, color in ((case.candidates, (0.65, 0.74, 0.86)), (case.refined, (0.90, 0.62, 0.00)))
    ]
    names = [f"path {number + 1}" for number in range(len(case.refined))]
    return _grid(rows, names, ["stage 1", "stage 2"])


def draw_scores(case: Case) -> np.ndarray:
    """Stage 3: each refined body in the colours of its distance in depth from what the network reads."""
    size, faces, focal = IMAGE_SIZE, case.model.body.faces, _focal_length(case)
    crop, pictures, sides = case.crop(size), [], []
    for body, distances in zip(case.refined, case.vertex_differences(), strict=True):
        colors = heat_colors(distances)
        pictures.append(overlay_body(crop, body, faces, colors, focal))
        sides.append(side_view(body, faces, colors, size, focal))
    lowest = int(case.errors.argmin())
    names = [
        f"score {_millimetres(error)}{', the lowest' if path == lowest else ''}"
        for path, error in enumerate(case.errors)
    ]
    return _with_scale(_grid([pictures, sides], names, ["front", "side"]))


@functools.cache
def the_worst() -> WorstPeople:
    """Looked for once."""
    return find_worst(_LOOKED_AT, _WORST)


def draw_worst_people(args: argparse.Namespace) -> np.ndarray:
    """The chosen bodies that are farthest from the truth."""
    names = [_millimetres(person.error) for person in the_worst().people]
    return _grid(draw_worst(the_worst(), IMAGE_SIZE), names, ["given", "chosen", "side"])


def heat_colors(distances: Tensor) -> Tensor:
    """Colours (V, 3) in 0..1 of distances (V,) in metres, dark for 0 and light from ``HEAT_RANGE`` on."""
    table = torch.tensor(_HEAT)
    place = (distances / HEAT_RANGE).clamp(0, 1) * (len(table) - 1)
    low = place.floor().long().clamp(max=len(table) - 2)
    share = (place - low)[:, None]
    return table[low] * (1 - share) + table[low + 1] * share


@functools.cache
def the_case() -> Case:
    """The stages, run once."""
    return Case()


def _of_case(draw: Callable[[Case], np.ndarray]) -> Callable[[argparse.Namespace], np.ndarray]:
    return lambda args: draw(the_case())


NUMBERS, PAGE, WORST = "figures.json", "app.jpg", "images/worst.jpg"
FIGURES: dict[str, Callable[[argparse.Namespace], np.ndarray | None]] = {
    "demo.jpg": draw_demo,
    "images/stage1_candidates.jpg": _of_case(draw_candidates),
    "images/stage2_pncc.jpg": _of_case(draw_pncc),
    "images/stage2_refined.jpg": _of_case(draw_refined),
    "images/stage3_scores.jpg": _of_case(draw_scores),
    WORST: draw_worst_people,
    "synthesis.jpg": functools.partial(draw_synthetic, looks="plain", augment=True),
    "synthesis_training.jpg": functools.partial(draw_synthetic, looks="training"),
    PAGE: draw_page,
}


def _millimetres(error: Tensor | float) -> str:
    return f"{float(error):.0f} mm"


def _focal_length(case: Case) -> float:
    """Of the model's camera, in pixels of a 224 px picture of the crop."""
    return case.model.camera.focal_length * IMAGE_SIZE / case.model.camera.image_size


def _picture(image: Tensor) -> np.ndarray:
    """(H, W, 3) uint8 of an image (3, H, W) in 0..1."""
    return (image.permute(1, 2, 0) * 255.0).round().byte().numpy()


def _grid(rows: Sequence[Sequence[np.ndarray]], names: Sequence[str], row_names: Sequence[str]) -> np.ndarray:
    """Square pictures in rows, with a caption above each column and in the corner of each row."""
    size = len(rows[0][0])
    step = size + _GAP
    sheet = Image.new("RGB", (len(names) * step + _GAP, _CAPTION + len(rows) * step), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=_FONT)
    for column, name in enumerate(names):
        draw.text((_GAP + column * step, 5), name, fill=_INK, font=font)
        for row, pictures in enumerate(rows):
            sheet.paste(Image.fromarray(pictures[column]), (_GAP + column * step, _CAPTION + row * step))
    for row, name in enumerate(row_names):
        left, top = _GAP + 4, _CAPTION + row * step + 4
        draw.rectangle((left - 4, top - 4, left + draw.textlength(name, font=font) + 4, top + 20), fill=_PAPER)
        draw.text((left, top - 2), name, fill=_INK, font=font)
    return np.asarray(sheet)


def _with_scale(sheet: np.ndarray) -> np.ndarray:
    """The sheet with the colour scale below it."""
    height, width = sheet.shape[:2]
    bar, labels = 14, 26
    paper = Image.new("RGB", (width, height + bar + labels), _PAPER)
    paper.paste(Image.fromarray(sheet), (0, 0))
    colors = heat_colors(torch.linspace(0, HEAT_RANGE, width - 2 * _GAP))
    row = (colors[None].expand(bar, -1, -1) * 255.0).round().byte().numpy()
    paper.paste(Image.fromarray(row), (_GAP, height))
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(size=_FONT)
    draw.text((_GAP, height + bar + 3), "0", fill=_INK, font=font)
    told = f"distance of the body's depth from the one that is read: {1000 * HEAT_RANGE:.0f} mm and more"
    draw.text((width - _GAP, height + bar + 3), told, fill=_INK, font=font, anchor="ra")
    return np.asarray(paper)
