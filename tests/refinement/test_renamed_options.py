"""Options of ``mion.MRT`` under their names of version 0.1."""

from __future__ import annotations

import copy
import re
import warnings
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from support.tiny_mion import make_body_pool
from torch import nn

from mion_plugin.backbones import DeconvNeck
from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelector
from mion_plugin.refinement import MeshRefinementTransformer
from mion_plugin.refinement.renamed_options import RENAMED, nest_network_options
from mion_plugin.registry import MODELS
from mion_plugin.rendering.pncc import PNCCRenderer

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
BACKBONE = {"type": "mion.TorchvisionResNet", "depth": 18, "num_stages": 2}
NECK = {"type": "mion.DeconvNeck", "in_channels": 128, "channels": 24, "num_layers": 1}
TRANSFORMER = {"width": 24, "num_heads": 2, "num_encoder_layers": 1, "num_decoder_layers": 1, "feedforward": 48}
RENDERER = {"type": "mion.PNCCRenderer", "size": 8}


@pytest.fixture(scope="module")
def sizes(body) -> dict[str, Any]:
    """A small network under the new names; those of its entries were the model's own."""
    return {
        "backbone": BACKBONE,
        "neck": NECK,
        "transformer": {**TRANSFORMER, "dropout": 0.0},
        "renderer": RENDERER,
        "body": body,
    }


@pytest.fixture(scope="module")
def pool(body):
    return make_body_pool(body)


def build(seed: int = 0, **options: Any) -> MeshRefinementTransformer:
    """A model in training mode whose last layers are not zero."""
    torch.manual_seed(seed)
    model = MODELS.build({"type": "mion.MRT", "selector": None, **options})
    head = model.network.head
    for mlp in (head.rotation_mlp, head.camera_mlp, head.betas_mlp):
        nn.init.normal_(mlp[-1].weight, std=0.02)
    return model.eval()


