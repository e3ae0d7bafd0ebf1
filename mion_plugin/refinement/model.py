"""Training and testing of the mesh refinement transformer as an mmengine model (paper, 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.candidates.drawing import draw_candidates
from mion_plugin.evaluation.choice.rules import fit_loss_of
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.precision import full_precision
from mion_plugin.parts import Part, build_at_camera, build_part, check_parts
from mion_plugin.refinement.losses import MeshLoss
from mion_plugin.refinement.network import RefinementNetwork
from mion_plugin.refinement.renamed_options import nest_network_options
from mion_plugin.registry import MODELS
from mion_plugin.samples import (
    DEFAULT_CONVENTIONS,
    TARGETS_2D,
    add_results,
    check_mode,
    check_samples,
    collect_targets,
    convention_read,
    known_depths,
    pack_bodies,
    provided_candidates,
    read_depths,
    read_keypoints,
    stack_images,
)

_SELECTOR = MappingProxyType({"type": "mion.CandidateSelector"})


@MODELS.register_module(name=["MeshRefinementTransformer", "MRT"])
class MeshRefinementTransformer(BaseModel):
    """Trains a ``mion.RefinementNetwork`` on the candidates of stage 1, and tests stages 1 and 2.

    Args:
        network: A ``mion.RefinementNetwork``.
        selector: A ``CandidateSelector``, whose camera defaults to the network's; None where the data provide
            candidates (``provided_candidates``).
        train_candidates: Candidates per image in training, drawn at random from those selected; tests refine all.
        loss: A ``MeshLoss``.
        keypoints2d_target: What the 2D loss compares with: ``annotated`` keypoints, or the ``detected`` ones that stage
            1 sees; see ``collect_targets``.
        predict_vertices: Let predictions hold the refined vertices.
        data_preprocessor: See mmengine's ``BaseModel``; it must leave normalised float images.
        init_cfg: See mmengine's ``BaseModule``.
        **renamed: Options of the network under their names of version 0.1; see ``nest_network_options``.

    Raises:
        ValueError: An option is out of range, or the selector's camera or body is another than the network's.
    """

    def __init__(
        self,
        network: Part | None = None,
        selector: Part | None = _SELECTOR,
        train_candidates: int = 1,
        loss: Part | None = None,
        keypoints2d_target: str = "annotated",
        predict_vertices: bool = False,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
        **renamed: Any,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if train_candidates < 1:
            raise ValueError(f"train_candidates is {train_candidates}, expected at least 1")
        self.train_candidates = train_candidates
        if keypoints2d_target not in TARGETS_2D:
            raise ValueError(f"keypoints2d_target is {keypoints2d_target!r}, expected one of {', '.join(TARGETS_2D)}")
        self.keypoints2d_target = keypoints2d_target
        self.predict_vertices = predict_vertices
        self.mesh_loss: MeshLoss = build_part(loss, type="mion.MeshLoss")
        options = nest_network_options(network, renamed, selector)
        self.network: RefinementNetwork = build_part(options, type="mion.RefinementNetwork")
        self.selector = build_at_camera(selector, self.camera)
        check_parts(selector=self.selector, network=self.network)

    @property
    def body(self) -> SMPLBody:
        """The network's body model."""
        return self.network.body

    @property
    def camera(self) -> CropCamera:
        """The network's camera of the crop."""
        return self.network.camera

    @property
    def keypoints2d_convention(self) -> str:
        """Order of the 2D keypoints that selector and network read."""
        return convention_read(self.selector, self.network) or DEFAULT_CONVENTIONS["keypoints2d"]

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = "tensor",
    ) -> Bodies | dict[str, Tensor] | list[BaseDataElement]:
        """Run the model on a batch of a data loader.

        Args:
            inputs: (B, 3, H, W), or B images (3, H, W), normalised float.
            data_samples: B samples of ``PackBodyInputs``; ``depths_input`` of those that have it goes to a network that
                reads depths (``read_depths``).
            mode: ``tensor``: the refined bodies of all candidates. ``loss``: see ``MeshLoss.forward``. ``predict``:
                copies of the samples with ``pred_bodies``, and ``candidates``, where the paths started; see
                ``pack_bodies``. ``pred_bodies.selected`` (), the chosen path, is the first, whose candidate had the
                lowest fit loss, until stage 3 chooses.

        Raises:
            ValueError: Images or samples that the model cannot take, or an unknown mode.
        """
        check_mode(mode)
        image = stack_images(inputs)
        samples = check_samples(data_samples, len(image), self.camera.image_size)
        keypoints2d = read_keypoints(samples, self.selector, self.network, image.device)
        candidates = self._candidates(samples, keypoints2d, image.device)
        if mode == "loss":
            candidates = draw_candidates(candidates, self.train_candidates)
        depths = read_depths(samples, self.keypoints2d_convention, image.device)
        bodies = self.network(image, candidates, keypoints2d, **known_depths(self.network, depths))
        if mode == "tensor":
            return bodies
        if mode == "loss":
            with full_precision(image):
                targets = collect_targets(samples, image.device, self.keypoints2d_target)
                return self.mesh_loss(bodies, targets, candidates.valid, self.body, self.camera, candidates)
        return self._predict(samples, candidates, bodies, keypoints2d)

    def _candidates(
        self, samples: Sequence[BaseDataElement], keypoints2d: Tensor | None, device: torch.device
    ) -> Bodies:
        return provided_candidates(samples, device) if self.selector is None else self.selector(keypoints2d)

    def _predict(
        self,
        samples: Sequence[BaseDataElement],
        candidates: Bodies,
        bodies: Bodies,
        keypoints2d: Tensor | None,
    ) -> list[BaseDataElement]:
        with full_precision(bodies.pose):
            fit_loss = None
            if keypoints2d is not None:
                fit_loss = fit_loss_of(bodies, keypoints2d, self.keypoints2d_convention, self.body, self.camera)
            first = torch.zeros(len(samples), dtype=torch.long, device=bodies.transl.device)
            refined = pack_bodies(bodies, self.body, self.predict_vertices, fit_loss=fit_loss, selected=first)
            return add_results(samples, pred_bodies=refined, candidates=pack_bodies(candidates, self.body))
