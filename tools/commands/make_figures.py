"""Pictures of what each stage does with one photograph."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate

from mion_plugin.bodies import Bodies
from mion_plugin.datasets.transforms import Normalize
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.files import atomic_path
from mion_plugin.geometry.camera import IMAGE_SIZE
from mion_plugin.inference import MIONInferencer
from mion_plugin.inference.cropping import CropPlace
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.models import load_model_config
from mion_plugin.rendering import PNCCRenderer
from mion_plugin.visualization import draw_candidate_sheet, overlay_body

STAGE2_SIZE = 56  # pixels of the PNCC image that the paper's stage 2 reads
HEAT_RANGE = 0.2  # metres at the hot end of the colour scale
SPREAD = 0.08  # metres of the surface over which a keypoint's difference is painted
_HEAT = ((0.00, 0.00, 0.20), (0.35, 0.00, 0.55), (0.80, 0.20, 0.35), (0.98, 0.60, 0.10), (1.00, 1.00, 0.60))
_GAP, _CAPTION, _PAPER, _INK = 8, 28, (255, 255, 255), (30, 30, 30)
_FONT, _QUALITY = 16, 85


def run(args: argparse.Namespace) -> int:
    """Write the pictures; returns the exit code."""
    args.out.mkdir(parents=True, exist_ok=True)
    case = Case()
    for name, draw in FIGURES.items():
        with atomic_path(args.out / name) as temporary:
            Image.fromarray(draw(case)).save(temporary, quality=_QUALITY, optimize=True)
        print(f"written: {args.out / name}, {(args.out / name).stat().st_size / 1000:.0f} kB")
    return 0


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
    plain = np.full((size, size, 3), 248, np.uint8)
    crop, pictures, sides = case.crop(size), [], []
    for body, distances in zip(case.refined, case.vertex_differences(), strict=True):
        colors = heat_colors(distances)
        pictures.append(overlay_body(crop, body, faces, colors, focal, opacity=1.0))
        sides.append(overlay_body(plain, _turned(body), faces, colors, focal, opacity=1.0))
    lowest = int(case.errors.argmin())
    names = [
        f"{error:.0f} mm expected{', the lowest' if path == lowest else ''}"
        for path, error in enumerate(case.errors.tolist())
    ]
    return _with_scale(_grid([pictures, sides], names, ["front", "side"]))


def heat_colors(distances: Tensor) -> Tensor:
    """Colours (V, 3) in 0..1 of distances (V,) in metres, dark for 0 and light from ``HEAT_RANGE`` on."""
    table = torch.tensor(_HEAT)
    place = (distances / HEAT_RANGE).clamp(0, 1) * (len(table) - 1)
    low = place.floor().long().clamp(max=len(table) - 2)
    share = (place - low)[:, None]
    return table[low] * (1 - share) + table[low + 1] * share


FIGURES: dict[str, Callable[[Case], np.ndarray]] = {
    "stage1_candidates.jpg": draw_candidates,
    "stage2_pncc.jpg": draw_pncc,
    "stage2_refined.jpg": draw_refined,
    "stage3_scores.jpg": draw_scores,
}


def _focal_length(case: Case) -> float:
    """Of the model's camera, in pixels of a 224 px picture of the crop."""
    return case.model.camera.focal_length * IMAGE_SIZE / case.model.camera.image_size


def _turned(vertices: Tensor) -> Tensor:
    """A body (V, 3) turned as in ``side_view``: what was near the camera is now on the left."""
    middle = (vertices.amin(0) + vertices.amax(0)) / 2.0
    x, y, z = (vertices - middle).unbind(-1)
    return torch.stack([z, y, middle[2] - x], dim=-1)


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
