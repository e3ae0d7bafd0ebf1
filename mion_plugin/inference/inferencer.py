"""Photographs and 2D keypoints in, bodies out: the inferencer of OpenMMLab's projects."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.structures import BaseDataElement
from torch import nn

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.consistency import DepthConsistency
from mion_plugin.constants import NEUTRAL
from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.evaluation.errors import MILLIMETRES
from mion_plugin.files.configs import read_config
from mion_plugin.inference.cropping import CropPlace, check_box, place_crop
from mion_plugin.inference.gendered import GenderedBodies
from mion_plugin.inference.guessed_joints import guessed_vertices
from mion_plugin.inference.image_camera import PinholeCamera, equivalent_camera, fit_to_camera, image_camera
from mion_plugin.inference.meshes import FORMATS
from mion_plugin.inference.people import Photograph, find_people, for_each_photograph, is_single, list_photographs
from mion_plugin.inference.preparation import PersonCropper
from mion_plugin.inference.results import PersonBodies, save_person
from mion_plugin.models import DEFAULT_MODEL, load_model_config, model_names, shipped_stage
from mion_plugin.registry import INFERENCERS, MODELS
from mion_plugin.samples import bodies_to_give
from mion_plugin.visualization import draw_body_sheet
from mion_plugin.visualization.image_overlay import body_color
from mion_plugin.visualization.pictures import save_picture
from mion_plugin.weights import load_part

PICTURE_SIZE = 448  # pixels of the large pictures of a sheet
_PIPELINE = (dict(type="mion.Normalize"), dict(type="mion.PackBodyInputs"))
_CONVENTION = "coco"
_KEPT = ("image_index", "image_name", "person", "known", "place")  # of a cropped sample, for its results
_RULES_IN_HEIGHTS = ("cen", "cen+reprojection")  # whose numbers are in body heights
_NOTHING = np.zeros((0, 0, 3), np.uint8)  # a photograph of nobody is not read


@INFERENCERS.register_module()
class MIONInferencer(BaseInferencer):
    """Bodies of the people in photographs.

    Examples:
        >>> inferencer = MIONInferencer()
        >>> result = inferencer("photo.jpg", keypoints2d="coco_keypoints.json", out_dir="outputs", return_vis=True)
        >>> person = result["predictions"][0][0]  # of the first photograph the first person: PersonBodies
        >>> person.vertices[person.selected]  # (6890, 3) metres, the crop camera's frame

    Args:
        model: Name of a model of the package, path of a config file, or a config, whose ``model`` is a ``mion.MION`` or
            another model that gives ``pred_bodies`` as ``mion.MRT``. None: the package's default, as far as its weights
            come with it. An entry ``inference_pipeline`` replaces the steps after the crop (default: ``mion.Normalize``
            with ImageNet's numbers, ``mion.PackBodyInputs``).
        weights: Checkpoint of the whole model. A ``mion.MION`` may instead name its parts' in its config.
        device: Default: mmengine's choice, a GPU where there is one.
        box: Crop by the ``keypoints``, as training does, or by the annotated ``bbox``; see ``place_crop``.
        box_scale: See ``place_crop``.
        image_focal_length: Of the image's camera in pixels; None for the image's diagonal.
        use_depths: Let stage 2 read the depths of those who come with some, as a detector with 3D landmarks finds them
            (``CocoPerson.depths``), if it was trained to; False to go by the 2D keypoints alone.
        amp: Run the networks in mixed precision: float16 on a GPU, bfloat16 on a CPU.
        show_progress: Show a bar over the batches.
        gender: Of the bodies that are given. The networks know the neutral body alone, and choose by it; ``male`` and
            ``female`` put what they found on another body and fit it onto the keypoints anew (``GenderedBodies``).

    Raises:
        FileNotFoundError: A config or checkpoint is not there, or the package holds no trained weights.
        ValueError: An argument is out of range, or a checkpoint is not the model's.
    """

    preprocess_kwargs = {"keypoints2d"}  # noqa: RUF012  as mmengine declares them
    forward_kwargs: set[str] = set()  # noqa: RUF012
    visualize_kwargs = {"return_vis"}  # noqa: RUF012
    postprocess_kwargs = {"num_images", "out_dir", "mesh_format"}  # noqa: RUF012

    def __init__(
        self,
        model: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        weights: str | os.PathLike[str] | None = None,
        device: str | None = None,
        box: str = "keypoints",
        box_scale: float | None = None,
        image_focal_length: float | None = None,
        amp: bool = False,
        show_progress: bool = False,
        use_depths: bool = True,
        gender: str = NEUTRAL,
    ) -> None:
        self.amp, self.use_depths = amp, use_depths
        self.box, self.box_scale, self.image_focal_length = box, box_scale, image_focal_length
        check_box(box, box_scale)  # before the model is built
        _check_device(device)
        image_camera(1, 1, image_focal_length)
        config = _find_config(model)
        super().__init__(
            config, None if weights is None else os.fspath(weights), device, scope="mion", show_progress=show_progress
        )
        self.gender, self._gendered = gender, None if gender == NEUTRAL else self._put_on(gender)

    def __call__(  # type: ignore[override]
        self,
        inputs: Any,
        keypoints2d: Any = None,
        batch_size: int = 1,
        return_datasamples: bool = False,
        return_vis: bool = False,
        out_dir: str | os.PathLike[str] | None = None,
        mesh_format: str | None = None,
    ) -> dict[str, Any]:
        """Find the bodies.

        Args:
            inputs: Path, folder, array (H, W, 3) uint8 RGB, ``Photograph``, or a list of these.
            keypoints2d: COCO keypoint file, or folder of OpenPose's; or (17, 3) x, y in pixels of the image (centres at
                integer + 0.5) and confidence, or (P, 17, 3), or a list of ``CocoPerson``; for several images a list of
                these.
            batch_size: People at once, whatever their photographs.
            return_datasamples: Let predictions be the model's data samples.
            return_vis: Draw a picture of each person.
            out_dir: Folder to write to: per person ``NAME_personN`` with the endings of ``save_person`` and, with
                ``return_vis``, ``.png``.
            mesh_format: ``obj``, ``glb`` or ``ply``: write the chosen body's mesh, too.

        Returns:
            ``predictions``: for each photograph the list of its people's ``PersonBodies`` (or data samples);
            ``visualization``: likewise pictures (H, W, 3) uint8, or [] if not asked for.

        Raises:
            FileNotFoundError, BrokenImageError: A file is not there or cannot be read.
            ValueError: Inputs in another form.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, expected at least 1")
        if mesh_format is not None and mesh_format not in FORMATS:
            raise ValueError(f"mesh_format is {mesh_format!r}, expected one of {', '.join(FORMATS)}")
        photographs = list_photographs(inputs)
        return super().__call__(
            photographs,
            return_datasamples,
            batch_size,
            keypoints2d=for_each_photograph(keypoints2d, is_single(inputs)),
            return_vis=return_vis,
            num_images=len(photographs),
            out_dir=out_dir,
            mesh_format=mesh_format,
        )

    def _inputs_to_list(self, inputs: Any) -> list[Photograph]:
        return inputs

    def preprocess(  # type: ignore[override]
        self, inputs: list[Photograph], batch_size: int = 1, keypoints2d: Any = None
    ) -> Iterator[Any]:
        """Batches of crops of ``batch_size`` people; ``keypoints2d`` as ``find_people``."""
        people = find_people(keypoints2d, inputs)
        chunks = self._get_chunk_data(map(self.pipeline, self._people(inputs, people)), batch_size)
        return map(self.collate_fn, chunks)

    def _people(self, photographs: Sequence[Photograph], people: Sequence[Sequence[CocoPerson]]) -> Iterator[dict]:
        """One sample per person; a photograph is read when its people's turn comes."""
        count = 0
        for index, (photograph, members) in enumerate(zip(photographs, people, strict=True)):
            pixels = photograph.read() if members else _NOTHING
            for number, person in enumerate(members):
                place = self._place(person, f"{photograph.name}, person {number}")
                meta = {"image_index": index, "image_name": photograph.name, "person": number, "sample_idx": count}
                yield {"img": pixels, "known": person, "place": place, **meta}
                count += 1

    def _place(self, person: CocoPerson, where: str) -> CropPlace:
        try:
            return place_crop(person, self.box, self.box_scale)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None

    @torch.no_grad()
    def estimate(self, inputs: Any) -> list[BaseDataElement]:
        """The model's data samples of a batch of ``pack``, collated; ``collect`` tells what one of them says."""
        device = next(self.model.parameters()).device.type
        half = torch.float16 if device == "cuda" else torch.bfloat16
        with torch.autocast(device, half, enabled=self.amp):
            return self.model.test_step(inputs)

    @torch.no_grad()
    def forward(self, inputs: Any, **kwargs: Any) -> list[BaseDataElement]:
        """The model's data samples of a batch, with the ``PersonBodies`` as ``found`` in their meta information."""
        samples = self.estimate(inputs)
        for sample in samples:
            sample.set_metainfo({"found": self.collect(sample)})
        return samples

    def visualize(  # type: ignore[override]
        self, inputs: list[Photograph], preds: list[BaseDataElement], return_vis: bool = False, **kwargs: Any
    ) -> list[list[np.ndarray]]:
        """A picture of each person, by photographs; [] if not asked for."""
        if not return_vis:
            return []
        pictures: list[list[np.ndarray]] = []
        for photograph, samples in zip(inputs, _by_photograph(preds, len(inputs)), strict=True):
            pixels = photograph.read() if samples else _NOTHING
            pictures.append([self.draw(pixels, sample.found) for sample in samples])
        return pictures

    def postprocess(  # type: ignore[override]
        self,
        preds: list[BaseDataElement],
        visualization: list[list[np.ndarray]],
        return_datasamples: bool = False,
        num_images: int = 1,
        out_dir: str | os.PathLike[str] | None = None,
        mesh_format: str | None = None,
    ) -> dict[str, Any]:
        """Results by photographs; write the files."""
        samples = _by_photograph(preds, num_images)
        people = [[replace(sample.found, num_people=_count(group)) for sample in group] for group in samples]
        if out_dir is not None:
            self._save(people, visualization, Path(out_dir), mesh_format)
        return {"predictions": samples if return_datasamples else people, "visualization": visualization}

    def collect(self, sample: BaseDataElement) -> PersonBodies:
        """What the model found about one person."""
        found, camera, place = self._gendered_bodies(sample), self.model.camera, sample.place
        vertices = self._vertices(found)
        target = self.camera_of_image(*sample.ori_shape)
        in_image = equivalent_camera(place, camera.focal_length, camera.image_size)
        image_transl, image_error = fit_to_camera(vertices, found.transl, in_image, target)
        optional = ("fit_loss", "fit_cost", "scores", "selection_scores")
        return PersonBodies(
            image_name=sample.image_name,
            person=sample.person,
            valid=bool(found.get("valid", True)),
            selected=int(found.get("selected", 0)),
            keypoints2d=sample.known.keypoints2d,
            crop=place,
            image_size=int(camera.image_size),
            **{name: _array(found.get(name)) for name in ("pose", "betas", "transl")},
            vertices=_array(vertices),
            crop_camera=PinholeCamera(camera.focal_length, camera.principal_point),
            crop_camera_in_image=in_image,
            image_camera=target,
            image_transl=_array(image_transl),
            image_error=_array(image_error),
            **{name: _array(found.get(name)) for name in optional if name in found},
            expected_error=self._expected_error(found),
            rule=self.rule,
            num_people=None,
            gender=self.body.gender,
            score_unit=self.choice_unit,
        )

    def camera_of_image(self, height: int, width: int) -> PinholeCamera:
        """The camera that all people of an image of so many pixels share."""
        return image_camera(height, width, self.image_focal_length)

    @property
    def score_unit(self) -> float | None:
        """Millimetres of expected error that a score of 1 means, where stage 3 is calibrated; else None."""
        cen = getattr(self.model, "cen", None)
        if not isinstance(cen, DepthConsistency) or not cen.calibrated:
            return None
        return MILLIMETRES * cen.body_height

    @property
    def rule(self) -> str | None:
        """``PersonBodies.rule``."""
        return getattr(self.model, "selection", None)

    @property
    def choice_unit(self) -> float | None:
        """``PersonBodies.score_unit``: ``score_unit`` where the rule goes by such scores."""
        return self.score_unit if self.rule in _RULES_IN_HEIGHTS else None

    def _expected_error(self, found: BaseDataElement) -> np.ndarray | None:
        """(N,) millimetres, where a calibrated stage 3 tells them: its scores in another unit."""
        unit = self.score_unit
        return None if unit is None or "scores" not in found else _array(found.scores) * unit

    def _vertices(self, found: BaseDataElement) -> torch.Tensor:
        """(N, V, 3) in the crop camera's frame; stage 3 has skinned them already, if there is one."""
        if "vertices" in found:
            return found.vertices + found.transl[:, None]
        return self.body(found.pose, found.betas, found.transl).vertices

    @property
    def body(self) -> SMPLBody:
        """Of the bodies that are given."""
        return self.model.body if self._gendered is None else self._gendered.body

    def in_gender(self, gender: str) -> MIONInferencer:
        """One that shares the networks with this one and gives bodies of another ``gender``; errors as the class's."""
        other = copy.copy(self)
        other.gender, other._gendered = gender, None if gender == NEUTRAL else self._put_on(gender)
        return other

    def _put_on(self, gender: str) -> GenderedBodies:
        body, prior = self.model.body, getattr(getattr(self.model, "fit", None), "prior", None)
        convention = getattr(self.model, "keypoints2d_convention", _CONVENTION)
        gendered = GenderedBodies(body, gender, self.model.camera, convention, prior)
        return gendered.to(body.v_template.device)

    def _gendered_bodies(self, sample: BaseDataElement) -> BaseDataElement:
        """What the model gives; of another gender than neutral, on that body."""
        found = bodies_to_give(sample)
        if self._gendered is None:
            return found
        keypoints2d = sample.get("keypoints2d_read")
        if keypoints2d is None:  # a model that reads what is given
            given = sample.place.to_crop(sample.known.keypoints2d, self.model.camera.image_size)
            keypoints2d = torch.from_numpy(given).to(found.transl)
        valid = torch.tensor([bool(found.get("valid", True))], device=found.transl.device)
        bodies = Bodies(found.pose[None], found.betas[None], found.transl[None], valid=valid)
        bodies = self._gendered(bodies, keypoints2d[None])
        put = {name: getattr(bodies, name)[0] for name in ("pose", "betas", "transl", "fit_loss")}
        return found.new(**{**dict(found.items()), **put, "vertices": bodies.posed(self.body).vertices[0]})

    def draw(self, image: np.ndarray, person: PersonBodies) -> np.ndarray:
        """The picture (H, W, 3) uint8 of one person of an image; see ``draw_body_sheet``."""
        return draw_body_sheet(
            person.crop.cut(image, PICTURE_SIZE),
            person.crop.to_crop(person.keypoints2d, PICTURE_SIZE),
            list(torch.from_numpy(person.vertices)),
            self.body.faces.cpu(),
            person.crop_camera.focal_length * PICTURE_SIZE / person.image_size,
            person.selected,
            None if person.score is None else [person.score_text(path) for path in range(len(person.transl))],
            color=body_color(person.person),
            guessed=torch.from_numpy(guessed_vertices(person.joints_guessed, self.skinning_weights)),
            reason=person.reason,
        )

    @property
    def skinning_weights(self) -> np.ndarray:
        """(V, 24) of the body model."""
        return self.body.weights.cpu().numpy()

    def _save(
        self, people: list[list[PersonBodies]], pictures: list[list[np.ndarray]], folder: Path, mesh_format: str | None
    ) -> None:
        names = [Path(group[0].image_name).stem if group else "" for group in people]
        shown = [name for name, group in zip(names, people, strict=True) if group]
        twice = len(set(shown)) < len(shown)  # files of one name from several folders
        for index, (name, group) in enumerate(zip(names, people, strict=True)):
            for person in group:
                stem = folder / f"{f'{index}_' if twice else ''}{name}_person{person.person}"
                save_person(person, stem, self.body.faces.cpu().numpy(), mesh_format)
                if pictures:
                    save_picture(pictures[index][person.person], stem.with_name(f"{stem.name}.png"))

    def _init_model(self, cfg: Any, weights: str | None, device: str = "cpu") -> nn.Module:
        """As mmengine's, but checkpoints are read as weights only, and must be the model's."""
        model = MODELS.build(cfg.model)
        if weights is not None:
            load_part(model, weights)
        return model.to(device).eval()

    def _init_pipeline(self, cfg: Any) -> Callable[[dict], dict]:
        convention = getattr(self.model, "keypoints2d_convention", _CONVENTION)
        self.cropper = PersonCropper(int(self.model.camera.image_size), convention, self.use_depths)
        self._after_crop = Compose(list(cfg.get("inference_pipeline", _PIPELINE)))
        return lambda results: self.pack(self.cropper(results))

    def pack(self, cropped: dict[str, Any]) -> dict[str, Any]:
        """What ``estimate`` takes a batch of: a sample of ``cropper`` after the pipeline's steps.

        Args:
            cropped: With ``image_index``, ``image_name``, ``person`` and ``sample_idx``, which the data sample keeps.
        """
        meta = {key: cropped[key] for key in _KEPT}
        packed = self._after_crop(cropped)
        packed["data_samples"].set_metainfo(meta)
        return packed

    def _init_collate(self, cfg: Any) -> Callable:
        return pseudo_collate

    def _init_visualizer(self, cfg: Any) -> None:
        return None


def _check_device(device: str | None) -> None:
    """Raise ValueError for a device that torch does not know, or cannot use here."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ValueError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from None


def _find_config(model: str | os.PathLike[str] | Mapping[str, Any] | None) -> Config:
    """The config of a name, file or mapping."""
    if model is None or (isinstance(model, str) and model in model_names()):
        name = model or DEFAULT_MODEL
        return load_model_config(str(name), stage=max(2, shipped_stage(str(name))))
    if isinstance(model, Config):
        return model
    if isinstance(model, Mapping):
        return Config(dict(model))
    try:
        return read_config(model)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"config {model} does not exist, and the package's models are {', '.join(model_names())}"
        ) from None


def _by_photograph(samples: Sequence[BaseDataElement], count: int) -> list[list[BaseDataElement]]:
    grouped: list[list[BaseDataElement]] = [[] for _ in range(count)]
    for sample in samples:
        grouped[sample.image_index].append(sample)
    return grouped


def _count(samples: Sequence[BaseDataElement]) -> int:
    """How many people of a photograph have bodies that mean something."""
    return sum(sample.found.valid for sample in samples)


def _array(value: torch.Tensor) -> np.ndarray:
    return value.detach().cpu().float().numpy()