def assert_same_model(old: MeshRefinementTransformer, new: MeshRefinementTransformer, samples) -> None:
    assert old.state_dict().keys() == new.state_dict().keys()
    for name, value in new.state_dict().items():
        assert torch.equal(old.state_dict()[name], value), name
    with torch.no_grad():
        one, other = old(IMAGES, samples), new(IMAGES, samples)
        for name in ("pose", "betas", "transl"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name
        torch.manual_seed(1)
        losses = old(IMAGES, samples, mode="loss")
        torch.manual_seed(1)
        for name, value in new(IMAGES, samples, mode="loss").items():
            assert torch.equal(losses[name], value), name


# old name -> (value that is not the default, what it is in the network's config now)
SAME = [
    ("add_2d_position", True, {"add_2d_position": True}),
    (
        "position_encoding",
        {"type": "mion.SinePositionEncoding2D"},
        {"position_encoding": {"type": "mion.SinePositionEncoding2D"}},
    ),
    ("focal_length", 2500.0, {"focal_length": 2500.0}),
    ("bfloat16_features", True, {"bfloat16_features": True}),
    ("bfloat16_transformer", True, {"transformer": {**TRANSFORMER, "dropout": 0.0, "bfloat16": True}}),
    ("rotation", "residual", {"head": {"rotation": "residual"}}),
    ("rotation_representation", "axis_angle", {"head": {"representation": "axis_angle"}}),
    ("candidate_in_queries", True, {"queries": {"candidate": True}}),
    ("sample_at_joints", True, {"queries": {"features": True}}),
    ("keypoints_in_queries", True, {"queries": {"keypoints": "coco"}}),
]
SIZES = ("backbone", "neck", "transformer", "renderer", "body")  # old names that every model needs
ELSEWHERE = ("image_size", "keypoints2d_convention")  # tested below: the samples have to suit it


def test_every_old_name_is_tested() -> None:
    assert set(RENAMED) == {*(name for name, _, _ in SAME), *SIZES, *ELSEWHERE}


@pytest.mark.parametrize(("name", "value", "now"), SAME)
def test_a_model_by_old_names_is_that_by_the_new_ones(name, value, now, sizes, make_samples) -> None:
    with pytest.warns(FutureWarning, match=rf"\b{name} is network\.{re.escape('.'.join(RENAMED[name]))}\b"):
        old = build(**sizes, **{name: value})
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        new = build(network={**sizes, **now})
        plain = build(network=sizes)
    assert_same_model(old, new, make_samples())
    same_weights = old.state_dict().keys() == plain.state_dict().keys()
    with torch.no_grad():
        differs = not same_weights or not torch.equal(
            old(IMAGES, make_samples()).pose, plain(IMAGES, make_samples()).pose
        )
        differs |= not torch.equal(old(IMAGES, make_samples()).transl, plain(IMAGES, make_samples()).transl)
    assert differs  # the option did something


@pytest.mark.parametrize("seed", [0, 3])
def test_a_whole_config_of_version_0_1(sizes, pool, body, make_samples, seed) -> None:
    selector = {"type": "mion.CandidateSelector", "pool": pool, "num_candidates": 3}
    common = {"train_candidates": 2, "loss": {"type": "mion.MeshLoss", "betas_weight": 0.1}, "predict_vertices": True}
    with pytest.warns(FutureWarning):
        old = build(
            seed,
            **sizes,
            **common,
            selector=selector,
            rotation="residual",
            rotation_representation="axis_angle",
            candidate_in_queries=True,
            sample_at_joints=True,
            keypoints_in_queries=True,
            add_2d_position=True,
        )
    new = build(
        seed,
        network={
            **sizes,
            "head": {"rotation": "residual", "representation": "axis_angle"},
            "queries": {"candidate": True, "features": True, "keypoints": "coco"},
            "add_2d_position": True,
        },
        **common,
        selector=selector,
    )
    assert (old.train_candidates, old.predict_vertices, old.mesh_loss.betas_weight) == (2, True, 0.1)
    assert old.body is body
    assert_same_model(old, new, make_samples())


def test_the_crop_of_the_camera(sizes) -> None:
    with pytest.warns(FutureWarning, match=r"image_size is network\.image_size"):
        model = build(**sizes, focal_length=2500.0, image_size=112)
    assert (model.camera.focal_length, model.camera.image_size) == (2500.0, 112)


class TestWarning:
    def test_names_every_old_option_and_its_new_place_once(self, sizes) -> None:
        options = {"rotation": "residual", "sample_at_joints": True, "bfloat16_transformer": False}
        with pytest.warns(FutureWarning) as seen:
            build(network=sizes, **options)
        assert [str(warning.message) for warning in seen if warning.category is FutureWarning] == [
            "mion.MRT: options have new places: bfloat16_transformer is network.transformer.bfloat16, rotation is "
            "network.head.rotation, sample_at_joints is network.queries.features"
        ]

    def test_points_at_the_caller(self, sizes) -> None:
        with pytest.warns(FutureWarning) as seen:
            MeshRefinementTransformer(sizes, selector=None, rotation="residual")
        assert seen[0].filename == __file__

    def test_new_names_bring_none(self, sizes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            MeshRefinementTransformer({**sizes, "head": {"rotation": "residual"}}, selector=None)


class TestMerging:
    """Old names over a config that has the new ones, as ``--cfg-options`` of version 0.1 gives."""

    NETWORK = {  # noqa: RUF012
        "type": "mion.RefinementNetwork",
        "neck": {"type": "mion.DeconvNeck", "in_channels": 16, "channels": 24},
        "transformer": {"width": 24, "dropout": 0.1},
        "head": {"rotation": "residual", "representation": "axis_angle"},
        "queries": {"candidate": True, "keypoints": "lsp"},
        "focal_length": 2500.0,
    }

    def nest(self, network: Any = None, selector: Any = None, **renamed: Any) -> Any:
        with pytest.warns(FutureWarning):
            return nest_network_options(self.NETWORK if network is None else network, renamed, selector)

    @pytest.mark.parametrize(
        ("renamed", "changed"),
        [
            ({"neck": {"channels": 12}}, {"neck": {"type": "mion.DeconvNeck", "in_channels": 16, "channels": 12}}),
            ({"neck": {"num_layers": 0}}, {"neck": {**NETWORK["neck"], "num_layers": 0}}),
            ({"transformer": {"dropout": 0.0}}, {"transformer": {"width": 24, "dropout": 0.0}}),
            ({"bfloat16_transformer": True}, {"transformer": {"width": 24, "dropout": 0.1, "bfloat16": True}}),
            (
                {"bfloat16_transformer": True, "transformer": {"dropout": 0.0}},
                {"transformer": {"width": 24, "dropout": 0.0, "bfloat16": True}},
            ),
            (
                {"transformer": {"dropout": 0.0}, "bfloat16_transformer": True},
                {"transformer": {"width": 24, "dropout": 0.0, "bfloat16": True}},
            ),
            ({"rotation": "absolute"}, {"head": {"rotation": "absolute", "representation": "axis_angle"}}),
            ({"rotation_representation": "6d"}, {"head": {"rotation": "residual", "representation": "6d"}}),
            ({"candidate_in_queries": False}, {"queries": {"candidate": False, "keypoints": "lsp"}}),
            ({"sample_at_joints": True}, {"queries": {"candidate": True, "keypoints": "lsp", "features": True}}),
            ({"keypoints_in_queries": False}, {"queries": {"candidate": True, "keypoints": None}}),
            ({"focal_length": 5000.0, "image_size": 112}, {"focal_length": 5000.0, "image_size": 112}),
            ({"renderer": {"size": 8}}, {"renderer": {"size": 8}}),
            ({"renderer": None}, {"renderer": None}),
        ],
    )
    def test_what_is_given_changes_and_the_rest_stays(self, renamed, changed) -> None:
        assert self.nest(**renamed) == {**self.NETWORK, **changed}

    def test_the_config_given_stays_as_it_was(self) -> None:
        before = copy.deepcopy(self.NETWORK)
        self.nest(neck={"channels": 12}, rotation="absolute", bfloat16_transformer=True, sample_at_joints=True)
        assert before == self.NETWORK

    def test_a_built_part_replaces_a_config_and_the_other_way_round(self) -> None:
        built = DeconvNeck(16, 24)
        assert self.nest(neck=built)["neck"] is built
        assert self.nest({"neck": built}, neck={"channels": 12}) == {"neck": {"channels": 12}}

    def test_without_a_network_it_is_made_of_the_old_options(self) -> None:
        with pytest.warns(FutureWarning):
            nested = nest_network_options(None, {"rotation": "residual", "candidate_in_queries": True})
        assert nested == {"head": {"rotation": "residual"}, "queries": {"candidate": True}}

    def test_without_old_options_everything_stays_as_it_is(self) -> None:
        built = nn.Linear(2, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert nest_network_options(self.NETWORK, {}) is self.NETWORK
            assert nest_network_options(built, {}) is built
            assert nest_network_options(None, {}) is None

    def test_mmengines_configs_merge_alike(self, sizes) -> None:
        config = Config({"model": {"type": "mion.MRT", "network": {**sizes, "head": {"rotation": "residual"}}}})
        config.merge_from_dict({"model.rotation_representation": "axis_angle", "model.neck.num_layers": 0})
        config.merge_from_dict({"model.selector": None, "model.network.backbone.num_stages": 2})
        with pytest.warns(FutureWarning, match=r"neck is network\.neck, rotation_representation is network\.head"):
            model = MODELS.build(config.model)
        assert isinstance(config.model, ConfigDict)
        assert (model.network.head.rotation, model.network.head.representation) == ("residual", "axis_angle")
        assert isinstance(model.network.neck.layers[0], nn.Conv2d)  # no deconvolution is left
        assert model.network.neck.channels == 24


class TestKeypointsConvention:
    def convention(self, selector: Any = None, network: Any = None, **renamed: Any) -> str | None:
        with pytest.warns(FutureWarning):
            return nest_network_options(network, renamed, selector).get("queries", {}).get("keypoints")

    def test_is_coco_where_nothing_tells_it(self) -> None:
        for selector in (None, {"type": "mion.CandidateSelector"}, nn.Linear(2, 2)):
            assert self.convention(selector, keypoints_in_queries=True) == "coco"

    def test_is_the_selectors(self, pool) -> None:
        assert self.convention({"convention": "lsp"}, keypoints_in_queries=True) == "lsp"
        assert self.convention(ConfigDict(convention="lsp"), keypoints_in_queries=True) == "lsp"
        built = CandidateSelector(pool, convention="lsp")
        assert self.convention(built, keypoints_in_queries=True) == "lsp"

    def test_is_the_one_that_the_old_option_names(self) -> None:
        named = {"keypoints_in_queries": True, "keypoints2d_convention": "lsp"}
        assert self.convention({"convention": "smpl_54"}, **named) == "lsp"
        assert self.convention(None, **named) == "lsp"
        assert self.convention(None, keypoints_in_queries=True, keypoints2d_convention=None) == "coco"

    def test_is_none_for_queries_that_read_none(self) -> None:
        assert self.convention(None, keypoints_in_queries=False, keypoints2d_convention="lsp") is None
        assert self.convention(None, keypoints2d_convention="lsp") is None

    def test_changes_what_the_networks_config_says(self) -> None:
        network = {"queries": {"candidate": True, "keypoints": "coco"}}
        assert self.convention(None, network, keypoints2d_convention="lsp") == "lsp"

    def test_of_models(self, sizes, pool, make_samples) -> None:
        with pytest.warns(FutureWarning):
            model = build(**sizes, keypoints_in_queries=True, keypoints2d_convention="lsp")
        assert model.network.queries.num_keypoints == 14
        assert model.keypoints2d_convention == "lsp"
        assert_same_model(model, build(network={**sizes, "queries": {"keypoints": "lsp"}}), make_samples())
        selector = {"type": "mion.CandidateSelector", "pool": pool, "convention": "lsp", "num_candidates": 2}
        with pytest.warns(FutureWarning):
            model = build(**sizes, keypoints_in_queries=True, selector=selector)
        assert model.selector.keypoints2d_convention == model.network.queries.keypoints == "lsp"
        assert model(IMAGES, make_samples()).pose.shape == (2, 2, 24, 3, 3)

    @pytest.mark.parametrize("convention", ["lsp", "h36m"])  # h36m has as many keypoints as coco
    def test_another_one_than_the_selectors_is_refused(self, sizes, pool, convention) -> None:
        """Version 0.1 read the samples twice; now the stages get one tensor of keypoints."""
        selector = {"type": "mion.CandidateSelector", "pool": pool, "num_candidates": 2}
        options = {"keypoints_in_queries": True, "keypoints2d_convention": convention}
        message = f"the selector reads 2D keypoints in 'coco', the network in '{convention}': give both one convention"
        with pytest.warns(FutureWarning), pytest.raises(ValueError, match=message):
            build(**sizes, **options, selector=selector)


class TestErrors:
    @pytest.mark.parametrize("name", ["rotations", "keypoints", "head", "queries", "colour"])
    def test_unknown_names(self, sizes, name) -> None:
        for network in (sizes, None):
            with pytest.raises(TypeError, match=rf"mion\.MRT got an unexpected keyword argument '{name}'"):
                MeshRefinementTransformer(network, selector=None, **{name: 1})

    def test_unknown_names_beside_old_ones(self, sizes) -> None:
        with pytest.raises(TypeError, match=r"mion\.MRT got an unexpected keyword argument 'rotations'"):
            MeshRefinementTransformer(sizes, selector=None, rotation="residual", rotations="residual")

    def test_old_names_beside_a_built_network(self, sizes) -> None:
        network = build(network=sizes).network
        with pytest.raises(TypeError, match=r"mion\.MRT got 'rotation' beside a built network, which has it already"):
            MeshRefinementTransformer(network, selector=None, rotation="residual", sample_at_joints=True)

    def test_bad_values_are_named_as_the_network_does(self, sizes) -> None:
        with (
            pytest.warns(FutureWarning),
            pytest.raises(ValueError, match="rotation is 'relative', expected one of absolute, residual"),
        ):
            build(**sizes, rotation="relative")

    def test_no_network_at_all(self) -> None:
        with pytest.raises(ValueError, match="no image tokens to encode: give 0, or give the network a backbone"):
            MeshRefinementTransformer(selector=None)


def test_parts_may_be_built(sizes) -> None:
    body = SMPLBody()
    renderer, neck = PNCCRenderer(size=8, body=body), MODELS.build(NECK)
    with pytest.warns(FutureWarning):
        model = build(**{**sizes, "body": body, "renderer": renderer, "neck": neck})
    assert model.network.body is model.body is body
    assert model.network.renderer is renderer
    assert model.network.neck is neck
